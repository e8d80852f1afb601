"""Mutation test of srlm/theory: how many small mistakes in the formulas do `srlm verify` and the tests notice?

Usage: python benchmarks/mutation.py [MODULE ...]     (default: every module of srlm/theory)

Each mutant differs from the source in one place: a constant off by 1 % (or by 1 where it is whole), an operator
swapped, a comparison turned round, a returned value off by 1 %. Constants below 1e-8 or above 1e5 are tolerances and
guards, whose exact value is no claim; they are left alone. A mutant is killed when `srlm verify` fails on it, when
the module's tests in tests/theory do (asked where `srlm verify` does not), or when either runs past a limit of CPU
time. Only checks and tests that run the mutant's statement on the source as it is are asked (the others cannot notice
it), quick ones first, up to the first failure. Mutants run in forked children of one process that has everything
imported, one child for each processor that this process may use.
Prints a Markdown table and every survivor, and progress to stderr; committed as benchmarks/results/mutation.md.
"""

import ast
import contextlib
import importlib.abc
import importlib.util
import inspect
import io
import itertools
import multiprocessing
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import _hypothesis_pytestplugin
import hypothesis
import mpmath
import pytest
import pytest_timeout
import scipy.optimize
import scipy.special

_PRELOADED = (_hypothesis_pytestplugin, hypothesis, mpmath, pytest_timeout, scipy.optimize, scipy.special)
_ROOT = Path(__file__).resolve().parents[1]
_THEORY = _ROOT / "src" / "srlm" / "theory"
_SECONDS = 3600  # of the clock; what has not been killed by then counts as a survivor
_CPU = {"verify": 20, "tests": 240}  # seconds; both take a tenth of it on the source as it is
_SOURCES = {str(path): path.stem for path in sorted(_THEORY.glob("*.py")) if path.stem != "__init__"}
_SWAPS: dict[type, type] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.Pow: ast.Mult,
    ast.Lt: ast.GtE, ast.GtE: ast.Lt, ast.Gt: ast.LtE, ast.LtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.And: ast.Or, ast.Or: ast.And,
}  # fmt: skip


class Mutant(NamedTuple):
    """A source with one small mistake.

    Attributes:
        module, line, what: where, and what was changed.
        source: the whole module.
        lines: (file, number) of the statement around it, in the source as it is; None for what runs at import.
    """

    module: str
    line: int
    what: str
    source: str
    lines: set[tuple[str, int]] | None


def mutants(path: str) -> Iterator[Mutant]:
    """One place each; docstrings, annotations and messages are left alone."""
    source = Path(path).read_text()
    for at in range(sum(1 for _ in _edits(ast.parse(source)))):
        tree = ast.parse(source)
        node, apply = next(itertools.islice(_edits(tree), at, None))
        before, kind, line, around = ast.unparse(node), type(node).__name__, node.lineno, _statement(tree, node)
        lines = None if around is None else {(path, number) for number in around}
        yield Mutant(_SOURCES[path], line, f"{kind}: {before} -> {apply()}", ast.unparse(tree), lines)


def _statement(tree: ast.Module, node: ast.AST) -> range | None:
    """Lines of the innermost statement around a place; None for defaults, which are read when a module is imported."""
    around = [
        range(one.lineno, (one.end_lineno or one.lineno) + 1)
        for one in ast.walk(tree)
        if isinstance(one, ast.stmt)
        and not isinstance(one, ast.FunctionDef | ast.ClassDef)
        and any(part is node for part in ast.walk(one))
    ]
    return min(around, key=len, default=None)


def _edits(tree: ast.Module) -> Iterator[tuple[Any, Any]]:
    for function in ast.walk(tree):
        if isinstance(function, ast.FunctionDef):
            for default in [*function.args.defaults, *function.args.kw_defaults]:
                if default is not None:
                    yield from _in_expression(default)
            for statement in function.body:
                yield from _in_statement(statement)


def _in_statement(node: ast.AST) -> Iterator[tuple[Any, Any]]:
    if isinstance(node, ast.FunctionDef | ast.Raise):
        return
    if isinstance(node, ast.Return) and node.value is not None and _is_number(node.value):
        yield node, lambda: _scale(node)
    if isinstance(node, ast.AnnAssign):
        if node.value is not None:
            yield from _in_expression(node.value)
        return
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.stmt):
            yield from _in_statement(child)
        elif isinstance(child, ast.expr | ast.withitem | ast.comprehension):
            yield from _in_expression(child)


def _in_expression(node: ast.AST) -> Iterator[tuple[Any, Any]]:
    if isinstance(node, ast.JoinedStr):
        return
    if isinstance(node, ast.Constant) and _is_claim(node.value):
        yield node, lambda: _nudge(node)
    operator = node.ops[0] if isinstance(node, ast.Compare) else getattr(node, "op", None)
    if type(operator) in _SWAPS and not (isinstance(node, ast.BinOp) and _is_text(node)):
        yield node, lambda: _swap(node)
    for child in ast.iter_child_nodes(node):
        yield from _in_expression(child)


def _is_claim(value: Any) -> bool:
    """Whether a constant is part of a formula, not a tolerance or a guard."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return value == 0 or 1e-8 < abs(value) < 1e5


def _is_number(value: ast.expr) -> bool:
    """Whether a returned expression is a number on its face: arithmetic, or `result(...)`, `float(...)`."""
    if isinstance(value, ast.Call) and isinstance(value.func, ast.Name):
        return value.func.id in ("result", "float")
    return isinstance(value, ast.BinOp) and not _is_text(value)


def _is_text(node: ast.BinOp) -> bool:
    return any(isinstance(part, ast.JoinedStr) or (isinstance(part, ast.Constant) and isinstance(part.value, str))
               for part in ast.walk(node))  # fmt: skip


def _scale(node: Any) -> str:
    node.value = ast.BinOp(node.value, ast.Mult(), ast.Constant(1.01))
    return ast.unparse(node)


def _nudge(node: Any) -> str:
    value = node.value
    node.value = value + 1 if isinstance(value, int) else value * 1.01 if value else 0.01
    return ast.unparse(node)


def _swap(node: Any) -> str:
    if isinstance(node, ast.Compare):
        node.ops[0] = _SWAPS[type(node.ops[0])]()
    else:
        node.op = _SWAPS[type(node.op)]()
    return ast.unparse(node)


@dataclass
class Trial:
    """A group of checks or a test on the source as it is: how long it took, and which lines of srlm/theory it ran."""

    seconds: float
    lines: set[tuple[str, int]]
    state: Any = None  # of the random numbers that the group of checks began with

    def meets(self, mutant: Mutant) -> bool:
        return mutant.lines is None or not self.lines.isdisjoint(mutant.lines)


@dataclass
class Trials:
    """All of them; `always` are the lines that run before any test does."""

    checks: dict[tuple[str, str], Trial] = field(default_factory=dict)
    tests: dict[str, Trial] = field(default_factory=dict)
    always: set[tuple[str, int]] = field(default_factory=set)


@contextlib.contextmanager
def _recording(lines: set[tuple[str, int]]) -> Iterator[None]:
    """Adds the lines of srlm/theory that run meanwhile."""

    def enter(frame: Any, *_: Any) -> Any:
        return inside(frame) if frame.f_code.co_filename in _SOURCES else None

    def inside(frame: Any, *_: Any) -> Any:
        lines.add((frame.f_code.co_filename, frame.f_lineno))
        return inside

    sys.settrace(enter)
    try:
        yield
    finally:
        sys.settrace(None)


class Nearest:
    """Chooses the tests that run a mutant's statement, quick ones first; without a mutant it records what they run."""

    def __init__(self, mutant: Mutant | None, trials: Trials) -> None:
        self.mutant, self.trials = mutant, trials

    @pytest.hookimpl(wrapper=True)
    def pytest_collection(self) -> Iterator[None]:
        with _recording(self.trials.always) if self.mutant is None else contextlib.nullcontext():
            return (yield)

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        if self.mutant is not None:
            known, everything = self.trials.tests, Trial(0.0, self.trials.always).meets(self.mutant)
            tried = (one for one in items if one.nodeid in known)
            items[:] = [one for one in tried if everything or known[one.nodeid].meets(self.mutant)]
            items.sort(key=lambda one: known[one.nodeid].seconds)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        trial = Trial(-time.process_time(), set())
        with _recording(trial.lines) if self.mutant is None else contextlib.nullcontext():
            answer = yield
        if self.mutant is None:
            trial.seconds += time.process_time()
            self.trials.tests[item.nodeid] = trial
        return answer


class Changed(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Has a mutant imported in place of its module."""

    def __init__(self, mutant: Mutant) -> None:
        self.mutant = mutant

    def find_spec(self, name: str, path: Any, target: Any = None) -> Any:
        return importlib.util.spec_from_loader(name, self) if name == f"srlm.theory.{self.mutant.module}" else None

    def exec_module(self, module: Any) -> None:
        exec(compile(self.mutant.source, "<mutant>", "exec"), module.__dict__)


def judge(modules: list[str], mutant: Mutant | None, trials: Trials, sink: Any) -> str:
    """What kills a mutant of one of these modules in this (forked) process: "verify" or "tests", or "survived". Without
    a mutant the source is taken as it is, and fills `trials`.
    """
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere), contextlib.redirect_stderr(nowhere):
        if mutant is not None:
            sys.meta_path.insert(0, Changed(mutant))
        _limit("verify", sink)
        try:
            from srlm import verification
        except Exception:
            return "verify"
        fine = _noticed_by_none(verification, mutant, trials) if mutant else _record_checks(verification, trials)
        if not fine:
            return "verify"
        _limit("tests", sink)
        # Plain assertions: modules imported before the fork cannot be rewritten. Torch and plugins are slow to import.
        os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
        plugins = ("pytest_timeout", "_hypothesis_pytestplugin", "no:cacheprovider")
        options = ["-x", "-q", "--timeout=0", "--assert=plain", "-k", "not tensors", *(f"-p{name}" for name in plugins)]
        files = sorted({str(path) for module in modules for path in _tests(module)})
        code = pytest.main([*options, *files], plugins=[Nearest(mutant, trials)])
    if code not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED, pytest.ExitCode.NO_TESTS_COLLECTED):
        raise RuntimeError(f"pytest ended with {code}")
    return "tests" if code == pytest.ExitCode.TESTS_FAILED else "survived"


def _record_checks(verification: Any, trials: Trials) -> bool:
    """Runs `verify`, and takes down of each group of checks what `Trial` says."""
    for part in verification._PARTS:
        for name, group in inspect.getmembers(part, inspect.isgeneratorfunction):
            if name != "checks" and group.__module__ == part.__name__:
                setattr(part, name, _recorded(group, trials))
    return all(check.ok for check in verification.checks())


def _recorded(group: Any, trials: Trials) -> Any:
    def run(rng: Any) -> Iterator[Any]:
        trial = Trial(-time.process_time(), set(), rng.bit_generator.state)
        with _recording(trial.lines):
            found = list(group(rng))
        trial.seconds += time.process_time()
        trials.checks[group.__module__, group.__name__] = trial
        yield from found

    return run


def _noticed_by_none(verification: Any, mutant: Mutant, trials: Trials) -> bool:
    """Runs the groups of checks that run the mutant's statement, quick ones first, each from the random numbers that it
    begins with on the source as it is; the others cannot notice.
    """
    for (part, name), trial in sorted(trials.checks.items(), key=lambda one: one[1].seconds):
        if trial.meets(mutant):
            rng = verification.np.random.default_rng()
            rng.bit_generator.state = trial.state
            try:
                if not all(check.ok for check in getattr(sys.modules[part], name)(rng)):
                    return False
            except Exception:  # which `verify` makes a failed check of
                return False
    return True


def _limit(stage: str, sink: Any) -> None:
    """Past the stage's share of CPU time, which other processes do not take, the mutant counts as killed by it."""

    def give_up(*_: Any) -> None:
        sink.send((stage, {}))
        os._exit(0)

    signal.signal(signal.SIGPROF, give_up)
    signal.setitimer(signal.ITIMER_PROF, _CPU[stage])


def _tests(module: str) -> list[Path]:
    """The test files that are about a module: its own and those of extremes and edges, or what the others share."""
    folder = _ROOT / "tests" / "theory"
    own = folder / f"test_{module}.py"
    if own.exists() and module != "planning":
        return [own, folder / "test_certain_extremes.py", folder / "test_domains.py"]
    names = ("check_values", "planning", "measured", "properties", "domains")
    return [folder / f"test_{name}.py" for name in names]


def _child(modules: list[str], mutant: Mutant | None, trials: Trials, sink: Any) -> None:
    os.setpgrp()
    outcome = judge(modules, mutant, trials, sink)
    sink.send((outcome, trials if mutant is None else None))


def _in_child(modules: list[str], mutant: Mutant | None, trials: Trials) -> tuple[str, Trials]:
    """Judges in a child of its own, which is killed past the time limit."""
    receive, send = multiprocessing.Pipe(duplex=False)
    child = multiprocessing.get_context("fork").Process(target=_child, args=(modules, mutant, trials, send))
    child.start()
    send.close()
    outcome, found = "survived", None
    if receive.poll(_SECONDS):
        outcome, found = receive.recv()  # EOFError: the judge itself broke, which must not count as a kill
    if child.is_alive():
        with contextlib.suppress(ProcessLookupError):
            os.kill(child.pid or 0, signal.SIGKILL)
    child.join()
    return outcome, found or trials


def run_one(mutant: Mutant, trials: Trials) -> str:
    """What kills one mutant; says so on stderr."""
    outcome, _ = _in_child([mutant.module], mutant, trials)
    print(f"{mutant.module}.py:{mutant.line} {mutant.what}: {outcome}", file=sys.stderr, flush=True)
    return outcome


def main() -> None:
    wanted = sys.argv[1:] or list(_SOURCES.values())
    if any(name.startswith("srlm") for name in sys.modules):
        raise SystemExit("srlm was imported before its mutants")
    if _ROOT not in Path(getattr(importlib.util.find_spec("srlm"), "origin", None) or "").parents:
        raise SystemExit(f"srlm is not taken from {_ROOT}")
    os.chdir(_ROOT)
    hypothesis.settings.register_profile("mutants", deadline=None, derandomize=True, database=None)
    hypothesis.settings.load_profile("mutants")  # a busy machine must not fail a test
    began, edited = time.perf_counter(), time.time()
    outcome, trials = _in_child(wanted, None, Trials())
    if outcome != "survived":
        raise SystemExit("the checks or tests fail on the source as it is")
    found = [one for path, module in _SOURCES.items() if module in wanted for one in mutants(path)]
    with ThreadPoolExecutor(max_workers=len(os.sched_getaffinity(0))) as pool:
        outcomes = list(pool.map(lambda one: run_one(one, trials), found))
    if any(one.stat().st_mtime > edited for name in ("src", "tests") for one in (_ROOT / name).rglob("*.py")):
        raise SystemExit("files were edited meanwhile, which would count as kills")
    killed, verified, total = Counter(), Counter(), Counter()
    out = io.StringIO()
    for mutant, outcome in zip(found, outcomes, strict=True):
        total[mutant.module] += 1
        killed[mutant.module] += outcome != "survived"
        verified[mutant.module] += outcome == "verify"
        if outcome != "verify":
            verdict = "(tests)" if outcome == "tests" else "**survived**"
            print(f"- `{mutant.module}.py:{mutant.line}` {mutant.what} {verdict}", file=out)
    print("| module | mutants | killed | share | by `srlm verify` alone | share |\n|---|---|---|---|---|---|")
    for module in (*filter(total.get, wanted), "**all**"):
        row = [sum(count.values()) if module == "**all**" else count[module] for count in (total, killed, verified)]
        print(f"| {module} | {row[0]} | {row[1]} | {row[1] / row[0]:.1%} | {row[2]} | {row[2] / row[0]:.1%} |")
    print(f"\n{time.perf_counter() - began:.0f} s. Not noticed by `srlm verify`:\n\n{out.getvalue()}")


if __name__ == "__main__":
    main()
