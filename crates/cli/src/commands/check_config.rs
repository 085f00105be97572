//! `tollgate check-config`: every mistake in a config that can be known before anything runs.

use tollgate_contract::Slot;

use crate::arena::open_arena;
use crate::args::CheckConfigArgs;
use crate::config::{
    ClassifyConfig, ConfigFile, EvaluateConfig, OptimizeConfig, ReportConfig, SimulateConfig, SynthesizeConfig,
};
use crate::output;

/// Runs the command.
pub(crate) fn run(args: &CheckConfigArgs) -> anyhow::Result<()> {
    let config = ConfigFile::open(&args.config)?;
    for slot in Slot::ALL {
        check_stage(&config, slot)?;
    }
    open_arena(&config.experiment)?;
    output::print(&format!("{}: good\n", args.config.display()))
}

/// A replacement's keys are its own business.
fn check_stage(config: &ConfigFile, slot: Slot) -> anyhow::Result<()> {
    let table = config.stage(slot);
    if table.is_command() {
        return Ok(());
    }
    match slot {
        Slot::Simulate => table.read::<SimulateConfig>()?.check(),
        Slot::Classify => table.read::<ClassifyConfig>()?.thresholds(&config.experiment).map(|_| ()),
        Slot::Synthesize => table.read::<SynthesizeConfig>().map(|_| ()),
        Slot::Optimize => OptimizeConfig::read(&table).map(|_| ()),
        Slot::Evaluate => table.read::<EvaluateConfig>()?.check(),
        Slot::Report => table.read::<ReportConfig>()?.check(),
    }
}
