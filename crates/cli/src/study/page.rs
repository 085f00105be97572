//! The comparison in Markdown.

use std::fmt::Write as _;

use tollgate_inference::Estimate;
use tollgate_routing::Budget;

use super::comparison::Line;
use super::recovered::recovered_section;
use super::{Asked, Comparison, GivingUp};

/// Where the figures come from.
pub(crate) struct Origin {
    /// Heading of the document.
    pub(crate) title: String,
    /// The command that makes the document anew.
    pub(crate) command: String,
    pub(crate) seeds: Vec<u64>,
    pub(crate) n_episodes: usize,
    pub(crate) violations: usize,
    pub(crate) confidence: f64,
    pub(crate) n_resamples: u32,
    /// Digest of the evaluated episodes.
    pub(crate) digest: String,
    /// The processor that it was computed on.
    pub(crate) hardware: String,
    /// Whether a plot of the caps lies beside the document.
    pub(crate) has_caps_plot: bool,
}

/// Shares of always-large's success that operating points have to keep.
const SUCCESS_ASKED: [f64; 3] = [0.99, 0.97, 0.95];

/// Shares of always-large's cost that operating points may take.
const COST_ALLOWED: [f64; 2] = [0.5, 0.35];

/// The document.
pub(crate) fn page(origin: &Origin, test: &Comparison, unseen: Option<&Comparison>) -> anyhow::Result<String> {
    let mut page = head(origin, test, unseen);
    page.push_str("## Frontier\n\n![success against mean cost](frontier.svg)\n\n");
    area_table(&mut page, &test.areas()?);
    page.push_str("\n## Operating points\n\n");
    page.push_str("The cheapest setting that keeps a share of always-large's success on the validation tasks; success and cost on the test tasks, as shares of always-large's.\n\n");
    operating_table(&mut page, test, &SUCCESS_ASKED.map(Asked::Success))?;
    page.push_str(
        "\nThe most successful setting that costs no more than a share of always-large's on the validation tasks.\n\n",
    );
    operating_table(&mut page, test, &COST_ALLOWED.map(Asked::Cost))?;

    let lambdas = test.lambdas();
    page.push_str("\n## Success less the weighted cost\n\n`J = V - lambda (C - C_small) / (C_large - C_small)`, without a cap.\n\n");
    let headings: Vec<String> = lambdas.iter().map(|lambda| format!("λ {lambda}")).collect();
    comparison_tables(&mut page, &headings, &test.objectives(&lambdas)?);

    let giving_up = test.giving_up(&lambdas)?;
    if !giving_up.is_empty() {
        page.push_str("\n## Giving up\n\n`bopo` against `bopo-no-early-stop` at the same weight of the cost, without a cap. Money on failures: what episodes cost that did not solve their task, in dollars per 1,000 episodes played, solved or not. Lost: by how much the share of solved tasks is lower.\n\n");
        giving_up_table(&mut page, &giving_up);
    }

    let caps = test.caps();
    if !caps.is_empty() {
        page.push_str("\n## Success under a hard cap\n\n");
        if origin.has_caps_plot {
            page.push_str("![success under caps](caps.svg)\n\n");
        }
        let headings: Vec<String> = caps.iter().map(cap_heading).collect();
        comparison_tables(&mut page, &headings, &test.under_caps(&caps)?);
    }
    let recovered = test.recovered(&caps)?;
    if !recovered.is_empty() {
        recovered_section(&mut page, &recovered);
    }
    if let Some(unseen) = unseen {
        page.push_str("\n## Task types that training never saw\n\n");
        area_table(&mut page, &unseen.areas()?);
        page.push('\n');
        operating_table(&mut page, unseen, &SUCCESS_ASKED.map(Asked::Success))?;
    }
    Ok(page)
}

fn head(origin: &Origin, test: &Comparison, unseen: Option<&Comparison>) -> String {
    let seeds: Vec<String> = origin.seeds.iter().map(u64::to_string).collect();
    let unseen = unseen.map_or(String::new(), |unseen| format!(", {} of unseen types", unseen.n_tasks()));
    format!(
        "# {title}\n\n\
         `{command}` makes this document and its plots.\n\n\
         | | |\n|---|---|\n\
         | test tasks | {n_tasks}{unseen} |\n\
         | training runs | {n_runs}, seeds {seeds} |\n\
         | evaluated episodes | {n_episodes}, all splits; {violations} passed their cap |\n\
         | intervals | {confidence:.0} %, {n_resamples} resamples of tasks and of training runs together |\n\
         | episodes | `evaluations.parquet`, BLAKE3 `{digest}` |\n\
         | computed on | {hardware} |\n\n\
         Figures are means over training runs, with their interval. Where a family has settings (how often a cascade escalates), the \
         validation tasks pick one per column and run, as they do for the trained policies' operating points. Differences are paired by \
         task and run: BoPO less the family, above 0 where BoPO is better; **bold** where the interval is clear of 0.\n\n",
        title = origin.title,
        command = origin.command,
        n_tasks = test.n_tasks(),
        n_runs = test.n_runs(),
        seeds = seeds.join(", "),
        n_episodes = origin.n_episodes,
        violations = origin.violations,
        confidence = 100.0 * origin.confidence,
        n_resamples = origin.n_resamples,
        digest = origin.digest,
        hardware = origin.hardware,
    )
}

fn area_table(page: &mut String, lines: &[Line]) {
    page.push_str("| policy | `frontier_area` | BoPO less this |\n|---|---|---|\n");
    for line in by_first_figure(lines) {
        let difference = line.main_less_this[0].map_or(String::new(), difference);
        let area = line.figures[0].map_or(String::new(), figure);
        let _infallible = writeln!(page, "| {} | {area} | {difference} |", line.family);
    }
}

fn operating_table(page: &mut String, comparison: &Comparison, wishes: &[Asked]) -> anyhow::Result<()> {
    page.push_str("| policy |");
    for asked in wishes {
        let _infallible = match asked {
            Asked::Success(share) => write!(page, " success, {share} asked | cost |"),
            Asked::Cost(share) => write!(page, " success, for {share} of the cost | cost |"),
        };
    }
    page.push_str("\n|---|");
    page.push_str(&"---|---|".repeat(wishes.len()));
    page.push('\n');
    for family in comparison.operating_points(wishes)? {
        let _infallible = write!(page, "| {} |", family.family);
        for [success, cost] in family.points {
            let _infallible = write!(page, " {} | {} |", figure(success), figure(cost));
        }
        page.push('\n');
    }
    Ok(())
}

fn giving_up_table(page: &mut String, rows: &[GivingUp]) {
    page.push_str("| λ | money on failures, played to the end | `bopo` | share saved | success lost | share given up |\n|---|---|---|---|---|---|\n");
    for row in rows {
        let [end, main] = row.failed_cost_usd.map(|usd| figure(per_thousand(usd)));
        let _infallible = writeln!(
            page,
            "| {} | {end} | {main} | {} | {} | {} |",
            row.lambda,
            difference(row.saved),
            difference(row.success_lost),
            figure(row.given_up)
        );
    }
}

fn per_thousand(estimate: Estimate) -> Estimate {
    let Estimate { value, low, high } = estimate;
    Estimate { value: 1_000.0 * value, low: 1_000.0 * low, high: 1_000.0 * high }
}

/// The figures, and under them the differences.
fn comparison_tables(page: &mut String, headings: &[String], lines: &[Line]) {
    wide_table(page, headings, lines.iter().map(|line| (line, cells(&line.figures, figure))));
    page.push_str("\nBoPO less the others:\n\n");
    let others = lines.iter().filter(|line| line.main_less_this.iter().any(Option::is_some));
    wide_table(page, headings, others.map(|line| (line, cells(&line.main_less_this, difference))));
}

fn cells(estimates: &[Option<Estimate>], words: impl Fn(Estimate) -> String) -> Vec<String> {
    estimates.iter().map(|estimate| estimate.map_or_else(String::new, &words)).collect()
}

fn wide_table<'a>(page: &mut String, headings: &[String], rows: impl Iterator<Item = (&'a Line, Vec<String>)>) {
    let _infallible = writeln!(page, "| policy | {} |\n|---|{}", headings.join(" | "), "---|".repeat(headings.len()));
    for (line, cells) in rows {
        let _infallible = writeln!(page, "| {} | {} |", line.family, cells.join(" | "));
    }
}

/// The best first.
fn by_first_figure(lines: &[Line]) -> Vec<&Line> {
    let value = |line: &Line| line.figures[0].map_or(f64::NEG_INFINITY, |estimate| estimate.value);
    let mut sorted: Vec<&Line> = lines.iter().collect();
    sorted.sort_by(|one, other| value(other).total_cmp(&value(one)));
    sorted
}

/// A figure with its interval.
pub(crate) fn figure(estimate: Estimate) -> String {
    format!("{:.3} ({:.3}, {:.3})", estimate.value, estimate.low, estimate.high)
}

/// A difference with its interval, which stands out where it is clear of 0.
pub(super) fn difference(estimate: Estimate) -> String {
    let text = format!("{:+.3} ({:+.3}, {:+.3})", estimate.value, estimate.low, estimate.high);
    if estimate.low > 0.0 || estimate.high < 0.0 { format!("**{text}**") } else { text }
}

pub(super) fn cap_heading(budget: &Budget) -> String {
    match budget {
        Budget::Unlimited => "no cap".to_owned(),
        Budget::LargeCalls(1) => "1 call".to_owned(),
        Budget::LargeCalls(calls) => format!("{calls} calls"),
        Budget::Usd(usd) => format!("${:.4}", usd.as_usd()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_stands_out_where_its_interval_is_clear_of_nothing() {
        let estimate = |low, high| Estimate { value: 0.5 * (low + high), low, high };
        assert_eq!(difference(estimate(0.01, 0.03)), "**+0.020 (+0.010, +0.030)**");
        assert_eq!(difference(estimate(-0.01, 0.03)), "+0.010 (-0.010, +0.030)");
        assert_eq!(difference(estimate(-0.03, -0.01)), "**-0.020 (-0.030, -0.010)**");
    }
}
