//! Steps into episodes: they may come interleaved and out of order, within a bounded buffer.

use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use crate::ImportError;
use crate::json::Text;
use crate::open_episode::OpenEpisode;
use crate::plan::{ImportPlan, KnownModel};
use crate::record::{EpisodeName, LoggedStep};
use crate::skips::{Place, Reason, Refusal, Skips};

/// Episodes that may be open at once, and the bytes that they may hold. Beyond that, those that were added to least recently
/// are closed.
const MAX_OPEN_EPISODES: usize = 4096;
const MAX_OPEN_BYTES: usize = 1 << 27;

/// Episodes that went on after they had been taken as they were to make room: by a digest of their names, the first row that
/// shows it.
pub(crate) type CutEpisodes = HashMap<u64, Place>;

/// The models of the log, by name, in the order in which they come up.
pub(crate) struct LogModels {
    models: Vec<KnownModel>,
    by_name: HashMap<Arc<str>, usize>,
    last: usize,
    scratch: String,
}

impl LogModels {
    fn new() -> Self {
        Self { models: Vec::new(), by_name: HashMap::new(), last: 0, scratch: String::new() }
    }

    pub(crate) fn get(&self, model: usize) -> &KnownModel {
        &self.models[model]
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &KnownModel> {
        self.models.iter()
    }

    fn find(&mut self, name: Text<'_>, plan: &ImportPlan) -> usize {
        self.scratch.clear();
        name.push_to(&mut self.scratch);
        if self.models.get(self.last).is_some_and(|last| *last.name == *self.scratch) {
            return self.last;
        }
        let known = self.by_name.get(self.scratch.as_str()).copied();
        self.last = known.unwrap_or_else(|| {
            let model = plan.resolve(&self.scratch);
            self.by_name.insert(model.name.clone(), self.models.len());
            self.models.push(model);
            self.models.len() - 1
        });
        self.last
    }
}

/// Takes complete episodes, and gives back what it has used.
pub(crate) trait EpisodeSink {
    /// Takes an episode whose steps are in order.
    ///
    /// # Errors
    /// Whatever ends the import. What is wrong with the episode comes back as a refusal of it.
    fn take(&mut self, episode: &OpenEpisode, models: &LogModels) -> Result<Result<(), Refusal>, ImportError>;
}

/// The episodes that are open.
pub(crate) struct Assembly<'a, S> {
    plan: &'a ImportPlan,
    sink: S,
    skips: Skips,
    models: LogModels,
    open: HashMap<Box<str>, usize>,
    slots: Vec<OpenEpisode>,
    free: Vec<usize>,
    n_open_bytes: usize,
    /// The episodes that are done, by a digest of their names.
    closed: HashSet<u64>,
    /// Of those, the ones that were taken to make room, although nothing says that no more steps come.
    taken_early: HashSet<u64>,
    cut: CutEpisodes,
    /// What an earlier pass through the same logs found to be cut.
    known_cut: CutEpisodes,
    last: Option<usize>,
    name: String,
    n_rows: u64,
}

impl<'a, S: EpisodeSink> Assembly<'a, S> {
    /// `known_cut` are the episodes that an earlier pass through the same logs has cut: now they are left out.
    pub(crate) fn new(plan: &'a ImportPlan, sink: S, skips: Skips, known_cut: CutEpisodes) -> Self {
        Self {
            plan,
            sink,
            skips,
            models: LogModels::new(),
            open: HashMap::new(),
            slots: Vec::new(),
            free: Vec::new(),
            n_open_bytes: 0,
            closed: HashSet::new(),
            taken_early: HashSet::new(),
            cut: CutEpisodes::new(),
            known_cut,
            last: None,
            name: String::new(),
            n_rows: 0,
        }
    }

    /// Counts a row.
    pub(crate) const fn count_row(&mut self) {
        self.n_rows += 1;
    }

    /// Leaves out a row that is not known to be of any episode.
    pub(crate) fn skip(&mut self, place: Place, refusal: &Refusal) -> Result<(), ImportError> {
        self.skips.add(place, refusal)
    }

    /// Takes what a format made of a row.
    pub(crate) fn take(
        &mut self,
        step: Result<LoggedStep<'_>, (Refusal, Option<EpisodeName<'_>>)>,
        place: Place,
    ) -> Result<(), ImportError> {
        match step {
            Ok(step) => self.add(&step, place),
            Err((refusal, None)) => self.skips.add(place, &refusal),
            Err((refusal, Some(name))) => self.break_episode(&name, &refusal, place),
        }
    }

    fn add(&mut self, step: &LoggedStep<'_>, place: Place) -> Result<(), ImportError> {
        let name = EpisodeName {
            episode_id: step.episode_id,
            task_id: Some(step.task_id),
            model: Some(step.model),
            trial: step.trial,
        };
        let Some(slot) = self.slot_of(&name, place)? else { return Ok(()) };
        let model = self.models.find(step.model, self.plan);
        if self.models.get(model).in_pool.is_none() && self.plan.pool.is_some() && self.skips.is_strict() {
            let detail = format!("model `{}` is not in the pool", self.models.get(model).name);
            return self.skips.add(place, &Refusal::new(Reason::UnknownModel, detail));
        }
        let episode = &mut self.slots[slot];
        let n_bytes = episode.n_bytes();
        match episode.add(step, model, place) {
            Ok(()) => {}
            Err(refusal) => {
                if refusal.reason != Reason::DuplicateStep {
                    episode.broken.get_or_insert((place, refusal.reason));
                    episode.n_bad_rows += u32::from(refusal.reason != Reason::ConflictingStep);
                }
                self.skips.add(place, &refusal)?;
            }
        }
        self.n_open_bytes += self.slots[slot].n_bytes() - n_bytes;
        self.close_if_done(slot)
    }

    /// Leaves out a bad row, and with it the episode that it is part of.
    fn break_episode(&mut self, name: &EpisodeName<'_>, refusal: &Refusal, place: Place) -> Result<(), ImportError> {
        self.skips.add(place, refusal)?;
        if name.episode_id.is_none() && (name.task_id.is_none() || name.model.is_none()) {
            return Ok(());
        }
        let Some(slot) = self.slot_of(name, place)? else { return Ok(()) };
        let episode = &mut self.slots[slot];
        episode.broken.get_or_insert((place, refusal.reason));
        episode.n_bad_rows += 1;
        self.close_if_done(slot)
    }

    /// The open episode of that name; `None`, and the row is left out, where it is complete already.
    fn slot_of(&mut self, name: &EpisodeName<'_>, place: Place) -> Result<Option<usize>, ImportError> {
        self.name.clear();
        push_episode_id(name, &mut self.name);
        let row = self.n_rows;
        if let Some(last) = self.last
            && self.slots[last].text(&self.slots[last].id) == self.name
        {
            self.slots[last].last_row = row;
            return Ok(Some(last));
        }
        if let Some(&slot) = self.open.get(self.name.as_str()) {
            self.slots[slot].last_row = row;
            self.last = Some(slot);
            return Ok(Some(slot));
        }
        if self.closed.contains(&digest(&self.name)) {
            self.skip_late_step(place)?;
            return Ok(None);
        }
        self.make_room()?;
        Ok(Some(self.open_slot(row)))
    }

    /// Opens an episode of the name that was looked for last.
    fn open_slot(&mut self, row: u64) -> usize {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(OpenEpisode::default());
            self.slots.len() - 1
        });
        let episode = &mut self.slots[slot];
        episode.begin(&self.name, row);
        episode.broken = self.known_cut.get(&digest(&self.name)).map(|&place| (place, Reason::LateStep));
        self.n_open_bytes += episode.n_bytes();
        self.open.insert(self.name.as_str().into(), slot);
        self.last = Some(slot);
        slot
    }

    /// Leaves out a row of an episode that is closed. Where that was taken as it was, it was not whole.
    fn skip_late_step(&mut self, place: Place) -> Result<(), ImportError> {
        let key = digest(&self.name);
        let is_taken_early = self.taken_early.contains(&key);
        if is_taken_early {
            self.cut.entry(key).or_insert(place);
        }
        let what = if is_taken_early || self.known_cut.contains_key(&key) {
            "had to be closed to make room"
        } else {
            "is complete already"
        };
        let detail = format!("episode `{}` {what}", self.name);
        self.skips.add(place, &Refusal::new(Reason::LateStep, detail))
    }

    /// Closes the half of the open episodes that was added to least recently, when they are too many or too large.
    fn make_room(&mut self) -> Result<(), ImportError> {
        if self.open.len() < MAX_OPEN_EPISODES && self.n_open_bytes < MAX_OPEN_BYTES {
            return Ok(());
        }
        let mut slots: Vec<usize> = self.open.values().copied().collect();
        slots.sort_unstable_by_key(|&slot| (self.slots[slot].last_row, self.slots[slot].first_row));
        slots.truncate(slots.len().div_ceil(2));
        for slot in slots {
            let is_taken = self.close(slot)?;
            let episode = &self.slots[slot];
            if is_taken && episode.n_steps.is_none() {
                self.taken_early.insert(digest(episode.text(&episode.id)));
            }
        }
        Ok(())
    }

    fn close_if_done(&mut self, slot: usize) -> Result<(), ImportError> {
        if self.slots[slot].is_complete() { self.close(slot).map(drop) } else { Ok(()) }
    }

    /// Closes an episode, and returns whether it was taken.
    fn close(&mut self, slot: usize) -> Result<bool, ImportError> {
        let mut episode = std::mem::take(&mut self.slots[slot]);
        self.n_open_bytes -= episode.n_bytes();
        let id = episode.text(&episode.id);
        self.closed.insert(digest(id));
        self.open.remove(id);
        if self.last == Some(slot) {
            self.last = None;
        }
        let refused = match &episode.broken {
            Some((place, reason)) => {
                let bad = self.skips.name(*place);
                let detail = format!("episode `{id}` has a bad row: {bad}: {}", reason.as_str());
                Err(Refusal::new(Reason::BrokenEpisode, detail))
            }
            None => match episode.put_in_order() {
                Ok(()) => self.sink.take(&episode, &self.models)?,
                Err(refusal) => Err(refusal),
            },
        };
        let is_taken = refused.is_ok();
        if let Err(refusal) = refused {
            episode.steps.sort_by_key(|step| step.place);
            for step in &episode.steps {
                self.skips.add(step.place, &refusal)?;
            }
        }
        self.slots[slot] = episode;
        self.free.push(slot);
        Ok(is_taken)
    }

    /// Closes what is still open, in the order in which it came up.
    pub(crate) fn finish(mut self) -> Result<Assembled<S>, ImportError> {
        let mut slots: Vec<usize> = self.open.values().copied().collect();
        slots.sort_unstable_by_key(|&slot| self.slots[slot].first_row);
        slots.into_iter().try_for_each(|slot| self.close(slot).map(drop))?;
        let Self { sink, skips, models, n_rows, cut, .. } = self;
        Ok(Assembled { sink, skips, models, n_rows, cut })
    }
}

/// What is left when every row was read.
pub(crate) struct Assembled<S> {
    pub(crate) sink: S,
    pub(crate) skips: Skips,
    pub(crate) models: LogModels,
    pub(crate) n_rows: u64,
    /// Episodes that the sink has and should not.
    pub(crate) cut: CutEpisodes,
}

/// The log's own name of an episode, or else `<task>@<model>#<trial>`.
fn push_episode_id(name: &EpisodeName<'_>, out: &mut String) {
    if let Some(id) = name.episode_id {
        return id.push_to(out);
    }
    if let Some(task_id) = name.task_id {
        task_id.push_to(out);
    }
    if let Some(model) = name.model {
        out.push('@');
        model.push_to(out);
    }
    out.push('#');
    name.trial.unwrap_or(Text::Plain("0")).push_to(out);
}

/// Sixty-four bits stand for a name: of ten million episodes, two collide with a chance of three in a million.
pub(crate) fn digest(name: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    name.hash(&mut hasher);
    hasher.finish()
}
