//! `tollgate contract-docs`: the pages of docs/contract/, generated from the columns.

use std::fs;
use std::path::Path;

use anyhow::Context;
use tollgate_contract::docs::{Page, pages};

use crate::args::ContractDocsArgs;
use crate::output;

/// Runs the command.
pub(crate) fn run(args: &ContractDocsArgs) -> anyhow::Result<()> {
    if args.check { check(&args.dir) } else { write(&args.dir) }
}

fn check(directory: &Path) -> anyhow::Result<()> {
    let is_current =
        |page: &&Page| fs::read_to_string(directory.join(&page.file_name)).is_ok_and(|text| text == page.markdown);
    let stale: Vec<String> =
        pages().iter().filter(|page| !is_current(page)).map(|page| page.file_name.clone()).collect();
    if stale.is_empty() {
        return Ok(());
    }
    Err(anyhow::anyhow!(
        "{}: missing or out of date: {}\nhint: `tollgate contract-docs {}` writes them anew",
        directory.display(),
        stale.join(", "),
        directory.display()
    ))
}

fn write(directory: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(directory).with_context(|| format!("{}: cannot be created", directory.display()))?;
    for page in pages() {
        let path = directory.join(&page.file_name);
        fs::write(&path, &page.markdown).with_context(|| format!("{}: cannot be written", path.display()))?;
        output::print(&format!("{}\n", path.display()))?;
    }
    Ok(())
}
