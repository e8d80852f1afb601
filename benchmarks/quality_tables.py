"""Tables and picture of what `quality.py` measured: what its result files say, and nothing else.

Knows: one JSON file a (method, seed). Intervals are bootstrap intervals over prompts and, where a method has several
seeds, over seeds, both drawn anew: three seeds say little about seeds, and the interval is the wider for it.
"""

import io
import json
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from srlm.records.atomic import write_bytes

Results = dict[str, list[dict[str, Any]]]  # of every seed, by method
NAMES = {"train": "trained", "held_out": "held-out"}
QUANTITIES = ("kappa", "failure", "samples", "greedy", "modes", "drift")
SOURCES = {"kappa": "logp", "failure": "logp"}
MEANS = ("kappa", "entropy")  # the other quantities are shares
LOWER = ("kappa", "failure", "drift")  # less is better
UNDRAWN = ("random", "base_judge", "best_of_4", "best_of_16")  # the picture would be full
RECORDED = {
    "responses a prompt": ("projection", "responses"),
    "target kappa": ("projection", "target_kappa"),
    "nats from the target": ("projection", "distance"),
    "tau, trained": ("train", "population", "tau"),
    "tau, held-out": ("held_out", "population", "tau"),
    "KL to base (nats)": ("retention", "kl_base"),
    "unrelated text (nats a token)": ("retention", "text"),
    "the same at the base": ("retention", "text_base"),
    "kept confidence, held-out": ("held_out", "kept_confidence"),
    "distinct responses, held-out": ("held_out", "distinct"),
}


def read_results(folder: Path, order: Iterable[str]) -> Results:
    """The results that are done, by method in this order."""
    found: Results = {}
    for name in order:
        files = sorted(folder.glob(f"{name}-[0-9]*.json"), key=lambda file: int(file.stem.rsplit("-", 1)[1]))
        results = [json.loads(file.read_text(encoding="utf-8")) for file in files]
        if kept := [one for one in results if one["done"]]:
            found[name] = kept
    if len({one["checksum"] for results in found.values() for one in results}) > 1:
        raise SystemExit(f"{folder} holds results of different models or prompts; delete the older ones")
    return found


def values(points: Iterable[dict[str, Any]], split: str, name: str) -> np.ndarray:
    """(seeds, prompts) of a quantity at one point of every seed, NaN where it is not known. "kappa" and "failure" are
    upper ends where a mode is not proved.
    """
    rows = [[np.nan if one is None else one for one in point[split][SOURCES.get(name, name)]] for point in points]
    table = np.array(rows, dtype=float)
    return np.exp(-table) if name == "kappa" else (table <= np.log(0.5)).astype(float) if name == "failure" else table


def interval(table: np.ndarray, draws: int = 4000, share: bool = False) -> tuple[float, float, float]:
    """Mean, and its 95 % bootstrap interval over prompts and, where there are several, seeds (both drawn anew). Where
    all values of a share are 0, or all 1, it is Clopper and Pearson's over prompts, since a bootstrap would be certain.
    """
    table = table[:, ~np.isnan(table).any(axis=0)]
    if not table.size:
        return np.nan, np.nan, np.nan
    mean, rare = float(table.mean()), 0.025 ** (1 / table.shape[1])
    if share and mean in (0.0, 1.0):
        return mean, mean * rare, 1 - (1 - mean) * rare
    rng = np.random.default_rng(0)
    seeds, prompts = (rng.integers(0, size, (draws, size)) for size in table.shape)
    low, high = np.percentile(table[seeds[:, :, None], prompts[:, None, :]].mean((1, 2)), (2.5, 97.5))
    return mean, float(low), float(high)


def told(estimate: tuple[float, float, float], sign: str = "") -> str:
    mean, low, high = estimate
    return "–" if np.isnan(mean) else f"{mean:{sign}.2f} [{low:{sign}.2f}, {high:{sign}.2f}]"


def at(results: Sequence[dict[str, Any]], place: int) -> list[dict[str, Any]]:
    """The same point of every seed."""
    return [one["points"][place] for one in results if -len(one["points"]) <= place < len(one["points"])]


def mean_of(points: Sequence[dict[str, Any]], *path: str) -> str:
    """Mean over seeds of what the runs' own records say, with a 95 % half-width over prompts where its standard error
    is known, or else its range over seeds.
    """
    found: list[float] = []
    errors: list[float] = []
    for point in points:
        part: Any = point.get("record", {})
        for name in path[:-1]:
            part = part.get(name) or {}
        if (value := part.get(path[-1])) is not None:
            found.append(value)
            errors.append(part.get(f"{path[-1]}_se") or np.nan)
    if not found:
        return "–"
    mean, half = float(np.mean(found)), 1.96 * float(np.sqrt(np.mean(np.square(errors))))
    if not np.isnan(half):
        return f"{mean:.3g} ± {half:.2g}"
    return f"{mean:.3g}" + (f" ({min(found):.3g} to {max(found):.3g})" if len(set(found)) > 1 else "")


def rows(cells: Iterable[Sequence[str]]) -> None:
    """A Markdown table, the first row its head."""
    for number, one in enumerate(cells):
        print(f"| {' | '.join(one)} |")
        if number == 0:
            print("|" + "---|" * len(one))
    print()


def print_tables(found: Results) -> None:
    some = found[next(iter(found))][0]
    counts = " and ".join(f"{len(some['points'][0][split]['logp'])} {NAMES[split]}" for split in NAMES)
    commits = sorted({one["commit"] for results in found.values() for one in results})
    loads = [one["load"][1] for results in found.values() for one in results]
    print(f"{some['machine']}; {counts} prompts; commits {', '.join(commits)}; load {min(loads)} to {max(loads)}\n")
    print(
        "Means over seeds; with their own measurement of the policy, runs of srlm had taken the seconds in brackets.\n"
    )
    head = [f"{NAMES[split]} {name}" for split in NAMES for name in QUANTITIES]
    lines = [["method", "seeds", "at", "seconds", *head, *(f"{NAMES[split]} entropy" for split in NAMES)]]
    for name, results in found.items():
        for place in range(max(len(one["points"]) for one in results)):
            points = at(results, place)
            seconds = f"{np.mean([one['seconds'] for one in points]):.0f}"
            if "measured" in points[0]:
                seconds += f" ({np.mean([one['measured'] for one in points]):.0f})"
            cells = [interval(values(points, split, what), 1)[0] for split in NAMES for what in QUANTITIES]
            cells += [interval(values(points, split, "entropy"), 1)[0] for split in NAMES]
            numbers = [f"{cell:.2f}" for cell in cells]
            lines.append([found[name][0]["title"], str(len(points)), points[0]["at"], seconds, *numbers])
    rows(lines)
    print("At the last point, with 95 % intervals over prompts (and seeds):\n")
    for split in NAMES:
        lines = [[NAMES[split], *QUANTITIES, "entropy"]]
        for name, results in found.items():
            last = at(results, -1)
            cells = [
                told(interval(values(last, split, what), share=what not in MEANS)) for what in (*QUANTITIES, "entropy")
            ]
            lines.append([found[name][0]["title"], *cells])
        rows(lines)
    lines = [["round", *RECORDED]]
    for name, results in found.items():
        for place in range(1, max(len(one["points"]) for one in results) if "run" in results[0] else 0):
            points = at(results, place)
            cells = [mean_of(points, *path) for path in RECORDED.values()]
            told_more = [cell for what, cell in zip(RECORDED, cells, strict=True) if not what.startswith("tau")]
            if any(cell != "–" for cell in told_more):
                lines.append([f"{found[name][0]['title']}, {points[0]['at']}", *cells])
    print("From the runs' own records, means over seeds ± a 95 % half-width over prompts (or the range over seeds):\n")
    rows(lines)
    kept = [one["run"].get("best_round") for one in found.get("ours", [])]
    print(f"Rounds that ours kept, by seed: {', '.join(map(str, kept))}.\n")
    if "ours" in found and "mode_likelihood" in found:
        print_difference(found["ours"], found["mode_likelihood"])
    print_times(found)


def print_difference(ours: Sequence[dict[str, Any]], theirs: Sequence[dict[str, Any]]) -> None:
    """Ours minus likelihood of the mode alone, by prompt, over the seeds that both have."""
    shared = sorted({one["seed"] for one in ours} & {one["seed"] for one in theirs})
    print(f"Ours minus likelihood of the certified mode, the same prompts, seeds {', '.join(map(str, shared))}:\n")
    pair = [
        [one["points"][-1] for one in sorted(side, key=lambda one: one["seed"]) if one["seed"] in shared]
        for side in (ours, theirs)
    ]
    lines = [["", "difference [95 %]", ""]]
    for split in NAMES:
        for name in (*QUANTITIES, "entropy"):
            estimate = interval(values(pair[0], split, name) - values(pair[1], split, name))
            better = np.sign(estimate[0]) * (-1 if name in LOWER else 1)
            said = "no advantage" if estimate[1] <= 0 <= estimate[2] else "advantage" if better > 0 else "disadvantage"
            lines.append([f"{NAMES[split]} {name}", told(estimate, "+"), "" if name == "entropy" else said])
    rows(lines)


def time_to(points: Sequence[dict[str, Any]], split: str, level: float, between: bool) -> float:
    """Seconds to a share of right samples; infinite where no point has it. `between` interpolates."""
    course = [(one["seconds"], interval(values([one], split, "samples"), 1)[0]) for one in points]
    for (before, low), (after, high) in pairwise(course):
        if high >= level:
            return before + (after - before) * (level - low) / (high - low) if between and low < level else after
    return float("inf")


def print_times(found: Results) -> None:
    """Time to 95 % of the ceiling. trl's is interpolated between evaluations, ours is that of a whole round."""
    times: dict[str, dict[str, list[float]]] = {split: {} for split in NAMES}
    lines = [["method", *(f"{NAMES[split]}, seconds" for split in NAMES)]]
    for name, results in found.items():
        cells = []
        for split in NAMES:
            level = 0.95 * interval(values(at(results, 0)[:1], split, "modes"), 1)[0]
            each = [time_to(one["points"], split, level, found[name][0]["trl"] is not None) for one in results]
            times[split][name] = each
            reached = sorted(one for one in each if np.isfinite(one))
            last = max(one["points"][-1]["seconds"] for one in results)
            text = f"{np.median(each):.0f}" if len(reached) * 2 > len(each) else f"not within {last:.0f}"
            spread = f" ({reached[0]:.0f} to {reached[-1]:.0f})" if len(reached) > 1 else ""
            cells.append(text + spread + (f", {len(reached)} of {len(each)} seeds" if len(each) > 1 else ""))
        lines.append([found[name][0]["title"], *cells])
    print(
        "Time to 95 % of the ceiling, the accuracy of the base model's modes on the same prompts (median of seeds):\n"
    )
    rows(lines)
    trl = [name for name in found if found[name][0]["trl"]]
    for split in NAMES if "ours" in found and trl else ():
        best = min(trl, key=lambda name: times[split][name][0])
        ours, other = float(np.median(times[split]["ours"])), times[split][best][0]
        if np.isinf(ours):
            said = "ours did not get there"
        elif np.isinf(other):
            spent = max(found[name][0]["points"][-1]["seconds"] for name in trl)
            said = f"ours took {ours:.0f} s; none of trl's got there in {spent:.0f} s: less than {ours / spent:.2f}"
        else:
            title = found[best][0]["title"]
            said = f"ours took {ours:.0f} s, {ours / other:.2f} of the best of trl's ({title}, {other:.0f} s)"
        print(f"- {NAMES[split]}: {said}.")


def draw(found: Results, out: Path) -> None:
    """Right samples of held-out prompts against seconds; every line named at its end."""
    import matplotlib
    from matplotlib.figure import Figure
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator, PercentFormatter

    from srlm.report.experiment_charts import INKS

    names = {"ours": "blue", "mode_likelihood": "green", "regression": "orange", "grpo": "red", "online_dpo": "purple"}
    colours = {name: INKS[colour] for name, colour in names.items()}
    shown = [name for name in found if name not in UNDRAWN]
    for kind in ("grpo", "online_dpo"):  # the better of its learning rates
        rates = [name for name in shown if found[name][0]["trl"] and name.startswith(kind)]
        best = sorted(rates, key=lambda name: level_of(found[name][0]["points"][-1]))[-1:]
        shown = [name for name in shown if name not in rates or name in best]
    settings: Any = {"svg.hashsalt": "srlm", "font.size": 10, "axes.spines.top": False, "axes.spines.right": False}
    with matplotlib.rc_context(settings):
        figure = Figure(figsize=(9.2, 4.4), layout="constrained", facecolor="white")
        axes = figure.subplots()
        base = found[shown[0]][0]["points"][0]
        ends: list[tuple[float, float, str, str]] = []
        for name in shown:
            colour = colours.get(name.rsplit("_", 1)[0] if found[name][0]["trl"] else name, INKS["soft"])
            length = min(len(one["points"]) for one in found[name])
            course = [at(found[name], place) for place in range(1, length)]
            x = [float(np.mean([one["seconds"] for one in points])) for points in course]
            levels = [[level_of(one) for one in points] for points in course]
            y = [float(np.mean(one)) for one in levels]
            axes.plot(x, y, color=colour, marker="o", markersize=4, linewidth=3 if name == "ours" else 1.6)
            if len(found[name]) > 1:
                axes.fill_between(
                    x, list(map(min, levels)), list(map(max, levels)), color=colour, alpha=0.15, linewidth=0
                )
            ends.append((x[-1], y[-1], found[name][0]["title"], colour))
        ceiling = interval(values([base], "held_out", "modes"), 1)[0]
        for level, what in ((ceiling, "base model's modes (ceiling)"), (level_of(base), "base model's samples")):
            axes.axhline(level, color=INKS["soft"], linewidth=0.8, linestyle=":")
            axes.annotate(
                what,
                (0, level),
                (2, 3),
                xycoords=("axes fraction", "data"),
                textcoords="offset points",
                color=INKS["soft"],
            )
        axes.set_xscale("log")
        right = max(one[0] for one in ends)
        height = -np.inf
        for x, y, title, colour in sorted(ends, key=lambda one: one[1]):
            height = max(y, height + 0.042)  # a line of text
            axes.annotate(
                title,
                (x, y),
                (right * 1.12, height),
                color=colour,
                va="center",
                annotation_clip=False,
                arrowprops={"arrowstyle": "-", "color": colour, "linewidth": 0.5, "alpha": 0.5},
            )
        axes.xaxis.set_major_locator(FixedLocator([15, 30, 60, 120, 240, 480, 960, 1920]))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g} s"))
        axes.yaxis.set_major_formatter(PercentFormatter(1))
        axes.set_title("right samples on held-out questions against seconds of training", loc="left", fontsize=11)
        sink = io.BytesIO()
        figure.savefig(sink, format="svg", metadata={"Date": None, "Title": "Right samples against training time"})
    write_bytes(out, sink.getvalue())


def level_of(point: dict[str, Any]) -> float:
    return interval(values([point], "held_out", "samples"), 1)[0]
