"""Draws the pictures of the theory's pages from `srlm.theory`. Usage: python docs/pictures/draw.py"""

from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from srlm import theory

_HERE = Path(__file__).parent


def _axes(title: str, x: str, y: str) -> tuple[Figure, Any]:
    figure = Figure(figsize=(6.4, 3.4), layout="constrained", facecolor="white")
    axes = figure.subplots()
    axes.set(title=title, xlabel=x, ylabel=y)
    axes.grid(color="#e3e6e8", linewidth=0.8)
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _save(figure: Figure, axes: Any, name: str) -> None:
    axes.legend(frameon=False)
    settings: Any = {"svg.hashsalt": "srlm"}
    with matplotlib.rc_context(settings):
        figure.savefig(_HERE / f"{name}.svg", metadata={"Date": None})


def setting() -> None:
    """kappa against temperature for random logits."""
    figure, axes = _axes("Softer policies have larger condition numbers", "temperature", "kappa")
    logits = np.random.default_rng(0).standard_normal((200, 50))
    temperatures = np.linspace(0.05, 3, 120)
    kappas, fails = [], []
    for temperature in temperatures:
        scores = logits / temperature
        found = theory.condition(scores - np.logaddexp.reduce(scores, axis=1, keepdims=True))
        kappas.append(found.policy_condition_number)
        fails.append(found.failure_rate)
    axes.plot(temperatures, kappas, label="kappa (50 responses)")
    axes.axhline(50, color="#999999", linewidth=0.9, linestyle=":", label="uniform: kappa = M = 50")
    other = axes.twinx()
    other.plot(temperatures, fails, color="#c0392b", label="failure rate")
    other.set_ylabel("failure rate", color="#c0392b")
    _save(figure, axes, "setting")


def sharpening() -> None:
    """kappa over exact rounds beside P3, which holds prompt by prompt, hence on the mean."""
    figure, axes = _axes("Exact rounds contract (P3, prompt by prompt)", "round", "kappa - 1")
    logits = np.random.default_rng(1).standard_normal((200, 50))
    for beta, colour in ((4.0, "C0"), (1.0, "C1")):
        table = logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)
        ordered = np.sort(table, axis=1)
        inverse, margin = np.exp(-ordered[:, -1]), ordered[:, -1] - ordered[:, -2]
        measured, bound = [], []
        for _ in range(6):
            measured.append(theory.condition(table).policy_condition_number - 1)
            bound.append(inverse.mean() - 1)
            table = theory.sharpen(table, beta)
            inverse = theory.population_kappa_bound(inverse, margin, beta)
            margin = theory.population_margin(margin, beta)
        axes.semilogy(measured, "o-", color=colour, label=f"measured, beta = {beta:g}")
        axes.semilogy(bound, "--", color=colour, label=f"P3, beta = {beta:g}")
    _save(figure, axes, "sharpening")


def one_step() -> None:
    """The lower bound and the adversary's value over n."""
    figure, axes = _axes("One round cannot do better (kappa_0 = 100)", "samples n", "failure rate")
    pairs = np.geomspace(10, 1e6, 60)
    axes.loglog(pairs, theory.failure_lower_bound(100.0, pairs, np.log(200.0), 1.0).value, label="theorem 4.1, C0 = 1")
    worst = [theory.worst_hard_instance(100.0, float(n)).failure_rate for n in pairs]
    axes.loglog(pairs, worst, label="best learner on the hard instance (P7)")
    axes.loglog(pairs, np.minimum(1, np.sqrt(100 / (2 * np.e * pairs))), ":", label="sqrt(kappa_0/(2 e n))")
    _save(figure, axes, "one-step")


def iterating() -> None:
    """Theorem 5.3 over rounds."""
    figure, axes = _axes("The start is forgotten exponentially fast (n = 1e8)", "rounds T", "bound on the failure rate")
    rounds = np.arange(1, 9)
    for kappa in (1e2, 1e6, 1e10):
        value = theory.failure_bound(kappa, 1e8, 20.0, rounds=rounds).value
        axes.semilogy(rounds, value, "o-", label=f"kappa_0 = {kappa:g}")
    axes.axhline(1, color="#999999", linewidth=0.9, linestyle=":", label="vacuous above")
    _save(figure, axes, "iterating")


def linear_softmax() -> None:
    """Effective dimension in the three regimes, with the bounds of lemma G.4."""
    figure, axes = _axes("Effective dimension, d = 1000", "lambda", "d_lambda")
    ridges, index = np.geomspace(1e-6, 1, 80), np.arange(1, 1001)
    regimes = (
        ("A: exp(-i/2)", np.exp(-0.5 * index), lambda r: theory.exponential_decay_bound(1.0, 0.5, r)),
        ("B: i^-2", index**-2.0, lambda r: theory.polynomial_decay_bound(1.0, 2.0, r)),
        ("C: 5 spikes, tail 1e-4", np.where(index <= 5, 1.0, 1e-4), lambda r: theory.spike_bound(1000, 5, 1e-4, r)),
    )
    for at, (name, values, bound) in enumerate(regimes):
        axes.loglog(ridges, [theory.effective_dimension(values, r) for r in ridges], color=f"C{at}", label=name)
        axes.loglog(ridges, [min(1000.0, bound(r)) for r in ridges], "--", color=f"C{at}", linewidth=0.9)
    axes.plot([], [], "--", color="#777777", label="bound of lemma G.4")
    _save(figure, axes, "linear-softmax")


def projection() -> None:
    """P8 on one long-tailed policy: ends of 1/p^(S)(y*) as more responses are known."""
    figure, axes = _axes(
        "What is known of a round, by responses known (P8)", "responses known, likeliest first", "1/p*"
    )
    p = np.arange(1.0, 401) ** -1.1
    logs = np.log(p / p.sum())
    sizes = np.unique(np.geomspace(1, 400, 40).astype(int))
    for beta, colour in ((2.0, "C0"), (0.7, "C1")):
        # What is not known lies under two prefixes of about equal mass.
        rests = [[np.logaddexp.reduce(logs[k + j :: 2]) for j in (0, 1) if k + j < 400] for k in sizes]
        ends = [theory.exact_round_bracket(logs[:k], rest, beta) for k, rest in zip(sizes, rests, strict=True)]
        axes.fill_between(sizes, [one.lower for one in ends], [one.upper for one in ends], color=colour, alpha=0.2)
        exact = float(theory.exact_round_bracket(logs, [], beta).upper)
        axes.loglog(sizes, [one.upper for one in ends], color=colour, label=f"bracket, beta = {beta:g}")
        axes.axhline(exact, color=colour, linewidth=0.9, linestyle=":", label="exact")
    _save(figure, axes, "projection")


def search() -> None:
    """P9 beside P7: failure on the adversary's best instance, with and without search."""
    figure, axes = _axes("Search moves kappa out of the statistics (P9)", "prompts n", "failure rate")
    sizes = np.geomspace(10, 1e5, 24)
    for at, kappa in enumerate((10.0, 1000.0)):
        sampled = [theory.worst_hard_instance(kappa, float(n), 4).failure_rate for n in sizes]
        axes.loglog(sizes, sampled, color=f"C{at}", label=f"sampling, kappa = {kappa:g} (P7)")
        axes.loglog(sizes, [theory.worst_search_failure(kappa, float(n), 4) for n in sizes], "--", color=f"C{at}")
    axes.plot([], [], "--", color="#777777", label="search, any kappa")
    held = theory.held_out_failure_bound(np.zeros(24), sizes)
    axes.loglog(sizes, held, color="#555555", linewidth=0.9, linestyle=":", label="n held out, none fails")
    _save(figure, axes, "search")


def answers() -> None:
    """P10: the leading answer's target over the number of samples."""
    title = "Rewarding answers by their counts (P10), pi_A = (.5, .3, .2)"
    figure, axes = _axes(title, "samples K", "target of the leading answer")
    sizes = np.unique(np.geomspace(1, 64, 24).astype(int))
    law = np.array([0.5, 0.3, 0.2])
    for at, beta in enumerate((1.0, 0.5)):
        plug = [theory.plugin_target(law, beta, int(k))[0] for k in sizes]
        axes.semilogx(sizes, plug, "o-", markersize=3, color=f"C{at}", label=f"plug-in, beta = {beta:g}")
        exact = law ** (1 + 1 / beta)
        axes.axhline((exact / exact.sum())[0], color=f"C{at}", linewidth=0.9, linestyle=":", label="exact round")
    _save(figure, axes, "answers")


def certificates() -> None:
    """P11: ends of p_max while draws come in, and the draw at which the leader is certified."""
    figure, axes = _axes("Draws until the majority is certain (P11)", "draws", "largest answer's probability")
    draws = np.random.default_rng(3).choice(4, size=120, p=[0.6, 0.2, 0.1, 0.1]).tolist()
    at = np.arange(1, 121)
    ends = np.array([theory.majority_bracket(draws[:n], alpha=0.05) for n in at])
    axes.fill_between(at, ends[:, 0], ends[:, 1], color="C0", alpha=0.2, label="95 % at all draws at once")
    axes.axhline(0.6, color="#555555", linewidth=0.9, linestyle=":", label="truth")
    evidence = np.array([theory.majority_evidence(draws[:n]) for n in at])
    axes.axvline(int(np.argmax(evidence >= np.log(20))) + 1, color="C1", label="leader certified at 5 %")
    _save(figure, axes, "certificates")


def forecast() -> None:
    """P12: the forecast's bracket and point beside exact rounds, 20 of 200 responses known."""
    figure, axes = _axes("Rounds to come, foreseen before training", "round", "kappa")
    rng = np.random.default_rng(5)
    logits = 1.5 * rng.standard_normal((60, 200))
    table = np.sort(logits - np.logaddexp.reduce(logits, axis=1, keepdims=True), axis=1)[:, ::-1]
    prompts = []
    for row in table:
        seen = rng.choice(200, size=64, p=np.exp(row))
        rest = [np.logaddexp.reduce(row[20 + j :: 36]) for j in range(36)]
        prompts.append(theory.KnownPrompt(row[:20], rest, row[seen], seen < 20))
    found = theory.forecast(prompts, beta=2.0, rounds=5)
    steps = [one.round for one in found]
    exact = [np.mean([1 / np.exp(one.power * row - np.logaddexp.reduce(one.power * row)).max() for row in table])
             for one in found]  # fmt: skip
    lower, upper = [one.kappa.lower for one in found], [one.kappa.upper for one in found]
    axes.fill_between(steps, lower, upper, color="C0", alpha=0.2, label="bracket")
    axes.semilogy(steps, [one.kappa_point or np.nan for one in found], "o-", color="C0", label="forecast")
    axes.semilogy(steps, exact, "x", color="C1", label="exact rounds")
    _save(figure, axes, "forecast")


PICTURES = (
    setting,
    sharpening,
    one_step,
    iterating,
    linear_softmax,
    projection,
    search,
    answers,
    certificates,
    forecast,
)

if __name__ == "__main__":
    for draw in PICTURES:
        draw()
