//! An import from beginning to end.

use std::fs;
use std::path::Path;

use tollgate_routing::ModelPool;
use tollgate_trajectory::PartialDirectory;

use crate::ImportError;
use crate::assembly::{Assembled, Assembly, CutEpisodes, EpisodeSink, LogModels};
use crate::document::{Document, Piece};
use crate::formats::{self, RowReader, tau2};
use crate::lines::{Line, Lines};
use crate::plan::{ImportOptions, ImportPlan, LogFormat};
use crate::report::{Figures, ImportReport};
use crate::skips::{Place, Reason, Refusal, Skips};
use crate::source::LogSource;
use crate::survey::Survey;
use crate::tables::Tables;

/// The file beside the tables with every row that was left out.
const SKIPPED_FILE: &str = "skipped.jsonl";

/// Reads logs into tables at `options.out`, which appear all at once when they are complete. Without a pool in the plan the
/// logs are read twice: the models have to be known before the first step is written. They are read once more where an episode's
/// steps lie so far apart that it was taken for whole before it was.
///
/// # Errors
/// An [`ImportError`]; nothing is left at `options.out` then.
pub fn import(sources: &[LogSource], plan: &ImportPlan, options: &ImportOptions) -> Result<ImportReport, ImportError> {
    if options.out.exists() {
        return Err(ImportError::Exists { path: options.out.clone() });
    }
    let mut plan = plan.clone();
    let mut assumptions = Vec::new();
    if plan.pool.is_none() {
        plan.pool = surveyed_pool(sources, &plan, options, &mut assumptions)?;
        plan.is_pool_guessed = true;
    }
    let directory = PartialDirectory::create(&options.out)?;
    let partial = directory.path().to_owned();
    match fill(&partial, sources, &plan, options, assumptions) {
        Ok(report) => {
            directory.publish()?;
            Ok(report)
        }
        Err(error) => {
            // Nothing half-written stays; when it cannot be removed, the next import does.
            let _ignored = fs::remove_dir_all(&partial);
            Err(error)
        }
    }
}

fn fill(
    directory: &Path,
    sources: &[LogSource],
    plan: &ImportPlan,
    options: &ImportOptions,
    mut assumptions: Vec<String>,
) -> Result<ImportReport, ImportError> {
    let (assembled, n_bytes) = read_into_tables(directory, sources, plan, options)?;
    let Assembled { sink: tables, skips, models, n_rows, .. } = assembled;
    let n_episodes = tables.n_episodes();
    let (skipped, first_skipped) = skips.finish()?;
    if n_episodes == 0 {
        let n_skipped = skipped.values().sum();
        return Err(ImportError::NoEpisodes { n_rows, n_skipped, first: first_skipped.into_iter().next() });
    }
    let figures = tables.finish(&models)?;
    assume(&figures, plan, &mut assumptions);
    Ok(ImportReport {
        n_rows,
        n_steps: figures.n_steps,
        n_episodes: figures.n_episodes,
        n_tasks: figures.n_tasks,
        n_bytes,
        models: figures.models(&models),
        splits: figures.splits(),
        pool: plan.pool.iter().flat_map(ModelPool::iter).map(|(_, model)| model.id.to_string()).collect(),
        warnings: warnings(&figures, plan, &models),
        assumptions,
        skipped,
        first_skipped,
    })
}

/// Reads the logs into tables. That an episode's steps lie too far apart shows when it is in the tables already; then the logs
/// are read once more, and it is left out.
fn read_into_tables<'a>(
    directory: &Path,
    sources: &[LogSource],
    plan: &'a ImportPlan,
    options: &ImportOptions,
) -> Result<(Assembled<Tables<'a>>, u64), ImportError> {
    let mut known_cut = CutEpisodes::new();
    loop {
        let names = sources.iter().map(LogSource::name).collect();
        let skips = Skips::create(&directory.join(SKIPPED_FILE), names, options.is_strict)?;
        let mut assembly = Assembly::new(plan, Tables::create(directory, plan)?, skips, known_cut.clone());
        let n_bytes = read_all(sources, plan, options, &mut assembly)?;
        let assembled = assembly.finish()?;
        if assembled.cut.is_empty() {
            return Ok((assembled, n_bytes));
        }
        refuse_stdin(sources, &assembled.cut)?;
        known_cut.extend(assembled.cut);
    }
}

/// Standard input cannot be read once more.
fn refuse_stdin(sources: &[LogSource], cut: &CutEpisodes) -> Result<(), ImportError> {
    match cut.values().min() {
        Some(first) if sources.contains(&LogSource::Stdin) => {
            let place = format!("{}:{}", sources[first.source as usize].name(), first.line);
            Err(ImportError::CutEpisodes { place, n_episodes: cut.len() })
        }
        _ => Ok(()),
    }
}

/// The models of the log as a pool, where they make one.
fn surveyed_pool(
    sources: &[LogSource],
    plan: &ImportPlan,
    options: &ImportOptions,
    assumptions: &mut Vec<String>,
) -> Result<Option<ModelPool>, ImportError> {
    if sources.contains(&LogSource::Stdin) {
        return Err(ImportError::Pool {
            detail: "stdin can be read only once, and without a pool the log has to be read twice".to_owned(),
            hint: "name the pool in a map (--map), or give the log as a file",
        });
    }
    let names = sources.iter().map(LogSource::name).collect();
    let mut assembly = Assembly::new(plan, Survey::default(), Skips::uncounted(names), CutEpisodes::new());
    read_all(sources, plan, options, &mut assembly)?;
    let Assembled { sink, models, .. } = assembly.finish()?;
    match sink.pool(&models) {
        Ok(pool) => {
            let names: Vec<&str> = pool.iter().map(|(_, model)| &*model.id).collect();
            let names = names.join(", ");
            assumptions
                .push(format!("no pool was named: the log's models by mean price per token, small first: {names}"));
            Ok(Some(pool))
        }
        Err(reason) => {
            assumptions.push(format!(
                "no pool was named and the log's models make none ({reason}): `action` and `model_id` are null"
            ));
            Ok(None)
        }
    }
}

/// Reads every source, and returns how many bytes they had.
fn read_all<S: EpisodeSink>(
    sources: &[LogSource],
    plan: &ImportPlan,
    options: &ImportOptions,
    assembly: &mut Assembly<'_, S>,
) -> Result<u64, ImportError> {
    let mut reader = formats::reader(options.format, plan);
    let mut n_bytes = 0;
    for (position, source) in sources.iter().enumerate() {
        reader.begin_source();
        let read = if options.format == LogFormat::Tau2 { read_document } else { read_lines };
        n_bytes += read(position as u32, source, options, &mut *reader, assembly)?;
    }
    Ok(n_bytes)
}

fn read_lines<S: EpisodeSink>(
    position: u32,
    source: &LogSource,
    options: &ImportOptions,
    reader: &mut dyn RowReader,
    assembly: &mut Assembly<'_, S>,
) -> Result<u64, ImportError> {
    let mut lines = Lines::new(source.open()?, options.max_row_bytes);
    let mut place = Place { source: position, line: 0 };
    let mut n_bytes = 0;
    let mut n_rows = 0_u64;
    loop {
        place.line += 1;
        match lines.next() {
            Ok(Some(Line::Row(row))) => {
                n_bytes += row.len() as u64 + 1;
                if row.trim_ascii().is_empty() {
                    continue;
                }
                n_rows += 1;
                read_row("", row, place, reader, assembly)?;
            }
            Ok(Some(Line::TooLong { bytes })) => {
                n_bytes += bytes + 1;
                n_rows += 1;
                assembly.count_row();
                assembly.skip(place, &too_long(bytes, options))?;
            }
            Ok(None) => break,
            Err(error) => {
                n_rows += 1;
                assembly.skip(place, &Refusal::new(Reason::DamagedFile, format!("cannot be read on: {error}")))?;
                break;
            }
        }
    }
    if n_rows == 0 {
        place.line = 1;
        assembly.skip(place, &Refusal::new(Reason::EmptyFile, "has no row"))?;
    }
    Ok(n_bytes)
}

/// Reads one large object; its simulations are its rows.
fn read_document<S: EpisodeSink>(
    position: u32,
    source: &LogSource,
    options: &ImportOptions,
    reader: &mut dyn RowReader,
    assembly: &mut Assembly<'_, S>,
) -> Result<u64, ImportError> {
    let mut document = Document::new(source.open()?, tau2::KEPT, tau2::STREAMED, options.max_row_bytes);
    let mut n_rows = 0_u64;
    loop {
        match document.next() {
            Ok(Some(Piece::Value { member, line })) => {
                n_rows += 1;
                read_row(member, document.text(), Place { source: position, line }, reader, assembly)?;
            }
            Ok(Some(Piece::TooLong { line, bytes })) => {
                n_rows += 1;
                assembly.count_row();
                assembly.skip(Place { source: position, line }, &too_long(bytes, options))?;
            }
            Ok(None) => break,
            Err(error) => {
                n_rows += 1;
                let place = Place { source: position, line: document.line };
                assembly.skip(place, &Refusal::new(Reason::DamagedFile, error.to_string()))?;
                break;
            }
        }
    }
    if n_rows == 0 {
        let place = Place { source: position, line: 1 };
        assembly.skip(place, &Refusal::new(Reason::EmptyFile, "has no simulation"))?;
    }
    Ok(document.n_bytes)
}

fn too_long(bytes: u64, options: &ImportOptions) -> Refusal {
    Refusal::new(Reason::RowTooLong, format!("row of {bytes} bytes, expected at most {}", options.max_row_bytes))
}

fn read_row<S: EpisodeSink>(
    member: &str,
    row: &[u8],
    place: Place,
    reader: &mut dyn RowReader,
    assembly: &mut Assembly<'_, S>,
) -> Result<(), ImportError> {
    assembly.count_row();
    let row = if place.line == 1 { row.strip_prefix(b"\xef\xbb\xbf").unwrap_or(row) } else { row };
    match std::str::from_utf8(row) {
        Ok(row) => reader.read(member, row, &mut |step| assembly.take(step, place)),
        Err(error) => {
            let detail = format!("invalid UTF-8 at byte {}", error.valid_up_to());
            assembly.skip(place, &Refusal::new(Reason::NotUtf8, detail))
        }
    }
}

/// What the log did not say and was decided.
fn assume(figures: &Figures, plan: &ImportPlan, assumptions: &mut Vec<String>) {
    if figures.n_inferred > 0 {
        let n = figures.n_inferred;
        assumptions.push(format!("{n} episodes have a score and no `success`: a score of 1 counts as solved"));
    }
    if figures.n_unsaid_sources > 0 {
        let n = figures.n_unsaid_sources;
        assumptions.push(format!("{n} steps have a cost and no word of where it is from: taken as recorded"));
    }
    if figures.n_without_horizon > 0 {
        let (n, longest) = (figures.n_without_horizon, figures.longest_episode);
        assumptions
            .push(format!("{n} tasks have no horizon in the log or the map: the longest episode's {longest} steps"));
    }
    if plan.split.listed.is_empty() {
        let [train, validation, test, unseen] = plan.split.shares;
        assumptions.push(format!(
            "no splits were listed: drawn with shares {train} train, {validation} validation, {test} test, {unseen} unseen and seed {}",
            plan.split.seed
        ));
    }
}

/// What should be looked at.
fn warnings(figures: &Figures, plan: &ImportPlan, models: &LogModels) -> Vec<String> {
    let mut warnings = Vec::new();
    if plan.pool.is_some() && figures.n_unmapped_steps > 0 {
        let unmapped = models.iter().filter(|model| model.in_pool.is_none());
        let names: Vec<&str> = unmapped.map(|model| &*model.name).collect();
        warnings.push(format!(
            "{} steps of {} models that are not in the pool: {}; their `action` and `model_id` are null",
            figures.n_unmapped_steps,
            names.len(),
            shortened(&names)
        ));
    }
    for model in figures.models(models) {
        if model.n_off_price > 0 {
            warnings.push(format!(
                "{} of {} {} steps of `{}` do not cost tokens times price; the most is {} nano-dollars off",
                model.n_off_price, model.n_steps, model.cost_source, model.model, model.most_off_price_nano_usd
            ));
        }
    }
    warnings
}

/// The first few names.
fn shortened(names: &[&str]) -> String {
    const MOST: usize = 5;
    let listed = names[..names.len().min(MOST)].join(", ");
    if names.len() > MOST { format!("{listed} and {} more", names.len() - MOST) } else { listed }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stdin_with_cut_episodes_is_refused_and_files_are_read_again() {
        let cut = CutEpisodes::from([(1, Place { source: 1, line: 9 }), (2, Place { source: 1, line: 7 })]);
        let file = LogSource::File("a.jsonl".into());
        assert!(refuse_stdin(&[file.clone(), file.clone()], &cut).is_ok());
        let message = refuse_stdin(&[file, LogSource::Stdin], &cut).unwrap_err().to_string();
        let expected = "stdin:7: a step of an episode that had to be closed to make room; of 2 such episodes only parts were read\n\
                        hint: give the log as a file, which can be read once more, or name `n_steps` in each row";
        assert_eq!(message, expected);
    }
}
