"""What a run, a diagnosis or an audit came to, on one picture to share.

Knows: records, and which of their numbers a card shows beside its sentence: of a run those of the prompts never trained
on, where there are any. Refuses to know: how it is drawn (`card_drawing`), how the sentence is found.
"""

import html
import re
from collections.abc import Sequence
from pathlib import Path

from srlm.errors import InputError
from srlm.measure.fates import FATES
from srlm.records.answer_diagnosis import AnswerDiagnosis, read_answer_diagnosis
from srlm.records.atomic import write_bytes, write_text
from srlm.records.diagnosis import DiagnosisRecord, holds_diagnosis, read_diagnosis
from srlm.records.forecast import ForecastRecord
from srlm.records.model_card import measured_rounds
from srlm.records.rounds import Split
from srlm.records.text import duration, visible
from srlm.report import numbers
from srlm.report._pieces import NAMES
from srlm.report.card_drawing import Card, Chart, Ends, Fact, draw
from srlm.report.reading import RunView, read_run


def card_of(folder: Path) -> Card:
    """The card of what `srlm run`, `srlm diagnose` or `srlm audit` wrote with --out.

    Raises:
        InputError: neither a run with a complete round nor a diagnosis is there.
    """
    if not holds_diagnosis(folder):
        return card_of_run(read_run(folder, False))
    if (answers := read_answer_diagnosis(folder)) is not None:
        return card_of_answers(answers)
    return card_of_diagnosis(read_diagnosis(folder))


def write_card(card: Card, sentence: str, folder: Path) -> dict[str, str]:
    """Write `card.svg`, `card.png` (1200 x 630) and `card.md`, a block for a model card; the files by their kind.

    Args:
        card: what is on it.
        sentence: the verdict above it.
        folder: where.

    Raises:
        OSError: a file cannot be written.
    """
    paths = {kind: folder / f"card.{kind}" for kind in ("svg", "png", "md")}
    sentence = visible(sentence, 400)
    for kind in ("svg", "png"):
        write_bytes(paths[kind], draw(card, sentence, kind))
    write_text(paths["md"], markdown(card, sentence))
    return {kind: str(path) for kind, path in paths.items()}


def card_of_run(run: RunView) -> Card:
    """The card of a run, finished or not, or of an audit.

    Raises:
        InputError: no round is complete yet.
    """
    split: Split = "held_out" if run.split("held_out") else "train"
    if not (series := run.shown(split)):
        raise InputError(f"{run.path} has no complete round yet; make the card once it has")
    (_, base), (last, now), where = series[0], series[-1], NAMES[split]
    right = [(number, one.accuracy.sample) for number, one in run.split(split) if one.accuracy.sample is not None]
    modes = run.modes_name
    ceiling = None if run.watched or base.certified_share == 0 else base.accuracy.mode
    failing = [numbers.measured(one, "failure_rate").partition(" (")[0] for one in (base, now)]
    fates = now.fates.get("majority" if run.of_answers else "mode", {}) if last else {}
    ledger = {fate: fates.get(fate, 0) for fate in FATES} if fates else {}
    count = f"{base.prompts or ''} {where}".strip()
    facts = [Fact(run.kappa_name, _went(*map(numbers.kappa_estimate, (base, now))), "draws to see the favourite")]
    if right:
        shares = [numbers.share(one.accuracy.sample) for one in (base, now)]
        facts.insert(0, Fact("Right samples", _went(*shares), f"on {count}"))
    if ceiling is not None:
        facts.insert(1, Fact("Ceiling", numbers.share(ceiling), f"the base model’s {modes}"))
    facts.append(Fact("Failure rate", _went(*failing), "favourite has at most half"))
    if ledger:
        told = f"{ledger['learned']} learned, {ledger['kept']} kept"
        facts.append(Fact("Corrupted", f"{ledger['corrupted']} of {sum(ledger.values())}", told))
    if run.watched:
        facts.append(Fact("Alarms", str(len(run.noted("alarms"))), f"in {numbers.plural(len(run.rounds), 'window')}"))
    seconds = sum(sum(one.seconds.values()) for one in run.rounds)
    tokens = sum(one.tokens.get("sampled", 0) for one in run.rounds)
    if seconds:
        facts.append(_cost(seconds, tokens))
    what = "another trainer’s run" if run.watched else f"self-rewarding, {run.loss}"
    rounds = numbers.plural(*((len(run.rounds), "window") if run.watched else (run.rounds[-1].round, "round")))
    if right:
        chart = _chart("Right samples", right, run.forecast(split), ceiling)
    else:
        of = [(at, one.answers.kappa_estimate if one.answers else one.kappa.upper) for at, one in run.split(split)]
        measured = [(at, kappa) for at, kappa in of if kappa is not None]
        chart = _chart(run.kappa_name, measured, run.forecast(split), log=True)
    table = () if run.watched else measured_rounds(run.record.configuration, run.rounds, run.now)
    model = visible(str(run.record.configuration.get("model", "a model")), 120)
    return Card(model, visible(f"{what}, {rounds}", 60), facts, chart, ledger, count, table)


def card_of_diagnosis(diagnosis: DiagnosisRecord) -> Card:
    """The card of a diagnosis of responses."""
    accuracy, count = diagnosis.accuracy, len(diagnosis.prompts)
    rounds = diagnosis.forecast.rounds if diagnosis.forecast else ()
    ceiling = None if accuracy.mode is None else numbers.share_bracket(accuracy.mode_bracket)
    samples = diagnosis.samples
    facts = [
        Fact("κ", numbers.kappa(diagnosis), "draws to see the favourite"),
        Fact("Failure rate", numbers.share_bracket(diagnosis.failure_rate), "favourite has at most half"),
        Fact(f"Modes {numbers.proved(diagnosis.numeric_error)}", f"{diagnosis.certified} of {count}", "by search"),
        _cost(sum(diagnosis.seconds.values()), samples.count * samples.mean_tokens),
    ]
    known = accuracy.sample, ceiling, accuracy.mode
    return _diagnosed(diagnosis.model, "diagnosis of responses", facts, *known, rounds)


def card_of_answers(diagnosis: AnswerDiagnosis) -> Card:
    """The card of a diagnosis of answers."""
    accuracy, of = diagnosis.accuracy, diagnosis.measured.answers
    rounds = diagnosis.forecast.rounds if diagnosis.forecast else ()
    ceiling = None if accuracy.majority is None else numbers.share(accuracy.majority)
    facts = [
        Fact("κ of answers", f"about {numbers.known(diagnosis.kappa_estimate)}", "draws to see the favourite"),
        Fact("No answer", numbers.share(diagnosis.unparseable_share), "of the draws"),
    ]
    if of is not None:
        told = f"{of.certified} of {len(diagnosis.prompts)}"
        facts.append(Fact("Certified", told, f"majorities, at {numbers.number(100 * of.confidence)}%"))
        facts.append(_cost(sum(diagnosis.seconds.values()), of.draws * (diagnosis.measured.mean_response_tokens or 0)))
    known = accuracy.sample, ceiling, accuracy.majority
    return _diagnosed(diagnosis.model, "diagnosis of answers", facts, *known, rounds)


def _diagnosed(
    model: str,
    what: str,
    facts: list[Fact],
    right: float | None,
    ceiling: str | None,
    level: float | None,
    rounds: Sequence[ForecastRecord],
) -> Card:
    after = rounds[-1].sample_accuracy_point if rounds else None
    if ceiling is not None:
        facts.insert(0, Fact("Ceiling", ceiling, "where exact rounds end"))
    if right is not None:
        value = numbers.share(right) if after is None else _went(numbers.share(right), numbers.share(after))
        note = "" if after is None else f"forecast of {numbers.plural(rounds[-1].round, 'round')}"
        facts.insert(0, Fact("Right samples", value, note))
    title = "κ, forecast" if right is None else "Right samples, forecast"
    return Card(visible(model, 120), what, facts, _chart(title, [], rounds, level, log=right is None), {})


def _cost(seconds: float, tokens: float) -> Fact:
    return Fact("Cost", duration(seconds), f"{tokens:,.0f} tokens sampled" if tokens else "")


def _went(before: str, after: str) -> str:
    return before if before == after else f"{before} → {after}"


def _chart(
    title: str,
    measured: Sequence[tuple[int, float]],
    rounds: Sequence[ForecastRecord],
    ceiling: float | None = None,
    log: bool = False,
) -> Chart | None:
    """kappa where it is logarithmic, else right samples; None where there is nothing to draw."""
    told = []
    for one in rounds:
        of, point = (one.kappa, one.kappa_point) if log else (one.sample_accuracy, one.sample_accuracy_point)
        low, high = (None, None) if of is None else (of.lower, of.upper)
        if point is not None or None not in (low, high):
            told.append(Ends(one.round, low, point, high))
    return Chart(title, measured, told, ceiling, log) if measured or told else None


def markdown(card: Card, sentence: str) -> str:
    """A section for a model card: the picture, the figures, and the table of every round."""
    lines = [
        "## Self-rewarding, measured",
        "",
        f"![{_plain(sentence)}](card.png)",
        "",
        f"{_plain(sentence)}.",
        "",
        f"{_plain(card.model)}: {_plain(card.what)}. Measured with srlm.",
        "",
        "| | | |",
        "|---|---|---|",
        *(f"| {' | '.join(_plain(one) for one in (fact.name, fact.value, fact.note))} |" for fact in card.facts),
    ]
    return "\n".join([*lines, *(["", *card.table] if card.table else []), ""])


def _plain(text: str) -> str:
    """Text that Markdown shows as it is."""
    return re.sub(r"([\\`*_{}\[\]()#+!|~$])", r"\\\1", html.escape(text, quote=False))
