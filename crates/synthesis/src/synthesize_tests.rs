use tollgate_routing::{EpisodeId, NanoUsd, ProbeStats};

use super::*;

const SMALL: ModelIndex = ModelIndex::SMALL;
const LARGE: ModelIndex = ModelIndex::new(1);

fn label(task: &str, difficulty: Difficulty) -> BoundaryLabel {
    BoundaryLabel {
        task_id: TaskId::new(task),
        difficulty,
        is_contested: false,
        small: ProbeStats::default(),
        large: ProbeStats::default(),
    }
}

fn episode(task: &str, id: &str, is_success: bool, cost: u64, actions: &[ModelIndex]) -> CandidateEpisode {
    CandidateEpisode {
        episode_id: EpisodeId::new(id),
        task_id: TaskId::new(task),
        is_success,
        cost: NanoUsd::new(cost),
        actions: actions.to_vec(),
    }
}

fn labels() -> Vec<BoundaryLabel> {
    vec![label("easy", Difficulty::Easy), label("hard", Difficulty::Hard), label("never", Difficulty::Intractable)]
}

fn episodes() -> Vec<CandidateEpisode> {
    vec![
        episode("easy", "e-small-0", true, 2, &[SMALL; 2]),
        episode("easy", "e-small-1", false, 6, &[SMALL; 6]),
        episode("easy", "e-large-0", true, 20, &[LARGE; 2]),
        episode("hard", "h-large-0", true, 30, &[LARGE; 3]),
        episode("hard", "h-sweep-3", true, 14, &[SMALL, LARGE, SMALL, SMALL]),
        episode("hard", "h-sweep-7", true, 15, &[LARGE, SMALL, SMALL, SMALL]),
        episode("hard", "h-small-0", false, 3, &[SMALL; 3]),
        episode("never", "n-small-0", false, 6, &[SMALL; 6]),
        episode("never", "n-large-0", false, 60, &[LARGE; 6]),
    ]
}

fn of_task<'a>(examples: &'a [SftExample], task: &str) -> Vec<(&'a str, u32, usize)> {
    examples
        .iter()
        .filter(|example| example.task_id.as_str() == task)
        .map(|example| (example.episode_id.as_str(), example.step_idx, example.action.get()))
        .collect()
}

#[test]
fn each_class_imitates_what_its_boundary_says() {
    let examples = synthesize(&labels(), &episodes(), &SynthesisConfig::default(), 1).unwrap();
    assert_eq!(of_task(&examples, "easy"), [("e-small-0", 0, 0), ("e-small-0", 1, 0)]);
    assert_eq!(
        of_task(&examples, "hard"),
        [("h-sweep-3", 0, 0), ("h-sweep-3", 1, 1), ("h-sweep-3", 2, 0), ("h-sweep-3", 3, 0)]
    );
    assert_eq!(of_task(&examples, "never").len(), 6);
    assert!(of_task(&examples, "never").iter().all(|&(_, _, action)| action == 0));
}

#[test]
fn a_boundary_probe_can_be_the_cheapest_success() {
    let log =
        [episode("hard", "h-small-3", true, 4, &[SMALL; 4]), episode("hard", "h-sweep-1", true, 5, &[SMALL, LARGE])];
    let examples = synthesize(&[label("hard", Difficulty::Hard)], &log, &SynthesisConfig::default(), 1).unwrap();
    assert_eq!(of_task(&examples, "hard")[0].0, "h-small-3");
}

#[test]
fn class_weights_stand_in_the_set_ratio_and_have_mean_one() {
    let config = SynthesisConfig { class_ratio: [1.0, 2.0, 1.0], ..SynthesisConfig::default() };
    let examples = synthesize(&labels(), &episodes(), &config, 1).unwrap();
    let total = |difficulty| -> f32 {
        examples.iter().filter(|example| example.difficulty == difficulty).map(|example| example.weight).sum()
    };
    // 2 easy, 4 hard and 6 intractable steps make 12 in all, of which the ratio gives 3, 6 and 3.
    for (difficulty, expected) in Difficulty::ALL.into_iter().zip([3.0, 6.0, 3.0]) {
        assert!((total(difficulty) - expected).abs() < 1e-6);
    }
}

#[test]
fn no_example_outweighs_another_by_more_than_the_limit() {
    let config = SynthesisConfig { class_ratio: [1.0, 100.0, 0.0], max_weight: 3.0, ..SynthesisConfig::default() };
    let examples = synthesize(&labels(), &episodes(), &config, 1).unwrap();
    // 2 easy steps of weight w and 4 hard ones of 3 w, mean 1: w = 6 / 14.
    assert!((examples[0].weight - 6.0 / 14.0).abs() < 1e-6 && (examples[2].weight - 18.0 / 14.0).abs() < 1e-6);
    assert_eq!(of_task(&examples, "never"), []);
}

#[test]
fn classes_are_sampled_down_to_their_quota() {
    let config = SynthesisConfig { class_ratio: [1.0, 1.0, 2.0], max_examples: 8, ..SynthesisConfig::default() };
    let examples = synthesize(&labels(), &episodes(), &config, 1).unwrap();
    assert_eq!(
        (of_task(&examples, "easy").len(), of_task(&examples, "hard").len(), of_task(&examples, "never").len()),
        (2, 2, 4)
    );
}

#[test]
fn order_of_the_input_does_not_matter_and_the_seed_does() {
    let config = SynthesisConfig { max_examples: 6, ..SynthesisConfig::default() };
    let (mut labels, mut episodes) = (labels(), episodes());
    let forward = synthesize(&labels, &episodes, &config, 1).unwrap();
    labels.reverse();
    episodes.reverse();
    assert_eq!(synthesize(&labels, &episodes, &config, 1).unwrap(), forward);
    assert!((2..20).any(|seed| synthesize(&labels, &episodes, &config, seed).unwrap() != forward));
}

#[test]
fn switched_off_it_imitates_every_mixed_success_as_played() {
    let config = SynthesisConfig { synthesis: Synthesis::Off, ..SynthesisConfig::default() };
    let examples = synthesize(&labels(), &episodes(), &config, 1).unwrap();
    let imitated: BTreeSet<&str> = examples.iter().map(|example| example.episode_id.as_str()).collect();
    assert_eq!(imitated, BTreeSet::from(["h-sweep-3", "h-sweep-7"]));
    assert!(examples.iter().all(|example| (example.weight - 1.0).abs() < f32::EPSILON));
}

#[track_caller]
fn check_refused(labels: &[BoundaryLabel], episodes: &[CandidateEpisode], config: SynthesisConfig, message: &str) {
    let error = synthesize(labels, episodes, &config, 1).unwrap_err().to_string();
    assert_eq!(error.lines().next(), Some(message));
}

#[test]
fn labels_that_the_log_does_not_bear_out_are_refused() {
    let default = SynthesisConfig::default();
    check_refused(
        &[label("never", Difficulty::Hard)],
        &episodes(),
        default,
        "task `never` is labelled hard, expected at least one successful episode of it, found none among 2",
    );
    check_refused(
        &[label("gone", Difficulty::Easy)],
        &episodes(),
        default,
        "task `gone` is labelled easy, expected an episode of always-small to imitate, found none",
    );
    check_refused(&[labels(), labels()].concat(), &episodes(), default, "task `easy` has two labels, expected one");
    check_refused(&[], &episodes(), default, "no example could be made of 0 labels and 9 episodes");
    check_refused(
        &labels(),
        &episodes(),
        SynthesisConfig { max_weight: 0.5, ..default },
        "`max_weight` is 0.5, expected 1 or more",
    );
}
