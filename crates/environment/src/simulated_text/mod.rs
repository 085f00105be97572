//! Simulated models in text worlds that others made, wherever there is an expert to compare with.
//!
//! They are the models of [`simulated`](crate::simulated): the same hidden aptitude, confusion by visible mistakes, wrong beliefs,
//! verbosity and prompt caches. What a step asks for is read off the first words of the expert's command ([`TextSkill`]), and
//! mistakes are picked from the commands that the world says it would take: somewhere else, the wrong object, the last command
//! again, words that no parser takes, and what the world itself does not take back.

mod executor;
mod mistake;
mod skill;

pub use executor::SimulatedTextExecutor;
pub use skill::TextSkill;
