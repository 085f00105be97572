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
        Slot::Synthesize => table.read::<SynthesizeConfig>()?.check(),
        Slot::Optimize => OptimizeConfig::read(&table).map(|_| ()),
        Slot::Evaluate => table.read::<EvaluateConfig>()?.check(),
        Slot::Report => table.read::<ReportConfig>()?.check(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_of_synthesize_that_no_run_can_be_made_with_is_refused() {
        let check = |key: &str| {
            let config = ConfigFile::parse("c.toml", &format!("[synthesize]\n{key}")).unwrap();
            check_stage(&config, Slot::Synthesize).map_err(|error| format!("{error:#}"))
        };
        assert_eq!(check("max_examples = 1"), Ok(()));
        assert_eq!(
            check("max_examples = 0"),
            Err("`[synthesize]`: `max_examples` is 0, expected 1 or more".to_owned())
        );
    }
}
