//! One episode, from reset to its end.

use std::sync::Arc;

use thiserror::Error;
use tollgate_routing::{
    Budget, BudgetView, CostSource, Ending, Episode, EpisodeId, ModelPool, NanoUsd, Provenance, Step, Task, Turn,
};

use crate::{
    CallQuote, Environment, EnvironmentError, Executor, ExecutorError, PolicyError, RoutingContext, RoutingPolicy,
    Situation, Verdict,
};

/// Which episode to play, and how to label it.
#[derive(Debug, Clone, PartialEq)]
pub struct RolloutRequest {
    /// The episode's name.
    pub episode_id: EpisodeId,
    /// The name of the policy that plays it.
    pub policy_id: Arc<str>,
    /// Seed of every chance event: the environment's, the models' and the policy's.
    pub seed: u64,
    /// Weight of the cost, shown to the policy.
    pub lambda: f32,
    /// The hard limit, recorded with the episode. Keeping it is the policy's part: wrap it to obey.
    pub budget: Budget,
}

/// An episode that could not be played to its end.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RolloutError {
    /// The environment failed.
    #[error(transparent)]
    Environment(#[from] EnvironmentError),
    /// A model failed.
    #[error(transparent)]
    Executor(#[from] ExecutorError),
    /// The policy failed.
    #[error(transparent)]
    Policy(#[from] PolicyError),
}

/// Plays `task` to its end: the environment terminates, the horizon is reached, or the policy stops.
///
/// # Errors
/// A [`RolloutError`] from whichever part failed first.
pub fn rollout<E: Environment, X: Executor<E>>(
    environment: &mut E,
    executor: &mut X,
    policy: &mut dyn RoutingPolicy,
    pool: &ModelPool,
    task: &Task,
    request: &RolloutRequest,
) -> Result<Episode, RolloutError> {
    let mut observation = environment.reset(task, request.seed)?;
    executor.reset(task, request.seed);
    policy.begin(task, request.seed);

    let mut turns: Vec<Turn> = Vec::with_capacity(task.horizon as usize);
    let mut records: Vec<Record> = Vec::with_capacity(task.horizon as usize);
    let mut quotes = vec![CallQuote::default(); pool.len()];
    let mut spent = NanoUsd::ZERO;
    let mut ending = Ending::Horizon;

    while turns.len() < task.horizon as usize {
        let situation = Situation { task, turns: &turns, observation: &observation };
        for (model, _) in pool.iter() {
            quotes[model.get()] = executor.quote(environment, model, &situation);
        }
        let context = RoutingContext {
            task,
            turns: &turns,
            observation: &observation,
            pool,
            quotes: &quotes,
            budget: BudgetView { lambda: request.lambda, ..BudgetView::default() },
            allowed: pool.all(),
        };
        let decision = match policy.decide(&context)? {
            Verdict::Call(decision) => decision,
            Verdict::Stop(reason) => {
                ending = reason;
                break;
            }
        };
        let completion = executor.complete(environment, decision.action, &situation)?;
        let cost =
            completion.recorded_cost.unwrap_or_else(|| pool.model(decision.action).prices.cost(&completion.usage));
        let transition = environment.step(&completion.text)?;
        spent += cost;
        let turn = Turn {
            observation: std::mem::replace(&mut observation, transition.observation),
            action: decision.action,
            completion: completion.text,
            usage: completion.usage,
            cost,
            latency_ms: completion.latency_ms,
        };
        policy.settle(&turn);
        turns.push(turn);
        records.push(Record {
            log_prob: decision.log_prob,
            reward: transition.reward,
            remaining: remaining(request.budget, spent),
            provenance: transition.provenance,
            cost_source: completion.cost_source,
        });
        if transition.terminated {
            ending = Ending::Terminated;
            break;
        }
    }

    let outcome = environment.outcome();
    let steps = turns.into_iter().zip(records).map(|(turn, record)| record.into_step(turn)).collect();
    Ok(Episode {
        id: request.episode_id.clone(),
        task: task.clone(),
        policy_id: request.policy_id.clone(),
        seed: request.seed,
        lambda: request.lambda,
        budget: request.budget,
        ending,
        is_success: outcome.is_success,
        score: outcome.score,
        steps,
    })
}

/// What is known of a step beyond what the router may see.
struct Record {
    log_prob: f32,
    reward: f32,
    remaining: Option<NanoUsd>,
    provenance: Provenance,
    cost_source: CostSource,
}

impl Record {
    fn into_step(self, turn: Turn) -> Step {
        let Self { log_prob, reward, remaining, provenance, cost_source } = self;
        Step { turn, log_prob, remaining, reward, provenance, cost_source }
    }
}

fn remaining(budget: Budget, spent: NanoUsd) -> Option<NanoUsd> {
    match budget {
        Budget::Usd(cap) => Some(cap.saturating_sub(spent)),
        Budget::Unlimited | Budget::LargeCalls(_) => None,
    }
}
