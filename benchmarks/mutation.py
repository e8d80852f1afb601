"""Mutation test of srlm/theory: how many small mistakes in the formulas do `srlm verify` and the tests notice?

Usage: python benchmarks/mutation.py [MODULE ...]     (default: every module of srlm/theory)

Each mutant differs from the source in one place: a constant off by 1 % (or by 1 where it is whole), an operator
swapped, a comparison turned round, a returned value off by 1 %. Constants below 1e-8 or above 1e5 are tolerances and
guards, whose exact value is no claim; they are left alone. A mutant is killed when `srlm verify` fails on it, when
the module's tests in tests/theory do (asked where `srlm verify` does not), or when either runs past a limit of CPU
time. Both stop at the first failure, and the checks that are about the module come first. Mutants run in forked
children of one process that has everything imported, one child for each processor that this process may use.
Prints a Markdown table and every survivor, and progress to stderr; the committed output is
benchmarks/results/mutation.md.
"""

import ast
import contextlib
import importlib.util
import io
import multiprocessing
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

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
_CPU = {"verify": 20, "tests": 120}  # seconds; both take a tenth of it on the source as it is
_SWAPS: dict[type, type] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.Pow: ast.Mult,
    ast.Lt: ast.GtE, ast.GtE: ast.Lt, ast.Gt: ast.LtE, ast.LtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.And: ast.Or, ast.Or: ast.And,
}  # fmt: skip


def mutants(source: str) -> Iterator[tuple[int, str, str]]:
    """(line, what was changed, new source), one place each; docstrings, annotations and messages are left alone."""
    places = list(_places(ast.parse(source)))
    for at, (kind, line) in enumerate(places):
        tree = ast.parse(source)
        node, apply = next((n, a) for k, (n, a) in enumerate(_edits(tree)) if k == at)
        before = ast.unparse(node)
        after = apply()
        yield line, f"{kind}: {before} -> {after}", ast.unparse(tree)


def _places(tree: ast.Module) -> Iterator[tuple[str, int]]:
    for node, _ in _edits(tree):
        yield type(node).__name__, node.lineno


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
    if isinstance(node, ast.BinOp) and type(node.op) in _SWAPS and not _is_text(node):
        yield node, lambda: _swap(node)
    if isinstance(node, ast.BoolOp):
        yield node, lambda: _swap(node)
    if isinstance(node, ast.Compare) and type(node.ops[0]) in _SWAPS:
        yield node, lambda: _compare(node)
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
    node.op = _SWAPS[type(node.op)]()
    return ast.unparse(node)


def _compare(node: Any) -> str:
    node.ops[0] = _SWAPS[type(node.ops[0])]()
    return ast.unparse(node)


class _Quickest:
    """Runs quick tests first, by how long each took on the source as it is: they kill most mutants."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items.sort(key=lambda item: self.seconds.get(item.nodeid, 0.0))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.seconds[report.nodeid] = self.seconds.get(report.nodeid, 0.0) + report.duration


_QUICKEST = _Quickest()


def judge(module: str, source: str, sink: Any) -> str:
    """One mutant in this (forked) process: what kills it, "verify" or "tests", or "survived"."""
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere), contextlib.redirect_stderr(nowhere):
        loader = importlib.import_module("importlib.abc")
        name = f"srlm.theory.{module}"

        class Mutant(loader.Loader):
            def exec_module(self, found: Any) -> None:
                exec(compile(source, f"<mutant {name}>", "exec"), found.__dict__)

        class Finder(loader.MetaPathFinder):
            def find_spec(self, wanted: str, path: Any, target: Any = None) -> Any:
                return importlib.util.spec_from_loader(wanted, Mutant()) if wanted == name else None

        sys.meta_path.insert(0, Finder())
        _limit("verify", sink)
        try:
            from srlm.verification import checks
        except Exception:
            return "verify"
        if not all(check.ok for check in checks(first=module)):
            return "verify"
        _limit("tests", sink)
        # Plain assertions: modules imported before the fork cannot be rewritten. Torch takes long to import, and so
        # do plugins that nothing here uses.
        os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
        plugins = ("pytest_timeout", "_hypothesis_pytestplugin", "no:cacheprovider")
        options = ["-x", "-q", "--timeout=0", "--assert=plain", "-k", "not tensors", *(f"-p{name}" for name in plugins)]
        code = pytest.main([*options, *map(str, _tests(module))], plugins=[_QUICKEST])
    if code not in (0, 1):
        raise RuntimeError(f"pytest ended with {code}")
    return "survived" if code == 0 else "tests"


def _limit(stage: str, sink: Any) -> None:
    """Past the stage's share of CPU time, which other processes do not take, the mutant counts as killed by it."""

    def give_up(*_: Any) -> None:
        sink.send((stage, {}))
        os._exit(0)

    signal.signal(signal.SIGPROF, give_up)
    signal.setitimer(signal.ITIMER_PROF, _CPU[stage])


def _tests(module: str) -> list[Path]:
    """The test files that are about a module: its own and that of extremes, or those that the first modules share."""
    folder = _ROOT / "tests" / "theory"
    own = folder / f"test_{module}.py"
    if own.exists() and module != "planning":
        return [own, folder / "test_certain_extremes.py"]
    names = ("check_values", "planning", "measured", "properties", "domains")
    return [folder / f"test_{name}.py" for name in names]


def _child(module: str, source: str, sink: Any) -> None:
    os.setpgrp()
    sink.send((judge(module, source, sink), _QUICKEST.seconds))


def run_one(task: tuple[str, int, str, str]) -> tuple[str, int, str, str]:
    """Judge one mutant in a child of its own, which is killed past the time limit."""
    module, line, what, source = task
    receive, send = multiprocessing.Pipe(duplex=False)
    child = multiprocessing.get_context("fork").Process(target=_child, args=(module, source, send))
    child.start()
    send.close()
    outcome, seconds = "survived", {}
    if receive.poll(_SECONDS):
        outcome, seconds = receive.recv()  # EOFError: the judge itself broke, which must not count as a kill
    if child.is_alive():
        with contextlib.suppress(ProcessLookupError):
            os.kill(child.pid or 0, signal.SIGKILL)
    child.join()
    if not line:
        _QUICKEST.seconds = seconds
    print(f"{module}.py:{line} {what}: {outcome}", file=sys.stderr, flush=True)
    return module, line, what, outcome


def _require_passing(modules: list[str]) -> None:
    """The tests must pass on the source itself, taken the same way as a mutant."""
    for module in modules:
        outcome = run_one((module, 0, "", ast.unparse(ast.parse((_THEORY / f"{module}.py").read_text()))))[-1]
        if outcome != "survived":
            raise SystemExit(f"the tests fail on {module} as it is")


def main() -> None:
    wanted = sys.argv[1:] or [path.stem for path in sorted(_THEORY.glob("*.py")) if path.stem != "__init__"]
    if any(name.startswith("srlm") for name in sys.modules):
        raise SystemExit("srlm was imported before its mutants")
    os.chdir(_ROOT)
    hypothesis.settings.register_profile("mutants", deadline=None, derandomize=True, database=None)
    hypothesis.settings.load_profile("mutants")  # a busy machine must not fail a test
    tasks = [
        (module, line, what, source)
        for module in wanted
        for line, what, source in mutants((_THEORY / f"{module}.py").read_text())
    ]
    began = time.perf_counter()
    _require_passing(wanted)
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(max_workers=len(os.sched_getaffinity(0))) as pool:
        outcomes = list(pool.map(run_one, tasks))
    _require_passing(wanted)  # again: files edited meanwhile would count as kills
    killed, verified, total = Counter(), Counter(), Counter()
    out = io.StringIO()
    for module, line, what, outcome in outcomes:
        total[module] += 1
        killed[module] += outcome != "survived"
        verified[module] += outcome == "verify"
        if outcome != "verify":
            print(f"- `{module}.py:{line}` {what}" + (" (tests)" if outcome == "tests" else " **survived**"), file=out)
    print("| module | mutants | killed | share | by `srlm verify` alone | share |\n|---|---|---|---|---|---|")
    for module in (*filter(total.get, wanted), "**all**"):
        row = [sum(count.values()) if module == "**all**" else count[module] for count in (total, killed, verified)]
        print(f"| {module} | {row[0]} | {row[1]} | {row[1] / row[0]:.1%} | {row[2]} | {row[2] / row[0]:.1%} |")
    print(f"\n{time.perf_counter() - began:.0f} s. Not noticed by `srlm verify`:\n\n{out.getvalue()}")


if __name__ == "__main__":
    main()
