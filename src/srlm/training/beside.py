"""What is measured beside a round's prompts: what is left of the base model, and the answers of the third split.

Knows: which responses and texts are asked about. Refuses to know: files, the order of rounds, how a policy is put in
place.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from srlm.engines.engine import Draw, Encoded, Sampler
from srlm.measure.retention import retention
from srlm.measure.split import measure_samples
from srlm.records.responses import Rollout, TokenGroup
from srlm.records.rounds import SPLITS, RetentionRecord, SplitRecord
from srlm.tasks.answers import AnswerRule
from srlm.tasks.prompts import Prompt
from srlm.training.processes import Processes

# Base samples scored at a prompt: prompts, not samples, are the independent units.
_SCORED = 2

Score = Callable[[Sequence[TokenGroup]], list[list[float]]]


@dataclass(frozen=True, slots=True)
class Beside:
    """What a run asks about beside its prompts.

    Attributes:
        passages: token ids of the passages of a text that has nothing to do with the prompts.
        gate, encoded: the third split, where its answers choose the round to export; numbered after the run's prompts.
        rule: how its answers are read at their level; None at that of responses.
    """

    passages: Sequence[tuple[int, ...]] = ()
    gate: Sequence[Prompt] = ()
    encoded: Sequence[Encoded] = ()
    rule: AnswerRule | None = None

    def retained(
        self,
        prompts: Sequence[Prompt],
        encoded: Sequence[Encoded],
        base: Sequence[Rollout],
        score: Score,
        processes: Processes,
        text_base: Sequence[float] | None,
    ) -> tuple[RetentionRecord, list[float]]:
        """What is left of the base model under the policy that `score` scores by, and its log-probabilities (nats) of
        the passages.

        Args:
            prompts, encoded: of the run; base samples of the held-out ones are scored, else of the trained ones.
            base: what the base model drew.
            score: log-probabilities of responses under the policy, on one process.
            processes: those that share the work.
            text_base: log-probabilities of the passages under the base model; None: the policy is the base model.
        """
        by_split = [[at for at, prompt in enumerate(prompts) if prompt.split == split] for split in SPLITS[::-1]]
        chosen = next(some for some in by_split if some)
        few = {at: replace(base[at], responses=base[at].responses[:_SCORED]) for at in chosen}
        groups = [(encoded[at].tokens, few[at].tokens) for at in processes.share(chosen)]
        now = processes.gather(lambda: score(groups))
        text = [(one[:1], [one[1:]]) for one in self.passages]
        passages = [value for (value,) in processes.on_main(lambda: score(text))]
        tokens = sum(len(one) - 1 for one in self.passages)
        before = passages if text_base is None else text_base
        return retention(list(few.values()), now, passages, before, tokens), passages

    def answers(self, sampler: Sampler, ask: Draw, processes: Processes) -> SplitRecord | None:
        """What samples of the third split say; None where it takes no part."""
        mine = processes.share(self.encoded)
        rollouts = processes.gather(lambda: sampler.draw(mine, ask) if mine else [])
        graded = [
            prompt.graded_rollout(one) if self.rule is None else prompt.answered_rollout(one, self.rule)
            for prompt, one in zip(self.gate, rollouts, strict=True)
        ]
        return measure_samples(graded)


def document(retained: RetentionRecord, passages: Sequence[float], gate: SplitRecord | None) -> dict[str, Any]:
    """What is kept with a round's samples: fields of its record, and what later rounds compare with."""
    return {
        "retention": retained.model_dump(mode="json"),
        "gate": gate and gate.model_dump(mode="json"),
        "passages": list(passages),
    }
