//! What cues and failed attempts say about the hidden state, by Bayes' rule.

use super::chain::TaskKind;
use super::rules::{Caller, IMPOSSIBLE, N_CUES, N_SKILLS, cue_chance};

/// How many of a set of subgoals show each cue.
pub(crate) type CueCounts = [usize; N_CUES];

/// Weights of skills, the impossible one last.
pub(crate) type SkillWeights = [f64; N_SKILLS];

/// The prior's consequences: what a cue says about the skill, per mixture of skills.
#[derive(Debug, Clone)]
pub(crate) struct CueModel {
    easy: Mixture,
    harder: Mixture,
    /// How much better a cue fits the impossible skill than a skill of the harder mixture.
    impossible_fit: [f64; N_CUES],
}

#[derive(Debug, Clone)]
struct Mixture {
    /// Probability of a cue.
    cue: [f64; N_CUES],
    /// Probability of a possible skill, given the cue.
    skill: [[f64; N_CUES]; N_CUES],
}

impl Mixture {
    fn new(kind: TaskKind) -> Self {
        let weights = kind.skill_weights();
        let joint: [[f64; N_CUES]; N_CUES] =
            std::array::from_fn(|cue| std::array::from_fn(|skill| weights[skill] * cue_chance(cue, skill)));
        let cue = joint.map(|row| row.iter().sum::<f64>());
        let skill = std::array::from_fn(|c| joint[c].map(|weight| weight / cue[c]));
        Self { cue, skill }
    }
}

/// Weights of the kinds of task, given what was seen so far; they need not add up to 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct KindWeights {
    easy: f64,
    harder: f64,
    /// The impossible kind, per unit of fit: multiplied by a subgoal's `impossible_fit` it is the weight of the case that
    /// this very subgoal is the impossible one.
    impossible: f64,
}

impl CueModel {
    pub(crate) fn new() -> Self {
        let harder = Mixture::new(TaskKind::Harder);
        let impossible_fit = std::array::from_fn(|cue| cue_chance(cue, IMPOSSIBLE) / harder.cue[cue]);
        Self { easy: Mixture::new(TaskKind::Easy), harder, impossible_fit }
    }

    /// The kinds' weights when the cues of the whole chain are known and nothing was tried.
    pub(crate) fn kinds(&self, cues: &CueCounts) -> KindWeights {
        let likelihood = |mixture: &Mixture| -> f64 {
            mixture.cue.iter().zip(cues).map(|(chance, &count)| chance.powi(count as i32)).product()
        };
        let n_subgoals: usize = cues.iter().sum();
        let (easy, harder) = (likelihood(&self.easy), likelihood(&self.harder));
        KindWeights {
            easy: TaskKind::Easy.share() * easy,
            harder: TaskKind::Harder.share() * harder,
            impossible: TaskKind::Impossible.share() * harder / n_subgoals as f64,
        }
        .scaled()
    }

    /// Probabilities of the current subgoal's skill, given its cue and the cues after it.
    pub(crate) fn skills(&self, kinds: &KindWeights, cue: usize, later_cues: &CueCounts) -> SkillWeights {
        let impossible_later: f64 =
            self.impossible_fit.iter().zip(later_cues).map(|(fit, &count)| fit * count as f64).sum();
        let easy = kinds.easy;
        let harder = kinds.harder + kinds.impossible * impossible_later;
        let impossible = kinds.impossible * self.impossible_fit[cue];
        let total = easy + harder + impossible;
        let mut skills = [impossible / total; N_SKILLS];
        for (skill, probability) in skills[..N_CUES].iter_mut().enumerate() {
            *probability = (easy * self.easy.skill[cue][skill] + harder * self.harder.skill[cue][skill]) / total;
        }
        skills
    }

    /// The kinds' weights after a subgoal with `cue` was solved; `likelihood` is the chance, for each skill, of the way in
    /// which it was.
    pub(crate) fn after_solving(&self, kinds: &KindWeights, cue: usize, likelihood: &SkillWeights) -> KindWeights {
        let chance = |mixture: &Mixture| -> f64 { mixture.skill[cue].iter().zip(likelihood).map(|(p, l)| p * l).sum() };
        let (easy, harder) = (chance(&self.easy), chance(&self.harder));
        // The impossible subgoal is not behind us, so what was solved was one of the harder mixture.
        KindWeights { easy: kinds.easy * easy, harder: kinds.harder * harder, impossible: kinds.impossible * harder }
            .scaled()
    }
}

impl KindWeights {
    fn scaled(self) -> Self {
        let total = self.easy + self.harder + self.impossible;
        Self { easy: self.easy / total, harder: self.harder / total, impossible: self.impossible / total }
    }
}

/// Attempts at one subgoal, all of them failed: what they say, given the skill.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct FailedAttempts {
    /// Probability, or weight, of the failures without losing the task, by skill.
    pub(crate) alive: SkillWeights,
    /// Probability, or weight, of the failures with the task lost on the way, by skill.
    pub(crate) lost: SkillWeights,
    /// Small failures in a row.
    pub(crate) confusion: usize,
}

impl FailedAttempts {
    /// No attempt yet, each skill with its weight.
    pub(crate) const fn none(alive: SkillWeights) -> Self {
        Self { alive, lost: [0.0; N_SKILLS], confusion: 0 }
    }

    /// With one more failure of `caller`.
    pub(crate) fn and_failure_of(&self, caller: Caller) -> Self {
        let mut next = *self;
        for skill in 0..N_SKILLS {
            let fails = self.alive[skill] * (1.0 - caller.success(skill, self.confusion));
            next.alive[skill] = fails * (1.0 - caller.loss());
            next.lost[skill] += fails * caller.loss();
        }
        next.confusion = caller.confusion_after_failure(self.confusion);
        next
    }

    /// The weights under another prior of the skills.
    pub(crate) fn weighted(&self, prior: &SkillWeights) -> Self {
        let product = |weights: &SkillWeights| std::array::from_fn(|skill| weights[skill] * prior[skill]);
        Self { alive: product(&self.alive), lost: product(&self.lost), confusion: self.confusion }
    }

    /// Probability that the next attempt, by `caller`, succeeds, given the failures.
    pub(crate) fn success(&self, caller: Caller) -> f64 {
        let total: f64 = self.alive.iter().chain(&self.lost).sum();
        let succeeds: f64 =
            self.alive.iter().enumerate().map(|(skill, weight)| weight * caller.success(skill, self.confusion)).sum();
        succeeds / total
    }

    /// Chance of the failures followed by a success of `caller`, by skill.
    pub(crate) fn then_success_of(&self, caller: Caller) -> SkillWeights {
        std::array::from_fn(|skill| self.alive[skill] * caller.success(skill, self.confusion))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_easy_looking_chain_is_probably_easy() {
        let model = CueModel::new();
        let kinds = model.kinds(&[4, 3, 1, 0, 0, 0]);
        assert!(kinds.easy > 0.9, "{kinds:?}");
        assert!(model.kinds(&[1, 1, 1, 2, 2, 1]).easy < 0.01);
    }

    /// By hand for the harder mixture alone: P(cue 5) = .82 * .12 + .036 * .88 = .13008, so P(skill 5 | cue 5) = .75646.
    #[test]
    fn a_cue_updates_the_skill_by_bayes_rule() {
        let model = CueModel::new();
        let kinds = KindWeights { easy: 0.0, harder: 1.0, impossible: 0.0 };
        let skills = model.skills(&kinds, 5, &[0; N_CUES]);
        assert!((skills[5] - 0.0984 / 0.13008).abs() < 1e-9, "{skills:?}");
        assert!((skills.iter().sum::<f64>() - 1.0).abs() < 1e-12);
    }

    /// By hand: after a large failure at a subgoal of skill 5 (chance .6), alive .4 * .99 and lost .4 * .01.
    #[test]
    fn failures_say_that_the_task_may_be_lost() {
        let mut prior = [0.0; N_SKILLS];
        prior[5] = 1.0;
        let failed = FailedAttempts::none(prior).and_failure_of(Caller::Large);
        assert!((failed.alive[5] - 0.396).abs() < 1e-12 && (failed.lost[5] - 0.004).abs() < 1e-12);
        assert!((failed.success(Caller::Large) - 0.6 * 0.99).abs() < 1e-12);
    }
}
