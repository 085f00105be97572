//! Which crate may use which: floors, edges between our crates, and heavy dependencies, read from `cargo metadata`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context, Result};
use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, PackageId};

use super::architecture::Architecture;

/// Heavy or layer-breaking dependencies, by the beginning of their packages' names.
#[derive(Clone, Copy)]
enum Family {
    Arrow,
    Parquet,
    Candle,
    Http,
    CommandLine,
    Random,
}

impl Family {
    fn prefixes(self) -> &'static [&'static str] {
        match self {
            Self::Arrow => &["arrow"],
            Self::Parquet => &["parquet"],
            Self::Candle => &["candle", "safetensors", "gemm"],
            Self::Http => &["tokio", "hyper", "reqwest", "ureq", "axum", "tower", "rustls", "http"],
            Self::CommandLine => &["clap", "indicatif", "comfy-table"],
            Self::Random => &["rand", "rayon"],
        }
    }

    fn has(self, package: &str) -> bool {
        package != SEEMINGLY_LINKED
            && self.prefixes().iter().any(|prefix| {
                package.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with(['-', '_']))
            })
    }
}

/// Traits that hold no generator. Cargo's metadata unites the features of the whole workspace, so that they seem to come with
/// `getrandom` to every crate with a temporary file as soon as one crate draws keys from the system.
const SEEMINGLY_LINKED: &str = "rand_core";

const ALGORITHM: &[Family] = &[Family::Arrow, Family::Parquet, Family::Http, Family::CommandLine];
const ALGORITHM_WITHOUT_NETWORK: &[Family] =
    &[Family::Arrow, Family::Parquet, Family::Http, Family::CommandLine, Family::Candle];
/// What calls models over the network; the environment does with its feature `live`.
const NETWORK: &[Family] = &[Family::Arrow, Family::Parquet, Family::CommandLine, Family::Candle];
const ORCHESTRATOR: &[Family] = &[Family::Arrow, Family::Parquet, Family::Candle, Family::Http, Family::Random];

/// What a crate must not reach, not even through others.
fn never_links(name: &str) -> &'static [Family] {
    match name {
        "policy" | "bopo" => ALGORITHM,
        "contract" => &[Family::Parquet, Family::Http, Family::CommandLine, Family::Candle],
        "trajectory" | "import" => &[Family::Http, Family::CommandLine, Family::Candle],
        "upstream" | "environment" => NETWORK,
        "cli" => &[],
        "xtask" | TESTS => ORCHESTRATOR,
        _ => ALGORITHM_WITHOUT_NETWORK,
    }
}

/// The package that tests the programs from outside; it has no floor and uses no crate of ours.
const TESTS: &str = "e2e-tests";

/// What `cargo metadata` says about the workspace at `root`.
///
/// # Errors
/// When cargo cannot be started or fails.
pub(super) fn metadata(root: &Path) -> Result<Metadata> {
    MetadataCommand::new()
        .manifest_path(root.join("Cargo.toml"))
        .other_options(["--offline".to_owned()])
        .exec()
        .or_else(|_| MetadataCommand::new().manifest_path(root.join("Cargo.toml")).exec())
        .context("`cargo metadata` failed")
}

/// Broken rules about who uses whom.
pub(super) fn findings(metadata: &Metadata, architecture: &Architecture) -> Result<Vec<String>> {
    let graph = Graph::new(metadata)?;
    let ours: BTreeSet<&str> =
        metadata.workspace_packages().iter().map(|package| short(package.name.as_str())).collect();
    let mut findings = Vec::new();
    for package in metadata.workspace_packages() {
        let name = short(package.name.as_str());
        if name != TESTS && architecture.floor(name).is_none() {
            findings.push(format!(
                "docs/ARCHITECTURE.md: does not list `{name}`\nhint: give it a row in the table of floors"
            ));
            continue;
        }
        let used = package.dependencies.iter().filter(|used| ours.contains(short(&used.name)));
        findings.extend(used.filter_map(|used| edge_finding(architecture, name, short(&used.name), used.kind)));
        let reached = graph.reached_from(&package.id);
        for family in never_links(name) {
            if let Some(heavy) = reached.iter().find(|reached| family.has(reached)) {
                findings.push(format!(
                    "{name}: links {heavy}, which it must not\nhint: `cargo tree -p {} -i {heavy}` shows the way",
                    package.name
                ));
            }
        }
    }
    let gone = architecture.crates().filter(|name| !ours.contains(name));
    findings.extend(gone.map(|name| format!("docs/ARCHITECTURE.md: lists `{name}`, which does not exist")));
    Ok(findings)
}

fn edge_finding(architecture: &Architecture, name: &str, used: &str, kind: DependencyKind) -> Option<String> {
    let (Some(floor), Some(used_floor)) = (architecture.floor(name), architecture.floor(used)) else {
        return Some(format!("{name}: uses {used}, and one of them is on no floor"));
    };
    let is_for_tests = kind == DependencyKind::Development;
    // Tests may look beside: training is tested on an environment of its own floor.
    if used_floor > floor || (used_floor == floor && !is_for_tests) {
        return Some(format!(
            "{name}: floor {floor} uses {used} of floor {used_floor}\nhint: a crate uses crates below it, never beside or above it"
        ));
    }
    (!is_for_tests && !architecture.allows(name, used)).then(|| {
        format!(
            "{name}: uses {used}, an edge that the table does not have\nhint: argue it in docs/ARCHITECTURE.md first"
        )
    })
}

fn short(package: &str) -> &str {
    package.strip_prefix("tollgate-").unwrap_or(package)
}

/// Normal dependencies, as resolved: what only builds or tests a package is not linked into it.
struct Graph {
    names: BTreeMap<PackageId, String>,
    edges: BTreeMap<PackageId, Vec<PackageId>>,
}

impl Graph {
    fn new(metadata: &Metadata) -> Result<Self> {
        let resolve = metadata.resolve.as_ref().context("`cargo metadata` has no dependency graph")?;
        let names = metadata.packages.iter().map(|package| (package.id.clone(), package.name.to_string())).collect();
        let edges = resolve
            .nodes
            .iter()
            .map(|node| {
                let linked = node
                    .deps
                    .iter()
                    .filter(|dep| dep.dep_kinds.iter().any(|kind| kind.kind == DependencyKind::Normal))
                    .map(|dep| dep.pkg.clone());
                (node.id.clone(), linked.collect())
            })
            .collect();
        Ok(Self { names, edges })
    }

    /// Names of everything that a package links.
    fn reached_from(&self, start: &PackageId) -> BTreeSet<&str> {
        let mut seen = BTreeSet::new();
        let mut open = vec![start];
        while let Some(id) = open.pop() {
            for next in self.edges.get(id).into_iter().flatten() {
                if seen.insert(next) {
                    open.push(next);
                }
            }
        }
        seen.into_iter().filter_map(|id| self.names.get(id).map(String::as_str)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "| floor | crate | what it is | may use |\n|---|---|---|---|\n| 0 | `routing` | nouns | |\n\
        | 1 | `rollout` | loop | routing |\n| 1 | `ledger` | budget | routing |\n| 4 | `cli` | stages | floors 0 to 3, clap |\n";

    #[track_caller]
    fn check_edge(from: &str, to: &str, kind: DependencyKind, expected: Option<&str>) {
        let found = edge_finding(&Architecture::parse(TABLE), from, to, kind);
        assert_eq!(found.as_deref().and_then(|text| text.lines().next()), expected);
    }

    #[test]
    fn an_edge_up_beside_or_outside_of_the_table_is_found() {
        let (normal, test) = (DependencyKind::Normal, DependencyKind::Development);
        check_edge("rollout", "routing", normal, None);
        check_edge("cli", "ledger", normal, None);
        check_edge("routing", "rollout", normal, Some("routing: floor 0 uses rollout of floor 1"));
        check_edge("routing", "rollout", test, Some("routing: floor 0 uses rollout of floor 1"));
        check_edge("rollout", "ledger", normal, Some("rollout: floor 1 uses ledger of floor 1"));
        check_edge("rollout", "ledger", test, None);
        check_edge("e2e-tests", "ledger", normal, Some("e2e-tests: uses ledger, and one of them is on no floor"));
        let without_edge = Architecture::parse(&TABLE.replace("loop | routing", "loop | "));
        let found = edge_finding(&without_edge, "rollout", "routing", normal).unwrap();
        assert!(found.starts_with("rollout: uses routing, an edge that the table does not have"), "{found}");
    }

    #[test]
    fn a_family_is_a_whole_name_or_a_prefix_of_words() {
        assert!(Family::Arrow.has("arrow") && Family::Arrow.has("arrow-schema") && !Family::Arrow.has("arrowhead"));
        assert!(Family::Random.has("rand_pcg") && !Family::Random.has("rand_core"));
        assert!(Family::Http.has("tokio") && !Family::Http.has("httpdate2"));
    }
}
