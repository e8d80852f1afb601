"""Log-probabilities taken at the head, a few rows at a time, against the whole table of logits."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from srlm.diagnosis.families import FAMILIES, FamilySettings, build
from srlm.lm import output_head
from srlm.lm.output_head import frozen_head
from srlm.lm.scoring import has_plain_head, has_tree_attention, pack, response_logprobs, score_responses

GROUPS = [([3, 4, 5], [[6, 7, 0], [6, 7, 8], [6, 0]]), ([3, 9, 2], [[0], [1, 1, 1, 0]])]


@pytest.fixture(params=[1, 3, 10**6], ids=lambda rows: f"{rows} rows held")
def rows_held(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output_head, "_LOGITS_HELD", 12 * request.param)


def with_frozen_head(model: Any) -> Any:
    model.get_output_embeddings().weight.requires_grad_(False)
    return model


@pytest.mark.usefixtures("rows_held")
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.bfloat16, 5e-2)])
def test_values_and_gradients_are_those_of_the_table(
    tiny_llama: Callable[..., Any], dtype: torch.dtype, tolerance: float
) -> None:
    found = []
    for plain_head in (False, True):
        model = with_frozen_head(tiny_llama(dtype=dtype))
        values = response_logprobs(model, pack(GROUPS), plain_head=plain_head)
        (values * torch.arange(1.0, 6.0)).sum().backward()
        gradients = [p.grad.flatten().float() for p in model.parameters() if p.requires_grad]
        found.append((values.detach(), torch.cat(gradients)))
    torch.testing.assert_close(found[1][0], found[0][0], rtol=tolerance, atol=tolerance)
    assert torch.linalg.norm(found[1][1] - found[0][1]) < tolerance * torch.linalg.norm(found[0][1])


@pytest.mark.usefixtures("rows_held")
def test_scores_are_the_same_and_the_head_is_left_as_it_was(tiny_llama: Callable[..., Any]) -> None:
    model = with_frozen_head(tiny_llama())
    before = model(torch.tensor([[3, 4]])).logits
    whole = score_responses(model, GROUPS, tree_attention=True)
    held = score_responses(model, GROUPS, tree_attention=True, plain_head=True)
    assert [value for group in held for value in group] == pytest.approx(
        [value for group in whole for value in group], abs=1e-5
    )
    assert torch.equal(model(torch.tensor([[3, 4]])).logits, before)


def test_a_head_that_is_trained_or_adapted_is_not_taken_apart(tiny_llama: Callable[..., Any]) -> None:
    from peft import LoraConfig, get_peft_model

    assert not has_plain_head(tiny_llama())
    assert has_plain_head(with_frozen_head(tiny_llama()))
    plain = with_frozen_head(tiny_llama())
    for modules, alone in (("q_proj", True), ("lm_head", False)):
        with pytest.warns(FutureWarning, match="is_gradient_checkpointing"):
            policy = get_peft_model(plain, LoraConfig(r=2, target_modules=[modules], task_type="CAUSAL_LM"))
        assert has_plain_head(policy) == alone
        plain = policy.unload()


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_families_are_taken_apart_only_where_it_changes_nothing(family: str) -> None:
    model = build(family, FamilySettings(width=16, seed=0), 12).requires_grad_(False)
    if has_tree_attention(model) and has_plain_head(model):
        whole = score_responses(model, GROUPS, tree_attention=True)
        held = score_responses(model, GROUPS, tree_attention=True, plain_head=True)
        assert held[0] == pytest.approx(whole[0], abs=1e-4)


def test_scaled_and_capped_logits_are_noticed() -> None:
    from transformers import CohereConfig, CohereForCausalLM, GraniteConfig, GraniteForCausalLM

    shape = {"vocab_size": 12, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 1}
    shape |= {"num_attention_heads": 4, "num_key_value_heads": 2, "pad_token_id": 0}
    granite = GraniteForCausalLM(GraniteConfig(**shape, logits_scaling=0.1)).eval().requires_grad_(False)
    cohere = CohereForCausalLM(CohereConfig(**shape, logit_scale=16.0)).eval().requires_grad_(False)
    for model in (granite, cohere):
        assert frozen_head(model) is not None
        assert not has_plain_head(model)
