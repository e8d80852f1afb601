"""Operating characteristics of the alarms: detection, delay and false alarms on planted failures and healthy runs.

Usage: python benchmarks/alarms.py      (tiny policies in numpy, about eight minutes of one core)

Thresholds were chosen from the first table (one set of seeds), everything else is from another set. Prints Markdown,
which is benchmarks/results/alarms.md, and writes src/srlm/watching/measured.json, which alarms and docs/watch.md quote.
Intervals: Clopper-Pearson for shares, exact Poisson for rates, 95 %.
"""

import json
import time
from collections import defaultdict
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.tiny_policies import FAILURES, HEALTHY, Kind, run
from scipy.stats import beta, chi2

from srlm.watching import Alarm, Watcher, harm
from srlm.watching.alarms import ALARMS, HARM, THRESHOLD, WITH_HARM

TUNING, TEST_HEALTHY, TEST_FAILING = range(4), range(1000, 1008), range(1000, 1008)
DATA = Path(__file__).parent.parent / "src" / "srlm" / "watching" / "measured.json"
FALL = 0.1  # of the held-out accuracy from its best, at which it has fallen


def watched(kind: Kind, seed: int) -> tuple[list[Alarm], int | None, dict[str, float]]:
    """(alarms, step at which the held-out accuracy had fallen, largest statistic of each test)."""
    watcher, best, fallen = Watcher(), 0.0, None
    largest: dict[str, float] = defaultdict(float)
    for step, groups, metrics in run(kind, seed):
        accuracy = metrics.pop("held_out")
        best = max(best, accuracy)
        if fallen is None and step >= kind.onset and accuracy < best - FALL:
            fallen = step
        watcher.step(step, groups, metrics)
        for name, test in watcher.harm.tests.items():
            largest[name] = max(largest[name], test.statistic)
    return watcher.alarms, fallen, largest


def share(count: int, of: int) -> tuple[float, float, float]:
    """A share with its Clopper-Pearson interval."""
    low = beta.ppf(0.025, count, of - count + 1) if count else 0.0
    high = beta.ppf(0.975, count + 1, of - count) if count < of else 1.0
    return count / of, float(low), float(high)


def rate(count: int, of: int) -> tuple[float, float, float]:
    """Events per 1,000 steps with their exact Poisson interval."""
    low = chi2.ppf(0.025, 2 * count) / 2 if count else 0.0
    return 1000 * count / of, 1000 * float(low) / of, 1000 * float(chi2.ppf(0.975, 2 * count + 2)) / 2 / of


def told(value: tuple[float, float, float], digits: int = 2) -> str:
    """A number with its interval."""
    return f"{value[0]:.{digits}f} ({value[1]:.{digits}f} to {value[2]:.{digits}f})"


def tuning() -> None:
    """Without thresholds: how far each test gets on healthy runs."""
    largest: dict[str, float] = defaultdict(float)
    harm.THRESHOLD, kept = float("inf"), harm.THRESHOLD
    for kind in HEALTHY.values():
        for seed in TUNING:
            for name, value in watched(kind, seed)[2].items():
                largest[name] = max(largest[name], value)
    harm.THRESHOLD = kept
    runs = len(HEALTHY) * len(TUNING)
    print(f"Largest statistic of each test in {runs} healthy runs of the seeds from which thresholds were chosen")
    print(f"(an alarm at {THRESHOLD:g}; notes, marked *, speak only where a test of harm is above {WITH_HARM:g}):\n")
    print("| test | largest |\n|---|---|")
    for name, one in ALARMS.items():
        if name != "reward_rises_accuracy_falls":
            print(f"| {name}{'*' if one.with_harm else ''} | {largest[name]:.3g} |")


def main() -> None:
    began = time.process_time()
    print("# Alarms\n")
    tuning()
    healthy = {name: [watched(kind, seed) for seed in TEST_HEALTHY] for name, kind in HEALTHY.items()}
    failing = {name: [watched(kind, seed) for seed in TEST_FAILING] for name, kind in FAILURES.items()}

    print("\n## Healthy runs, other seeds\n")
    print("| run | steps | false alarms | of any kind per 1,000 steps |\n|---|---|---|---|")
    false: dict[str, int] = defaultdict(int)
    every = 0
    for name, runs in healthy.items():
        spoken = [one.signature for alarms, *_ in runs for one in alarms]
        total = HEALTHY[name].steps * len(runs)
        every += total
        for one in spoken:
            false[one] += 1
        print(f"| {name} | {total} | {len(spoken)} | {told(rate(len(spoken), total))} |")
    print(f"| all | {every} | {sum(false.values())} | {told(rate(sum(false.values()), every))} |")

    print("\n## Planted failures\n")
    print("Delay: steps from the onset, at which the policy is still healthy, to the first alarm that was expected.\n")
    print("| failure | runs | detected by one expected | median delay | which came first | alarms before the onset |")
    print("|---|---|---|---|---|---|")
    found: dict[str, list[int | None]] = defaultdict(list)
    for name, runs in failing.items():
        kind, delays, firsts, early = FAILURES[name], [], defaultdict(int), 0
        for alarms, *_ in runs:
            early += sum(one.step < kind.onset for one in alarms)
            after = [one for one in alarms if one.step >= kind.onset and one.signature in kind.expected]
            delays += [after[0].step - kind.onset] if after else []
            if after:
                firsts[after[0].signature] += 1
            for signature in kind.expected:
                at = [one.step - kind.onset for one in after if one.signature == signature]
                found[signature].append(at[0] if at else None)
        spoken = ", ".join(f"{one} {count}" for one, count in sorted(firsts.items(), key=lambda pair: -pair[1]))
        delay = f"{median(delays):.0f}" if delays else "-"
        print(f"| {name} | {len(runs)} | {told(share(len(delays), len(runs)))} | {delay} | {spoken} | {early} |")

    print("\n## Alarm by alarm\n\nDetection over the failures that should raise it.\n")
    print("| alarm | detected | median delay (steps) | false alarms per 1,000 steps |\n|---|---|---|---|")
    data: dict[str, Any] = {}
    for name in ALARMS:
        hits = [one for one in found[name] if one is not None]
        data[name] = {"false_alarms_per_1000_steps": [round(one, 3) for one in rate(false[name], every)]}
        if found[name]:
            data[name] |= {
                "detected": [round(one, 3) for one in share(len(hits), len(found[name]))],
                "runs": len(found[name]),
            }
        if hits:
            data[name]["delay"] = round(median(hits))
        one = data[name]
        detected = told(tuple(one["detected"])) if "detected" in one else "not planted"
        print(f"| {name} | {detected} | {one.get('delay', '-')} | {told(tuple(one['false_alarms_per_1000_steps']))} |")

    print("\n## What comes first\n")
    print(f"Steps from the alarm to a fall of the held-out accuracy by {FALL:.0%} of all prompts (+: it leads).\n")
    print("| failure | accuracy fell in | first alarm of harm | corrupted_grow | majorities_flip | one_answer |")
    print("|---|---|---|---|---|---|")
    for name, runs in failing.items():
        fell = [(alarms, fallen) for alarms, fallen, _ in runs if fallen is not None]
        if not FAILURES[name].labels or not fell:
            continue
        cells = []
        for which in (
            (*HARM, "reward_rises_accuracy_falls"),
            ("corrupted_grow",),
            ("majorities_flip",),
            ("one_answer",),
        ):
            leads = []
            for alarms, fallen in fell:
                at = [one.step for one in alarms if one.signature in which and one.step >= FAILURES[name].onset]
                leads += [fallen - at[0]] if at else []
            cells.append(
                f"{median(leads):+.0f} ({min(leads):+d} to {max(leads):+d}; {len(leads)} runs)" if leads else "-"
            )
        print(f"| {name} | {len(fell)} of {len(runs)} | {' | '.join(cells)} |")
    DATA.write_text(
        json.dumps({"healthy_steps": every, "threshold": THRESHOLD, "with_harm": WITH_HARM, "alarms": data}, indent=1)
        + "\n"
    )
    print(f"\n{time.process_time() - began:.0f} CPU seconds.")


if __name__ == "__main__":
    main()
