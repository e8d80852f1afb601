"""The charts of diagnoses, at both levels, and of several side by side.

Knows: the records of diagnoses, what is drawn against what. Refuses to know: colours, scales, sizes, pages.
"""

import math
from collections.abc import Sequence

from srlm.records.answer_diagnosis import AnswerDiagnosis
from srlm.records.diagnosis import DiagnosisRecord
from srlm.records.forecast import ForecastRecord
from srlm.report import numbers
from srlm.report.charts import COLOURS, PERCENT, ROUNDS, chart, line
from srlm.report.payload import Axis, Chart, Colour, Line, Rule

_LN10 = math.log(10)
_WAYS = (
    ("sample", "one sample"),
    ("greedy", "greedy decoding"),
    ("best_of_n", "best of N by self-reward"),
    ("majority", "majority vote"),
    ("mode", "modes: the predicted ceiling"),
)
# A spectrum below this share of its largest value is rounding.
_NOISE = 1e-9


def diagnosis_charts(diagnosis: DiagnosisRecord) -> list[Chart]:
    """The charts of one diagnosis, in reading order; those without a measurement are left out."""
    charts = [
        *_forecast(diagnosis.forecast.rounds if diagnosis.forecast else (), diagnosis.accuracy.mode, False),
        _ways(diagnosis), _confidence(diagnosis), _calibration(diagnosis), _spectrum(diagnosis),
    ]  # fmt: skip
    return [one for one in charts if one is not None]


def answer_charts(diagnosis: AnswerDiagnosis) -> list[Chart]:
    """The charts of a diagnosis of answers."""
    rounds = diagnosis.forecast.rounds if diagnosis.forecast else ()
    charts = [*_forecast(rounds, diagnosis.accuracy.majority, True), _votes(diagnosis)]
    return [one for one in charts if one is not None]


def _forecast(rounds: Sequence[ForecastRecord], ceiling: float | None, of_answers: bool) -> list[Chart | None]:
    """What rounds would make of kappa and of right samples."""
    if len(rounds) < 2:
        return []
    look = {"colour": "theory", "mark": "none"}
    band = {**look, "style": "none", "band": True, "estimated": of_answers}
    name = "95% bootstrap over prompts" if of_answers else "exact rounds"
    kappas = [(one.round, None, one.intervals.get("kappa") if of_answers else one.kappa) for one in rounds]
    kappas = [one for one in kappas if one[2] is not None and one[2].lower is not None and one[2].upper is not None]
    points = [(one.round, one.kappa_point, None) for one in rounds if one.kappa_point is not None]
    symbol = "κ of answers" if of_answers else "κ"
    told = (
        f"{symbol} about {numbers.went(*(numbers.known(at[1]) for at in (points[0], points[-1])))}." if points else ""
    )
    caption = "Computed from the base model alone: where exact rounds would go on these prompts."
    shares = [(one.round, None, one.sample_accuracy) for one in rounds if one.sample_accuracy is not None]
    means = [(one.round, one.sample_accuracy_point, None) for one in rounds if one.sample_accuracy_point is not None]
    rules = [] if ceiling is None else [Rule(axis="y", at=ceiling, label=f"ceiling {numbers.share(ceiling)}")]
    return [
        chart("kappa", f"{symbol} by round, as forecast", caption,
              [line(name, kappas, **band), line("forecast", points, style="dash", **look)],
              Axis(title=symbol, log=True, lowest=1.0), told, x=ROUNDS),
        chart("accuracy", "Right samples by round, as forecast", caption,
              [line(name, shares, **band), line("forecast", means, style="dash", **look)], PERCENT, x=ROUNDS,
              rules=rules),
    ]  # fmt: skip


def comparison_charts(several: Sequence[tuple[str, DiagnosisRecord]]) -> list[Chart]:
    """Spectra and ceilings of several named diagnoses."""
    lines, words = [], []
    for at, (name, one) in enumerate(several):
        if spectra := one.effective_dimension:
            style = "solid" if at < len(COLOURS) else "dot"
            lines.append(_curve(spectra.eigenvalues, name, COLOURS[at % len(COLOURS)], style))
            words.append(f"{name}: effective dimension {numbers.number(spectra.value)}")
    caption = "Eigenvalues of the final hidden states' second moments, each divided by the largest."
    spectra = chart("spectra", "Spectra of features", caption, lines, _SPECTRUM, "; ".join(words), wide=True)
    known = [(name, one.accuracy) for name, one in several if one.accuracy.mode is not None]
    ways: tuple[tuple[str, str, Colour], ...] = (
        ("sample", "samples", "blue"), ("greedy", "greedy", "purple"), ("mode", "modes", "green"),
    )  # fmt: skip
    bars = [
        line(label, [(at, getattr(one, way), None) for at, (_, one) in enumerate(known)], colour=colour, style="bars")
        for way, label, colour in ways
    ]
    ceilings = "; ".join(f"{name}: modes {numbers.share(accuracy.mode)}" for name, accuracy in known)
    caption = "Share of right answers; the modes are where exact rounds would end (P5)."
    names = Axis(ticks=[(float(at), name) for at, (name, _) in enumerate(known)])
    accuracy = chart("ceilings", "Accuracy and predicted ceiling", caption, bars, PERCENT, ceilings, x=names, wide=True)
    return [one for one in (spectra, accuracy) if one is not None]


def _ways(diagnosis: DiagnosisRecord) -> Chart | None:
    values = [(name, getattr(diagnosis.accuracy, way)) for way, name in _WAYS]
    ways = [one for one in values if one[1] is not None]
    caption = "Share of right answers. Exact rounds end in the modes (P5): samples would climb to the lowest bar."
    words = "; ".join(f"{name} {numbers.share(value)}" for name, value in ways)
    rows = Axis(ticks=[(float(at), name) for at, (name, _) in enumerate(ways)])
    bars = line("right", [(at, value, None) for at, (_, value) in enumerate(ways)], style="bars")
    return chart("ways", "Ways of answering", caption, [bars], PERCENT, words, x=rows, horizontal=True)


def _confidence(diagnosis: DiagnosisRecord) -> Chart | None:
    """Probability of every prompt's mode, in falling order, its bracket and whether it is right. Exponents of ten,
    because probabilities of long responses underflow.
    """
    ordered = sorted(diagnosis.prompts, key=lambda one: -one.mode.logprob_lower)
    kinds: tuple[tuple[bool | None, str, Colour, str], ...] = (
        (True, "mode right", "right", "dot"),
        (False, "mode wrong", "wrong", "cross"),
        (None, "not known", "soft", "dot"),
    )
    lines = []
    for correct, name, colour, mark in kinds:
        rows = [
            (at, one.mode.logprob_lower / _LN10, (one.mode.logprob_lower / _LN10, one.mode.logprob_upper / _LN10))
            for at, one in enumerate(ordered, 1)
            if one.mode_correct is correct
        ]  # fmt: skip
        lines.append(line(name, rows, colour=colour, mark=mark, style="none"))
    lowest = min(one.mode.logprob_lower for one in ordered)
    right = sum(one.mode_correct is True for one in ordered)
    words = (
        f"{len(ordered)} modes, {right} known to be right; the least sure has probability {numbers.from_log(lowest)}."
    )
    caption = (
        "How sure the model is of its favourite answer to each prompt. Bars reach to what the search has not ruled out."
    )
    axis = Axis(title="probability of the mode", highest=0.0, ticks=_powers(lowest / _LN10))
    places = Axis(title="prompts, surest first")
    return chart("confidence", "Confidence in the favourite answer", caption, lines, axis, words, x=places)


def _calibration(diagnosis: DiagnosisRecord) -> Chart | None:
    judgement = diagnosis.self_reward_against_correctness
    if judgement is None or len(judgement.calibration) < 2:
        return None
    bins = judgement.calibration
    curve = line("samples, ten bins", [(one.self_reward / _LN10, one.accuracy, None) for one in bins])
    words = f"A right sample has the larger self-reward in {numbers.share(judgement.auroc)} of pairs."
    if judgement.auroc is None:
        words = "All samples are right, or all wrong."
    caption = "Responses that the model finds likelier should be right more often: the line should rise. " + words
    axis = Axis(title="probability of the response", ticks=_powers(min(one.self_reward for one in bins) / _LN10))
    right = PERCENT.model_copy(update={"title": "share right"})
    return chart("calibration", "Does it know right from wrong?", caption, [curve], right, words, x=axis)


_SPECTRUM = Axis(title="eigenvalue / largest", log=True)


def _spectrum(diagnosis: DiagnosisRecord) -> Chart | None:
    if (spectra := diagnosis.effective_dimension) is None:
        return None
    lines = [
        _curve(spectra.eigenvalues, "features", "blue"),
        _curve(spectra.fisher.eigenvalues, "Fisher information", "orange"),
    ]
    value = numbers.number(spectra.value)
    words = f"Effective dimension {value} of {numbers.whole(spectra.dimension)}; {spectra.decay.sentence}."
    caption = "The faster it falls, the fewer samples theory asks for. " + words
    places = Axis(title="eigenvalue number")
    return chart("spectrum", "How many directions count", caption, lines, _SPECTRUM, words, x=places)


def _curve(eigenvalues: Sequence[float], name: str, colour: Colour, style: str = "solid") -> Line:
    """A spectrum over its largest eigenvalue, without rounding noise."""
    largest = eigenvalues[0] if eigenvalues else 0.0
    shares = [value / largest for value in eigenvalues if largest > 0 and value > largest * _NOISE]
    return line(
        name, [(at, value, None) for at, value in enumerate(shares, 1)], colour=colour, style=style, mark="none"
    )


def _powers(lowest: float) -> list[tuple[float, str]]:
    """Labels of an axis of exponents: about six powers of ten from 1 down to below 10^lowest."""
    steps = range(0, math.floor(lowest) - 1, -max(1, round(-lowest / 6)))
    return [(float(at), numbers.power_of_ten(at)) for at in steps]


def _votes(diagnosis: AnswerDiagnosis) -> Chart | None:
    accuracy = diagnosis.accuracy
    if not accuracy.maj_at:
        return None
    lines = [
        line(name, [(int(k), value, None) for k, value in values.items()], colour=colour)
        for values, name, colour in (
            (accuracy.pass_at, "pass@k: one of k draws is right", "orange"),
            (accuracy.maj_at, "maj@k: the vote of k draws is right", "blue"),
        )
    ]
    last = diagnosis.forecast and diagnosis.forecast.rounds[-1]
    rules = []
    if last and last.sample_accuracy_point is not None:
        label = f"one draw, forecast after {last.round} rounds"
        rules = [Rule(axis="y", at=last.sample_accuracy_point, label=label)]
    told = "; ".join(f"k = {k}: {numbers.share(value)}" for k, value in accuracy.maj_at.items())
    caption = "Share of questions answered right; unbiased over every subset of the draws."
    axis = Axis(title="k, draws of the base model", log=True, ticks=[(float(k), k) for k in accuracy.maj_at])
    return chart("votes", "What a vote buys", caption, lines, PERCENT, f"maj@k: {told}", x=axis, rules=rules, wide=True)
