//! `tollgate bench import`: how fast a log is read, on a large file made by repetition of a small one.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, BufWriter, Read, Write};
use std::path::Path;
use std::time::Instant;

use anyhow::Context;
use serde::Serialize;
use tollgate_import::{ImportOptions, ImportPlan, LogFormat, LogSource, import};

use crate::args::BenchImportArgs;
use crate::config::ImportMap;
use crate::failure::{OrBadInput, bad_input};
use crate::output;

/// What is put in front of every task's name, so that each repetition has tasks and episodes of its own.
const TASK_ID: &str = "\"task_id\":\"";

/// What was measured. Only the import is; making the file is not.
#[derive(Debug, Serialize)]
struct ImportSpeed {
    log_bytes: u64,
    n_steps: u64,
    wall_secs: f64,
    /// Processor time of all threads, in the program and in the kernel for it.
    cpu_secs: Option<f64>,
    megabytes_per_cpu_second: Option<f64>,
    peak_memory_bytes: Option<u64>,
    written_bytes: u64,
}

/// Runs the command.
pub(crate) fn run(args: &BenchImportArgs) -> anyhow::Result<()> {
    let plan = args.map.as_deref().map_or_else(|| Ok(ImportPlan::default()), ImportMap::open)?;
    fs::create_dir_all(&args.dir).with_context(|| args.dir.display().to_string())?;
    let log = args.dir.join("bench-import.jsonl");
    let out = args.dir.join("bench-import");
    let result = measure(args, &plan, &log, &out);
    let _ignored = (fs::remove_file(&log), fs::remove_dir_all(&out));
    let speed = result?;
    if args.json {
        return output::print_json(&speed);
    }
    let mut table = output::table(["measured", "value"]);
    let or_unknown = |value: Option<String>| value.unwrap_or_else(|| "not known on this system".to_owned());
    for (name, value) in [
        ("log, MB", format!("{:.0}", speed.log_bytes as f64 / 1e6)),
        ("steps", speed.n_steps.to_string()),
        ("wall time, s", format!("{:.2}", speed.wall_secs)),
        ("processor time, s", or_unknown(speed.cpu_secs.map(|secs| format!("{secs:.2}")))),
        (
            "MB of log per processor second",
            or_unknown(speed.megabytes_per_cpu_second.map(|speed| format!("{speed:.0}"))),
        ),
        ("peak memory, MB", or_unknown(speed.peak_memory_bytes.map(|bytes| format!("{:.0}", bytes as f64 / 1e6)))),
        ("tables, MB", format!("{:.0}", speed.written_bytes as f64 / 1e6)),
    ] {
        table.add_row([name.to_owned(), value]);
    }
    output::print_table(&table)
}

fn measure(args: &BenchImportArgs, plan: &ImportPlan, log: &Path, out: &Path) -> anyhow::Result<ImportSpeed> {
    repeat(&args.log, log, u64::from(args.megabytes) * 1_000_000)?;
    let options =
        ImportOptions { format: LogFormat::StepsJsonl, is_strict: true, max_row_bytes: 16 << 20, out: out.to_owned() };
    let (before, started) = (cpu_secs(), Instant::now());
    let report = import(&[LogSource::File(log.to_owned())], plan, &options).or_bad_input()?;
    let wall_secs = started.elapsed().as_secs_f64();
    let cpu_secs = cpu_secs().zip(before).map(|(after, before)| after - before);
    let sizes = fs::read_dir(out)?.map(|entry| Ok(entry?.metadata()?.len()));
    Ok(ImportSpeed {
        log_bytes: report.n_bytes,
        n_steps: report.n_steps,
        wall_secs,
        cpu_secs,
        megabytes_per_cpu_second: cpu_secs.map(|secs| report.n_bytes as f64 / 1e6 / secs),
        peak_memory_bytes: peak_memory_bytes(),
        written_bytes: sizes.sum::<std::io::Result<u64>>()?,
    })
}

/// Writes the rows of `small` again and again, with tasks of their own, until `target` bytes are reached.
fn repeat(small: &Path, large: &Path, target: u64) -> anyhow::Result<()> {
    let mut rows = Vec::new();
    let file = BufReader::new(File::open(small).with_context(|| small.display().to_string()).or_bad_input()?);
    for row in file.take(1 << 28).lines() {
        let row = row.with_context(|| format!("{}: not a plain text file", small.display())).or_bad_input()?;
        let at = row.find(TASK_ID).ok_or_else(|| {
            bad_input(format!("{}: a row without {TASK_ID}...\nhint: expected plain steps-jsonl", small.display()))
        })?;
        rows.push((row, at + TASK_ID.len()));
    }
    let n_bytes: usize = rows.iter().map(|(row, _)| row.len()).sum();
    if n_bytes == 0 {
        return Err(bad_input(format!("{}: no row", small.display())));
    }
    let mut out = BufWriter::new(File::create(large).with_context(|| large.display().to_string())?);
    for repetition in 0..target.div_ceil(n_bytes as u64) {
        for (row, at) in &rows {
            writeln!(out, "{}r{repetition}-{}", &row[..*at], &row[*at..])?;
        }
    }
    out.flush().with_context(|| large.display().to_string())
}

/// Processor time of this process so far, where the system tells it in /proc.
fn cpu_secs() -> Option<f64> {
    // Ticks of a hundredth of a second: what Linux counts for programs on every architecture that this runs on.
    const TICKS_PER_SEC: f64 = 100.0;
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    let fields: Vec<&str> = stat.rsplit(')').next()?.split_whitespace().collect();
    let ticks = |position: usize| fields.get(position)?.parse::<f64>().ok();
    Some((ticks(11)? + ticks(12)?) / TICKS_PER_SEC)
}

fn peak_memory_bytes() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    Some(line.split_whitespace().nth(1)?.parse::<u64>().ok()? * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_repetition_has_tasks_of_its_own() {
        let directory = tempfile::tempdir().unwrap();
        let (small, large) = (directory.path().join("small"), directory.path().join("large"));
        fs::write(&small, "{\"task_id\":\"a\"}\n{\"task_id\":\"b\"}\n").unwrap();
        repeat(&small, &large, 40).unwrap();
        let expected =
            "{\"task_id\":\"r0-a\"}\n{\"task_id\":\"r0-b\"}\n{\"task_id\":\"r1-a\"}\n{\"task_id\":\"r1-b\"}\n";
        assert_eq!(fs::read_to_string(&large).unwrap(), expected);
    }
}
