//! A run that never happened, with figures of a plausible shape.

use tollgate_routing::{Budget, Difficulty, Ending, NanoUsd, Objective};

use super::model::*;

/// Text that a careless page would run.
pub(super) const HOSTILE: &str = "<script>alert(1)</script><img src=x onerror=alert(2)>";

const LARGE_COST: f64 = 0.0384;

/// A two-model household run with everything in it.
pub(super) fn household() -> ReportInputs {
    ReportInputs {
        suite: "household".to_owned(),
        objective: Objective::Success,
        models: vec![model("gpt-4.1-mini", 0.4), model("gpt-4.1", 2.0)],
        scope: EvaluationScope { n_tasks: 200, n_episodes: 48_600, n_training_seeds: 3, confidence: 0.95 },
        main_family: "bopo".to_owned(),
        operating_point: Some(OperatingPoint {
            policy_id: "bopo".to_owned(),
            lambda: 0.3,
            budget: Budget::Unlimited,
            is_met: true,
            value: around(0.812, 0.04),
            mean_cost_usd: around(0.0157, 0.0012),
            mean_large_calls: 4.3,
            success_of_large: around(0.978, 0.03),
            cost_of_large: around(0.41, 0.02),
            gap_recovered: Some(0.95),
        }),
        policies: policies(),
        frontiers: frontiers(),
        unseen: Some(unseen()),
        taxonomy: Some(taxonomy()),
        training: ["bopo", "grpo", "bopo-warm-start"].into_iter().flat_map(|variant| (0..3).map(move |seed| curve(variant, seed))).collect(),
        episodes: vec![
            episode(Budget::Usd(NanoUsd::new(19_200_000)), true, 2),
            episode(Budget::LargeCalls(5), false, 2),
            episode(Budget::Unlimited, true, 2),
        ],
        configuration: "suite = \"household\"\npool = \"datasets/pools/two.toml\"\n\n[optimize]\nn_iterations = 120\nlearning_rate = 0.001\nlambda = { low = 0.05, high = 1.2 } # log-uniform\n".to_owned(),
        seeds: pairs(&[("run", "7"), ("training", "0, 1, 2"), ("evaluation", "derived from the run's"), ("bootstrap", "11")]),
        provenance: pairs(&[("contract version", "1"), ("tollgate", "0.1.0"), ("features", "version 1")]),
        artifacts: ["tasks", "episodes", "steps", "boundary_labels", "training_log", "evaluations", "frontier"]
            .map(|kind| ArtifactEntry {
                kind: kind.to_owned(),
                path: format!("evaluate/{kind}.parquet"),
                digest: "b3:5f1d7a84e1e5bb0f39fdd5a6c4f9b64c1f0f2d4f5b1e8f3a9d7c6b5a4e3f2d1c".to_owned(),
            })
            .into(),
    }
}

/// A policy that carries over to unseen kinds, less well.
fn unseen() -> UnseenKinds {
    UnseenKinds {
        n_tasks: 60,
        operating_point: Some(OperatingPoint {
            policy_id: "bopo".to_owned(),
            lambda: 0.3,
            budget: Budget::Unlimited,
            is_met: true,
            value: around(0.702, 0.06),
            mean_cost_usd: around(0.0177, 0.002),
            mean_large_calls: 5.1,
            success_of_large: around(0.93, 0.05),
            cost_of_large: around(0.47, 0.04),
            gap_recovered: Some(0.8),
        }),
        policies: policies().into_iter().filter(|policy| policy.budget == Budget::Unlimited).collect(),
    }
}

/// The same with a third model between the two.
pub(super) fn three_models() -> ReportInputs {
    let mut inputs = household();
    inputs.models.insert(1, model("gpt-4.1-medium", 1.0));
    inputs.episodes =
        vec![episode(Budget::Usd(NanoUsd::new(19_200_000)), true, 3), episode(Budget::LargeCalls(0), false, 3)];
    inputs
}

/// The diagnostic suite: exact references, no text, no cap in dollars.
pub(super) fn skill_chain() -> ReportInputs {
    let mut inputs = household();
    inputs.suite = "skill-chain".to_owned();
    inputs.unseen = None;
    inputs.policies.retain(|policy| !matches!(policy.budget, Budget::Usd(_)));
    for (family, lift) in [("dp-belief", 0.02), ("dp-privileged", 0.04)] {
        let hull = [(0.0052, 0.45 + lift), (0.012, 0.78 + lift), (0.02, 0.83 + lift), (LARGE_COST, 0.84 + lift)];
        inputs.frontiers.push(Frontier {
            family: family.to_owned(),
            hull: hull.to_vec(),
            area: around(0.88 + lift, 0.02),
            main_minus_this: Some(around(-lift, 0.01)),
        });
    }
    for setting in 0..24_u32 {
        let place = f64::from(setting) / 24.0;
        let wave = f64::from(setting * 7 % 24) / 24.0;
        let id = format!("heuristic-{}-{}-30", setting / 6, setting % 6);
        inputs.policies.push(policy(
            &id,
            "heuristic",
            Budget::Unlimited,
            0.5 + 0.28 * place - 0.08 * wave,
            0.008 + 0.012 * place,
        ));
    }
    for step in inputs.episodes.iter_mut().flat_map(|episode| &mut episode.steps) {
        step.observation.clear();
        step.completion.clear();
    }
    inputs
}

/// One policy and nothing else.
pub(super) fn bare() -> ReportInputs {
    let mut inputs = household();
    inputs.policies.retain(|policy| policy.policy_id == "always-small");
    inputs.scope = EvaluationScope { n_tasks: 1, n_episodes: 1, n_training_seeds: 0, confidence: 0.95 };
    inputs.operating_point = None;
    inputs.frontiers.clear();
    inputs.taxonomy = None;
    inputs.training.clear();
    inputs.episodes.clear();
    inputs.artifacts.clear();
    inputs
}

fn model(id: &str, input: f64) -> ModelEntry {
    ModelEntry {
        id: id.to_owned(),
        input_usd_per_million: input,
        cached_usd_per_million: input / 4.0,
        output_usd_per_million: input * 4.0,
    }
}

fn around(value: f64, half_width: f64) -> Interval {
    Interval::new(value, value - half_width, value + half_width)
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn policy(policy_id: &str, family: &str, budget: Budget, success: f64, cost: f64) -> PolicySummary {
    let is_trained = family.starts_with("bopo") || family == "grpo" || family == "sft";
    PolicySummary {
        policy_id: policy_id.to_owned(),
        family: family.to_owned(),
        lambda: None,
        budget,
        budget_of_large: None,
        value: around(success, 0.05),
        success_rate: success,
        mean_score: success + 0.01,
        mean_cost_usd: around(cost, cost * 0.08),
        total_cost_usd: cost * 600.0,
        mean_large_calls: around(cost / LARGE_COST * 14.0, 0.6),
        mean_steps: 17.0 + success,
        cap_share: (budget != Budget::Unlimited).then_some(0.61),
        n_episodes: 600,
        n_seeds: if is_trained { 3 } else { 1 },
        violations: 0,
    }
}

fn policies() -> Vec<PolicySummary> {
    let mut policies = vec![
        policy("always-small", "always-small", Budget::Unlimited, 0.46, 0.0052),
        policy("always-large", "always-large", Budget::Unlimited, 0.83, LARGE_COST),
        policy("static", "static", Budget::Unlimited, 0.71, 0.0192),
        policy("sft", "sft", Budget::Unlimited, 0.74, 0.0204),
        policy("grpo", "grpo", Budget::Unlimited, 0.50, 0.0061),
    ];
    for tenth in 1..10 {
        let p = f64::from(tenth) / 10.0;
        policies.push(policy(
            &format!("random-{p:.1}"),
            "random-mixing",
            Budget::Unlimited,
            0.46 + 0.33 * p * p.sqrt(),
            0.0052 + p * 0.032,
        ));
    }
    for (patience, success, cost) in [(1, 0.77, 0.0243), (2, 0.72, 0.0171), (3, 0.66, 0.0135)] {
        policies.push(policy(&format!("cascade-{patience}"), "cascade", Budget::Unlimited, success, cost));
    }
    for (lambda, success, cost) in
        [(0.05, 0.835, 0.0221), (0.1, 0.83, 0.0195), (0.3, 0.812, 0.0157), (0.6, 0.76, 0.0118), (1.0, 0.64, 0.0083)]
    {
        for (family, loss) in [("bopo", 0.0), ("bopo-warm-start", 0.01), ("bopo-no-conditioning", 0.06)] {
            let mut swept = policy(family, family, Budget::Unlimited, success - loss, cost);
            swept.lambda = Some(lambda);
            policies.push(swept);
        }
    }
    let mut caps: Vec<(Budget, Option<f64>, f64)> = [(2, 0.56), (5, 0.69), (10, 0.80), (15, 0.825)]
        .map(|(calls, success)| (Budget::LargeCalls(calls), None, success))
        .into();
    caps.extend(
        [(0.25, 0.58), (0.5, 0.77), (0.75, 0.815)].map(|(share, success)| {
            (Budget::Usd(NanoUsd::new((share * LARGE_COST * 1e9) as u64)), Some(share), success)
        }),
    );
    for (budget, of_large, success) in caps {
        for (family, loss) in [
            ("bopo", 0.0),
            ("first-k-large", 0.06),
            ("cascade", 0.03),
            ("static", 0.09),
            ("sft", 0.05),
            ("grpo", 0.15),
            ("random-mixing", 0.12),
            ("bopo-warm-start", 0.01),
        ] {
            let mut capped = policy(
                if family == "cascade" { "cascade-2" } else { family },
                family,
                budget,
                success - loss,
                0.02 * success,
            );
            capped.budget_of_large = of_large;
            policies.push(capped);
        }
    }
    policies
}

fn frontiers() -> Vec<Frontier> {
    let hull = vec![(0.0, 0.0), (0.0052, 0.46), (0.0083, 0.64), (0.0118, 0.76), (0.0157, 0.812), (0.0221, 0.835)];
    let rivals = [
        ("random-mixing", 0.13),
        ("cascade", 0.06),
        ("static", 0.08),
        ("sft", 0.055),
        ("grpo", 0.17),
        ("first-k-large", 0.07),
        ("bopo-warm-start", 0.008),
        ("bopo-no-conditioning", 0.04),
    ];
    let main = Frontier { family: "bopo".to_owned(), hull, area: around(0.872, 0.03), main_minus_this: None };
    let rivals = rivals.map(|(family, less)| Frontier {
        family: family.to_owned(),
        hull: vec![(0.0, 0.0), (0.0052, 0.46), (LARGE_COST, 0.83)],
        area: around(0.872 - less, 0.035),
        main_minus_this: Some(around(less, 0.012)),
    });
    [main].into_iter().chain(rivals).collect()
}

fn taxonomy() -> TaxonomySummary {
    let [easy, hard, intractable] = Difficulty::ALL;
    let class = |difficulty, n_tasks, n_contested, small, large, costs: (f64, f64)| ClassSummary {
        difficulty,
        n_tasks,
        n_contested,
        small_success: small,
        large_success: large,
        small_mean_cost_usd: costs.0,
        large_mean_cost_usd: costs.1,
    };
    let spending = |policy_id: &str, costs: [f64; 3]| PolicySpending {
        policy_id: policy_id.to_owned(),
        by_class: [(easy, 84, 0.97), (hard, 96, 0.80), (intractable, 20, 0.05)]
            .into_iter()
            .zip(costs)
            .map(|((difficulty, n_tasks, success), cost_usd_per_task)| ClassSpending {
                difficulty,
                n_tasks,
                success,
                cost_usd_per_task,
            })
            .collect(),
    };
    TaxonomySummary {
        classes: vec![
            class(easy, 258, 31, 0.84, 0.93, (0.0031, 0.0289)),
            class(hard, 287, 102, 0.24, 0.86, (0.0066, 0.0401)),
            class(intractable, 55, 12, 0.0, 0.0, (0.0092, 0.0713)),
        ],
        spending: vec![
            spending("always-small", [0.0013, 0.0031, 0.0008]),
            spending("bopo", [0.0017, 0.0121, 0.0019]),
            spending("always-large", [0.0121, 0.0192, 0.0071]),
        ],
        spending_scope:
            "The 200 test tasks, classed by their own episodes of the two boundary policies in this evaluation."
                .to_owned(),
    }
}

fn curve(variant: &str, seed: u64) -> TrainingCurve {
    let points = (0..60).map(|iteration| {
        let progress = 1.0 - (-f64::from(iteration) / 15.0).exp();
        let wave = (f64::from(iteration) * 0.9 + seed as f64).sin() * 0.015;
        TrainingPoint {
            n_env_steps: f64::from(iteration + 1) * 2_400.0,
            mean_return: 0.35 + 0.3 * progress + wave,
            success_rate: 0.48 + 0.28 * progress + wave,
            large_share: 0.5 - 0.2 * progress + wave,
            kl: if variant == "grpo" { f64::NAN } else { 0.4 * progress + wave.abs() },
            entropy: 0.68 - 0.4 * progress + wave,
        }
    });
    TrainingCurve { variant: variant.to_owned(), seed, points: points.collect() }
}

fn episode(budget: Budget, is_success: bool, n_models: usize) -> EpisodeTrace {
    let observations = [
        "You are in the middle of a room. Looking quickly around you, you see a cabinet 1, a cabinet 2, a countertop 1, a fridge 1, a microwave 1, a sinkbasin 1 and a stoveburner 1.",
        "On the countertop 1, you see a knife 2, a lettuce 1, a mug 1 and a tomato 2.",
        HOSTILE,
        "Nothing happens.",
    ];
    let commands = [
        "go to countertop 1",
        "take tomato 2 from countertop 1",
        "go to microwave 1",
        "heat tomato 2 with microwave 1",
    ];
    let mut large_left = if let Budget::LargeCalls(calls) = budget { calls } else { u32::MAX };
    let mut usd_left = if let Budget::Usd(cap) = budget { cap.get() } else { u64::MAX };
    let steps = (0..14_usize).map(|position| {
        let wanted = if position % 3 == 0 { n_models - 1 } else { position % n_models };
        let fits = |model: usize| (model + 1 < n_models || large_left > 0) && (model == 0 || usd_left > 3_500_000);
        let action = if fits(wanted) { wanted } else { 0 };
        let options = (0..n_models).map(|model| OptionTrace {
            is_allowed: fits(model),
            probability: Some(if model == action { 0.78 } else { 0.22 / (n_models - 1) as f64 }),
            worst_case: NanoUsd::new(if model == 0 { 700_000 } else { 3_500_000 }),
        });
        let options = options.collect();
        let cost = NanoUsd::new((if action == 0 { 60_000 } else { 2_300_000 }) + position as u64 * 2_000);
        large_left -= u32::from(action + 1 == n_models && large_left != u32::MAX);
        usd_left = usd_left.saturating_sub(cost.get());
        StepTrace {
            action,
            options,
            cost,
            observation: if position == 5 { observations[0].repeat(6) } else { observations[position % 4].to_owned() },
            completion: commands[position % 4].to_owned(),
        }
    });
    EpisodeTrace {
        caption: "A hard task under a cap".to_owned(),
        task_id: "household-test-0042".to_owned(),
        instruction: "put a hot tomato in the fridge".to_owned(),
        difficulty: Some(Difficulty::Hard),
        policy_id: "bopo".to_owned(),
        lambda: 0.3,
        budget,
        ending: if is_success { Ending::Terminated } else { Ending::Horizon },
        is_success,
        score: f64::from(u8::from(is_success)),
        steps: steps.collect(),
    }
}
