"""lm-eval's `hf` backend loads an exported model and gives its responses our log-probabilities."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from srlm.lm.loading import load_model
from srlm.lm.scoring import score_responses


# lm-eval and what it imports warn about their own future.
@pytest.mark.filterwarnings("default")
def test_the_hf_backend_scores_an_exported_model_as_we_do(start: Callable[..., Any], tmp_path: Path) -> None:
    from lm_eval.api.instance import Instance
    from lm_eval.models.huggingface import HFLM

    start(tmp_path / "run", rounds=1)
    folder = tmp_path / "run" / "model"
    asked = [("user w1 w2 assistant", " w3"), ("user w4 w5 assistant", " w6 w7 w8"), ("w9", " w9 w10")]
    backend: Any = HFLM(pretrained=str(folder), device="cpu", dtype="float32", batch_size=2)
    requests = [Instance("loglikelihood", {}, pair, at) for at, pair in enumerate(asked)]
    theirs = [value for value, _ in backend.loglikelihood(requests, disable_tqdm=True)]
    loaded = load_model(str(folder), device="cpu")

    def tokens(text: str) -> list[int]:
        return list(loaded.tokenizer(text, add_special_tokens=False)["input_ids"])

    groups = [(tokens(prompt), [tokens(response)]) for prompt, response in asked]
    ours = [value for (value,) in score_responses(loaded.model, groups, tree_attention=True)]
    assert theirs == pytest.approx(ours, abs=1e-4)
