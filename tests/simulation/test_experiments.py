"""Every experiment runs from the shell with figure, table and conclusion, and what it concludes is in its numbers."""

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from srlm.cli.main import run
from srlm.errors import InputError
from srlm.policies.instances import random_softmax
from srlm.simulation.experiments import EXPERIMENTS, run_experiment
from srlm.simulation.experiments._softmax import exact_rounds, largest_error
from srlm.simulation.experiments._table import (
    chart,
    column,
    course,
    entry,
    interval,
    power_law,
    select,
    spread,
    stacked,
)
from srlm.simulation.experiments.greedy_trap import greedy_of
from srlm.simulation.experiments.realizability import within_class
from srlm.simulation.experiments.reward_design import Sequences
from srlm.simulation.experiments.search_or_sample import simulate_searcher

LISTED = (Path(__file__).parents[2] / "docs" / "simulation.md").read_text(encoding="utf-8")
SMALL: dict[str, list[str]] = {
    "contraction": ["prompts=20", "seeds=3", "rounds=3", "pairs=100"],
    "initialisation": ["prompts=20", "seeds=3", "rounds=3", "pairs=100"],
    "sample-size": ["prompts=40", "seeds=4", "pairs=50,200,800"],
    "hard-instance": ["trials=60", "pairs=50,200"],
    "greedy-trap": ["policies=50", "length=3"],
    "effective-dimension": ["prompts=20", "responses=6", "dimensions=12,16", "seeds=3", "pairs=60"],
    "digits": ["rounds=1", "splits=2", "pairs=200"],
    "noisy-reward": ["prompts=20", "seeds=3", "rounds=2", "pairs=100"],
    "reward-design": ["prompts=10", "length=3", "rounds=2"],
    "update-rules": ["prompts=20", "responses=6", "dimensions=4", "seeds=2", "rounds=4", "pairs=100"],
    "realizability": ["prompts=20", "seeds=3", "rounds=2", "pairs=100"],
    "margin-collapse": ["prompts=5", "seeds=4", "rounds=2"],
    "faithfulness": ["prompts=20", "seeds=3", "rounds=2", "pairs=50,200"],
    "fisher": ["prompts=20", "responses=6", "dimensions=4", "seeds=2", "rounds=3", "pairs=100"],
    "non-linear": ["prompts=12", "responses=6", "dimensions=3", "hidden=4", "seeds=2", "rounds=3", "pairs=120"],
    "answers": ["prompts=20", "responses=8", "rounds=3", "draws=2,8", "sampled_prompts=5", "runs=200"],
    "search-or-sample": ["trials=60", "pairs=50,200,1000"],
    "certificates": ["runs=30", "draws=40", "looks=8"],
    "tightness": ["prompts=20", "seeds=3", "rounds=2", "pairs=100"],
}


def test_every_experiment_that_the_theory_calls_for_is_there() -> None:
    assert set(SMALL) == set(EXPERIMENTS)
    for experiment in EXPERIMENTS.values():
        assert experiment.question.endswith("?")
        assert f"| `{experiment.name}` | {experiment.question} |" in LISTED
        assert all(setting.help for setting in experiment.settings.values())


@pytest.mark.parametrize("name", SMALL)
def test_it_runs_from_the_shell_with_figure_table_and_conclusion(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    settings = [part for one in SMALL[name] for part in ("--set", one)]
    assert run(["simulate", name, "--out", str(out), "--json", *settings]) == 0
    printed = json.loads(capsys.readouterr().out)
    result = json.loads((out / "result.json").read_text(encoding="utf-8"))
    assert printed == result
    table = pq.read_table(out / "table.parquet").to_pydict()
    assert table == result["columns"]
    assert len({len(column) for column in table.values()}) == 1
    assert any(digit in result["conclusion"] for digit in "0123456789")
    assert "nan" not in result["conclusion"]
    assert (out / "figure.svg").read_bytes().startswith(b"<?xml")
    page = (out / "figure.html").read_text(encoding="utf-8")
    assert result["conclusion"].split(":")[0][:40].replace("'", "&#39;").replace("<", "&lt;") in page
    again = run_experiment(name, dict(one.split("=") for one in SMALL[name]))
    assert again.conclusion == result["conclusion"]


def test_all_of_them_make_one_page(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    few = {name: EXPERIMENTS[name] for name in ("greedy-trap", "reward-design")}
    from srlm.simulation import experiments

    monkeypatch.setattr(experiments, "EXPERIMENTS", few)
    assert run(["simulate", "all", "--out", str(tmp_path)]) == 0
    page = (tmp_path / "index.html").read_text(encoding="utf-8")
    for name, experiment in few.items():
        assert (tmp_path / name / "result.json").is_file()
        assert f'id="{name}"' in page
        assert experiment.question in page


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["simulate"], "name an experiment: contraction, "),
        (["simulate", "alchemy"], "'alchemy' is unknown; there are contraction, "),
        (["simulate", "digits", "--set", "colour=3"], "'colour' is no setting of digits; it has beta, "),
        (["simulate", "digits", "--set", "beta"], "'beta' is not KEY=VALUE"),
        (["simulate", "digits", "--set", "beta=hot"], "beta is 'hot'; give a number"),
        (["simulate", "digits", "--set", "beta=0"], "beta is 0.0; it must lie in [0.001"),
        (["simulate", "digits", "--set", "beta=nan"], "beta is nan"),
        (["simulate", "digits", "--set", "rounds=1.5"], "rounds is '1.5'; give a whole number"),
        (["simulate", "digits", "--set", "rounds=1,2"], "give one number"),
        (["simulate", "sample-size", "--set", "pairs=10,0"], "pairs is 0"),
        (["simulate", "digits", "--set", "beta=0", "--set", "rounds=0"], "beta is 0.0"),
        (["simulate", "realizability", "--set", "radii=0.5"], "radii is 0.5; it must lie in [1"),
        (["simulate", "all", "--set", "beta=1"], "--set goes with one experiment"),
        (["simulate", "sample-size", "--backend", "abacus"], "backend is 'abacus'"),
    ],
)
def test_wrong_input_is_one_sentence_exit_2_and_nothing_written(
    arguments: list[str], sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([*arguments, "--out", str(tmp_path / "out")]) == 2
    shown = capsys.readouterr().err
    assert sentence in shown
    assert shown.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_an_output_that_is_a_file_is_refused_before_anything_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "file"
    file.write_text("mine")
    assert run(["simulate", "digits", "--out", str(file)]) == 2
    assert "is a file; give a folder" in capsys.readouterr().err
    assert file.read_text() == "mine"


def test_the_list_names_experiments_and_settings(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["simulate", "--list"]) == 0
    said = capsys.readouterr().out
    assert all(name in said for name in EXPERIMENTS)
    assert "labelled = 60" in said


def test_the_simulated_learner_of_the_hard_instance_matches_p7() -> None:
    found = run_experiment("hard-instance", {"trials": 800, "pairs": (100, 1000), "kappa0": 30.0})
    assert found.numbers["largest_z"] < 4


def test_a_simulated_searcher_fails_as_often_as_prompts_stay_unseen() -> None:
    mass, labels, d, n, trials = 0.2, 20.0, 4, 40, 4000
    failures = simulate_searcher(np.random.default_rng(0), mass, labels, d, n, trials)
    expected = mass * (1 - mass / d) ** n * (1 - 1 / labels)
    assert abs(failures.mean() - expected) < 4 * failures.std() / np.sqrt(trials)


def test_exact_rounds_in_a_class_that_holds_them_are_exact_rounds() -> None:
    start = random_softmax(np.random.default_rng(0), 20, 8, 4, 3.0)
    free = [one.conditioning().policy_condition_number for one in exact_rounds(start.tabular(), 1.5, 3)]
    assert within_class(start, 1.5, 1e6, 3) == pytest.approx(free)
    bound = within_class(start, 1.5, 3.0, 30)
    assert bound[-1] > 1.2 * free[-1]
    assert bound[-1] == pytest.approx(bound[-2], rel=5e-3)


def test_every_reward_moves_the_policy_as_far_in_the_first_round() -> None:
    columns = run_experiment("reward-design", {"prompts": 10, "length": 3, "rounds": 1}).columns
    kl = np.array(columns["first_kl"])
    assert kl == pytest.approx(np.full(len(kl), kl[0]), rel=1e-6)
    assert len(set(columns["beta"])) == len(set(columns["reward"]))


def test_p12_is_never_broken_by_a_policy_whose_every_response_is_known() -> None:
    columns = run_experiment("non-linear", dict(one.split("=") for one in SMALL["non-linear"])).columns
    assert {v for name in ("p12_broken", "unmoved_broken") for v in columns[name]} == {0.0, None}
    assert max(v for v in columns["eps"] if v is not None) > 1  # though rounds were far from exact


def test_the_largest_error_is_the_supremum_of_p4() -> None:
    rng = np.random.default_rng(0)
    before, after = (np.log(rng.dirichlet(np.ones(5), 6)) for _ in range(2))
    modes = before.argmax(axis=1)
    by_hand = max(
        abs(after[x, y] - after[x, modes[x]] - 1.5 * (before[x, y] - before[x, modes[x]]))
        for x in range(6)
        for y in range(5)
    )
    assert largest_error(before, after, modes, beta=2.0) == pytest.approx(by_hand)


def test_explicit_bounds_hold_in_the_table_of_tightness() -> None:
    columns = run_experiment("tightness", {"seeds": 3}).columns
    rows = zip(columns["constants"], columns["bound"], columns["measured"], strict=True)
    assert all(bound >= measured * (1 - 1e-9) for constants, bound, measured in rows if constants == "explicit")


def test_greedy_decoding_of_a_table_takes_the_heaviest_branch() -> None:
    table = np.array([[0.3, 0.3, 0.4, 0.0], [0.0, 0.1, 0.2, 0.7]])
    assert greedy_of(table, 2).tolist() == [0, 3]


def test_self_certainty_is_the_mean_divergence_from_uniform() -> None:
    space = Sequences(2, 2)  # responses: (0,), (1, 0), (1, 1)
    at = {one: k for k, one in enumerate(space.responses)}
    table = np.zeros((1, 3))
    table[0, at[0,]], table[0, at[1, 0]], table[0, at[1, 1]] = 0.5, 0.4, 0.1
    second = -np.log(2) - (np.log(0.8) + np.log(0.2)) / 2
    found = space.self_certainty(table)[0]
    assert found[at[0,]] == pytest.approx(0.0)
    assert found[at[1, 0]] == pytest.approx(second / 2)


def test_an_interval_is_the_normal_one() -> None:
    values = np.random.default_rng(0).normal(3.0, 1.0, 400)
    found = interval(values)
    assert found.low < 3.0 < found.high
    assert found.high - found.low == pytest.approx(2 * 1.96 * values.std(ddof=1) / 20)


def test_a_power_law_is_recovered_and_its_interval_covers() -> None:
    x = np.array([100.0, 200.0, 400.0, 800.0, 1600.0])
    exact = power_law(x, 5 * x**-0.7, 0.01 * x**-0.7)
    assert exact.exponent.mean == pytest.approx(-0.7)
    assert exact.curvature.mean == pytest.approx(0.0, abs=1e-9)
    bent = power_law(x, np.exp(-0.1 * np.log(x) ** 2), 0.01 * np.exp(-0.1 * np.log(x) ** 2))
    assert bent.curvature.mean == pytest.approx(-0.2)  # second derivative of -0.1 l^2
    assert bent.curvature.sign == -1
    rng, covered, straight = np.random.default_rng(0), 0, 0
    for _ in range(400):
        error = 0.05 * x**-0.7
        law = power_law(x, x**-0.7 + error * rng.standard_normal(5), error)
        covered += law.exponent.low <= -0.7 <= law.exponent.high
        straight += law.curvature.sign == 0
    assert 0.9 < straight / 400 < 0.99
    assert covered / 400 > 0.88  # a little below 95 % where curvature was found by chance


def test_tables_are_stacked_selected_and_drawn() -> None:
    values = np.array([[1.0, 2.0], [3.0, 4.0]])
    table = stacked(
        {"rule": "a", "round": [0, 1], **spread("kappa", values)},
        {"rule": "b", "round": [0, 1], "kappa": [5.0, np.inf]},
    )
    assert table["rule"] == ["a", "a", "b", "b"]
    assert table["kappa"] == [2.0, 3.0, 5.0, None]
    assert table["kappa_low"][2] is None
    half = 1.96 * np.sqrt(2) / np.sqrt(2)  # sd of two values 2 apart, over the root of their number
    assert entry(select(table, rule="a"), "kappa").high == pytest.approx(3 + half)
    assert np.isnan(column(table, "kappa")[3])
    lines = {"rule {} --": "kappa", "the first o": "kappa"}
    panel = chart("title", table, "round", "kappa", lines, by="rule", less=1, least=1.5, log="y")
    first, second, alone = panel.series
    assert (first.label, first.y, second.y) == ("rule a", (1.5, 2.0), (4.0, None))
    assert (first.style, alone.label, alone.style, alone.colour) == ("dashed", "the first", "points", 2)
    assert (alone.y, panel.x_label, panel.x_log, panel.y_log) == (first.y, "round", False, True)


def test_a_course_says_which_way() -> None:
    assert course("kappa", 4.0, 2.0) == "kappa falls from 4 to 2"
    assert course("kappa", 2.0, 4.0) == "kappa rises from 2 to 4"
    assert course("kappa", 2.0, 2.01) == "kappa stays at 2"


def test_unknown_names_are_refused_from_python_too() -> None:
    with pytest.raises(InputError, match="is unknown"):
        run_experiment("alchemy")
