"""The watcher of trl, with trl's real trainers on a tiny model: two lines, alarms, a stop, the best model kept."""

import json
import sys
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import srlm
from srlm.errors import InputError
from srlm.report.page import report
from srlm.watching.alarms import HARM

pytest.importorskip("trl", reason="trl is not installed; it comes with `make install` (the extra dev)")
from tests.watching import real_runs

# What trl and transformers say of themselves while they start.
pytestmark = [
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]


@pytest.mark.parametrize("kind", ["GRPO", "RLOO"])
def test_a_planted_collapse_is_stopped_and_the_best_model_is_kept(kind: str, tmp_path: Path, caplog: Any):
    from transformers import AutoModelForCausalLM

    watcher = srlm.watch(answers="number", stop_on=HARM, out=str(tmp_path / "out"), keep_every=4)
    trainer = real_runs.train(tmp_path / "trl", real_runs.wrong, kind=kind, steps=60, watcher=watcher)
    assert trainer.state.global_step < 60
    alarm = watcher.watcher.alarms[0]
    assert alarm.step == trainer.state.global_step
    assert f"srlm: {alarm.signature} at step {alarm.step}" in caplog.text
    record = json.loads((tmp_path / "out" / "run.json").read_text())
    assert record["status"] == "stopped"
    assert alarm.signature in record["reason"]
    kept = json.loads((tmp_path / "out" / "best" / "srlm.json").read_text())
    assert kept["step"] < alarm.step
    scores = [(one["step"], one["srlm/accuracy"]) for one in trainer.state.log_history if "srlm/accuracy" in one]
    assert kept["score"] > scores[-1][1]
    AutoModelForCausalLM.from_pretrained(tmp_path / "out" / "best")
    report([tmp_path / "out"], None)


def test_a_healthy_run_is_told_apart_and_its_numbers_are_those_of_its_table(tmp_path: Path):
    """The facts logged are recounted from trl's own table of completions."""
    import pandas as pd

    watcher = srlm.watch(answers="number", stop_on=HARM)
    trainer = real_runs.train(tmp_path, real_runs.right, watcher=watcher, steps=20, rate=1e-3, log_completions=True)
    assert trainer.state.global_step == 20
    assert watcher.watcher.alarms == []
    logged = {one["step"]: one for one in trainer.state.log_history if "srlm/accuracy" in one}
    for step in (1, 10, 20):
        table = pd.read_parquet(tmp_path / "completions" / f"completions_{step:05d}.parquet")
        told = [([word for word in text.split() if word.isdigit()] or [""])[-1] for text in table["completion"]]
        known = {one["prompt"]: one["solution"] for one in real_runs.prompts()}
        right = [said == known[asked] for said, asked in zip(told, table["prompt"], strict=True)]
        assert logged[step]["srlm/accuracy"] == pytest.approx(sum(right) / len(right), abs=1e-6)
        shares = []
        for prompt in set(table["prompt"]):
            said = [one for one, asked in zip(told, table["prompt"], strict=True) if asked == prompt and one]
            shares.append(max(Counter(said).values()) / len(said))
        assert logged[step]["srlm/majority_share"] == pytest.approx(sum(shares) / len(shares), abs=1e-6)
        rewards = table.groupby("prompt")["right"]
        assert logged[step]["srlm/zero_variance"] == pytest.approx((rewards.max() == rewards.min()).mean(), abs=1e-6)


def test_alerts_go_to_the_tracker_in_use(monkeypatch: pytest.MonkeyPatch):
    from srlm.watching import trl
    from srlm.watching.alarms import Alarm

    told: list[dict[str, Any]] = []
    tracker = SimpleNamespace(alert=lambda **given: told.append(given), AlertLevel=SimpleNamespace(WARN="warn"))
    other = SimpleNamespace(run=SimpleNamespace(alert=lambda **given: told.append(given)))
    monkeypatch.setitem(sys.modules, "trackio", tracker)
    monkeypatch.setitem(sys.modules, "wandb", other)
    one = Alarm("one_answer", 7, "seen", {}, "advice")
    trl._alert(one, SimpleNamespace(report_to=["trackio"]))  # pyright: ignore[reportArgumentType]
    assert told == [{"title": "srlm: one_answer at step 7", "text": "seen. advice", "level": "warn"}]
    trl._alert(one, SimpleNamespace(report_to=["wandb"]))  # pyright: ignore[reportArgumentType]
    assert len(told) == 2
    trl._alert(one, SimpleNamespace(report_to=[]))  # pyright: ignore[reportArgumentType]
    assert len(told) == 2


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"stop_on": ("collapse",)}, "stop_on has collapse"),
        ({"answers": "telepathy"}, "telepathy"),
        ({"keep_every": 0}, "keep_every"),
        ({"color": "red"}, "color"),
    ],
)
def test_a_wrong_setting_is_one_sentence(settings: dict[str, Any], sentence: str):
    with pytest.raises(InputError, match=sentence):
        srlm.watch(**settings)
