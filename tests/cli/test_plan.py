"""`srlm plan` and `srlm verify` as their users see them: text, JSON, exit codes, pictures."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from srlm.cli.main import run
from srlm.records.atomic import write_json
from srlm.records.bracket import Bracket
from srlm.records.diagnosis import DiagnosisRecord

PLAN = ["plan", "--kappa0", "130", "--pairs", "192", "--dim", "64", "--radius", "10", "--rounds", "3"]


def test_advice_names_rounds_bounds_costs_and_what_is_vacuous(capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*PLAN, "--target-failure", "0.2", "--tokens-per-response", "12"]) == 0
    said = capsys.readouterr().out
    for words in (
        "Is one round enough?", "plan for several", "What do the rounds buy?", "forgotten after 3 rounds",
        "which is vacuous", "vacuous; informative from about 1.4e+07 pairs", "For a failure rate of 0.2",
        "1,152 responses in all, about 13,824 tokens", "more pairs lower it, more rounds do not",
    ):  # fmt: skip
        assert words in said


def test_where_no_number_of_pairs_helps_the_answer_says_so_and_why(capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*PLAN, "--beta", "5"]) == 0
    text = capsys.readouterr().out
    assert "No number of pairs helps: beta*log(kappa)/gamma does not fall with n: at beta 5 it alone" in text
    assert "theorem 5.3 and corollary 5.7 do not hold" in text
    assert "forgotten after" not in text
    assert run([*PLAN, "--beta", "5", "--json"]) == 0
    many = json.loads(capsys.readouterr().out)["iterative"]
    assert (many["pairs_help"], many["statement"]) == (False, "eq. 43")
    assert "does not fall with n" in many["reason"]
    assert run([*PLAN, "--beta", "0.3"]) == 0
    assert "The sampling error dominates it: more pairs lower it." in capsys.readouterr().out


def test_constants_are_options_and_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--constant", "0.5", "--lower-constant", "0.25", "--reward-range", "4", "--margin", "3"]
    assert run([*PLAN, *options]) == 0
    assert "Constants: C = 0.5 times R = 4 nats of reward range, C0 = 0.25." in capsys.readouterr().out
    assert run([*PLAN, *options, "--json"]) == 0
    inputs = json.loads(capsys.readouterr().out)["inputs"]
    assert [inputs[name] for name in ("constant", "lower_constant", "reward_range")] == [0.5, 0.25, 4.0]
    assert run([*PLAN, "--margin", "3", "--reward-range", "2"]) == 2
    assert "reward_range is 2; it holds the margin" in capsys.readouterr().err


def test_below_kappa_two_the_hard_instance_speaks_for_theorem_4_1(capsys: pytest.CaptureFixture[str]) -> None:
    small = ["plan", "--kappa0", "1.5", "--pairs", "192", "--log-class-size", "3"]
    assert run(small) == 0
    text = capsys.readouterr().out
    assert "(P7, exact)" in text
    assert "(theorem 4.1, a rate)" not in text
    assert run([*small, "--json"]) == 0
    single = json.loads(capsys.readouterr().out)["single_step"]
    assert (single["applies"], single["failure_lower_bound"]) == (False, None)


def test_json_has_the_contracts_fields(capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*PLAN, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert {"failure_lower_bound", "failure_lower_bound_asymptotic", "hard_instance"} <= found["single_step"].keys()
    assert found["single_step"]["hard_instance"].keys() == {
        "failure_rate", "informative_mass", "responses", "informative_prompts"
    }  # fmt: skip
    assert {
        "failure_bound", "vacuous", "stable_term", "transient_term", "rounds_to_suppress", "fixed_point",
        "contraction_factor", "kappa_bounds",
    } <= found["iterative"].keys()  # fmt: skip
    assert len(found["iterative"]["kappa_bounds"]) == len(found["population"]["kappa_bounds"]) == 4
    assert found["cost"]["responses"] == 1152


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--pairs", "10", "--log-class-size", "3"], "--kappa0 missing"),
        ([], "--kappa0 and --pairs missing"),
        (
            ["--kappa0", "0.2", "--pairs", "10", "--log-class-size", "3"],
            "kappa0 is 0.2; it must be finite and lie in [1",
        ),
        (["--kappa0", "nan", "--pairs", "10", "--log-class-size", "3"], "kappa0 is nan"),
        (["--kappa0", "5", "--pairs", "10"], "either log_class_size, or dim and radius"),
        (["--kappa0", "x", "--pairs", "10"], "Invalid value for '--kappa0'"),
        (["--from", "nowhere.json", "--pairs", "10"], "'nowhere.json' is no diagnosis"),
        ([*PLAN[1:], "--plot", "plan.bmp"], "must end in .svg, .png, .pdf"),
    ],
)
def test_wrong_input_is_one_sentence_and_exit_2(
    arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["plan", *arguments]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert sentence in shown.err
    assert shown.err.count("\n") == 1


@pytest.fixture
def diagnosis(record: DiagnosisRecord, tmp_path: Path) -> Path:
    """A diagnosis without spectra."""
    prompts = [record.prompts[0].model_copy(update={"margin_lower": margin}) for margin in (0.4, 0.1, 0.0, None)]
    brackets = {"kappa": Bracket(lower=20.0, upper=25.0), "min_confidence": Bracket(lower=0.01, upper=0.02)}
    write_json(tmp_path / "diagnosis.json", record.model_copy(update={"prompts": tuple(prompts)} | brackets).as_dict())
    return tmp_path / "diagnosis.json"


def test_a_diagnosis_fills_what_was_not_given(diagnosis: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sized = ["plan", "--from", str(diagnosis), "--pairs", "100", "--log-class-size", "9", "--json"]
    assert run(sized) == 0
    plan = json.loads(capsys.readouterr().out)
    assert {name: plan["inputs"][name] for name in ("kappa0", "min_confidence", "margin", "log_class_size")} == {
        "kappa0": 25.0, "min_confidence": 0.01, "margin": 0.1, "log_class_size": 9
    }  # fmt: skip
    assert len(plan["from"]) == 3
    assert run([*sized, "--kappa0", "7"]) == 0
    assert json.loads(capsys.readouterr().out)["inputs"]["kappa0"] == 7


def test_a_diagnosis_without_spectra_says_what_is_missing(diagnosis: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["plan", "--from", str(diagnosis), "--pairs", "100", "--radius", "3"]) == 2
    assert "made without spectra" in capsys.readouterr().err


def test_one_round_is_told_once(capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*PLAN[:-1], "1"]) == 0
    assert capsys.readouterr().out.count("theorem 5.3 at T = 1, failure rate") == 1


@pytest.mark.parametrize("ending", ["svg", "png", "pdf"])
def test_the_plot_is_a_picture(ending: str, tmp_path: Path) -> None:
    out = tmp_path / f"plan.{ending}"
    assert run([*PLAN, "--plot", str(out), *(["--beta", "5"] if ending == "png" else [])]) == 0
    assert out.read_bytes()[:5] in (b"<?xml", b"\x89PNG\r", b"%PDF-")


def test_planning_and_verifying_import_no_torch() -> None:
    code = (
        "import sys\nfrom srlm.cli.main import run\n"
        f"run({PLAN!r})\nrun(['verify', '--json'])\n"
        "assert not {'torch', 'transformers', 'matplotlib'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_a_plan_needs_no_scipy_whose_import_takes_longer_than_the_plan() -> None:
    code = f"import sys\nfrom srlm.cli.main import run\nrun({PLAN!r})\nassert 'scipy' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_verify_prints_a_table_or_one_document(capsys: pytest.CaptureFixture[str]) -> None:
    began = time.perf_counter()
    assert run(["verify"]) == 0
    assert time.perf_counter() - began < 60
    said = capsys.readouterr().out
    assert "checks, all hold. Of those" in said
    assert "transcriptions: there the code says what the formula says, not that it is true" in said
    assert "eq. 52-56" in said
    assert run(["verify", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["ok"] is True
    assert {"id", "statement", "predicted", "observed", "tightness", "ok", "kind"} <= found["checks"][0].keys()


def test_verify_exits_with_1_when_a_formula_is_wrong(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from srlm.theory import contraction

    monkeypatch.setattr(contraction, "tail_integral_bound", lambda a, c: 1.0)
    assert run(["verify"]) == 1
    said = capsys.readouterr().out
    assert "FAIL eq. 52-56" in said
    assert "FAILED: eq. 52-56, lemma C.3" in said
