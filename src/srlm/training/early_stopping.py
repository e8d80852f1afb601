"""The end of each pass over a round's responses: has the update learnt what carries over to held-out prompts?

Knows: `Trainer`'s callback hooks. Without patience it only tells progress; with it, the held-out pairs' residual is
taken after every pass, the update ends once it no longer falls, and the best pass's weights are put back. Refuses to
know: losses.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor
from transformers import TrainerCallback

from srlm.measure.exactness import residual_rms
from srlm.records.responses import TokenGroup
from srlm.training.reached import distance
from srlm.training.sharding import put_back, trained_parts
from srlm.training.update import Group


def held_out_residual(
    score: Callable[[Sequence[TokenGroup]], list[list[float]]], groups: Sequence[Group], beta: float
) -> float:
    """Under the policy as it is now (nats), over held-out groups: the mean KL to their targets where they have weights,
    else the root mean square of eq. 3's residual over their pairs. NaN where there is no pair, or a log-probability
    that is no number.
    """
    after = score([(one.prompt, one.responses) for one in groups])
    if not all(math.isfinite(value) for values in after for value in values):
        return math.nan
    if groups[0].weights:
        return float(distance(groups, after).mean())
    rms = residual_rms([(g.reference_logps, new, g.rewards) for g, new in zip(groups, after, strict=True)], beta)
    return math.nan if rms is None else rms


class PassEnd(TrainerCallback):
    """Watches one update after the other; `begin` before each.

    Attributes:
        residuals: the held-out residual after every pass of the last update (nats); empty without patience.
        stopped_early: whether the last update ended before its last pass.
    """

    def __init__(self) -> None:
        self.residuals: list[float] = []
        self.stopped_early = False
        self._progress: Callable[[int, int], None] | None = None
        self._residual: Callable[[], float] | None = None
        self._patience = 0
        self._best: dict[str, Tensor] = {}
        self._lowest, self._since = math.inf, 0

    def begin(
        self, progress: Callable[[int, int], None] | None, residual: Callable[[], float] | None, patience: int
    ) -> None:
        """Prepare for an update.

        Args:
            progress: called with (steps done, steps in all).
            residual: the held-out residual of the policy as it is now (nats).
            patience: passes without improvement after which the update ends; 0 never ends it.
        """
        self.residuals, self.stopped_early, self._best = [], False, {}
        self._lowest, self._since = math.inf, 0
        self._progress, self._residual, self._patience = progress, residual, patience

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if self._progress is not None:
            self._progress(state.global_step, state.max_steps)

    def on_epoch_end(self, args: Any, state: Any, control: Any, model: Any = None, **kwargs: Any) -> None:
        if self._residual is None or self._patience < 1:
            return
        now = self._residual()
        self.residuals.append(now)
        if now < self._lowest:
            self._lowest, self._since = now, 0
            self._best = trained_parts(model)
            return
        self._since += 1
        if self._since >= self._patience or not math.isfinite(now):
            self.stopped_early = state.global_step < state.max_steps
            control.should_training_stop = True

    def on_train_end(self, args: Any, state: Any, control: Any, model: Any = None, **kwargs: Any) -> None:
        if self._best:
            put_back(model, self._best)
        self._best = {}
