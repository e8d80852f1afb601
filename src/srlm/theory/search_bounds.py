"""What is certain after training towards modes that search has proved (P9).

Knows: failure rates after fitting known targets at n prompts, in a class chosen beforehand or held out. Refuses to know
how targets were found, and to hide a constant: every number here is a bound as it stands.

Arguments: log_class_size: log|Pi| >= 0 in nats; prompts: n >= 1 of them with a known target; mass_slack: delta in
(0, 1), target_slack: delta' in [0, delta); rho in (0, 1). Outside its domain an argument raises `InputError`.
"""

from typing import Any

import numpy as np

from srlm.errors import InputError
from srlm.theory._domain import Array, real, result
from srlm.theory._logs import Late
from srlm.theory.guarantees import linear_softmax_log_class_size

optimize: Any = Late("scipy.optimize")
special: Any = Late("scipy.special")


def search_failure_bound(
    log_class_size: Array,
    prompts: Array,
    *,
    loss: Array = 0.0,
    mass_slack: Array = 0.5,
    rho: Array = 0.05,
    eta: float | None = None,
    threshold: Array | None = None,
) -> Array:
    """P9: with probability >= 1-rho, for all pi of the class at once, P_x(KL_x(pi) >= k) <=
    [log(|Pi|/rho) + eta*sum_i KL_{x_i}(pi)]/(n (1 - exp(-eta k))); (a) targets are certified modes, k = -log(1-delta):
    fail(delta) <= [log(|Pi|/rho) + eta*NLL]/(n (1 - (1-delta)^eta)). A bound without hidden constants.

    Assumptions (trusted): prompts i.i.d., the class fixed before they were seen, and so was eta: where the loss reached
    decides between two values of eta, give each rho/2.

    Args:
        loss: NLL >= 0, sum over them of -log pi(y*(x_i)|x_i) as reached, or of KL_{x_i}; 0, the default, says instead
            that every one of them is fitted to pi(y*) > 1-delta (KL < k): the limit of large eta, log(|Pi|/rho)/n.
        eta: > 0; default 1 where a loss is given.
        threshold: k > 0 in nats instead of -log(1-delta), for targets Q_x that are distributions (P8).

    Returns:
        The bound; at 1 and above it says nothing.

    >>> search_failure_bound(np.log(1e6), 200, loss=3).__round__(10)
    0.1981124283
    """
    size, n = real("log_class_size", log_class_size, 0), real("prompts", prompts, 1)
    reached = real("loss", loss, 0)
    slack = real("mass_slack", mass_slack, 0, 1, open_low=True, open_high=True)
    k = -np.log1p(-slack) if threshold is None else real("threshold", threshold, 0, open_low=True)
    complexity = size - np.log(real("rho", rho, 0, 1, open_low=True, open_high=True))
    strength = 1.0 if eta is None else float(real("eta", eta, 0, open_low=True))
    with np.errstate(over="ignore", divide="ignore"):
        bound = (complexity + strength * reached) / (n * -np.expm1(-strength * k))
    return result(np.where(reached == 0, complexity / n, bound) if eta is None else bound)


def linear_softmax_search_bound(
    dimension: Array,
    radius: Array,
    prompts: Array,
    *,
    loss: Array,
    mass_slack: Array = 0.5,
    rho: Array = 0.05,
    eta: float = 1.0,
) -> Array:
    """P9 (c): linear softmax of dimension d > 0 in a ball of radius B > 0; log|Pi| becomes d*log(1+4Bn), NLL becomes
    NLL + 2. As `search_failure_bound`, but a loss of 0 is a loss.
    """
    size, reached = linear_softmax_log_class_size(dimension, radius, prompts), real("loss", loss, 0) + 2
    return search_failure_bound(size, prompts, loss=reached, mass_slack=mass_slack, rho=rho, eta=eta)


def held_out_failure_bound(failures: Array, prompts: Array, rho: Array = 0.05) -> Array:
    """P9 (d): Clopper-Pearson, with probability >= 1-rho: f of n certified prompts that were not trained on fail. No
    class, no constant, never vacuous below f = n; at f = 0 it is 1 - rho^(1/n) <= log(1/rho)/n. f lies in [0, n], n in
    [1, 1e12], rho in [1e-300, 1).

    >>> held_out_failure_bound(0, 200).__round__(10)
    0.0148670392
    """
    n, level = real("prompts", prompts, 1, 1e12), real("rho", rho, 1e-300, 1, open_high=True)
    f = real("failures", failures, 0)
    if (f > n).any():
        raise InputError(f"failures is {f.max():g}; it must not exceed prompts, {n.min():g}")
    with np.errstate(invalid="ignore"):
        return result(np.where(f < n, special.betainccinv(f + 1, np.maximum(n - f, 1e-300), level), 1.0))


def hellinger_gap(mass_slack: Array, target_slack: Array) -> Array:
    """P9 (b): h2 = 2*(1 - sqrt((1-delta)(1-delta')) - sqrt(delta*delta')), the least squared Hellinger distance between
    a target with Q(y*) >= 1-delta' and a policy that fails.
    """
    slack = real("mass_slack", mass_slack, 0, 1, open_low=True, open_high=True)
    target = real("target_slack", target_slack, 0, 1, open_high=True)
    if (target >= slack).any():
        raise InputError(f"target_slack is {target.max():g}; it must be below mass_slack, {slack.min():g}")
    # As a sum of squares: near delta' = delta the written form cancels.
    return result((np.sqrt(1 - target) - np.sqrt(1 - slack)) ** 2 + (np.sqrt(slack) - np.sqrt(target)) ** 2)


def sampled_target_failure_bound(
    log_class_size: Array, prompts: Array, *, target_slack: Array, mass_slack: Array = 0.5, rho: Array = 0.05
) -> Array:
    """P9 (b): labels drawn from Q_x, Q in Pi, maximum likelihood: E_x H^2 <= 2*log(|Pi|/rho)/n, and with Q_x(y*) >=
    1-delta' everywhere fail(delta) <= 2*log(|Pi|/rho)/(n*h2).
    """
    size, n = real("log_class_size", log_class_size, 0), real("prompts", prompts, 1)
    complexity = size - np.log(real("rho", rho, 0, 1, open_low=True, open_high=True))
    with np.errstate(over="ignore", divide="ignore"):
        return result(2 * complexity / (n * np.asarray(hellinger_gap(mass_slack, target_slack))))


def worst_search_failure(kappa0: float, prompts: float, informative_prompts: int = 1, bias: float = 1.0) -> float:
    """P9 on the hard instance of P7: a learner that searches errs only where a prompt was never seen, p*(1-p/d)^n*(1 -
    1/M), here at the adversary's best p. `worst_hard_instance` says what sampling does on its own worst instance.
    kappa_0 (at 1 the failure rate is 0), n and d lie in [1, 1e100], g = `bias` in (0, 1e100].

    >>> worst_search_failure(50, 1000, 4).__round__(10)
    0.0014707225
    """
    kappa, n = float(real("kappa0", kappa0, 1, 1e100)), float(real("prompts", prompts, 1, 1e100))
    d = float(real("informative_prompts", informative_prompts, 1, 1e100))
    g = float(real("bias", bias, 0, 1e100, open_low=True))
    if kappa == 1:
        return 0.0
    spread = (1 + g) * (kappa - 1)  # M = (1+g) + spread/p

    def log_success(log_p: float) -> float:
        p = np.exp(log_p)
        with np.errstate(divide="ignore"):
            return np.log1p(spread / p + g) - np.log(spread / p + g) - log_p - n * np.log1p(-p / d)

    inner = optimize.minimize_scalar(
        log_success, bounds=(np.log(1e-300), 0.0), method="bounded", options={"xatol": 1e-9}
    )
    return float(np.exp(-min(inner.fun, log_success(0.0))))
