"""The model card beside a saved model: where it comes from, what was done to it, and what was measured.

Knows: the card format of the hub (YAML, then Markdown) and the records of a run. Refuses to know: models.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from srlm.records.rounds import RoundRecord, SplitRecord


def model_card(record: Mapping[str, Any], history: Sequence[RoundRecord], kept: int) -> str:
    """The text of README.md.

    Args:
        record: the contents of `run.json`.
        history: records of the complete rounds.
        kept: the round whose policy was saved.
    """
    configuration = record["configuration"]
    base = str(configuration["model"])
    header = {
        "base_model": base,
        "library_name": "transformers",
        "model_name": f"{base.rstrip('/').rpartition('/')[2]}-self-rewarded",
        "tags": ["generated_from_trainer", "srlm", "self-rewarding", str(configuration.get("loss_type"))],
    }
    lines = ["---", *(f"{name}: {json.dumps(value)}" for name, value in header.items()), "---", ""]
    lines += [
        f"# {header['model_name']}",
        "",
        f"{base} after {kept} self-rewarding round{'' if kept == 1 else 's'} with srlm "
        f"{record.get('versions', {}).get('srlm', '')} (reward: {', '.join(configuration['rewards'])}; update: "
        f"{configuration.get('loss_type')}; beta {_beta(configuration, history)}). Self-rewarding sharpens what the "
        "base model already does; it adds no knowledge.",
        "",
        *measured_rounds(configuration, history, kept),
    ]
    return "\n".join([*lines, ""])


def measured_rounds(configuration: Mapping[str, Any], history: Sequence[RoundRecord], kept: int) -> list[str]:
    """Lines of Markdown: a table of every round, and what its columns mean.

    Args:
        configuration: of the run.
        history: records of the complete rounds.
        kept: the round whose policy is the run's model.
    """
    return _of_answers(history, kept) if configuration.get("level") == "answer" else _of_responses(history, kept)


def _beta(configuration: Mapping[str, Any], history: Sequence[RoundRecord]) -> str:
    """As it was given, else as the last round had it."""
    given = configuration.get("beta")
    used = next((one.beta for one in reversed(history) if one.beta is not None), None) if given is None else given
    return _number(used, "g") + (" (chosen)" if given is None else "")


def _of_responses(history: Sequence[RoundRecord], kept: int) -> list[str]:
    lines = [
        "| round | kappa | tau | failure rate | sample accuracy | held-out sample accuracy | mode drift |",
        "|---|---|---|---|---|---|---|",
    ]
    for one in history:
        train, held_out = one.train, one.held_out
        cells = [
            _round(one, kept),
            _kappa(train),
            _number(one.projection and one.projection.tau, ".2g"),
            _number(train and train.failure_rate.upper, ".2f"),
            _accuracy(train),
            _accuracy(held_out),
            _number(train and train.mode_drift, ".2f"),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    lines += [
        "",
        "tau: the most that an exact round would have given to what the update left out. In parentheses: 95 % interval "
        "over prompts.",
    ]
    return lines


def _of_answers(history: Sequence[RoundRecord], kept: int) -> list[str]:
    lines = [
        "| round | kappa_A, about | certified | held-out kappa_A, about | sample accuracy | held-out sample accuracy | "
        "held-out majority accuracy | majorities moved |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for one in history:
        train, held_out = one.train, one.held_out
        cells = [
            _round(one, kept),
            _number(train and train.answers and train.answers.kappa_estimate, ".3g"),
            _certified(train),
            _number(held_out and held_out.answers and held_out.answers.kappa_estimate, ".3g"),
            _accuracy(train),
            _accuracy(held_out),
            _number(held_out and held_out.accuracy.mode, ".2f"),
            _number(train and train.mode_drift, ".2f"),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return [
        *lines,
        "",
        "kappa_A: the mean of one over the probability of a prompt's likeliest answer, estimated from the draws; "
        "certified: between which ends it lies at the confidence given, on the prompts trained on. The ceiling is the "
        "majorities' accuracy at round 0. In parentheses: 95 % interval over prompts.",
    ]


def _round(one: RoundRecord, kept: int) -> str:
    return f"{one.round}{' (this model)' if one.round == kept else ''}"


def _certified(split: SplitRecord | None) -> str:
    if split is None or split.answers is None:
        return "unknown"
    low, high = split.kappa.lower, split.kappa.upper
    ends = f"at least {_number(low, '.3g')}" if high is None else f"{_number(low, '.3g')} to {high:.3g}"
    return f"{ends} ({100 * split.answers.confidence:g} %)"


def _accuracy(split: SplitRecord | None) -> str:
    value = _number(split and split.accuracy.sample, ".2f")
    over = split and split.intervals.get("sample_accuracy")
    return f"{value} ({over.lower:.2f} to {over.upper:.2f})" if over else value


def _kappa(split: SplitRecord | None) -> str:
    if split and split.kappa.upper is None and split.log_kappa and split.log_kappa.upper is not None:
        return f"e^{split.log_kappa.upper:.0f}"
    return _number(split and split.kappa.upper, ".3g")


def _number(value: float | None, form: str) -> str:
    return "unknown" if value is None else format(value, form)
