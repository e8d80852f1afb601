"""What a round does differently at the level of answers: what it is measured by, which beta it has.

Knows: majorities, the choice of beta. Refuses to know: the order of stages, files, torch.
"""

from collections.abc import Sequence
from typing import Any

from srlm.measure.answer_forecast import chosen_beta, forecast_answers
from srlm.measure.majorities import majorities
from srlm.measure.round import measure_answer_round
from srlm.records.responses import Rollout
from srlm.records.rounds import RoundRecord, Split
from srlm.training.work import Work


def beta_of_answers(work: Work, base: Sequence[Rollout]) -> float:
    """The run's beta: as it was told, else the one at which plug-in weights of round 00's draws sharpen as much as an
    exact round with beta 1; 1 for another update or reward.
    """
    if work.beta is not None:
        return work.beta
    if work.update.name != "weighted" or not work.reward.is_answer:
        return 1.0
    trained = [one for one, prompt in zip(base, work.prompts, strict=True) if prompt.split == "train"]
    return chosen_beta(majorities(trained))


def measured_answers(
    work: Work,
    number: int,
    rollouts: Sequence[Rollout],
    base: Sequence[Rollout],
    previous: Sequence[Rollout] | None,
    foretold: int,
    **facts: Any,
) -> RoundRecord:
    """The record of a round.

    Args:
        work: what the run is made of.
        number, facts: as `measure_answer_round`.
        rollouts, base, previous: what was drawn at this round, at round 00, and at the round before.
        foretold: rounds to forecast, at round 00.
    """
    settings = work.settings
    splits: list[Split] = [prompt.split for prompt in work.prompts]
    beta = beta_of_answers(work, base)
    if number == 0 and work.reward.is_answer:
        draws = settings.num_generations if work.update.name == "weighted" else None
        now = majorities(rollouts, None, settings.confidence)
        for field, split in (("forecast", "train"), ("forecast_held_out", "held_out")):
            of = [at for at, name in enumerate(splits) if name == split]
            pairs = [now[at] for at in of], [rollouts[at] for at in of]
            told = forecast_answers(*pairs, beta, foretold, settings.confidence, draws=draws, seed=settings.seed)
            facts[field] = told or None
    return measure_answer_round(
        number,
        splits,
        rollouts,
        base=base,
        previous=previous,
        confidence=settings.confidence,
        budget=settings.num_generations if settings.until_certain else None,
        beta=beta,
        **facts,
    )
