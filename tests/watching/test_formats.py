"""Every format, written from its documented fields and counted by another route."""

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from statistics import fmean
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.watching import written

from srlm.errors import InputError
from srlm.watching import Group
from srlm.watching.audit import Audit, AuditSettings
from srlm.watching.folders import files_of
from srlm.watching.formats import known_answers, text_of
from srlm.watching.reading import Reading


def groups_of(folder: Path, **settings: Any) -> dict[int, list[Group]]:
    """What reaches the watcher."""
    audit, told = Audit(folder, AuditSettings(**settings)), {}
    take = audit.watcher.step
    audit.watcher.step = lambda step, groups, metrics={}: told.update({step: groups}) or take(step, groups, metrics)
    try:
        audit.read(final=True)
    finally:
        audit.close()
    return told


def counted(drawn: written.Rows) -> dict[tuple[int, str], Counter[tuple[str | None, bool, float]]]:
    """Answers, marks and rewards of every prompt at every step, straight from the rows."""
    return {
        (step, prompt): Counter(
            (one["answer"], one["answer"] == one["gold"], one["reward"]) for one in some if one["prompt"] == prompt
        )
        for step, some in written.by_step(drawn).items()
        for prompt in {one["prompt"] for one in some}
    }


def read(folder: Path, paid: float = 0.0, **settings: Any) -> dict[tuple[int, str], Counter[Any]]:
    """The same from what reached the watcher; `paid`: beside the reward of a row."""
    told: dict[tuple[int, str], Counter[Any]] = {}
    for step, groups in groups_of(folder, **settings).items():
        for one in groups:
            marks = zip(one.answers, one.correct, one.rewards or (), strict=True)
            told.setdefault((step, one.prompt), Counter()).update(
                (answer, bool(right), round(reward - paid, 6)) for answer, right, reward in marks
            )
    return told


@pytest.mark.parametrize("chat", [False, True])
def test_completion_tables_of_trl(tmp_path: Path, chat: bool) -> None:
    drawn = written.rows()
    assert read(written.trl(tmp_path / "out", drawn, chat), paid=0.5) == counted(drawn)
    assert files_of(tmp_path / "out")[0] == "trl"
    assert read(tmp_path / "out" / "completions", paid=0.5) == counted(drawn)


def test_without_a_history_every_number_with_a_fraction_is_a_reward_of_trl(tmp_path: Path) -> None:
    drawn = written.rows()
    assert read(written.trl(tmp_path, drawn, history=False), paid=0.5 + 7.25) == counted(drawn)


def test_what_trl_measured_beside_is_taken_by_step(tmp_path: Path) -> None:
    audit = Audit(written.trl(tmp_path, written.rows()))
    audit.read(final=True)
    assert audit.watcher.facts["entropy"] == pytest.approx(1 / 6)
    assert audit.watcher.facts["mismatch"] == pytest.approx(0.06)


def test_rollout_files_of_verl_and_the_marks_where_the_answer_is_no_text(tmp_path: Path) -> None:
    drawn = written.rows()
    assert read(written.verl(tmp_path / "text", drawn)) == counted(drawn)
    records = [written.verl_record(one) | {"gts": {"target": 7}} for one in drawn]
    for step in range(1, 7):
        written.lines(tmp_path / "other" / f"{step}.jsonl", [one for one in records if one["step"] == step])
    assert read(tmp_path / "other") == counted(drawn)


@pytest.mark.parametrize("kind", ["jsonl", "parquet", "one", "ranks", "groups"])
def test_tables(tmp_path: Path, kind: str) -> None:
    drawn = written.rows()
    records = [written.table_record(one) for one in drawn]
    if kind == "parquet":
        pq.write_table(pa.Table.from_pylist(records), tmp_path / "all.parquet")
    elif kind == "ranks":  # of several processes, each through all steps
        for rank in range(3):
            written.lines(tmp_path / f"rank{rank}.jsonl", records[rank::3])
    elif kind == "groups":  # a prompt a line
        groups = [records[at : at + 5] for at in range(0, len(records), 5)]
        told = [
            {
                "prompt": some[0]["prompt"],
                "completions": [one["completion"] for one in some],
                "rewards": [one["reward"] for one in some],
                "solution": [str(some[0]["answer"])],
                "global_step": some[0]["step"],
            }
            for some in groups
        ]
        written.lines(tmp_path / "grouped.jsonl", told)
    else:
        written.lines(tmp_path / "all.jsonl", records)
    assert read(tmp_path / "all.jsonl" if kind == "one" else tmp_path) == counted(drawn)
    if kind in ("jsonl", "parquet"):
        assert all(one.logprobs == (-2.5,) * 5 for groups in groups_of(tmp_path).values() for one in groups)


def test_token_exports_of_prime_rl(tmp_path: Path) -> None:
    folder, records = written.prime(tmp_path)
    told = groups_of(folder)
    assert files_of(folder)[0] == "prime-rl"
    for step, some in records.items():
        sums = sorted(sum(one["trainer_logprobs"][3:]) for one in some)
        assert sorted(each for one in told[step] for each in one.logprobs or ()) == pytest.approx(sums)
        assert sorted(each for one in told[step] for each in one.lengths) == sorted(
            sum(one["loss_mask"]) for one in some
        )
        assert len({one.prompt for one in told[step]}) == 2
        assert all(one.mismatch == pytest.approx(0.25) and one.entropy == pytest.approx(0.5) for one in told[step])
    audit = Audit(folder)
    audit.read(final=True)
    assert audit.watcher.facts["mismatch"] == pytest.approx(0.25)
    assert any("hold no texts" in one for one in audit.notes)


def test_every_number_of_a_step_against_a_count_of_its_rows(tmp_path: Path) -> None:
    drawn = written.rows(steps=2, prompts=7, draws=9)
    audit = Audit(written.verl(tmp_path, drawn))
    audit.read(final=True)
    last = [one for one in drawn if one["step"] == 2]
    counts = [
        Counter(one["answer"] for one in last if one["prompt"] == prompt and one["answer"] is not None).most_common()
        for prompt in dict.fromkeys(one["prompt"] for one in last)
    ]
    rewards = [[one["reward"] for one in last if one["prompt"] == prompt] for prompt in {one["prompt"] for one in last}]
    facts, shares = audit.watcher.facts, [some[0][1] / sum(count for _, count in some) for some in counts]
    assert facts["completions"] == len(last) == 63
    assert facts["majority_share"] == pytest.approx(fmean(shares))
    assert facts["kappa_estimate"] == pytest.approx(fmean(1 / one for one in shares))
    assert facts["distinct_answers"] == pytest.approx(fmean(map(len, counts)))
    assert facts["unreadable_share"] == pytest.approx(fmean(one["answer"] is None for one in last))
    assert facts["accuracy"] == facts["reward"] == pytest.approx(fmean(one["reward"] for one in last))
    assert facts["zero_variance"] == pytest.approx(fmean(len(set(some)) == 1 for some in rewards))
    assert facts["length"] == pytest.approx(fmean(len(one["text"]) for one in last))


def test_steps_come_in_order_of_their_numbers_not_of_their_names(tmp_path: Path) -> None:
    written.verl(tmp_path, written.rows(steps=12, prompts=1))
    assert list(groups_of(tmp_path)) == list(range(1, 13))


def test_pieces_and_processes_change_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = written.rows(steps=8, prompts=6)
    written.lines(tmp_path / "all.jsonl", [written.table_record(one) for one in drawn])
    monkeypatch.setattr("srlm.watching.reading._PIECE", 700)
    monkeypatch.setattr("srlm.watching.audit._SMALL", 0)
    assert read(tmp_path) == counted(drawn)


def test_a_function_that_raises_in_another_process_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written.verl(tmp_path, written.rows(steps=1))
    monkeypatch.setattr("srlm.watching.audit._SMALL", 0)
    with pytest.raises(InputError, match="returned int; return a string"):
        groups_of(tmp_path, answers="python:builtins:int")


def test_a_batch_that_is_logged_twice_counts_once_and_a_collapsed_one_every_time(tmp_path: Path) -> None:
    once = written.rows(steps=1)
    written.trl(tmp_path / "reused", [one | {"step": step} for step in (1, 2, 3) for one in once])
    audit = Audit(tmp_path / "reused")
    audit.read(final=True)
    assert (audit.steps, any("2 steps show the batch" in one for one in audit.notes)) == (1, True)
    same = [one | {"text": "the answer is 3."} for one in once]
    written.trl(tmp_path / "collapsed", [one | {"step": step} for step in (1, 2, 3) for one in same])
    audit = Audit(tmp_path / "collapsed")
    audit.read(final=True)
    assert audit.steps == 3


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("as it is", "as it is"),
        ([{"role": "user", "content": "hi"}], "hi"),
        (
            [{"role": "system", "content": "s"}, {"role": "user", "content": [{"type": "text", "text": "u"}]}],
            "system: s\n\nuser: u",
        ),
        ({"role": "user", "content": None}, ""),
        (None, None),
        (3, None),
        ([], None),
        (["a"], None),
    ],
)
def test_what_is_a_text(value: Any, text: str | None) -> None:
    assert text_of(value) == text


@pytest.mark.parametrize(
    ("value", "answers"),
    [
        ("4", ("4",)),
        ("", ()),
        (4, ("4",)),
        (4.0, ("4",)),
        (0.5, ("0.5",)),
        (["a", 2], ("a", "2")),
        (True, ()),
        ({"x": 1}, ()),
        (None, ()),
        (float("nan"), ()),
        (10**400, ()),
    ],
)
def test_what_is_a_known_answer(value: Any, answers: tuple[str, ...]) -> None:
    assert known_answers(value) == answers


def test_memory_is_bounded_by_a_step_not_by_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Groups held at a time, counted where they are kept."""
    written.lines(tmp_path / "all.jsonl", [written.table_record(one) for one in written.rows(steps=60, prompts=2)])
    monkeypatch.setattr("srlm.watching.reading._PIECE", 4000)
    held: list[int] = []
    complete: Callable[..., Any] = Reading._complete

    def watched(self: Reading) -> Any:
        held.append(len(self._groups))
        return complete(self)

    monkeypatch.setattr(Reading, "_complete", watched)
    groups_of(tmp_path)
    assert max(held) <= 4  # two prompts, each in at most two pieces
    assert json.loads((tmp_path / "all.jsonl").read_text("utf-8").splitlines()[0])["step"] == 1
