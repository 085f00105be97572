//! `cargo xtask tidy`: the house rules that a compiler does not check.

mod architecture;
mod edges;
mod text;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result};
use clap::Args;

use crate::workspace;

#[derive(Args)]
pub(crate) struct TidyArgs {
    /// Program to use instead of building `tollgate`
    #[arg(long, value_name = "PROGRAM")]
    tollgate: Option<PathBuf>,
}

/// Prints every broken rule, one a line.
///
/// # Errors
/// When the rules cannot be checked at all.
pub(crate) fn run(args: &TidyArgs) -> Result<ExitCode> {
    let tollgate = workspace::tollgate(args.tollgate.as_deref(), &[])?;
    let mut findings = layout_findings(&workspace::root())?;
    findings.extend(generated_docs_finding(&tollgate)?);
    for finding in &findings {
        eprintln!("tidy: {finding}");
    }
    if findings.is_empty() {
        println!("tidy: nothing found");
        return Ok(ExitCode::SUCCESS);
    }
    eprintln!("tidy: {} findings", findings.len());
    Ok(ExitCode::FAILURE)
}

/// Broken rules that can be found without the project's programs.
fn layout_findings(root: &Path) -> Result<Vec<String>> {
    let mut findings = edges::findings(&edges::metadata(root)?, &architecture::Architecture::read(root)?)?;
    findings.extend(text::findings(root)?);
    Ok(findings)
}

fn generated_docs_finding(tollgate: &Path) -> Result<Option<String>> {
    let output = Command::new(tollgate)
        .args(["contract-docs", "--check", "docs/contract"])
        .current_dir(workspace::root())
        .output()
        .with_context(|| format!("cannot start {}", tollgate.display()))?;
    let message = String::from_utf8_lossy(&output.stderr);
    Ok((!output.status.success()).then(|| {
        format!("docs/contract: {}\nhint: `tollgate contract-docs docs/contract` writes it anew", message.trim())
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_workspace_keeps_the_house_rules() {
        let findings = layout_findings(&workspace::root()).unwrap();
        assert!(findings.is_empty(), "{}", findings.join("\n"));
    }
}
