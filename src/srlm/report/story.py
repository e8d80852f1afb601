"""What a run's numbers say, in plain words.

Knows: the metrics of the rounds and what the theory promises about them. Returns sentences and verdicts; draws nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

Verdict = Literal["held", "departed", "open"]


@dataclass(frozen=True, slots=True)
class Statement:
    """One promise of the theory beside what happened.

    Attributes:
        label: its label in the theory, such as "P3".
        promise: what the theory says, in a sentence.
        outcome: what was measured, in a sentence.
        verdict: "held", "departed" (the run left what the theory describes), or "open" (not decided by this run).
    """

    label: str
    promise: str
    outcome: str
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Tile:
    """One number of the headline, at the start and at the end."""

    name: str
    before: str
    after: str
    note: str


def headline(rounds: Sequence[dict[str, Any]]) -> str:
    """The run in one or two sentences."""
    first, last = rounds[0], rounds[-1]
    if len(rounds) == 1:
        return (
            f"The base model, before any training: on average its most likely answer is {_times(first['kappa'])} times "
            f"less than certain (kappa), and at {_percent(first['failure_rate'])} of the prompts no answer has a "
            "probability above one half."
        )
    fell = last["kappa"]["upper"] < first["kappa"]["lower"]
    words = [
        f"In {_count(len(rounds) - 1, 'round')} kappa {'fell' if fell else 'went'} from {_number(first['kappa'])} to "
        f"{_number(last['kappa'])} and the failure rate from {_percent(first['failure_rate'])} to "
        f"{_percent(last['failure_rate'])}."
    ]
    before, after = first["accuracy"]["sample"], last["accuracy"]["sample"]
    if before is not None and after is not None:
        words.append(f"Sampled answers to trained prompts are right {after:.0%} of the time, {before:.0%} before.")
    held = last.get("held_out")
    if held and held["accuracy"]["sample"] is not None:
        was = first["held_out"]["accuracy"]["sample"]
        words.append(f"On held-out prompts: {held['accuracy']['sample']:.0%}, {was:.0%} before.")
    return " ".join(words)


def tiles(rounds: Sequence[dict[str, Any]]) -> list[Tile]:
    """The headline numbers."""
    first, last = rounds[0], rounds[-1]
    found = [
        Tile("kappa", _number(first["kappa"]), _number(last["kappa"]), "mean of 1 / probability of the mode; 1 is certain"),
        Tile(
            "failure rate",
            _percent(first["failure_rate"]),
            _percent(last["failure_rate"]),
            "prompts whose mode has probability at most 1/2",
        ),
    ]
    for key, name in (("accuracy", "trained prompts"), ("held_out", "held-out prompts")):
        start, end = (one if key == "accuracy" else one.get("held_out") for one in (first, last))
        if start and end and start["accuracy"]["sample"] is not None:
            found.append(
                Tile(
                    f"sample accuracy, {name}",
                    f"{start['accuracy']['sample']:.0%}",
                    f"{end['accuracy']['sample']:.0%}",
                    "share of sampled answers that are right",
                )
            )
    found.append(
        Tile(
            "answer length",
            f"{first['mean_response_tokens']:.1f}",
            f"{last['mean_response_tokens']:.1f}",
            "tokens of a sampled answer, its end included",
        )
    )
    return found


def statements(rounds: Sequence[dict[str, Any]], beta: float) -> list[Statement]:
    """What the theory promised this run, and whether it held."""
    found = [_search(rounds)]
    if len(rounds) > 1:
        found = [_contraction(rounds), _exact_update(rounds, beta), _modes_stay(rounds), _ceiling(rounds), *found]
    return [statement for statement in found if statement is not None]


def _contraction(rounds: Sequence[dict[str, Any]]) -> Statement:
    rows = [
        (number, later["kappa"]["upper"], earlier["population"]["kappa_bound"])
        for number, (earlier, later) in enumerate(zip(rounds, rounds[1:], strict=False), start=1)
    ]
    broken = [number for number, measured, bound in rows if measured > bound]
    detail = "; ".join(f"round {number}: {measured:.3g} against {bound:.3g}" for number, measured, bound in rows)
    return Statement(
        "P3",
        "An exact update shrinks kappa - 1 at every prompt by at least exp(-margin/beta).",
        f"Measured kappa against that bound, {detail}. "
        + ("Every round is below it." if not broken else f"Round {', '.join(map(str, broken))} is above it."),
        "departed" if broken else "held",
    )


def _exact_update(rounds: Sequence[dict[str, Any]], beta: float) -> Statement:
    rows = "; ".join(
        f"round {number}: {later['kappa']['upper']:.3g}, exact {earlier['population']['kappa_estimate']:.3g}"
        for number, (earlier, later) in enumerate(zip(rounds, rounds[1:], strict=False), start=1)
    )
    within = [
        0.5 <= later["kappa"]["upper"] / earlier["population"]["kappa_estimate"] <= 2
        for earlier, later in zip(rounds, rounds[1:], strict=False)
    ]
    return Statement(
        "eq. 12-14",
        f"With unlimited data and a perfect fit a round raises the policy to the power {1 + 1 / beta:.3g}.",
        f"kappa reached, and what exact sharpening would have reached (estimated from the same samples): {rows}. "
        + (
            "The rounds came within a factor of two of it."
            if all(within)
            else "Where they differ by more than a factor of two, finite samples and finite training are the reason."
        ),
        "held" if all(within) else "departed",
    )


def _modes_stay(rounds: Sequence[dict[str, Any]]) -> Statement | None:
    drift = rounds[-1]["mode_drift"]
    if drift is None:
        return None
    return Statement(
        "P5",
        "Exact updates never move a mode: the most likely answer stays the base model's.",
        "Every certified mode is still the base model's."
        if drift == 0
        else f"{drift:.0%} of the certified modes are no longer the base model's: here the run departs from exact sharpening.",
        "held" if drift == 0 else "departed",
    )


def _ceiling(rounds: Sequence[dict[str, Any]]) -> Statement | None:
    ceiling, end = rounds[0]["accuracy"]["mode"], rounds[-1]["accuracy"]
    if ceiling is None or end["sample"] is None:
        return None
    return Statement(
        "P5",
        f"Sampled answers converge to the base model's modes, which are right at {ceiling:.0%} of the trained prompts.",
        f"After {_count(len(rounds) - 1, 'round')} {end['sample']:.0%} of the samples and {end['mode']:.0%} of the modes are right."
        + (" The modes that moved account for the difference between the two ceilings." if end["mode"] != ceiling else ""),
        "held" if abs(end["mode"] - ceiling) < 1e-9 else "open",
    )


def _search(rounds: Sequence[dict[str, Any]]) -> Statement:
    blocks = [block for one in rounds for block in (one, one.get("held_out")) if block]
    prompts = sum(block["prompts"] for block in blocks)
    certified = sum(block["certified_share"] * block["prompts"] for block in blocks)
    work = sum(block["expansions"] for block in blocks)
    return Statement(
        "P6",
        "A mode can be proved with at most L / p(mode) expansions.",
        f"{certified:.0f} of {prompts} searches ended in a proof, with {work / max(1, prompts):.0f} expansions each on average."
        + ("" if certified > prompts - 0.5 else " The others give brackets: the true value lies between the two ends."),
        "held" if certified > prompts - 0.5 else "open",
    )


def _number(bracket: dict[str, float]) -> str:
    low, high = f"{bracket['lower']:.3g}", f"{bracket['upper']:.3g}"
    return low if low == high else f"{low} to {high}"


def _times(bracket: dict[str, float]) -> str:
    return _number(bracket)


def _percent(bracket: dict[str, float]) -> str:
    low, high = f"{bracket['lower']:.0%}", f"{bracket['upper']:.0%}"
    return low if low == high else f"{low} to {high}"


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
