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
    operating_point: Option<OperatingPoint>,
}

#[derive(Debug, Deserialize)]
struct PolicyRow {
    policy_id: String,
    lambda: Option<f64>,
    budget_kind: String,
    /// Calls, or nano-dollars.
    budget_value: Option<u64>,
    n_episodes: u64,
    success_rate: f64,
    success_rate_low: f64,
    success_rate_high: f64,
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

/// The table of a published report. Of a policy that is conditioned on lambda and has no cap, the row at the operating point
/// stands for all; the report has the others.
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
    let closing = summary.operating_point.as_ref().map(|point| {
        format!(
            "\noperating point: {} at lambda {} has {:.3} of always-large's success for {:.3} of its cost",
            point.policy_id, point.lambda, point.success_of_large, point.cost_of_large
        )
    });
    Ok(render_rows(summary.policies) + &closing.unwrap_or_default())
}

fn render_rows(mut rows: Vec<PolicyRow>) -> String {
    // Budgets together, so that policies under the same budget stand under each other; equal ones keep the report's order.
    rows.sort_by(|a, b| {
        budget_order(&a.budget_kind).cmp(&budget_order(&b.budget_kind)).then(a.budget_value.cmp(&b.budget_value))
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
        ("usd", Some(nano_usd)) => format!("${:.5}", nano_usd as f64 / 1e9),
        (kind, None) => kind.to_owned(),
        (kind, Some(value)) => format!("{kind} {value}"),
    }
}
