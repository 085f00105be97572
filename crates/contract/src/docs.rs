//! The pages of docs/contract/, generated from the columns so that they cannot lag behind.

use std::fmt::Write;

use crate::{ArtifactKind, CONTRACT_VERSION, Column, ProductKind, Slot};

/// A generated page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// Its name in docs/contract/.
    pub file_name: String,
    /// Its text.
    pub markdown: String,
}

/// Every page: the index first, then one per artifact.
#[must_use]
pub fn pages() -> Vec<Page> {
    let artifact = |kind: ArtifactKind| Page { file_name: format!("{kind}.md"), markdown: markdown(kind) };
    let mut pages = vec![Page { file_name: "README.md".to_owned(), markdown: index() }];
    pages.extend(ArtifactKind::ALL.map(artifact));
    pages
}

/// The page of an artifact.
#[must_use]
pub fn markdown(kind: ArtifactKind) -> String {
    let mut page = format!("{GENERATED}\n# {}\n\n{}\n\n", kind.file_name(), summary(kind));
    let mut written_by = match Slot::producer(kind.into()) {
        Some(slot) => format!("Written by `{slot}`"),
        None => "Written by `tollgate tasks`".to_owned(),
    };
    if matches!(kind, ArtifactKind::Tasks | ArtifactKind::Episodes | ArtifactKind::Steps) {
        written_by.push_str(", and by `tollgate import` from logs");
    }
    let readers: Vec<String> = Slot::ALL
        .into_iter()
        .filter(|slot| slot.inputs().contains(&ProductKind::Artifact(kind)))
        .map(|slot| format!("`{slot}`"))
        .collect();
    if !readers.is_empty() {
        written_by = format!("{written_by}; read by {}", readers.join(", "));
    }
    line(&mut page, &format!("{written_by}.\n"));
    line(&mut page, "| column | type | null | unit | meaning |\n|---|---|---|---|---|");
    for column in kind.columns() {
        line(&mut page, &table_row(column));
    }
    page
}

/// The index: slots, artifacts, and the protocol between host and stage.
#[must_use]
pub fn index() -> String {
    let mut page = format!("{GENERATED}\n# The contract, version {CONTRACT_VERSION}\n\n{RULES}\n\n## Slots\n\n");
    line(&mut page, "| slot | reads | writes |\n|---|---|---|");
    for slot in Slot::ALL {
        line(&mut page, &format!("| {slot} | {} | {} |", list(slot.inputs()), list(slot.outputs())));
    }
    line(&mut page, "\n## Artifacts\n\n| file | what it holds |\n|---|---|");
    for kind in ArtifactKind::ALL {
        line(&mut page, &format!("| [{}]({kind}.md) | {} |", kind.file_name(), summary(kind)));
    }
    page.push('\n');
    page.push_str(PROTOCOL);
    page
}

const GENERATED: &str =
    "<!-- Generated from crates/contract by `tollgate contract-docs docs/contract`. Edit the columns there. -->";

const RULES: &str = "\
Artifacts are Parquet files in long format. A file says what it is in its footer, in the plain key-values `tollgate.kind`
(the artifact's name) and `tollgate.contract_version`. Readers ignore columns that they do not know. A nullable column may be
missing, and then reads as null; a new one is no new version of the contract. A renamed, removed or re-typed column is, and
files of old versions stay readable.

Money is an integer number of nano-dollars (1e-9 USD). Counts are signed integers, so that differences are safe in every tool.
Text may be stored with or without a dictionary; every other type has to be the one that is given. No number is NaN or
infinite.";

const PROTOCOL: &str = r#"## Stages

A stage is a program that is called with `--request request.json`. It writes the slot's files into `output_dir` and exits with
0, with 2 for bad input or configuration, or with anything else for another failure. The host checks the files, writes
`manifest.json` beside them and puts the directory in its place.

The request has exactly these fields:

```json
{
  "contract_version": 1,
  "slot": "classify",
  "seed": 0,
  "inputs": [{ "kind": "episodes", "path": "runs/a/simulate/episodes.parquet", "digest": "<64 hexadecimal digits of BLAKE3>" }],
  "output_dir": "runs/a/classify.partial",
  "config": { "experiment": {}, "stage": {} }
}
```

The manifest has these, and neither times nor absolute paths of its own, so that equal runs have equal manifests:

```json
{
  "slot": "classify",
  "contract_version": 1,
  "stage_version": 1,
  "seed": 0,
  "config": {},
  "inputs": [{ "kind": "episodes", "digest": "..." }],
  "outputs": [{ "kind": "boundary_labels", "file_name": "boundary_labels.parquet", "digest": "...", "bytes": 20480, "rows": 600 }],
  "totals": { "n_easy": 210, "n_hard": 330, "n_intractable": 60, "n_contested": 120 }
}
```

The digest of a directory, which the checkpoint is, covers the names and contents of all that is in it.
"#;

const fn summary(kind: ArtifactKind) -> &'static str {
    match kind {
        ArtifactKind::Tasks => "One row per task that can be played.",
        ArtifactKind::Episodes => "One row per episode played: the boundary probes and the mixed sweep.",
        ArtifactKind::Steps => {
            "One row per step of the episodes, in the order of the episodes and their steps; no padding."
        }
        ArtifactKind::BoundaryLabels => "One row per probed task: how hard it is, with the evidence.",
        ArtifactKind::SftExamples => "One row per step that the warm start imitates.",
        ArtifactKind::TrainingLog => {
            "One row per iteration of each training run. Metrics that a variant does not have are null."
        }
        ArtifactKind::Evaluations => {
            "One row per evaluated episode: the columns of `episodes`, and the verdict on its budget."
        }
        ArtifactKind::Frontier => {
            "One row per policy and operating point: the averages that the cost-success frontier is drawn from."
        }
    }
}

fn table_row(column: &Column) -> String {
    let null = if column.is_nullable { "yes" } else { "no" };
    let (name, type_name) = (column.name, column.column_type.name());
    format!("| `{name}` | {type_name} | {null} | {} | {} |", column.unit, column.meaning)
}

fn list(products: &[ProductKind]) -> String {
    products.iter().map(|product| product.as_str()).collect::<Vec<_>>().join(", ")
}

fn line(page: &mut String, text: &str) {
    // Writing to a `String` cannot fail.
    let _ = writeln!(page, "{text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_column_is_on_its_artifact_s_page() {
        for kind in ArtifactKind::ALL {
            let page = markdown(kind);
            for column in kind.columns() {
                assert!(page.contains(&format!("| `{}` | {}", column.name, column.column_type.name())), "{page}");
                assert!(column.meaning.ends_with('.') && !column.meaning.contains('|'), "{}", column.name);
            }
        }
    }

    #[test]
    fn a_page_says_who_writes_and_who_reads() {
        let page = markdown(ArtifactKind::Steps);
        assert!(
            page.contains(
                "Written by `simulate`, and by `tollgate import` from logs; read by `synthesize`, `optimize`, `report`."
            ),
            "{page}"
        );
        assert!(
            markdown(ArtifactKind::Tasks)
                .contains("Written by `tollgate tasks`, and by `tollgate import` from logs; read by `simulate`")
        );
    }

    #[test]
    fn the_index_links_every_artifact() {
        let page = index();
        for kind in ArtifactKind::ALL {
            assert!(page.contains(&format!("[{}]({kind}.md)", kind.file_name())));
        }
        assert_eq!(pages().len(), 9);
    }
}
