//! The belief-state router: it sees what any router sees, knows the rules of the environment, and plans.
//!
//! A strong reference that can be reached, not a bound. At every step it holds the exact posterior of the current
//! subgoal's skill, of the kind of task and of the task being lost, given the whole history, and plans the attempts at this
//! subgoal from there. What comes after the subgoal is taken from a table with the approximations said in
//! `attempts.rs` and `future.rs`. Under a cap in money it plans with the number of large calls that the rest of the cap could pay for.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use tollgate_rollout::{Decision, PolicyError, RoutingContext, RoutingPolicy, Verdict};
use tollgate_routing::{BudgetView, NanoUsd, Task};

use super::attempts::{AttemptGraphs, AttemptSolver, Terms};
use super::chain::{Chain, TaskKind};
use super::future::FutureTable;
use super::heuristic::visible_state;
use super::inference_model::{CueCounts, CueModel, FailedAttempts, InverseScales, KindWeights};
use super::privileged::boundary_costs;
use super::references::CostScale;
use super::rules::{Caller, HORIZON, MIN_SUBGOALS, N_SKILLS};
use super::visible::{LastOutcome, VisibleState};

/// The name in messages.
const NAME: &str = "dp-belief";

/// Tables are dropped, all at once, when they take more than this. Bytes.
const MAX_TABLE_BYTES: usize = 64 << 20;

/// Makes belief policies that share their tables. Clones share them, too; so do threads.
#[derive(Debug, Clone)]
pub struct BeliefPlanner {
    rules: Arc<Rules>,
    tables: Arc<Mutex<Tables>>,
}

/// What does not depend on the task.
#[derive(Debug)]
struct Rules {
    model: CueModel,
    graphs: AttemptGraphs,
}

#[derive(Debug, Default)]
struct Tables {
    by_terms: BTreeMap<TableKey, Arc<FutureTable>>,
    n_bytes: usize,
}

/// Cues of the chain, bits of lambda, calls.
type TableKey = (CueCounts, u64, Option<usize>);

impl BeliefPlanner {
    /// A planner that weighs cost on each task's own scale, which it can only guess from what it sees.
    #[must_use]
    pub fn per_task() -> Self {
        Self::new(typical_inverse_scales())
    }

    /// A planner that weighs cost on one scale for all tasks.
    #[must_use]
    pub fn overall(scale: CostScale) -> Self {
        Self::new([[1.0 / scale.span_units(); TaskKind::ALL.len()]; N_LENGTHS])
    }

    fn new(inverse_scales: InverseScales) -> Self {
        let rules = Rules { model: CueModel::new(inverse_scales), graphs: AttemptGraphs::new() };
        Self { rules: Arc::new(rules), tables: Arc::default() }
    }

    /// A policy for one episode at a time. It takes its operating point from each episode's context: `lambda`, and the
    /// caps with what is left of them.
    #[must_use]
    pub fn policy(&self) -> BeliefPolicy {
        BeliefPolicy { planner: self.clone(), episode: None }
    }

    /// The table for a chain and an operating point. What is computed does not depend on what was cached.
    fn table(&self, cues: &CueCounts, terms: Terms) -> Arc<FutureTable> {
        let key = (*cues, terms.lambda.to_bits(), terms.calls);
        let lock = || self.tables.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(table) = lock().by_terms.get(&key) {
            return table.clone();
        }
        let table = Arc::new(FutureTable::new(&self.rules.model, &self.rules.graphs, cues, terms));
        let mut tables = lock();
        if tables.n_bytes > MAX_TABLE_BYTES {
            *tables = Tables::default();
        }
        tables.n_bytes += table.n_bytes();
        tables.by_terms.insert(key, table.clone());
        table
    }
}

/// The belief-state router (*DP-belief*). Made by [`BeliefPlanner::policy`].
#[derive(Debug)]
pub struct BeliefPolicy {
    planner: BeliefPlanner,
    episode: Option<EpisodeBelief>,
}

/// What the policy knows of the running episode.
#[derive(Debug)]
struct EpisodeBelief {
    kinds: KindWeights,
    attempts: FailedAttempts,
    seen: VisibleState,
    table: Arc<FutureTable>,
}

impl RoutingPolicy for BeliefPolicy {
    fn begin(&mut self, _task: &Task, _seed: u64) {
        self.episode = None;
    }

    fn decide(&mut self, context: &RoutingContext<'_>) -> Result<Verdict, PolicyError> {
        let visible = visible_state(NAME, context)?;
        let Some(cue) = visible.cue.filter(|_| context.pool.len() == 2) else {
            return Err(PolicyError::Mismatch {
                policy: NAME.to_owned(),
                expected: "an unsolved chain and a pool of 2 models".to_owned(),
                found: format!("{} subgoals left and {} models", visible.left, context.pool.len()),
            });
        };
        let step_idx = context.turns.len();
        let calls = calls_left(&context.budget, step_idx, visible.left);
        let planner = &self.planner;
        let episode = match (&mut self.episode, context.turns.last()) {
            (Some(episode), Some(turn)) => {
                episode.update(&planner.rules.model, Caller::of(turn.action), visible);
                episode
            }
            (episode, _) => {
                let terms = Terms { lambda: f64::from(context.budget.lambda), calls };
                episode.insert(EpisodeBelief::new(planner, cue, visible, terms))
            }
        };
        let wanted = episode.choose(&planner.rules, cue, step_idx, calls).model();
        Ok(Verdict::Call(Decision::certain(context.allowed.nearest(wanted).unwrap_or(wanted))))
    }
}

impl EpisodeBelief {
    fn new(planner: &BeliefPlanner, cue: usize, visible: VisibleState, terms: Terms) -> Self {
        let mut cues = visible.later_cues;
        cues[cue] += 1;
        let kinds = planner.rules.model.kinds(&cues);
        let table = planner.table(&cues, terms);
        Self { kinds, attempts: FailedAttempts::none([1.0; N_SKILLS]), seen: visible, table }
    }

    /// Learns from the attempt that led from what was seen before to `visible`.
    fn update(&mut self, model: &CueModel, caller: Caller, visible: VisibleState) {
        match (visible.last_outcome, self.seen.cue) {
            (LastOutcome::Solved, Some(cue)) => {
                self.kinds = model.after_solving(&self.kinds, cue, &self.attempts.then_success_of(caller));
                self.attempts = FailedAttempts::none([1.0; N_SKILLS]);
            }
            _ => self.attempts = self.attempts.and_failure_of(caller),
        }
        self.seen = visible;
    }

    fn choose(&self, rules: &Rules, cue: usize, step_idx: usize, calls: Option<usize>) -> Caller {
        let later_cues = &self.seen.later_cues;
        let prior = rules.model.prior(&self.kinds, cue, later_cues);
        let terms = self.table.terms();
        let lane = match (calls, terms.calls) {
            (Some(calls), Some(most)) => calls.min(most),
            _ => 0,
        };
        let mut solver = AttemptSolver::new(&rules.graphs, terms);
        solver.prepare(&prior, &self.attempts);
        let [small, large] = solver.values(self.table.after(later_cues), step_idx, lane);
        if large > small + TIE { Caller::Large } else { Caller::Small }
    }
}

/// Differences below this are rounding, and the small model wins them.
const TIE: f32 = 1e-6;

/// Lengths that a chain can have.
const N_LENGTHS: usize = size_of::<InverseScales>() / size_of::<[f64; TaskKind::ALL.len()]>();

/// Chains that a typical scale is averaged over.
const N_TYPICAL: u64 = 32;

/// What the router expects of the scale of a task: its mean over typical chains of a kind and length.
fn typical_inverse_scales() -> InverseScales {
    std::array::from_fn(|longer| {
        TaskKind::ALL.map(|kind| {
            let inverse = |seed: u64| {
                let chain = Chain::draw(kind, MIN_SUBGOALS + longer, seed);
                let [small, large] = boundary_costs(chain.subgoals());
                1.0 / (large - small)
            };
            (0..N_TYPICAL).map(inverse).sum::<f64>() / N_TYPICAL as f64
        })
    })
}

/// The large calls that can still be made, or `None` when there is no cap to feel.
fn calls_left(budget: &BudgetView, step_idx: usize, subgoals_left: usize) -> Option<usize> {
    let by_count = budget.large_calls.map(|allowance| allowance.remaining as usize);
    let by_money = budget.usd.map(|allowance| affordable_calls(allowance.remaining, step_idx, subgoals_left));
    let most = HORIZON as usize;
    match (by_count, by_money) {
        (Some(count), Some(money)) => Some(count.min(money)),
        (count, money) => count.or(money),
    }
    .map(|calls| calls.min(most))
}

/// How many large calls `remaining` pays for when they come next and every other subgoal takes one small call.
fn affordable_calls(remaining: NanoUsd, step_idx: usize, subgoals_left: usize) -> usize {
    let small = Caller::Small.cost_nano_usd(step_idx);
    let mut spent = small * subgoals_left as u64;
    let mut calls = 0;
    while step_idx + calls < HORIZON as usize {
        spent += Caller::Large.cost_nano_usd(step_idx + calls);
        if calls < subgoals_left {
            spent -= small;
        }
        if spent > remaining.get() {
            break;
        }
        calls += 1;
    }
    calls
}
