"""Policies over a dozen answers, trained by sampled policy gradients in numpy: what `alarms.py` watches.

A prompt x has a skill c(x) and a right answer; the logit of answer a is offset_x[j] + skill_c[j] + own_x[j] + bias[a],
where j counts answers from the right one on, so that skill generalises to prompts never seen. All but the offsets are
trained by GRPO's gradient. A completion also has a length, log-normal about a trained mean, and is cut at the limit,
where it has no answer.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from srlm.watching import Group

ANSWERS, SKILLS, LIMIT, SPREAD, HELD_OUT = 12, 8, 400, 0.25, 200


@dataclass(frozen=True)
class Kind:
    """A kind of run.

    reward: "right", "vote", "name" (one answer whatever the question), "long", "short", "random", "own" (its own
    log-probability), "fickle" (a name that changes every 12 steps), "flipped" (right until the onset, then wrong),
    "mislabelled" (at most prompts from the onset on).
    """

    reward: str = "right"
    rate: float = 1.0
    completions: int = 8
    prompts: int = 96
    batch: int = 12
    right: float = 1.2  # mean lead of the right answer's logit at the start
    lure: float = 0.0  # the same of one wrong answer
    noise: float = 0.0  # share of rewards drawn at random
    steps: int = 240
    onset: int = 0
    length_rate: float = 0.0
    labels: bool = True
    mismatch: bool = False
    expected: tuple[str, ...] = ()


HEALTHY = {
    "nothing is trained": Kind(rate=0.0),
    "right answers, slowly": Kind(rate=0.3),
    "right answers": Kind(),
    "right answers, fast": Kind(rate=4.0),
    "4 completions": Kind(completions=4),
    "16 completions": Kind(completions=16, batch=8),
    "4 prompts a step": Kind(batch=4, prompts=24),
    "votes, mostly right": Kind("vote", right=2.5),
    "votes, mostly right, no labels": Kind("vote", right=2.5, labels=False),
    "right answers, the watcher has no labels": Kind(labels=False),
    "prompts never seen twice": Kind(prompts=240 * 12),
    "one reward in ten is wrong": Kind(noise=0.1),
    "lengths grow by half": Kind(length_rate=0.004),
}
WRONG = ("corrupted_grow", "majority_wrong", "accuracy_falls", "reward_rises_accuracy_falls")
FAILURES = {
    "votes, mostly wrong": Kind("vote", right=0.5, lure=1.6, expected=("majority_wrong", "accuracy_falls")),
    "the reward pays for one name": Kind("name", rate=2.0, expected=(*WRONG, "one_answer", "answers_narrow")),
    "one name, no labels": Kind("name", rate=2.0, labels=False, expected=("one_answer",)),
    "the reward's sign flips": Kind("flipped", onset=100, right=1.5, expected=WRONG[:3]),
    "most labels turn wrong": Kind("mislabelled", onset=16, rate=2.0, right=2.5, expected=WRONG),
    "random rewards, a large rate": Kind("random", rate=8.0, right=2.5, expected=(*WRONG[:3], "majorities_flip")),
    "a fickle judge": Kind(
        "fickle", 3.0, prompts=48, right=2.0, expected=(*WRONG[:3], "majorities_flip", "one_answer")
    ),
    "a fickle judge, no labels": Kind(
        "fickle", 3.0, prompts=48, right=2.0, labels=False, expected=("majorities_flip", "one_answer")
    ),
    "its own probability, a large rate": Kind("own", rate=5.0, right=0.3, expected=WRONG[:3]),
    "length pays": Kind("long", length_rate=0.1, expected=("length_explodes", "truncation")),
    "shortness pays": Kind("short", length_rate=0.1, expected=("length_collapses",)),
    "the sampler drifts away": Kind(mismatch=True, onset=60, right=2.0, expected=("mismatch",)),
    "entropy collapses on errors": Kind(
        "own", rate=3.0, right=0.0, completions=4, expected=(*WRONG[:3], "entropy_collapses")
    ),
}


def run(kind: Kind, seed: int) -> Iterator[tuple[int, list[Group], dict[str, float]]]:
    """(step, groups, metrics) of every step; `held_out` is the exact accuracy at prompts that are never trained on."""
    draw = np.random.default_rng(seed)
    skill_of = draw.integers(0, SKILLS, kind.prompts)
    right = draw.integers(0, ANSWERS, kind.prompts)
    offset = draw.normal(0, 1, (kind.prompts, ANSWERS))
    offset[:, 0] += kind.right
    offset[:, 1] += kind.lure
    skill, own, bias, length = np.zeros((SKILLS, ANSWERS)), np.zeros_like(offset), np.zeros(ANSWERS), np.log(100.0)
    names = (right[:, None] + np.arange(ANSWERS)) % ANSWERS
    held_out = draw.normal(0, 1, (HELD_OUT, ANSWERS))
    held_out[:, 0] += kind.right
    held_out[:, 1] += kind.lure
    held_skill = draw.integers(0, SKILLS, HELD_OUT)
    held_names = (draw.integers(0, ANSWERS, HELD_OUT)[:, None] + np.arange(ANSWERS)) % ANSWERS
    order: list[int] = []
    wrong_label = 1 + draw.integers(0, ANSWERS - 1, kind.prompts)
    mislabelled = draw.random(kind.prompts) < 0.7
    for step in range(kind.steps):
        late = step >= kind.onset
        if len(order) < kind.batch:
            order = draw.permutation(kind.prompts).tolist()
        batch, order = order[: kind.batch], order[kind.batch :]
        groups, updates, gap, entropies = [], [], [], []
        for x in batch:
            logits = offset[x] + skill[skill_of[x]] + own[x] + bias[names[x]]
            law = softmax(logits)
            sampler = law
            if kind.mismatch:
                sampler = softmax(logits + 0.02 * (1 + 3 * max(0, step - kind.onset) / 20) * draw.normal(size=ANSWERS))
                gap.append(float(np.abs(np.log(sampler / law)).mean()))
            entropies.append(float(-(law * np.log(law + 1e-300)).sum()))
            said = draw.choice(ANSWERS, kind.completions, p=sampler)
            lengths = np.exp(draw.normal(length, SPREAD, kind.completions))
            cut = lengths > LIMIT
            reward = rewards(
                kind, step, late, x, said, lengths, law, names[x], wrong_label[x], bool(mislabelled[x]), draw
            )
            reward = np.where(cut & (kind.reward != "long"), 0.0, reward)
            advantage = (reward - reward.mean()) / (reward.std() + 1e-4)
            gradient = (np.eye(ANSWERS)[said] - law).T @ advantage / kind.completions
            slope = float(((np.log(lengths) - length) / SPREAD**2 * advantage).mean())
            updates.append((x, gradient, slope))
            answers = tuple(None if c else f"{names[x][one]}" for one, c in zip(said, cut, strict=True))
            correct = tuple(
                None if not kind.labels else bool(one == 0 and not c) for one, c in zip(said, cut, strict=True)
            )
            groups.append(
                Group(
                    f"prompt {x}",
                    answers,
                    correct,
                    tuple(reward.tolist()),
                    tuple(int(one) for one in np.minimum(lengths, LIMIT)),
                    tuple(cut.tolist()),
                )
            )
        metrics = {"entropy": float(np.mean(entropies)) / 20} | ({"mismatch": float(np.mean(gap))} if gap else {})
        laws = np.exp(held_out + skill[held_skill] + bias[held_names])
        metrics["held_out"] = float((laws[:, 0] / laws.sum(axis=1)).mean())
        yield step, groups, metrics
        for x, gradient, slope in updates:
            own[x] += 0.2 * kind.rate * gradient
            skill[skill_of[x]] += 0.1 * kind.rate * gradient
            np.add.at(bias, names[x], 0.02 * kind.rate * gradient)
            length += (
                kind.length_rate * (slope if kind.reward in ("long", "short") else 1.0 * (step < 120)) / len(updates)
            )


def rewards(
    kind: Kind, step: int, late: bool, x, said, lengths, law, names, wrong_label, mislabelled, draw
) -> np.ndarray:
    """Of the completions of one prompt."""
    if kind.reward == "vote":
        reward = (said == np.bincount(said).argmax()).astype(float)
    elif kind.reward == "name":
        reward = (names[said] == 3) + 0.3 * (said == 0)
    elif kind.reward == "fickle":
        reward = (names[said] == 5 * (step // 12) % ANSWERS).astype(float)
    elif kind.reward == "long":
        reward = (said == 0) + 2 * np.log(lengths)
    elif kind.reward == "short":
        reward = (said == 0) - 2 * np.log(lengths)
    elif kind.reward == "random":
        reward = draw.random(len(said))
    elif kind.reward == "own":
        reward = np.log(law[said])
    elif kind.reward == "flipped" and late:
        reward = (said != 0).astype(float)
    elif kind.reward == "mislabelled" and late and mislabelled:
        reward = (said == wrong_label).astype(float)
    else:
        reward = (said == 0).astype(float)
    return np.where(draw.random(len(said)) < kind.noise, draw.integers(0, 2, len(said)), reward)


def softmax(logits: np.ndarray) -> np.ndarray:
    """Probabilities."""
    mass = np.exp(logits - logits.max())
    return mass / mass.sum()
