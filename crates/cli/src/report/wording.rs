//! Numbers and closed sets in the words of the page.

use tollgate_routing::{Budget, Difficulty, Ending, Objective};

use super::model::Interval;

/// What an episode is worth, as the title of an axis.
pub(crate) const fn value_axis(objective: Objective) -> &'static str {
    match objective {
        Objective::Success => "share of tasks solved",
        Objective::Score => "mean score",
    }
}

/// The same beside a figure.
pub(crate) const fn value_name(objective: Objective) -> &'static str {
    match objective {
        Objective::Success => "tasks solved",
        Objective::Score => "mean score",
    }
}

/// What of always-large's a policy keeps.
pub(crate) const fn value_noun(objective: Objective) -> &'static str {
    match objective {
        Objective::Success => "success",
        Objective::Score => "score",
    }
}

/// What stands for a number that there is none of.
const NONE: &str = "–";

/// Dollars with three significant digits: `$0.0123`, `$1.23`, `$412`.
pub(crate) fn usd(amount: f64) -> String {
    if !amount.is_finite() {
        return NONE.to_owned();
    }
    if amount == 0.0 {
        return "$0".to_owned();
    }
    let decimals = decimals_for(amount.abs(), 3);
    let sign = if amount < 0.0 { "−" } else { "" };
    format!("{sign}${:.decimals$}", amount.abs())
}

/// A share or rate, 0 to 1, with three decimals.
pub(crate) fn rate(value: f64) -> String {
    number(value, 3)
}

/// A number with `decimals` decimals and a true minus sign.
pub(crate) fn number(value: f64, decimals: usize) -> String {
    if !value.is_finite() {
        return NONE.to_owned();
    }
    format!("{value:.decimals$}").replace('-', "−")
}

/// The weight of cost: up to three decimals, no trailing zeros.
pub(crate) fn lambda(value: f64) -> String {
    tick((value * 1e3).round() / 1e3, 0.5)
}

/// The ends of an interval in brackets.
pub(crate) fn ends(interval: &Interval, word: impl Fn(f64) -> String) -> String {
    if interval.low.is_finite() && interval.high.is_finite() {
        format!("[{}, {}]", word(interval.low), word(interval.high))
    } else {
        String::new()
    }
}

/// A share as a percentage for prose: `97.8 %` from 0.978, `41 %` from 0.41.
pub(crate) fn percent(share: f64, decimals: usize) -> String {
    format!("{}\u{a0}%", number(share * 100.0, decimals))
}

/// A whole number with thin spaces between thousands.
pub(crate) fn count(value: usize) -> String {
    let digits = value.to_string();
    let mut grouped = String::new();
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            grouped.push('\u{202f}');
        }
        grouped.push(digit);
    }
    grouped
}

/// `1 step`, `2 steps`.
pub(crate) fn counted(value: usize, noun: &str) -> String {
    format!("{} {noun}{}", count(value), if value == 1 { "" } else { "s" })
}

/// A tick of an axis that reaches to `most`: enough decimals, no trailing zeros.
pub(crate) fn tick(value: f64, most: f64) -> String {
    let text = format!("{value:.*}", decimals_for(most, 3));
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    if text == "-0" { "0".to_owned() } else { text.replace('-', "−") }
}

/// A hard limit in a few words.
pub(crate) fn budget(budget: Budget, of_large: Option<f64>) -> String {
    match (budget, of_large) {
        (Budget::Unlimited, _) => "no cap".to_owned(),
        (Budget::LargeCalls(calls), _) => counted(calls as usize, "large call"),
        (Budget::Usd(cap), Some(share)) => format!("{} ({} of always-large)", usd(cap.as_usd()), percent(share, 0)),
        (Budget::Usd(cap), None) => usd(cap.as_usd()),
    }
}

/// How an episode ended.
pub(crate) const fn ending(ending: Ending) -> &'static str {
    match ending {
        Ending::Terminated => "ended by the environment",
        Ending::Horizon => "reached the horizon",
        Ending::BudgetExhausted => "budget exhausted",
        Ending::GaveUp => "given up by the router",
    }
}

/// What makes a task of this class.
pub(crate) const fn meaning(difficulty: Difficulty) -> &'static str {
    match difficulty {
        Difficulty::Easy => "the small model alone solves it often enough",
        Difficulty::Hard => "not easy, yet a probe solved it",
        Difficulty::Intractable => "no probe solved it",
    }
}

fn decimals_for(amount: f64, digits: i32) -> usize {
    if amount <= 0.0 {
        return 0;
    }
    (digits - 1 - amount.log10().floor() as i32).clamp(0, 9) as usize
}

#[cfg(test)]
mod tests {
    use tollgate_routing::NanoUsd;

    use super::*;

    #[track_caller]
    fn check(found: &str, expected: &str) {
        assert_eq!(found, expected);
    }

    #[test]
    fn numbers_are_worded_for_people() {
        check(&usd(0.012_345), "$0.0123");
        check(&usd(412.4), "$412");
        check(&usd(-0.5), "−$0.500");
        check(&usd(f64::NAN), "–");
        check(&count(1_234_567), "1\u{202f}234\u{202f}567");
        check(&percent(0.978, 1), "97.8\u{a0}%");
        check(&tick(0.020, 0.03), "0.02");
        check(&tick(100.0, 300.0), "100");
        check(&counted(1, "step"), "1 step");
        check(&lambda(f64::from(0.3_f32)), "0.3");
        check(&lambda(0.0), "0");
        check(&budget(Budget::Usd(NanoUsd::new(12_300_000)), Some(0.25)), "$0.0123 (25\u{a0}% of always-large)");
    }
}
