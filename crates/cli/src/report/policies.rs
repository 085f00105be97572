//! Families of policies: their names in words, and how plots tell them apart.

use super::canvas::Marker;
use super::theme::{N_SERIES, Paint};
use crate::figures::ORACLE;

/// What a family is in the comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Role {
    /// The trained policy that the page is about.
    Main,
    /// An exact optimum of the suite.
    Reference,
    /// One model throughout.
    Boundary,
    /// A rival.
    Baseline,
    /// The trained policy with a part changed.
    Ablation,
}

/// A family as plots and tables show it.
#[derive(Debug, Clone)]
pub(super) struct Look {
    /// The name in words.
    pub(super) label: String,
    /// What it is in the comparison.
    pub(super) role: Role,
    /// Its colour.
    pub(super) paint: Paint,
    /// Its mark.
    pub(super) marker: Marker,
    /// Dash and gap of its hull, CSS pixels, where that is drawn in dashes.
    pub(super) dash: Option<(i32, i32)>,
}

/// Rivals in their usual order, which fixes their colours from run to run.
const BASELINES: [(&str, &str); 12] = [
    ("random-mixing", "random mixing"),
    ("cascade", "escalate on failure"),
    ("first-k-large", "first K large"),
    ("static", "static per task"),
    ("sft", "SFT only"),
    ("grpo", "plain GRPO"),
    ("heuristic", "cue and failure heuristic"),
    ("grpo-no-sft", "plain GRPO from scratch"),
    ("ppo", "PPO from scratch"),
    ("q-learning", "conservative Q-learning"),
    ("fitted-q", "fitted Q iteration"),
    ("step-value", "greedy one-step values"),
];

/// How `family` is shown on a page about `main`.
pub(super) fn look(family: &str, main: &str) -> Look {
    if family == main {
        return Look {
            label: main_label(main),
            role: Role::Main,
            paint: Paint::Series(0),
            marker: Marker::Disc,
            dash: None,
        };
    }
    if let Some(part) = family.strip_prefix(main).and_then(|rest| rest.strip_prefix('-')) {
        let (word, part) = part.strip_prefix("no-").map_or(("with", part), |part| ("without", part));
        let label = format!("{word} {}", part.replace('-', " "));
        return Look { label, role: Role::Ablation, paint: Paint::Series(8), marker: Marker::Frame, dash: None };
    }
    match family {
        "always-small" => boundary("always small", Marker::Frame),
        "always-large" => boundary("always large", Marker::Square),
        "dp-belief" => reference("belief-state optimum", Marker::Plus, (6, 4)),
        "dp-belief-per-task" => reference("belief optimum, per-task cost", Marker::Plus, (10, 3)),
        ORACLE => reference("oracle that tries every model", Marker::Cross, (2, 3)),
        "dp-privileged" => reference("privileged optimum", Marker::Cross, (2, 3)),
        _ => baseline(family),
    }
}

/// The name of the main family.
pub(super) fn main_label(main: &str) -> String {
    if main == "bopo" { "BoPO".to_owned() } else { main.to_owned() }
}

/// The name of a policy of `family`: the family's, with the parameter that the id adds to it.
pub(super) fn policy_label(policy_id: &str, family: &str, main: &str) -> String {
    let look = look(family, main);
    let stem = if family == "random-mixing" { "random" } else { family };
    match policy_id.strip_prefix(stem).map(|rest| rest.trim_start_matches('-')) {
        Some("") => look.label,
        Some(parameter) => format!("{} {}", look.label, parameter.replace('-', ", ")),
        None => policy_id.to_owned(),
    }
}

fn boundary(label: &str, marker: Marker) -> Look {
    Look { label: label.to_owned(), role: Role::Boundary, paint: Paint::Ink, marker, dash: None }
}

fn reference(label: &str, marker: Marker, dash: (i32, i32)) -> Look {
    Look { label: label.to_owned(), role: Role::Reference, paint: Paint::Ink, marker, dash: Some(dash) }
}

fn baseline(family: &str) -> Look {
    let known = BASELINES.iter().position(|(name, _)| *name == family);
    let label = known.map_or_else(|| family.replace('-', " "), |position| BASELINES[position].1.to_owned());
    // A family that is not on the list gets its number from its name, so that it keeps it from run to run.
    let number = known.unwrap_or_else(|| BASELINES.len() + family.bytes().map(usize::from).sum::<usize>() % 5) + 1;
    Look {
        label,
        role: Role::Baseline,
        paint: Paint::Series(1 + (number - 1) % (N_SERIES - 2)),
        marker: Marker::ALL[number % Marker::ALL.len()],
        dash: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(family: &str, label: &str, role: Role) {
        let look = look(family, "bopo");
        assert_eq!((look.label.as_str(), look.role), (label, role));
    }

    #[test]
    fn families_are_named_and_placed() {
        check("bopo", "BoPO", Role::Main);
        check("bopo-warm-start", "with warm start", Role::Ablation);
        check("bopo-hard-bonus", "with hard bonus", Role::Ablation);
        check("bopo-no-early-stop", "without early stop", Role::Ablation);
        check("always-large", "always large", Role::Boundary);
        check("random-mixing", "random mixing", Role::Baseline);
        check("dp-belief", "belief-state optimum", Role::Reference);
        check("my-own", "my own", Role::Baseline);
    }

    #[test]
    fn usual_baselines_differ_in_colour_or_mark() {
        let looks: Vec<_> = BASELINES.iter().map(|(family, _)| look(family, "bopo")).collect();
        for (position, one) in looks.iter().enumerate() {
            for other in &looks[..position] {
                assert!(one.paint != other.paint || one.marker != other.marker, "{} {}", one.label, other.label);
            }
        }
    }

    #[test]
    fn a_parameter_stays_in_the_name_of_a_policy() {
        assert_eq!(policy_label("random-0.3", "random-mixing", "bopo"), "random mixing 0.3");
        assert_eq!(policy_label("bopo", "bopo", "bopo"), "BoPO");
    }
}
