//! The world that the fakes count in, and one episode of it.

use std::path::{Path, PathBuf};

use tollgate_environment::external::{ExternalSettings, ExternalWorlds};
use tollgate_rollout::{Environment, EnvironmentError, Outcome};
use tollgate_routing::{Split, Task, TaskId};

/// The workspace's root, from which the fakes are started.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The one task of the fakes: they count the steps to five.
pub(crate) fn task() -> Task {
    Task {
        id: TaskId::new("count"),
        environment: "external".into(),
        split: Split::Test,
        seed: 1,
        instruction: "Count to five.".into(),
        horizon: 9,
        kind: None,
        group: None,
    }
}

/// What the world showed until its end or its error, and how often it was replaced.
pub(crate) fn play(settings: ExternalSettings) -> (Vec<String>, Result<Outcome, EnvironmentError>, u64) {
    let mut world = ExternalWorlds::new(settings).environment();
    let mut seen = Vec::new();
    let mut run = || {
        seen.push(world.reset(&task(), 3)?.text);
        for command in ["a", "b", "c", "d", "e"] {
            let transition = world.step(command)?;
            seen.push(transition.observation.text);
            if transition.terminated {
                break;
            }
        }
        Ok(world.outcome())
    };
    let outcome = run();
    (seen, outcome, world.n_restarts())
}
