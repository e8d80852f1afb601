"""A run in low precision: its brackets are widened by the measured error, hold the float32 truth, and are called
estimates.
"""

from pathlib import Path

import pytest
import torch

from srlm.lm.encoding import encode_prompts
from srlm.lm.loading import load_model
from srlm.lm.mode_search import search_modes
from srlm.lm.precision import in_float32
from srlm.tasks.prompts import load_prompts
from srlm.training.config import SelfRewardingConfig
from srlm.training.start import start_run
from srlm.training.weights import make_trainable, restore_policy

LENGTH = 3


def test_a_bfloat16_runs_brackets_hold_the_float32_modes(
    tiny_model_folder: Path, prompts_file: str, tmp_path: Path
) -> None:
    options = {"rounds": 1, "max_completion_length": LENGTH, "learning_rate": 3e-3, "logging_strategy": "no"}
    directory = start_run(
        model=str(tiny_model_folder),
        prompts=prompts_file,
        options=options | {"output_dir": str(tmp_path / "run"), "max_drift": None},
        dtype="bfloat16",
        device="cpu",
    )
    loaded = load_model(str(tiny_model_folder), dtype="bfloat16", device="cpu")
    encoded = encode_prompts(load_prompts(prompts_file), loaded, max_new_tokens=LENGTH)
    policy = make_trainable(loaded.model, SelfRewardingConfig(output_dir=str(tmp_path / "other")))
    for number in (0, 1):
        restore_policy(policy, directory.round(number).checkpoint())
        policy.eval()
        with in_float32(policy):
            exact = search_modes(policy, encoded, max_new_tokens=LENGTH, end_token_ids=loaded.end_token_ids)
        rows = directory.round(number).read_table("modes").to_pylist()
        for row, truth in zip(rows, exact, strict=True):
            assert truth.certified
            # 1e-5: float32 itself rounds another way in another batch.
            assert row["mode_logprob_lower"] - 1e-5 <= truth.mode.logprob <= row["mode_logprob_upper"] + 1e-5
            assert row["mode_logprob_lower"] < row["mode_logprob"]  # the value is no end once the bracket is widened
        record = directory.round(number).read()
        assert record.numerics is not None
        assert record.numerics.dtype == "bfloat16"
        assert record.numerics.widened > 0
        assert all(row["widening"] == pytest.approx(record.numerics.widened) for row in rows)
    assert policy.dtype == torch.bfloat16
