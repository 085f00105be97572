//! Logs to replay: real ones where they are at hand, and a few made by hand that have the same shape.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::Path;

use regex_lite::Regex;
use serde_json::Value;
use tollgate_environment::replay::{OutcomeRule, ReplaySettings};
use tollgate_routing::{
    Budget, CostSource, Ending, Episode, EpisodeId, Model, ModelIndex, ModelPool, NanoUsd, Observation, Prices,
    Provenance, Split, Step, Task, TaskId, TokenUsage, Turn,
};

/// Where the development logs are, seen from this crate.
const SHARED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data");

/// The list prices that the logs were priced at.
pub(crate) fn sql_pool() -> ModelPool {
    pool([("gpt-3.5-turbo", 0.5, 1.5), ("gpt-4", 30.0, 60.0)])
}

/// A pool of two models, by name, input and output price in dollars per million tokens.
pub(crate) fn pool(models: [(&str, f64, f64); 2]) -> ModelPool {
    let model = |(id, input, output): (&str, f64, f64)| {
        Model::new(id, Prices::per_million_usd(input, input, input, output).unwrap()).unwrap()
    };
    ModelPool::new(models.map(model).to_vec()).unwrap()
}

/// What a state is in a text world of databases.
pub(crate) fn sql_settings() -> ReplaySettings {
    let rule = |name: &str, completion: Option<&str>, observation: Option<&str>, informs| OutcomeRule {
        name: name.to_owned(),
        completion: completion.map(|pattern| Regex::new(pattern).unwrap()),
        observation: observation.map(|pattern| Regex::new(pattern).unwrap()),
        informs,
    };
    ReplaySettings {
        outcomes: vec![
            rule("error", None, Some("^(Error executing query|No SQL code)"), false),
            rule("tables", Some(r"(?i)^\s*show\s+tables"), None, true),
            rule("columns", Some(r"(?i)^\s*(desc|show|explain)"), None, true),
        ],
        prompt_messages: Some(5),
        ignored: Some(Regex::new("b?'").unwrap()),
        ..ReplaySettings::default()
    }
}

/// The development logs of `folder` that `models` made, small first, each task in one split; `None`, and a line on stderr, where they
/// are not at hand.
pub(crate) fn shared_logs(folder: &str, models: [&str; 2]) -> Option<Vec<Episode>> {
    let path = Path::new(SHARED).join(folder).join("dev_steps.jsonl.gz");
    let Ok(file) = std::fs::File::open(&path) else {
        eprintln!("{} is not there: only the logs made by hand are checked", path.display());
        return None;
    };
    let mut rows: BTreeMap<(String, String), Vec<Value>> = BTreeMap::new();
    for line in BufReader::new(flate2::read::GzDecoder::new(file)).lines() {
        let row: Value = serde_json::from_str(&line.unwrap()).unwrap();
        let text = |key: &str| row[key].as_str().unwrap().to_owned();
        let model = text("model");
        if models.contains(&model.as_str()) {
            rows.entry((text("task_id"), model)).or_default().push(row);
        }
    }
    Some(rows.into_iter().map(|((task, model), rows)| read_episode(&task, &model, models, &rows)).collect())
}

fn read_episode(task: &str, model: &str, models: [&str; 2], rows: &[Value]) -> Episode {
    let action = ModelIndex::new(models.iter().position(|known| *known == model).unwrap());
    let is_success = rows[0]["success"].as_bool().unwrap();
    let horizon = rows[0]["max_steps"].as_u64().unwrap_or(30) as u32;
    let step = |row: &Value| {
        let tokens = |key: &str| row[key].as_u64().unwrap() as u32;
        logged_step(
            action,
            row["observation"].as_str().unwrap_or_default(),
            row["action"].as_str().unwrap_or_default(),
            [tokens("prompt_tokens"), tokens("completion_tokens")],
            row["step_reward"].as_f64().unwrap_or_default() as f32,
        )
    };
    let steps: Vec<Step> = rows.iter().map(step).collect();
    let ending = if is_success || steps.len() < horizon as usize { Ending::Terminated } else { Ending::Horizon };
    Episode {
        id: EpisodeId::new(&format!("{model}/{task}")),
        task: Task {
            id: TaskId::new(task),
            environment: "replay".into(),
            split: Split::Train,
            seed: 0,
            instruction: rows[0]["task_text"].as_str().unwrap_or_default().into(),
            horizon,
            kind: rows[0]["hardness"].as_str().map(Into::into),
            group: rows[0]["group"].as_str().map(Into::into),
        },
        policy_id: model.into(),
        seed: 0,
        lambda: 0.0,
        budget: Budget::Unlimited,
        ending,
        is_success,
        score: rows[0]["terminal_reward"].as_f64().unwrap_or_default() as f32,
        steps,
    }
}

fn logged_step(action: ModelIndex, seen: &str, said: &str, tokens: [u32; 2], reward: f32) -> Step {
    let usage = TokenUsage { input_tokens: tokens[0], output_tokens: tokens[1], ..TokenUsage::default() };
    let prices = sql_pool().model(action).prices;
    Step {
        turn: Turn {
            observation: Observation::from_text(seen),
            action,
            completion: said.to_owned(),
            cost: prices.cost(&usage),
            usage,
            latency_ms: 0,
        },
        log_prob: 0.0,
        remaining: None,
        reward,
        provenance: Provenance::Logged,
        cost_source: CostSource::Estimated,
    }
}

/// What a model of the logs made by hand does in a turn.
#[derive(Clone, Copy, PartialEq)]
enum Move {
    Blunder,
    Tables,
    Columns,
    Wrong,
    Solve,
}

/// Logs of 60 tasks on two databases. The small model blunders and guesses, the large one looks and mostly knows; on many tasks
/// both begin with the same blunder.
pub(crate) fn hand_made_logs() -> Vec<Episode> {
    use Move::{Blunder, Columns, Solve, Tables, Wrong};
    const SMALL: [&[Move]; 4] = [
        &[Blunder, Tables, Columns, Solve],
        &[Blunder, Blunder, Blunder, Blunder, Blunder, Blunder, Blunder, Blunder],
        &[Solve],
        &[Blunder, Tables, Columns, Wrong, Wrong, Wrong, Wrong, Wrong],
    ];
    const LARGE: [&[Move]; 5] = [
        &[Blunder, Tables, Columns, Solve],
        &[Blunder, Tables, Columns, Wrong, Wrong, Wrong, Wrong, Wrong],
        &[Blunder, Tables, Columns, Wrong, Solve],
        &[Tables, Columns, Wrong, Solve],
        &[Tables, Columns, Wrong, Wrong, Wrong, Wrong, Wrong, Wrong],
    ];
    (0..60)
        .flat_map(|task| [(0, SMALL[task % 4]), (1, LARGE[task % 5])].map(|(model, moves)| play(task, model, moves)))
        .collect()
}

fn play(task: usize, model: usize, moves: &[Move]) -> Episode {
    const HORIZON: usize = 8;
    let texts = |step_idx: usize, made: Move| match made {
        Move::Blunder => {
            (format!("SELECT a{step_idx} FROM t{task}"), "Error executing query: no such table".to_owned())
        }
        Move::Tables => ("SHOW TABLES".to_owned(), format!("[('t{task}',)]")),
        Move::Columns => (format!("DESC t{task}"), "[('id', 'int')]".to_owned()),
        Move::Wrong => (format!("SELECT id + {model}{step_idx} FROM t{task}"), "[(2,)]".to_owned()),
        Move::Solve => (format!("SELECT id FROM t{task}"), "[(1,)]".to_owned()),
    };
    let mut seen = String::new();
    let mut prompt_tokens = 500;
    let steps = moves.iter().enumerate().map(|(step_idx, &made)| {
        let (said, next) = texts(step_idx, made);
        let reward = if made == Move::Solve { 1.0 } else { 0.0 };
        let before = std::mem::replace(&mut seen, next);
        let step = logged_step(ModelIndex::new(model), &before, &said, [prompt_tokens, 12], reward);
        prompt_tokens += 60;
        step
    });
    let steps: Vec<Step> = steps.collect();
    let is_success = moves.last() == Some(&Move::Solve);
    Episode {
        id: EpisodeId::new(&format!("{model}/{task}")),
        task: Task {
            id: TaskId::new(&format!("task-{task:02}")),
            environment: "replay".into(),
            split: if task < 40 { Split::Train } else { Split::Test },
            seed: 0,
            instruction: format!("What is the id in t{task}?").into(),
            horizon: HORIZON as u32,
            kind: Some(if task.is_multiple_of(2) { "easy".into() } else { "hard".into() }),
            group: Some(format!("database-{}", task / 20).into()),
        },
        policy_id: ["small", "large"][model].into(),
        seed: 0,
        lambda: 0.0,
        budget: Budget::Unlimited,
        ending: if is_success { Ending::Terminated } else { Ending::Horizon },
        is_success,
        score: if is_success { 1.0 } else { 0.0 },
        steps,
    }
}

/// What the steps of an episode cost together.
pub(crate) fn total_cost<'a>(episodes: impl IntoIterator<Item = &'a Episode>) -> NanoUsd {
    episodes.into_iter().map(Episode::total_cost).sum()
}
