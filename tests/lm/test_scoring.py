"""Packed prefix trees against the plain padded batch: same log-probabilities, same gradients."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from srlm.lm.output_head import edge_logprobs
from srlm.lm.scoring import has_tree_attention, pack, pad, response_logprobs, score_responses

GROUPS = [
    ([3, 4, 5], [[6, 7, 0], [6, 7, 8], [6, 0], [6, 7, 0]]),
    ([3, 4, 9, 2], [[0], [1, 1, 1, 0]]),
    ([3], [[4, 5, 6], [4]]),
]
sequences = st.lists(st.integers(0, 5), min_size=1, max_size=5)
groups_strategy = st.lists(st.tuples(sequences, st.lists(sequences, min_size=1, max_size=4)), min_size=1, max_size=4)


@settings(max_examples=40, deadline=None)
@given(groups=groups_strategy)
def test_packed_logprobs_equal_plain_forward(groups: Any, tiny_llama: Callable[..., Any]) -> None:
    model = tiny_llama(dtype=torch.float64)
    with torch.inference_mode():
        packed, plain = response_logprobs(model, pack(groups)), response_logprobs(model, pad(groups))
    torch.testing.assert_close(packed, plain, rtol=1e-5, atol=1e-5)


def test_packed_gradients_equal_plain_gradients(tiny_llama: Callable[..., Any]) -> None:
    gradients = []
    for sequences in (pack(GROUPS), pad(GROUPS)):
        model = tiny_llama(dtype=torch.float64)
        (response_logprobs(model, sequences) ** 2).sum().backward()
        gradients.append(torch.cat([p.grad.flatten() for p in model.parameters()]))
    assert torch.linalg.norm(gradients[0] - gradients[1]) < 1e-5 * torch.linalg.norm(gradients[1])


def test_pack_computes_shared_prefixes_once() -> None:
    tree = pack(GROUPS)
    # 3 | 4 5 (6 (7)) | 9 2 (1 1 1) | and 3 4 5 of the third prompt's response [4, 5, 6] lies on the first prompt's
    # path.
    assert len(tree.input_ids) == 10
    assert tree.count == 8


def test_pack_refuses_empty_sequences() -> None:
    with pytest.raises(ValueError, match="at least one token"):
        pack([([], [[1]])])
    with pytest.raises(ValueError, match="at least one token"):
        pad([([1], [[]])])


def test_score_responses_does_not_depend_on_batching(tiny_llama: Callable[..., Any]) -> None:
    model = tiny_llama(dtype=torch.float64)
    once = score_responses(model, GROUPS, tree_attention=True, tokens_per_pass=1000)
    often = score_responses(model, GROUPS, tree_attention=True, tokens_per_pass=1)
    plain = score_responses(model, GROUPS, tree_attention=False)
    assert [len(group) for group in once] == [4, 2, 2]
    for a, b, c in zip(once, often, plain, strict=True):
        assert a == pytest.approx(b, abs=1e-5)
        assert a == pytest.approx(c, abs=1e-5)


def test_tree_attention_is_found_where_it_works_and_only_there(tiny_llama: Callable[..., Any]) -> None:
    from transformers import MambaConfig, MambaForCausalLM

    assert has_tree_attention(tiny_llama())
    recurrent = MambaForCausalLM(MambaConfig(vocab_size=12, hidden_size=16, num_hidden_layers=2, state_size=4)).eval()
    assert not has_tree_attention(recurrent)


def test_the_written_gradient_of_edges_is_that_of_log_softmax() -> None:
    torch.manual_seed(0)
    rows, targets = torch.tensor([0, 0, 2, 3, 2]), torch.tensor([1, 4, 4, 0, 2])
    weights = torch.randn(5)
    table = torch.randn(4, 6, requires_grad=True)
    (edge_logprobs(table, rows, targets) * weights).sum().backward()
    plain = table.detach().clone().requires_grad_()
    (torch.log_softmax(plain, dim=-1)[rows, targets] * weights).sum().backward()
    torch.testing.assert_close(table.grad, plain.grad)
    half = table.detach().bfloat16().requires_grad_()
    edge_logprobs(half, rows, targets).sum().backward()
    assert half.grad is not None
    assert half.grad.dtype == torch.bfloat16
