import json
import tempfile
from collections import Counter
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from srlm.errors import InputError
from srlm.records.run_directory import RunDirectory
from srlm.report.page import names_of, report, write_comparison, write_report

MakeRun = Callable[..., Path]
ATTACK = "<script>alert(1)</script><img src=x onerror=alert(2)>\"' {{ 7*7 }} \x1b[31m\u202e</table>"


class Reader(HTMLParser):
    """Elements, attributes and the text outside scripts and styles."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: Counter[str] = Counter()
        self.attributes: list[tuple[str, str, str]] = []
        self.text, self.data, self._in = "", "", ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        self._in = ("data" if ("id", "page") in attrs else tag) if tag in ("script", "style") else ""

    def handle_endtag(self, tag: str) -> None:
        self._in = "" if tag in ("script", "style") else self._in

    def handle_data(self, data: str) -> None:
        if self._in == "data":
            self.data += data
        elif not self._in:
            self.text += data


def read(path: Path) -> Reader:
    return Reader(path.read_text(encoding="utf-8"))


def test_page_says_what_was_measured(make_run: MakeRun, tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    text = read(write_report(run)).text
    first, last = (json.loads((run / f"rounds/0{at}/metrics.json").read_text()) for at in (0, 3))
    assert f"fell from {first['kappa']['upper']:.3g} to {last['kappa']['upper']:.3g} in 3 rounds" in text
    before, after = (one["held_out"]["accuracy"]["sample"] for one in (first, last))
    headline = f"held-out prompts are right {100 * after:.0f}% of the time, up from {100 * before:.0f}%"
    assert headline in text or "no certain difference" in text
    for split in (last, last["held_out"]):
        assert f"{100 * split['accuracy']['sample']:.0f}%" in text
        assert f"{100 * split['failure_rate']['upper']:.0f}%" in text
    prompts = json.loads(read(run / "report.html").data)["runs"][0]["prompts"]
    assert {one["prompt"] for one in prompts} >= {"question 3 ", "question 103 "}
    assert "2.13.0+cpu" in text


def test_page_makes_no_request(make_run: MakeRun, tmp_path: Path) -> None:
    reader = read(write_report(make_run(tmp_path / "run")))
    fetching = [one for one in reader.attributes if one[1] in ("src", "href", "srcset", "action", "data")]
    assert fetching[0] == ("link", "href", "data:,")
    assert all(one[:2] == ("a", "href") and one[2].startswith("#") for one in fetching[1:])
    policy = next(value for _, name, value in reader.attributes if name == "content" and "default-src" in value)
    assert "default-src 'none'" in policy


def test_page_without_rounds_is_drawn(make_run: MakeRun, tmp_path: Path) -> None:
    empty = RunDirectory.create(tmp_path / "run", {"model": "toy", "rounds": 2}, {}).path
    written = write_report(empty)
    assert json.loads(read(written).data).get("charts") is None
    assert "No round has been measured yet" in read(written).text
    assert "in progress: 0 of 2" in read(written).text


@pytest.mark.parametrize(
    ("rounds", "status", "said"), [(0, "running", "0 of 5"), (2, "running", "2 of 5"), (2, "failed", "failed")]
)
def test_page_is_drawn_while_a_run_is_unfinished(
    make_run: MakeRun, tmp_path: Path, rounds: int, status: str, said: str
) -> None:
    run = make_run(tmp_path / "run", rounds=rounds, planned=5, status=status, reason="disk <full>")
    text = read(write_report(run)).text
    assert said in text
    assert "disk <full>" in text


def test_page_without_held_out_prompts_says_so(make_run: MakeRun, tmp_path: Path) -> None:
    assert "No prompts were held out" in read(write_report(make_run(tmp_path / "run", held_out=False))).text


def test_page_adds_no_element_for_what_models_wrote(make_run: MakeRun, tmp_path: Path) -> None:
    plain = read(write_report(make_run(tmp_path / "plain", exported=2)))
    attacked = make_run(tmp_path / "attacked", word=ATTACK, exported=2)
    written = write_report(attacked)
    reader = read(written)
    assert reader.tags == plain.tags
    assert "<script>alert(1)</script>" in reader.text, "the text itself is shown"
    assert "<" not in reader.data
    assert "<script>alert(1)</script>" in json.loads(reader.data)["runs"][0]["prompts"][0]["prompt"]
    assert not any(name.startswith("on") for _, name, _ in reader.attributes)
    assert not any("<data" in value for _, _, value in reader.attributes), "no element in an attribute"
    assert not {"\ue000", "\ue001", "\ue002"} & set(written.read_text())
    assert "\x1b" not in written.read_text()
    assert "\u202e" not in written.read_text()
    assert "{{ 7*7 }}" in reader.text


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(word=st.text(max_size=60))
def test_page_has_the_same_elements_whatever_a_model_wrote(make_run: MakeRun, word: str) -> None:
    word = word.encode("utf-8", "ignore").decode()  # tables hold UTF-8; lone surrogates cannot reach them
    with tempfile.TemporaryDirectory() as folder:
        plain = read(write_report(make_run(Path(folder) / "a", rounds=1, word="w" * len(word))))
        other = read(write_report(make_run(Path(folder) / "b", rounds=1, word=word)))
    assert other.tags == plain.tags
    assert not {"<", "&", "\u2028", "\u2029"} & set(other.data)
    json.loads(other.data)


def test_page_of_damaged_records_is_refused_and_the_old_page_stays(make_run: MakeRun, tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    old = write_report(run).read_bytes()
    metrics = run / "rounds/01/metrics.json"
    metrics.write_bytes(metrics.read_bytes()[:-10])
    with pytest.raises(InputError, match=r"metrics\.json has \d+ bytes instead of"):
        write_report(run)
    assert (run / "report.html").read_bytes() == old


def test_page_survives_a_full_disk(make_run: MakeRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = make_run(tmp_path / "run")
    old = write_report(run).read_bytes()

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_report(run)
    assert (run / "report.html").read_bytes() == old
    assert not list(run.glob("report.html.*"))


def test_comparison_names_runs_apart_and_lists_what_differs(make_run: MakeRun, tmp_path: Path) -> None:
    one = make_run(tmp_path / "a" / "run", configuration={"learning_rate": 0.1})
    two = make_run(tmp_path / "b" / "run", configuration={"learning_rate": 0.3}, move_modes=True)
    reader = read(write_comparison([one, two], tmp_path / "both.html"))
    assert str(one) in reader.text
    assert str(two) in reader.text
    assert "learning_rate" in reader.text
    assert "max_grad_norm" not in reader.text
    data = json.loads(reader.data)
    assert [one["key"] for one in data["charts"]] == [
        f"{what}-{split}" for split in ("train", "held_out") for what in ("kappa", "accuracy")
    ]
    assert len(data["runs"]) == 2


def test_names_are_different_even_for_the_same_folder_twice(tmp_path: Path) -> None:
    assert len(set(names_of([tmp_path / "x", tmp_path / "x", tmp_path / "y" / "x"]))) == 3


def test_report_is_json_and_needs_a_file_for_several_runs(make_run: MakeRun, tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    said = json.loads(json.dumps(report([run]), allow_nan=False))
    assert not {"\ue000", "\ue001", "\ue002"} & set(str(said)), "no marks leave a page"
    assert said["report"] == str(run / "report.html")
    assert said["runs"][0]["rounds"] == [0, 1, 2, 3]
    with pytest.raises(InputError, match="--out"):
        report([run, run])
    with pytest.raises(InputError, match="is a folder"):
        report([run], tmp_path)
