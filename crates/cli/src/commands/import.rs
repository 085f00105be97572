//! `tollgate import`: logs of real agents into tables.

use tollgate_import::{ImportError, ImportOptions, ImportPlan, ImportReport, LogFormat, LogSource, import};

use crate::args::ImportArgs;
use crate::config::ImportMap;
use crate::failure::{bad_input, blame_input};
use crate::output;

/// Runs the command.
pub(crate) fn run(args: &ImportArgs) -> anyhow::Result<()> {
    let options = ImportOptions {
        format: format(&args.format)?,
        is_strict: args.strict,
        max_row_bytes: args.max_row_bytes as usize,
        out: args.out.clone(),
    };
    let plan = args.map.as_deref().map_or_else(|| Ok(ImportPlan::default()), ImportMap::open)?;
    let sources: Vec<LogSource> = args.paths.iter().map(|path| LogSource::from_argument(path)).collect();
    let report = import(&sources, &plan, &options).map_err(blame)?;
    if args.json { output::print_json(&report) } else { print(&report, args) }
}

fn format(name: &str) -> anyhow::Result<LogFormat> {
    LogFormat::ALL.into_iter().find(|format| format.as_str() == name).ok_or_else(|| {
        let known: Vec<&str> = LogFormat::ALL.iter().map(|format| format.as_str()).collect();
        bad_input(format!("format `{name}` is not known\nhint: expected one of {}", known.join(", ")))
    })
}

fn blame(error: ImportError) -> anyhow::Error {
    if error.is_bad_input() { blame_input(error) } else { error.into() }
}

fn print(report: &ImportReport, args: &ImportArgs) -> anyhow::Result<()> {
    let ImportReport { n_rows, n_steps, n_episodes, n_tasks, .. } = report;
    output::print(&format!(
        "{}: {n_episodes} episodes of {n_tasks} tasks, {n_steps} steps, from {n_rows} rows\n",
        args.out.display()
    ))?;
    print_models(report)?;
    let mut table = output::table(["split", "tasks", "groups", "episodes"]);
    for split in &report.splits {
        let counts = [split.n_tasks, split.n_groups, split.n_episodes].map(|count| count.to_string());
        table.add_row(std::iter::once(split.split.to_owned()).chain(counts));
    }
    output::print_table(&table)?;
    print_skipped(report, args)?;
    let mut text = String::new();
    for assumption in &report.assumptions {
        text.extend(["assumed: ", assumption, "\n"]);
    }
    for warning in &report.warnings {
        text.extend(["warning: ", warning, "\n"]);
    }
    output::print(&text)
}

fn print_models(report: &ImportReport) -> anyhow::Result<()> {
    let mut table =
        output::table(["model", "in the pool", "episodes", "steps", "success", "cost is", "mean cost", "total cost"]);
    for model in &report.models {
        let position = report.pool.iter().position(|id| Some(id) == model.model_id.as_ref());
        let in_pool =
            position.map_or_else(|| "no".to_owned(), |position| format!("{position}: {}", report.pool[position]));
        let apart = || "sources apart".to_owned();
        table.add_row([
            model.model.clone(),
            in_pool,
            model.n_episodes.to_string(),
            model.n_steps.to_string(),
            format!("{:.3}", model.success_rate),
            model.cost_source.to_owned(),
            model.mean_cost_usd.map_or_else(apart, |cost| format!("${cost:.6}")),
            model.total_cost_nano_usd.map_or_else(apart, |cost| format!("${:.4}", cost as f64 * 1e-9)),
        ]);
    }
    output::print_table(&table)
}

fn print_skipped(report: &ImportReport, args: &ImportArgs) -> anyhow::Result<()> {
    let n_skipped: u64 = report.skipped.values().sum();
    if n_skipped == 0 {
        return output::print("no row was skipped\n");
    }
    let mut table = output::table(["skipped because", "rows", "hint"]);
    for (reason, count) in &report.skipped {
        table.add_row([reason.as_str().to_owned(), count.to_string(), reason.hint().to_owned()]);
    }
    output::print_table(&table)?;
    let mut text = String::new();
    for row in &report.first_skipped {
        text.extend(["skipped: ", &row.to_string(), "\n"]);
    }
    let listed = report.first_skipped.len() as u64;
    if n_skipped > listed {
        let rest = n_skipped - listed;
        let file = args.out.join("skipped.jsonl");
        text.extend(["skipped: and ", &rest.to_string(), " more; all are in ", &file.display().to_string(), "\n"]);
    }
    output::print(&text)
}
