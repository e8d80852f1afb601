"""Exact modes: the likeliest response of a causal language model to each prompt, with a proof (P6).

Knows: how best-first searches at many prompts share model steps. The search itself is in `_frontier.py`, the
evaluation of prefixes in `_node_pool.py`. Refuses to know: metrics, training.
"""

import math
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from srlm.lm._frontier import ROOT, Evaluation, Frontier
from srlm.lm._node_pool import NodePool, Query, open_pool
from srlm.lm.scoring import has_tree_attention
from srlm.records.progress import Progress
from srlm.records.responses import Complete, ModeBracket, Outside, Response

# Likeliest responses kept: enough for nearly all of what an update trains on, few enough that searches stay short.
K_BEST = 8
# Next tokens listed for one prefix at most; what lies beyond is bounded, and listed by a second look if it ever
# matters.
_LISTED = 1024
# A greedy dive comes before there is a good lower bound, when nearly every token would have to be listed.
_LISTED_GREEDILY = 96


@dataclass(slots=True)
class _Lane:
    frontier: Frontier
    evaluations: int = 0
    greedy: Complete | None = None


def search_modes(
    model: Any,
    prompts: Sequence[Sequence[int]],
    *,
    max_new_tokens: int,
    end_token_ids: Collection[int],
    k_best: int = K_BEST,
    max_expansions: int = 2000,
    after_proof: float = 0.3,
    nodes_per_step: int = 192,
    lanes: int = 64,
    memory_limit_bytes: int = 1_000_000_000,
    tree_attention: bool | None = None,
    progress: Progress | None = None,
) -> list[ModeBracket]:
    """Find the mode of every prompt's response distribution by best-first search over prefixes (P6).

    A response is at most `max_new_tokens` tokens, ended by an end token or cut there; a cut response is a response.
    The search expands only prefixes likelier than the mode, fewer than 1/pi(y*|x) at each depth; stopped early its
    bracket still holds.

    Args:
        model: a causal model in evaluation mode.
        prompts: token ids of each prompt, at least one token.
        max_new_tokens: L >= 1.
        end_token_ids: tokens that end a response.
        k_best: how many of the likeliest responses to keep, >= 1, each proved or found.
        max_expansions: budget of one prompt, >= 1.
        after_proof: expansions spent on the other ranks once the mode is proved, as a share of those before, >= 0.
        nodes_per_step: prefixes run through the model at once, over all prompts.
        lanes: prompts searched side by side.
        memory_limit_bytes: keys and values kept; above it they are dropped and computed again when needed.
        tree_attention: whether the model passed `has_tree_attention`; by default it is tried.
        progress: called with (prompts done, prompts in all).

    Returns:
        One bracket a prompt.

    Raises:
        ValueError: an argument outside its domain.
        FloatingPointError: the model returned NaN.
    """
    for name, value in (
        ("max_new_tokens", max_new_tokens),
        ("k_best", k_best),
        ("max_expansions", max_expansions),
        ("nodes_per_step", nodes_per_step),
        ("lanes", lanes),
    ):
        if value < 1:
            raise ValueError(f"{name} is {value}; it must be at least 1")
    if not all(prompts):
        raise ValueError("every prompt needs at least one token")
    groups = max(1, math.ceil(len(prompts) / lanes))
    found: dict[int, ModeBracket] = {}
    # Prompts of like length share a pool, so that little is padded.
    order = sorted(range(len(prompts)), key=lambda at: len(prompts[at]))
    with torch.inference_mode():
        if tree_attention is None:
            tree_attention = has_tree_attention(model)
        for group in np.array_split(np.array(order), groups) if prompts else ():
            search = _GroupSearch(
                open_pool(model, [prompts[at] for at in group], tree_attention, memory_limit_bytes),
                [_Lane(Frontier(max_new_tokens, end_token_ids, k_best)) for _ in group],
                tuple(sorted(end_token_ids)),
                max_new_tokens,
                k_best,
            )
            for at, bracket in search.run(max_expansions, after_proof, nodes_per_step):
                found[int(group[at])] = bracket
                if progress is not None:
                    progress(len(found), len(prompts))
    return [found[at] for at in range(len(prompts))]


def bracket_without_search(known: Sequence[Complete], greedy: Complete, bound: float) -> ModeBracket:
    """What is known of a mode without any search: a bracket, wide as a rule (P6 with no prefix expanded).

    Args:
        known: complete responses with their log-probabilities (nats).
        greedy: greedy decoding's answer.
        bound: log-probability of the likeliest first token; no response is likelier.
    """
    ranked = sorted({one.tokens: one for one in [*known, greedy]}.values(), key=lambda one: (-one.logprob, one.tokens))
    best = ranked[0]
    return ModeBracket(
        best=tuple(map(Response, ranked)),
        logprob_lower=best.logprob,
        logprob_upper=max(best.logprob, bound),
        certified=best.logprob >= bound,
        greedy=Response(greedy),
        outside=Outside((), 1.0, bound),
    )


class _GroupSearch:
    """Searches that share one pool. Each begins with a greedy dive, one prefix a step; those that are through with it
    search on beside those that are not, so that no row of the batch stands idle.
    """

    def __init__(self, pool: NodePool, lanes: list[_Lane], ends: tuple[int, ...], limit: int, k_best: int) -> None:
        self._pool, self._lanes, self._limit, self._k_best = pool, lanes, limit, k_best
        self._ends = torch.tensor(ends, dtype=torch.long)
        self._end_set = frozenset(ends)
        self._diving: dict[int, int] = {}  # lane: the prefix its greedy dive has reached
        roots = [(lane, ROOT) for lane in range(len(lanes))]
        self._take_in(roots, pool.root_logits, frozenset())
        self._dive_on(roots, pool.root_logits)

    def run(self, expansions: int, after_proof: float, nodes_per_step: int) -> Iterator[tuple[int, ModeBracket]]:
        """Search until every lane is settled or out of budget; yields (lane, bracket) as lanes finish."""
        alive = list(range(len(self._lanes)))
        pooled = len(alive)
        while alive:
            # A lane with more prefixes than the others would make them all wait; a dive has just one.
            share = 1 if self._diving else max(1, nodes_per_step // len(alive))
            dives: list[tuple[int, int]] = []
            step: list[tuple[int, int]] = []
            going: list[int] = []
            for number in alive:
                lane = self._lanes[number]
                if number in self._diving:
                    going.append(number)
                    dives.append((number, self._diving.pop(number)))
                elif nodes := lane.frontier.take(share, expansions, after_proof):
                    going.append(number)
                    step.extend((number, node) for node in nodes)
                else:
                    yield number, _bracket(lane, self._k_best)
            alive = going
            if alive and len(alive) < 0.7 * pooled:
                self._pool.keep(alive)
                pooled = len(alive)
            if alive:
                logits = self._evaluate([*dives, *step], frozenset(range(len(dives), len(dives) + len(step))))
                self._dive_on(dives, logits)

    def _dive_on(self, reached: list[tuple[int, int]], logits: Tensor) -> None:
        """Take greedy decoding one token further at the prefixes reached, whose logits come first."""
        chosen = logits[: len(reached)].argmax(-1).tolist()
        own = torch.log_softmax(logits[: len(reached)].float(), -1).amax(-1).tolist() if reached else []
        for (lane, node), token, logprob in zip(reached, chosen, own, strict=True):
            frontier = self._lanes[lane].frontier
            response = frontier.response(node, token)
            ended = token in self._end_set
            if ended or len(response) == self._limit:
                found = Complete(response, frontier.logprob(node) + logprob, ended)
                self._lanes[lane].greedy = found
                frontier.offer(found)
            else:
                self._diving[lane] = frontier.greedy_child(node, token, logprob)

    def _evaluate(self, step: list[tuple[int, int]], expand: Collection[int]) -> Tensor:
        queries = []
        for lane, node in step:
            frontier = self._lanes[lane].frontier
            queries.append(Query(lane, tuple((at, frontier.token(at)) for at in frontier.path(node))))
        roots = [at for at, (_, node) in enumerate(step) if node == ROOT]
        others = [at for at, (_, node) in enumerate(step) if node != ROOT]
        if not roots:
            logits = self._pool.evaluate(queries)
        else:  # the empty prefix is the prompt itself, whose logits are kept
            logits = self._pool.root_logits.new_empty(len(step), self._pool.root_logits.shape[-1])
            logits[roots] = self._pool.root_logits[[step[at][0] for at in roots]]
            if others:
                logits[others] = self._pool.evaluate([queries[at] for at in others])
        self._take_in(step, logits, expand)
        return logits

    def _take_in(self, step: list[tuple[int, int]], logits: Tensor, expand: Collection[int]) -> None:
        """Turn logits into evaluations: what is above each search's threshold, and a bound on the rest.

        Args:
            step: lane and prefix of each row of `logits`.
            logits: (rows, V).
            expand: rows whose prefixes are expanded; those of greedy dives are not yet.
        """
        logprobs = torch.log_softmax(logits.float(), dim=-1)
        if bool(torch.isnan(logprobs).any()):
            raise FloatingPointError("the model returned logits that are not numbers")
        frontiers = [self._lanes[lane].frontier for lane, _ in step]
        floors = torch.tensor(
            [frontier.threshold - frontier.logprob(node) for frontier, (_, node) in zip(frontiers, step, strict=True)]
        )
        most = torch.tensor([_LISTED if at in expand else _LISTED_GREEDILY for at in range(len(step))])
        above = (logprobs > floors[:, None].to(logprobs)).sum(-1).cpu()
        # A prefix whose list ran out is listed again, further.
        again = torch.tensor([f.listed(node) for f, (_, node) in zip(frontiers, step, strict=True)])
        listed = max(8, int(torch.minimum(above + 3, again + most).max()) + len(self._ends))
        listed = min(listed, logits.shape[-1] - 1)
        values, tokens = (part.cpu() for part in torch.topk(logprobs, listed + 1, dim=-1))
        ends = logprobs[:, self._ends.to(logprobs.device)].cpu().double().numpy()
        rest = values[:, -1].double().tolist()
        everything = listed + 1 == logits.shape[-1]
        for at, (lane, node) in enumerate(step):
            shown = listed + 1 if everything else listed
            self._lanes[lane].evaluations += 1
            self._lanes[lane].frontier.record(
                node,
                Evaluation(
                    tokens[at, :shown].numpy(),
                    values[at, :shown].double().numpy(),
                    -math.inf if everything else rest[at],
                    ends[at],
                ),
                expand=at in expand,
            )


def _bracket(lane: _Lane, k_best: int) -> ModeBracket:
    frontier = lane.frontier
    best = frontier.best[0]
    certified = frontier.is_settled(1)
    upper = best.logprob if certified else max(best.logprob, frontier.open_bound)
    other = frontier.runner_up_bound
    greedy = lane.greedy
    if greedy is None:
        raise RuntimeError("the greedy dive comes before the search")
    return ModeBracket(
        best=tuple(map(Response, frontier.best[:k_best])),
        logprob_lower=best.logprob,
        logprob_upper=upper,
        certified=certified,
        greedy=Response(greedy),
        margin_lower=max(0.0, best.logprob - other) if certified else 0.0,
        proved=sum(map(frontier.is_settled, range(1, min(k_best, len(frontier.best)) + 1))),
        outside=frontier.outside(),
        expansions=frontier.expansions if frontier.settled_at is None else frontier.settled_at,
        evaluations=lane.evaluations,
    )
