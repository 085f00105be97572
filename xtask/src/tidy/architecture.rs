//! The table of floors in docs/ARCHITECTURE.md: the one place that says which crate may use which.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

/// The rows of the table, by crate.
pub(super) struct Architecture {
    rows: BTreeMap<String, Row>,
}

struct Row {
    floor: u8,
    /// Names in the last column; those that are no crates of ours say what else a crate links.
    may_use: Vec<String>,
    /// `floors 0 to 3`: the highest floor that it may use as a whole.
    whole_floors_up_to: Option<u8>,
}

impl Architecture {
    /// Reads the table of the workspace at `root`.
    ///
    /// # Errors
    /// When the page cannot be read.
    pub(super) fn read(root: &Path) -> Result<Self> {
        let path = root.join("docs/ARCHITECTURE.md");
        let text = fs::read_to_string(&path).with_context(|| format!("{}: cannot be read", path.display()))?;
        Ok(Self::parse(&text))
    }

    /// Reads the rows of the form ``| floor | `crate` | what it is | may use |``; other lines say nothing.
    pub(super) fn parse(text: &str) -> Self {
        Self { rows: text.lines().filter_map(parse_row).collect() }
    }

    /// A crate's floor; `None` when the table does not list it.
    pub(super) fn floor(&self, name: &str) -> Option<u8> {
        self.rows.get(name).map(|row| row.floor)
    }

    /// Whether the row of `name` has `used` in its last column.
    pub(super) fn allows(&self, name: &str, used: &str) -> bool {
        self.rows.get(name).is_some_and(|row| {
            let is_on_a_whole_floor = self.floor(used).is_some_and(|floor| row.whole_floors_up_to >= Some(floor));
            is_on_a_whole_floor || row.may_use.iter().any(|allowed| allowed == used)
        })
    }

    /// Every crate of the table.
    pub(super) fn crates(&self) -> impl Iterator<Item = &str> {
        self.rows.keys().map(String::as_str)
    }
}

fn parse_row(line: &str) -> Option<(String, Row)> {
    let cells: Vec<&str> = line.strip_prefix('|')?.strip_suffix('|')?.split('|').map(str::trim).collect();
    let [floor, name, _, may_use] = cells[..] else { return None };
    let name = name.strip_prefix('`')?.strip_suffix('`')?;
    let may_use: Vec<String> = may_use.split(',').map(|name| name.trim().to_owned()).collect();
    let whole_floors_up_to = may_use.iter().find_map(|name| name.strip_prefix("floors 0 to ")?.parse().ok());
    Some((name.to_owned(), Row { floor: floor.parse().ok()?, may_use, whole_floors_up_to }))
}
