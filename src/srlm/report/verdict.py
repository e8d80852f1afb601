"""What a run amounts to: one sentence, the few that explain it, and its evidence in chips that link to their sections.

Knows: the records' fields, at both levels. Refuses to know: anything that is not in them, how a page looks.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from srlm.measure.promises import log_kappa
from srlm.records.rounds import SPLITS, Split, SplitRecord
from srlm.records.text import duration, visible
from srlm.report import numbers
from srlm.report._pieces import NAMES
from srlm.report.explorer import stop_of
from srlm.report.payload import Stop
from srlm.report.reading import RunView


@dataclass(frozen=True, slots=True)
class Chip:
    """One piece of evidence: what it is, at round 0 ("" where that says nothing), at the round shown, what it means,
    and the section of the page that holds it.
    """

    name: str
    before: str
    after: str
    meaning: str
    section: str


def headline(run: RunView) -> str:
    """The run in one sentence, without its full stop: right samples, or kappa where no answer is known."""
    split = _told(run)
    if not (series := run.shown(split)):
        return "No round has been measured yet"
    if run.now == 0 and len(run.rounds) > 1:  # taken back: what happened until then, and what is kept
        series = run.split(split)
    base, (last, now), where = series[0][1], series[-1], NAMES[split]
    before, after = base.accuracy.sample, now.accuracy.sample
    stop = _stop(run)
    if (before is None or after is None) and stop:
        return f"Stop after round {stop.round}: the alarm “{stop.signature}” spoke"
    if before is None or after is None:
        return f"{kappa_sentence(run)}{_kept(run)}"
    if last == 0:
        told = f"{numbers.share(after)} of its samples on {where} are right, and {numbers.share(now.accuracy.mode)} of"
        return f"{run.base_name.capitalize()}: {told} {_favourites(run, now)}{_kept(run)}"
    was, is_ = (one.intervals.get("sample_accuracy") for one in (base, now))
    apart = not (was and is_) or is_.lower > was.upper or is_.upper < was.lower
    changed = "up from" if after > before else "down from"
    verb = "helped" if after > before else "hurt"
    if not apart or after == before:
        verb = "made no certain difference"
        changed = f"and {'at its first steps' if run.watched else 'before training'}"
    text = f"{'Training' if run.watched else 'Self-rewarding'} {verb}: sampled answers on {where} are right "
    text += f"{numbers.share(after)} of the time, {changed} {numbers.share(before)}"
    return text + _kept(run) + (f". Stop after round {stop.round}" if stop else "")


def _stop(run: RunView) -> Stop | None:
    """Where to stop, unless the run went back there itself."""
    stop = stop_of(run)
    return None if stop is None or run.now <= stop.round else stop


def _favourites(run: RunView, *rounds: SplitRecord) -> str:
    """What the likeliest are called: modes only where a search proved any."""
    none = not run.of_answers and any(one.certified_share == 0 for one in rounds)
    return "the likeliest responses seen" if none else f"its {run.modes_name}"


def _told(run: RunView) -> Split:
    """Prompts never trained on, where there are any."""
    return "held_out" if run.split("held_out") else "train"


def _kept(run: RunView) -> str:
    if run.now == len(run.rounds) - 1:
        return ""
    return f"; {run.base_name if run.now == 0 else f'round {run.now}'} is kept"


def kappa_sentence(run: RunView) -> str:
    """kappa from round 0 to the round shown, on the trained prompts."""
    series = run.shown(run.main_split())
    last, now = series[-1]
    if last == 0:
        return f"{run.base_name.capitalize()}: condition number {run.kappa_name} = {numbers.kappa(now)}"
    (least, most), (was_least, was_most) = log_kappa(now), log_kappa(series[0][1])
    verb = "fell" if most < was_least else "rose" if least > was_most else "went"
    text = f"{run.kappa_name} {verb} from {numbers.kappa(series[0][1])} to {numbers.kappa(now)} in "
    return f"{text}{numbers.plural(last, 'round')}" + (": no certain change" if verb == "went" else "")


def standfirst(run: RunView) -> list[str]:
    """What the sentence rests on, and what it means."""
    if not run.rounds:
        return ["The page will fill as rounds complete."]
    said, base = [], run.split(_told(run))[0][1]
    if run.watched:
        form = run.record.configuration.get("format")
        source = f" (files of {visible(str(form), 20)})" if form else ""
        said.append(
            f"Another program trained this model{source}; srlm read its completions. A round is a window of its steps, "
            "round 0 the first one, and other prompts may be drawn in each."
        )
    elif base.accuracy.mode is not None and base.certified_share != 0:
        label = "P10" if run.of_answers else "P5"
        said.append(
            f"The ceiling, known before training, is {numbers.share(base.accuracy.mode)}: the accuracy of the base "
            f"model's {run.modes_name}, where exact rounds end ({label})."
        )
    if stop := _stop(run):
        told = f"the signature “{stop.signature}” spoke ({stop.evidence}; false alarms: {stop.rate})"
        said.append(f"Stop after round {stop.round}: then {told}.")
    if run.of_answers and not run.watched:
        said.append(
            "This run sharpens answers, not strings: many samples share an answer, and the likeliest answer is the one "
            "they vote for. Training makes the model give it more often; it cannot make the vote better."
        )
    what, once = ("answer", "sample gives it") if run.of_answers else ("response", "sample is it")
    said.append(
        f"{kappa_sentence(run)}. {run.kappa_name} is the number of samples it takes, on average over prompts, to see "
        f"the model's likeliest {what} once; at 1 every {once}."
    )
    return said


def chips(run: RunView) -> list[Chip]:
    """The evidence: of prompts never trained on, where there are any, and in short of the trained ones."""
    if not run.rounds:
        return []
    told = [chip for split in SPLITS if run.shown(split) for chip in _of_split(run, split, split == _told(run))]
    update = run.rounds[run.now].projection
    if update is not None and update.tau is not None:
        told.append(
            Chip("τ of the last step", "", numbers.mass(update.tau), "of an exact round was left out", "updates")
        )
    if stop := _stop(run):
        told.append(
            Chip("Stop after", "", f"round {stop.round}", f"{stop.signature}; false alarms: {stop.rate}", "forecast")
        )
    seconds = sum(sum(one.seconds.values()) for one in run.rounds)
    if seconds:
        drawn = sum(one.tokens.get("sampled", 0) for one in run.rounds)
        told.append(Chip("Cost", "", duration(seconds), f"wall time; {drawn:,} tokens sampled", "rounds"))
    return told


def _of_split(run: RunView, split: Split, whole: bool) -> Iterator[Chip]:
    series, where = run.shown(split), NAMES[split]
    ends = (series[0][1], series[-1][1])

    def both(form: str) -> tuple[str, str]:
        before, after = (numbers.measured(one, form) for one in ends)
        return before if len(series) > 1 else "", after

    base, now = ends
    if now.accuracy.sample is not None:
        meaning = "drawn at temperature 1, nothing cut"
        yield Chip(f"Right samples, {where}", *both("sample_accuracy"), meaning, "forecast")
    kappas = (numbers.kappa(base) if len(series) > 1 else "", numbers.kappa(now))
    meaning = "1: every sample gives the majority" if run.of_answers else "1 is certain of itself"
    yield Chip(f"Condition number {run.kappa_name}, {where}", *kappas, meaning, "forecast")
    if not whole:
        return
    if now.accuracy.mode is not None:
        meaning = "round 0's is where this page begins" if run.watched else "the first is the ceiling"
        name = _favourites(run, base, now).partition(" ")[2].capitalize()
        yield Chip(f"{name} right, {where}", *both("mode_accuracy"), meaning, "ledger")
    if counts := now.fates.get("majority" if run.of_answers else "mode"):
        learned, corrupted = (numbers.whole(counts.get(name, 0)) for name in ("learned", "corrupted"))
        text = f"{learned} learned, {corrupted} corrupted"
        yield Chip(f"Since round 0, {where}", "", text, f"{run.modes_name} that turned right, or wrong", "ledger")
    what = "answer" if run.of_answers else "response"
    meaning = f"prompts whose likeliest {what} has probability at most ½"
    yield Chip(f"Failure rate, {where}", *both("failure_rate"), meaning, "forecast")
    if (sure := _sure(now)) is not None:
        count, meaning = sure
        yield Chip(f"Certain, {where}", "", count, meaning.format(run.modes_name), "prompts")


def _sure(now: SplitRecord) -> tuple[str, str] | None:
    if (of := now.answers) is not None and now.prompts:
        level = numbers.number(100 * of.confidence)
        return f"{numbers.whole(of.certified)} of {numbers.whole(now.prompts)}", f"{{}}, by draws at {level}% or proved"
    return None if now.certified_share is None else (numbers.share(now.certified_share), "of {}, by search")
