//! Which crate may use which: floors, edges between our crates, and heavy dependencies, read from `cargo metadata`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, PackageId};

/// One crate of the house.
struct Room {
    name: &'static str,
    floor: u8,
    /// Our crates that it may use; the floors alone would allow more than is meant.
    may_use: &'static [&'static str],
    /// Families of dependencies that it must not reach, not even through others.
    never_links: &'static [Family],
}

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
        self.prefixes().iter().any(|prefix| {
            package.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with(['-', '_']))
        })
    }
}

const ALGORITHM: &[Family] = &[Family::Arrow, Family::Parquet, Family::Http, Family::CommandLine];
const ALGORITHM_WITHOUT_NETWORK: &[Family] =
    &[Family::Arrow, Family::Parquet, Family::Http, Family::CommandLine, Family::Candle];

/// The table of docs/ARCHITECTURE.md.
const HOUSE: &[Room] = &[
    Room { name: "tollgate-routing", floor: 0, may_use: &[], never_links: ALGORITHM_WITHOUT_NETWORK },
    Room { name: "tollgate-rollout", floor: 1, may_use: &["tollgate-routing"], never_links: ALGORITHM_WITHOUT_NETWORK },
    Room { name: "tollgate-ledger", floor: 1, may_use: &["tollgate-routing"], never_links: ALGORITHM_WITHOUT_NETWORK },
    Room {
        name: "tollgate-contract",
        floor: 1,
        may_use: &["tollgate-routing"],
        never_links: &[Family::Parquet, Family::Http, Family::CommandLine, Family::Candle],
    },
    Room {
        name: "tollgate-taxonomy",
        floor: 2,
        may_use: &["tollgate-routing"],
        never_links: ALGORITHM_WITHOUT_NETWORK,
    },
    Room {
        name: "tollgate-synthesis",
        floor: 2,
        may_use: &["tollgate-routing"],
        never_links: ALGORITHM_WITHOUT_NETWORK,
    },
    Room {
        name: "tollgate-policy",
        floor: 2,
        may_use: &["tollgate-rollout", "tollgate-routing"],
        never_links: ALGORITHM,
    },
    Room {
        name: "tollgate-inference",
        floor: 2,
        may_use: &["tollgate-ledger", "tollgate-rollout", "tollgate-routing"],
        never_links: ALGORITHM_WITHOUT_NETWORK,
    },
    Room {
        name: "tollgate-trajectory",
        floor: 2,
        may_use: &["tollgate-contract", "tollgate-routing"],
        never_links: &[Family::Http, Family::CommandLine, Family::Candle],
    },
    Room {
        name: "tollgate-environment",
        floor: 3,
        may_use: &["tollgate-rollout", "tollgate-routing"],
        never_links: ALGORITHM_WITHOUT_NETWORK,
    },
    Room {
        name: "tollgate-bopo",
        floor: 3,
        may_use: &["tollgate-policy", "tollgate-rollout", "tollgate-routing"],
        never_links: ALGORITHM,
    },
    Room {
        name: "tollgate-cli",
        floor: 4,
        may_use: &[
            "tollgate-bopo",
            "tollgate-contract",
            "tollgate-environment",
            "tollgate-inference",
            "tollgate-ledger",
            "tollgate-policy",
            "tollgate-rollout",
            "tollgate-routing",
            "tollgate-synthesis",
            "tollgate-taxonomy",
            "tollgate-trajectory",
        ],
        never_links: &[Family::Http],
    },
    Room { name: "e2e-tests", floor: 5, may_use: &[], never_links: ALGORITHM_WITHOUT_NETWORK },
    Room {
        name: "xtask",
        floor: 5,
        may_use: &[],
        never_links: &[Family::Arrow, Family::Parquet, Family::Candle, Family::Http, Family::Random],
    },
];

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
pub(super) fn findings(metadata: &Metadata) -> Result<Vec<String>> {
    let graph = Graph::new(metadata)?;
    let mut findings = Vec::new();
    for package in metadata.workspace_packages() {
        let name = package.name.as_str();
        let Some(room) = room(name) else {
            findings.push(format!("{name}: not in the table of xtask/src/tidy/edges.rs\nhint: give it a floor, there and in docs/ARCHITECTURE.md"));
            continue;
        };
        for dependency in package.dependencies.iter().filter(|dependency| room_exists(&dependency.name)) {
            findings.extend(edge_finding(room, &dependency.name, dependency.kind));
        }
        let reached = graph.reached_from(&package.id);
        for family in room.never_links {
            if let Some(heavy) = reached.iter().find(|reached| family.has(reached)) {
                findings.push(format!(
                    "{name}: links {heavy}, which it must not\nhint: `cargo tree -p {name} -i {heavy}` shows the way"
                ));
            }
        }
        findings.extend(architecture_finding(metadata.workspace_root.as_std_path(), name)?);
    }
    Ok(findings)
}

fn edge_finding(room: &Room, used: &str, kind: DependencyKind) -> Option<String> {
    let used_room = self::room(used)?;
    if used_room.floor >= room.floor {
        return Some(format!(
            "{}: floor {} uses {used} of floor {}\nhint: a crate uses crates below it, never beside or above it",
            room.name, room.floor, used_room.floor
        ));
    }
    // Tests may look at any floor below.
    (kind != DependencyKind::Development && !room.may_use.contains(&used)).then(|| {
        format!("{}: uses {used}, an edge that the table does not have\nhint: change docs/ARCHITECTURE.md and xtask/src/tidy/edges.rs first", room.name)
    })
}

fn architecture_finding(root: &Path, name: &str) -> Result<Option<String>> {
    let path = root.join("docs/ARCHITECTURE.md");
    let text = fs::read_to_string(&path).with_context(|| format!("{}: cannot be read", path.display()))?;
    let short = name.strip_prefix("tollgate-").unwrap_or(name);
    let is_listed = [format!("`{short}`"), format!("`{name}`")].iter().any(|listed| text.contains(listed));
    Ok((!is_listed).then(|| format!("docs/ARCHITECTURE.md: does not list `{short}`")))
}

fn room(name: &str) -> Option<&'static Room> {
    HOUSE.iter().find(|room| room.name == name)
}

fn room_exists(name: &str) -> bool {
    room(name).is_some()
}

/// Normal and build dependencies, as resolved.
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

    #[track_caller]
    fn check_edge(from: &str, to: &str, kind: DependencyKind, expected: Option<&str>) {
        let found = edge_finding(room(from).unwrap(), to, kind);
        assert_eq!(found.as_deref().and_then(|text| text.lines().next()), expected);
    }

    #[test]
    fn an_edge_up_beside_or_outside_of_the_table_is_found() {
        check_edge("tollgate-rollout", "tollgate-routing", DependencyKind::Normal, None);
        check_edge(
            "tollgate-routing",
            "tollgate-rollout",
            DependencyKind::Normal,
            Some("tollgate-routing: floor 0 uses tollgate-rollout of floor 1"),
        );
        check_edge(
            "tollgate-inference",
            "tollgate-policy",
            DependencyKind::Development,
            Some("tollgate-inference: floor 2 uses tollgate-policy of floor 2"),
        );
        check_edge(
            "tollgate-taxonomy",
            "tollgate-ledger",
            DependencyKind::Normal,
            Some("tollgate-taxonomy: uses tollgate-ledger, an edge that the table does not have"),
        );
        check_edge("tollgate-taxonomy", "tollgate-ledger", DependencyKind::Development, None);
    }

    #[test]
    fn a_family_is_a_whole_name_or_a_prefix_of_words() {
        assert!(Family::Arrow.has("arrow") && Family::Arrow.has("arrow-schema") && !Family::Arrow.has("arrowhead"));
        assert!(Family::Http.has("tokio") && !Family::Http.has("httpdate2"));
    }
}
