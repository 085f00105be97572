//! Plain values of tensors in the memory of the CPU, for operations of our own.

use candle_core::{CpuStorage, Layout, Result, Storage, bail};

/// The storage, where it is the CPU's.
pub(crate) fn on_cpu(storage: &Storage) -> Result<&CpuStorage> {
    match storage {
        Storage::Cpu(storage) => Ok(storage),
        _ => bail!("the values have to be in the memory of the CPU"),
    }
}

/// The values in their order, where nothing lies between them.
pub(crate) fn contiguous<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    let Some((start, end)) = layout.contiguous_offsets() else { bail!("the values have to lie side by side") };
    Ok(&storage.as_slice::<f32>()?[start..end])
}
