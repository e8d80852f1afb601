"""Every number of a page is found in the records that it was drawn from, at its address where it carries one."""

import json
import math
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from tests.report.records_of_pages import Page, at, numbers_of, reads, strangers

from srlm.records.answer_diagnosis import AnswerDiagnosis
from srlm.records.atomic import write_json
from srlm.report.answers_page import write_answers_page
from srlm.report.diagnosis_page import write_diagnosis_page
from srlm.report.page import write_comparison, write_report
from srlm.watching import Group, Watcher, writing

MakeRun = Callable[..., Path]


def metrics(run: Path) -> list[dict[str, Any]]:
    return [json.loads(file.read_text(encoding="utf-8")) for file in sorted(run.glob("rounds/*/metrics.json"))]


def derived(run: Path) -> list[float]:
    """What sentences compute: shares of what is complete, sums of time and tokens, differences of counts."""
    rounds, told = metrics(run), json.loads((run / "run.json").read_text(encoding="utf-8"))
    seconds = sum(sum(one["seconds"].values()) for one in rounds)
    found = [seconds, seconds / 60, sum(one["tokens"].get("sampled", 0) for one in rounds), *range(len(rounds))]
    for one in rounds:
        for split in (one, one["held_out"]):
            if split and (of := split.get("answers")):
                found += [of["certified"] - of["proved"], of["certified"] / split["prompts"], 1 - of["confidence"]]
    beta = next((one["beta"] for one in reversed(rounds) if one.get("beta")), told["configuration"].get("beta"))
    if beta:
        sharper = 1 + 1 / beta
        splits = (rounds[0], rounds[0]["held_out"] or {})
        margins = [split["median_margin"] for split in splits if split.get("median_margin")]
        found += [sharper, *(margin * sharper ** (len(rounds) - 1) for margin in margins)]
    return found


def drawn(run: Path, page: Path) -> list[str]:
    return strangers(page, run, derived(run))


@pytest.fixture(scope="module")
def responses(make_run: MakeRun, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_run(tmp_path_factory.mktemp("responses") / "run", slack=0.1)


@pytest.fixture(scope="module")
def answers(make_answer_run: MakeRun, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_answer_run(tmp_path_factory.mktemp("answers") / "run", unread=0.1)


@pytest.mark.parametrize("level", ["responses", "answers"])
def test_numbers_of_a_run(level: str, request: pytest.FixtureRequest) -> None:
    run: Path = request.getfixturevalue(level)
    page = write_report(run)
    found = drawn(run, page)
    assert found == [], "\n".join(found)
    assert len(Page(page).marks) > 200
    assert len({path for _, path, _ in Page(page).marks}) > 100


@pytest.mark.parametrize(
    ("file", "pointer"),
    [
        ("rounds/03/metrics.json", "/held_out/accuracy/sample"),
        ("rounds/03/metrics.json", "/kappa/upper"),
        ("rounds/00/metrics.json", "/forecast/2/kappa_point"),
        ("rounds/02/metrics.json", "/projection/distance_max"),
        ("rounds/03/metrics.json", "/retention/kl_base"),
    ],
)
def test_a_number_that_is_not_the_records_is_found(responses: Path, tmp_path: Path, file: str, pointer: str) -> None:
    """The page stays, one number of the records changes by a hundredth."""
    run = shutil.copytree(responses, tmp_path / "run")
    page = write_report(run)
    document = json.loads((run / file).read_text(encoding="utf-8"))
    *parts, last = pointer.split("/")[1:]
    place: Any = document
    for part in parts:
        place = place[int(part)] if isinstance(place, list) else place[part]
    place[last] *= 1.01
    (run / file).write_text(json.dumps(document), encoding="utf-8")
    assert any(pointer.rpartition("/")[2] in one or "nothing holds" in one for one in drawn(run, page))


def test_a_number_that_only_the_page_changes_is_found(responses: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    text = write_report(responses).read_text(encoding="utf-8")
    for value, path, shown in (mark for mark in Page(responses / "report.html").marks if len(mark[2].strip("%")) > 1):
        mark = f'<data value="{value}" data-path="{path}">{shown}</data>'
        page.write_text(text.replace(mark, mark.replace(f">{shown}<", f">9{shown}<"), 1), encoding="utf-8")
        assert len(strangers(page, responses, derived(responses))) == 1, mark
        break
    page.write_text(text.replace('<p class="stand">', '<p class="stand">Or 77.123 of them. ', 1), encoding="utf-8")
    assert [one for one in strangers(page, responses, derived(responses)) if "77.123" in one]


def test_texts_read_as_the_numbers_that_they_write() -> None:
    right = [("78%", 0.7760), ("1.33", 1.3263), ("1.33", math.log(1.3263)), ("4.4×10³⁵²", 812.0), ("1,234", 1234.4),
             ("0.0579", 0.05791), ("2.3×10⁻⁵", 2.26e-5), ("100%", 1.0), ("12.3%", 0.12312), ("53", 53)]  # fmt: skip
    wrong = [("78%", 0.7860), ("1.33", 1.3363), ("4.4×10³⁵²", 813.0), ("1,234", 1244.0), ("2.3×10⁻⁵", 2.26e-4)]
    assert [text for text, value in right if not reads(text, value)] == []
    assert [text for text, value in wrong if reads(text, value)] == []


def close(told: float | None, held: float | None) -> bool:
    if told is None or held is None or not math.isfinite(held):
        return told is None and (held is None or not math.isfinite(held))
    return math.isclose(told, held, rel_tol=1e-5, abs_tol=1e-12)


def test_prompts_of_responses_are_those_of_the_tables(responses: Path) -> None:
    prompts = Page(write_report(responses)).data["runs"][0]["prompts"]
    for number in range(4):
        modes = pq.read_table(responses / f"rounds/0{number}/modes.parquet").to_pylist()
        samples = pq.read_table(responses / f"rounds/0{number}/samples.parquet").to_pylist()
        assert [one["id"] for one in prompts] == [row["prompt_id"] for row in modes]
        for prompt, row in zip(prompts, modes, strict=True):
            one, items = prompt["rounds"][number], prompt["items"]
            assert (prompt["prompt"], prompt["split"]) == (row["prompt"], row["split"])
            assert prompt["known"] == ", ".join(row["answer"])
            for name, column in (("lower", "mode_logprob_lower"), ("upper", "mode_logprob_upper")):
                assert close(one[name], row[column])
            facts = (one["certified"], one["right"], one["expansions"])
            assert facts == (row["certified"], row["mode_correct"], row["expansions"])
            assert items[one["lead"]]["text"] == row["mode_text"]
            assert (one["greedy"] == one["lead"]) == (row["greedy_tokens"] == row["mode_tokens"])
            assert all(map(close, one["open"], row["open_prefixes"]))
            kept = [i for i in range(len(items)) if one["logprobs"][i] is not None and i not in one.get("beneath", [])]
            logs = sorted(best["logprob"] for best in row["best"])
            assert all(map(close, sorted(one["logprobs"][i] for i in kept), logs))
            assert len(kept) == len(logs)
            assert {items[i]["text"] for i in kept} == {best["text"] for best in row["best"]}
            drawn = [each for each in samples if each["prompt_id"] == prompt["id"]]
            counts = Counter(each["response"] for each in drawn)
            assert {items[i]["text"]: n for i, n in enumerate(one["counts"]) if n} == counts
            assert one["drawn"] == len(drawn)
            assert close(one["share"], sum(each["correct"] for each in drawn) / len(drawn))


FATES = {"kept": (True, True), "learned": (False, True), "corrupted": (True, False), "still_wrong": (False, False)}


@pytest.mark.parametrize("level", ["responses", "answers"])
def test_prompts_add_up_to_the_metrics(level: str, request: pytest.FixtureRequest) -> None:
    """kappa from the prompts' brackets, the ledger from what was right, accuracy of answers: as in the records."""
    run: Path = request.getfixturevalue(level)
    told = Page(write_report(run)).data["runs"][0]
    for number, record in enumerate(metrics(run)):
        for split, held in (("train", record), ("held_out", record["held_out"])):
            here = [one for one in told["prompts"] if one["split"] == split]
            if level == "answers":
                _adds_up([one["rounds"][number] for one in here], held)
            rights = [[one["rounds"][at].get("right") for one in here] for at in range(number + 1)]
            fates = Counter(zip(rights[0], rights[-1], strict=True))
            held_fates = held["fates"]["mode" if level == "responses" else "majority"]
            assert {name: fates[pair] for name, pair in FATES.items()} == held_fates
            if number:
                turns = Counter(zip(rights[-2], rights[-1], strict=True))
                step = next(one for one in told["steps"] if (one["round"], one["split"]) == (number, split))
                assert step["counts"] == {name: turns[pair] for name, pair in FATES.items()}


def _adds_up(rounds: list[dict[str, Any]], held: dict[str, Any]) -> None:
    assert close(sum(one["share"] for one in rounds) / len(rounds), held["accuracy"]["sample"])
    assert close(sum(math.exp(-one["upper"]) for one in rounds) / len(rounds), held["kappa"]["lower"])
    lows = [one.get("lower") for one in rounds]
    known = [one for one in lows if one is not None]
    upper = sum(math.exp(-one) for one in known) / len(lows) if len(known) == len(lows) else None
    assert close(upper, held["kappa"]["upper"])
    assert sum(one["certified"] for one in rounds) == held["answers"]["certified"]


def test_numbers_of_a_comparison(responses: Path, make_run: MakeRun, tmp_path: Path) -> None:
    for name in ("one", "two"):
        make_run(tmp_path / name, move_modes=name == "two")
    page = write_comparison([tmp_path / "one", tmp_path / "two"], tmp_path / "both.html")
    shown = Page(page)
    assert shown.marks
    for value, path, text in shown.marks:
        held = at(tmp_path, path)
        assert held == json.loads(value)
        assert reads(text, held)
    names = [run["name"] for run in shown.data["runs"]]
    assert names == ["one", "two"]


def test_numbers_of_an_audit(tmp_path: Path) -> None:
    watcher = Watcher()
    directory = writing.start(tmp_path / "out", "a model", {})
    for step in range(60):
        right = 3 if step < 20 else 0
        groups = [
            Group(
                f"prompt {at}",
                ("a",) * right + ("b",) * (4 - right),
                (True,) * right + (False,) * (4 - right),
                None,
                (1,) * 4,
            )
            for at in range(8)
        ]
        watcher.step(step, groups)
    writing.write(watcher, directory, "done")
    run = tmp_path / "out"
    page = write_report(run)
    found = drawn(run, page)
    assert found == [], "\n".join(found)
    told = Page(page).data["runs"][0]
    alarms = json.loads((run / "run.json").read_text(encoding="utf-8"))["alarms"]
    first = min(alarms, key=lambda one: one["step"])
    assert told["kind"] == "audit"
    window = next(one for one in metrics(run) if one["steps"]["last"] >= first["step"])
    assert told["stop"]["round"] == max(0, window["round"] - 1)
    assert told["stop"]["evidence"] == first["evidence"]
    rate = first["false_alarms_per_1000_steps"]
    assert told["stop"]["rate"].startswith(f"{rate['value']:g} ({rate['lower']:g} to ")


def test_numbers_of_a_diagnosis(tiny_model_folder: Path, prompts_file: str, tmp_path: Path) -> None:
    from srlm.diagnosis.preflight import diagnose
    from srlm.diagnosis.settings import DiagnosisSettings

    settings = DiagnosisSettings(max_new_tokens=2, samples=8)
    found = diagnose(str(tiny_model_folder), prompts_file, settings=settings, device="cpu")
    assert not isinstance(found, AnswerDiagnosis)
    write_json(tmp_path / "diagnosis.json", found.as_dict())
    page = write_diagnosis_page(found, tmp_path / "diagnosis.html")
    eigenvalues = found.effective_dimension
    computed = [len(found.prompts), *(one.mode.logprob_lower / math.log(10) for one in found.prompts)]
    computed += [one.mode.logprob_upper / math.log(10) for one in found.prompts]
    if judged := found.self_reward_against_correctness:
        computed += [one.self_reward / math.log(10) for one in judged.calibration]
    for spectrum in (eigenvalues.eigenvalues, eigenvalues.fisher.eigenvalues) if eigenvalues else ():
        computed += [value / spectrum[0] for value in spectrum]
    computed += [sum(one.mode_correct is True for one in found.prompts)]
    assert strangers(page, tmp_path, computed) == []
    for prompt, held in zip(Page(page).data["runs"][0]["prompts"], found.prompts, strict=True):
        one, known = prompt["rounds"][0], held.known
        assert known is not None
        kept = [at for at in range(len(prompt["items"])) if at not in one.get("beneath", [])]
        assert all(map(close, (one["logprobs"][at] for at in kept), known.best))
        assert sum(one["counts"]) == sum(known.times) == held.samples.count
        assert close(one["lower"], held.mode.logprob_lower)
        assert prompt["items"][0]["text"] == held.mode.text
        assert prompt["items"][one["greedy"]]["text"] == held.greedy.text
        inside = sum(n for n, among in zip(known.times, known.sample_known, strict=True) if among)
        assert sum(one["counts"][at] for at in kept) >= inside


def test_numbers_of_a_diagnosis_of_answers(tmp_path: Path) -> None:
    from srlm.diagnosis.preflight import diagnose
    from srlm.diagnosis.settings import settings_for
    from srlm.lm.subject import TINY_REASONER

    found = diagnose(TINY_REASONER, limit=12, settings=settings_for(TINY_REASONER, {"rounds": 2}))
    assert isinstance(found, AnswerDiagnosis)
    write_json(tmp_path / "diagnosis.json", found.as_dict())
    page = write_answers_page(found, tmp_path / "diagnosis.html")
    of = found.measured.answers
    assert of is not None
    computed = [len(found.prompts), of.certified - of.proved, len(found.surer_of_wrong)]
    assert strangers(page, tmp_path, computed) == []
    for prompt, held in zip(Page(page).data["runs"][0]["prompts"], found.prompts, strict=True):
        one = prompt["rounds"][0]
        counts = {item["text"]: count for item, count in zip(prompt["items"], one["counts"], strict=True) if count}
        assert counts == {each.answer: each.count for each in held.answers}
        assert close(math.exp(one["upper"]), held.majority.probability.upper)
        right = [count for item, count in zip(prompt["items"], one["counts"], strict=True) if item.get("right")]
        assert held.sample_accuracy is not None
        assert sum(right) == round(held.sample_accuracy * held.draws)


def test_the_records_pool_is_not_everything(responses: Path) -> None:
    """The check of prose has power: most numbers are not in the records."""
    pool = [
        one for file in responses.rglob("*.json") for one in numbers_of(json.loads(file.read_text(encoding="utf-8")))
    ]
    hits = sum(any(reads(f"{n / 1000:.3f}", one) for one in pool) for n in range(1500, 9500, 97))
    assert hits < 40
