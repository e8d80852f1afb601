"""What a round asks of its policy before training: samples, and brackets of its modes.

Knows: the configuration that sampling and mode search take from a trainer. Without certification (`max_expansions` 0)
there is no search: greedy decoding goes along with the samples, and a bracket is made of both.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from srlm.lm._frontier import Complete
from srlm.lm.mode_search import ModeBracket, bracket_without_search, search_modes
from srlm.lm.sampling import (
    Greedy,
    Response,
    SamplingOptions,
    draw_uniforms,
    sample_beside_greedy,
    sample_responses,
)

if TYPE_CHECKING:
    from srlm.training.trainer import SelfRewardingTrainer

Progress = Callable[[int, int], None]


def draw(
    trainer: "SelfRewardingTrainer", number: int, prompts: Sequence[int], progress: Progress | None = None
) -> list[tuple[list[Response], Greedy | None]]:
    """Samples of the policy as it is, and its greedy answer where nothing else will find it.

    Args:
        trainer: the policy and its configuration.
        number: of the round, behind the random numbers.
        prompts: which of the trainer's prompts.
        progress: called with (prompts done, prompts in all).
    """
    args = trainer.args
    uniforms = draw_uniforms(args.seed, number, prompts, args.num_generations, args.max_completion_length)
    encoded = [trainer.encoded[at] for at in prompts]
    options: SamplingOptions = {
        "end_token_ids": trainer.loaded.end_token_ids,
        "rows_per_pass": args.rows_per_pass,
        "tree_attention": trainer.tree_attention,
        "progress": progress,
    }
    if args.max_expansions == 0:
        return [*sample_beside_greedy(trainer.policy, encoded, uniforms, **options)]
    return [(responses, None) for responses in sample_responses(trainer.policy, encoded, uniforms, **options)]


def certify(
    trainer: "SelfRewardingTrainer",
    prompts: Sequence[int],
    samples: Sequence[Sequence[Response]],
    greedy: Sequence[Greedy] | None,
    progress: Progress | None = None,
) -> list[ModeBracket]:
    """Brackets of the policy's modes at some prompts.

    Args:
        trainer: the policy and its configuration.
        prompts: which of the trainer's prompts.
        samples: their responses.
        greedy: their greedy answers where there is no search.
        progress: called with (prompts done, prompts in all).
    """
    known = [[_complete(response) for response in responses] for responses in samples]
    if greedy is not None:
        return [
            bracket_without_search(responses, _complete(one.response), one.bound)
            for responses, one in zip(known, greedy, strict=True)
        ]
    return search_modes(
        trainer.policy,
        [trainer.encoded[at] for at in prompts],
        max_new_tokens=trainer.args.max_completion_length,
        end_token_ids=trainer.loaded.end_token_ids,
        known=known,
        max_expansions=max(1, trainer.args.max_expansions),
        tree_attention=trainer.tree_attention,
        progress=progress,
    )


def _complete(response: Response) -> Complete:
    return Complete(response.tokens, response.logprob, response.ended)
