"""The model in this process, run by transformers.

Knows: sampling by uniform streams, so that what is drawn does not depend on batches or processes. Refuses to know:
trainers. Whoever changes the weights says how a policy is put in place (`hold`).
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import Any

from srlm.engines.engine import Draw, Encoded, PolicyVersion
from srlm.engines.names import TRANSFORMERS
from srlm.lm.loading import LoadedModel
from srlm.lm.room import rows_that_fit
from srlm.lm.sampling import draw_uniforms, sample_responses
from srlm.records.progress import Progress
from srlm.records.responses import Response, Rollout


def _as_it_is(version: PolicyVersion) -> AbstractContextManager[Any]:
    return nullcontext()


@dataclass(frozen=True, slots=True)
class InProcess:
    """The engine in this process.

    Attributes:
        loaded: the base model with its tokenizer.
        model: the model that is run: the base model, or it with an adapter.
        tree_attention: it passed `has_tree_attention`: what prompts share is computed once.
        hold: the context within which `model` is the version asked for, in evaluation mode.
        rows_per_pass: most sequences decoded at once; fewer where memory would not hold them.
    """

    loaded: LoadedModel
    model: Any
    tree_attention: bool
    hold: Callable[[PolicyVersion], AbstractContextManager[Any]] = _as_it_is
    rows_per_pass: int = 128

    @property
    def name(self) -> str:
        return TRANSFORMERS

    @property
    def scores(self) -> bool:
        return True

    @property
    def dtype(self) -> str:
        """How the weights are held."""
        return self.loaded.weights

    def at(self, version: PolicyVersion) -> "InProcessSampler":
        return InProcessSampler(self, version)

    def decoded(self, response: Response) -> Response:
        """The response with its text."""
        if response.text is not None:
            return response
        return replace(response, text=self.loaded.text(response.tokens))


@dataclass(frozen=True, slots=True)
class InProcessSampler:
    """Draws from one policy of an in-process engine."""

    engine: InProcess
    version: PolicyVersion

    def draw(self, prompts: Sequence[Encoded], ask: Draw, progress: Progress | None = None) -> list[Rollout]:
        engine = self.engine
        numbers, longest = [one.number for one in prompts], max((len(one.tokens) for one in prompts), default=0)
        with engine.hold(self.version):
            rollouts = sample_responses(
                engine.model,
                [one.tokens for one in prompts],
                draw_uniforms(ask.seed, ask.stream, numbers, ask.skip + ask.count, ask.max_tokens)[:, ask.skip :],
                greedy=ask.greedy,
                end_token_ids=engine.loaded.end_token_ids,
                rows_per_pass=rows_that_fit(engine.model, longest + ask.max_tokens, engine.rows_per_pass),
                tree_attention=engine.tree_attention,
                progress=progress,
            )
        return [
            replace(
                one,
                prompt=number,
                responses=tuple(map(engine.decoded, one.responses)),
                greedy=one.greedy and engine.decoded(one.greedy),
            )
            for number, one in zip(numbers, rollouts, strict=True)
        ]
