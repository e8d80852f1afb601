"""Self-rewarding rounds of policies with features, linear softmax or another network, many seeds at once.

Knows: how seeds and prompts are cut into blocks so that memory stays bounded, and that each seed has a stream of its
own, so that neither the number of seeds nor the blocks change what a seed draws.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from srlm.errors import InputError
from srlm.policies.linear_softmax import as_features
from srlm.policies.networks import Linear, Network
from srlm.simulation.rewards import Drawn, LogProbability, Reward
from srlm.simulation.updates import LINEAR, LINEAR_ONLY, UPDATES, Sampled, Update, regression
from srlm.theory.conditioning import failure_rate, log_min_confidence, mean_probability, policy_condition_number
from srlm.theory.contraction import population_kappa_bound_by_prompt

_BLOCK_BYTES = 48e6  # of one (seeds, prompts, responses) array; about six live at once
_COPY_BYTES = 500e6  # of a block of float32 features as float64


@dataclass(frozen=True, kw_only=True)
class Trajectory:
    """What happened, by seed (S) and round (0 to T). Round 0 is the start.

    Attributes:
        kappa: policy condition number, (S, T+1).
        failure_rate: (S, T+1), at mass slack 1/2.
        min_confidence: smallest mode probability, (S, T+1).
        margin: smallest margin over prompts, (S, T+1).
        mode_drift: share of prompts whose mode is not the start's, (S, T+1).
        unfaithful: share of prompts where the START's mode has probability at most 1/2, (S, T+1): not failing in this
            sense is being sure of what exact rounds would be sure of (P5).
        accuracy: probability that a sample is correct, (S, T+1); None where `correct` was not given.
        mode_accuracy: share of prompts whose mode is correct, likewise.
        population_bound: P3 taken prompt by prompt for round t+1 from round t, (S, T).
        informative_pairs: share of sampled pairs that differ, (S, T).
        theta: parameters at every round, (S, T+1, d).
    """

    kappa: np.ndarray
    failure_rate: np.ndarray
    min_confidence: np.ndarray
    margin: np.ndarray
    mode_drift: np.ndarray
    unfaithful: np.ndarray
    accuracy: np.ndarray | None = None
    mode_accuracy: np.ndarray | None = None
    population_bound: np.ndarray
    informative_pairs: np.ndarray
    theta: np.ndarray


def simulate(
    features: ArrayLike,
    theta0: ArrayLike,
    *,
    beta: float,
    pairs: int,
    rounds: int,
    seeds: int = 1,
    seed: int = 0,
    responses_per_prompt: int = 2,
    radius: float | None = None,
    reward: Reward | None = None,
    update: Update | str = regression,
    correct: ArrayLike | None = None,
    network: Network = LINEAR,
) -> Trajectory:
    """Run T rounds: draw prompts and responses, reward them, update theta.

    Args:
        features: phi, (P, M, d); float32 halves the memory, arithmetic is float64.
        theta0: (D,), or (S, D) for a start of each seed's own; D = d for linear softmax.
        beta: KL strength > 0.
        pairs: n >= 1 a round; K responses to a prompt give K(K-1)/2 of them, and the last group is whole.
        rounds: T >= 1.
        seeds: S >= 1.
        seed: everything random follows from it; seed number i draws the same whatever S is.
        responses_per_prompt: K >= 2.
        radius: B > 0, the class |theta| <= B; None for no constraint.
        reward: default the log-probability.
        update: a function or a name in `UPDATES`.
        correct: (P,) right response of each prompt, for the accuracies.
        network: what makes scores of parameters and features.

    Raises:
        InputError: an argument outside its domain, or a start outside the class.
    """
    phi = as_features(features)
    start = np.asarray(theta0, dtype=np.float64)
    rule = UPDATES.get(update) if isinstance(update, str) else update
    if rule is None:
        raise InputError(f"update {update!r} is unknown; use one of {', '.join(UPDATES)}")
    if rule in [UPDATES[name] for name in LINEAR_ONLY] and not isinstance(network, Linear):
        raise InputError(f"{' and '.join(LINEAR_ONLY)} are for linear softmax; use another update for another network")
    for name, value, least in (
        ("pairs", pairs, 1), ("rounds", rounds, 1), ("seeds", seeds, 1),
        ("responses_per_prompt", responses_per_prompt, 2), ("seed", seed, 0),
    ):  # fmt: skip
        if not isinstance(value, int | np.integer) or value < least:
            raise InputError(f"{name} is {value}; it must be a whole number, at least {least}")
    for name, value in (("beta", beta), ("radius", radius)):
        if value is not None and not (np.isfinite(value) and value > 0):
            raise InputError(f"{name} is {value}; it must be a finite number above 0")
    size = network.size(phi.shape[2])
    if start.shape not in ((size,), (seeds, size)) or not np.isfinite(start).all():
        raise InputError(f"theta0 has shape {start.shape}; give ({size},) or ({seeds}, {size}), finite")
    start = np.broadcast_to(start, (seeds, size))
    if radius is not None and np.linalg.norm(start, axis=1).max() > radius * (1 + 1e-12):
        raise InputError(
            f"theta0 has norm {np.linalg.norm(start, axis=1).max():.4g}, outside the class |theta| <= {radius:g}; "
            "raise the radius or shorten theta0"
        )
    answers = None if correct is None else np.asarray(correct)
    if answers is not None and (answers.shape != (len(phi),) or answers.min() < 0 or answers.max() >= phi.shape[1]):
        raise InputError(f"correct has shape {answers.shape}; give one response number below {phi.shape[1]} a prompt")
    streams = np.random.SeedSequence(seed).spawn(seeds)
    each = max(1, int(_BLOCK_BYTES / (8 * min(phi.shape[0] * phi.shape[1], 2_000_000))))
    parts = [
        _Chunk(phi, start[low : low + each], streams[low : low + each], answers, network).run(
            beta, pairs, rounds, responses_per_prompt, radius, reward or LogProbability(), rule
        )
        for low in range(0, seeds, each)
    ]

    def joined(name: str) -> Any:
        found = [getattr(part, name) for part in parts]
        return None if found[0] is None else np.concatenate(found)

    return Trajectory(**{name: joined(name) for name in Trajectory.__annotations__})


class _Chunk:
    """Some seeds together: (s, P, M) arrays fit in a block of memory, prompts cut into blocks where they do not."""

    def __init__(
        self,
        phi: np.ndarray,
        theta: np.ndarray,
        streams: Sequence[np.random.SeedSequence],
        correct: np.ndarray | None,
        network: Network,
    ) -> None:
        self.phi, self.theta, self.correct, self.network = phi, np.array(theta), correct, network
        self.rngs = tuple(np.random.default_rng(stream) for stream in streams)
        per_prompt = 8 * len(theta) * phi.shape[1]
        block = _BLOCK_BYTES / per_prompt
        if phi.dtype != np.float64:
            block = min(block, _COPY_BYTES / (8 * phi.shape[1] * phi.shape[2]))
        self.prompts_per_block = max(1, int(block))
        self.base_modes: np.ndarray | None = None

    def run(
        self, beta: float, pairs: int, rounds: int, k: int, radius: float | None, reward: Reward, update: Update
    ) -> Trajectory:
        groups = -(-pairs // (k * (k - 1) // 2))
        measures, bounds, informative, thetas = [], [], [], [self.theta]
        for number in range(rounds + 1):
            last = number == rounds
            prompts = uniforms = None
            if not last:
                prompts = np.stack([rng.integers(0, len(self.phi), groups) for rng in self.rngs])
                uniforms = np.stack([rng.random((groups, k)) for rng in self.rngs])
            measured, bound, responses, logps = self._pass(beta, prompts, uniforms)
            measures.append(measured)
            if prompts is None or responses is None or logps is None:
                break
            bounds.append(bound)
            first, second = np.triu_indices(k, 1)
            informative.append((responses[..., first] != responses[..., second]).mean(axis=(1, 2)))
            rewards = reward(Drawn(logps, prompts, responses, self.rngs))
            labels = np.stack([rng.random((groups, k * (k - 1) // 2)) for rng in self.rngs])
            chosen = self.phi[prompts[..., None], responses].astype(np.float64, copy=False)
            sampled = Sampled(
                self.theta, chosen, rewards, prompts, responses, self.phi, beta, radius, labels, self.network
            )
            self.theta = update(sampled)
            thetas.append(self.theta)
        columns = {name: np.stack([m[name] for m in measures], axis=1) for name in measures[0]}
        return Trajectory(
            **columns,
            population_bound=np.stack(bounds, axis=1),
            informative_pairs=np.stack(informative, axis=1),
            theta=np.stack(thetas, axis=1),
        )

    def _pass(
        self, beta: float, prompts: np.ndarray | None, uniforms: np.ndarray | None
    ) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray | None, np.ndarray | None]:
        """One look at all prompts: measures, P3 for the next round, and the responses drawn, with their logps."""
        count, size = len(self.phi), len(self.theta)
        best, gap = np.empty((size, count)), np.empty((size, count))
        modes = np.empty((size, count), dtype=np.int64)
        right, kept = np.empty((size, count)), np.empty((size, count))
        responses = logps = None
        if uniforms is not None:
            responses, logps = np.empty(uniforms.shape, dtype=np.int64), np.empty(uniforms.shape)
        for low in range(0, count, self.prompts_per_block):
            block = slice(low, min(count, low + self.prompts_per_block))
            table = self._logprobs(block)
            modes[:, block] = at = table.argmax(axis=2)
            best[:, block] = top = np.take_along_axis(table, at[..., None], axis=2)[..., 0]
            first = at if self.base_modes is None else self.base_modes[:, block]
            kept[:, block] = np.take_along_axis(table, first[..., None], axis=2)[..., 0]
            if self.correct is not None:
                answers = np.broadcast_to(self.correct[block][None, :, None], (size, table.shape[1], 1))
                right[:, block] = np.take_along_axis(table, answers, axis=2)[..., 0]
            if prompts is not None and uniforms is not None and responses is not None and logps is not None:
                _draw(table, block, prompts, uniforms, responses, logps)
            np.put_along_axis(table, at[..., None], -np.inf, axis=2)
            gap[:, block] = top - table.max(axis=2)
        if self.base_modes is None:
            self.base_modes = modes.copy()
        measured = {
            "kappa": policy_condition_number(best),
            "failure_rate": failure_rate(best),
            "min_confidence": np.exp(log_min_confidence(best)),
            "margin": gap.min(axis=1),
            "unfaithful": failure_rate(kept),
            "mode_drift": (modes != self.base_modes).mean(axis=1),
        }
        if self.correct is not None:
            measured["accuracy"] = mean_probability(right)
            measured["mode_accuracy"] = (modes == self.correct).mean(axis=1)
        return measured, population_kappa_bound_by_prompt(best, gap, beta), responses, logps

    def _logprobs(self, block: slice) -> np.ndarray:
        """(s, p, M) log-probabilities of a block of prompts."""
        phi = self.phi[block].astype(np.float64, copy=False)
        scores = self.network.scores(self.theta, phi)
        scores -= scores.max(axis=2, keepdims=True)
        scores -= np.log(np.exp(scores).sum(axis=2, keepdims=True))
        return scores


def _draw(
    table: np.ndarray,
    block: slice,
    prompts: np.ndarray,
    uniforms: np.ndarray,
    responses: np.ndarray,
    logps: np.ndarray,
) -> None:
    """Fill in the responses to the groups whose prompt lies in the block, by inverse distribution functions."""
    seeds, groups = np.nonzero((prompts >= block.start) & (prompts < block.stop))
    if not len(seeds):
        return
    size, number, width = table.shape
    rows = seeds * number + (prompts[seeds, groups] - block.start)
    cumulative = np.cumsum(np.exp(table), axis=2).reshape(size * number, width)
    cumulative /= cumulative[:, -1:]
    # One search for all rows: row r's distribution function is shifted into [r, r + 1].
    cumulative += np.arange(size * number)[:, None]
    wanted = np.minimum(uniforms[seeds, groups], 1 - 1e-9) + rows[:, None]
    flat = np.searchsorted(cumulative.ravel(), wanted.ravel(), side="right").reshape(wanted.shape)
    drawn = np.clip(flat - rows[:, None] * width, 0, width - 1)
    responses[seeds, groups] = drawn
    logps[seeds, groups] = table.reshape(size * number, width)[rows[:, None], drawn]
