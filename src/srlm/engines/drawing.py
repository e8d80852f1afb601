"""Drawing until a majority is certain, whatever engine draws.

Knows: waves of draws and the certificates between them (P11 holds at every look). Refuses to know: engines, files.
"""

from collections.abc import Sequence
from dataclasses import replace

from srlm.engines.engine import Draw, Encoded, Sampler
from srlm.measure.majorities import settled
from srlm.records.progress import Progress
from srlm.records.responses import Rollout
from srlm.tasks.answers import AnswerRule
from srlm.tasks.prompts import Prompt

# Draws between two looks at the certificates: they hold at every look, so more looks cost nothing but batches.
WAVE = 4


def draw_until_certain(
    sampler: Sampler,
    prompts: Sequence[Prompt],
    encoded: Sequence[Encoded],
    ask: Draw,
    rule: AnswerRule,
    previous: Sequence[Rollout | None],
    confidence: float,
    total: int,
    progress: Progress | None = None,
) -> list[Rollout]:
    """At every prompt the first draws of `ask`, wave by wave, until its majority is certified or all are drawn: what
    is drawn is the beginning of what a fixed number draws.

    Args:
        ask: `count` is the most at a prompt.
        rule: how an answer is read.
        previous: what was drawn there at the round before, where there was one.
        confidence: 1 - alpha; each prompt stops at alpha/P.
        total: P, prompts of the round on all processes.
    """
    found: list[Rollout | None] = [None] * len(prompts)
    going = list(range(len(prompts)))
    for skip in range(0, ask.count, WAVE):
        wave = replace(ask, count=min(WAVE, ask.count - skip), skip=skip, greedy=ask.greedy and skip == 0)
        for at, more in zip(going, sampler.draw([encoded[at] for at in going], wave), strict=True):
            one = found[at]
            if one is not None:
                more = replace(one, responses=one.responses + more.responses, unsaid=one.unsaid + more.unsaid)
            found[at] = prompts[at].answered_rollout(more, rule)
        so_far = [one for at in going if (one := found[at]) is not None]
        done = settled(so_far, [previous[at] for at in going], confidence, total)
        going = [at for at, enough in zip(going, done, strict=True) if not enough]
        if progress is not None:
            progress(len(prompts) - len(going), len(prompts))
        if not going:
            break
    return [one for one in found if one is not None]
