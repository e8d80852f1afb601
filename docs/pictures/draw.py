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


if __name__ == "__main__":
    for draw in (setting, sharpening, one_step, iterating, linear_softmax):
        draw()
