"""From reward functions to one number a response, whatever the functions do wrong.

Knows: trl's reward signature (None = not applicable, async allowed), weights, and how to name what went wrong.
Refuses to know: who drew the responses, what a reward measures.
"""

import asyncio
import inspect
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from srlm.errors import InputError
from srlm.records.responses import Rollout
from srlm.rewards import REWARDS, PolicyView, RewardFunction
from srlm.tasks.prompts import Prompt


@dataclass(frozen=True, slots=True)
class RewardContext:
    """What functions may use beside the responses.

    Attributes:
        policy: the policy that drew the responses, for functions that name the parameter `policy`.
        trainer_state: as in trl, the `TrainerState`.
        base_logps: by prompt, log-probabilities (nats) of its responses under the base model; None: the policy is it.
        logged: what functions said through trl's `log_metric(name, value)`, in order.
    """

    policy: PolicyView | None = None
    trainer_state: Any = None
    base_logps: Mapping[int, Sequence[float]] | None = None
    logged: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))

    def log_metric(self, name: str, value: float) -> None:
        """trl's `log_metric`; the mean goes to the round's metrics."""
        self.logged[name].append(float(value))

    def metrics(self) -> dict[str, float]:
        """The mean of everything logged that is a finite number."""
        finite = {name: [v for v in values if math.isfinite(v)] for name, values in self.logged.items()}
        return {name: sum(values) / len(values) for name, values in finite.items() if values}


@dataclass(frozen=True, slots=True)
class RewardMixture:
    """A weighted sum of rewards. Make one with `reward_mixture`."""

    names: tuple[str, ...]
    functions: tuple[RewardFunction, ...]
    weights: tuple[float, ...]

    @property
    def log_probability_weight(self) -> float | None:
        """w where the reward is w*log pi_t, w > 0, so that an exact round is pi_t^(1 + w/beta); None elsewhere."""
        alone = self.names == ("log_probability",) and self.functions == (REWARDS["log_probability"],)
        return self.weights[0] if alone and self.weights[0] > 0 else None

    @property
    def is_answer(self) -> bool:
        """Whether the reward is the log-probability of the answer, so that P10 says what a round does."""
        return self.functions == (REWARDS["answer"],) and self.weights == (1.0,)

    @property
    def asks_base(self) -> bool:
        """Whether responses must be scored by the base model, too."""
        return REWARDS["base_log_probability"] in self.functions

    def __call__(
        self,
        prompts: Sequence[Prompt],
        rollouts: Sequence[Rollout],
        context: RewardContext | None = None,
    ) -> list[list[float | None]]:
        """The reward of every response of decoded rollouts, prompt by prompt; None where no function applies to it.

        Raises:
            InputError: a function raised, or returned the wrong number of values or one that is not finite; the
                prompt and the value are named.
        """
        context = context or RewardContext()
        flat = [(p, r) for p, rollout in zip(prompts, rollouts, strict=True) for r in rollout.responses]
        asked: dict[str, Any] = {
            "prompts": [p.content if isinstance(p.content, str) else list(p.content) for p, _ in flat],
            "completions": [
                r.text if isinstance(p.content, str) else [{"role": "assistant", "content": r.text}] for p, r in flat
            ],
            "completion_ids": [list(r.tokens) for _, r in flat],
            "logps": [r.logprob for _, r in flat],
            "base_logps": [
                value for one in rollouts for value in (context.base_logps or {}).get(one.prompt, one.logprobs)
            ],
            "entropies": [r.entropy for _, r in flat],
            "self_certainties": [r.self_certainty for _, r in flat],
            "searched": [r.searched for _, r in flat],
            "given_answers": [r.answer for _, r in flat],
            # As the record had it, for functions written for trl; a list where prompts were made in code.
            "answer": [p.columns.get("answer", list(p.answers)) for p, _ in flat],
            "trainer_state": context.trainer_state,
            "log_metric": context.log_metric,
            "log_extra": _ignore,
        }
        columns = sorted({name for p in prompts for name in p.columns} - asked.keys())
        asked |= {name: [p.columns.get(name) for p, _ in flat] for name in columns}
        totals: list[float | None] = [None] * len(flat)
        for name, function, weight in zip(self.names, self.functions, self.weights, strict=True):
            values = _checked(name, _call(name, function, asked, context.policy), [p.text for p, _ in flat])
            for at, value in enumerate(values):
                if value is not None:
                    totals[at] = (totals[at] or 0.0) + weight * value
        rest = iter(totals)
        return [[next(rest) for _ in rollout.responses] for rollout in rollouts]


def reward_mixture(given: Any = None, weights: Sequence[float] | None = None) -> RewardMixture:
    """Reward functions as users give them: None (log-probability), a name, a function, or a list of either.

    Raises:
        InputError: an unknown name, something that cannot be called, or weights that do not fit.
    """
    if given is None:
        given = "log_probability"
    several = list(given) if isinstance(given, list | tuple) else [given]
    if not several:
        raise InputError(f"reward_funcs is empty; use one of {', '.join(REWARDS)}, or a function")
    functions: list[RewardFunction] = []
    names: list[str] = []
    for one in several:
        found = REWARDS.get(one) if isinstance(one, str) else one
        if not callable(found):
            raise InputError(f"reward {one!r} is unknown; use one of {', '.join(REWARDS)}, or a function")
        functions.append(found)
        names.append(
            one if isinstance(one, str) else f"{one.__module__}.{getattr(one, '__qualname__', type(one).__name__)}"
        )
    chosen = [1.0] * len(functions) if weights is None else [float(weight) for weight in weights]
    if len(chosen) != len(functions) or not all(math.isfinite(weight) for weight in chosen):
        raise InputError(f"reward_weights is {weights!r}; give one finite number for each of {len(functions)} rewards")
    return RewardMixture(tuple(names), tuple(functions), tuple(chosen))


def _ignore(column: str, values: Sequence[Any]) -> None:
    """trl's `log_extra`: accepted; the samples' table has fixed columns."""


def _call(name: str, function: RewardFunction, asked: dict[str, Any], policy: PolicyView | None) -> Any:
    try:
        if _names_policy(function):
            asked = asked | {"policy": policy}
        found = function(**asked)
        return asyncio.run(_wait(found)) if inspect.isawaitable(found) else found
    except InputError:
        raise
    except Exception as error:
        raise InputError(f"reward {name} raised {type(error).__name__}: {error}") from error


def _names_policy(function: RewardFunction) -> bool:
    try:
        return "policy" in inspect.signature(function).parameters
    except (TypeError, ValueError):  # some callables written in C have no signature
        return False


async def _wait(found: Any) -> Any:
    return await found


def _checked(name: str, values: Any, prompts: Sequence[str]) -> list[float | None]:
    try:
        found = [None if value is None else float(value) for value in values]
    except (TypeError, ValueError) as error:
        raise InputError(f"reward {name} returned {values!r:.80}; return a list of numbers or None") from error
    if len(found) != len(prompts):
        raise InputError(
            f"reward {name} returned {len(found)} values for {len(prompts)} completions; return one for each"
        )
    for value, prompt in zip(found, prompts, strict=True):
        if value is not None and not math.isfinite(value):
            raise InputError(
                f"reward {name} returned {value} for the prompt {prompt!r:.80}; return a finite number or None"
            )
    return found
