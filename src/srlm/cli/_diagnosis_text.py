"""A diagnosis in words that a person can act on.

Knows: the record of a diagnosis and how to say it to someone new to the theory. Refuses to know: how it was measured.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from srlm.cli._plan_text import forecast_text
from srlm.records.diagnosis import DiagnosisRecord, SelfJudgement, Verdict
from srlm.records.spectra import EffectiveDimension
from srlm.records.text import visible
from srlm.report import numbers

_LISTED = 12


def diagnosis_text(diagnosis: DiagnosisRecord, out: Path | None = None) -> str:
    """The diagnosis as text, one heading a question.

    Args:
        diagnosis: the record.
        out: the folder it was written to, if any.
    """
    return "\n".join(
        [
            _headline(diagnosis),
            *("", "Will self-rewarding help?"),
            *_verdicts(diagnosis.verdict),
            *("", "How sharp is the model?"),
            *_sharpness(diagnosis),
            *("", "What would it converge to?"),
            *_ceiling(diagnosis),
            *_wrong(diagnosis),
            "",
            *forecast_text(diagnosis.forecast),
            *("", "Does it know right from wrong?"),
            *_judgement(diagnosis.self_reward_against_correctness),
            *_spectra(diagnosis.effective_dimension),
            *_greedy(diagnosis),
            *_degenerate(diagnosis),
            *("", "Next"),
            *_next(diagnosis, out),
        ]
    )


def comparison_text(
    several: Sequence[tuple[str, DiagnosisRecord]], notes: Sequence[str], out: Path | None = None
) -> str:
    """Named diagnoses as a table.

    Args:
        several: names and diagnoses.
        notes: what makes them hard to compare.
        out: the folder they were written to, if any.
    """
    rows: list[tuple[str, ...]] = [
        ("model", "kappa", "fails", "margin", "samples", "greedy", "modes", "dimension", "self-rewarding")
    ]
    for name, one in several:
        spectra = one.effective_dimension
        rows.append(
            (
                visible(name, 32),
                numbers.kappa(one),
                numbers.bracket(one.failure_rate),
                numbers.number(one.margins[1]) if one.margins else "-",
                *(numbers.share(value, "-") for value in (one.accuracy.sample, one.accuracy.greedy, one.accuracy.mode)),
                numbers.number(spectra.value) if spectra else "-",
                one.verdict[0].verdict,
            )
        )
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
    lines = ["  ".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    lines += ["", "samples, greedy, modes: share right; modes are where exact rounds end (P5). margin: median, nats."]
    lines += [f"Careful: {visible(note)}." for note in notes]
    if out is not None:
        lines.append(f"Look at {out / 'comparison.html'}.")
    return "\n".join(lines)


def _headline(diagnosis: DiagnosisRecord) -> str:
    count, gate = len(diagnosis.prompts), diagnosis.settings.gate_prompts
    left_out = f" {gate} more, marked gate, were left out." if gate else ""
    return (
        f"{visible(diagnosis.model, 60)} on {count} prompts, answers up to {diagnosis.settings.max_new_tokens} tokens: "
        f"{diagnosis.verdict[0].verdict}. {diagnosis.certified} of {count} modes are "
        f"{numbers.proved(diagnosis.numeric_error)}.{left_out}"
    )


def _verdicts(verdicts: Sequence[Verdict]) -> Iterator[str]:
    width = max(len(visible(one.group, 24)) for one in verdicts)
    for one in verdicts:
        yield f"  {visible(one.group, 24):{width}}  {one.verdict}: {one.reason}."
        if one.remedy:
            yield f"  {'':{width}}  To do: {one.remedy}."


def _sharpness(diagnosis: DiagnosisRecord) -> Iterator[str]:
    boot, samples = diagnosis.bootstrap, diagnosis.samples
    yield (
        f"  kappa {numbers.kappa(diagnosis)}: on average so many samples until the favourite answer is seen once "
        "(1 = deterministic)."
    )
    fails = numbers.bracket(diagnosis.failure_rate)
    yield f"  failure rate {fails}: prompts whose favourite answer has at most half the mass."
    yield f"  least confidence {numbers.confidence(diagnosis)}; margins (least, median): {numbers.margins(diagnosis)}."
    yield (
        f"  Over prompts like these ({boot.log_kappa.level:.0%} bootstrap, another uncertainty): kappa "
        f"{numbers.log_bracket(boot.log_kappa)}, failure rate {numbers.bracket(boot.failure_rate)}."
    )
    yield (
        f"  samples: {samples.mean_tokens:.1f} tokens, {samples.cut_share:.0%} cut, entropy {samples.entropy:.2f} nats "
        f"a token, self-reward {samples.self_reward_mean:.1f} nats."
    )
    if diagnosis.numeric_error:
        yield f"  {numbers.widening(diagnosis.settings.dtype, diagnosis.numeric_error)}"


def _ceiling(diagnosis: DiagnosisRecord) -> Iterator[str]:
    accuracy, bracket = diagnosis.accuracy, diagnosis.accuracy.mode_bracket
    if bracket is None:
        yield "  No answers are known; exact rounds end in the modes (P5), listed in diagnosis.json."
        return
    yield f"  samples right        {numbers.share(accuracy.sample)}"
    yield f"  greedy right         {numbers.share(accuracy.greedy)}"
    yield f"  best of {diagnosis.settings.samples:<3} right    {numbers.share(accuracy.best_of_n):4} (by self-reward)"
    yield f"  majority right       {numbers.share(accuracy.majority)}"
    where = "" if bracket.lower == bracket.upper else f" (certainly in {numbers.share_bracket(bracket)})"
    yield f"  MODES right          {numbers.share(accuracy.mode)}{where}   <- the predicted ceiling (P5)"


def _wrong(diagnosis: DiagnosisRecord) -> Iterator[str]:
    if not (wrong := diagnosis.surer_of_wrong):
        return
    yield ""
    yield f"Where training makes the model surer of a wrong answer: {numbers.plural(len(wrong), 'prompt')}"
    for one in wrong[:_LISTED]:
        sure = numbers.proved(diagnosis.numeric_error) if one.mode.certified else "the likeliest seen"
        accepted = (one.answer,) if isinstance(one.answer, str) else one.answer or ()
        told = f"{visible(one.mode.text, 40)!r}, {sure}; right: {visible(', '.join(accepted), 40)}"
        yield f"  {visible(one.prompt, 60)}  ->  {told}"
    if len(wrong) > _LISTED:
        yield f"  and {len(wrong) - _LISTED} more in diagnosis.json"


def _judgement(judgement: SelfJudgement | None) -> Iterator[str]:
    if judgement is None:
        yield "  Not known: no prompt has a known answer."
        return
    if judgement.auroc is None:
        yield "  All samples are right, or all wrong: nothing to tell apart."
        return
    yield (
        f"  A right sample has the larger self-reward than a wrong one in {judgement.auroc:.0%} of all pairs "
        "(50% = knows nothing)"
    )
    if judgement.auroc_within is not None:
        yield (
            f"  and in {judgement.auroc_within:.0%} of pairs of the same prompt ({judgement.prompts_within} prompts): "
            "this is what training acts on."
        )
    yield f"  Calibration error of exp(self-reward) as a probability of being right: {judgement.calibration_error:.2f}."


def _spectra(spectra: EffectiveDimension | None) -> Iterator[str]:
    if spectra is None:
        return
    yield ""
    yield "How many directions count?"
    yield (
        f"  effective dimension {spectra.value:.3g} of {spectra.dimension} (lambda = {spectra.ridge:.2g}); "
        f"{spectra.decay.sentence}."
    )
    if (fisher := spectra.fisher.condition_number) is not None:
        yield f"  Fisher information about the last hidden state: condition number {fisher:.3g}."
    for warning in (spectra.warning, spectra.fisher.warning):
        if warning:
            yield f"  Careful: {warning}."


def _greedy(diagnosis: DiagnosisRecord) -> Iterator[str]:
    wrong = [one for one in diagnosis.prompts if one.greedy_is_mode is False]
    yield ""
    yield (
        f"Where greedy decoding is {numbers.proved(diagnosis.numeric_error)} not to find the mode: {len(wrong)} of "
        f"{len(diagnosis.prompts)} prompts"
    )
    for one in wrong[:_LISTED]:
        yield f"  {visible(one.prompt, 70)}"
        yield f"    greedy {_reply(one.greedy.text, one.greedy_correct)}  ({one.greedy.logprob:.2f} nats)"
        yield f"    mode   {_reply(one.mode.text, one.mode_correct)}  ({one.mode.logprob_lower:.2f} nats)"
    if len(wrong) > _LISTED:
        yield f"  and {len(wrong) - _LISTED} more in diagnosis.json"


def _degenerate(diagnosis: DiagnosisRecord) -> Iterator[str]:
    counts = {mark: count for mark, count in diagnosis.degenerate_modes.items() if count}
    yield ""
    if not counts:
        yield "Degenerate modes: none is empty, cut or repeating."
        return
    yield "Degenerate modes: " + ", ".join(f"{count} {mark}" for mark, count in counts.items())
    for one in [one for one in diagnosis.prompts if one.mode.marks][:_LISTED]:
        yield f"  {', '.join(one.mode.marks)}: {visible(one.prompt, 50)} -> {visible(one.mode.text, 50)!r}"


def _next(diagnosis: DiagnosisRecord, out: Path | None) -> Iterator[str]:
    where = out / "diagnosis.json" if out is not None else "DIR/diagnosis.json"
    if out is None:
        yield "  Add --out DIR to keep this (diagnosis.json, diagnosis.html)."
    else:
        yield f"  Look at {out / 'diagnosis.html'}."
    yield f"  srlm plan --from {where} --beta 0.5 --rounds 5    other rounds (and, with --pairs, bounds)"
    if diagnosis.verdict[0].verdict == "helps":
        yield f"  srlm run --model {visible(diagnosis.model, 80)} --prompts {visible(diagnosis.settings.prompts, 80)}"


def _reply(text: str, correct: bool | None) -> str:
    mark = "" if correct is None else " [right]" if correct else " [wrong]"
    return f"{visible(text, 80)!r}{mark}"
