"""Spectra of a language model: of its final hidden states over response positions, of the Fisher information of its
next tokens, and of its weight matrices.

Knows: forward hooks, streaming sums, Lanczos. The last layer of a language model is linear softmax over tokens
(docs/theory: linear-softmax) whose feature is the final hidden state h, the input of the output head. Sums are kept
in float64, so memory does not grow with the number of positions. Refuses to know: what is made of spectra.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float64
from numpy.typing import NDArray
from scipy.sparse.linalg import LinearOperator, eigsh
from torch import Tensor

from srlm.errors import InputError
from srlm.lm.scoring import PackedTree, batches_of, pack, pad, response_logprobs
from srlm.records.progress import Progress
from srlm.records.responses import TokenGroup

# Gram matrices up to this width are decomposed whole; of wider ones Lanczos finds the largest eigenvalues.
_WHOLE = 2048
_LANCZOS = 64
# Rows of probabilities held at once.
_ROWS = 256


@dataclass(frozen=True, slots=True)
class FeatureSpectrum:
    """Second moments of final hidden states over response positions (each sampled response counts once).

    Attributes:
        eigenvalues: of E[h h^T] with h scaled so that max ||h|| = 1, in falling order, (d,). They sum to at most 1.
        fisher: eigenvalues of E[Cov_{v~p(.|h)}(w_v)], w_v the head's row of token v: the Fisher information of
            the next-token distribution about h, in falling order, (d,); in the units of w.
        positions: response positions, counted with multiplicity.
        distinct: positions run through the model (shared prefixes once): at most this many directions can be seen.
        largest_norm: max ||h|| before scaling.
        precision: machine epsilon of the hidden states.
    """

    eigenvalues: Float64[np.ndarray, "d"]
    fisher: Float64[np.ndarray, "d"]
    positions: int
    distinct: int
    largest_norm: float
    precision: float

    @property
    def noise_floor(self) -> float:
        """Relative size below which an eigenvalue is rounding noise of the hidden states."""
        return len(self.eigenvalues) * self.precision


class FeatureMoments:
    """Streaming second moments; `add` batches of positions in any split, the result is the same.

    Args:
        head: (V, d) rows of the output head.
    """

    def __init__(self, head: Float[Tensor, "V d"]) -> None:
        # The Fisher information does not change when all rows move together; around their mean less cancels.
        self._head = head.float() - head.float().mean(0)
        self._precision = float(torch.finfo(head.dtype).eps)
        vocabulary, width = head.shape
        self._second = torch.zeros(width, width, dtype=torch.float64, device=head.device)
        self._means = torch.zeros(width, width, dtype=torch.float64, device=head.device)
        self._tokens = torch.zeros(vocabulary, dtype=torch.float64, device=head.device)
        self._weight, self._distinct, self._largest = 0.0, 0, 0.0

    def add(self, hidden: Float[Tensor, "N d"], logits: Float[Tensor, "N V"], weights: Float[Tensor, "N"]) -> None:
        """Take in positions.

        Args:
            hidden: final hidden states, the head's inputs.
            logits: next-token logits there.
            weights: how often each position counts.
        """
        for rows in torch.arange(len(hidden), device=hidden.device).split(_ROWS):
            states, share = hidden[rows].double(), weights[rows].double()
            self._second += (states * share[:, None]).T @ states
            self._largest = max(self._largest, float(states.norm(dim=-1).max()))
            probabilities = torch.softmax(logits[rows].float(), dim=-1)
            self._tokens += share @ probabilities.double()
            means = (probabilities @ self._head).double()
            self._means += (means * share[:, None]).T @ means
        self._weight += float(weights.sum())
        self._distinct += len(hidden)

    def spectrum(self) -> FeatureSpectrum:
        """The spectra of what was added; at least one position with a non-zero hidden state."""
        if self._weight == 0 or self._largest == 0:
            raise InputError("no response position has a non-zero hidden state; the spectrum is not defined")
        covariance = self._second / (self._weight * self._largest**2)
        raw = torch.zeros_like(self._second)
        for rows in torch.arange(len(self._head), device=self._head.device).split(16 * _ROWS):
            part = self._head[rows].double()
            raw += (part * (self._tokens[rows] / self._weight)[:, None]).T @ part
        fisher = raw - self._means / self._weight
        return FeatureSpectrum(
            _falling(covariance),
            _falling(fisher),
            round(self._weight),
            self._distinct,
            self._largest,
            self._precision,
        )


def measure_features(
    model: Any,
    groups: Sequence[TokenGroup],
    *,
    tree_attention: bool,
    tokens_per_pass: int = 2048,
    progress: Progress | None = None,
) -> FeatureSpectrum:
    """Spectra of final hidden states where responses are predicted, without keeping the states.

    Probabilities are those of the head's own output; what a model does to it afterwards (capping, scaling) is left out.

    Args:
        model: a causal model in evaluation mode.
        groups: prompts with their sampled responses (repeats count).
        tree_attention: the model passed `has_tree_attention`.
        tokens_per_pass: prompt and response tokens run at once.
        progress: called with (prompts done, prompts in all).

    Raises:
        InputError: the model has no output head that takes hidden states to logits.
    """
    head = model.get_output_embeddings()
    if head is None or not isinstance(getattr(head, "weight", None), Tensor) or head.weight.ndim != 2:
        raise InputError(f"{type(model).__name__} has no linear output head, so it has no features to look at")
    moments = FeatureMoments(head.weight.detach())
    caught: list[tuple[Tensor, Tensor]] = []
    handle = head.register_forward_hook(lambda _module, given, made: caught.append((given[0], made)))
    done = 0
    try:
        with torch.inference_mode():
            for batch in batches_of(groups, tokens_per_pass):
                caught.clear()
                sequences = pack(batch) if tree_attention else pad(batch)
                response_logprobs(model, sequences)
                hidden, logits = caught[-1]
                if isinstance(sequences, PackedTree):
                    # The head ran on the scored nodes alone, in rising order; a node counts once for each response.
                    _, rows = torch.unique(sequences.parents, return_inverse=True)
                    weights = torch.bincount(rows[sequences.edges], minlength=hidden.shape[1]).to(hidden)
                    moments.add(hidden[0], logits[0], weights)
                else:
                    kept = sequences.scored.bool()
                    states, scores = hidden[:, :-1][kept], logits[:, :-1][kept]
                    moments.add(states, scores, torch.ones(len(states)).to(states))
                done += len(batch)
                if progress is not None:
                    progress(done, len(groups))
    finally:
        handle.remove()
    return moments.spectrum()


@dataclass(frozen=True, slots=True)
class WeightSpectrum:
    """Eigenvalues of W^T W of one weight matrix.

    Attributes:
        name: of the parameter.
        shape: rows and columns.
        eigenvalues: in falling order; all of the smaller side, or the largest ones where Lanczos was used.
        trace: sum of all of them, ||W||_F^2.
        whole: all eigenvalues are there.
    """

    name: str
    shape: tuple[int, int]
    eigenvalues: Float64[np.ndarray, "k"]
    trace: float
    whole: bool

    @property
    def stable_rank(self) -> float:
        """||W||_F^2 / ||W||^2, between 1 and the rank; 0 for a zero matrix."""
        return self.trace / float(self.eigenvalues[0]) if self.eigenvalues[0] > 0 else 0.0


def weight_spectrum(name: str, weight: Float[Tensor, "m n"]) -> WeightSpectrum:
    """Eigenvalues of W^T W: exactly up to a width of 2048, by Lanczos (64 largest) beyond.

    Args:
        name: what to call it.
        weight: a matrix.
    """
    rows, columns = weight.shape
    trace = float(weight.detach().double().square().sum())
    if min(rows, columns) <= _WHOLE:
        values = _falling(_gram(weight.detach()))
        return WeightSpectrum(name, (rows, columns), values, trace, True)
    matrix = weight.detach().float().cpu().numpy()
    small = matrix if columns <= rows else matrix.T
    make: Any = LinearOperator  # its constructor is a __new__ that type checkers cannot follow
    operator = make((small.shape[1],) * 2, matvec=lambda v: small.T @ (small @ v), dtype=small.dtype)
    # A start of its own, because Lanczos would draw one from numpy's global generator.
    start = np.random.default_rng(0).standard_normal(small.shape[1]).astype(np.float32)
    found = eigsh(operator, k=_LANCZOS, which="LM", v0=start, return_eigenvectors=False)
    values = np.maximum(np.sort(np.asarray(found, dtype=np.float64))[::-1], 0.0)
    return WeightSpectrum(name, (rows, columns), values, trace, False)


def weight_matrices(model: Any) -> Iterator[tuple[str, Tensor]]:
    """The head, and every weight matrix of the first, the middle and the last block (all of them would say little more
    and cost minutes).
    """
    head = model.get_output_embeddings()
    if head is not None and isinstance(getattr(head, "weight", None), Tensor):
        yield "output head", head.weight
    blocks = max(
        ((name, module) for name, module in model.named_modules() if isinstance(module, torch.nn.ModuleList)),
        key=lambda one: len(one[1]),
        default=None,
    )
    if blocks is None:
        return
    name, layers = blocks
    for at in sorted({0, len(layers) // 2, len(layers) - 1}):
        for inner, weight in layers[at].named_parameters():
            if weight.ndim == 2 and min(weight.shape) > 1:
                yield f"{name}.{at}.{inner}", weight


def _gram(weight: Tensor) -> Float64[Tensor, "k k"]:
    """W^T W or W W^T, whichever is smaller (they share their non-zero eigenvalues), summed in float64 by pieces."""
    tall = weight if weight.shape[0] >= weight.shape[1] else weight.T
    total = torch.zeros(tall.shape[1], tall.shape[1], dtype=torch.float64, device=weight.device)
    for part in tall.split(16 * _ROWS):
        wide = part.double()
        total += wide.T @ wide
    return total


def _falling(matrix: Float64[Tensor, "d d"]) -> NDArray[np.float64]:
    """Eigenvalues of a positive semi-definite matrix in falling order, rounding below zero taken away."""
    values = np.linalg.eigvalsh(matrix.cpu().numpy())
    return np.maximum(values[::-1], 0.0)
