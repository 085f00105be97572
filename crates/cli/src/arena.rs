//! The place to play that an experiment's config describes.

use std::ops::Deref;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use tollgate_environment::external::{ExternalArena, ExternalSettings, ExternalWorlds};
use tollgate_environment::household::{HouseholdArena, HouseholdEnvironment};
use tollgate_environment::live::{LiveArena, LiveModels};
use tollgate_environment::scienceworld::{Offers, ScienceWorld, ScienceWorldArena, ScienceWorldEnvironment};
use tollgate_environment::simulated::SimulatedModelProfile;
use tollgate_environment::skill_chain::SkillChainArena;
use tollgate_rollout::{Arena, ExecutorError, RolloutError, RolloutRequest, RoutingPolicy};
use tollgate_routing::{Episode, ModelPool, Task};

use crate::config::{ExperimentConfig, PoolFile, ShiftConfig, Suite};
use crate::failure::{OrBadInput, bad_input};
use crate::live;
use crate::replay_logs::open_replay;
use crate::stage_call::StageCall;

/// The pool of suites with simulated models when the config names none.
const DEFAULT_POOL: &str = "datasets/pools/two.toml";

/// An arena that episodes are played in; tells at its end what live models have cost.
pub(crate) struct Playing {
    arena: Box<dyn Arena>,
    live: Option<Arc<LiveModels>>,
}

impl Deref for Playing {
    type Target = dyn Arena;

    fn deref(&self) -> &Self::Target {
        &*self.arena
    }
}

impl Drop for Playing {
    fn drop(&mut self) {
        if let Some(models) = &self.live {
            live::tell(models);
        }
    }
}

/// Builds the arena of a stage that plays episodes.
pub(crate) fn open_playing(call: &StageCall) -> anyhow::Result<Playing> {
    let experiment = &call.experiment;
    let Some(config) = live::config(experiment)? else {
        return Ok(Playing { arena: open_arena(experiment)?, live: None });
    };
    let pool = pool_of(experiment)?;
    let models = live::open(call, config, &pool)?;
    let arena: Box<dyn Arena> = match experiment.suite {
        Suite::Household => Box::new(LiveArena::new(pool, models.clone(), HouseholdEnvironment::default)),
        Suite::External => {
            let settings = external_settings(experiment)?;
            let n_signals = settings.n_signals;
            let worlds = ExternalWorlds::new(settings);
            Box::new(LiveArena::new(pool, models.clone(), move || worlds.environment()).with_signals(n_signals))
        }
        Suite::ScienceWorld => {
            let world = Arc::new(open_simulator(experiment)?);
            Box::new(LiveArena::new(pool, models.clone(), move || {
                ScienceWorldEnvironment::new(world.clone(), Offers::Exact)
            }))
        }
        Suite::SkillChain | Suite::Replay => return Err(no_live_models(experiment.suite)),
    };
    Ok(Playing { arena, live: Some(models) })
}

/// Builds the arena of the experiment's suite, with the models of its pool. Live models are in it by name only: it is for
/// stages that play nothing.
pub(crate) fn open_arena(experiment: &ExperimentConfig) -> anyhow::Result<Box<dyn Arena>> {
    if let Some(config) = live::config(experiment)? {
        let pool = pool_of(experiment)?;
        config.check(&pool)?;
        return Ok(Box::new(NamesOnly(pool)));
    }
    match (experiment.suite, &experiment.pool) {
        (Suite::Household, _) => Ok(Box::new(open_household(experiment)?)),
        (Suite::External, _) => Ok(Box::new(open_external(experiment)?)),
        (Suite::Replay, _) => Ok(Box::new(open_replay(experiment)?)),
        (Suite::ScienceWorld, _) => Ok(Box::new(open_scienceworld(experiment)?)),
        (Suite::SkillChain, None) => Ok(Box::new(SkillChainArena::new()?)),
        (Suite::SkillChain, Some(_)) => Err(bad_input(
            "`experiment.pool` is set, expected none for suite `skill-chain`\nhint: its two models and their costs are part of the environment; remove the key",
        )),
    }
}

/// The household with the models of the experiment's pool.
pub(crate) fn open_household(experiment: &ExperimentConfig) -> anyhow::Result<HouseholdArena> {
    let (origin, pool, profiles) = simulated_models(experiment)?;
    let wording = experiment.shift.as_ref().map(ShiftConfig::wording).unwrap_or_default();
    let arena = HouseholdArena::new(pool, profiles).map(|arena| arena.with_wording(wording));
    arena.map_err(|error| anyhow::Error::new(error).context(origin)).or_bad_input()
}

/// `ScienceWorld` with the models of the experiment's pool.
pub(crate) fn open_scienceworld(experiment: &ExperimentConfig) -> anyhow::Result<ScienceWorldArena> {
    let (origin, pool, profiles) = simulated_models(experiment)?;
    let n_chance_streams = experiment.scienceworld.clone().unwrap_or_default().n_chance_streams;
    ScienceWorldArena::new(Arc::new(open_simulator(experiment)?), pool, profiles, n_chance_streams)
        .map_err(|error| anyhow::Error::new(error).context(origin))
        .or_bad_input()
}

fn open_simulator(experiment: &ExperimentConfig) -> anyhow::Result<ScienceWorld> {
    ScienceWorld::new(experiment.scienceworld.clone().unwrap_or_default().settings()).or_bad_input()
}

/// An environment outside of this program with the models of the experiment's pool. It is started when somebody plays.
fn open_external(experiment: &ExperimentConfig) -> anyhow::Result<ExternalArena> {
    let (_, pool, profiles) = simulated_models(experiment)?;
    Ok(ExternalArena::new(ExternalWorlds::new(external_settings(experiment)?), pool, profiles))
}

/// The pool's file, its models, and how each of them behaves, changed as the experiment says.
fn simulated_models(experiment: &ExperimentConfig) -> anyhow::Result<(String, ModelPool, Vec<SimulatedModelProfile>)> {
    let path = pool_path(experiment);
    let origin = path.display().to_string();
    let shift = experiment.shift.clone().unwrap_or_default();
    let mut file = PoolFile::open(path)?;
    shift.change_prices(&mut file, path)?;
    let profiles = file.models.iter().map(|model| {
        let profile = profile(path, &model.id, model.simulated_profile.as_deref())?;
        let changed = shift.of_model(&model.id).apply(profile);
        changed.with_context(|| format!("`experiment.shift.models.{}`", model.id)).or_bad_input()
    });
    let profiles = profiles.collect::<anyhow::Result<Vec<_>>>()?;
    let pool = file.pool(&origin)?;
    Ok((origin, pool, profiles))
}

/// The models of the experiment's pool, whatever answers for them.
fn pool_of(experiment: &ExperimentConfig) -> anyhow::Result<ModelPool> {
    PoolFile::open_pool(pool_path(experiment))
}

/// The file of the experiment's pool.
pub(crate) fn pool_path(experiment: &ExperimentConfig) -> &Path {
    experiment.pool.as_deref().unwrap_or(Path::new(DEFAULT_POOL))
}

fn external_settings(experiment: &ExperimentConfig) -> anyhow::Result<ExternalSettings> {
    let config = experiment.external.as_ref().ok_or_else(|| {
        bad_input("suite `external` has no table [experiment.external]\nhint: it says how the world is started or reached; docs/environment-protocol.md shows one")
    })?;
    config.settings()
}

fn no_live_models(suite: Suite) -> anyhow::Error {
    bad_input(format!(
        "`experiment.executor` is \"live\", and suite `{}` is no world of words\nhint: live models play household, scienceworld and external",
        suite.as_str()
    ))
}

/// The models of a pool where nothing is played.
struct NamesOnly(ModelPool);

impl Arena for NamesOnly {
    fn pool(&self) -> &ModelPool {
        &self.0
    }

    fn n_signals(&self) -> usize {
        0
    }

    fn play(&self, _: &Task, _: &RolloutRequest, _: &mut dyn RoutingPolicy) -> Result<Episode, RolloutError> {
        let model = self.0.model(self.0.small()).id.to_string();
        Err(ExecutorError { model, reason: "this stage calls no live model".to_owned() }.into())
    }
}

fn profile(path: &Path, model: &str, name: Option<&str>) -> anyhow::Result<SimulatedModelProfile> {
    let found = name.map_or_else(|| "missing".to_owned(), |name| format!("`{name}`"));
    name.and_then(SimulatedModelProfile::named).ok_or_else(|| {
        bad_input(format!(
            "{}: model `{model}`: `simulated_profile` is {found}, expected `small`, `medium` or `large`\nhint: this suite simulates its models; say how each behaves",
            path.display()
        ))
    })
}
