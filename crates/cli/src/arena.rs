//! The place to play that an experiment's config describes.

use std::path::{Path, PathBuf};

use tollgate_environment::household::HouseholdArena;
use tollgate_environment::simulated::SimulatedModelProfile;
use tollgate_environment::skill_chain::SkillChainArena;
use tollgate_rollout::Arena;

use crate::config::{ExperimentConfig, PoolFile, Suite};
use crate::failure::{OrBadInput, bad_input};

/// The pool of the household when the config names none.
const DEFAULT_POOL: &str = "datasets/pools/two.toml";

/// Builds the arena of the experiment's suite, with the models of its pool.
pub(crate) fn open_arena(experiment: &ExperimentConfig) -> anyhow::Result<Box<dyn Arena>> {
    match (experiment.suite, &experiment.pool) {
        (Suite::Household, _) => Ok(Box::new(open_household(experiment)?)),
        (Suite::External, _) => Err(bad_input("suite `external` has no models yet")),
        (Suite::SkillChain, None) => Ok(Box::new(SkillChainArena::new()?)),
        (Suite::SkillChain, Some(_)) => Err(bad_input(
            "`experiment.pool` is set, expected none for suite `skill-chain`\nhint: its two models and their costs are part of the environment; remove the key",
        )),
    }
}

/// The household with the models of the experiment's pool.
pub(crate) fn open_household(experiment: &ExperimentConfig) -> anyhow::Result<HouseholdArena> {
    let path = experiment.pool.clone().unwrap_or_else(|| PathBuf::from(DEFAULT_POOL));
    let origin = path.display().to_string();
    let file = PoolFile::open(&path)?;
    let profiles = file.models.iter().map(|model| profile(&path, &model.id, model.simulated_profile.as_deref()));
    let profiles = profiles.collect::<anyhow::Result<Vec<_>>>()?;
    HouseholdArena::new(file.pool(&origin)?, profiles)
        .map_err(|error| anyhow::Error::new(error).context(origin))
        .or_bad_input()
}

fn profile(path: &Path, model: &str, name: Option<&str>) -> anyhow::Result<SimulatedModelProfile> {
    let found = name.map_or_else(|| "missing".to_owned(), |name| format!("`{name}`"));
    name.and_then(SimulatedModelProfile::named).ok_or_else(|| {
        bad_input(format!(
            "{}: model `{model}`: `simulated_profile` is {found}, expected `small`, `medium` or `large`\nhint: suite `household` simulates its models; say how each behaves",
            path.display()
        ))
    })
}
