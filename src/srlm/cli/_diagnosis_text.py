"""A diagnosis in words that a person can act on.

Knows: the document of `diagnosis.json` and how to say it to someone new to the theory.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from srlm.records.text import visible

_LISTED = 12


def diagnosis_text(found: dict[str, Any], out: Path | None = None) -> str:
    """The diagnosis as text, one heading a question.

    Args:
        found: the document.
        out: the folder it was written to, if any.
    """
    return "\n".join(
        [
            _headline(found),
            *("", "Will self-rewarding help?"),
            *_verdicts(found["verdict"]),
            *("", "How sharp is the model?"),
            *_sharpness(found),
            *("", "What would it converge to?"),
            *_ceiling(found),
            *("", "Does it know right from wrong?"),
            *_judgement(found["self_reward_against_correctness"]),
            *_spectra(found["effective_dimension"]),
            *_greedy(found),
            *_degenerate(found),
            *("", "Next"),
            *_next(found, out),
        ]
    )


def comparison_text(found: dict[str, Any], out: Path | None = None) -> str:
    """Several diagnoses as a table.

    Args:
        found: the document of `comparison.json`.
        out: the folder it was written to, if any.
    """
    rows: list[tuple[str, ...]] = [
        ("model", "kappa", "fails", "margin", "samples", "greedy", "modes", "dimension", "self-rewarding")
    ]
    for one in found["models"]:
        accuracy, margin = one["accuracy"], one["margin"]
        rows.append(
            (
                visible(one["name"], 32),
                _between(one["kappa"]),
                _between(one["failure_rate"]),
                "-" if margin is None else f"{margin['median']:.2g}",
                *(_share(accuracy[way]) for way in ("sample", "greedy", "mode")),
                "-" if one["effective_dimension"] is None else f"{one['effective_dimension']:.3g}",
                one["verdict"],
            )
        )
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
    lines = ["  ".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    lines += ["", "samples, greedy, modes: share right; modes are where exact rounds end (P5). margin: median, nats."]
    lines += [f"Careful: {visible(note)}." for note in found["notes"]]
    if out is not None:
        lines.append(f"Look at {out / 'comparison.html'}.")
    return "\n".join(lines)


def _headline(found: dict[str, Any]) -> str:
    count = len(found["prompts"])
    return (
        f"{visible(found['model'], 60)} on {count} prompts, answers up to {found['settings']['max_new_tokens']} "
        f"tokens: {found['verdict'][0]['verdict']}. {found['certified']} of {count} modes are proved."
    )


def _verdicts(verdicts: list[dict[str, Any]]) -> Iterator[str]:
    width = max(len(visible(one["group"], 24)) for one in verdicts)
    for one in verdicts:
        yield f"  {visible(one['group'], 24):{width}}  {one['verdict']}: {one['reason']}."
        if one["remedy"]:
            yield f"  {'':{width}}  To do: {one['remedy']}."


def _sharpness(found: dict[str, Any]) -> Iterator[str]:
    boot = found["bootstrap"]
    yield (
        f"  kappa {_between(found['kappa'])}: on average so many samples until the favourite answer is seen once "
        f"(1 = deterministic)."
    )
    yield f"  failure rate {_between(found['failure_rate'])}: prompts whose favourite answer has at most half the mass."
    yield (
        f"  least confidence {_between(found['min_confidence'])}; margins: smallest {_margin(found, min)}, median "
        f"{_margin(found, _median)} nats."
    )
    yield (
        f"  Over prompts like these ({boot['kappa']['level']:.0%} bootstrap, another uncertainty): kappa "
        f"{_between(boot['kappa'])}, failure rate {_between(boot['failure_rate'])}."
    )
    samples = found["samples"]
    yield (
        f"  samples: {samples['mean_tokens']:.1f} tokens, {samples['cut_share']:.0%} cut, entropy "
        f"{samples['entropy']:.2f} nats a token, self-reward {samples['self_reward_mean']:.1f} nats."
    )
    if found["numeric_error"]:
        yield f"  Brackets are widened by {found['numeric_error']:.2g} nats, the measured error of this precision."


def _ceiling(found: dict[str, Any]) -> Iterator[str]:
    accuracy = found["accuracy"]
    if accuracy["mode"] is None:
        yield "  No answers are known; exact rounds end in the modes (P5), listed in diagnosis.json."
        return
    bracket = accuracy["mode_bracket"]
    yield f"  samples right        {accuracy['sample']:.0%}"
    yield f"  greedy right         {accuracy['greedy']:.0%}"
    yield f"  best of {found['settings']['samples']:<3} right    {accuracy['best_of_n']:.0%}   (by self-reward)"
    yield f"  majority right       {accuracy['majority']:.0%}"
    where = "" if bracket["lower"] == bracket["upper"] else f" (certainly in {_percent(bracket)})"
    yield f"  MODES right          {accuracy['mode']:.0%}{where}   <- the predicted ceiling (P5)"


def _judgement(found: dict[str, Any] | None) -> Iterator[str]:
    if found is None:
        yield "  Not known: no prompt has a known answer."
        return
    if found["auroc"] is None:
        yield "  All samples are right, or all wrong: nothing to tell apart."
        return
    yield (
        f"  A right sample has the larger self-reward than a wrong one in {found['auroc']:.0%} of all pairs "
        "(50% = knows nothing)"
    )
    if found["auroc_within"] is not None:
        yield (
            f"  and in {found['auroc_within']:.0%} of pairs of the same prompt ({found['prompts_within']} prompts): "
            "this is what training acts on."
        )
    yield f"  Calibration error of exp(self-reward) as a probability of being right: {found['calibration_error']:.2f}."


def _spectra(found: dict[str, Any]) -> Iterator[str]:
    if not found:
        return
    yield ""
    yield "How many directions count?"
    yield (
        f"  effective dimension {found['value']:.3g} of {found['dimension']} (lambda = {found['ridge']:.2g}); "
        f"{found['decay']['sentence']}."
    )
    fisher = found["fisher"]
    if fisher["condition_number"] is not None:
        yield f"  Fisher information about the last hidden state: condition number {fisher['condition_number']:.3g}."
    for warning in (found["warning"], fisher["warning"]):
        if warning:
            yield f"  Careful: {warning}."


def _greedy(found: dict[str, Any]) -> Iterator[str]:
    wrong = [one for one in found["prompts"] if one["greedy_is_mode"] is False]
    yield ""
    yield f"Where greedy decoding is proved not to find the mode: {len(wrong)} of {len(found['prompts'])} prompts"
    for one in wrong[:_LISTED]:
        greedy, mode = one["greedy"], one["mode"]
        yield f"  {visible(one['prompt'], 70)}"
        yield f"    greedy {_reply(greedy['text'], one['greedy_correct'])}  ({greedy['logprob']:.2f} nats)"
        yield f"    mode   {_reply(mode['text'], one['mode_correct'])}  ({mode['logprob_lower']:.2f} nats)"
    if len(wrong) > _LISTED:
        yield f"  and {len(wrong) - _LISTED} more in diagnosis.json"


def _degenerate(found: dict[str, Any]) -> Iterator[str]:
    counts = {mark: count for mark, count in found["degenerate_modes"].items() if count}
    yield ""
    if not counts:
        yield "Degenerate modes: none is empty, cut or repeating."
        return
    yield "Degenerate modes: " + ", ".join(f"{count} {mark}" for mark, count in counts.items())
    marked = [one for one in found["prompts"] if one["mode"]["marks"]]
    for one in marked[:_LISTED]:
        said = visible(one["mode"]["text"], 50)
        yield f"  {', '.join(one['mode']['marks'])}: {visible(one['prompt'], 50)} -> {said!r}"


def _next(found: dict[str, Any], out: Path | None) -> Iterator[str]:
    where = out / "diagnosis.json" if out is not None else "DIR/diagnosis.json"
    if out is None:
        yield "  Add --out DIR to keep this (diagnosis.json, diagnosis.html)."
    else:
        yield f"  Look at {out / 'diagnosis.html'}."
    yield f"  srlm plan --from {where} --pairs 400 --radius 10 --rounds 3    what it would cost"
    if found["verdict"][0]["verdict"] == "helps":
        yield f"  srlm run --model {visible(found['model'], 80)} --prompts {visible(found['settings']['prompts'], 80)}"


def _margin(found: dict[str, Any], choose: Any) -> str:
    known = [one["margin_lower"] for one in found["prompts"] if one["margin_lower"] is not None]
    return f"{choose(known):.3g}" if known else "infinite"


def _median(values: list[float]) -> float:
    ordered = sorted(values)
    return ordered[len(ordered) // 2]


def _between(ends: dict[str, float]) -> str:
    low, high = f"{ends['lower']:.3g}", f"{ends['upper']:.3g}"
    return low if low == high else f"{low} to {high}"


def _percent(ends: dict[str, float]) -> str:
    return f"{ends['lower']:.0%} to {ends['upper']:.0%}"


def _reply(text: str, correct: bool | None) -> str:
    mark = "" if correct is None else " [right]" if correct else " [wrong]"
    return f"{visible(text, 80)!r}{mark}"


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.0%}"
