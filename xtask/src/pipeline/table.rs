//! The table at the end of a run: policy and budget to success, cost, large calls and violations.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{CellAlignment, ContentArrangement, Table};
use serde::Deserialize;

/// What is needed of the report's `summary.json`.
#[derive(Debug, Deserialize)]
struct Summary {
    /// What an episode is worth: `success` or `score`.
    #[serde(default = "success")]
    outcome: String,
    policies: Vec<PolicyRow>,
    operating_point: Option<OperatingPoint>,
    unseen: Option<Unseen>,
}

fn success() -> String {
    "success".to_owned()
}

/// The figures on tasks of kinds that training never saw.
#[derive(Debug, Deserialize)]
struct Unseen {
    n_tasks: u64,
    operating_point: Option<OperatingPoint>,
}

#[derive(Debug, Deserialize)]
struct PolicyRow {
    policy_id: String,
    family: String,
    lambda: Option<f64>,
    budget_kind: String,
    /// Calls, or nano-dollars.
    budget_value: Option<u64>,
    n_episodes: u64,
    success_rate: f64,
    success_rate_low: f64,
    success_rate_high: f64,
    /// What counts, with its interval; a report of other makers may know success only.
    value: Option<f64>,
    value_low: Option<f64>,
    value_high: Option<f64>,
    mean_cost_usd: f64,
    mean_large_calls: f64,
    violations: u64,
}

#[derive(Debug, Deserialize)]
struct OperatingPoint {
    policy_id: String,
    lambda: f64,
    success_of_large: f64,
    cost_of_large: f64,
}

/// The table of a published report: under each budget the setting of each family that achieves most. Where lambda is
/// the only restraint, a conditioned policy stands at the operating point. The report has all settings.
///
/// # Errors
/// When `summary.json` cannot be read.
pub(crate) fn render(report_dir: &Path) -> Result<String> {
    let path = report_dir.join("summary.json");
    let text = fs::read_to_string(&path).with_context(|| format!("{}: cannot be read", path.display()))?;
    let mut summary: Summary = serde_json::from_str(&text).with_context(|| path.display().to_string())?;
    let point = summary.operating_point.as_ref();
    summary.policies.retain(|row| match (row.lambda, point) {
        (Some(lambda), Some(point)) => row.budget_kind != "none" || (lambda - point.lambda).abs() < 1e-6,
        _ => true,
    });
    let mut closing = point.map(|point| format!("\noperating point: {}", point.sentence(&summary.outcome)));
    if let Some((n_tasks, point)) = summary.unseen.as_ref().and_then(Unseen::point) {
        let unseen = format!("\non {n_tasks} tasks of unseen kinds: {}", point.sentence(&summary.outcome));
        closing = Some(closing.unwrap_or_default() + &unseen);
    }
    let table = render_rows(&summary.outcome, best_of_families(summary.policies));
    Ok(format!(
        "{table}\nof each family the setting that achieves most; the report has them all{}",
        closing.unwrap_or_default()
    ))
}

impl PolicyRow {
    fn value(&self) -> f64 {
        self.value.unwrap_or(self.success_rate)
    }

    fn interval(&self) -> (f64, f64) {
        (self.value_low.unwrap_or(self.success_rate_low), self.value_high.unwrap_or(self.success_rate_high))
    }
}

impl Unseen {
    fn point(&self) -> Option<(u64, &OperatingPoint)> {
        self.operating_point.as_ref().map(|point| (self.n_tasks, point))
    }
}

impl OperatingPoint {
    fn sentence(&self, outcome: &str) -> String {
        format!(
            "{} at lambda {} has {:.3} of always-large's {outcome} for {:.3} of its cost",
            self.policy_id, self.lambda, self.success_of_large, self.cost_of_large
        )
    }
}

/// Budgets in order, and in each the families in the report's order.
fn best_of_families(mut rows: Vec<PolicyRow>) -> Vec<PolicyRow> {
    rows.sort_by(|a, b| {
        budget_order(&a.budget_kind).cmp(&budget_order(&b.budget_kind)).then(a.budget_value.cmp(&b.budget_value))
    });
    let mut best: Vec<PolicyRow> = Vec::new();
    for row in rows {
        let is_same = |kept: &&mut PolicyRow| {
            (&kept.family, &kept.budget_kind, kept.budget_value) == (&row.family, &row.budget_kind, row.budget_value)
        };
        match best.iter_mut().find(is_same) {
            None => best.push(row),
            Some(kept) => {
                let is_better = row.value() > kept.value()
                    || (row.value() >= kept.value() && row.mean_cost_usd < kept.mean_cost_usd);
                if is_better {
                    *kept = row;
                }
            }
        }
    }
    best
}

fn render_rows(outcome: &str, rows: Vec<PolicyRow>) -> String {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header([
        "budget",
        "policy",
        "lambda",
        outcome,
        "95 % interval",
        "cost (USD)",
        "large calls",
        "violations",
        "episodes",
    ]);
    let mut previous = String::new();
    for row in rows {
        let budget = budget(&row);
        let shown = if budget == previous { String::new() } else { budget.clone() };
        previous = budget;
        let (value, (low, high)) = (row.value(), row.interval());
        table.add_row([
            shown,
            row.policy_id,
            row.lambda.map_or_else(String::new, |lambda| format!("{lambda}")),
            format!("{value:.3}"),
            format!("{low:.3} to {high:.3}"),
            format!("{:.5}", row.mean_cost_usd),
            format!("{:.2}", row.mean_large_calls),
            row.violations.to_string(),
            row.n_episodes.to_string(),
        ]);
    }
    for column in table.column_iter_mut().skip(2) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table.to_string()
}

fn budget_order(kind: &str) -> u8 {
    match kind {
        "none" => 0,
        "large_calls" => 1,
        _ => 2,
    }
}

fn budget(row: &PolicyRow) -> String {
    match (row.budget_kind.as_str(), row.budget_value) {
        ("large_calls", Some(calls)) => format!("{calls} large calls"),
        ("usd", Some(nano_usd)) => format!("${:.5}", nano_usd as f64 / 1e9),
        (kind, None) => kind.to_owned(),
        (kind, Some(value)) => format!("{kind} {value}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_family_is_shown_at_its_best_setting_under_each_budget() {
        let dir = tempfile::tempdir().unwrap();
        let row = |id: &str, family: &str, lambda: Option<f64>, kind: &str, value: Option<u64>, success: f64| {
            serde_json::json!({
                "policy_id": id, "family": family, "lambda": lambda, "budget_kind": kind, "budget_value": value, "n_episodes": 9,
                "success_rate": success, "success_rate_low": 0.1, "success_rate_high": 0.9, "mean_cost_usd": 0.01,
                "mean_large_calls": 1.5, "violations": 0,
            })
        };
        let summary = serde_json::json!({
            "policies": [
                row("random-0.1", "random-mixing", None, "usd", Some(1_500_000), 0.3),
                row("random-0.2", "random-mixing", None, "usd", Some(1_500_000), 0.4),
                row("bopo", "bopo", Some(0.3), "none", None, 0.5),
                row("bopo", "bopo", Some(0.0), "none", None, 0.8),
                row("bopo", "bopo", Some(0.0), "large_calls", Some(2), 0.6),
            ],
            "operating_point": {"policy_id": "bopo", "lambda": 0.3, "success_of_large": 0.98, "cost_of_large": 0.5},
            "unseen": {
                "n_tasks": 7,
                "operating_point": {"policy_id": "bopo", "lambda": 0.3, "success_of_large": 0.9, "cost_of_large": 0.6},
            },
        });
        fs::write(dir.path().join("summary.json"), summary.to_string()).unwrap();
        let rendered = render(dir.path()).unwrap();
        let cells =
            |line: &str| line.split('┆').map(|cell| cell.trim_matches([' ', '│']).to_owned()).collect::<Vec<_>>();
        let shown: Vec<Vec<String>> = rendered.lines().filter(|line| line.contains('┆')).skip(1).map(cells).collect();
        let starts: Vec<Vec<&str>> = shown.iter().map(|row| row[..4].iter().map(String::as_str).collect()).collect();
        assert_eq!(
            starts,
            [
                ["none", "bopo", "0.3", "0.500"],
                ["2 large calls", "bopo", "0", "0.600"],
                ["$0.00150", "random-0.2", "", "0.400"],
            ]
        );
        assert!(
            rendered.ends_with(
                "bopo at lambda 0.3 has 0.980 of always-large's success for 0.500 of its cost\n\
                 on 7 tasks of unseen kinds: bopo at lambda 0.3 has 0.900 of always-large's success for 0.600 of its cost"
            ),
            "{rendered}"
        );
    }
}
