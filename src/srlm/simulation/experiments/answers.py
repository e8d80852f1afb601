"""Answers instead of responses (P10): which reward keeps the leading answer, what K draws aim at, what ties become."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from srlm.policies.tabular import TabularPolicy
from srlm.simulation.experiments._registry import Setting, Workers
from srlm.simulation.experiments._result import Reading
from srlm.simulation.experiments._softmax import shared
from srlm.simulation.experiments._table import Table, chart, column, course, entry, kinds, select, spread, stacked
from srlm.simulation.sweep import Cell
from srlm.theory import answer_logprobs, answer_round, answer_weights, plugin_target, population_kappa_bound, sharpen

_TIED = np.array([0.4, 0.4, 0.2])
_SURE, _MOST = 0.9, 0.9  # sure of one answer; most of what an exact round does


def _rounds(start: np.ndarray, answers: np.ndarray, reward: str, beta: float, rounds: int) -> dict[str, Any]:
    """Exact rounds under one of the two rewards, seen at the level of answers; prompts are the sample."""
    table, first = start, answer_logprobs(start, answers).argmax(axis=1)
    leading = answers == first[:, None]
    cells: dict[str, list[np.ndarray]] = {name: [] for name in ("kappa_a", "moved", "entropy_within", "p3_broken")}
    bound = np.full(len(start), np.inf)
    for _ in range(rounds + 1):
        law = TabularPolicy(answer_logprobs(table, answers), np.full(len(table), 1 / len(table)))
        kappa = np.maximum(np.exp(-law.mode_logprobs), 1.0)  # rounding
        within = np.where(leading, table, -np.inf)
        within = within - np.logaddexp.reduce(within, axis=1, keepdims=True)
        entropy = -(np.exp(within) * np.where(leading, within, 0.0)).sum(axis=1)
        broken = kappa > bound * (1 + 1e-9)
        for name, values in zip(cells, (kappa, law.modes != first, entropy, broken), strict=True):
            cells[name].append(values)
        bound = population_kappa_bound(kappa, law.margins, beta)
        table = answer_round(table, answers, beta) if reward == "answer" else sharpen(table, beta)
    part: dict[str, Any] = {"part": "rounds", "reward": reward, "round": list(range(rounds + 1))}
    for name, values in cells.items():
        part |= spread(name, np.stack(values, axis=1).astype(float))
    return part


def _draws(cell: Cell, stream: np.random.SeedSequence) -> Table:
    """What weights made of K draws aim at, against P10; and rounds of K draws from two tied answers."""
    rng, k, beta = np.random.default_rng(stream), cell["k"], cell["beta"]
    laws = [law for law in cell["laws"] if law.max() < 1]
    exact = np.array([(law / law.max()) ** (1 + 1 / beta) for law in laws])
    exact /= exact.sum(axis=1, keepdims=True)
    counts = np.stack([rng.multinomial(k, law, cell["runs"]) for law in laws])
    power = (counts / k) ** (1 + 1 / beta)
    seen = {"plug-in": (power / power.sum(axis=2, keepdims=True)).mean(axis=1)}
    aimed = {"plug-in": np.array([plugin_target(law, beta, k) for law in laws])}
    if abs(1 / beta - round(1 / beta)) < 1e-9 and k > round(1 / beta):
        weights = (counts * answer_weights(counts, beta)).sum(axis=1)
        seen["leave-one-out"], aimed["leave-one-out"] = weights / weights.sum(axis=1, keepdims=True), exact
    top = (np.arange(len(laws)), np.argmax(laws, axis=1))
    known = {"part": "draws", "draws": k, "start": (1 / np.max(laws, axis=1)).mean(), "exact": (1 / exact[top]).mean()}
    parts = [
        known
        | {"weights": name}
        | spread("kappa_a", (1 / seen[name][top])[:, None])
        | spread("off", (seen[name][top] / aimed[name][top] - 1)[:, None])
        for name in seen
    ]
    law = np.tile(_TIED, (cell["runs"], 1))
    for _ in range(cell["rounds"]):
        power = np.stack([rng.multinomial(k, one) for one in law]) ** (1 + 1 / beta)
        law = power / power.sum(axis=1, keepdims=True)
    sure = law[:, :2].max(axis=1) > _SURE
    kept = (_TIED / _TIED.max()) ** ((1 + 1 / beta) ** cell["rounds"])
    tie = {"part": "ties", "draws": k, "exact": kept.sum()}
    tie["first"] = (law[sure, 0] > _SURE).mean() if sure.any() else None
    return stacked(*parts, tie | spread("sure", sure[:, None].astype(float)))


def measure(values: Mapping[str, Any], workers: Workers) -> Table:
    rng = np.random.default_rng(workers.seed)
    scores = values["score_spread"] * rng.standard_normal((values["prompts"], values["responses"]))
    start = TabularPolicy.from_logits(scores).logprobs
    answers = np.stack([rng.permutation(np.arange(values["responses"]) % values["answers"]) for _ in range(len(start))])
    rounds = [_rounds(start, answers, one, values["beta"], values["rounds"]) for one in ("answer", "response")]
    laws = list(np.exp(answer_logprobs(start, answers))[: values["sampled_prompts"]])
    cells = [{**values, "k": int(k), "laws": laws} for k in sorted(values["draws"])]
    return stacked(*rounds, *workers.sweep(_draws, cells))


def read(table: Table, values: Mapping[str, Any]) -> Reading:
    rounds, draws, ties = (select(table, part=part) for part in ("rounds", "draws", "ties"))
    by = {reward: select(rounds, reward=reward) for reward in kinds(rounds, "reward")}
    moved = {reward: entry(part, "moved") for reward, part in by.items()}
    broken = {reward: float(column(part, "p3_broken")[1:].mean()) for reward, part in by.items()}

    def goes(words: str, part: Table, name: str) -> str:
        return course(words, column(part, name)[0], column(part, name)[-1])

    each = "; ".join(
        f"the {reward} as reward: {goes('kappa_A', part, 'kappa_a')}, {moved[reward].percent} of the leading answers "
        f"move, {goes('entropy within them', part, 'entropy_within')}, P3 is broken at {broken[reward]:.1%} of the "
        "prompts a round"
        for reward, part in by.items()
    )
    kept = [reward for reward in by if moved[reward].mean == 0 and broken[reward] == 0]
    holds = f"P3 and P5 hold for answers with the {' and the '.join(kept)} as reward"
    promise = holds if kept else "No reward keeps P3 and P5"
    plug = select(draws, weights="plug-in")
    logs = {name: np.log(column(plug, name)) for name in ("kappa_a", "start", "exact")}
    fall = (logs["start"] - logs["kappa_a"]) / (logs["start"] - logs["exact"])
    most = [k for k, by in zip(plug["draws"], fall, strict=True) if by >= _MOST]
    reached = ", ".join(f"K = {k} {by:.0%}" for k, by in zip(plug["draws"], fall, strict=True))
    enough = f"{_MOST:.0%} from K = {min(most)} on" if most else f"{_MOST:.0%} at none"
    aims = []
    for name in kinds(draws, "weights"):
        part = select(draws, weights=name)
        off = [entry(part, "off", at) for at in range(len(part["draws"]))]
        elsewhere = any(one.sign and abs(one.mean) > 0.02 for one in off)
        where = "elsewhere than" if elsewhere else "where"
        aims.append(
            f"{name.capitalize()} weights aim {where} P10 says (at most {max(abs(one.mean) for one in off):.1%} off)"
        )
    sure = column(ties, "sure")
    tied = ", ".join(f"K = {k} {entry(ties, 'sure', at).percent}" for at, k in enumerate(ties["draws"]))
    fair = f"{np.nanmin(column(ties, 'first')):.0%} to {np.nanmax(column(ties, 'first')):.0%}"
    broke = f"Draws break ties, towards the first answer in {fair}" if sure.max() > 0.5 else "Draws seldom break ties"
    share = f"{fall[0]:.0%} of an exact round at K = {plug['draws'][0]}, {fall[-1]:.0%} at K = {plug['draws'][-1]}"
    lines = {"{} weights": "kappa_a", "exact round --": "exact"}
    split = f"{broke.split(',')[0]}: in {sure.min():.0%} to {sure.max():.0%} of the runs"
    tie = {"tied at the start": "sure"}
    charts = (
        chart(promise, rounds, "round", "kappa_A", {"{} as reward": "kappa_a"}, by="reward", log="y"),
        chart(share, draws, "draws", "kappa_A after one round", lines, by="weights", log="x"),
        chart(split, ties, "draws", "share of runs sure of one of two tied answers", tie, log="x"),
    )
    return Reading(
        f"After {values['rounds']} exact rounds (95 % over prompts), {each}. {promise}. One round of plug-in weights "
        f"does this much of an exact round's fall of log kappa_A: {reached}; {enough}. {'. '.join(aims)}. Of two "
        f"answers with {_TIED[0]:g} each, exact rounds leave either {1 / column(ties, 'exact')[0]:.2g}; with K draws a "
        f"round one of them has more than {_SURE:g} after {values['rounds']} rounds in this share of the runs: "
        f"{tied}. {broke}.",
        charts,
        {"kept": kept, "reached": fall.tolist(), "most_from": min(most, default=None)},
        ("Rounds of draws fit the policy to each prompt's counts exactly: what is random is the counts.",),
    )


QUESTION = "What changes when answers are rewarded instead of responses, with K draws, and at ties?"
SETTINGS = shared(prompts=200, responses=16, beta=1.0, rounds=6) | {
    "answers": Setting(4, 2, 100, "A, answers that responses lead to"),
    "score_spread": Setting(1.0, 0.01, 20.0, "standard deviation of the scores of responses, nats"),
    "draws": Setting((2, 3, 4, 8, 16, 32, 64), 2, 1000, "K, several"),
    "sampled_prompts": Setting(40, 1, 5000, "prompts at which draws are simulated"),
    "runs": Setting(1000, 10, 1e6, "simulated groups of K draws"),
}
