"""What is attacked: commands that write, each with how it goes on after it was broken off, and how its end is compared.

A run is made by `start_run`, as the command does it but for the progress and the page, which would cost more than the
rest; `run with its page` is the command as it is.
"""

import json
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from tests.tiny import save_prompts, save_tiny_model
from tests.torture.case import Ended, Outcome, copied, forked, prepared, srlm
from tests.torture.trap import Call, calls

_TIMES = ("seconds", "created", "updated")
Inside = Callable[[], Any] | None


@dataclass(frozen=True, slots=True)
class Subject:
    """A command that writes a folder.

    Attributes:
        name: a line of the table.
        work: runs it: (folder to write, what to call in its process first) -> its end.
        again: the same after it was broken off.
        code: its exit code where all goes well.
        before: a folder that stands where it writes, before; None: there is none.
        killed, failed: only at every so many-th of its calls is it killed, or does the call fail.
        kept: what of that must not be lost at any moment: a function of the folder that raises where it is.
    """

    name: str
    work: Callable[[Path, Inside], Ended]
    again: Callable[[Path, Inside], Ended]
    code: int = 0
    before: Callable[[], Path] | None = None
    kept: Callable[[Path], Any] | None = None
    killed: int = 1
    failed: int = 1

    def place(self, folder: Path) -> Path:
        """Where it writes in a case's folder, with what stands there before."""
        out = folder / "out"
        if self.before is not None:
            copied(self.before(), out)
        return out


def base() -> Path:
    """A folder with `model` and `prompts.jsonl`."""

    def make(folder: Path) -> None:
        save_tiny_model(folder / "model")
        save_prompts(folder / "prompts.jsonl", 4)

    return prepared("base", make)


def watched() -> Path:
    """What another trainer wrote: tables of trl."""

    def make(folder: Path) -> None:
        from tests.watching.written import rows, trl

        trl(folder / "theirs", rows())

    return prepared("watched", make) / "theirs"


def _asked(level: str) -> list[str]:
    """Options of a run."""
    few = ["--rounds", "1", "--max-new-tokens", "2", "--passes", "1", "--device", "cpu"]
    few += ["--responses", "2"] if level == "response" else ["--responses", "4", "--level", "answer"]
    few += ["--answers", "regex:w\\d+"] if level == "answer" else []
    return ["--model", str(base() / "model"), "--prompts", str(base() / "prompts.jsonl"), *few]


def without_page() -> None:
    """Called in a process, it leaves out the page of a run, which costs more than the run."""
    import srlm.report.page

    srlm.report.page.write_report = lambda folder, out=None: folder / "report.html"


def run_command(level: str, *more: str, page: bool = False) -> Callable[[Path, Inside], Ended]:
    def work(out: Path, inside: Inside) -> Ended:
        def first() -> None:
            if not page:
                without_page()
            if inside is not None:
                inside()

        return srlm("run", *_asked(level), "--out", out, *more, inside=first)

    return work


def _command(*arguments: str | Path) -> Callable[[Path, Inside], Ended]:
    """A command that is begun again as it was begun; OUT stands for its folder."""

    def work(out: Path, inside: Inside) -> Ended:
        return srlm(*(out if one == "OUT" else str(one).replace("OUT", str(out)) for one in arguments), inside=inside)

    return work


def diagnose_command(level: str) -> Callable[[Path, Inside], Ended]:
    def work(out: Path, inside: Inside) -> Ended:
        few = ["--max-new-tokens", "2", "--samples", "4", "--device", "cpu"]
        few += ["--level", "answer", "--answers", "regex:w\\d+"] if level == "answer" else []
        subject = ["--model", base() / "model", "--prompts", base() / "prompts.jsonl"]
        return srlm("diagnose", *subject, *few, "--out", out, inside=inside)

    return work


def audit_command(out: Path, inside: Inside) -> Ended:
    return srlm("audit", watched(), "--out", out, inside=inside)


def simulate_command(out: Path, inside: Inside) -> Ended:
    small = ["--set", "prompts=6", "--set", "seeds=2", "--set", "rounds=2"]
    return srlm("simulate", "margin-collapse", *small, "--out", out, inside=inside)


def finished(level: str, rounds: int = 1) -> Path:
    """A run that is done, with its page."""

    def make(folder: Path) -> int:
        return run_command(level, "--rounds", str(rounds), page=True)(folder / "run", None).code

    return prepared(f"run-{level}-{rounds}", make) / "run"


def diagnosed(level: str) -> Path:
    """A diagnosis with its page."""
    return (
        prepared(f"diagnosis-{level}", lambda folder: diagnose_command(level)(folder / "diagnosis", None).code)
        / "diagnosis"
    )


def audited() -> Path:
    """The run directory of an audit with its page."""
    return prepared("audit", lambda folder: audit_command(folder / "audit", None).code % 3) / "audit"


def whole_run(out: Path) -> None:
    """Raises where a run does not open, or one of its complete stages is damaged, or its model is not whole."""
    from safetensors.torch import load_file

    from srlm.records.run_directory import RunDirectory

    directory = RunDirectory.open(out)
    for number in directory.completed_rounds():
        one = directory.round(number)
        one.read()
        one.checkpoint()
        one.read_table("samples")
        if one.is_complete("modes"):
            one.read_table("modes")
    load_file(out / "model" / "model.safetensors")
    json.loads((out / "model" / "config.json").read_text())


def whole_page(page: Path) -> None:
    """Raises where a page is not there from its beginning to its end."""
    text = page.read_text(encoding="utf-8")
    assert text.startswith("<!doctype html>"[:2]), "the page has no beginning"
    assert text.rstrip().endswith("</html>"), "the page has no end"


def whole_diagnosis(out: Path) -> None:
    """Raises where a diagnosis cannot be read, or its page is none."""
    from srlm.records.answer_diagnosis import read_answer_diagnosis
    from srlm.records.diagnosis import read_diagnosis

    assert read_answer_diagnosis(out) is not None or read_diagnosis(out) is not None
    whole_page(out / "diagnosis.html")


def whole_audit(out: Path) -> None:
    """Raises where an audit's run does not open, or has fewer rounds than it had."""
    from srlm.report.reading import read_run

    assert len(read_run(out).rounds) == 6 or len(read_run(out).rounds) == len(read_run(audited()).rounds)
    whole_page(out / "report.html")


def subjects() -> list[Subject]:
    """All of them."""
    levels = ("response", "answer")
    run = [Subject(f"a run at the level of {one}s", run_command(one), run_command(one, "--resume")) for one in levels]
    paged = [
        Subject(
            "a run with its page",
            run_command("response", page=True),
            run_command("response", "--resume", page=True),
            killed=4,
            failed=4,
        )
    ]
    grown = [
        Subject(
            f"one round more of a run at the level of {level}s",
            run_command(level, "--rounds", "2", "--resume"),
            run_command(level, "--rounds", "2", "--resume"),
            before=lambda level=level: finished(level),
            kept=whole_run,
        )
        for level in levels
    ]
    diagnoses = [
        Subject(
            f"a diagnosis at the level of {level}s",
            diagnose_command(level),
            diagnose_command(level),
            before=lambda level=level: diagnosed(level),
            kept=whole_diagnosis,
        )
        for level in levels
    ]
    others = [
        Subject("an audit", audit_command, audit_command, failed=3),
        Subject("an audit over an older one", audit_command, audit_command, before=audited, kept=whole_audit, failed=3),
        Subject(
            "the page of a run",
            _command("report", "OUT"),
            _command("report", "OUT"),
            before=lambda: finished("response"),
            kept=lambda out: (whole_run(out), whole_page(out / "report.html")),
        ),
        Subject("an experiment", simulate_command, simulate_command),
    ]
    return [*run, *paged, *grown, *diagnoses, *others]


def contents(folder: Path) -> dict[str, Any]:
    """Every file of a folder, by name, without seconds and dates; of pages and of manifests, which hold checksums of
    those, only that they are there and whole.
    """
    found: dict[str, Any] = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_dir():
            found[name] = "/"
        elif name.endswith(".manifest.json"):
            found[name] = sorted(json.loads(path.read_text(encoding="utf-8"))["files"])
        elif path.suffix == ".html":
            found[name] = whole_page(path)
        elif path.suffix == ".parquet":
            found[name] = pq.read_table(path).to_pylist()
        elif path.suffix == ".json":
            found[name] = timeless(json.loads(path.read_text(encoding="utf-8")))
        else:
            found[name] = path.read_bytes()
    return found


def timeless(document: Any) -> Any:
    """A JSON document without what time decides."""
    if isinstance(document, dict):
        return {key: timeless(value) for key, value in document.items() if key not in _TIMES}
    return [timeless(one) for one in document] if isinstance(document, list) else document


def difference(found: dict[str, Any], due: dict[str, Any]) -> str:
    """How two folders differ, in a line; empty where they do not."""
    names = sorted(found.keys() | due.keys(), key=lambda name: (name.count("/"), name))
    for name in names:
        if name not in found:
            return f"{name} is missing"
        if name not in due:
            return f"{name} is left over"
    different = [name for name in names if found[name] != due[name]]
    return f"{', '.join(different[:4])} differ" if different else ""


def undisturbed(subject: Subject) -> tuple[list[Call], dict[str, Any]]:
    """The calls by which a subject changes its folder, and what that holds in the end, when it is left alone."""

    def make(folder: Path) -> None:
        out = subject.place(folder)
        found = calls(out, lambda inside: subject.work(out, inside), subject.code)
        (folder / "found").write_bytes(pickle.dumps((found, contents(out))))

    return pickle.loads((prepared(f"end of {subject.name}", make) / "found").read_bytes())


def lost(subject: Subject, out: Path) -> str:
    """What that was finished before is not there any more, or not whole; empty where all is."""
    kept = subject.kept
    if kept is None:
        return ""
    ended = forked(lambda: kept(out))
    return ended.err.strip().splitlines()[-1] if ended.code else ""


def goes_on(subject: Subject, due: dict[str, Any], out: Path) -> Outcome:
    """Whether a subject that was broken off ends, begun again, as it is due to."""
    again = subject.again(out, None)
    if problem := again.problem(codes=(subject.code,)):
        return Outcome(problem, again.err)
    try:
        told = difference(contents(out), due)
    except (AssertionError, OSError, ValueError) as error:
        told = f"{type(error).__name__}: {error}"
    return Outcome(f"end differs: {told}" if told else "")
