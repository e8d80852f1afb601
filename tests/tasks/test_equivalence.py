"""A table of pairs of answers: what is the same, by hand, and what each rule says of it; then what is hostile."""

import json
import pickle
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from srlm.tasks import equivalence
from srlm.tasks.answers import ANSWER_RULES, answer_rule
from srlm.tasks.worker import TooSlow, Worker

PAIRS = [
    json.loads(line)
    for line in (Path(__file__).parent / "data" / "equivalence.jsonl").read_text(encoding="utf-8").splitlines()
]
# Rules that are made for a kind of answer and must know what is the same.
_NUMBERS = ("auto", "number", "last_line", "math")
_WORDS = ("auto", "words", "last_line")
MUST = {
    "fractions": _NUMBERS,
    "decimals": _NUMBERS,
    "units": _NUMBERS,
    "arabic digits": _NUMBERS,
    "sets": ("math",),
    "intervals": ("math",),
    "expressions": ("math",),
    "boxed": ("auto", "boxed", "math", "last_line"),
    "announced": ("auto", "math"),
    "choices": ("choice",),
    "yes-no": ("yes_no",),
    "latin": _WORDS,
    "greek": _WORDS,
    "cyrillic": _WORDS,
    "arabic": _WORDS,
    "cjk": _WORDS,
}


def test_the_table_is_long_and_has_both_verdicts_of_every_kind() -> None:
    assert len(PAIRS) >= 200
    assert set(Counter(pair["kind"] for pair in PAIRS)) == set(MUST)
    for kind in MUST:
        assert {pair["same"] for pair in PAIRS if pair["kind"] == kind} == {True, False}, kind


@pytest.mark.parametrize("name", ANSWER_RULES)
def test_every_rule_says_of_every_pair_what_the_table_says(name: str) -> None:
    rule, wrong = answer_rule(name), []
    for pair in PAIRS:
        one, other = rule.keys([pair["one"], pair["other"]])
        same = one is not None and one == other
        if same != (name in pair["says_same"]) or (name in MUST[pair["kind"]] and same != pair["same"]):
            wrong.append((pair["kind"], pair["one"], pair["other"], one, other))
    assert not wrong


def test_mathematics_is_compared_with_leaders_only_and_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def compared(function: str, pair: tuple[str, str]) -> bool:
        asked.append(pair)
        return {one.strip("+") for one in pair} == {"x"}

    monkeypatch.setattr(equivalence, "_asked", compared)
    monkeypatch.setattr(equivalence, "_verdicts", {})
    keys = ["x+", "x", "y", "x", "z", "x"]
    assert equivalence.merged(keys) == {"x": "x", "x+": "x", "y": "y", "z": "z"}
    # x leads; x+ is x and no leader; y meets x; z meets x and y.
    assert sorted(asked) == [("x", "x+"), ("x", "y"), ("x", "z"), ("y", "z")]
    equivalence.merged(keys)
    assert len(asked) == 4
    assert equivalence.merged(["x", "x", "y"], known=["x+"]) == {"x+": "x+", "x": "x+", "y": "y"}


def test_a_number_is_never_another_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(equivalence, "_asked", lambda *_: pytest.fail("numbers are exact"))
    assert answer_rule("math").keys(["0.5", "1/2", "0.500001"]) == ["1/2", "1/2", "500001/1000000"]


@pytest.mark.parametrize(
    "hostile",
    [
        "5^5^5^5",
        "9**9**9",
        "x^{9^{9^{9}}}",
        "170000!",
        "{" * 10_000,
        "(" * 100 + "x" + ")" * 100,
        "9" * 10_000,
        "\\a" * 300,
    ],
)
def test_hostile_mathematics_is_refused_before_it_is_parsed(hostile: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(equivalence, "_asked", lambda *_: pytest.fail("was parsed"))
    assert not equivalence.same(hostile, "x")
    assert equivalence.same(hostile, hostile)


def test_what_takes_too_long_is_equal_to_itself_only_and_not_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def slow(*_: object, **__: object) -> None:
        calls.append(1)
        raise TooSlow

    monkeypatch.setattr(equivalence.WORKER, "call", slow)
    monkeypatch.setattr(equivalence, "_verdicts", {})
    monkeypatch.setattr(equivalence, "_unreadable", set())
    assert not equivalence.same("u+v", "v+u")
    assert not equivalence.same("u+v", "w")
    assert equivalence.same("u+v", "u+v")
    assert len(calls) == 1


@pytest.mark.parametrize(("function", "error"), [("power", TooSlow), ("memory", ValueError)])
def test_a_worker_stops_what_takes_too_much_and_works_on(
    function: str, error: type[Exception], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # Python's own loop would notice a signal; one large power is computed inside C.
    (tmp_path / "hostile.py").write_text(
        "def power(_):\n    return 3**300_000_000\n\n\ndef memory(_):\n    return len(bytearray(8 << 30))\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    worker, began = Worker(), time.monotonic()
    with pytest.raises(error):
        worker.call(f"hostile:{function}", None, 0.5)
    assert worker.call("builtins:len", "abc", 5.0) == 3
    assert time.monotonic() - began < 250
    worker.close()


def test_a_worker_names_the_error_of_a_function() -> None:
    worker = Worker()
    with pytest.raises(ValueError, match="TypeError"):
        worker.call("builtins:len", 3, 5.0)
    worker.close()


def test_rules_travel_between_processes() -> None:
    for spec in ("math", "auto", r"regex:(\d+)"):
        assert pickle.loads(pickle.dumps(answer_rule(spec))) == answer_rule(spec)


def test_no_alarm_signals_are_used() -> None:
    package = Path(sys.modules["srlm"].__file__ or "").parent
    code = [path.read_text(encoding="utf-8") for path in package.rglob("*.py")]
    assert not any("signal.alarm" in one or "setitimer" in one or "signal.SIGALRM" in one for one in code)
