//! `tollgate stages`: what there is to fill the slots with.

use std::collections::BTreeMap;

use serde::Serialize;
use tollgate_contract::{CONTRACT_VERSION, ProductKind, Slot};

use crate::args::StagesArgs;
use crate::config::{ExperimentConfig, OptimizeConfig};
use crate::output;

/// The built-in stages, for hosts.
#[derive(Debug, Serialize)]
struct StageList {
    contract_version: u32,
    /// Keys of tables of `[experiment]` that say how a stage is run, and nothing about what comes out.
    operation: BTreeMap<&'static str, &'static [&'static str]>,
    stages: Vec<StageInfo>,
}

/// One built-in stage.
#[derive(Debug, Serialize)]
struct StageInfo {
    slot: &'static str,
    version: u32,
    inputs: Vec<&'static str>,
    outputs: Vec<OutputInfo>,
    /// Keys of its table that say which of its results there are, and nothing about any of them.
    selection: &'static [&'static str],
}

/// One thing that a stage writes.
#[derive(Debug, Serialize)]
struct OutputInfo {
    kind: &'static str,
    path: &'static str,
}

/// Runs the command.
pub(crate) fn run(args: &StagesArgs) -> anyhow::Result<()> {
    let stages: Vec<StageInfo> = Slot::ALL.into_iter().map(stage).collect();
    if args.json {
        let operation = BTreeMap::from(ExperimentConfig::OPERATION);
        return output::print_json(&StageList { contract_version: CONTRACT_VERSION, operation, stages });
    }
    let mut table = output::table(["slot", "version", "reads", "writes"]);
    for stage in stages {
        let outputs: Vec<&str> = stage.outputs.iter().map(|output| output.path).collect();
        table.add_row([stage.slot.to_owned(), stage.version.to_string(), stage.inputs.join(", "), outputs.join(", ")]);
    }
    output::print_table(&table)
}

fn stage(slot: Slot) -> StageInfo {
    StageInfo {
        slot: slot.as_str(),
        version: slot.stage_version(),
        inputs: slot.inputs().iter().map(|kind| kind.as_str()).collect(),
        outputs: slot.outputs().iter().copied().map(output_info).collect(),
        selection: if slot == Slot::Optimize { &OptimizeConfig::SELECTION } else { &[] },
    }
}

fn output_info(kind: ProductKind) -> OutputInfo {
    OutputInfo { kind: kind.as_str(), path: kind.file_name() }
}
