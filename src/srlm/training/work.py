"""What a run is made of: orthogonal parts, each replaceable.

Knows: protocols and plain values. Refuses to know: the order of rounds, files, torch.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from srlm.engines.engine import Certifier, Draw, Encoded, Engine
from srlm.errors import InputError
from srlm.measure.decision import Action, Gate
from srlm.measure.majorities import answers_of
from srlm.records.responses import ModeBracket, Rollout
from srlm.rewards.mixture import RewardContext, RewardMixture
from srlm.tasks.answers import AnswerRule
from srlm.tasks.prompts import Prompt
from srlm.training.beside import Beside
from srlm.training.learner import Learner
from srlm.training.processes import Processes
from srlm.training.settings import RunSettings
from srlm.training.update import Group, MeasuredPrompt, Update


@dataclass(frozen=True, slots=True)
class Work:
    """What a run is made of: orthogonal parts, each replaceable.

    Attributes:
        learner, engine, certifier, reward, update: the parts.
        prompts, encoded: what is asked, and how the model sees it.
        settings: the run's settings.
        beta: KL strength of a round; None: chosen from what round 00 drew.
        actions: what to do about each signature.
        processes: those that share the work.
        beside: what is asked about beside the prompts.
        answers: at the level of answers, how one is read where a prompt does not say; None at that of responses.
        explain: what an error in a stage of a round (its name and number are given) means to the user; None: nothing
            that the error does not say itself.
    """

    learner: Learner
    engine: Engine
    certifier: Certifier
    reward: RewardMixture
    update: Update
    prompts: Sequence[Prompt]
    encoded: Sequence[Encoded]
    settings: RunSettings
    beta: float | None
    actions: Mapping[str, Action]
    processes: Processes
    beside: Beside = field(default_factory=Beside)
    answers: AnswerRule | None = None
    explain: Callable[[BaseException, int, str], str | None] = lambda error, number, stage: None

    @property
    def exact_beta(self) -> float | None:
        """beta of the exact round pi_t^(1 + 1/beta) that an update stands for; None where the reward is not the
        log-probability or the reference not pi_t, and at the level of answers: an exact round is then something else
        than sharpening of responses.
        """
        weight = self.reward.log_probability_weight
        if weight is None or self.beta is None or self.answers or self.settings.reference == "base":
            return None
        return self.beta / weight

    @property
    def gate(self) -> Gate:
        """What chooses the round to export."""
        return self.settings.gate or "held_out"  # pyright: ignore[reportReturnType]

    def ask(self, number: int) -> Draw:
        """What is drawn from policy `number`; greedy decoding goes along where no search will do it."""
        settings = self.settings
        greedy = settings.max_expansions == 0
        return Draw(settings.num_generations, settings.max_completion_length, settings.seed, number, greedy)

    def graded(self, rollouts: Sequence[Rollout], before: Sequence[Rollout] | None = None) -> list[Rollout]:
        """Rollouts of all prompts with every sample marked right or wrong and, at the level of answers, its answer
        read: in the form it had in what was drawn before, where it is there.
        """
        pairs = list(zip(self.prompts, rollouts, strict=True))
        if self.answers is None:
            return [prompt.graded_rollout(rollout) for prompt, rollout in pairs]
        known = [[]] * len(pairs) if before is None else [list(dict.fromkeys(answers_of(one))) for one in before]
        return [
            prompt.answered_rollout(rollout, self.answers, names)
            for (prompt, rollout), names in zip(pairs, known, strict=True)
        ]

    def groups(
        self,
        rollouts: Sequence[Rollout],
        modes: Sequence[ModeBracket | None],
        reference: Sequence[Sequence[float]],
        context: RewardContext,
        beta: float,
    ) -> list[Group]:
        """What the update trains on.

        Args:
            rollouts, modes: of some prompts, decoded; the responses are those that the update asks for.
            reference: their log-probabilities (nats) under what the update is kept near.
            context: what reward functions may use.
            beta: KL strength of the round.

        Raises:
            InputError: no reward applies.
        """
        prompts = [self.prompts[one.prompt] for one in rollouts]
        rewards = self.reward(prompts, rollouts, context)
        measured = [
            MeasuredPrompt(self.encoded[rollout.prompt], rollout, mode, values, near)
            for rollout, mode, values, near in zip(rollouts, modes, rewards, reference, strict=True)
        ]
        if not (groups := self.update.groups(measured, beta)):
            raise InputError(f"no reward of {', '.join(self.reward.names)} applies to the responses of any prompt")
        return groups
