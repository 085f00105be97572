//! How much of what the rivals leave is recovered, as measured by the oracle.

use std::fmt::Write as _;
use std::sync::Arc;

use tollgate_inference::{Estimate, InferenceError, RunFigure};
use tollgate_routing::Budget;

use super::Comparison;
use super::comparison::{Figure, MAIN, less};
use super::page::{cap_heading, figure};
use crate::failure::OrBadInput;
use crate::figures::{ORACLE, is_rival};

/// One figure: of the best rival, of the main family and of the oracle.
#[derive(Debug, Clone)]
pub(crate) struct Recovered {
    heading: String,
    rival: Arc<str>,
    of_rival: Estimate,
    of_main: Estimate,
    of_oracle: Estimate,
    /// `(main - rival) / (oracle - rival)`.
    share: Estimate,
}

impl Comparison {
    /// What is recovered of `frontier_area` and of success under every cap; nothing where the oracle was not played. The rival is the
    /// one that turns out best on the reported tasks, boundary policies among them: no rival could have been picked that is ahead of it.
    pub(crate) fn recovered(&self, caps: &[Budget]) -> anyhow::Result<Vec<Recovered>> {
        let area = ("`frontier_area`".to_owned(), Figure::Area);
        let under_caps = caps.iter().map(|&cap| (format!("success, {}", cap_heading(&cap)), Figure::UnderCap(cap)));
        let rows = [area].into_iter().chain(under_caps).map(|(heading, figure)| self.recovered_of(heading, figure));
        Ok(rows.collect::<Result<Vec<_>, _>>().or_bad_input()?.into_iter().flatten().collect())
    }

    fn recovered_of(&self, heading: String, figure: Figure) -> Result<Option<Recovered>, InferenceError> {
        let (Some(main), Some(oracle)) = (self.per_run(figure, MAIN)?, self.per_run(figure, ORACLE)?) else {
            return Ok(None);
        };
        let mut best: Option<(Arc<str>, Estimate, Vec<RunFigure>)> = None;
        for family in self.families().iter().filter(|family| is_rival(family, MAIN)) {
            let Some(own) = self.per_run(figure, family)? else { continue };
            let estimate = self.estimate(&own)?;
            if best.as_ref().is_none_or(|(_, best, _)| estimate.value > best.value) {
                best = Some((family.clone(), estimate, own));
            }
        }
        let Some((rival, of_rival, rivals)) = best else { return Ok(None) };
        let gaps = |others: &[RunFigure]| -> Vec<RunFigure> { less(others, &rivals) };
        let ratio = |(won, gap): (&RunFigure, &RunFigure)| won.with(gap, |won, gap| won / gap);
        let shares: Vec<RunFigure> = gaps(&main).iter().zip(&gaps(&oracle)).map(ratio).collect();
        Ok(Some(Recovered {
            heading,
            rival,
            of_rival,
            of_main: self.estimate(&main)?,
            of_oracle: self.estimate(&oracle)?,
            share: self.estimate(&shares)?,
        }))
    }
}

/// A section of the document.
pub(super) fn recovered_section(page: &mut String, rows: &[Recovered]) {
    page.push_str("\n## What trying would reach\n\nThe oracle may try every model from a copy of the state, with the luck of the episode: it knows what no router can. Recovered: by how much BoPO is ahead of the best rival, over by how much the oracle is; the rival is the one that is best on these very tasks.\n\n| | best rival | its figure | BoPO | oracle | recovered |\n|---|---|---|---|---|---|\n");
    for row in rows {
        let [rival, main, oracle, share] = [row.of_rival, row.of_main, row.of_oracle, row.share].map(figure);
        let _infallible = writeln!(page, "| {} | {} | {rival} | {main} | {oracle} | {share} |", row.heading, row.rival);
    }
}
