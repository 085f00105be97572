//! The policies that a trained router has to beat, one file each. All of them obey the mask they are shown.

mod cascade;
mod decide_once;
mod first_k_large;
mod random_mixing;
mod scripted;

pub use cascade::{Cascade, CascadeConfig};
pub use decide_once::DecideOnce;
pub use first_k_large::first_k_large;
pub use random_mixing::RandomMixing;
pub use scripted::Scripted;
