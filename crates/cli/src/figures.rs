//! The evaluated episodes as figures: one table per split, frontiers, the operating point. What summary and page share.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tollgate_contract::{ArtifactKind, EvaluationRow, Slot};
use tollgate_inference::{
    Boundaries, Cell, EpisodeOutcome, Estimate, Frontier, InferenceError, Metric, OperatingPoint, OperatingPointRule,
    OutcomeGroup, OutcomeTable, RelativeToLarge, Resamples, choose_operating_point, frontier, frontier_area_difference,
    relative_to_large,
};
use tollgate_routing::{Budget, Ending, Objective, Split, TaskId};

use crate::artifact;
use crate::config::ReportConfig;
use crate::failure::{OrBadInput, bad_input};

/// The policies that share a frontier: the id up to its parameter.
pub(crate) fn family_of(policy_id: &str) -> &str {
    if policy_id.starts_with("heuristic-") { "heuristic" } else { tollgate_inference::family_of(policy_id) }
}

/// The reference that may try every model from a copy of the state.
pub(crate) const ORACLE: &str = "oracle";

/// Whether a family is a rival of `main`: neither the method itself, with a part less or more, nor a reference that knows what no
/// router can.
pub(crate) fn is_rival(family: &str, main: &str) -> bool {
    family != ORACLE
        && !family.starts_with("dp-")
        && family.strip_prefix(main).is_none_or(|rest| !rest.is_empty() && !rest.starts_with('-'))
}

/// Whether the policies of a family look at `lambda`: a family that was asked for several does.
pub(crate) fn looks_at_lambda(groups: &[&OutcomeGroup]) -> bool {
    groups.iter().any(|group| group.lambda > 0.0)
}

/// One evaluated episode.
#[derive(Debug, Clone)]
pub(crate) struct Evaluated {
    /// Position of its cell.
    pub(crate) cell_idx: usize,
    /// Its task.
    pub(crate) task_id: TaskId,
    /// Its split.
    pub(crate) split: Split,
    /// Its figures.
    pub(crate) outcome: EpisodeOutcome,
}

/// All evaluated episodes.
#[derive(Debug, Default)]
pub(crate) struct Evaluations {
    /// Policies at operating points, in the order of their first episode.
    pub(crate) cells: Vec<Cell>,
    /// The episodes.
    pub(crate) episodes: Vec<Evaluated>,
    /// What an episode is worth.
    objective: Objective,
}

/// What tells a cell from others.
type CellKey = (Arc<str>, u32, Budget, Option<u64>);

impl Evaluations {
    /// Reads the artifact at `path`; the objective says what an episode is worth.
    pub(crate) fn read(path: &Path, objective: Objective) -> anyhow::Result<Self> {
        let mut all = Self { objective, ..Self::default() };
        let mut positions: HashMap<CellKey, usize> = HashMap::new();
        artifact::scan::<EvaluationRow>(path, |rows| {
            for row in rows {
                all.add(row, &mut positions);
            }
            Ok(())
        })?;
        if all.episodes.is_empty() {
            return Err(bad_input(format!(
                "{}: no episodes, expected some\nhint: run `evaluate` first",
                path.display()
            )));
        }
        Ok(all)
    }

    /// Reads the artifact at `path`, which must hold no episode beyond its cap.
    pub(crate) fn read_without_violation(path: &Path, objective: Objective) -> anyhow::Result<Self> {
        let evaluations = Self::read(path, objective)?;
        match evaluations.n_violations() {
            0 => Ok(evaluations),
            n => Err(bad_input(format!("{}: {n} episodes passed their cap, expected none", path.display()))),
        }
    }

    /// The artifact of a finished run.
    pub(crate) fn path_in(run_dir: &Path) -> PathBuf {
        run_dir.join(Slot::Evaluate.as_str()).join(ArtifactKind::Evaluations.file_name())
    }

    /// Episodes that passed their cap.
    pub(crate) fn n_violations(&self) -> usize {
        self.episodes.iter().filter(|episode| episode.outcome.is_violation).count()
    }

    fn add(&mut self, row: EvaluationRow, positions: &mut HashMap<CellKey, usize>) {
        let EvaluationRow { episode, is_violation, train_seed } = row;
        let key = (episode.policy_id.clone(), episode.lambda.to_bits(), episode.budget, train_seed);
        let cell_idx = *positions.entry(key).or_insert_with(|| {
            self.cells.push(Cell {
                family: family_of(&episode.policy_id).into(),
                policy_id: episode.policy_id.clone(),
                lambda: episode.lambda,
                budget: episode.budget,
                train_seed,
            });
            self.cells.len() - 1
        });
        let outcome = EpisodeOutcome {
            is_success: episode.is_success,
            score: episode.score,
            cost: episode.total_cost,
            n_large_calls: episode.n_large_calls,
            n_steps: episode.n_steps,
            is_given_up: episode.ending == Ending::GaveUp,
            is_violation,
        };
        self.episodes.push(Evaluated { cell_idx, task_id: episode.task_id, split: episode.split, outcome });
    }

    /// The figures of one split, task by task.
    pub(crate) fn table(&self, split: Split) -> anyhow::Result<OutcomeTable> {
        self.aggregate(split, |_| true)
    }

    /// The same with the policies of one training run, and those that were not trained.
    pub(crate) fn table_of_run(&self, split: Split, train_seed: Option<u64>) -> anyhow::Result<OutcomeTable> {
        self.aggregate(split, |cell| cell.train_seed.is_none() || cell.train_seed == train_seed)
    }

    fn aggregate(&self, split: Split, is_taken: impl Fn(&Cell) -> bool) -> anyhow::Result<OutcomeTable> {
        let is_taken = |episode: &&Evaluated| episode.split == split && is_taken(&self.cells[episode.cell_idx]);
        let of_split = self.episodes.iter().filter(is_taken);
        let rows = of_split.map(|episode| (&self.cells[episode.cell_idx], &episode.task_id, &episode.outcome));
        OutcomeTable::aggregate(self.objective, rows)
            .map_err(|error| anyhow::Error::new(error).context(format!("evaluations of split `{}`", split.as_str())))
            .or_bad_input()
    }

    /// Seeds of the training runs, in order.
    pub(crate) fn train_seeds(&self) -> Vec<u64> {
        let mut seeds: Vec<u64> = self.cells.iter().filter_map(|cell| cell.train_seed).collect();
        seeds.sort_unstable();
        seeds.dedup();
        seeds
    }
}

/// A family's frontier and its distance to the main family.
#[derive(Debug, Clone)]
pub(crate) struct FamilyFigures {
    /// The frontier.
    pub(crate) frontier: Frontier,
    /// The main family's area minus this one's, paired; `None` for the main family itself.
    pub(crate) main_minus_this: Option<Estimate>,
}

/// The point that a user would run.
#[derive(Debug, Clone)]
pub(crate) struct ChosenPoint {
    /// As chosen on the validation tasks.
    pub(crate) chosen: OperatingPoint,
    /// Against always-large, on the test tasks.
    pub(crate) on_test: RelativeToLarge,
    /// Share of the gap between the boundary policies' success that it closes on the test tasks.
    pub(crate) gap_recovered: f64,
}

/// Everything that summary and page say about the test split, or about tasks of unseen kinds.
#[derive(Debug)]
pub(crate) struct Figures {
    /// The split, task by task.
    pub(crate) test: OutcomeTable,
    /// Draws of its tasks that every interval shares.
    pub(crate) resamples: Resamples,
    /// The trained policies that the report is about, if there are any.
    pub(crate) main_family: Option<Arc<str>>,
    /// One entry per family.
    pub(crate) families: Vec<FamilyFigures>,
    /// The point chosen on validation.
    pub(crate) operating_point: Option<ChosenPoint>,
}

impl Figures {
    /// Computes all figures of the test split; `seed` draws the resamples.
    pub(crate) fn new(evaluations: &Evaluations, config: &ReportConfig, seed: u64) -> anyhow::Result<Self> {
        Self::of_split(evaluations, Split::Test, config, seed)
    }

    /// The same of tasks of unseen kinds, where some were evaluated.
    pub(crate) fn of_unseen(
        evaluations: &Evaluations,
        config: &ReportConfig,
        seed: u64,
    ) -> anyhow::Result<Option<Self>> {
        let has_unseen = evaluations.episodes.iter().any(|episode| episode.split == Split::Unseen);
        has_unseen.then(|| Self::of_split(evaluations, Split::Unseen, config, seed)).transpose()
    }

    fn of_split(evaluations: &Evaluations, split: Split, config: &ReportConfig, seed: u64) -> anyhow::Result<Self> {
        let test = evaluations.table(split)?;
        let resamples = Resamples::draw(test.tasks().len(), config.n_resamples as usize, config.confidence, seed)?;
        let main_family = main_family(&test);
        let families = families(&test, main_family.as_deref(), &resamples).or_bad_input()?;
        let operating_point = match &main_family {
            None => None,
            Some(main) => {
                let validation = evaluations.table(Split::Validation)?;
                Some(chosen_point(&validation, &test, main, config, &resamples).or_bad_input()?)
            }
        };
        Ok(Self { test, resamples, main_family, families, operating_point })
    }

    /// Both boundary policies on the test split.
    pub(crate) fn boundaries(&self) -> anyhow::Result<Boundaries<'_>> {
        self.test.boundaries().or_bad_input()
    }
}

/// BoPO where it was trained, else whatever was trained first.
fn main_family(table: &OutcomeTable) -> Option<Arc<str>> {
    let trained = || table.groups().iter().filter(|group| !group.train_seeds.is_empty()).map(|group| &group.family);
    trained().find(|family| &***family == "bopo").or_else(|| trained().next()).cloned()
}

fn families(
    test: &OutcomeTable,
    main: Option<&str>,
    resamples: &Resamples,
) -> Result<Vec<FamilyFigures>, InferenceError> {
    let boundaries = test.boundaries()?;
    let main_groups = main.map(|main| test.family(main));
    let figures = test.families().into_iter().map(|family| {
        let groups = test.family(&family);
        let main_minus_this = match &main_groups {
            Some(main_groups) if main != Some(&*family) => {
                Some(frontier_area_difference(main_groups, &groups, &boundaries, resamples)?)
            }
            _ => None,
        };
        Ok(FamilyFigures { frontier: frontier(&family, &groups, &boundaries, resamples)?, main_minus_this })
    });
    figures.collect()
}

fn chosen_point(
    validation: &OutcomeTable,
    test: &OutcomeTable,
    main: &str,
    config: &ReportConfig,
    resamples: &Resamples,
) -> Result<ChosenPoint, InferenceError> {
    let rule = OperatingPointRule {
        success_share: config.min_success_of_large,
        margin_standard_errors: config.margin_standard_errors,
    };
    let candidates: Vec<&OutcomeGroup> =
        validation.family(main).into_iter().filter(|group| group.budget == Budget::Unlimited).collect();
    let chosen = choose_operating_point(&candidates, &validation.boundaries()?, &rule)?;
    let boundaries = test.boundaries()?;
    let group = test.find(&chosen.policy_id, chosen.lambda, chosen.budget).ok_or(InferenceError::NoEpisodes)?;
    let success = |group: &OutcomeGroup| group.mean(Metric::Value);
    let [small, large] = [success(boundaries.small()), success(boundaries.large())];
    Ok(ChosenPoint {
        on_test: relative_to_large(group, &boundaries, resamples)?,
        gap_recovered: (success(group) - small) / (large - small),
        chosen,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heuristics_of_all_settings_are_one_family() {
        assert_eq!(["heuristic-2-1-30", "random-0.3", "bopo"].map(family_of), ["heuristic", "random-mixing", "bopo"]);
    }
}
