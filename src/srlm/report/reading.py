"""A run as a page needs it: its record, its rounds, and what was said to each prompt at every round.

Knows: the run's folder through `srlm.records`. Only rounds whose metrics are complete are read, so a run in progress
can be looked at. Refuses to know: how a page looks.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from srlm.measure.majorities import CONFIDENCE
from srlm.records.forecast import ForecastRecord
from srlm.records.rounds import SPLITS, RoundRecord, RunRecord, Split, SplitRecord, parse
from srlm.records.run_directory import RUN_FILE, RunDirectory
from srlm.report.payload import Prompt
from srlm.report.prompts import read_prompts
from srlm.report.traced import trace

_DRAWS_ALONE = (
    "it trains on its own samples, all with the same weight; the default beside it shows what the reward adds to the "
    "noise of training on one's own samples"
)
# What a control does, and what the default run shows beside it.
_CONTROLS: Mapping[str, str] = {
    "likelihood": "it trains on its own samples, all with the same weight; the default beside it shows what the "
    "self-reward and the search add",
    "mode_likelihood": "it trains on the proved mode alone; the default beside it shows what other likely "
    "responses add",
    "random": "its rewards are drawn at random; the default beside it shows what the self-reward adds",
    "majority": "a hard vote: it trains on the majority's responses alone; the default beside it shows what weights by "
    "share add",
    "base_log_probability": "the frozen base model is the judge; the default beside it shows what a judge that learns "
    "along adds",
}


@dataclass(frozen=True, slots=True)
class RunView:
    """Everything a page says about a run.

    Attributes:
        path: the run's folder.
        record: `run.json`.
        rounds: metrics of the complete rounds, in order from 0; may be empty.
        prompts: one a prompt, with all that was seen at it; empty without a complete round.
        damage: what is wrong with the round after the last one here; None: nothing.
    """

    path: Path
    record: RunRecord
    rounds: tuple[RoundRecord, ...]
    prompts: tuple[Prompt, ...] = ()
    damage: str | None = None

    @property
    def of_answers(self) -> bool:
        """Whether the run is at the level of answers: kappa_A and majorities instead of kappa and modes (P10)."""
        return self.record.configuration.get("level") == "answer"

    @property
    def kappa_name(self) -> str:
        """What the condition number is called."""
        return "κ_A" if self.of_answers else "κ"

    @property
    def modes_name(self) -> str:
        """What the likeliest responses, or answers, are called."""
        return "majorities" if self.of_answers else "modes"

    @property
    def watched(self) -> bool:
        """Whether another program trained it: rounds are windows of its steps, the first stands for the base model."""
        return self.loss == "watched"

    @property
    def base_name(self) -> str:
        """What round 0 is."""
        return "round 0" if self.watched else "the base model"

    def noted(self, what: Literal["alarms", "notes"]) -> list[Any]:
        """Alarms, or notes, of a run that was watched."""
        known = (self.record.model_extra or {}).get(what)
        return known if isinstance(known, list) else []

    @property
    def confidence(self) -> float:
        """Of the certificates of answers in one round."""
        known = (one.answers.confidence for split in SPLITS for _, one in self.split(split) if one.answers)
        return next(known, CONFIDENCE)

    @property
    def exported(self) -> int | None:
        """The round whose policy became the run's model; None before there is one, and where the records do not say."""
        if self.record.status == "stopped":
            control = (self.record.model_extra or {}).get("control")
            kept = control.get("model_of_round") if isinstance(control, dict) else None
            return kept if isinstance(kept, int) else None
        return self.record.choice.round if self.record.choice and self.record.status == "done" else None

    @property
    def now(self) -> int:
        """The round that a page shows beside round 0: the exported one, else the last."""
        last = len(self.rounds) - 1
        return last if self.exported is None else min(self.exported, last)

    @property
    def controls(self) -> list[str]:
        """What this run is a control for, in words; empty for one that is none."""
        names = [self.loss, *map(str, self.record.configuration.get("rewards") or ())]
        controls = dict(_CONTROLS) | ({"likelihood": _DRAWS_ALONE} if self.of_answers else {})
        return [f"a control ({name}): {controls[name]}" for name in names if name in controls]

    @property
    def loss(self) -> str:
        """The update by name; a configuration that does not say stands for eq. 3."""
        return str(self.record.configuration.get("loss_type") or "regression")

    def exact_rounds(self) -> list[tuple[int, float | None, float | None]]:
        """(round, lower end, upper end) of kappa after an exact round from the round before (P8), on the main split."""
        ends = []
        for number, one in self.split(self.main_split()):
            # Without a proved mode there is no margin, and neither says anything.
            if one.population and (ahead := one.population.exact_round) and one.certified_share != 0:
                ends.append((number + 1, ahead.lower, ahead.upper))
        last = max(len(self.rounds) - 1, self.planned_rounds or 0)
        return [one for one in ends if one[0] <= last]

    def forecast(self, name: Split) -> tuple[ForecastRecord, ...]:
        """What was forecast of a split before the first update, for the rounds that the run is to have."""
        if not self.rounds:
            return ()
        told = (self.rounds[0].forecast if name == "train" else self.rounds[0].forecast_held_out) or ()
        last = max(self.planned_rounds or 0, self.rounds[-1].round)
        return tuple(one for one in told if one.round <= last)

    @property
    def planned_rounds(self) -> int | None:
        """T, where the configuration says so."""
        planned = self.record.configuration.get("rounds")
        return planned if isinstance(planned, int) and not isinstance(planned, bool) else None

    @property
    def beta(self) -> float | None:
        """The KL strength of the last round, or the configured one where rounds do not say."""
        used = next((one.beta for one in reversed(self.rounds) if one.beta is not None), None)
        beta = self.record.configuration.get("beta") if used is None else used
        return float(beta) if isinstance(beta, int | float) and not isinstance(beta, bool) and beta > 0 else None

    @property
    def widened(self) -> float:
        """Most nats by which a round's brackets were widened; where this is positive they are estimates."""
        return max((one.numerics.widened for one in self.rounds if one.numerics), default=0.0)

    @property
    def off_theory(self) -> str | None:
        """What makes this run's rounds others than the theory's, in words; None for eq. 3 or the projection with the
        log-probability, and for weighted likelihood with the log-probability of the answer (P10).
        """
        own, updates = ["log_probability"], ("projection", "regression")
        if self.of_answers:
            own, updates = ["answer"], ("weighted", "leave_one_out", "regression")
        rewards = self.record.configuration.get("rewards") or own
        departures = []
        if rewards != own:
            departures.append(f"the reward {' + '.join(map(str, rewards))}")
        if self.loss not in updates:
            departures.append(f"the update {self.loss}")
        if self.record.configuration.get("reference") == "base":
            departures.append("the base model as reference")
        if self.record.configuration.get("anchor_weight"):
            departures.append("a likelihood anchor")
        return " and ".join(departures) or None

    def split(self, name: Split) -> list[tuple[int, SplitRecord]]:
        """(round, measurements) of one split, for the rounds that have it."""
        return [(one.round, metrics) for one in self.rounds if (metrics := one.split(name)) is not None]

    def shown(self, name: Split) -> list[tuple[int, SplitRecord]]:
        """`split` up to the round that a page shows."""
        return [one for one in self.split(name) if one[0] <= self.now]

    def main_split(self) -> Split:
        """The trained prompts, or the held-out ones where nothing else was measured."""
        return "train" if self.split("train") or not self.split("held_out") else "held_out"


def read_run(folder: Path, prompts: bool = True, traced: str | None = None) -> RunView:
    """Read a run, finished or not.

    Args:
        folder: what `srlm run --out` wrote.
        prompts: whether to read the tables of responses too.
        traced: numbers of the records know where they are from, beginning with this ("", or a name and a slash); None:
            they do not.

    Raises:
        InputError: there is no run, or not even round 0 of it is whole (the file and the fix are named).
    """
    directory = RunDirectory.open(folder)
    record = parse(RunRecord, directory.record(), folder / RUN_FILE)
    rounds, damage = directory.whole_rounds()
    told = [one.read() for one in rounds]
    if traced is not None:
        record = trace(record, f"{traced}{RUN_FILE}")
        told = [trace(one, f"{traced}rounds/{one.round:02d}/metrics.json") for one in told]
    view = RunView(folder, record, tuple(told), damage=damage)
    if damage is None and record.status == "done" and rounds and len(rounds) <= (view.planned_rounds or 0):
        gone = f"the run ended with round {view.planned_rounds}, but {directory.round(len(rounds)).path} is missing"
        view = replace(view, damage=f"{gone}; resume to make it anew")
    if not prompts or not rounds:
        return view
    return replace(view, prompts=read_prompts(rounds, view.of_answers, float(view.confidence)))
