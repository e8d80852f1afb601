"""Spectra against dense computations that share no code with the streaming sums."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from srlm.errors import InputError
from srlm.lm import features
from srlm.lm.features import FeatureMoments, measure_features, weight_matrices, weight_spectrum
from srlm.theory.spectrum import effective_dimension, fisher_spectrum

GROUPS = [([3, 4, 5], [[1, 2, 0], [1, 2, 0], [4, 0]]), ([3, 4], [[2, 2, 2], [1, 0]])]


def dense_positions(model: Any) -> tuple[np.ndarray, np.ndarray]:
    """Hidden states and next-token probabilities of every response position, one sequence at a time."""
    states, logprobs = [], []
    for prompt, replies in GROUPS:
        for reply in replies:
            with torch.inference_mode():
                output = model(torch.tensor([[*prompt, *reply]]), output_hidden_states=True)
            span = slice(len(prompt) - 1, len(prompt) + len(reply) - 1)
            states.append(output.hidden_states[-1][0, span])
            logprobs.append(output.logits[0, span].double().log_softmax(-1))
    return torch.cat(states).double().numpy(), torch.cat(logprobs).numpy()


@pytest.mark.parametrize("tree_attention", [True, False])
@pytest.mark.parametrize("tokens_per_pass", [1, 2048])
def test_streamed_spectra_equal_dense_ones(
    tiny_llama: Callable[..., Any], tree_attention: bool, tokens_per_pass: int
) -> None:
    model = tiny_llama(0, torch.float64, sharpness=0.3)
    found = measure_features(model, GROUPS, tree_attention=tree_attention, tokens_per_pass=tokens_per_pass)
    states, logprobs = dense_positions(model)
    largest = np.linalg.norm(states, axis=1).max()
    covariance = states.T @ states / len(states) / largest**2
    assert found.positions == len(states) == 13
    assert found.largest_norm == pytest.approx(largest)
    assert found.eigenvalues == pytest.approx(np.linalg.eigvalsh(covariance)[::-1], abs=1e-9)
    # The theory's own Fisher information of a linear softmax policy whose features are the head's rows.
    head = np.broadcast_to(model.lm_head.weight.detach().numpy(), (len(states), *model.lm_head.weight.shape))
    expected = fisher_spectrum(head, logprobs).eigenvalues
    assert found.fisher == pytest.approx(expected, rel=1e-5, abs=1e-5 * expected[0])


def test_shared_prefixes_are_run_once_and_counted_as_often_as_they_are_drawn(tiny_llama: Callable[..., Any]) -> None:
    found = measure_features(tiny_llama(), GROUPS, tree_attention=True)
    assert found.positions == 13
    assert found.distinct < found.positions


def test_scaled_features_have_trace_and_dimension_within_the_theorys_limits(tiny_llama: Callable[..., Any]) -> None:
    found = measure_features(tiny_llama(), GROUPS, tree_attention=True)
    assert 0 < found.eigenvalues.sum() <= 1 + 1e-9
    assert (np.diff(found.eigenvalues) <= 0).all()
    assert effective_dimension(found.eigenvalues, 1e-9) <= min(found.distinct, 32) + 1e-6


def test_adding_in_any_split_gives_the_same_sums() -> None:
    generator = torch.Generator().manual_seed(0)
    head = torch.randn(7, 5, generator=generator)
    hidden = torch.randn(40, 5, generator=generator)
    weights = torch.randint(1, 4, (40,), generator=generator).float()
    whole, parts = FeatureMoments(head), FeatureMoments(head)
    whole.add(hidden, hidden @ head.T, weights)
    for rows in torch.randperm(40, generator=generator).split(9):
        parts.add(hidden[rows], hidden[rows] @ head.T, weights[rows])
    assert parts.spectrum().eigenvalues == pytest.approx(whole.spectrum().eigenvalues, abs=1e-12)
    assert parts.spectrum().fisher == pytest.approx(whole.spectrum().fisher, abs=1e-6)


def test_certain_tokens_carry_no_fisher_information() -> None:
    head = torch.eye(3, dtype=torch.float64)
    moments = FeatureMoments(head)
    hidden = 1000 * torch.eye(3, dtype=torch.float64)
    moments.add(hidden, hidden @ head.T, torch.ones(3))
    assert moments.spectrum().fisher == pytest.approx(0, abs=1e-12)


def test_no_positions_and_no_head_are_refused(tiny_llama: Callable[..., Any]) -> None:
    with pytest.raises(InputError, match="not defined"):
        FeatureMoments(torch.eye(3)).spectrum()
    model = tiny_llama()
    model.get_output_embeddings = lambda: None
    with pytest.raises(InputError, match="no linear output head"):
        measure_features(model, GROUPS, tree_attention=True)


@pytest.mark.parametrize("shape", [(30, 90), (90, 30)])
def test_weight_spectra_equal_squared_singular_values_whole_or_by_lanczos(
    shape: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    weight = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    expected = torch.linalg.svdvals(weight.double()).square().numpy()
    whole = weight_spectrum("w", weight)
    assert whole.whole
    assert whole.eigenvalues == pytest.approx(expected)
    assert whole.trace == pytest.approx(expected.sum())
    assert whole.stable_rank == pytest.approx(expected.sum() / expected[0])
    monkeypatch.setattr(features, "_WHOLE", 8)
    monkeypatch.setattr(features, "_LANCZOS", 6)
    some = weight_spectrum("w", weight)
    assert not some.whole
    assert some.eigenvalues == pytest.approx(expected[:6], rel=1e-4)
    assert some.trace == pytest.approx(expected.sum())


def test_weight_matrices_are_those_of_the_first_middle_and_last_block(tiny_llama: Callable[..., Any]) -> None:
    names = [name for name, _ in weight_matrices(tiny_llama(num_hidden_layers=5))]
    assert names[0] == "output head"
    assert {name.split(".")[2] for name in names[1:]} == {"0", "2", "4"}
    assert sum("q_proj" in name for name in names) == 3
    assert not any("norm" in name for name in names)
