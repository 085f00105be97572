//! The forms of logs: each turns its rows into logged steps.

mod chat;
mod labels;
mod litellm;
mod openai_jsonl;
mod otel_genai;
mod steps_jsonl;
pub(crate) mod tau2;

use crate::ImportError;
use crate::json::{Json, Text};
use crate::plan::{ImportPlan, LogFormat, SplitBy};
use crate::record::StepSink;
use crate::skips::{Reason, Refusal};

use litellm::LiteLlm;
use openai_jsonl::OpenAiJsonl;
use otel_genai::OtelGenAi;
use steps_jsonl::StepsJsonl;
use tau2::Tau2;

/// Reads the rows of one form.
pub(crate) trait RowReader {
    /// Forgets what an earlier log said about itself: another one begins.
    fn begin_source(&mut self) {}

    /// Hands the steps of a row to `sink`. Of a format that is one document, `member` names the member that the row is of.
    ///
    /// # Errors
    /// Only those of the sink: what is wrong with the row goes to the sink as well.
    fn read(&mut self, member: &str, row: &str, sink: &mut StepSink<'_>) -> Result<(), ImportError>;
}

/// A reader of `format`.
pub(crate) fn reader(format: LogFormat, plan: &ImportPlan) -> Box<dyn RowReader> {
    match format {
        LogFormat::StepsJsonl => Box::new(StepsJsonl::new(plan)),
        LogFormat::OpenAiJsonl => Box::new(OpenAiJsonl::new(plan)),
        LogFormat::Tau2 => Box::new(Tau2::default()),
        LogFormat::OtelGenAi => Box::new(OtelGenAi::new(plan)),
        LogFormat::LiteLlm => Box::new(LiteLlm::new(plan)),
    }
}

/// The field that the plan splits by, if it is one of the log's own.
pub(crate) fn split_field(plan: &ImportPlan) -> Option<&str> {
    match &plan.split.by {
        SplitBy::Field(field) => Some(field),
        SplitBy::Task | SplitBy::Group => None,
    }
}

/// A name: a string, or a number as it is written.
pub(crate) fn name<'a>(field: &str, value: Json<'a>) -> Result<Option<Text<'a>>, Refusal> {
    if value.is_null() {
        return Ok(None);
    }
    match value.as_text() {
        Some(text) => Ok(Some(text)),
        None if value.is_number() => Ok(Some(Text::Plain(value.raw()))),
        None => Err(bad_value(field, value, "a string or a number")),
    }
}

/// Words, or nothing for null.
pub(crate) fn words<'a>(field: &str, value: Json<'a>) -> Result<Option<Text<'a>>, Refusal> {
    if value.is_null() {
        return Ok(None);
    }
    value.as_text().map(Some).ok_or_else(|| bad_value(field, value, "a string"))
}

/// A whole number.
pub(crate) fn count(field: &str, value: Json<'_>) -> Result<Option<i64>, Refusal> {
    if value.is_null() {
        return Ok(None);
    }
    if let Ok(count) = value.raw().parse() {
        return Ok(Some(count));
    }
    // Data frames turn counts into floating-point numbers.
    match value.as_f64() {
        Some(number) if number.fract() == 0.0 && number.abs() < 1e15 => Ok(Some(number as i64)),
        _ => Err(bad_value(field, value, "a whole number")),
    }
}

/// A count that is no token count: an index, a length.
pub(crate) fn small_count(field: &str, value: Json<'_>) -> Result<Option<u32>, Refusal> {
    let in_range = |count: i64| {
        let is_in_range = (0..=i64::from(i32::MAX)).contains(&count);
        if is_in_range { Ok(count as u32) } else { Err(bad_value(field, value, "0 to 2^31 - 1")) }
    };
    count(field, value)?.map(in_range).transpose()
}

/// A finite number.
pub(crate) fn number(field: &str, value: Json<'_>) -> Result<Option<f64>, Refusal> {
    if value.is_null() {
        return Ok(None);
    }
    let number = value.as_f64().filter(|number| number.is_finite());
    number.map(Some).ok_or_else(|| bad_value(field, value, "a finite number"))
}

/// True or false.
pub(crate) fn truth(field: &str, value: Json<'_>) -> Result<Option<bool>, Refusal> {
    if value.is_null() {
        return Ok(None);
    }
    value.as_bool().map(Some).ok_or_else(|| bad_value(field, value, "true or false"))
}

/// A refusal of a value, of which no more is shown than a message can take.
pub(crate) fn bad_value(field: &str, value: Json<'_>, expected: &str) -> Refusal {
    const MOST: usize = 60;
    let mut found: String = value.raw().chars().take(MOST).collect();
    if found.len() < value.raw().len() {
        found.push('…');
    }
    Refusal::new(Reason::BadValue, format!("`{field}` is {found}, expected {expected}"))
}

/// Adds a member to the inside of a JSON object.
pub(crate) fn push_member(name: &str, value: Json<'_>, out: &mut String) {
    if !out.is_empty() {
        out.push(',');
    }
    out.push('"');
    out.push_str(name);
    out.push_str("\":");
    out.push_str(value.raw());
}
