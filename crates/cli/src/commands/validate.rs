//! `tollgate validate`: what a host runs after a stage, built-in or not.

use tollgate_contract::StageRequest;

use crate::args::ValidateArgs;
use crate::failure::OrBadInput;
use crate::validation;

/// Runs the command.
pub(crate) fn run(args: &ValidateArgs) -> anyhow::Result<()> {
    let request = StageRequest::read(&args.request).or_bad_input()?;
    validation::validate(&request, &args.request.display().to_string(), &args.dir)
}
