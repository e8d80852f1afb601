"""Certifiers of the model in this process: exact search, or what is known without one.

Knows: mode search and what a precision does to it. Refuses to know: trainers, records' files.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from srlm.engines.engine import Encoded, PolicyVersion
from srlm.engines.transformers import InProcess
from srlm.lm.mode_search import K_BEST, bracket_without_search, search_modes
from srlm.lm.precision import with_errors
from srlm.records.progress import Progress
from srlm.records.responses import ModeBracket, Rollout


@dataclass(frozen=True, slots=True)
class Search:
    """Best-first search for modes (P6).

    Attributes:
        engine: runs the model.
        max_tokens: L >= 1.
        max_expansions: budget of one prompt, >= 1.
        k_best: likeliest responses to keep, >= 1.
    """

    engine: InProcess
    max_tokens: int
    max_expansions: int
    k_best: int = K_BEST

    def certify(
        self,
        version: PolicyVersion,
        prompts: Sequence[Encoded],
        known: Sequence[Rollout],
        progress: Progress | None = None,
    ) -> list[ModeBracket]:
        engine, tokens = self.engine, [one.tokens for one in prompts]
        with engine.hold(version):
            brackets = search_modes(
                engine.model,
                tokens,
                max_new_tokens=self.max_tokens,
                end_token_ids=engine.loaded.end_token_ids,
                k_best=self.k_best,
                max_expansions=self.max_expansions,
                tree_attention=engine.tree_attention,
                progress=progress,
            )
            # Samples come in afterwards: what the search keeps stays independent of them (P8 v).
            joined = [one.joined(rollout.responses) for one, rollout in zip(brackets, known, strict=True)]
            return [_decoded(engine, one) for one in with_errors(engine.model, tokens, joined)]


@dataclass(frozen=True, slots=True)
class KnownOnly:
    """No search: the bracket of what samples, greedy decoding and the likeliest first token say. Nothing is run."""

    engine: InProcess

    def certify(
        self,
        version: PolicyVersion,
        prompts: Sequence[Encoded],
        known: Sequence[Rollout],
        progress: Progress | None = None,
    ) -> list[ModeBracket]:
        """As `Certifier.certify`.

        Raises:
            ValueError: the rollouts were drawn without greedy decoding beside them.
        """
        brackets = []
        for rollout in known:
            if rollout.greedy is None or rollout.first_token_bound is None:
                raise ValueError("without a search, greedy decoding must go along with the samples")
            complete = [response.known for response in rollout.responses]
            bracket = bracket_without_search(complete, rollout.greedy.known, rollout.first_token_bound)
            brackets.append(_decoded(self.engine, bracket))
        return brackets


def certifier(engine: InProcess, max_tokens: int, max_expansions: int, k_best: int = K_BEST) -> Search | KnownOnly:
    """A search with that budget a prompt, or none where the budget is 0."""
    return Search(engine, max_tokens, max_expansions, k_best) if max_expansions else KnownOnly(engine)


def _decoded(engine: InProcess, bracket: ModeBracket) -> ModeBracket:
    outside = replace(bracket.outside, texts=tuple(map(engine.loaded.text, bracket.outside.tokens)))
    best = tuple(map(engine.decoded, bracket.best))
    return replace(bracket, best=best, greedy=engine.decoded(bracket.greedy), outside=outside)
