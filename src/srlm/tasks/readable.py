"""Whether a rule fits what it is to read: checked before work starts, and on the first responses.

Knows: prompts, rollouts with answers. Refuses to know: what a rule does.
"""

from collections.abc import Sequence

from srlm.errors import InputError
from srlm.records.responses import Rollout
from srlm.tasks.answers import AnswerRule
from srlm.tasks.prompts import Prompt

_SHOWN = 3
_MOST = 0.5


def require_readable(prompts: Sequence[Prompt], rule: AnswerRule) -> None:
    """Every prompt with accepted answers has one that its own rule, else the run's, can read.

    Raises:
        InputError: the first prompts that have none.
    """
    lost = [one for one in prompts if one.answers and not one.accepted(rule)]
    if lost:
        raise InputError(
            [
                f"the accepted answer {' or '.join(map(repr, one.answers))} of the prompt {_start(one.text)} cannot be "
                f"read by its rule {(one.rule or rule).name!r}"
                for one in lost[:_SHOWN]
            ]
            + [f"so it is at {len(lost)} of {len(prompts)} prompts; give another rule, or answers in its form"]
        )


def unreadable_share(rollouts: Sequence[Rollout]) -> float:
    """The share of the responses, of all prompts together, that have no answer; 0 where there are none."""
    answers = [one.answer for rollout in rollouts for one in rollout.responses]
    return answers.count(None) / max(1, len(answers))


def require_answers(rollouts: Sequence[Rollout], rule: AnswerRule, *, go_on: bool = False) -> None:
    """At most half of the responses have no answer, or the user said to go on all the same.

    Raises:
        InputError: the share, with three examples.
    """
    share = unreadable_share(rollouts)
    if go_on or share <= _MOST:
        return
    texts = [one.text for rollout in rollouts for one in rollout.responses if one.answer is None]
    examples = ", ".join(_start(text or "") for text in texts[:_SHOWN])
    raise InputError(
        f"the answer rule {rule.name!r} finds no answer in {share:.0%} of the responses, such as {examples}; give "
        "another rule, longer responses, or prompts that ask for an answer in this form"
    )


def _start(text: str, longest: int = 80) -> str:
    return repr(text if len(text) <= longest else text[: longest - 3] + "...")
