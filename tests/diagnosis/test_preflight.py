"""A whole diagnosis against the enumeration of every response of a tiny model."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from srlm.cli._diagnosis_text import diagnosis_text
from srlm.diagnosis.preflight import diagnose
from srlm.diagnosis.settings import DiagnosisSettings
from srlm.errors import InputError
from srlm.lm.encoding import encode_prompts
from srlm.lm.loading import as_loaded
from srlm.records.diagnosis import DiagnosisRecord
from srlm.tasks.prompts import load_prompts
from srlm.theory.conditioning import condition

LIMIT = 2


@pytest.fixture(scope="module")
def truth(loaded_tiny: Any, prompts_file: str, enumerate_responses: Callable[..., Any]) -> list[dict[Any, float]]:
    encoded = encode_prompts(load_prompts(prompts_file), loaded_tiny, max_new_tokens=LIMIT)
    return [enumerate_responses(loaded_tiny.model, ids, LIMIT, set(loaded_tiny.end_token_ids)) for ids in encoded]


def test_kappa_failure_rate_confidence_and_margins_equal_brute_force(diagnosed: Any, truth: list[Any]) -> None:
    widest = max(map(len, truth))
    table = np.array([[*one.values()] + [-math.inf] * (widest - len(one)) for one in truth])
    expected = condition(table)
    found = diagnosed
    for bracket, value in (
        (found.kappa, expected.policy_condition_number),
        (found.log_kappa, expected.log_policy_condition_number),
        (found.failure_rate, expected.failure_rate),
        (found.min_confidence, expected.min_confidence),
    ):
        assert bracket.lower == bracket.upper == pytest.approx(value, rel=1e-4)
    assert min(one.margin_lower for one in diagnosed.prompts) <= expected.margin + 1e-4
    for one, responses in zip(diagnosed.prompts, truth, strict=True):
        assert one.mode.certified
        assert one.mode.logprob_lower == pytest.approx(max(responses.values()), abs=1e-4)


def test_prompts_for_the_gate_are_left_out_and_counted(
    diagnosed: Any, tiny_model_folder: Path, prompts_file: str, tmp_path: Path
) -> None:
    rows = [json.loads(line) for line in Path(prompts_file).read_text(encoding="utf-8").splitlines()]
    apart = [{"prompt": f"w{n}", "answer": "w1", "split": "gate"} for n in (7, 8)]
    marked = tmp_path / "marked.jsonl"
    marked.write_text("\n".join(map(json.dumps, [*apart, *rows])), encoding="utf-8")
    settings = DiagnosisSettings(max_new_tokens=LIMIT, samples=8)
    for given, limit in ((str(marked), None), (str(marked), 8), ([*apart, *rows], 6)):
        found = diagnose(str(tiny_model_folder), given, settings=settings, limit=limit, device="cpu")
        assert found.settings.gate_prompts == 2
        assert found.prompts == diagnosed.prompts
        assert "6 prompts" in (said := diagnosis_text(found).splitlines()[0])
        assert said.endswith("2 more, marked gate, were left out.")
    assert "gate" not in diagnosis_text(diagnosed).splitlines()[0]


def test_the_ceiling_is_the_graded_accuracy_of_the_true_modes(
    diagnosed: Any, truth: list[Any], loaded_tiny: Any, prompts_file: str
) -> None:
    right = []
    for prompt, responses in zip(load_prompts(prompts_file), truth, strict=True):
        mode = max(responses, key=lambda tokens: responses[tokens])
        right.append(prompt.grade(loaded_tiny.tokenizer.decode(list(mode), skip_special_tokens=True)))
    assert diagnosed.accuracy.mode == pytest.approx(np.mean(right))
    assert diagnosed.accuracy.mode_bracket.lower == diagnosed.accuracy.mode_bracket.upper == diagnosed.accuracy.mode


def test_sample_accuracy_agrees_with_the_exact_probability_of_a_right_answer(
    tiny_model_folder: Path, truth: list[Any], loaded_tiny: Any, prompts_file: str
) -> None:
    exact = []
    for prompt, responses in zip(load_prompts(prompts_file), truth, strict=True):
        right = [
            math.exp(logprob)
            for tokens, logprob in responses.items()
            if prompt.grade(loaded_tiny.tokenizer.decode(list(tokens), skip_special_tokens=True))
        ]
        exact.append(math.fsum(right))
    samples = 400
    settings = DiagnosisSettings(max_new_tokens=LIMIT, samples=samples, spectra=False)
    found = diagnose(str(tiny_model_folder), prompts_file, settings=settings, device="cpu").accuracy.sample
    deviation = math.sqrt(sum(p * (1 - p) for p in exact) / samples) / len(exact)
    assert found == pytest.approx(np.mean(exact), abs=5 * deviation)
    assert deviation < 0.02


def test_greedy_is_called_wrong_exactly_where_it_is(diagnosed: Any, truth: list[Any]) -> None:
    for one, responses in zip(diagnosed.prompts, truth, strict=True):
        best = max(responses.values())
        assert one.greedy_is_mode == (one.greedy.logprob >= best - 1e-4)


@pytest.mark.parametrize("budget", [1, 2, 5])
def test_a_small_budget_gives_brackets_that_hold_the_truth(
    budget: int, tiny_model_folder: Path, prompts_file: str, diagnosed: Any
) -> None:
    settings = DiagnosisSettings(max_new_tokens=LIMIT, expansions=budget, samples=1, spectra=False)
    rough = diagnose(str(tiny_model_folder), prompts_file, settings=settings, device="cpu")
    for name in ("kappa", "log_kappa", "failure_rate", "min_confidence"):
        bracket, exact = getattr(rough, name), getattr(diagnosed, name).lower
        assert bracket.lower - 1e-4 * abs(exact) <= exact <= bracket.upper + 1e-4 * abs(exact)
    for one, sure in zip(rough.prompts, diagnosed.prompts, strict=True):
        assert one.greedy_is_mode in (None, sure.greedy_is_mode)
    if budget == 1:
        assert not all(one.mode.certified for one in rough.prompts)
    bracket = rough.accuracy.mode_bracket
    assert bracket is not None
    assert bracket.lower <= diagnosed.accuracy.mode <= bracket.upper


def test_the_document_is_finite_json_with_the_contracts_fields(diagnosed: Any) -> None:
    document = json.loads(json.dumps(diagnosed.as_dict(), allow_nan=False))
    assert {
        "model", "prompts", "kappa", "failure_rate", "min_confidence", "accuracy", "effective_dimension", "verdict"
    } <= document.keys()  # fmt: skip
    for one in document["prompts"]:
        assert {
            "prompt", "mode", "greedy", "greedy_is_mode", "margin_lower", "expansions", "answer", "mode_correct",
            "greedy_correct", "sample_accuracy",
        } <= one.keys()  # fmt: skip
        assert {"text", "logprob_lower", "logprob_upper", "certified"} <= one["mode"].keys()
        assert {"text", "logprob"} <= one["greedy"].keys()
    assert {"sample", "greedy", "mode", "best_of_n", "majority"} <= document["accuracy"].keys()
    assert [one["group"] for one in document["verdict"]] == ["all", "even", "odd"]
    assert DiagnosisRecord.model_validate(document) == diagnosed


def test_the_same_seed_gives_the_same_diagnosis_and_another_one_does_not(
    tiny_model_folder: Path, prompts_file: str, diagnosed: Any
) -> None:
    def measured(seed: int) -> dict[str, Any]:
        settings = DiagnosisSettings(max_new_tokens=LIMIT, samples=8, seed=seed)
        document = diagnose(str(tiny_model_folder), prompts_file, settings=settings, device="cpu").as_dict()
        return {name: value for name, value in document.items() if name not in ("seconds", "settings")}

    again = {name: value for name, value in diagnosed.as_dict().items() if name not in ("seconds", "settings")}
    assert measured(0) == again
    assert measured(1)["samples"] != again["samples"]


def test_a_loaded_model_and_records_are_taken_as_they_are(loaded_tiny: Any) -> None:
    settings = DiagnosisSettings(max_new_tokens=1, samples=2, spectra=False)
    found = diagnose(loaded_tiny, [{"prompt": "w1"}, {"prompt": "w2"}], settings=settings)
    assert found.accuracy.mode is None
    assert found.self_reward_against_correctness is None
    assert found.verdict[0].verdict in ("undecided", "would amplify errors")


def test_nan_names_the_layer_and_the_prompt(loaded_tiny: Any) -> None:
    import copy

    broken = copy.deepcopy(loaded_tiny.model)
    token = loaded_tiny.tokenizer("w3")["input_ids"][0]
    broken.model.layers[1].mlp.register_forward_hook(lambda _m, _i, out: out * torch.nan if bool(state["bad"]) else out)
    state = {"bad": False}

    def watch(_module: Any, given: Any) -> None:
        state["bad"] = bool((given[0] == token).any())

    broken.model.embed_tokens.register_forward_pre_hook(watch)
    settings = DiagnosisSettings(max_new_tokens=1, samples=2, spectra=False)
    with pytest.raises(InputError, match=r"prompt 2.*model\.layers\.1\.mlp"):
        diagnose(as_loaded(broken, loaded_tiny.tokenizer), [{"prompt": "w1"}, {"prompt": "w3"}], settings=settings)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"max_new_tokens": 0}, "max_new_tokens is 0"),
        ({"samples": 0}, "samples is 0"),
        ({"expansions": -1}, "expansions is -1"),
        ({"mass_slack": 1.0}, "mass_slack is 1.0"),
        ({"seed": -1}, "seed is -1"),
    ],
)
def test_settings_outside_their_domain_are_named(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        DiagnosisSettings(**options)


@pytest.mark.model
def test_the_embedded_model_is_diagnosed_with_every_mode_proved() -> None:
    settings = DiagnosisSettings(max_new_tokens=8, samples=2, spectra=False)
    found = diagnose(settings=settings, limit=3)
    assert all(one.mode.certified for one in found.prompts)
    assert found.kappa.lower == found.kappa.upper
