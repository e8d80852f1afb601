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
        kind: "definition", "identity", "bound" (explicit constants), "rate" (a constant that nobody knows), or "care"
            (what must be said beside a result). Identities, bounds and rates with functions are checked by `srlm
            verify`.
        page: file in `docs/theory` without its ending.
        sentence: the claim.
        functions: names in `srlm.theory`; none where the statement only enters through others.
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


# By page: label, kind, sentence, functions.
_ROWS: dict[str, tuple[tuple[str, Kind, str, str], ...]] = {
    "setting": (
        ("section 1", "definition", "Policies, kappa, margin, confidence, failure, and a round.",
         "condition failure_rate mode_fails mean_probability log_mass"),
        ("eq. 1", "definition", "The self-reward is log pi_t(y|x), summed over tokens.", ""),
        ("eq. 3", "definition", "A round is least squares of beta * log-ratios on reward differences.",
         "residual pair_differences residual_rms"),
        ("eq. 5", "definition", "kappa(pi) = E_x[1/pi(y*(x)|x)].",
         "policy_condition_number log_policy_condition_number"),
        ("definition 5.2", "definition", "Margin gamma and minimum confidence c over rounds.",
         "condition log_min_confidence"),
        ("P1", "identity", "Log-probabilities recorded while sampling are reward and reference.",
         "self_reward_residual residual"),
        ("P2", "identity", "All pairs of a group cost one sum over its K responses.",
         "group_rows group_loss residual_rms"),
    ),
    "sharpening": (
        ("section 2", "definition", "What exact rounds do.", ""),
        ("eq. 12-14", "identity", "An exact round is pi_t to the power s = 1 + 1/beta, normalised.", "sharpen"),
        ("P3", "bound", "An exact round shrinks kappa - 1 by exp(-gamma/beta); gamma grows by s.",
         "population_kappa_bound population_kappa_bounds population_margin population_kappa_bound_by_prompt "
         "log_population_kappa_bound_by_prompt"),
        ("P4", "bound", "With log-ratios off by eps kappa - 1 shrinks by e^(eps - gamma/beta).",
         "certified_kappa_bound certified_log_factor log_ratio_error"),
        ("P5", "identity", "Exact rounds move no mode: accuracy ends at that of the first modes.", "sharpen"),
        ("P6", "bound", "Best-first search proves a mode in at most 1 + (L-1)/pi(y*|x) expansions.",
         "expansions_bound"),
    ),
    "one-step": (
        ("section 3", "definition", "What one round from samples cannot do, and its examples.",
         "near_uniform_kappa autoregressive_kappa"),
        ("theorem 4.1", "rate", "One round of n samples fails at a rate of at least eps* somewhere.",
         "failure_lower_bound failure_at_level"),
        ("eq. 6", "rate", "eps* has order sqrt(kappa_0 log|Pi| / (n log(n kappa_0/log|Pi|))).",
         "failure_lower_bound_asymptotic"),
        ("eq. 99", "identity", "eps* in closed form, by the lower branch of Lambert W.", "failure_at_level"),
        ("eq. 100", "rate", "eps* ~ sqrt(2a / log(e^2 kappa_0^2/(2a))) for large n.", "failure_lower_bound_asymptotic"),
        ("appendix D", "definition", "The hard instance: hidden favourites among M responses.", "hard_instance_kappa"),
        ("P7", "identity", "Exact failure of the best learner on the hard instance; the worst one.",
         "bayes_failure worst_hard_instance worst_hard_instance_within"),
        ("proposition 4.3", "identity", "For q < 1/2 greedy decoding can miss a mode; above never.",
         "greedy_trap greedy_finds_mode"),
        ("Care 1", "care", "Theorem 4.1 speaks of kappa_0 >= 2 only.", ""),
        ("Care 2", "care", "Theorem 4.1 has a constant C0 of its own, so it is a rate.", ""),
        ("Care 3", "care", "Theorem 4.1 is about sampling; search is outside it.", ""),
    ),
    "iterating": (
        ("section 4", "definition", "What several rounds guarantee.", ""),
        ("lemma C.1", "bound", "fail(delta) <= (J(pi*) - J(pi)) / (gamma*delta).", "failure_from_suboptimality"),
        ("lemma C.2", "bound", "E_pi[f] <= sqrt(C_pi) sqrt(E_{pi_t}[f^2]): change of measure.",
         "change_of_measure_bound"),
        ("lemma C.3", "bound", "Failure rates bound kappa (read as the step to eq. 52-56).", "tail_integral_bound"),
        ("lemma C.4", "bound", "F contracts by q above its fixed point (read so; eq. 59-66).", "recurrence"),
        ("eq. 43", "bound", "fail_{t+1}(delta) <= min(1, A_t/delta).",
         "one_round_failure_bound failure_coefficient statistical_error"),
        ("eq. 52-56", "bound", "kappa_{t+1} <= 1 + integral_1^{1/c} min{1, A s/(s-1)} ds.", "tail_integral_bound"),
        ("eq. 59-66", "rate", "kappa_{t+1} <= a + d sqrt(kappa_t), its fixed point and factor q.", "recurrence"),
        ("theorem 5.3", "rate", "fail_T(delta): a stable and a transient term, beta ~ n^(-1/2).",
         "failure_bound beta_of_order"),
        ("eq. 7", "rate", "Theorem 5.3's inequality.", "failure_bound"),
        ("corollary 5.7", "rate", "Rounds after which the transient is the smaller term.",
         "rounds_to_suppress stable_failure_bound"),
        ("eq. 8", "rate", "Corollary 5.7's bound (read so).", "stable_failure_bound"),
        ("Care 4", "care", "C carries the range of the rewards in nats.", ""),
        ("Care 5", "care", "Theorem 5.3 holds for beta of order n^(-1/2) only.", "failure_bound_at_beta"),
    ),
    "linear-softmax": (
        ("section 5", "definition", "Linear softmax: covering numbers, d_lambda, Fisher.",
         "effective_dimension log_covering_number fisher_spectrum"),
        ("theorem 6.2", "rate", "log|Pi| becomes d log(1 + 4Bn).", "linear_softmax_log_class_size"),
        ("lemma F.4", "bound", "The squared residual changes by at most 8 beta Bc eps.", "loss_lipschitz_bound"),
        ("eq. 149", "bound", "d_lambda <= k + (1/lambda) sum_{i>k} lambda_i.", "effective_dimension_bound"),
        ("corollary 6.4", "rate", "d_lambda takes the place of d.", "linear_softmax_log_class_size"),
        ("lemma G.2", "rate", "Metric entropy in the Sigma-norm scales with d_lambda.", ""),
        ("assumption G.3", "definition", "Eigenvalues decay: exponentially, or as a power.", ""),
        ("lemma G.4", "bound", "d_lambda in the regimes A (exponential), B (power), C (spike).",
         "exponential_decay_bound polynomial_decay_bound spike_bound"),
        ("corollary G.5", "rate", "Regime A: order log(1/lambda)/a.", "exponential_decay_bound"),
        ("corollary G.6", "rate", "Regime B: order (C/lambda)^(1/p).", "polynomial_decay_bound"),
    ),
    "projection": (
        ("P8", "bound", "What known responses certify about an exact round, and what the projection onto them does.",
         "projection_weights projection_divergence exact_round_bracket log_exact_round_bracket outside_estimate "
         "mean_bracket target_divergence"),
    ),
    "search": (
        ("P9", "bound", "Failure after fitting n proved targets: log(|Pi|/rho) + loss over n, no constant; held out.",
         "search_failure_bound linear_softmax_search_bound sampled_target_failure_bound hellinger_gap "
         "held_out_failure_bound worst_search_failure"),
    ),
    "answers": (
        ("P10", "identity", "With answer rewards a round gives pi_A^s and keeps pi(y|a); what counts aim at.",
         "answer_logprobs answer_round answer_weights plugin_target regression_target known_answers matching_beta "
         "majority_accuracy pass_at"),
    ),
    "certificates": (
        ("P11", "bound", "Certificates of a majority from draws, valid at every number of draws at once.",
         "majority_evidence majority_evidences majority_bracket majorities simultaneous_bracket certified_prompts "
         "draws_needed"),
    ),
    "forecast": (
        ("P12", "bound", "K_t is within exp(beta*eps*(S-1)) of exact rounds; the forecast of rounds to come.",
         "forecast answer_forecast forecast_error_bound drift_chance"),
    ),
}  # fmt: skip

STATEMENTS: dict[str, Statement] = {
    label: Statement(label, kind, page, sentence, tuple(functions.split()))
    for page, rows in _ROWS.items()
    for label, kind, sentence, functions in rows
}
