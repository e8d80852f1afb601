"""What a stranger asks of a run, answered; what looked wrong, and what to keep in mind.

Knows: the records' fields; the theory's promises are in `promises.py`, forecasts in `forecasts.py`. Refuses to know:
anything that is not in them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from srlm.measure.decision import best_round
from srlm.measure.fates import FATES
from srlm.records.rounds import SPLITS, Split, SplitRecord
from srlm.records.text import visible
from srlm.report import forecasts, numbers, promises
from srlm.report._pieces import NAMES
from srlm.report.explorer import false_alarms
from srlm.report.reading import RunView


def points(run: RunView) -> list[tuple[str, str]]:
    """What a stranger asks first, each with its answer; questions that the records do not answer are left out."""
    bases = [series[0][1] for split in SPLITS if (series := run.split(split))]
    ceiling = all(one.certified_share != 0 and one.accuracy.mode is not None for one in bases)
    end = "Exact rounds would end at the modes’ first figure (P5)." if ceiling else ""
    asked = [
        ("Right answers", by_split(run, _accuracy_sentence, end)),
        ("Learned, corrupted", by_split(run, _fates_sentence, "Learned: wrong at round 0, right now.")),
        ("Surer?", _surer(run)),
        ("Narrower?", _narrower(run)),
        ("As forecast?", by_split(run, forecasts.sentence)),
        ("As the theory says?", promises.theory_sentence(run) if len(run.rounds) > 1 else ""),
        ("Which round?", choice(run)),
    ]
    return [(question, answer) for question, answer in asked if answer]


def by_split(run: RunView, told: Callable[[RunView, Split], str | None], meaning: str = "") -> str:
    """What is told of each split, and what it means; nothing where nothing is told."""
    said = [text for split in SPLITS if (text := told(run, split))]
    return " ".join([*said, meaning] if said else []).strip()


def ends(run: RunView, split: Split) -> tuple[SplitRecord, SplitRecord] | None:
    """A split at round 0 and at the round shown, where both were measured and are not the same."""
    series = run.shown(split)
    return (series[0][1], series[-1][1]) if len(series) > 1 else None


def _accuracy_sentence(run: RunView, split: Split) -> str | None:
    series = run.shown(split)
    if not series or series[-1][1].accuracy.sample is None:
        return None
    sure = all(one.certified_share != 0 for _, one in (series[0], series[-1]))
    modes = "modes" if sure else f"the likeliest responses seen (none of them {numbers.proved(run.widened)})"
    went = ", ".join(
        f"{name} {numbers.went(*(numbers.measured(one, f'{way}_accuracy') for one in (base, now)))}"
        for name, way in (("samples", "sample"), ("greedy answers", "greedy"), (modes, "mode"))
        for base, now in [(series[0][1], series[-1][1])]
        if getattr(now.accuracy, way) is not None
    )
    return f"{NAMES[split].capitalize()}: {went}."


def _fates_sentence(run: RunView, split: Split) -> str | None:
    series = run.shown(split)
    if len(series) < 2 or not (fates := series[-1][1].fates):
        return None
    parts = []
    for what, name in (("mode", "modes"), ("majority", "majorities of samples")):
        if counts := fates.get(what):
            shown = FATES if not parts else ("learned", "corrupted")
            told = ", ".join(f"{numbers.whole(counts.get(fate, 0))} {fate.replace('_', ' ')}" for fate in shown)
            parts.append(f"of {sum(counts.values())} {name} {told}")
    text = f"{NAMES[split].capitalize()}: {'; '.join(parts)}"
    flips = series[-1][1].flips
    return text + ("." if flips is None else f"; {numbers.share(flips)} of the modes changed in the last step.")


def _surer(run: RunView) -> str:
    """Whether the base model's favourites gained: what an exact round does."""
    split: Split = "held_out" if run.split("held_out") else "train"
    if (pair := ends(run, split)) is None or (base := pair[0].kept_confidence) is None:
        return ""
    if (now := pair[1].kept_confidence) is None:
        return ""
    verdict = "Yes" if now > base else "No" if now < base else "As before"
    before, after = (numbers.measured(one, "kept_confidence") for one in pair)
    return (
        f"{verdict}: on {NAMES[split]} the base model's own favourites had probability {before} on average and have at "
        f"least {after}."
    )


def _narrower(run: RunView) -> str:
    """What the model no longer says, which κ does not tell."""
    split: Split = "held_out" if run.split("held_out") else "train"
    if (pair := ends(run, split)) is None:
        return ""
    base, now = pair
    parts = []
    if base.distinct is not None and now.distinct is not None:
        verdict = "Yes" if now.distinct < base.distinct else "No"
        shares = numbers.share(base.distinct), numbers.share(now.distinct)
        parts.append(f"{verdict}: of a prompt's samples {shares[0]} were distinct and {shares[1]} are ({NAMES[split]})")
    if base.entropy is not None and now.entropy is not None:
        parts.append(f"entropy went from {numbers.number(base.entropy)} to {numbers.number(now.entropy)} nats a token")
    return sentence([*parts, *retained(run)])


def retained(run: RunView) -> list[str]:
    """What the round shown keeps of the base model, in parts of a sentence."""
    parts, kept = [], run.rounds[run.now].retention
    if kept is not None and kept.kl_base is not None:
        error = "" if kept.kl_base_se is None else f" ± {numbers.number(kept.kl_base_se)}"
        parts.append(
            f"the KL to the base model, on its own samples, is {numbers.number(kept.kl_base)}{error} nats a response"
        )
    if kept is not None and kept.text is not None and kept.text_base is not None:
        was, is_ = numbers.number(kept.text_base), numbers.number(kept.text)
        parts.append(f"a page of unrelated text went from {was} to {is_} nats a token")
    return parts


def sentence(parts: Sequence[str]) -> str:
    """The parts as one sentence; nothing of none."""
    text = "; ".join(parts)
    return text[:1].upper() + text[1:] + "." if text else ""


_COLUMNS: dict[str, Callable[[SplitRecord], str]] = {
    "κ": numbers.kappa,
    "failure rate": lambda one: numbers.measured(one, "failure_rate"),
    "lowest confidence": numbers.confidence,
    "smallest margin (nats)": lambda one: numbers.known(one.margin),
    "modes {}": lambda one: numbers.share(one.certified_share),
    "samples right": lambda one: numbers.measured(one, "sample_accuracy"),
    "greedy right": lambda one: numbers.measured(one, "greedy_accuracy"),
    "modes right": lambda one: numbers.measured(one, "mode_accuracy"),
    "modes moved": lambda one: numbers.measured(one, "mode_drift"),
    "flips": lambda one: numbers.share(one.flips, "–"),
    "first modes’ probability, at least": lambda one: numbers.measured(one, "kept_confidence"),
    "distinct": lambda one: numbers.share(one.distinct, "–"),
    "entropy (nats a token)": lambda one: numbers.known(one.entropy),
    "pairs that differ": lambda one: numbers.share(one.informative_pairs, "–"),
    "tokens": lambda one: numbers.known(one.mean_response_tokens),
    "cut": lambda one: numbers.share(one.cut_share, "–"),
    "self-reward (nats)": lambda one: numbers.known(one.self_reward_mean),
}


def table(run: RunView, split: Split) -> tuple[list[str], list[tuple[str, ...]]]:
    """Names of columns, and a row a round, of the numbers behind the figures."""
    names = [name.format(numbers.proved(run.widened)) for name in _COLUMNS]
    rows = [(str(number), *(cell(one) for cell in _COLUMNS.values())) for number, one in run.split(split)]
    return ["round", *names], rows


def choice(run: RunView) -> str:
    """Which round's policy is the run's model, and why."""
    if len(run.rounds) < 2:
        return ""
    if run.record.choice is not None and run.record.status == "done":
        reason = visible(run.record.choice.reason, 300)
        return f"{reason[:1].upper()}{reason[1:]}. Its policy is the run's model."
    if run.exported is not None:
        return f"Round {run.exported} is the model that was saved; the reason stands under the headline."
    if run.record.status == "done":
        return ""  # an older srlm saved the last one, or did not say
    return f"None yet; of the complete ones {best_round(run.rounds).reason}."


@dataclass(frozen=True, slots=True)
class Trouble:
    """A signature that spoke, and every round at which it did.

    Attributes:
        name: of the signature.
        rounds: its rounds.
        evidence: of the last of them.
        advice: what to do.
    """

    name: str
    rounds: tuple[int, ...]
    evidence: str
    advice: str


def troubles(run: RunView) -> list[Trouble] | None:
    """What looked wrong in the run, first seen first; None where nobody looked (the base model alone, or records
    without signatures).
    """
    looked = [one for one in run.rounds if one.round > 0 and one.signatures is not None]
    if not looked:
        return None
    shown: dict[str, Trouble] = {}
    for metrics in looked:
        for one in metrics.signatures or ():
            rounds = (*(shown[one.name].rounds if one.name in shown else ()), metrics.round)
            shown[one.name] = Trouble(one.name.replace("_", " "), rounds, one.evidence, one.advice)
    return list(shown.values())


def alarms(run: RunView) -> list[dict[str, Any]]:
    """Alarms of a run that was watched, in words; what is no alarm is left out."""
    return [
        {
            "name": str(one.get("signature", "")).replace("_", " "),
            "definition": str(one.get("definition", "")),
            "step": one.get("step", ""),
            "evidence": str(one.get("evidence", "")),
            "advice": str(one.get("advice", "")),
            "rate": false_alarms(one),
        }
        for one in run.noted("alarms")
        if isinstance(one, dict)
    ]


def caveats(run: RunView) -> list[str]:
    """What a careful reader should keep in mind."""
    notes: list[str] = []
    for split in SPLITS:
        if not (series := run.split(split)):
            continue
        if (count := series[-1][1].prompts) and not series[-1][1].intervals:
            notes.append(
                f"There are {numbers.plural(count, NAMES[split][:-1])}: one prompt more or less is {100 / count:.1f} "
                "percentage points of greedy or mode accuracy."
            )
        open_rounds = [number for number, one in series if one.certified_share is not None and one.certified_share < 1]
        if open_rounds:
            listed = ", ".join(str(number) for number in open_rounds)
            holds = "" if run.widened else " that contains the true value"
            notes.append(
                f"On {NAMES[split]} not all modes were {numbers.proved(run.widened)} in round {listed}: what rests on "
                f"them (κ, failure rate, minimum confidence) is a bracket{holds}."
            )
    if any(one.intervals for split in SPLITS for _, one in run.split(split)):
        notes.append(
            "In parentheses stands how far a figure would move with other prompts of the same kind (95%). "
            "What is written a–b is what the search left open on these prompts."
        )
    numerics = [one.numerics for one in run.rounds if one.numerics and one.numerics.widened]
    if numerics:
        notes.append(numbers.widening(numerics[-1].dtype, run.widened))
    elif any(series and series[-1][1].certified_share == 1 for series in map(run.split, SPLITS)):
        notes.append(
            "Where every mode was proved by exhaustive search, κ and the failure rate are exact for these prompts, "
            "not estimates; other prompts would give other numbers."
        )
    notes += _of_sampling(run)
    if not run.split("held_out"):
        notes.append("No prompts were held out: nothing here says how the model does on prompts it was not trained on.")
    notes.append(
        "Sharpening makes latent ability the habit; it teaches nothing new. The theory speaks of exact rounds; "
        "training by gradient steps on a few responses is not exact, and the page says where it shows."
    )
    return notes


def _of_sampling(run: RunView) -> list[str]:
    """Who drew, where it was not this process, and how far its log-probabilities are from training's, where that is
    more than rounding.
    """
    engines = sorted({visible(one.numerics.engine, 40) for one in run.rounds if one.numerics} - {"transformers"})
    gaps = [f"up to {gap} in round {one.round}" for one in run.rounds if (gap := numbers.apart(one))]
    unsaid = sum(one.drift.unsaid for one in run.rounds if one.drift)
    if not (engines or gaps or unsaid):
        return []
    who = f"Samples were drawn by {', '.join(engines)}" if engines else "Samples were drawn in this process"
    known = f"; what it did not say of {unsaid} responses is the training forward's" if unsaid else ""
    return [
        f"{who}. Where their log-probabilities were compared with the training forward's, they differ by "
        f"{'; '.join(gaps) or 'rounding'}{known}."
    ]
