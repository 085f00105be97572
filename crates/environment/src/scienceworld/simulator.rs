//! One JVM with one simulator in it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::error::{ScienceWorldError, VERSION};
use super::installation::{Installation, SETUP_HINT, ScienceWorldSettings};
use super::py4j::{Argument, Gateway, Py4jError, Reference};
use crate::process::{ChildProcess, ProcessSpec};

/// The simulator's own door for programs outside of the JVM.
const INTERFACE: &str = "scienceworld.runtime.pythonapi.PythonInterface";

/// Where the simulator's own way to solve a task is looked for.
const PATH_FINDER: &str = "scienceworld.goldagent.PathFinder";

/// What the simulator makes easier: doors are open, `teleport to` takes one step, flower pots water themselves, and tasks that
/// need no electricity have none. It is the setting that published agents are mostly measured in.
const SIMPLIFICATIONS: &str = "easy";

/// The simulator's answer to what it does not understand. By its source, and by a test, nothing has changed then.
pub(crate) const REFUSAL: &str = "No known action matches that input.";

/// How long a JVM may take to start.
const START_TIMEOUT: Duration = Duration::from_mins(1);

/// Task types of the version that this program knows.
const N_TASK_TYPES: usize = 30;

/// What the simulator says after a command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Answer {
    pub(crate) text: String,
    /// What can be seen around, after moving to another place.
    pub(crate) view: Option<String>,
    /// 0 to 100, or -100 after what cannot be made good.
    pub(crate) score: i16,
    pub(crate) is_complete: bool,
}

/// How a scene begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Opening {
    /// What can be seen.
    pub(crate) view: String,
    /// The task in words.
    pub(crate) description: String,
}

/// The simulator's own splits of a task type's variations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Variations {
    pub(crate) train: Vec<i32>,
    pub(crate) dev: Vec<i32>,
    pub(crate) test: Vec<i32>,
}

/// A running simulator.
#[derive(Debug)]
pub(crate) struct Simulator {
    process: ChildProcess,
    gateway: Gateway,
    interface: Reference,
}

impl Simulator {
    /// Starts a JVM, and checks that what answers is the simulator that this program knows.
    pub(crate) fn start(
        installation: &Installation,
        settings: &ScienceWorldSettings,
    ) -> Result<Self, ScienceWorldError> {
        let mut process = ChildProcess::start(&spec(installation, settings.heap_mib))?;
        let line = process.read_line(START_TIMEOUT)?;
        let port: u16 = line.trim().parse().map_err(|_| {
            ScienceWorldError::Conversation(format!("`{}` said {line:?}, expected a port", process.program()))
        })?;
        let mut gateway = Gateway::connect(port, settings.call_timeout)?;
        let interface = open_interface(&mut gateway)?;
        let mut simulator = Self { process, gateway, interface };
        let n_types = simulator.task_types()?.len();
        if n_types != N_TASK_TYPES {
            let (found, expected) = (n_types.to_string(), format!("{N_TASK_TYPES} as in version {VERSION}"));
            let what = "the number of task types in the simulator".to_owned();
            return Err(ScienceWorldError::Version { what, found, expected });
        }
        Ok(simulator)
    }

    /// The JVM's process id.
    #[cfg(test)]
    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    /// Sets a scene anew.
    pub(crate) fn load(&mut self, kind: &str, variation: i32) -> Result<(), ScienceWorldError> {
        self.load_with(kind, variation, false)
    }

    /// What can be seen where the agent is, and the task in words.
    pub(crate) fn opening(&mut self) -> Result<Opening, ScienceWorldError> {
        let view = tidy(&self.ask_text("freeActionLook", &[])?);
        let description = tidy(&self.ask_text("getTaskDescription", &[])?);
        Ok(Opening { view, description })
    }

    /// The commands of the simulator's own way to solve a task. Leaves the scene anywhere.
    ///
    /// The simulator keeps the walk on which it searches from a place, for as long as the JVM lives, and takes it in all other
    /// scenes that begin there. That is forgotten first, or the way would depend on what was solved before.
    pub(crate) fn gold_path(&mut self, kind: &str, variation: i32) -> Result<Vec<String>, ScienceWorldError> {
        let method = "precomputedExhaustivePaths";
        let walks = self.gateway.call_static(PATH_FINDER, method, &[])?.into_reference(method)?;
        self.gateway.call(&walks, "clear", &[])?;
        self.gateway.forget(&walks)?;
        self.load_with(kind, variation, true)?;
        self.ask_list("getGoldActionSequence", &[])
    }

    /// Does what a command says.
    pub(crate) fn step(&mut self, command: &str) -> Result<Answer, ScienceWorldError> {
        let text = tidy(&self.ask_text("step", &[Argument::Text(command)])?);
        let score = self.call("getScore", &[])?.into_real("getScore")?;
        let is_complete = self.call("getCompleted", &[])?.into_truth("getCompleted")?;
        let view = if has_moved(&text) { Some(tidy(&self.ask_text("freeActionLook", &[])?)) } else { None };
        Ok(Answer { text, view, score: (score * 100.0).round() as i16, is_complete })
    }

    /// Every command that could be carried out now, in the simulator's order.
    pub(crate) fn admissible(&mut self) -> Result<Vec<String>, ScienceWorldError> {
        self.ask_list("getValidActionObjectCombinations", &[])
    }

    /// The task types, in the simulator's order.
    pub(crate) fn task_types(&mut self) -> Result<Vec<String>, ScienceWorldError> {
        self.ask_list("getTaskNames", &[])
    }

    /// The simulator's own splits of a task type's variations.
    pub(crate) fn variations(&mut self, kind: &str) -> Result<Variations, ScienceWorldError> {
        self.load_with(kind, 0, false)?;
        Ok(Variations {
            train: self.ask_numbers("getVariationsTrain")?,
            dev: self.ask_numbers("getVariationsDev")?,
            test: self.ask_numbers("getVariationsTest")?,
        })
    }

    fn load_with(&mut self, kind: &str, variation: i32, with_gold_path: bool) -> Result<(), ScienceWorldError> {
        let arguments = [
            Argument::Text(kind),
            Argument::Integer(variation),
            Argument::Text(SIMPLIFICATIONS),
            Argument::Truth(with_gold_path),
        ];
        let reason = self.ask_text("load", &arguments)?;
        if reason.is_empty() {
            return Ok(());
        }
        Err(ScienceWorldError::Refused { kind: kind.to_owned(), variation, reason })
    }

    fn call(&mut self, method: &str, arguments: &[Argument<'_>]) -> Result<super::py4j::Value, ScienceWorldError> {
        self.gateway.call(&self.interface, method, arguments).map_err(|error| match error {
            // Whoever is gone may have said why.
            Py4jError::Broken(_) if !self.process.is_alive() => self.process.ended().into(),
            other => other.into(),
        })
    }

    fn ask_text(&mut self, method: &str, arguments: &[Argument<'_>]) -> Result<String, ScienceWorldError> {
        Ok(self.call(method, arguments)?.into_text(method)?)
    }

    /// A list of strings, fetched at one go.
    fn ask_list(&mut self, method: &str, arguments: &[Argument<'_>]) -> Result<Vec<String>, ScienceWorldError> {
        let list = self.call(method, arguments)?.into_reference(method)?;
        let joined = [Argument::Text("\n"), Argument::Reference(&list)];
        let text = self.gateway.call_static("java.lang.String", "join", &joined)?.into_text("join")?;
        self.gateway.forget(&list)?;
        Ok(text.lines().map(str::to_owned).collect())
    }

    fn ask_numbers(&mut self, method: &str) -> Result<Vec<i32>, ScienceWorldError> {
        let list = self.call(method, &[])?.into_reference(method)?;
        let size = self.gateway.call(&list, "size", &[])?.into_integer("size")?;
        let mut numbers = Vec::new();
        for position in 0..i32::try_from(size).unwrap_or_default() {
            let number = self.gateway.call(&list, "get", &[Argument::Integer(position)])?.into_integer("get")?;
            numbers.push(i32::try_from(number).unwrap_or_default());
        }
        self.gateway.forget(&list)?;
        Ok(numbers)
    }
}

fn spec(installation: &Installation, heap_mib: u32) -> ProcessSpec {
    let heap = format!("-Xmx{heap_mib}m");
    // Nearly all that a step makes is garbage after it: the more room there is, the less often somebody has to look.
    let young = format!("-Xmn{}m", heap_mib / 2);
    let flags = [
        heap.as_str(),
        young.as_str(),
        // One JVM per core: helpers of the garbage collector would only be in the way.
        "-XX:+UseSerialGC",
        // Hash codes of objects are addresses by default, and the simulator iterates over sets of objects: without this the
        // same commands would not give the same answers.
        "-XX:+UnlockExperimentalVMOptions",
        "-XX:hashCode=2",
        "-cp",
    ];
    let main = ["py4j.GatewayServer", "--die-on-broken-pipe", "0"];
    let argv = std::iter::once(installation.java.clone().into_os_string())
        .chain(flags.into_iter().map(Into::into))
        .chain([installation.jar.clone().into_os_string()])
        .chain(main.into_iter().map(Into::into));
    ProcessSpec {
        install_hint: SETUP_HINT.to_owned(),
        // The simulator leaves a list of its object types in the directory that it runs in.
        current_dir: Some(std::env::temp_dir()),
        ..ProcessSpec::new(argv)
    }
}

/// Silences the simulator, which prints every step, before it looks for its standard output; then opens its door.
fn open_interface(gateway: &mut Gateway) -> Result<Reference, Py4jError> {
    let nowhere = gateway.call_static("java.io.OutputStream", "nullOutputStream", &[])?.into_reference("null")?;
    let silent = gateway.construct("java.io.PrintStream", &[Argument::Reference(&nowhere)])?;
    gateway.call_static("java.lang.System", "setOut", &[Argument::Reference(&silent)])?;
    gateway.construct(INTERFACE, &[])
}

/// Whether an answer says that the agent is somewhere else now.
fn has_moved(text: &str) -> bool {
    ["You move to ", "You move through ", "You teleport to "].iter().any(|beginning| text.starts_with(beginning))
}

/// Without blanks at the ends of lines, and without empty lines.
fn tidy(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for line in text.lines().map(str::trim_end).filter(|line| !line.is_empty()) {
        if !out.is_empty() {
            out.push('\n');
        }
        out.push_str(line);
    }
    out
}
