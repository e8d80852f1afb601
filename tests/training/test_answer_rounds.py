"""Rounds at the level of answers, on policies that can be enumerated: what they reach, draw and record."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.training.fake_learner import SETTINGS, Table

from srlm import theory
from srlm.engines.drawing import WAVE, draw_until_certain
from srlm.engines.engine import Draw
from srlm.records.progress import Observer
from srlm.records.responses import Complete, Response
from srlm.records.rounds import RoundRecord
from srlm.records.run_directory import RunDirectory
from srlm.rewards.mixture import reward_mixture
from srlm.tasks.answers import answer_rule
from srlm.tasks.prompts import Prompt
from srlm.training.answering import beta_of_answers
from srlm.training.processes import Processes
from srlm.training.rounds import run_rounds
from srlm.training.settings import RunSettings
from srlm.training.updates import UPDATES
from srlm.training.work import Encoded, Work

PROMPTS, RESPONSES = 12, 9
# Response m answers m // 3: three ways of saying each of three answers.
ANSWERS = np.repeat(np.arange(3), 3)


class Answering(Table):
    """A table whose update makes exactly what its weighted likelihood aims at: the groups' weights, response by
    response, where a prompt was trained on."""

    def responses(self, at: int, ask: Draw) -> Any:
        random = np.random.default_rng([ask.seed, ask.stream, at])
        drawn = random.choice(RESPONSES, ask.skip + ask.count, p=np.exp(self.policy[at]))[ask.skip :]
        for m in drawn:
            text = f"way {m % 3 + 10}, so the answer is {ANSWERS[m]}"
            yield Response(Complete((int(m),), float(self.policy[at, m]), True), text=text, entropy=1.0)

    def draw(self, prompts: Any, ask: Draw, progress: Any = None) -> Any:
        return [replace(one, greedy=None) for one in super().draw(prompts, ask)]

    def fit(self, groups: Any, beta: float, held_out: Any, steps_before: int, progress: Any) -> Any:
        self.groups = groups
        return super().fit(groups, beta, held_out, steps_before, progress)


def policy(seed: int = 0) -> np.ndarray:
    scores = 1.5 * np.random.default_rng(seed).normal(size=(PROMPTS, RESPONSES))
    return scores - np.logaddexp.reduce(scores, axis=1, keepdims=True)


def work(table: Table, **options: Any) -> Work:
    prompts = [Prompt(f"question {x}", "held_out" if x % 4 == 3 else "train", ("0",)) for x in range(PROMPTS)]
    settings = RunSettings(level="answer", **options)
    return Work(
        learner=table, engine=table, certifier=table, reward=reward_mixture("answer"),
        update=UPDATES[settings.loss_type], prompts=prompts, encoded=[Encoded(x, (x,)) for x in range(PROMPTS)],
        settings=settings, beta=settings.beta, actions={}, processes=Processes(0, 1), answers=answer_rule("number"),
    )  # fmt: skip


def run(folder: Path, of: Work) -> list[RoundRecord]:
    directory = RunDirectory.open(folder) if folder.exists() else RunDirectory.create(folder, SETTINGS, {})
    run_rounds(of, directory, Observer())
    return [directory.round(number).read() for number in directory.completed_rounds()]


def test_a_round_records_answers_with_their_confidence(tmp_path: Path) -> None:
    base = policy()
    rounds = run(tmp_path / "run", work(Answering(base, 1.0), rounds=1, num_generations=60, beta=1.0))
    law = np.exp(theory.answer_logprobs(base, ANSWERS))
    for name, rows in (("train", [x for x in range(PROMPTS) if x % 4 != 3]), ("held_out", [3, 7, 11])):
        split = rounds[0].split(name)  # pyright: ignore[reportArgumentType]
        assert split is not None
        assert split.answers is not None
        kappa = float(np.mean(1 / law[rows].max(axis=1)))
        assert split.kappa.confidence == 0.95
        assert split.kappa.lower is not None
        assert split.kappa.upper is not None
        assert split.kappa.lower <= kappa <= split.kappa.upper
        assert split.answers.kappa_estimate == pytest.approx(kappa, rel=0.2)
        # Nine responses, drawn 60 times: nearly all were seen, and themselves prove most majorities.
        assert len(rows) >= split.answers.certified >= split.answers.proved >= len(rows) / 3
        assert split.kappa.upper - split.kappa.lower < 0.5 * kappa
        assert split.accuracy.mode == pytest.approx(np.mean(law[rows].argmax(axis=1) == 0), abs=0.12)  # one near tie
        assert split.answers.unparseable_share == 0
    assert not (tmp_path / "run" / "rounds" / "00" / "modes.parquet").exists()


def test_until_certain_draws_the_beginning_of_a_fixed_number(tmp_path: Path) -> None:
    table, of = Answering(policy(), 1.0), work(Answering(policy(), 1.0), num_generations=96, until_certain=True)
    ask = Draw(96, 4, 0, 0)
    fixed = table.draw(of.encoded, ask)
    assert of.answers is not None
    drawn = draw_until_certain(table, of.prompts, of.encoded, ask, of.answers, [None] * PROMPTS, 0.95, PROMPTS)
    for stopped, whole in zip(drawn, fixed, strict=True):
        assert stopped.tokens == whole.tokens[: len(stopped.tokens)]
    counts = [len(one.responses) for one in drawn]
    assert min(counts) < 96
    assert all(count % WAVE == 0 for count in counts)


def test_beta_makes_up_for_few_draws() -> None:
    of = work(Answering(policy(), 1.0), num_generations=12)
    rollouts = of.graded(Answering(policy(), 1.0).draw(of.encoded, of.ask(0)))
    beta = beta_of_answers(of, rollouts)
    assert beta < 1
    shares = []
    for one, prompt in zip(rollouts, of.prompts, strict=True):
        if prompt.split == "train":
            answers = [response.answer for response in one.responses]
            shares.append(np.array([answers.count(name) for name in set(answers)]) / 12)
    reached = [1 / theory.plugin_target(one, beta, 12).max() for one in shares]
    exact = [(one**2).sum() / one.max() ** 2 for one in shares]
    assert np.mean(reached) <= np.mean(exact)
    assert beta_of_answers(work(Answering(policy(), 1.0), beta=0.7), rollouts) == 0.7


@pytest.mark.parametrize("update", ["weighted", "leave_one_out", "majority"])
def test_weights_are_those_of_p10(update: str, tmp_path: Path) -> None:
    table = Answering(policy(), 1.0)
    of = work(table, rounds=1, num_generations=12, loss_type=update, beta=0.5)
    run(tmp_path / "run", of)
    rollouts = of.graded(Answering(policy(), 1.0).draw(of.encoded, of.ask(0)))
    for group in table.groups:
        answers = [int(ANSWERS[tokens[0]]) for tokens in rollouts[group.number].tokens]
        counts = np.bincount(answers, minlength=3)
        share = {
            "weighted": counts**3 / (counts**3).sum(),  # each of c draws has weight c^2
            "leave_one_out": counts * (counts - 1) * (counts - 2) / (12 * 11 * 10),
            "majority": 1.0 * (np.arange(3) == max(dict.fromkeys(answers), key=answers.count)),
        }[update]
        found = np.zeros(3)
        for tokens, weight in zip(group.responses, group.weights, strict=True):
            found[ANSWERS[tokens[0]]] += weight
        assert found == pytest.approx(share)
        assert len(set(group.responses)) == len(group.responses)


def test_a_killed_run_goes_on_to_the_same_end(tmp_path: Path) -> None:
    options: dict[str, Any] = {"rounds": 2, "num_generations": 24, "until_certain": True}
    whole = run(tmp_path / "whole", work(Answering(policy(), 1.0), **options))
    run(tmp_path / "parts", work(Answering(policy(), 1.0), **(options | {"rounds": 1})))
    again = run(tmp_path / "parts", work(Answering(policy(), 1.0), **options))
    assert [one.model_copy(update={"seconds": {}}) for one in again] == [
        one.model_copy(update={"seconds": {}}) for one in whole
    ]
