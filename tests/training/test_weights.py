"""A policy is saved, restored, merged and exported without becoming another one, whatever its adapter."""

from pathlib import Path
from typing import Any

import pytest
import torch
from peft import IA3Config, LoraConfig, PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer

from srlm.errors import InputError
from srlm.training.config import SelfRewardingConfig
from srlm.training.sharding import trained_state
from srlm.training.weights import export_model, make_trainable, merged, restore_policy, save_policy

_ADAPTERS = {
    "none": None,
    "lora": LoraConfig(r=2, target_modules="all-linear", task_type="CAUSAL_LM"),
    "lora with dropout": LoraConfig(r=2, lora_dropout=0.5, target_modules="all-linear", task_type="CAUSAL_LM"),
    "rank-stabilised": LoraConfig(r=2, use_rslora=True, target_modules=["q_proj", "up_proj"], task_type="CAUSAL_LM"),
    "dora": LoraConfig(r=2, use_dora=True, target_modules="all-linear", task_type="CAUSAL_LM"),
    "a module beside": LoraConfig(r=2, target_modules=["q_proj"], modules_to_save=["lm_head"], task_type="CAUSAL_LM"),
    "ia3": IA3Config(target_modules=["k_proj", "down_proj"], feedforward_modules=["down_proj"], task_type="CAUSAL_LM"),
}


@pytest.fixture(params=_ADAPTERS)
def policy(request: pytest.FixtureRequest, tiny_model_folder: Path) -> Any:
    """The tiny model with an adapter that has been trained: its weights are random."""
    adapter = _ADAPTERS[request.param]
    model = AutoModelForCausalLM.from_pretrained(tiny_model_folder).requires_grad_(False)
    found = make_trainable(model, SelfRewardingConfig(use_peft=adapter is not None, use_cpu=True), adapter).eval()
    torch.manual_seed(1)
    with torch.no_grad():
        for value in found.parameters():
            if value.requires_grad:
                value.add_(0.3 * torch.randn_like(value))
    return found


@torch.no_grad()
def logits(model: Any) -> torch.Tensor:
    return model(input_ids=torch.tensor([[2, 5, 7, 11, 3]])).logits


def test_merging_changes_no_answer_and_leaves_no_trace(policy: Any) -> None:
    before = {name: value.clone() for name, value in policy.state_dict().items()}
    trainable = [name for name, value in policy.named_parameters() if value.requires_grad]
    plain = logits(policy)
    with merged(policy):
        torch.testing.assert_close(logits(policy), plain, rtol=1e-5, atol=1e-5)
    assert trainable == [name for name, value in policy.named_parameters() if value.requires_grad]
    for name, value in policy.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_the_exported_model_answers_alike(policy: Any, tiny_model_folder: Path, tmp_path: Path) -> None:
    plain = logits(policy)
    export_model(policy, AutoTokenizer.from_pretrained(tiny_model_folder), tmp_path)
    alone = AutoModelForCausalLM.from_pretrained(tmp_path)
    torch.testing.assert_close(logits(alone), plain, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(logits(policy), plain, rtol=0, atol=0)


# peft 0.21 asks for a property that transformers 5.23 deprecates.
@pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing:FutureWarning")
def test_what_is_saved_is_restored_and_loads_in_peft(policy: Any, tiny_model_folder: Path, tmp_path: Path) -> None:
    plain = logits(policy)
    save_policy(policy, trained_state(policy), tmp_path)
    with torch.no_grad():
        for value in policy.parameters():
            if value.requires_grad:
                value.zero_()
    assert not torch.allclose(logits(policy), plain)
    restore_policy(policy, tmp_path)
    assert torch.equal(logits(policy), plain)
    if isinstance(policy, PeftModel):
        base = AutoModelForCausalLM.from_pretrained(tiny_model_folder)
        torch.testing.assert_close(logits(PeftModel.from_pretrained(base, tmp_path).eval()), plain)


def test_a_checkpoint_of_another_adapter_is_refused(tiny_model_folder: Path, tmp_path: Path) -> None:
    def lora(*modules: str) -> Any:
        config = LoraConfig(r=2, target_modules=list(modules), task_type="CAUSAL_LM")
        model = AutoModelForCausalLM.from_pretrained(tiny_model_folder)
        return make_trainable(model, SelfRewardingConfig(use_cpu=True), config)

    other = lora("q_proj", "v_proj")
    save_policy(other, trained_state(other), tmp_path)
    with pytest.raises(InputError, match="does not fit the model"):
        restore_policy(lora("q_proj"), tmp_path)
