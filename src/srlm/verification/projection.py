"""P8 and P12 checked: brackets of exact rounds, and forecasts, on policies that can be enumerated.

Knows: routes that share no code with `theory.projection` and `theory.forecasting`: sums over all responses, and rounds
made one by one. Refuses to know: logarithms of anything long.
"""

import math
from collections.abc import Iterator
from typing import Any

import mpmath
import numpy as np

from srlm.theory import forecasting, projection
from srlm.verification._check import Cases, Check, in_turn
from srlm.verification._policies import random_table


def _log(values: np.ndarray) -> np.ndarray:
    return np.log(np.maximum(values, 1e-300))


def _projection(rng: np.random.Generator) -> Iterator[Check]:
    weights, distance, sums, above, below, free, left, caps, means = (Cases() for _ in range(9))
    for trial in range(100):
        row, beta = random_table(rng, 1, 8)[0], float(10 ** rng.uniform(-0.7, 0.7))
        s = 1 + 1 / beta
        k = 8 if trial == 0 else int(rng.integers(1, 8))
        if trial == 1:  # all but the mode are known
            row, k = np.r_[np.full(7, 0.1), 0.3], 7
        known, rest = row[:k], row[k:]
        certified = bool(row.argmax() < k)
        raised = row**s / (row**s).sum()
        reward = rng.standard_normal(k)
        for rewards, one in ((None, known**s), (reward, known * np.exp(reward / beta))):
            weights.add(projection.projection_weights(np.log(known), beta, rewards), one / one.sum())
        q = known**s / (known**s).sum()
        outside = float(raised[k:].sum())
        if 1e-3 < outside < 0.999:  # nearer to the ends rounding decides
            found = [projection.projection_divergence(outside), projection.target_divergence(q, np.log(raised[:k]))]
            distance.add(found, float(q @ np.log(q / raised[:k])))
        # The rest in two prefixes and a part that was given up.
        split = [rest[j::3] for j in range(3)]
        dropped = (float(split[2].sum()), float(_log(split[2].max(initial=0.0))) if len(split[2]) else -np.inf)
        prefixes = _log(np.array([part.sum() for part in split[:2] if len(part)]))
        ends = projection.exact_round_bracket(np.log(known), prefixes, beta, certified=certified, dropped=dropped)
        exact = float(1 / raised.max())
        above.add(ends.upper, exact)
        below.add(exact, ends.lower)
        left.add(ends.tau, outside)
        unproved = projection.exact_round_bracket(np.log(known), prefixes, beta, certified=False, dropped=dropped)
        if trial:
            free.add(exact, unproved.lower)
        twice, seen = np.log(row)[:, None].repeat(2, axis=1), np.arange(8)[:, None].repeat(2, axis=1) < k
        estimate = row @ np.asarray(projection.outside_estimate(twice, seen, math.log(max(known)), beta))
        sums.add(estimate, (rest**s).sum() / max(known) ** s)
        capped = float((known**s).sum() + 1 - known.sum()) / max(known) ** s
        caps.add(projection.exact_round_bracket(np.log(known), [0.0], beta).upper, capped)  # the root alone is open
    # Long responses, tiny beta, and ends that are exactly where failure begins.
    weights.add(projection.projection_weights([-2000.0, -2001.0], 1.0), [1 / (1 + math.exp(-2)), 1 / (1 + math.exp(2))])
    weights.add(projection.projection_weights(np.log([0.4, 0.2]), 1e-300), [1, 0])
    yield weights.agree("P8 (i)", "the target is p exp(r/beta) on known responses", "transcription")
    yield distance.agree("P8 (i), distance", "KL(q || p^(S)) = -log(1 - tau)", "identity")
    sharp = 1 + 1e-9
    note = "100 random known sets, prefixes and dropped parts; one where all is known"
    yield above.dominate("P8 (iii), upper", "1/p^(S)(y*) <= (Z + T+)/l^S", sharp, note)
    yield below.dominate("P8 (iii), lower", "1/p^(S)(y*) >= Z/l^S where the mode is certified", sharp)
    note = "attained where all but the mode are known and tie"
    yield free.dominate("P8 (iii), unproved", "else >= min(Z/l^S, 1 + Z/U^S)", sharp, note)
    yield left.dominate("P8 (ii)", "the mass outside is at most T+/(Z + T+)", sharp)
    yield caps.agree("P8 (ii), cap", "with the root open T+ is 1 - sum_K p", "identity", 1e-7)
    yield sums.agree("P8 (v)", "the estimate without a frontier has expectation T/l^S", "identity")
    with mpmath.workdps(30):
        mean = float(mpmath.log(mpmath.fsum(mpmath.exp(one) for one in (900, 901.5, 3.0)) / 3))
    means.add(projection.mean_bracket([900.0, 901.5, 3.0], [900.0, 901.5, 3.0]).log_kappa.upper, mean)
    low, high = below.direct, above.formula
    every = projection.mean_bracket(np.log(low), np.log(high), 0.3)
    for end, kappa, rate in zip((low, high), every.kappa, every.failure_rate, strict=True):
        means.add(kappa, math.fsum(end) / len(end))
        means.add(1 + rate, 1 + sum(1 / one <= 0.7 for one in end) / len(end))
    means.add(1 + projection.mean_bracket(np.log([1.99, 2.01]), np.log([1.99, 2.01])).failure_rate.upper, 1.5)
    means.add(np.add(1, projection.mean_bracket(np.log([2.0]), np.log([2.0])).failure_rate), [1, 2])
    yield means.agree("P8 (iii), means", "means of ends, and shares of failing ones", "identity")


def _forecast(rng: np.random.Generator) -> Iterator[Check]:
    above, below = ([Cases() for _ in range(3)] for _ in range(2))  # of kappa, failure and accuracy
    points, answers, ties_attain, beta = Cases(), Cases(), Cases(), 1.6
    for trial in range(16):
        # Probabilities in 32nds: the draws below hold each response as often as expected.
        counts = rng.multinomial(32 - 8, rng.dirichlet(np.ones(8)), size=3) + 1
        table, k = counts / 32, 8 if trial == 0 else 3
        order = np.argsort(-table, axis=1)
        table, counts = np.take_along_axis(table, order, 1), np.take_along_axis(counts, order, 1)
        correct = rng.random((3, 8)) < 0.4
        prompts = [
            forecasting.KnownPrompt(
                np.log(row[:k]),
                _log(np.array([row[k::2].sum(), row[k + 1 :: 2].sum()])),
                np.repeat(np.log(row), times),
                np.repeat(np.arange(8) < k, times),
                right=good[:k],
                sample_right=np.repeat(good, times),
            )
            for row, times, good in zip(table, counts, correct, strict=True)
        ]
        slack = (0.5, 0.4)[trial % 2]  # 0.5 is the default
        more: dict[str, Any] = {"mass_slack": slack} if trial % 2 else {}
        for one in forecasting.forecast(prompts, beta, 3, **more):
            raised = table ** (1 + 1 / beta) ** one.round
            raised /= raised.sum(axis=1, keepdims=True)
            fails = 1 + np.mean(raised.max(axis=1) <= 1 - slack)
            truth = (np.mean(1 / raised.max(axis=1)), fails, (raised * correct).sum() / 3)
            brackets = one.kappa, np.add(1, one.failure_rate), one.sample_accuracy or (0.0, 0.0)
            for over, under, (low, high), value in zip(above, below, brackets, truth, strict=True):
                over.add(high, value)
                under.add(value, low)
            points.add([one.kappa_point or 0.0, one.sample_accuracy_point or 0.0], [truth[0], truth[2]])
        if trial == 0:  # resampling one prompt changes nothing
            one = forecasting.forecast(prompts[:1], beta, 1, rng=rng)[1]
            for end, interval in ((one.kappa, one.kappa_interval), (one.sample_accuracy, one.accuracy_interval)):
                points.add([*(interval or ()), len(interval or ())], [*(end or ()), 2])
    sharp = 1 + 1e-9  # where all is known
    for over, under, name in zip(above, below, ("kappa", "failure", "accuracy"), strict=True):
        yield over.dominate(f"P12, {name}", "below its upper end", sharp)
        yield under.dominate(f"P12, {name} too", "above its lower end", sharp)
    yield points.agree("P12, forecast point", "exact where draws come as often as expected", "identity")
    for trial in range(15):
        law = rng.dirichlet(np.ones(3))
        ties, most = np.array([law.max()] * int(1 / law.max()) + [1 % law.max()]), 0.9 + 0.1 * law.max()
        rows = forecasting.answer_forecast([law], beta, 2, right=[1])
        noisy = forecasting.answer_forecast([law], beta, 2, draws=3, ends=[(law.max(), 1.0)])
        wide = forecasting.answer_forecast([law], beta, 2, ends=[(law.max(), most)])
        some = forecasting.answer_forecast([law, law, law], beta, 2, right=[1, -1, None], rng=None if trial else rng)
        blank = forecasting.answer_forecast([law], beta, 2, ends=[(0.0, 1.0)])[1]
        answers.add([wide[0].kappa.lower, wide[1].kappa.lower, noisy[1].kappa.upper], [1 / most, 1.0, 1 / law.max()])
        answers.add(1 + rows[0].failure_rate.lower, 1 + (law.max() <= 0.5))
        answers.add([some[0].sample_accuracy_point or 0.0, 1 / blank.kappa.upper], [law[1] / 2, 0.0])
        answers.add(some[0].kappa_interval or [], [1 / law.max()] * 2 if some[0].kappa_interval else [])
        now, plug = law, law
        for one, other, ends in zip(rows, noisy, wide, strict=True):
            answers.add([one.kappa.lower, one.sample_accuracy_point or 0.0], [1 / now.max(), now[1]])
            answers.add(other.kappa_point or 0.0, 1 / plug.max())
            ties_attain.add(ends.kappa.upper, ((ties / law.max()) ** one.power).sum())
            now, plug = now ** (1 + 1 / beta) / (now ** (1 + 1 / beta)).sum(), _plugged(plug, beta)
    yield answers.agree("P12, answers", "forecasts of answers iterate their rounds", "identity")
    yield ties_attain.agree("P12, answers from their ends", "ties at L attain the upper end", "identity")


def _few_draws(rng: np.random.Generator) -> Iterator[Check]:
    cases = Cases()
    for trial in range(12):
        beta, slack = float(rng.uniform(0.5, 3)), float(rng.uniform(0.3, 0.7))
        prompts, chances = [], []
        for x in range(4):
            row, k = random_table(rng, 1, 8)[0], int(rng.integers(x + trial % 2 > 0, 8))  # at times nothing is known
            mass, drawn, right = float(row[k : k + trial % 3].sum()), rng.choice(8, 5, p=row), rng.random(8) < 0.5
            rest = row[k + trial % 3 :]
            chances.append((row[:k], np.array([rest[::2].sum(), rest[1::2].sum()]), mass, float(row[k]), row[drawn],
                            drawn >= k, right[:k], right[drawn]))  # fmt: skip
            prompts.append(
                forecasting.KnownPrompt(
                    np.log(row[:k]), _log(chances[-1][1]), np.log(row[drawn]), drawn < k, bool(row.argmax() < k),
                    (mass, math.log(row[k])) if mass else (0.0, -np.inf), None if x == 3 else right[:k], right[drawn],
                )
            )  # fmt: skip
        onto = all(len(one[0]) for one in chances) and trial % 4 == 1
        told = forecasting.forecast(
            prompts, beta, 3, mass_slack=slack, projection=onto, rng=np.random.default_rng(trial)
        )
        counts = np.random.default_rng(trial).multinomial(4, np.full(4, 0.25), size=1000)
        judged = counts[:, :3] / np.maximum(counts[:, :3].sum(axis=1, keepdims=True), 1)
        for one in told:
            power = (1 + 1 / beta) ** one.round
            rows = [
                _plain(values, prompt.certified, power, onto) for values, prompt in zip(chances, prompts, strict=True)
            ]
            low, high, point, least, most, guess = np.array(rows).T
            fails = [end >= 1 / (1 - slack) for end in (low, high)]
            with np.errstate(invalid="ignore"):  # nobody draws an infinite upper end 0 times
                upper = np.where(counts[:, ~np.isfinite(high)].any(axis=1), np.inf,
                                 counts @ np.where(np.isfinite(high), high, 0) / 4)  # fmt: skip
            kappas = [low.mean(), high.mean(), point.mean(), np.sort(counts @ low / 4)[24], np.sort(upper)[975]]
            found = [*one.kappa, one.kappa_point or np.nan, *(one.kappa_interval or ())]
            cases.add([1 / end for end in found], [1 / end for end in kappas])
            quantiles = np.sort(counts @ fails[0] / 4)[24], np.sort(counts @ fails[1] / 4)[975]
            found = [*one.failure_rate, *(one.failure_interval or ())]
            cases.add(np.add(1, found), np.add(1, [fails[0].mean(), fails[1].mean(), *quantiles]))
            found = [*(one.sample_accuracy or ()), one.sample_accuracy_point or 0.0, *(one.accuracy_interval or ())]
            quantiles = np.sort(judged @ least[:3])[24], np.sort(judged @ most[:3])[975]
            cases.add(np.add(1, found), np.add(1, [*(end[:3].mean() for end in (least, most, guess)), *quantiles]))
    words = "transcribed: brackets, points and their bootstrap over prompts"
    yield cases.agree("P12, forecast written out", words, "transcription")


def _plain(values: tuple[Any, ...], certified: bool, power: float, onto: bool) -> tuple[float, ...]:
    """Ends of 1/p^(S)(y*), its estimate, and ends and estimate of the accuracy, at one prompt."""
    known, prefixes, mass, top, draws, new, right, hits = values
    best = max(known, default=max(draws))
    inside, correct = float(((known / best) ** power).sum()), float(((known[right] / best) ** power).sum())
    if onto:
        return (inside, inside, inside, *[correct / inside] * 3)
    largest = max(*prefixes, top * (mass > 0))
    dropped = (top / best) ** (power - 1) * mass / best
    cap = (largest / best) ** (power - 1) * (1 - known.sum()) / best
    outside = min(float(((prefixes / best) ** power).sum()) + dropped, cap)
    low = inside if certified else min(inside, 1 + inside * (best / largest) ** power)
    terms = new * (draws / best) ** (power - 1) / best
    seen, of_right = terms.mean(), (terms * hits).mean()
    low, high, limit = (low, inside + outside, outside) if len(known) else (1.0, np.inf, np.inf)
    more = min(seen, limit)
    whole, guess = inside + more, correct + of_right * (more / seen if seen else 1.0)
    accuracy = correct / (inside + outside), (correct + outside) / (inside + outside), guess / whole
    return (low, high, min(max(whole, low), high), *accuracy)


def _plugged(law: np.ndarray, beta: float) -> np.ndarray:
    """E[c^s / sum c^s] of three draws, in closed form: (3,0,0), (2,1,0) or (1,1,1)."""
    two = 2 ** (1 + 1 / beta) / (2 ** (1 + 1 / beta) + 1)
    pairs = 3 * law[:, None] ** 2 * law * (1 - np.eye(3))  # two of the row, one of the column
    return law**3 + two * pairs.sum(axis=1) + (1 - two) * pairs.sum(axis=0) + 2 * law.prod()


def _errors(rng: np.random.Generator) -> Iterator[Check]:
    above, below, closed, unmoved, drift = (Cases() for _ in range(5))
    for trial in range(120):
        beta, eps, rounds = float(10 ** rng.uniform(-0.3, 0.5)), float(rng.uniform(0.01, 0.4)), int(rng.integers(1, 5))
        s = 1 + 1 / beta
        ratios = -rng.exponential(1.0, 5)
        if trial < 2:
            ratios[:] = -1.2  # ties: the closed form is attained, too
        sides = (1.0, -1.0, 0.0)[trial % 3]
        now = ratios
        for _ in range(rounds):
            now = s * now + (sides * eps if sides else rng.uniform(-eps, eps, 5))
        pure = 1 + np.exp(s**rounds * ratios).sum()
        start = 1 + np.exp(ratios).sum()
        one = forecasting.forecast_error_bound(
            eps, beta, rounds, exact=[start] * rounds + [pure], kappa0=start, margin=-ratios.max()
        )[rounds]
        kappa, (lower, upper) = 1 + float(np.exp(now).sum()), one.kappa or (0.0, 0.0)
        above.add(upper, kappa)
        below.add(kappa, lower)
        closed.add(one.kappa_bound or 0.0, kappa)
        # Errors of round t weigh s^(rounds-t).
        unmoved.add(one.unmoved_margin, eps * math.fsum(s**-t for t in range(1, rounds + 1)))
        margins = one.unmoved_margin * np.array([0.5, 1.5, 2.0])
        last = forecasting.forecast_error_bound(eps, beta, rounds, margin=margins)[-1]
        unmoved.add(last.unmoved_share or 0.0, 2 / 3)
        distance, sigma = float(rng.uniform(0, 1)), float(rng.uniform(0.1, 1))
        spread = sigma * math.sqrt(math.fsum(s ** (2 * t) for t in range(rounds)))
        exact = float(mpmath.ncdf(-(s**rounds) * distance / spread))
        drift.add(forecasting.drift_chance(distance, sigma, beta, rounds), exact)
    drift.add(forecasting.drift_chance(0.3, 0.5, 1.0), float(mpmath.ncdf(-mpmath.sqrt(3) * 0.6)))  # the limit
    drift.add(forecasting.drift_chance(0.3, 0.5, 1.0, 4, slope=1.0), float(mpmath.ncdf(-0.3)))  # a random walk
    sure = forecasting.forecast_error_bound(0.1, 1.0, 1, exact=[1.0, 1.0])[1]
    unmoved.add([*(sure.kappa or ()), math.exp(sure.log_factor) / sure.factor], [1, 1, 1])
    sharp, words = 1 + 1e-9, "kappa_t - 1 <= exp(-(gamma_0 - beta eps)(S-1)) (kappa_0 - 1)"
    yield above.dominate("P12", "K_t <= exp(beta eps (S-1)) K_t^exact", sharp)
    yield below.dominate("P12, below", "and >= exp(-beta eps (S-1)) K_t^exact", sharp)
    yield closed.dominate("P12, closed form", words, sharp)
    yield unmoved.agree("P12, unmoved", "the largest margin that errors can move", "identity")
    yield drift.agree("P12, drift", "chance of being overtaken after t rounds", "identity")


checks = in_turn(_projection, _forecast, _few_draws, _errors)
