"""Every conclusion and every chart's title can come out the other way: tables are altered, and read again.

What an experiment says is a function of its table, so a table in which the opposite was measured must say the opposite.
"""

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import numpy as np
import pytest
from tests.simulation.test_experiments import SMALL

from srlm.simulation.experiments import EXPERIMENTS, Reading, run_experiment
from srlm.simulation.experiments._table import Table

Change = Callable[[Any], Any] | Any


@cache
def measured(name: str) -> tuple[Table, Mapping[str, Any]]:
    """A small table of the experiment, and its settings."""
    result = run_experiment(name, dict(one.split("=") for one in SMALL[name]))
    return result.columns, result.settings


def altered(table: Table, where: Mapping[str, Any] | None = None, **changes: Change) -> Table:
    """The table with cells of the named columns (and their intervals' ends) replaced in the rows `where`.

    A change is a value, or a function of the old one; None stays None under a function.
    """
    copy = {name: list(cells) for name, cells in table.items()}
    rows = [
        at for at in range(len(next(iter(copy.values())))) if all(copy[k][at] == v for k, v in (where or {}).items())
    ]
    assert rows, f"no row has {where}"
    for name, change in changes.items():
        for column in [one for one in (name, f"{name}_low", f"{name}_high") if one in copy]:
            for at in rows:
                old = copy[column][at]
                copy[column][at] = (None if old is None else change(old)) if callable(change) else change
    return copy


def read(name: str, table: Table, **settings: Any) -> Reading:
    return EXPERIMENTS[name].read(table, {**measured(name)[1], **settings})


# (experiment, what is altered in its small table, what only the altered table says)
FLIPS: list[tuple[str, Callable[[Table], Table], str]] = [
    (
        "contraction",
        lambda t: altered(t, {"round": 1}, p3_exceeded=0.5),
        "exceeded in 16.7% of the seed-rounds, the first round included",
    ),
    (
        "contraction",
        lambda t: altered(altered(t, {"round": 3}, p3_exceeded=0.3), {"round": 2}, informative_pairs=0.02),
        "exceeded in 10.0% of the seed-rounds, only in rounds where on average at most 2% of the pairs differed",
    ),
    ("contraction", lambda t: altered(t, recurrence=1.5, one_over_c=6.0), "1.5 after 3 rounds, below 1/c = 6"),
    ("contraction", lambda t: altered(t, beta=100.0), "is outside theorem 5.3's domain"),
    ("contraction", lambda t: altered(t, {"round": 3}, kappa=9.0), "kappa rises from 3.05 to 9"),
    (
        "initialisation",
        lambda t: altered(t, {"round": 3, "angle": 90.0}, disagreement=0.01),
        "not forgotten: 30 degrees.",
    ),
    ("initialisation", lambda t: altered(t, {"round": 3}, disagreement=0.0), "Wrong starts are forgotten."),
    (
        "initialisation",
        lambda t: altered(t, {"round": 3}, failure_gap=0.001, kappa_gap=20.0),
        "faster than theorem 5.3's transient",
    ),
    ("initialisation", lambda t: altered(t, failure_gap=0.0), "there is no gap in failures to forget"),
    ("initialisation", lambda t: altered(t, {"round": 3}, kappa_gap=20.0), "the gap in kappa rises from 11.8 to 20"),
    ("hard-instance", lambda t: altered(t, simulated=lambda v: v + 0.5), "more than chance allows"),
    (
        "hard-instance",
        lambda t: altered(t, theorem_4_1=0.99),
        "rate with C0 = 0.184 lies above the exact failure at n = 50, n = 200",
    ),
    (
        "greedy-trap",
        lambda t: altered(altered(t, {"by": "round"}, missed=30), {"by": "trap"}, missed=0),
        "it misses 60.0%: no such repair",
    ),
    (
        "greedy-trap",
        lambda t: altered(altered(t, {"by": "round"}, missed=30), {"by": "trap"}, missed=0),
        "0 of 9 traps",
    ),
    (
        "greedy-trap",
        lambda t: altered(t, {"by": "round"}, modes_moved=7),
        "in which 7 modes move, it misses 0.0%: no such",
    ),
    ("greedy-trap", lambda t: altered(t, {"from": 0.9}, missed=lambda v: 3), "3 of the 16 above probability 1/2"),
    ("digits", lambda t: altered(t, {"round": 1}, over_control=lambda v: 0.05), "training adds to it, +5.0%"),
    (
        "digits",
        lambda t: t | {"over_control_low": [-1.0, -1.0], "over_control_high": [1.0, 1.0]},
        "training adds nothing",
    ),
    ("digits", lambda t: altered(t, {"round": 1}, modes_gained=0.1), "+10.0% (+10.0% to +10.0%): a gain"),
    (
        "digits",
        lambda t: altered(t, {"round": 1}, kappa=5.0, accuracy=0.2, mode_drift=0.9),
        "kappa rises from 3.41 to 5 and sample accuracy falls",
    ),
    (
        "noisy-reward",
        lambda t: altered(t, {"round": 2}, mode_accuracy=0.9, mode_drift=0.0, kappa=7.0),
        "No run is as sure as that",
    ),
    (
        "reward-design",
        lambda t: altered(t, {"reward": "majority vote", "round": 2}, kappa=9.0, mode_drift=0.5, mode_accuracy=0.99),
        "more often right (by over a point) by majority vote, external",
    ),
    ("reward-design", lambda t: altered(t, {"round": 2}, kappa=9.0, length=9.0), "At least halved by none"),
    ("reward-design", lambda t: altered(t, {"reward": "external"}, first_kl=2.0), "to 2.00 nats in the first round"),
    (
        "update-rules",
        lambda t: altered(t, {"reward": "constant", "round": 4, "rule": "ipo"}, kappa=1.0),
        "The loss alone can sharpen: a constant reward sharpens under ipo",
    ),
    (
        "update-rules",
        lambda t: altered(t, {"reward": "self-reward", "round": 4, "rule": "uniform"}, kappa=1.0),
        "The reward decides",
    ),
    (
        "update-rules",
        lambda t: altered(t, {"rule": "dpo, ridge 0.1", "round": 4}, kappa=1.18),
        "DPO's ridge hardly matters",
    ),
    (
        "realizability",
        lambda t: altered(
            altered(t, {"radius": 2.0}, kappa=3.0, in_class=3.0), {"radius": 2.0, "round": 2}, any_policy=1.1
        ),
        "Realizability is what stops it at B = 2 x start",
    ),
    (
        "realizability",
        lambda t: altered(t, {"radius": 1.0}, kappa=3.0, in_class=2.0),
        "+50.0% from exact rounds within the class, stopped, but not where",
    ),
    (
        "realizability",
        lambda t: altered(t, {"radius": 1.0}, kappa=3.0, in_class=3.0, any_policy=3.0),
        "stopped, but not where the radius says",
    ),
    ("margin-collapse", lambda t: altered(t, {"noise": 1.0}, mode_drift=0.0), "at noise 1 at none of the margins"),
    ("margin-collapse", lambda t: altered(t, {"round": 2}, kappa=5.0), "kappa there rises from 1.99 to 5"),
    (
        "faithfulness",
        lambda t: altered(altered(t, {"pairs": 50}, mode_drift=0.5), {"pairs": 200}, mode_drift=0.1),
        "More pairs keep more modes.",
    ),
    ("faithfulness", lambda t: altered(t, accuracy_gained=0.1), "+10.0% (+10.0% to +10.0%), a gain"),
    ("faithfulness", lambda t: altered(t, accuracy_gained=-0.1), "-10.0% (-10.0% to -10.0%), a loss"),
    (
        "fisher",
        lambda t: altered(t, fisher_condition_number=None) | {"fisher_condition_number": t["kappa"]},
        "they move the same way in 100% of 3 rounds: here one could stand",
    ),
    ("fisher", lambda t: t | {"eigenvalue_1": [0.1, 0.2, 0.3, 0.4]}, "The largest eigenvalue rises from 0.1 to 0.4"),
    (
        "tightness",
        lambda t: altered(t, {"statement": "P4, kappa - 1"}, bound=0.0),
        "(not: P4, kappa - 1, round 1, P4, kappa - 1, round 2)",
    ),
    ("tightness", lambda t: altered(t, vacuous=False), "bounds with explicit constants held (0 vacuous)"),
    ("tightness", lambda t: altered(t, vacuous=False), "0 are vacuous at n = 100 (not: eq. 43"),
    ("tightness", lambda t: altered(t, beta=100.0), "is outside theorem 5.3's domain"),
    ("non-linear", lambda t: altered(t, {"round": 3}, kappa=9.0, p3_exceeded=1.0), "Projection's kappa is up to "),
    (
        "non-linear",
        lambda t: altered(t, {"update": "projection", "round": 1}, kappa=2.2),
        "round's with projection with modes (tau",
    ),
    ("non-linear", lambda t: altered(t, {"round": 2}, p12_broken=0.25), "P12 was broken at up to 25.0%"),
    ("non-linear", lambda t: altered(t, {"round": 2}, unmoved_broken=0.5), "P12 was broken at up to 50.0%"),
    (
        "non-linear",
        lambda t: altered(t, {"update": "projection"}, p12_useful=lambda _: 1.0),
        "says something (an upper end below kappa_0) in 1 of 3 rounds of regression, 3 of 3 rounds of projection,",
    ),
    (
        "answers",
        lambda t: altered(t, {"reward": "answer", "round": 3}, moved=0.1, kappa_a=9.0, entropy_within=0.1),
        "No reward keeps P3 and P5",
    ),
    ("answers", lambda t: altered(t, {"reward": "answer", "round": 2}, p3_broken=0.1), "No reward keeps P3 and P5"),
    (
        "answers",
        lambda t: altered(t, {"reward": "response"}, p3_broken=0.0),
        "P3 and P5 hold for answers with the answer and the response as reward",
    ),
    ("answers", lambda t: altered(t, {"weights": "plug-in"}, kappa_a=1.5), "90% from K = 2 on"),
    ("answers", lambda t: altered(t, {"weights": "plug-in"}, off=0.3), "Plug-in weights aim elsewhere than P10 says"),
    ("answers", lambda t: altered(t, {"part": "ties"}, sure=0.1), "Draws seldom break ties"),
    (
        "search-or-sample",
        lambda t: altered(t, {"n": 1000}, search_p9=0.5, search_simulated=0.6),
        "more often than P9 allows at n = 1000",
    ),
    ("search-or-sample", lambda t: altered(t, {"n": 200}, search_bound=0.0), "P9's bound is broken at n = 200"),
    ("search-or-sample", lambda t: altered(t, theorem_4_1=1e-9), "nowhere below theorem 4.1's rate"),
    ("search-or-sample", lambda t: altered(t, search_at_equal_cost=0.99), "search is nowhere better"),
    (
        "certificates",
        lambda t: altered(t, {"law": "near tie"}, wrong=0.5),
        "More than alpha allows: certificates of what is no mode at near tie",
    ),
    ("certificates", lambda t: altered(t, {"law": "tie"}, outside=0.5), "brackets that leave out p_max at tie"),
    (
        "certificates",
        lambda t: altered(t, {"law": "near tie"}, peeking=0.5),
        "is wrong more often than alpha at near tie",
    ),
    (
        "certificates",
        lambda t: altered(t, {"law": "clear"}, median_draws=12.0, certified=1.0),
        "clear: median 12 (P11 says about 47)",
    ),
]

# What changes the titles that no conclusion above changes.
RETITLED: list[tuple[str, Callable[[Table], Table]]] = [
    ("sample-size", lambda t: altered(t, {"pairs": 50}, excess=-1.0)),
    ("effective-dimension", lambda t: {**t, "d_lambda": t["d_lambda"][::-1]}),
    ("faithfulness", lambda t: altered(t, {"round": 2}, kappa=9.0)),
    ("noisy-reward", lambda t: altered(t, {"noise": "heavy 3 nats"}, mode_drift=0.5, mode_accuracy=0.5)),
]


@pytest.mark.parametrize(("name", "change", "sentence"), FLIPS, ids=[f"{one[0]}-{k}" for k, one in enumerate(FLIPS)])
def test_another_table_reads_otherwise(name: str, change: Callable[[Table], Table], sentence: str) -> None:
    table = measured(name)[0]
    assert sentence in read(name, change(table)).conclusion
    assert sentence not in read(name, table).conclusion


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_no_title_of_a_chart_is_a_constant(name: str) -> None:
    table = measured(name)[0]
    titles = [chart.title for chart in read(name, table).charts]
    fixed = set(range(len(titles)))
    for other, change, _ in [*FLIPS, *((one, change, "") for one, change in RETITLED)]:
        if other == name:
            again = [chart.title for chart in read(name, change(table)).charts]
            fixed -= {at for at in fixed if titles[at] != again[at]}
    assert not fixed, f"charts {fixed} of {name} keep their titles whatever was measured"


def power(exponent: float, bend: float = 0.0, scale: float = 1.0) -> Table:
    """A table of sample-size in which what exact rounds do not leave is n^exponent, bent, with errors of 2 %."""
    sizes = np.array([500, 1000, 2000, 4000, 8000])
    logs = np.log(sizes / sizes[0])
    excess = scale * 0.1 * np.exp(exponent * logs - bend * logs**2)
    return {
        "pairs": sizes.tolist(),
        **{name: excess.tolist() for name in ("failure", "excess")},
        "excess_low": (excess - 0.04 * np.abs(excess) - 1e-6).tolist(),
        "excess_high": (excess + 0.04 * np.abs(excess) + 1e-6).tolist(),
        "floor": [0.0] * len(sizes),
    }


@pytest.mark.parametrize(
    ("table", "sentence"),
    [
        (power(-0.5), "an interval that contains -1/2"),
        (power(-0.8), "an interval that does not contain -1/2"),
        (power(-0.5, bend=0.2), "is no power of n: on logarithmic axes the curve steepens"),
        (power(-0.9, bend=-0.2), "is no power of n: on logarithmic axes the curve flattens"),
        (power(-0.5, scale=0.0), "differs from 0 at 0 of the 5 n, too few"),
    ],
)
def test_an_exponent_is_given_only_where_there_is_one(table: Table, sentence: str) -> None:
    reading = read("sample-size", table)
    assert sentence in reading.conclusion
    assert (reading.numbers["exponent"] is None) == ("an interval" not in sentence)


@pytest.mark.parametrize(
    ("by", "sentence"),
    [
        (
            "d_lambda",
            "The better guide is d_lambda to squared error, failures that noise adds, modes moved; d to none.",
        ),
        (
            "dimensions",
            "The better guide is d_lambda to none; d to squared error, failures that noise adds, modes moved.",
        ),
        ("", "The better guide is d_lambda to none; d to none."),
    ],
)
def test_the_better_guide_is_the_one_that_the_outcomes_follow(by: str, sentence: str) -> None:
    table = measured("effective-dimension")[0]
    followed = [float(v) for v in table[by]] if by else [1.0] * len(table["d_lambda"])
    columns = {f"{name}{end}": followed for name in ("error", "failure", "drift") for end in ("", "_low", "_high")}
    assert sentence in read("effective-dimension", {**table, **columns}).conclusion
