"""What a stranger asks of a run, answered; the numbers behind its figures; what looked wrong, and what to keep in mind.

Knows: the records' fields at both levels; the theory's promises are in `promises.py`, forecasts in `forecasts.py`. Of
answers an estimate from draws is "about", its ends "certified" at their confidence; "proved" is only what the responses
seen prove. Refuses to know: anything that is not in the records.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from srlm.measure.decision import best_round
from srlm.records.answers import AnswersRecord
from srlm.records.rounds import SPLITS, Split, SplitRecord
from srlm.records.text import visible
from srlm.report import forecasts, numbers, promises
from srlm.report._pieces import NAMES
from srlm.report.explorer import false_alarms
from srlm.report.reading import RunView


def points(run: RunView) -> list[tuple[str, str]]:
    """What a stranger asks first, each with its answer; questions that the records do not answer are left out."""
    asked = [
        ("Surer?", _surer(run)),
        ("Narrower?", _narrower(run)),
        ("Without an answer?", _by_split(run, _unread, "They are left out of everything else.")),
        ("How many draws?", _draws(run)),
        ("How strong?", _strength(run)),
        ("As forecast?", _by_split(run, forecasts.sentence)),
        ("As the theory says?", promises.theory_sentence(run) if len(run.rounds) > 1 else ""),
        ("Which round?", choice(run)),
    ]
    return [(question, answer) for question, answer in asked if answer]


def _by_split(run: RunView, told: Callable[[RunView, Split], str | None], meaning: str = "") -> str:
    """What is told of each split, and what it means; nothing where nothing is told."""
    said = [text for split in SPLITS if (text := told(run, split))]
    return " ".join([*said, meaning] if said else []).strip()


def _ends(run: RunView) -> tuple[str, SplitRecord, SplitRecord] | None:
    """Prompts never trained on, where there are any, at round 0 and at the round shown, where that is another."""
    split: Split = "held_out" if run.split("held_out") else "train"
    series = run.shown(split)
    return (NAMES[split], series[0][1], series[-1][1]) if len(series) > 1 else None


def _surer(run: RunView) -> str:
    """Whether the base model's favourites gained: what an exact round does."""
    if (told := _ends(run)) is None or (base := told[1].kept_confidence) is None:
        return ""
    if (now := told[2].kept_confidence) is None:
        return ""
    verdict = "Yes" if now > base else "No" if now < base else "As before"
    before, after = (numbers.measured(one, "kept_confidence") for one in told[1:])
    had, have = ("about the share", "about") if run.of_answers else ("probability", "at least")
    own = f"{run.base_name}'s own favourites had {had} {before}"
    return f"{verdict}: on {told[0]} {own} on average and have {have} {after}."


def _narrower(run: RunView) -> str:
    """What the model no longer says, which kappa does not tell. Of answers: which diversity went."""
    if (told := _ends(run)) is None:
        return ""
    where, *both = told
    asked: tuple[tuple[str, Callable[[SplitRecord], float | None], Callable[[float], str], str], ...] = (
        ("distinct responses among a prompt's samples", lambda one: one.distinct, numbers.share, ""),
        ("entropy", lambda one: one.entropy, numbers.number, " nats a token"),
    )
    if run.of_answers:
        asked = (
            ("different answers to a prompt", lambda one: one.answers and one.answers.distinct, numbers.number, ""),
            ("entropy of the answers", lambda one: one.answers and one.answers.entropy, numbers.number, " nats"),
            ("entropy of the reasoning within an answer", lambda one: one.answers and one.answers.entropy_within,
             numbers.number, " nats"),
        )  # fmt: skip
    parts, fewer = [], None
    for what, value, form, unit in asked:
        was, is_ = map(value, both)
        if was is not None and is_ is not None:
            fewer = is_ < was if fewer is None else fewer
            parts.append(f"{what} {numbers.went(form(was), form(is_))}{unit}")
    if parts:
        parts[0] = f"{'Yes' if fewer else 'No'}: {parts[0]} ({where})"
    if not (parts := [*parts, *_retained(run)]):
        return ""
    told = "; ".join(parts)
    end = " Exact rounds take diversity from the answers alone (P10)." if run.of_answers else ""
    return f"{told[:1].upper()}{told[1:]}.{end}"


def _retained(run: RunView) -> list[str]:
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


def _unread(run: RunView, split: Split) -> str | None:
    shares = [(of.answers.unparseable_share, number) for number, of in run.shown(split) if of.answers]
    if not any(share for share, _ in shares):
        return None
    (first, _), (last, _), (most, at) = shares[0], shares[-1], max(shares, key=lambda one: one[0])
    went = numbers.went(*map(numbers.mass, (first, last)))
    text = f"{NAMES[split].capitalize()}: {went} of the responses"
    return text + (f"; most in round {at}, {numbers.mass(most)}." if most > max(first, last) else ".")


def _draws(run: RunView) -> str:
    """What sampling until certain spent against a fixed number; nothing where the number was fixed."""
    told = []
    for one in run.rounds:
        known = [of.answers for split in SPLITS if (of := one.split(split)) and of.answers]
        budget = sum(of.budget or 0 for of in known)
        if budget:
            draws = sum(of.draws for of in known)
            told.append(f"round {one.round}: {draws:,} of {budget:,} ({numbers.share(draws / budget)})")
    return f"Sampling at a prompt stopped once its majority was certain: {'; '.join(told)}." if told else ""


def _strength(run: RunView) -> str:
    """Of answers: what beta does to shares."""
    if run.beta is None or not run.of_answers:
        return ""
    text = f"β = {numbers.number(run.beta)}: an exact round would raise shares to the power {1 + 1 / run.beta:.3g}"
    if run.record.configuration.get("beta") is not None:
        return f"{text}; given."
    draws = run.record.configuration.get("num_generations")
    return f"{text}; chosen, as none was given, from the K = {numbers.number(draws)} draws and the shares of round 0."


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


_OF_ANSWERS: dict[str, Callable[[SplitRecord, AnswersRecord], str]] = {
    "samples right": lambda one, of: numbers.measured(one, "sample_accuracy"),
    "greedy right": lambda one, of: numbers.measured(one, "greedy_accuracy"),
    "majorities right": lambda one, of: numbers.measured(one, "mode_accuracy"),
    "κ_A": lambda one, of: numbers.kappa(one),
    "failure rate": lambda one, of: numbers.measured(one, "failure_rate"),
    "certified by draws": lambda one, of: f"{of.certified - of.proved} of {numbers.whole(one.prompts or 0)}",
    "proved by responses": lambda one, of: numbers.whole(of.proved),
    "of both right": lambda one, of: numbers.over_prompts(
        numbers.share(of.certified_accuracy, "–"), of.certified_interval
    ),
    "majorities moved": lambda one, of: numbers.measured(one, "mode_drift"),
    "flips": lambda one, of: numbers.share(one.flips, "–"),
    "share of first majorities": lambda one, of: numbers.measured(one, "kept_confidence"),
    "without an answer": lambda one, of: numbers.mass(of.unparseable_share),
    "different answers": lambda one, of: numbers.known(of.distinct),
    "entropy of answers (nats)": lambda one, of: numbers.known(of.entropy),
    "entropy within an answer (nats)": lambda one, of: numbers.known(of.entropy_within),
    "median lead (nats)": lambda one, of: numbers.known(of.median_lead),
    "calibration error": lambda one, of: numbers.known(of.calibration_error),
    "draws": lambda one, of: numbers.whole(of.draws) + (f" of {numbers.whole(of.budget)}" if of.budget else ""),
    "tokens": lambda one, of: numbers.known(one.mean_response_tokens),
    "cut": lambda one, of: numbers.share(one.cut_share, "–"),
}


def table(run: RunView, split: Split) -> tuple[list[str], list[tuple[str, ...]]]:
    """Names of columns, and a row a round, of the numbers behind the figures."""
    series = run.split(split)
    if run.of_answers:
        told = [(at, one, one.answers) for at, one in series if one.answers is not None]
        rows = [(str(at), *(cell(one, of) for cell in _OF_ANSWERS.values())) for at, one, of in told]
        return ["round", *_OF_ANSWERS], rows
    names = [name.format(numbers.proved(run.widened)) for name in _COLUMNS]
    return ["round", *names], [(str(at), *(cell(one) for cell in _COLUMNS.values())) for at, one in series]


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
        return ""  # nobody compared its rounds
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
    if not run.rounds:
        return []
    notes = _of_draws(run) if run.of_answers else _of_search(run)
    if not run.split("held_out") and not run.watched:
        notes.append("No prompts were held out: nothing here says how the model does on prompts it was not trained on.")
    return [*notes, _SHARPENED[run.of_answers]]


_SHARPENED = (
    "Sharpening makes latent ability the habit; it teaches nothing new. The theory speaks of exact rounds; training by "
    "gradient steps on a few responses is not exact, and the page says where it shows.",
    "Sharpening answers makes the vote’s winner the habit, right or wrong; it teaches nothing new, and a prompt whose "
    "majority is wrong gets surer of it.",
)


def _of_search(run: RunView) -> list[str]:
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
    return [*notes, *_of_sampling(run)]


def _of_draws(run: RunView) -> list[str]:
    level = numbers.mass(run.confidence)
    notes = [
        f"Certified at {level} means: over all draws of a round, the ends given for every prompt hold at once with at "
        f"least that probability, whenever sampling stopped (P11). Of the majorities listed as certified, at most "
        f"{numbers.number(100 * (1 - run.confidence))}% are wrong about which answer is likeliest, in expectation. It "
        "says nothing about whether that answer is right.",
        "Majorities, their accuracy and κ_A outside the parentheses are estimates from the draws: near a tie draws "
        "alone move a majority, and shares of majorities flatter a little. The ceiling is the accuracy of the "
        "majorities of this many draws, not of infinitely many.",
    ]
    if any(one.answers and one.answers.proved for split in SPLITS for _, one in run.split(split)):
        notes.append(
            "Proved is only a majority of which the different responses drawn hold so much probability that no other "
            "answer can be as likely: that needs no confidence."
        )
    if any(one.intervals for split in SPLITS for _, one in run.split(split)):
        notes.append(
            "Other parentheses say how far a figure would move with other prompts of the same kind (95%); the bar of a "
            "forecast is a bootstrap over prompts and their draws."
        )
    return notes + [visible(str(one), 600) for one in run.noted("notes")]


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
