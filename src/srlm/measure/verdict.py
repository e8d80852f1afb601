"""Will self-rewarding help on a group of prompts? The verdict, its reason, and what would change it.

Knows: diagnosed prompts. By P5 exact rounds end in the modes, so what decides is the accuracy of the modes against that
of the samples; what is not proved, or rests on too few prompts, is called undecided. Refuses to know: who diagnosed.
"""

from collections.abc import Sequence

import numpy as np

from srlm import theory
from srlm.measure.split import ModeStatistics, mode_statistics, share
from srlm.measure.uncertainty import bootstrap, log_kappa_of, mean_of
from srlm.records.bracket import Bracket, Interval
from srlm.records.diagnosis import AccuracyByWay, Bootstrap, Judgement, PromptDiagnosis, Verdict

# A gain in accuracy smaller than this is not worth a run.
WORTHWHILE_GAIN = 0.05
# Below this kappa a sample is the mode 19 times in 20 or so: sharpening has nothing left to do.
SHARP_KAPPA = 1.05
# Resampling fewer prompts than this says nothing about prompts not asked.
FEWEST_PROMPTS = 5
_RESAMPLES = 2000


def accuracy_of(prompts: Sequence[PromptDiagnosis]) -> AccuracyByWay:
    """Shares of right answers over the prompts that have a known answer."""
    known = [one for one in prompts if one.mode_correct is not None]
    bracket = None
    if known:
        low = [bool(one.mode_correct) and one.mode.certified for one in known]
        high = [bool(one.mode_correct) or not one.mode.certified for one in known]
        bracket = Bracket.of(float(np.mean(low)), float(np.mean(high)))
    return AccuracyByWay(
        sample=share([one.sample_accuracy for one in prompts]),
        greedy=share([one.greedy_correct for one in prompts]),
        best_of_n=share([one.best_of_n_correct for one in prompts]),
        majority=share([one.majority_correct for one in prompts]),
        mode=share([one.mode_correct for one in prompts]),
        mode_bracket=bracket,
        prompts=len(known),
    )


def statistics_of(prompts: Sequence[PromptDiagnosis], mass_slack: float) -> ModeStatistics:
    """Certification brackets over prompts."""
    modes = [one.mode for one in prompts]
    return mode_statistics([one.logprob_lower for one in modes], [one.logprob_upper for one in modes], mass_slack)


def bootstrap_of(prompts: Sequence[PromptDiagnosis], mass_slack: float, generator: np.random.Generator) -> Bootstrap:
    """How far the figures of a diagnosis would move with other prompts, at the best responses seen."""

    def interval(values: Sequence[float | bool | None]) -> Interval | None:
        known = np.array([float(value) for value in values if value is not None])
        return bootstrap(known, mean_of, generator, resamples=_RESAMPLES) if len(known) else None

    logprobs = np.array([one.mode.logprob_lower for one in prompts])
    log_kappa = bootstrap(logprobs, log_kappa_of, generator, resamples=_RESAMPLES)
    low, high = theory.from_log(log_kappa.lower), theory.from_log(log_kappa.upper)
    fails = theory.mode_fails(logprobs, mass_slack).astype(float)
    return Bootstrap(
        log_kappa=log_kappa,
        kappa=None if low is None or high is None else Interval(lower=low, upper=high, level=log_kappa.level),
        failure_rate=bootstrap(fails, mean_of, generator, resamples=_RESAMPLES),
        sample_accuracy=interval([one.sample_accuracy for one in prompts]),
        mode_accuracy=interval([one.mode_correct for one in prompts]),
        resamples=_RESAMPLES,
    )


def judge_group(
    name: str, prompts: Sequence[PromptDiagnosis], generator: np.random.Generator, mass_slack: float = 0.5
) -> Verdict:
    """The verdict on one group of one prompt or more."""
    accuracy = accuracy_of(prompts)
    statistics = statistics_of(prompts, mass_slack)
    degenerate = [one for one in prompts if one.mode.certified and one.mode.marks]
    gain = _gain(prompts, generator)
    # A mode that was cut but is right does no harm: it is judged by its accuracy like any other.
    harmful = [one for one in degenerate if not one.mode_correct]
    judgement, reason, remedy = _decide(prompts, accuracy, statistics, harmful, gain)
    return Verdict(
        group=name,
        prompts=len(prompts),
        verdict=judgement,
        reason=reason,
        remedy=remedy,
        accuracy=accuracy,
        gain=gain,
        kappa=statistics.kappa,
        log_kappa=statistics.log_kappa,
        failure_rate=statistics.failure_rate,
        degenerate_modes=len(degenerate),
    )


def _gain(prompts: Sequence[PromptDiagnosis], generator: np.random.Generator) -> Interval | None:
    """Interval over prompts of mode accuracy - sample accuracy; modes not proved widen it to both sides."""
    known = [
        (
            float(bool(one.mode_correct) and one.mode.certified) - one.sample_accuracy,
            float(bool(one.mode_correct) or not one.mode.certified) - one.sample_accuracy,
        )
        for one in prompts
        if one.mode_correct is not None and one.sample_accuracy is not None
    ]
    if not known:
        return None
    ends = np.array(known)
    low, high = bootstrap(ends[:, 0], mean_of, generator), bootstrap(ends[:, 1], mean_of, generator)
    return Interval(lower=low.lower, upper=high.upper, level=low.level)


def _decide(
    prompts: Sequence[PromptDiagnosis],
    accuracy: AccuracyByWay,
    statistics: ModeStatistics,
    degenerate: Sequence[PromptDiagnosis],
    gain: Interval | None,
) -> tuple[Judgement, str, str]:
    """First what holds whatever the answers are, then what accuracy says."""
    if 2 * len(degenerate) > len(prompts):
        kinds = ", ".join(sorted({mark for one in degenerate for mark in one.mode.marks}))
        cut_only = all(one.mode.marks == ("cut",) for one in degenerate)
        return (
            "would amplify errors",
            f"{len(degenerate)} of {len(prompts)} modes are degenerate ({kinds}), and sharpening ends in the modes",
            "allow more new tokens, so that responses can end"
            if cut_only
            else "reward length-normalised log-probability, or change the prompts; look at the modes below",
        )
    kappa = statistics.kappa
    if kappa.upper is not None and kappa.upper <= SHARP_KAPPA:
        return (
            "no headroom",
            f"the policy is sharp already (kappa {kappa.upper:.3g}): samples are the modes, nothing is left to sharpen",
            "",
        )
    if gain is None or accuracy.mode is None or accuracy.sample is None:
        return (
            "undecided",
            "no answers are known, so nobody can say whether the modes are right "
            f"(kappa {_kappa(statistics)}: sharpening would change what is sampled)",
            "add an `answer` to some prompts, or judge the modes listed below yourself",
        )
    what = f"samples are right {accuracy.sample:.0%} of the time, modes {_shown(accuracy)}"
    if accuracy.greedy is not None:
        what += f", greedy decoding {accuracy.greedy:.0%}"
    if gain.lower > WORTHWHILE_GAIN and accuracy.prompts >= FEWEST_PROMPTS:
        return "helps", f"{what}: sampling gains {_interval(gain)} if rounds are exact", ""
    if gain.upper < -WORTHWHILE_GAIN and accuracy.prompts >= FEWEST_PROMPTS:
        return (
            "would amplify errors",
            f"{what}: the model's favourite answers are wrong more often than its samples",
            "use another reward than the model's own log-probability",
        )
    if gain.lower >= -WORTHWHILE_GAIN and gain.upper <= WORTHWHILE_GAIN and accuracy.prompts >= FEWEST_PROMPTS:
        return "no headroom", f"{what}: nothing to gain either way ({_interval(gain)})", ""
    if accuracy.prompts < FEWEST_PROMPTS:
        return (
            "undecided",
            f"{what}, but on {accuracy.prompts} prompts with a known answer",
            f"give at least {FEWEST_PROMPTS}",
        )
    open_ = sum(not one.mode.certified for one in prompts)
    if open_:
        return (
            "undecided",
            f"{what}; {open_} of {len(prompts)} modes are not proved ({_interval(gain)})",
            "raise --expansions or allow fewer new tokens",
        )
    return "undecided", f"{what}: the gain over prompts like these is {_interval(gain)}", "give more prompts"


def _kappa(statistics: ModeStatistics) -> str:
    upper = statistics.kappa.upper
    return f"{upper:.3g}" if upper is not None else f"e^{statistics.log_kappa.upper:.0f}"


def _shown(accuracy: AccuracyByWay) -> str:
    bracket = accuracy.mode_bracket
    if bracket is None or bracket.lower == bracket.upper:
        return f"{accuracy.mode:.0%}"
    return f"{bracket.lower:.0%} to {bracket.upper:.0%}"


def _interval(gain: Interval) -> str:
    return f"between {100 * gain.lower:+.0f} and {100 * gain.upper:+.0f} points at {gain.level:.0%} confidence"
