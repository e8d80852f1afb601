"""One prompt of a diagnosis: what is proved, what other ways of answering give, and whether each is right.

Knows: a graded rollout and the bracket of its mode. Refuses to know: tokenizers, who drew or searched.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from srlm.measure.degenerate import marks_of
from srlm.measure.forecast import known_at
from srlm.measure.split import finite, share
from srlm.measure.strategies import best_of_n, majority
from srlm.records.diagnosis import GreedyReply, ModeReply, PromptDiagnosis, SampleFacts
from srlm.records.responses import ModeBracket, Response, Rollout
from srlm.tasks.prompts import Prompt

EVERYTHING = "all"  # the group of prompts that name none
_NOTE = "no other response is possible, so the margin is infinite"


def diagnose_prompt(prompt: Prompt, rollout: Rollout, bracket: ModeBracket) -> PromptDiagnosis:
    """What samples and search, both graded, say about one prompt."""
    responses, answers = rollout.responses, prompt.answers
    texts, outcomes = [one.text or "" for one in responses], [one.correct for one in responses]
    mode, greedy = bracket.mode, bracket.greedy
    return PromptDiagnosis(
        prompt=prompt.text,
        group=str(prompt.columns.get("kind", EVERYTHING)),
        mode=ModeReply(
            **_reply(mode),
            logprob_lower=bracket.logprob_lower,
            logprob_upper=bracket.logprob_upper,
            certified=bracket.certified,
        ),
        greedy=GreedyReply(**_reply(greedy), logprob=greedy.logprob),
        greedy_is_mode=_is_mode(bracket),
        margin_lower=finite(bracket.margin_lower),
        margin_note=None if math.isfinite(bracket.margin_lower) else _NOTE,
        runner_up=None if bracket.runner_up is None else bracket.runner_up.text,
        expansions=bracket.expansions,
        answer=answers[0] if len(answers) == 1 else answers or None,
        mode_correct=mode.correct,
        greedy_correct=greedy.correct,
        best_of_n_correct=outcomes[best_of_n(responses)],
        majority_correct=outcomes[majority(texts, responses)],
        sample_accuracy=share(outcomes),
        samples=sample_facts([rollout]),
        known=known_at(rollout, bracket),
    )


def sample_facts(rollouts: Sequence[Rollout]) -> SampleFacts:
    """What the samples of some prompts look like."""
    responses = [response for one in rollouts for response in one.responses]
    return SampleFacts(
        count=len(responses),
        distinct=sum(len(set(one.tokens)) for one in rollouts),
        mean_tokens=float(np.mean([len(one.tokens) for one in responses])),
        cut_share=float(np.mean([not one.ended for one in responses])),
        entropy=share([one.entropy for one in responses]) or 0.0,
        self_reward_mean=float(np.mean([one.logprob for one in responses])),
    )


def _reply(one: Response) -> dict[str, Any]:
    text = one.text or ""
    return {"text": text, "tokens": len(one.tokens), "marks": marks_of(one.tokens, text, one.ended)}


def _is_mode(bracket: ModeBracket) -> bool | None:
    """Whether greedy decoding found the mode: settled, disproved by a likelier response, or open."""
    if bracket.certified and bracket.greedy.tokens == bracket.mode.tokens:
        return True
    # The lower end was lowered by what precision may hide, and greedy's own value may be off by as much.
    if bracket.greedy.logprob + bracket.widening < bracket.logprob_lower:
        return False
    return True if bracket.certified and bracket.greedy.logprob >= bracket.mode.logprob else None
