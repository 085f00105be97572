//! What must hold for every page.

use super::fixture::{HOSTILE, bare, household, skill_chain, three_models};
use super::model::ReportInputs;
use super::render;

const SECTIONS: [&str; 7] = ["frontier", "caps", "area", "classes", "training", "episodes", "setup"];

#[track_caller]
fn page(inputs: &ReportInputs) -> String {
    render(inputs).unwrap().html
}

/// Every section stands, nothing is fetched, tags and plots are closed.
#[track_caller]
fn check_whole(inputs: &ReportInputs) {
    let html = page(inputs);
    for section in SECTIONS {
        assert!(html.contains(&format!("<section id=\"{section}\">")), "no section {section}");
    }
    for reference in ["http://", "https://", "src=\"", "@import", "url("] {
        assert!(!html.contains(reference), "the page refers to {reference}");
    }
    for tag in ["svg", "details", "table", "section", "figure", "div", "ul", "ol", "li", "dl"] {
        let opened = html.matches(&format!("<{tag}>")).count() + html.matches(&format!("<{tag} ")).count();
        assert_eq!(opened, html.matches(&format!("</{tag}>")).count(), "<{tag}> is not closed");
    }
    assert!(!html.contains("NaN") && !html.contains("inf%"), "a number is missing");
}

#[track_caller]
fn check_shows(html: &str, words: &[&str]) {
    for word in words {
        assert!(html.contains(word), "the page does not say `{word}`");
    }
}

#[test]
fn pages_are_whole_whatever_a_run_lacks() {
    for inputs in [household(), three_models(), skill_chain(), bare()] {
        check_whole(&inputs);
    }
    let mut nothing = bare();
    nothing.policies.clear();
    nothing.models.clear();
    check_whole(&nothing);
}

#[test]
fn the_headline_gives_the_operating_point_in_words() {
    check_shows(&page(&household()), &["<h1>97.8\u{a0}% of always‑large’s success for 41\u{a0}% of its cost</h1>"]);
}

#[test]
fn text_of_a_model_is_escaped() {
    let html = page(&household());
    assert!(!html.contains(HOSTILE) && !html.contains("<img"));
    check_shows(&html, &["&lt;script&gt;alert(1)&lt;&#x2f;script&gt;"]);
}

#[test]
fn names_are_escaped_in_plots_too() {
    let mut inputs = household();
    for policy in &mut inputs.policies {
        policy.family = format!("{}<i onclick=a>", policy.family);
    }
    let report = render(&inputs).unwrap();
    for text in [report.html, report.frontier_svg] {
        assert!(!text.contains("<i onclick"));
    }
}

#[test]
fn every_id_is_used_once() {
    let html = page(&household());
    let mut ids: Vec<&str> = html.split(" id=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    ids.sort_unstable();
    let n_ids = ids.len();
    ids.dedup();
    assert_eq!(ids.len(), n_ids);
}

#[test]
fn decisions_are_explained() {
    let html = page(&household());
    check_shows(
        &html,
        &[
            "as the likeliest, 0.78, $0.0192 left",
            "every large call of the cap is used",
            "a large call could cost $0.00350, $0.00",
            "0 large calls left",
        ],
    );
    check_shows(&page(&three_models()), &["the budget ruled out large", ">medium<", "gpt-4.1-medium"]);
}

#[test]
fn a_violation_is_told_and_not_hidden() {
    check_shows(&page(&household()), &["No episode passed its cap: 0 violations in 33\u{202f}600 capped episodes."]);
    let mut inputs = household();
    inputs.policies.last_mut().unwrap().violations = 3;
    check_shows(
        &page(&inputs),
        &["<strong class=\"bad\">3 of 33\u{202f}600 capped episodes passed their cap.</strong>"],
    );
}

#[test]
fn what_a_run_lacks_is_said_in_a_sentence() {
    check_shows(
        &page(&bare()),
        &[
            "there is no operating point",
            "No hard cap was played",
            "There is no frontier to compare",
            "No task was probed",
            "Nothing was trained",
            "keeps no episodes",
        ],
    );
    assert!(render(&bare()).unwrap().caps_svg.is_none());
}

#[test]
fn the_same_inputs_give_the_same_bytes() {
    assert_eq!(page(&household()), page(&household()));
}

#[test]
fn files_are_written_beside_each_other() {
    let directory = tempfile::tempdir().unwrap();
    super::write(&household(), directory.path()).unwrap();
    for (name, beginning) in
        [("report.html", "<!DOCTYPE html>"), ("frontier.svg", "<svg xmlns"), ("caps.svg", "<svg xmlns")]
    {
        let text = std::fs::read_to_string(directory.path().join(name)).unwrap();
        assert!(text.trim_start().starts_with(beginning), "{name}");
    }
}
