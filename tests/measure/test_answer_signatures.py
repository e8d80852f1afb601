"""Signatures at the level of answers: draws from known laws of answers, round by round."""

import math
import re
from collections.abc import Callable, Sequence

import numpy as np

from srlm.measure.round import measure_answer_round
from srlm.records.responses import Complete, Response, Rollout
from srlm.records.rounds import SPLITS, RoundRecord, Split

PROMPTS, DRAWS = 48, 16
Law = Callable[
    [int, int], Sequence[float]
]  # (round, prompt) -> probabilities of its answers; number 0 is the right one


def rollout(prompt: int, law: Sequence[float], generator: np.random.Generator, same: bool) -> Rollout:
    """Each answer by 50 ways of reasoning, all as likely."""
    drawn = generator.choice(len(law), DRAWS, p=law)
    ways = generator.integers(0, 50, DRAWS)
    name = "all" if same else str(prompt)
    return Rollout(
        prompt,
        tuple(
            Response(
                Complete((int(answer), int(way), 0), math.log(law[answer] / 50), True), correct=bool(answer == 0),
                entropy=1.0, self_certainty=1.0, answer=f"{name}: {answer}",
            )
            for answer, way in zip(drawn, ways, strict=True)
        ),
    )  # fmt: skip


def run(law: Law, rounds: int, seed: int, same_from: int = 99) -> list[RoundRecord]:
    generator, drawn, history = np.random.default_rng(seed), [], []
    splits: list[Split] = [name for name in SPLITS for _ in range(PROMPTS)]
    for number in range(rounds + 1):
        drawn.append([rollout(at, law(number, at), generator, number >= same_from) for at in range(2 * PROMPTS)])
        before = drawn[number - 1] if number else None
        record = measure_answer_round(
            number, splits, drawn[number], base=drawn[0], previous=before, confidence=0.95, history=history
        )  # fmt: skip
        history.append(record)
    return history


def names(history: Sequence[RoundRecord]) -> set[str]:
    return {one.name for record in history for one in record.signatures or ()}


def base(prompt: int) -> np.ndarray:
    """A wrong answer leads at every fourth prompt, and every eighth is nearly tied."""
    law = np.array([0.55, 0.25, 0.12, 0.08])
    if prompt % 8 == 1:
        law = np.array([0.42, 0.4, 0.1, 0.08])
    return law[[1, 0, 2, 3]] if prompt % 4 == 0 else law


def exact(number: int, prompt: int) -> Sequence[float]:
    """P10 iterated, with s = 1.8: pi_A to the power s^t."""
    law = base(prompt) ** 1.8**number
    return list(law / law.sum())


def test_exact_rounds_of_answers_show_none_in_twenty_runs() -> None:
    alarms = [names(run(exact, 4, seed)) - {"informative_pairs_vanish"} for seed in range(20)]
    assert not any(alarms), alarms
    ends = run(exact, 4, 0)
    assert ends[4].train is not None
    assert ends[0].train is not None
    assert ends[4].train.answers is not None
    assert ends[4].train.fates["majority"]["kept"] >= 0.6 * PROMPTS


def test_a_policy_that_stays_as_it_is_is_at_most_said_to_stall() -> None:
    """Draws alone move near ties, and round 00's majorities were chosen by their own draws: neither is an alarm."""
    for seed in range(20):
        assert names(run(lambda number, at: list(base(at)), 3, seed)) <= {"kappa_stalls", "failure_stays"}


def test_a_collapse_onto_one_wrong_answer_is_seen() -> None:
    def law(number: int, prompt: int) -> Sequence[float]:
        return exact(number, prompt) if number < 2 else [0.05, 0.9, 0.03, 0.02]

    history = run(law, 2, 0, same_from=2)
    assert names(history[:2]) == set()
    found = {one.name: one for one in history[2].signatures or ()}
    assert {"one_answer_for_all", "accuracy_falls", "modes_drift", "modes_flip", "peaked"} <= set(found)
    assert "majority" in found["one_answer_for_all"].evidence
    assert not any(re.search(r"\bmodes?\b", one.advice + one.definition + one.evidence) for one in found.values())


def test_majorities_that_turn_wrong_are_seen_where_samples_hardly_fall() -> None:
    """Samples fall from 0.5 to 0.45, majorities from all right to all wrong."""

    def law(number: int, prompt: int) -> Sequence[float]:
        return [0.5, 0.2, 0.2, 0.1] if number == 0 else [0.45, 0.55, 0.0, 0.0]

    found = {one.name: one for one in run(law, 1, 0)[1].signatures or ()}
    assert "majority accuracy" in found["accuracy_falls"].evidence


def test_kappa_of_answers_that_rises_is_seen_by_its_estimate() -> None:
    flat = run(lambda number, at: [0.9, 0.1] if number == 0 else [0.3, 0.25, 0.25, 0.2], 1, 0)
    assert "kappa_rises" in names(flat)
    before, after = (one.train.answers.kappa_estimate for one in flat if one.train and one.train.answers)
    assert before is not None
    assert after is not None
    assert math.log(after / before) > 0.25


def test_answers_that_converged_are_told_though_the_reasoning_differs() -> None:
    history = run(lambda number, at: [0.6, 0.4] if number == 0 else [1.0, 0.0], 1, 0)
    assert history[1].train is not None
    assert history[1].train.informative_pairs is not None
    assert history[1].train.informative_pairs > 0.9
    assert names(history) == {"informative_pairs_vanish"}
