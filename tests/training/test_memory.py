"""Running out of memory costs nothing that was finished, and the run goes on with smaller pieces."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from srlm.errors import InputError
from srlm.training.memory import RECOMPUTE, is_out_of_memory, same_step
from srlm.training.trainer import SelfRewardingTrainer


def test_what_counts_as_out_of_memory() -> None:
    cpu = "[enforce fail at alloc_cpu.cpp:119] err == 0. DefaultCPUAllocator: can't allocate memory: you tried ..."
    assert is_out_of_memory(RuntimeError(cpu))
    assert is_out_of_memory(torch.OutOfMemoryError("CUDA out of memory"))
    assert is_out_of_memory(MemoryError())
    assert not is_out_of_memory(RuntimeError("shapes differ"))
    assert not is_out_of_memory(ValueError("out of memory"))


def test_a_real_allocation_that_fails_is_recognised() -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**58, dtype=torch.uint8)
    assert is_out_of_memory(caught.value)


def test_a_step_cut_into_more_passes_is_the_same_step() -> None:
    assert same_step({"per_device_train_batch_size": 8}, {"per_device_train_batch_size": 8}) != frozenset()
    assert same_step(
        {"per_device_train_batch_size": 8}, {"per_device_train_batch_size": 2, "gradient_accumulation_steps": 4}
    ) == {"per_device_train_batch_size", "gradient_accumulation_steps"}
    assert not same_step({"per_device_train_batch_size": 8}, {"per_device_train_batch_size": 4})


def test_a_run_out_of_memory_goes_on_with_smaller_passes(
    start: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = start(tmp_path / "whole")
    with monkeypatch.context() as patch:

        def fail(*args: Any, **rest: Any) -> Any:
            raise RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 1 bytes")

        patch.setattr(SelfRewardingTrainer, "compute_loss", fail)
        with pytest.raises(InputError, match=r"round 1 \(train\); lower per_device_train_batch_size \(3\).*--resume"):
            start(tmp_path / "short")
    smaller = {"per_device_train_batch_size": 1, "gradient_accumulation_steps": 3, "rows_per_pass": 4, RECOMPUTE: True}
    with pytest.raises(InputError, match="per_device_train_batch_size was 3 and is now 1"):
        start(tmp_path / "short", resume=True, per_device_train_batch_size=1)
    short = start(tmp_path / "short", resume=True, **smaller)
    for number in (0, 1, 2):
        one, other = (run.round(number).metrics() for run in (whole, short))
        assert one["log_kappa"]["upper"] == pytest.approx(other["log_kappa"]["upper"], rel=1e-3)
        assert one["tokens"] == other["tokens"]
