"""What the labels mean that docstrings, records and pages cite: each with its sentence, its functions and its page.

Knows: the statements by name, of arXiv 2601.22513 (equations, theorems, lemmas), of this project (P1, P2, ...) and its
warnings (Care 1, ...); `docs/theory/labels.md` lists the same. Refuses to know formulas and proofs.
"""

import re
from dataclasses import dataclass
from typing import Literal

Kind = Literal["definition", "identity", "bound", "rate", "care"]


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement.

    Attributes:
        label: as it is cited; of equations possibly a range.
        kind: "definition", "identity", "bound" (explicit constants, or the universal one as an argument), "rate" (an
            order of magnitude), or "care" (what must be said beside a result). Identities, bounds and rates that have
            functions are checked by `srlm verify`.
        page: file in `docs/theory` without its ending.
        sentence: the claim.
        functions: dotted names below `srlm.theory`; none where the statement only enters through others.
    """

    label: str
    kind: Kind
    page: str
    sentence: str
    functions: tuple[str, ...]

    @property
    def anchor(self) -> str:
        """Where it stands: "sharpening#p3", "iterating#theorem-5-3"."""
        return f"{self.page}#{re.sub('[^a-z0-9]+', '-', self.label.lower())}"


def _statement(label: str, kind: Kind, page: str, sentence: str, functions: str = "") -> tuple[str, Statement]:
    return label, Statement(label, kind, page, sentence, tuple(functions.split()))


STATEMENTS: dict[str, Statement] = dict((
    _statement("section 1", "definition", "setting", "Policies, kappa, margin, confidence, failure, and a round.",
               "conditioning.condition conditioning.failure_rate conditioning.mode_fails "
               "conditioning.mean_probability conditioning.log_mass"),
    _statement("section 2", "definition", "sharpening", "What exact rounds do."),
    _statement("section 3", "definition", "one-step", "What one round from samples cannot do, and its examples.",
               "lower_bound.near_uniform_kappa lower_bound.autoregressive_kappa"),
    _statement("section 4", "definition", "iterating", "What several rounds guarantee."),
    _statement("section 5", "definition", "linear-softmax", "Linear softmax: covering numbers, d_lambda, Fisher.",
               "spectrum.effective_dimension spectrum.log_covering_number spectrum.fisher_spectrum"),
    _statement("eq. 1", "definition", "setting", "The self-reward is log pi_t(y|x), summed over tokens."),
    _statement("eq. 3", "definition", "setting", "A round is least squares of beta * log-ratios on reward differences.",
               "objective.residual objective.pair_differences objective.residual_rms"),
    _statement("eq. 5", "definition", "setting", "kappa(pi) = E_x[1/pi(y*(x)|x)].",
               "conditioning.policy_condition_number conditioning.log_policy_condition_number"),
    _statement("definition 5.2", "definition", "setting", "Margin gamma and minimum confidence c over rounds.",
               "conditioning.condition conditioning.log_min_confidence"),
    _statement("P1", "identity", "setting", "Log-probabilities recorded while sampling are reward and reference.",
               "objective.self_reward_residual objective.residual"),
    _statement("P2", "identity", "setting", "All pairs of a group cost one sum over its K responses.",
               "objective.group_rows objective.group_loss objective.residual_rms"),
    _statement("eq. 12-14", "identity", "sharpening", "An exact round is pi_t to the power s = 1 + 1/beta, normalised.",
               "objective.sharpen contraction.exact_round_kappa_estimate "
               "contraction.log_exact_round_kappa_estimate"),
    _statement("P3", "bound", "sharpening", "An exact round shrinks kappa - 1 by exp(-gamma/beta); gamma grows by s.",
               "contraction.population_kappa_bound contraction.population_kappa_bounds contraction.population_margin "
               "contraction.population_kappa_bound_by_prompt contraction.log_population_kappa_bound_by_prompt"),
    _statement("P4", "bound", "sharpening", "With log-ratios off by eps kappa - 1 shrinks by e^(eps - gamma/beta).",
               "contraction.certified_kappa_bound contraction.certified_log_factor contraction.log_ratio_error"),
    _statement("P5", "identity", "sharpening", "Exact rounds move no mode: accuracy ends at that of the first modes.",
               "objective.sharpen"),
    _statement("P6", "bound", "sharpening", "Best-first search proves a mode in at most 1 + (L-1)/pi(y*|x) expansions.",
               "contraction.expansions_bound"),
    _statement("theorem 4.1", "rate", "one-step", "One round of n samples fails at a rate of at least eps* somewhere.",
               "lower_bound.failure_lower_bound lower_bound.failure_at_level"),
    _statement("eq. 6", "rate", "one-step", "eps* has order sqrt(kappa_0 log|Pi| / (n log(n kappa_0/log|Pi|))).",
               "lower_bound.failure_lower_bound_asymptotic"),
    _statement("eq. 99", "identity", "one-step", "eps* in closed form, by the lower branch of Lambert W.",
               "lower_bound.failure_at_level"),
    _statement("eq. 100", "rate", "one-step", "eps* ~ sqrt(2a / log(e^2 kappa_0^2/(2a))) for large n.",
               "lower_bound.failure_lower_bound_asymptotic"),
    _statement("appendix D", "definition", "one-step", "The hard instance: hidden favourites among M responses.",
               "lower_bound.hard_instance_kappa"),
    _statement("P7", "identity", "one-step", "Exact failure of the best learner on the hard instance; the worst one.",
               "lower_bound.bayes_failure lower_bound.worst_hard_instance"),
    _statement("proposition 4.3", "identity", "one-step", "For q < 1/2 greedy decoding can miss a mode; above never.",
               "lower_bound.greedy_trap lower_bound.greedy_finds_mode"),
    _statement("Care 1", "care", "one-step", "Theorem 4.1 speaks of kappa_0 >= 2 only."),
    _statement("Care 2", "care", "one-step", "Theorem 4.1 has a constant C0 of its own, so it is a rate."),
    _statement("Care 3", "care", "one-step", "Theorem 4.1 is about sampling; search is outside it."),
    _statement("lemma C.1", "bound", "iterating", "fail(delta) <= (J(pi*) - J(pi)) / (gamma*delta).",
               "contraction.failure_from_suboptimality"),
    _statement("lemma C.2", "bound", "iterating", "E_pi[f] <= sqrt(C_pi) sqrt(E_{pi_t}[f^2]): change of measure.",
               "contraction.change_of_measure_bound"),
    _statement("lemma C.3", "bound", "iterating", "Failure rates bound kappa (read as the step to eq. 52-56).",
               "contraction.tail_integral_bound"),
    _statement("lemma C.4", "bound", "iterating", "F contracts by q above its fixed point (read so; eq. 59-66).",
               "contraction.recurrence"),
    _statement("eq. 43", "bound", "iterating", "fail_{t+1}(delta) <= min(1, A_t/delta).",
               "contraction.one_round_failure_bound contraction.failure_coefficient contraction.statistical_error"),
    _statement("eq. 52-56", "bound", "iterating", "kappa_{t+1} <= 1 + integral_1^{1/c} min{1, A s/(s-1)} ds.",
               "contraction.tail_integral_bound"),
    _statement("eq. 59-66", "rate", "iterating", "kappa_{t+1} <= a + d sqrt(kappa_t), its fixed point and factor q.",
               "contraction.recurrence"),
    _statement("theorem 5.3", "bound", "iterating", "fail_T(delta): a stable and a transient term, beta ~ n^(-1/2).",
               "guarantees.failure_bound guarantees.beta_of_order"),
    _statement("eq. 7", "bound", "iterating", "Theorem 5.3's inequality.", "guarantees.failure_bound"),
    _statement("corollary 5.7", "bound", "iterating", "Rounds after which the transient is the smaller term.",
               "guarantees.rounds_to_suppress guarantees.stable_failure_bound"),
    _statement("eq. 8", "bound", "iterating", "Corollary 5.7's bound (read so).", "guarantees.stable_failure_bound"),
    _statement("Care 4", "care", "iterating", "C carries the range of the rewards in nats."),
    _statement("Care 5", "care", "iterating", "Theorem 5.3 holds for beta of order n^(-1/2) only."),
    _statement("theorem 6.2", "bound", "linear-softmax", "log|Pi| becomes d log(1 + 4Bn).",
               "guarantees.linear_softmax_log_class_size"),
    _statement("lemma F.4", "bound", "linear-softmax", "The squared residual changes by at most 8 beta Bc eps.",
               "spectrum.loss_lipschitz_bound"),
    _statement("eq. 149", "bound", "linear-softmax", "d_lambda <= k + (1/lambda) sum_{i>k} lambda_i.",
               "spectrum.effective_dimension_bound"),
    _statement("corollary 6.4", "rate", "linear-softmax", "d_lambda takes the place of d.",
               "guarantees.linear_softmax_log_class_size"),
    _statement("lemma G.2", "rate", "linear-softmax", "Metric entropy in the Sigma-norm scales with d_lambda."),
    _statement("assumption G.3", "definition", "linear-softmax", "Eigenvalues decay: exponentially, or as a power."),
    _statement("lemma G.4", "bound", "linear-softmax", "d_lambda in the regimes A (exponential), B (power), C (spike).",
               "spectrum.exponential_decay_bound spectrum.polynomial_decay_bound spectrum.spike_bound"),
    _statement("corollary G.5", "rate", "linear-softmax", "Regime A: order log(1/lambda)/a.",
               "spectrum.exponential_decay_bound"),
    _statement("corollary G.6", "rate", "linear-softmax", "Regime B: order (C/lambda)^(1/p).",
               "spectrum.polynomial_decay_bound"),
))  # fmt: skip
