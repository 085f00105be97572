//! The table at the end of a run: policy and budget to success, cost, large calls and violations.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use comfy_table::presets::UTF8_HORIZONTAL_ONLY;
use comfy_table::{CellAlignment, ContentArrangement, Table};
use serde::Deserialize;

/// What is needed of the report's `summary.json`.
#[derive(Debug, Deserialize)]
struct Summary {
    policies: Vec<PolicyRow>,
}

#[derive(Debug, Deserialize)]
struct PolicyRow {
    policy_id: String,
    lambda: Option<f64>,
    budget_kind: String,
    budget_value: Option<f64>,
    n_episodes: u64,
    success_rate: f64,
    success_rate_low: f64,
    success_rate_high: f64,
    mean_cost_usd: f64,
    mean_large_calls: f64,
    violations: u64,
}

/// The table of a published report.
///
/// # Errors
/// When `summary.json` cannot be read.
pub(crate) fn render(report_dir: &Path) -> Result<String> {
    let path = report_dir.join("summary.json");
    let text = fs::read_to_string(&path).with_context(|| format!("{}: cannot be read", path.display()))?;
    let summary: Summary = serde_json::from_str(&text).with_context(|| path.display().to_string())?;
    Ok(render_rows(summary.policies))
}

fn render_rows(mut rows: Vec<PolicyRow>) -> String {
    // Budgets together, so that policies under the same budget stand under each other; equal ones keep the report's order.
    rows.sort_by(|a, b| {
        let by_value = a.budget_value.unwrap_or(0.0).total_cmp(&b.budget_value.unwrap_or(0.0));
        budget_order(&a.budget_kind).cmp(&budget_order(&b.budget_kind)).then(by_value)
    });
    let mut table = Table::new();
    table.load_style(UTF8_HORIZONTAL_ONLY).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header([
        "budget",
        "policy",
        "lambda",
        "success",
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
        table.add_row([
            shown,
            row.policy_id,
            row.lambda.map_or_else(String::new, |lambda| format!("{lambda}")),
            format!("{:.3}", row.success_rate),
            format!("{:.3} to {:.3}", row.success_rate_low, row.success_rate_high),
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
        ("usd", Some(dollars)) => format!("${dollars:.5}"),
        (kind, None) => kind.to_owned(),
        (kind, Some(value)) => format!("{kind} {value}"),
    }
}
