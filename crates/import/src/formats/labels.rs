//! What formats without fields of their own for it carry beside a call: which episode it is of, and how that went.

use super::chat::{first, first_name};
use super::{number, small_count, truth, words};
use crate::json::{Members, Text};
use crate::record::{EpisodeFacts, EpisodeName, Order};
use crate::skips::Refusal;

/// The labels of a row.
pub(super) struct Labels<'a> {
    /// The episode, if the row names one.
    pub(super) name: EpisodeName<'a>,
    /// The step's index, if the row has one.
    pub(super) order: Option<Order>,
    pub(super) facts: EpisodeFacts<'a>,
}

/// Reads the labels from several places, the first one first. `episode_fields` are the names of the episode's id.
pub(super) fn labels<'a>(
    places: &[&Members<'a>],
    episode_fields: &[&str],
    split_field: Option<&str>,
) -> Result<Labels<'a>, Refusal> {
    let named = |names: &[&str]| first_name(places, names);
    let counted = |names: &[&str]| first(places, names).map_or(Ok(None), |value| small_count(names[0], value));
    let episode_id = named(episode_fields);
    let success = first(places, &["success", "is_success"]).map_or(Ok(None), |value| truth("success", value))?;
    let score = first(places, &["score", "reward"]).map_or(Ok(None), |value| number("score", value))?;
    let task_text = first(places, &["task_text", "instruction"]).map_or(Ok(None), |value| words("task_text", value))?;
    let facts = EpisodeFacts {
        task_text,
        group: named(&["group"]),
        kind: named(&["kind", "hardness"]),
        dataset: named(&["dataset"]),
        split_field: split_field.and_then(|field| named(&[field])),
        n_steps: counted(&["n_steps"])?,
        horizon: counted(&["max_steps", "horizon"])?,
        success,
        score,
        is_truncated: first(places, &["truncated"]).map_or(Ok(None), |value| truth("truncated", value))?,
        extra: "",
    };
    let trial = named(&["trial"]);
    let task_id = named(&["task_id"]);
    let order = counted(&["step_index", "step_idx"])?.map(Order::Index);
    Ok(Labels { name: EpisodeName { episode_id, task_id, model: None, trial }, order, facts })
}

/// How long a call took that began and ended at these times, in nanoseconds; 0 where that is no length that a call can have.
pub(super) fn latency_ms([start, end]: [Option<i128>; 2]) -> u32 {
    let nanoseconds = start.zip(end).map_or(0, |(start, end)| end.saturating_sub(start));
    u32::try_from(nanoseconds / 1_000_000).unwrap_or(0).min(i32::MAX as u32)
}

/// A time in nanoseconds: a number of seconds, a number as text, or RFC 3339 in UTC as logs write it.
pub(super) fn nanoseconds(time: crate::json::Json<'_>) -> Option<i128> {
    if let Some(seconds) = time.as_f64() {
        return Some((seconds * 1e9) as i128);
    }
    let text = time.as_text().map(Text::to_words)?;
    if let Ok(number) = text.parse::<i128>() {
        return Some(number);
    }
    date_time(&text)
}

/// `YYYY-MM-DD[T ]hh:mm:ss[.fraction]`, what follows left aside: logs of one episode are of one zone. Numbers that are too large
/// for any time are none.
fn date_time(text: &str) -> Option<i128> {
    let (date, time) = text.split_once(['T', ' '])?;
    let mut date = date.split('-').map(|part| part.parse::<i128>().ok());
    let (year, month, day) = (date.next()??, date.next()??, date.next()??);
    let end = time.find(|char: char| !matches!(char, '0'..='9' | ':' | '.')).unwrap_or(time.len());
    let mut time = time[..end].split(':');
    let (hour, minute): (i128, i128) = (time.next()?.parse().ok()?, time.next()?.parse().ok()?);
    let seconds: f64 = time.next()?.parse().ok()?;
    // Only the order counts, so months of 31 days will do.
    let days = year.checked_mul(12)?.checked_add(month)?.checked_mul(31)?.checked_add(day)?;
    let minutes = days.checked_mul(24)?.checked_add(hour)?.checked_mul(60)?.checked_add(minute)?;
    minutes.checked_mul(60_000_000_000)?.checked_add((seconds * 1e9) as i128)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::object;

    #[test]
    fn times_of_all_kinds_come_in_their_order() {
        let time = |json: &str| nanoseconds(object(&format!("{{\"t\":{json}}}")).unwrap().member("t").unwrap());
        assert_eq!(time("1.5"), Some(1_500_000_000));
        assert_eq!(time("\"1700000000000000001\""), Some(1_700_000_000_000_000_001));
        let times = ["\"2025-01-31T23:59:59.5Z\"", "\"2025-01-31 23:59:59.75+00:00\"", "\"2025-02-01T00:00:00\""];
        let times: Vec<i128> = times.iter().map(|json| time(json).unwrap()).collect();
        assert!(times.is_sorted() && times[0] < times[1], "{times:?}");
        assert_eq!(time("\"soon\""), None);
    }

    #[test]
    fn numbers_that_are_too_large_are_no_times() {
        let huge = "9".repeat(38);
        for text in [
            format!("{huge}-01-01T00:00:00"),
            format!("2025-{huge}-01T00:00:00"),
            format!("2025-01-01T{huge}:00:00"),
            format!("2025-01-01T00:{huge}:00"),
            format!("2025-01-01T00:00:{}", "9".repeat(400)),
        ] {
            assert_eq!(date_time(&text), None, "{text}");
        }
    }

    #[test]
    fn a_call_takes_as_long_as_lies_between_its_times() {
        assert_eq!(latency_ms([Some(1_000_000), Some(3_500_000)]), 2);
        for times in [[None, Some(1)], [Some(2), Some(1)], [Some(i128::MIN), Some(i128::MAX)]] {
            assert_eq!(latency_ms(times), 0, "{times:?}");
        }
    }
}
