"""The policy being trained: what of it is trainable, how it is saved, restored and exported.

Knows: peft and safetensors. Adapters stay adapters in every checkpoint, because merging and unmerging drifts from the
base (huggingface/trl 6688); only the exported model is merged, from a copy. Refuses to know: losses, rounds.
"""

import copy
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from peft import (
    LoraConfig,
    PeftConfig,
    PeftModel,
    get_peft_model,
    get_peft_model_state_dict,
    load_peft_weights,
    set_peft_model_state_dict,
)
from peft.tuners.lora import LoraLayer
from peft.tuners.tuners_utils import BaseTunerLayer
from peft.utils import AuxiliaryTrainingWrapper
from safetensors.torch import load_file
from safetensors.torch import load_model as load_safetensors
from torch import Tensor

from srlm.errors import InputError
from srlm.lm.loading import quiet
from srlm.training.config import SelfRewardingConfig
from srlm.training.sharding import gather, is_fully_sharded, is_sharded, load, scatter, whole_state

_WEIGHTS = "model.safetensors"


def make_trainable(model: Any, config: SelfRewardingConfig, adapter: PeftConfig | None = None) -> Any:
    """The model with a fresh adapter (seeded by `config.seed`), or with all its weights trainable.

    Args:
        model: the base model, frozen.
        config: the run; its `lora_*` fields make the adapter when `adapter` is not given.
        adapter: any peft configuration.

    Raises:
        InputError: the adapter does not fit the model, or quantised weights were to be trained.
    """
    if isinstance(model, PeftModel):
        return model
    if adapter is None and not config.use_peft:
        if getattr(model, "is_quantized", False):
            raise InputError("quantised weights cannot be trained; train an adapter (leave use_peft on)")
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


def save_policy(model: Any, state: dict[str, Tensor], folder: Path) -> None:
    """Write what training changed (the adapter, or all weights) as safetensors.

    Args:
        model: the policy.
        state: its `trained_state`, which all processes take part in; only one writes.
        folder: where to.
    """
    with quiet():
        model.save_pretrained(folder, state_dict=state)


def restore_policy(model: Any, folder: Path) -> None:
    """Load into `model` what `save_policy` wrote. Collective where weights are sharded during updates.

    Raises:
        InputError: the checkpoint belongs to another model.
    """
    if is_fully_sharded(model):
        scatter(model)
        own = dict(model.named_parameters())
        if isinstance(model, PeftModel):
            load(get_peft_model_state_dict(model, state_dict=own), load_peft_weights(str(folder), device="cpu"))
        else:
            load(own, load_file(folder / _WEIGHTS))
        gather(model)
    elif isinstance(model, PeftModel):
        outcome = set_peft_model_state_dict(model, load_peft_weights(str(folder), device=str(model.device)))
        if outcome.unexpected_keys:
            raise InputError(f"the adapter in {folder} does not fit the model; it has {outcome.unexpected_keys[0]}")
    else:
        load_safetensors(model, folder / _WEIGHTS, strict=False, device=str(model.device))


@contextmanager
def merged(model: Any) -> Iterator[None]:
    """Within the block the adapter is part of the weights, for inference without its overhead; afterwards nothing
    has changed.

    The merged weights are new tensors and the base's own are put back, so nothing drifts. Only where the adapter adds
    to weights and does nothing else, and only in float32: in lower precision a merged model is not the model that is
    trained.
    """
    layers = _adding_layers(model)
    if layers and all(layer.get_base_layer().weight.dtype == torch.float32 for layer in layers):
        with _merged_weights(layers), model.disable_adapter():
            yield
    else:
        yield


def export_model(model: Any, tokenizer: Any, folder: Path) -> None:
    """Write a model that `AutoModelForCausalLM.from_pretrained` loads without any adapter library."""
    if layers := _adding_layers(model):
        whole = model.get_base_model()
        with _merged_weights(layers):
            state = {
                name.removeprefix("base_model.model.").replace(".base_layer.", "."): value
                for name, value in whole_state(model).items()
                if ".lora_" not in name
            }
    elif isinstance(model, PeftModel):
        if is_sharded(model):
            raise InputError("this adapter cannot be merged where weights are sharded; use plain LoRA")
        whole = copy.deepcopy(model).merge_and_unload()
        state = whole.state_dict()
    else:
        whole, state = model, whole_state(model)
    with quiet():
        whole.save_pretrained(folder, state_dict=state)
    tokenizer.save_pretrained(folder)


def _adding_layers(model: Any) -> list[Any]:
    """The adapter's layers where each does nothing but add to its layer's weight (LoRA without variants, biases,
    modules trained beside it, or a quantised base); none elsewhere.
    """
    if not isinstance(model, PeftModel):
        return []
    layers: list[Any] = [m for m in model.modules() if isinstance(m, BaseTunerLayer | AuxiliaryTrainingWrapper)]
    return layers if all(map(_only_adds, layers)) else []


def _only_adds(layer: Any) -> bool:
    if not (isinstance(layer, LoraLayer) and hasattr(layer, "get_delta_weight")):
        return False
    base: Any = layer.get_base_layer()
    return not layer.lora_variant and not any(layer.lora_bias.values()) and base.weight.is_floating_point()


@contextmanager
def _merged_weights(layers: list[Any]) -> Iterator[None]:
    """Within the block each layer's weight is a new tensor, with what its adapters add."""
    weights: list[Any] = [layer.get_base_layer().weight for layer in layers]
    kept = [weight.data for weight in weights]
    try:
        with torch.no_grad():
            for layer, weight in zip(layers, weights, strict=True):
                for adapter in layer.active_adapters:
                    weight.data = weight.data + layer.get_delta_weight(adapter)
        yield
    finally:
        for weight, data in zip(weights, kept, strict=True):
            weight.data = data
