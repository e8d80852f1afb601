"""Signatures: shapes in a run's measurements that say it goes wrong, each with definition, evidence and advice.

Knows: what each signature is called, means and advises; `symptoms` finds them. Refuses to know: models, files, what a
run does about a signature (`srlm.measure.decision`).

How often each one speaks on planted failures and on healthy runs is measured by `benchmarks/signatures.py`, printed in
`benchmarks/results/signatures.md`.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from srlm.measure import symptoms
from srlm.measure.symptoms import Evidence, History, Thresholds, of_answers
from srlm.records.rounds import Signature

# On how many healthy runs of responses any signature spoke, and of how many: benchmarks/results/signatures.md.
HEALTHY_RUNS = (0, 10)


@dataclass(frozen=True, slots=True)
class Definition:
    """How one signature is defined, found and answered."""

    definition: str
    advice: str
    find: Callable[[History, Thresholds], Evidence | None]


def signatures(history: History, thresholds: Thresholds | None = None) -> tuple[Signature, ...]:
    """The signatures that the last round of `history` shows. Round 0 alone shows none."""
    if len(history) < 2:
        return ()
    limits = thresholds or Thresholds()
    shown = ((name, one, one.find(history, limits)) for name, one in SIGNATURES.items())
    return tuple(
        Signature(
            name=name,
            round=len(history) - 1,
            definition=_said(one.definition, history),
            evidence=evidence.sentence,
            values=dict(evidence.values),
            advice=_said(_ANSWER_ADVICE.get(name, one.advice) if of_answers(history) else one.advice, history),
        )
        for name, one, evidence in shown
        if evidence is not None
    )


def _said(text: str, history: History) -> str:
    """In the words of the level: majorities are what draws have for modes."""
    if not of_answers(history):
        return text
    for word, instead in _WORDS.items():
        text = re.sub(word, instead, text)
    return text


_WORDS = {r"\bModes\b": "Majorities", r"\bmodes\b": "majorities", r"\bmode\b": "majority", r"\(P5\)": "(P10)"}
# Where the advice for responses names what the level of answers does not have.
_ANSWER_ADVICE = {
    "length_collapses": "The reward sees answers alone, so short reasoning is a side effect: lower the learning rate, "
    "take fewer passes, or raise beta.",
    "length_explodes": "The reward sees answers alone, so long reasoning is a side effect: lower the learning rate, or "
    "allow more tokens if the answers need them.",
    "informative_pairs_vanish": "The answers have converged: stop here, further rounds only add noise.",
}

SIGNATURES: dict[str, Definition] = {
    "kappa_rises": Definition(
        "The condition number rises in a round, though exact rounds only lower it (P3).",
        "The update pushed mass away from the modes: lower the learning rate, raise beta, or look at the reward.",
        symptoms.kappa_rises,
    ),
    "kappa_stalls": Definition(
        "The condition number does not fall over two rounds, though it is well above 1.",
        "Take more passes or a larger rate (the update does not reach its optimum), lower beta, or stop here.",
        symptoms.kappa_stalls,
    ),
    "failure_stays": Definition(
        "The failure rate does not fall over two rounds, however much is trained on.",
        "More data of this kind will not help: look at the prompts that fail, their margins are nearly tied.",
        symptoms.failure_stays,
    ),
    "margin_collapses": Definition(
        "The median margin between the mode and its rival falls below half of the base model's.",
        "Two responses are tied on many prompts, and the theory is silent at margin 0: raise beta, or use a reward "
        "that tells them apart.",
        symptoms.margin_collapses,
    ),
    "informative_pairs_vanish": Definition(
        "Nearly all responses to a prompt coincide, so nearly no pair moves the policy.",
        "The run has converged: stop here, further rounds only add noise; or sample more responses a prompt.",
        symptoms.informative_pairs_vanish,
    ),
    "modes_drift": Definition(
        "Modes move away from the base model's, though exact rounds never move one (P5).",
        "The run sharpens towards new favourites: raise beta or lower the rate if the base model's modes are the "
        "better answers.",
        symptoms.modes_drift,
    ),
    "modes_flip": Definition(
        "Modes keep changing from one round to the next instead of settling, which comes before a collapse (flip rate, "
        "arXiv 2605.19444).",
        "The update or the reward pushes at random: lower the learning rate, raise beta, or use a steadier reward.",
        symptoms.modes_flip,
    ),
    "peaked": Definition(
        "The confidence in the base model's modes has fallen well below its best round's.",
        "The best round is exported, not the last: take fewer rounds, or a lower learning rate.",
        symptoms.peaked,
    ),
    "length_collapses": Definition(
        "Responses shrink to about a third of the base model's length.",
        "The sum of log-probabilities favours short responses: use the reward length_normalised, or raise beta.",
        symptoms.length_collapses,
    ),
    "length_explodes": Definition(
        "Responses grow without end, or ever more are cut at the longest length.",
        "The reward favours long responses: use log_probability, or allow more tokens if the answers need them.",
        symptoms.length_explodes,
    ),
    "accuracy_falls": Definition(
        "The self-reward rises while the accuracy on held-out prompts falls.",
        "The model grows surer of wrong answers: go back to the best round; sharpening cannot help where modes are "
        "wrong.",
        symptoms.accuracy_falls,
    ),
    "one_answer_for_all": Definition(
        "Most prompts have the same response as their mode.",
        "The policy has collapsed: go back to the best round, lower the learning rate, raise beta.",
        symptoms.one_answer_for_all,
    ),
    "rewards_tie": Definition(
        "The reward gives nearly all different responses the same value.",
        "It has saturated and trains on noise: use a reward with finer values, or a mixture with log_probability.",
        symptoms.rewards_tie,
    ),
}
