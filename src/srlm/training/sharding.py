"""Weights spread over processes (FSDP, ZeRO-3), made whole for everything but an update.

Knows: PyTorch's `fully_shard` and DeepSpeed's partitioned parameters. An update runs sharded. Everything else runs
whole, because sampling and mode search take another number of steps at every prompt, so that processes could not
gather each layer at the same time: between updates every process holds all weights, and a forward pass needs no other
process. What changes or copies weights is collective: all processes call it, or none. Refuses to know: what an update
minimises.
"""

from typing import Any

import torch
from torch import Tensor
from torch.distributed.fsdp import FSDPModule
from torch.distributed.tensor import DTensor, distribute_tensor

from srlm.errors import InputError
from srlm.training.memory import RECOMPUTE


class WrappedPolicy:
    """The wrapped model's forward pass (gradients are reduced there) with the policy's own attributes (a wrapper hides
    them).
    """

    def __init__(self, wrapped: Any, policy: Any) -> None:
        self._wrapped, self._policy = wrapped, policy

    def __call__(self, **inputs: Any) -> Any:
        return self._wrapped(**inputs)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._policy, name)


def require_supported(accelerator: Any) -> None:
    """Refuse what cannot be made whole between updates.

    Args:
        accelerator: the trainer's.

    Raises:
        InputError: FSDP version 1, weights that only the first process loads, or FSDP's own activation checkpointing,
            which accelerate cannot prepare for a second update.
    """
    plugin = getattr(accelerator.state, "fsdp_plugin", None)
    if plugin is None:
        return
    if plugin.fsdp_version != 2:
        raise InputError("FSDP version 1 cannot make the model whole between updates; set fsdp_version to 2")
    if plugin.cpu_ram_efficient_loading:
        raise InputError("every process samples from the base model; set fsdp_cpu_ram_efficient_loading to false")
    if plugin.activation_checkpointing:
        raise InputError(f"set {RECOMPUTE} in place of fsdp_activation_checkpointing")


def is_sharded(model: Any) -> bool:
    """Whether the model's weights are spread over processes during updates."""
    return is_fully_sharded(model) or bool(_partitioned(model))


def is_fully_sharded(model: Any) -> bool:
    """Whether they are spread by `fully_shard`, which has a state dict and parameters of its own kind."""
    return bool(_units(model))


def gather(model: Any) -> None:
    """Make the weights whole on this process; nothing where they always are."""
    for unit in _units(model):
        unit.set_reshard_after_forward(False, recurse=False)
        unit.unshard()
    if partitioned := _partitioned(model):
        partitioned[0].all_gather(param_list=partitioned)


def scatter(model: Any) -> None:
    """Give back what belongs to other processes; nothing where weights are always whole."""
    units = _units(model)
    for unit in units:
        unit.set_reshard_after_forward(unit is not model, recurse=False)
        unit.reshard()
    if units and hasattr(model, "reset_iter_state"):  # forward passes without a backward pass left their traces
        model.reset_iter_state()
    if partitioned := _partitioned(model):
        partitioned[0].partition(param_list=partitioned, has_been_updated=True)


def trained_state(model: Any) -> dict[str, Tensor]:
    """The part of the state dict that training changes, whole, as the optimiser holds it: under FSDP the weights that
    `gather` shows may be rounded to what the forward pass computes in. All of it where weights are not sharded so.
    """
    if not is_fully_sharded(model):
        return model.state_dict()
    scatter(model)
    own = {name: value for name, value in model.named_parameters() if value.requires_grad}
    found = {name: value.full_tensor() if isinstance(value, DTensor) else value for name, value in own.items()}
    gather(model)
    return {name: value.detach() for name, value in found.items()}


def whole_state(model: Any) -> dict[str, Tensor]:
    """The state dict of a model after `gather`; under FSDP its own `state_dict` would shard the weights again."""
    if not is_fully_sharded(model):
        return model.state_dict()
    found = {name: value.detach() for name, value in model.named_parameters(remove_duplicate=False)}
    for prefix, module in model.named_modules():
        for name, value in module.named_buffers(recurse=False):
            if name not in module._non_persistent_buffers_set:
                found[f"{prefix}.{name}" if prefix else name] = value
    return found


def trained_parts(model: Any) -> dict[str, Tensor]:
    """A copy of what this process holds of the trainable weights during an update."""
    return {name: _part(value).detach().clone() for name, value in _trained(model)}


@torch.no_grad()
def put_back(model: Any, parts: dict[str, Tensor]) -> None:
    """Make the trainable weights what they were at `trained_parts`."""
    for name, value in _trained(model):
        _part(value).copy_(parts[name])
        if hasattr(value, "ds_id"):  # small parameters stay gathered, and are now out of date
            value.partition(param_list=[value])


def load(parameters: dict[str, Tensor], values: dict[str, Tensor]) -> None:
    """Copy whole values into the parameters of the same names, between `scatter` and `gather`.

    Raises:
        InputError: a value without a parameter.
    """
    with torch.no_grad():
        for name, value in values.items():
            own = parameters.get(name)
            if own is None:
                raise InputError(f"the checkpoint does not fit the model; it has {name}")
            fresh = value.to(own.device, own.dtype)
            own.copy_(distribute_tensor(fresh, own.device_mesh, own.placements) if isinstance(own, DTensor) else fresh)


def _units(model: Any) -> list[FSDPModule]:
    return [module for module in model.modules() if isinstance(module, FSDPModule)]


def _trained(model: Any) -> list[tuple[str, Any]]:
    for unit in _units(model):  # the last forward pass may have left some gathered
        unit.reshard()
    return [(name, value) for name, value in model.named_parameters() if value.requires_grad]


def _part(value: Any) -> Tensor:
    return getattr(value, "ds_tensor", value)


def _partitioned(model: Any) -> list[Any]:
    return [value for value in model.parameters() if hasattr(value, "ds_id")]
