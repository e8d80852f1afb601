"""The watcher of any run: its numbers against counts by hand, its memory, its windows."""

from collections import Counter

import numpy as np
import pytest

from srlm.errors import InputError
from srlm.watching import Group, Watcher, WatchSettings


def group(prompt: str, answers: str, right: str | None = "a", **more) -> Group:
    """A group whose answers are letters; "." has none."""
    told = tuple(None if one == "." else one for one in answers)
    correct = tuple(None if right is None else one == right for one in told)
    given = {"rewards": tuple(float(one == right) for one in told), "lengths": (10,) * len(told)} | more
    return Group(prompt, told, correct, **given)


def test_the_facts_of_a_step_are_those_counted_by_hand():
    watcher = Watcher()
    watcher.step(0, [group("p", "aaab"), group("q", "bbba"), group("r", "cc.a")])
    watcher.step(1, [group("p", "bbba"), group("q", "bbab"), group("r", "aaaa")])
    facts = watcher.facts
    assert facts["majority_share"] == pytest.approx((3 / 4 + 3 / 4 + 1) / 3)
    assert facts["majority_margin"] == pytest.approx((2 / 4 + 2 / 4 + 1) / 3)
    assert facts["kappa_estimate"] == pytest.approx((4 / 3 + 4 / 3 + 1) / 3)
    assert facts["flips"] == pytest.approx(2 / 3)  # p: a to b, r: c to a
    assert facts["corrupted"] == pytest.approx(1 / 3)
    assert facts["learned"] == pytest.approx(1 / 3)
    assert facts["accuracy"] == pytest.approx(6 / 12)
    assert facts["label_accuracy"] == pytest.approx(1 / 3)
    assert facts["zero_variance"] == pytest.approx(1 / 3)
    assert facts["distinct_answers"] == pytest.approx(5 / 3)


def test_groups_of_one_prompt_are_one_group():
    watcher = Watcher()
    watcher.step(0, [group("p", "ab"), group("p", "bb")])
    assert watcher.facts["prompts"] == 1
    assert watcher.facts["majority_share"] == pytest.approx(3 / 4)


def test_a_step_that_goes_backwards_is_refused_in_one_sentence():
    watcher = Watcher()
    watcher.step(3, [group("p", "ab")])
    with pytest.raises(InputError, match="step 2 comes after step 3"):
        watcher.step(2, [group("p", "ab")])


def test_the_majority_of_the_last_visit_is_named_beforehand():
    """By P11 n draws for it have E/D = 2^(n+1)/(n+1)/2 * (1 - 2^-(n+1)): 15.9 for 7 and 28.4 for 8 beside 20; found
    among the draws, one of them fewer counts.
    """
    fresh = Watcher()
    fresh.step(0, [group("p", "a" * 8)])
    assert fresh.facts["certified"] == 0
    for draws, certified in ((7, 0), (8, 1)):
        watcher = Watcher()
        watcher.step(0, [group("p", "a" * draws)])
        watcher.step(1, [group("p", "a" * draws)])
        assert watcher.facts["certified"] == certified


def test_memory_keeps_a_sample_of_prompts_and_says_so():
    watcher = Watcher(WatchSettings(prompts=50))
    for step in range(10):
        watcher.step(step, [group(f"{step}-{at}", "aab") for at in range(40)])
    assert len(watcher.memory) <= 50
    assert any("more than 50 different prompts" in one for one in watcher.notes)


def test_windows_become_rounds_whose_numbers_are_those_of_the_prompts_visited():
    draw = np.random.default_rng(0)
    watcher = Watcher(WatchSettings(windows=4))
    last: dict[str, Group] = {}
    for step in range(64):
        groups = [group(f"p{at}", "".join(draw.choice(list("abc"), 8, p=[0.5, 0.3, 0.2]))) for at in range(6)]
        if step >= 48:
            last |= {one.prompt: one for one in groups}
        watcher.step(step, groups)
    rounds = watcher.rounds()
    assert [one.round for one in rounds] == [0, 1, 2, 3]
    now = rounds[-1].train
    assert now is not None
    assert now.answers is not None
    assert now.prompts == 6
    tops = [Counter(one.answers).most_common(1)[0] for one in last.values()]
    assert now.answers.kappa_estimate == pytest.approx(np.mean([8 / count for _, count in tops]))
    assert now.accuracy.mode == pytest.approx(np.mean([name == "a" for name, _ in tops]))
    assert now.accuracy.sample == pytest.approx(np.mean([np.mean(one.correct) for one in last.values()]))
    assert (rounds[0].model_extra or {})["steps"] == {"first": 0, "last": 15, "prompts": 96, "completions": 768}


def test_without_answers_the_alarms_that_need_them_are_named():
    watcher = Watcher()
    watcher.step(0, [group("p", "aab", right=None, rewards=None)])
    assert any("corrupted_grow" in one for one in watcher.notes)


def test_prompts_and_answers_of_any_text_are_taken():
    watcher = Watcher()
    answers = ("\x00", "\ud800", "a" * 10**6, None)
    watcher.step(
        0, [Group("\ud800" * 10, answers, (None,) * 4, (0.0,) * 4, (1, 2, 3, 4), sample=("\ud800", "<script>"))]
    )
    watcher.step(1, [Group("\ud800" * 10, answers, (None,) * 4, (0.0,) * 4, (1, 2, 3, 4))])
    assert watcher.facts["flips"] == 0
    assert len(watcher.rounds()) == 2
