"""The policy being trained: what of it is trainable, how it is saved, restored and exported.

Knows: peft and safetensors. Adapters stay adapters in every checkpoint, because merging and unmerging drifts from
the base (huggingface/trl 6688); only the exported model is merged, from a copy.
"""

import copy
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftConfig, PeftModel, get_peft_model, load_peft_weights, set_peft_model_state_dict
from peft.tuners.lora import LoraLayer
from safetensors.torch import load_model as load_safetensors

from srlm.errors import InputError
from srlm.lm.loading import quiet
from srlm.training.config import SelfRewardingConfig

_WEIGHTS = "model.safetensors"


def make_trainable(model: Any, config: SelfRewardingConfig, adapter: PeftConfig | None = None) -> Any:
    """The model with a fresh adapter (seeded by `config.seed`), or with all its weights trainable.

    Args:
        model: the base model, frozen.
        config: the run; its `lora_*` fields make the adapter when `adapter` is not given.
        adapter: any peft configuration.

    Raises:
        InputError: the adapter does not fit the model.
    """
    if isinstance(model, PeftModel):
        return model
    if adapter is None and not config.use_peft:
        return model.requires_grad_(True)
    chosen = adapter or LoraConfig(
        r=config.lora_r,
        lora_alpha=config.lora_alpha,
        lora_dropout=config.lora_dropout,
        target_modules=config.lora_target_modules,
        task_type="CAUSAL_LM",
    )
    # peft draws the adapter from torch's global generator. peft 0.21 asks for a property that transformers 5.23
    # deprecates; the filter can go once peft asks for is_activation_checkpointing.
    with torch.random.fork_rng(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*is_gradient_checkpointing", category=FutureWarning)
        torch.manual_seed(config.seed)
        try:
            return get_peft_model(model, chosen)
        except ValueError as error:
            raise InputError(
                f"the adapter does not fit the model: {error}; set lora_target_modules to modules it has"
            ) from error


def save_policy(model: Any, folder: Path) -> None:
    """Write what training changed (the adapter, or all weights) as safetensors."""
    with quiet():
        model.save_pretrained(folder)


def restore_policy(model: Any, folder: Path) -> None:
    """Load into `model` what `save_policy` wrote."""
    if isinstance(model, PeftModel):
        outcome = set_peft_model_state_dict(model, load_peft_weights(str(folder), device=str(model.device)))
        if outcome.unexpected_keys:
            raise InputError(f"the adapter in {folder} does not fit the model; it has {outcome.unexpected_keys[0]}")
        return
    load_safetensors(model, folder / _WEIGHTS, strict=False, device=str(model.device))


@contextmanager
def merged(model: Any) -> Iterator[None]:
    """Within the block the adapter is part of the weights, for inference without its overhead; afterwards nothing
    has changed.

    The merged weights are new tensors and the base's own are put back, so nothing drifts. Only in float32: in lower
    precision a merged model is not the model that is trained.
    """
    layers: list[Any] = [
        module for module in model.modules() if isinstance(module, LoraLayer) and hasattr(module, "get_delta_weight")
    ]
    weights: list[Any] = [layer.get_base_layer().weight for layer in layers]
    if not isinstance(model, PeftModel) or any(weight.dtype != torch.float32 for weight in weights):
        yield
        return
    kept = [weight.data for weight in weights]
    try:
        with torch.no_grad():
            for layer, weight in zip(layers, weights, strict=True):
                for adapter in layer.active_adapters:
                    weight.data = weight.data + layer.get_delta_weight(adapter)  # pyright: ignore[reportCallIssue]
        with model.disable_adapter():
            yield
    finally:
        for weight, data in zip(weights, kept, strict=True):
            weight.data = data


def export_model(model: Any, tokenizer: Any, folder: Path) -> None:
    """Write a model that `AutoModelForCausalLM.from_pretrained` loads without any adapter library."""
    whole = copy.deepcopy(model).merge_and_unload() if isinstance(model, PeftModel) else model
    with quiet():
        whole.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
