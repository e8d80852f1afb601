"""A folder in which the documentation's commands run: what they name is there, small."""

import json
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tests.watching import real_runs, written


@pytest.fixture(scope="session")
def furnished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The names that pages use for what is the reader's own: a model, prompts, runs of other trainers, a diagnosis.

    The model answers three digits with one, 60 % of the time the right one.
    """
    from srlm.cli.main import run

    folder = tmp_path_factory.mktemp("furnished")
    model = real_runs.warm_model()
    model.config.max_position_embeddings = 1024  # room for responses as long as pages ask for
    for name in ("M", "other-model", "path/or/hub-name"):
        model.save_pretrained(folder / name)
        real_runs.tokenizer().save_pretrained(folder / name)
    rows = [{"prompt": one["prompt"], "answer": one["solution"]} for one in real_runs.prompts()]
    (folder / "prompts.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    for name, seed in (("outputs/my-grpo-run", 0), ("trained", 1)):
        written.trl(folder / name, written.rows(seed=seed))
    assert run(["audit", str(folder / "trained"), "--out", str(folder / "other-run")]) == 0
    shutil.rmtree(folder / "trained")
    looked = ["diagnose", "--model", folder / "M", "--prompts", folder / "prompts.jsonl", "--out", folder / "before"]
    assert run([str(one) for one in looked]) == 0
    shutil.move(folder / "before" / "diagnosis.json", folder / "diagnosis.json")
    (folder / "docs").symlink_to(Path(__file__).parents[2] / "docs")
    return folder


@pytest.fixture
def workbench(furnished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of what is furnished, as the working directory."""
    folder = tmp_path / "workbench"
    shutil.copytree(furnished, folder, symlinks=True)
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def named(workbench: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], dict[str, Any]]:
    """What a page's Python takes as given, by the page."""

    def of(page: str) -> dict[str, Any]:
        if page != "docs/watch.md":
            return {}
        pytest.importorskip("trl", reason="trl is not installed; it comes with `make install` (the extra dev)")
        import trl
        from datasets import Dataset

        # The page is for a GPU; here three steps without one do.
        small = partial(trl.GRPOConfig, use_cpu=True, bf16=False, max_steps=3, max_completion_length=4, report_to=[])
        monkeypatch.setattr(trl, "GRPOConfig", small)
        told = written.by_step(written.rows())
        batches = [
            [
                (prompt, tuple(one["answer"] for one in some), tuple(one["answer"] == one["gold"] for one in some),
                 tuple(one["reward"] for one in some), tuple(len(one["text"]) for one in some))
                for prompt in dict.fromkeys(one["prompt"] for one in drawn)
                if (some := [one for one in drawn if one["prompt"] == prompt])
            ]
            for drawn in told.values()
        ]  # fmt: skip
        data = Dataset.from_list(real_runs.prompts())
        return {"model": str(workbench / "M"), "my_reward": real_runs.right, "data": data, "batches": batches}

    return of
