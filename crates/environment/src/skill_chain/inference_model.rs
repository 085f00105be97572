//! What cues and failed attempts say about the hidden state, by Bayes' rule.

use super::chain::TaskKind;
use super::rules::{Caller, IMPOSSIBLE, MAX_SUBGOALS, MIN_SUBGOALS, N_CUES, N_SKILLS, cue_chance};

/// How many of a set of subgoals show each cue.
pub(crate) type CueCounts = [usize; N_CUES];

/// Weights of skills, the impossible one last.
pub(crate) type SkillWeights = [f64; N_SKILLS];

/// What is known of a subgoal before its first attempt.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct SubgoalPrior {
    /// Probabilities of its skill.
    pub(crate) skills: SkillWeights,
    /// Expected weight of a unit of cost at lambda 1, by skill: it depends on the task, and so on its kind.
    pub(crate) inverse_scale: SkillWeights,
}

/// Expected weight of a unit of cost at lambda 1: one over the span of the costs of the boundary policies. By length of the
/// chain, from the shortest, and by kind.
pub(crate) type InverseScales = [[f64; TaskKind::ALL.len()]; MAX_SUBGOALS - MIN_SUBGOALS + 1];

/// The prior's consequences: what a cue says about the skill, per mixture of skills, and about the scale of the cost.
#[derive(Debug, Clone)]
pub(crate) struct CueModel {
    inverse_scales: InverseScales,
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
    /// Expected weight of a unit of cost at lambda 1, by kind.
    inverse_scale: [f64; TaskKind::ALL.len()],
}

impl CueModel {
    pub(crate) fn new(inverse_scales: InverseScales) -> Self {
        let harder = Mixture::new(TaskKind::Harder);
        let impossible_fit = std::array::from_fn(|cue| cue_chance(cue, IMPOSSIBLE) / harder.cue[cue]);
        Self { inverse_scales, easy: Mixture::new(TaskKind::Easy), harder, impossible_fit }
    }

    /// The kinds' weights when the cues of the whole chain are known and nothing was tried.
    pub(crate) fn kinds(&self, cues: &CueCounts) -> KindWeights {
        let likelihood = |mixture: &Mixture| -> f64 {
            mixture.cue.iter().zip(cues).map(|(chance, &count)| chance.powf(count as f64)).product()
        };
        let n_subgoals: usize = cues.iter().sum();
        let (easy, harder) = (likelihood(&self.easy), likelihood(&self.harder));
        KindWeights {
            easy: TaskKind::Easy.share() * easy,
            harder: TaskKind::Harder.share() * harder,
            impossible: TaskKind::Impossible.share() * harder / n_subgoals as f64,
            inverse_scale: self.inverse_scales[n_subgoals.clamp(MIN_SUBGOALS, MAX_SUBGOALS) - MIN_SUBGOALS],
        }
        .scaled()
    }

    /// What is known of the current subgoal, given its cue and the cues after it.
    pub(crate) fn prior(&self, kinds: &KindWeights, cue: usize, later_cues: &CueCounts) -> SubgoalPrior {
        let impossible_later: f64 =
            self.impossible_fit.iter().zip(later_cues).map(|(fit, &count)| fit * count as f64).sum();
        let later = kinds.impossible * impossible_later;
        let here = kinds.impossible * self.impossible_fit[cue];
        let total = kinds.easy + kinds.harder + later + here;
        let [scale_easy, scale_harder, scale_impossible] = kinds.inverse_scale;
        let mut prior = SubgoalPrior { skills: [here / total; N_SKILLS], inverse_scale: [scale_impossible; N_SKILLS] };
        for skill in 0..N_CUES {
            let (in_easy, in_harder) = (self.easy.skill[cue][skill], self.harder.skill[cue][skill]);
            let weight = kinds.easy * in_easy + (kinds.harder + later) * in_harder;
            let scaled = kinds.easy * in_easy * scale_easy
                + (kinds.harder * scale_harder + later * scale_impossible) * in_harder;
            prior.skills[skill] = weight / total;
            prior.inverse_scale[skill] = scaled / weight;
        }
        prior
    }

    /// The kinds' weights after a subgoal with `cue` was solved; `likelihood` is the chance, for each skill, of the way in
    /// which it was.
    pub(crate) fn after_solving(&self, kinds: &KindWeights, cue: usize, likelihood: &SkillWeights) -> KindWeights {
        let chance = |mixture: &Mixture| -> f64 { mixture.skill[cue].iter().zip(likelihood).map(|(p, l)| p * l).sum() };
        let (easy, harder) = (chance(&self.easy), chance(&self.harder));
        // The impossible subgoal is not behind us, so what was solved was one of the harder mixture.
        KindWeights {
            easy: kinds.easy * easy,
            harder: kinds.harder * harder,
            impossible: kinds.impossible * harder,
            ..*kinds
        }
        .scaled()
    }
}

impl KindWeights {
    fn scaled(self) -> Self {
        let total = self.easy + self.harder + self.impossible;
        Self { easy: self.easy / total, harder: self.harder / total, impossible: self.impossible / total, ..self }
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

    /// Mean of `values`, which are by skill, given the failures.
    pub(crate) fn mean(&self, values: &SkillWeights) -> f64 {
        let weight = |skill: usize| self.alive[skill] + self.lost[skill];
        let total: f64 = (0..N_SKILLS).map(weight).sum();
        (0..N_SKILLS).map(|skill| weight(skill) * values[skill]).sum::<f64>() / total
    }

    /// Chance of the failures followed by a success of `caller`, by skill.
    pub(crate) fn then_success_of(&self, caller: Caller) -> SkillWeights {
        std::array::from_fn(|skill| self.alive[skill] * caller.success(skill, self.confusion))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCALES: InverseScales = [[0.02, 0.01, 0.002]; 9];

    #[test]
    fn an_easy_looking_chain_is_probably_easy() {
        let model = CueModel::new(SCALES);
        let kinds = model.kinds(&[4, 3, 1, 0, 0, 0]);
        assert!(kinds.easy > 0.9, "{kinds:?}");
        assert!(model.kinds(&[1, 1, 1, 2, 2, 1]).easy < 0.01);
    }

    /// By hand for the harder mixture alone: P(cue 5) = .82 * .12 + .036 * .88 = .13008, so P(skill 5 | cue 5) = .75646.
    #[test]
    fn a_cue_updates_the_skill_by_bayes_rule() {
        let model = CueModel::new(SCALES);
        let kinds = KindWeights { easy: 0.0, harder: 1.0, impossible: 0.0, inverse_scale: SCALES[0] };
        let skills = model.prior(&kinds, 5, &[0; N_CUES]).skills;
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
