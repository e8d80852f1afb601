"""What src imports is declared in pyproject.toml; read off syntax trees, so that no full environment hides a gap."""

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import distributions
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

import srlm

_ROOT = Path(__file__).parents[1]
# Floors that work on models; all others run after a plain `pip install srlm`.
_MODEL_FLOORS = {"lm", "engines", "training", "diagnosis"}
# Loaded by `srlm.watch` alone, inside a training script.
_OF_TRAINERS = "watching/trl.py"
_IMPORT_NAMES = {"scikit_learn": "sklearn"}


def _declared() -> dict[str, set[str]]:
    """Import names by extra; "" is what is always installed."""
    project = tomllib.loads((_ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lists = {"": project["dependencies"], **project["optional-dependencies"]}
    names = {
        extra: {re.split(r"[^\w.-]", requirement)[0].lower().replace("-", "_") for requirement in requirements}
        for extra, requirements in lists.items()
    }
    return {extra: {_IMPORT_NAMES.get(name, name) for name in found} for extra, found in names.items()}


def _allowed(floor: str, lazily: bool) -> set[str]:
    """What a file of a floor may import while it is loaded, and what within a function, which the command line then
    names the extra of.
    """
    declared = _declared()
    extras = {"", "lm"} if floor in (*_MODEL_FLOORS, _OF_TRAINERS) else {""}
    if lazily:
        extras |= {"lm", "gym", "math", "ray", "quantised"}
    return set().union(*(declared[extra] for extra in extras))


def _third_party(source: str) -> Iterator[tuple[str, bool]]:
    """Top-level names imported from outside Python and srlm, and whether only when a function runs; imports whose
    absence is handled on the spot are left out.
    """

    def walk(node: ast.AST, lazily: bool) -> Iterator[tuple[str, bool]]:
        if isinstance(node, ast.Try) and any(
            isinstance(handler.type, ast.Name) and handler.type.id == "ImportError" for handler in node.handlers
        ):
            return
        if isinstance(node, ast.Import):
            yield from ((alias.name, lazily) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or "", lazily
        inside = lazily or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for child in ast.iter_child_nodes(node):
            yield from walk(child, inside)

    for module, lazily in walk(ast.parse(source), False):
        top = module.partition(".")[0]
        if top != "srlm" and top not in sys.stdlib_module_names:
            yield top, lazily


def test_every_import_is_declared_for_its_floor() -> None:
    undeclared = []
    package = _ROOT / "src" / "srlm"
    for path in sorted(package.rglob("*.py")):
        inside = path.relative_to(package)
        floor = _OF_TRAINERS if inside.as_posix() == _OF_TRAINERS else inside.parts[0]
        undeclared += [
            f"{path.relative_to(_ROOT)}: {name}"
            for name, lazily in _third_party(path.read_text(encoding="utf-8"))
            if name not in _allowed(floor, lazily)
        ]
    assert not undeclared


@pytest.mark.parametrize(
    ("source", "imports"),
    [
        ("import os, numpy.linalg", [("numpy", False)]),
        ("from srlm.errors import InputError", []),
        ("if TYPE_CHECKING:\n    from torch import Tensor", [("torch", False)]),
        ("def f():\n    import torch.nn as nn", [("torch", True)]),
        ("class A:\n    async def f(self):\n        from ray.util import joblib", [("ray", True)]),
        ("try:\n    import ray\nexcept ImportError:\n    pass", []),
        ("try:\n    import ray\nexcept OSError:\n    pass", [("ray", False)]),
    ],
)
def test_imports_are_seen_where_they_stand(source: str, imports: list[tuple[str, bool]]) -> None:
    assert list(_third_party(source)) == imports


def _name(distribution: str) -> str:
    return re.sub(r"[-_.]+", "-", distribution).lower()


def test_everything_installed_is_pinned_to_the_version_that_is_installed() -> None:
    lines = (_ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = {_name(name): version for name, version in (one.split("==") for one in lines if not one.startswith("#"))}
    # A CPU build says so after a "+"; what is installed from its sources is us.
    there = {_name(one.name): one.version.partition("+")[0] for one in distributions() if _name(one.name) != "srlm"}
    # Where no CPU build lies at hand (Python 3.12 and newer), torch brings CUDA, pinned by itself.
    there = {name: one for name, one in there.items() if not name.startswith(("nvidia-", "cuda-", "triton"))}
    others = {name: (version, pins.get(name)) for name, version in there.items() if pins.get(name) != version}
    assert not others, "installed, and what constraints.txt says"


def test_what_is_declared_holds_what_is_pinned() -> None:
    project = tomllib.loads((_ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = (_ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = {_name(name): version for name, version in (one.split("==") for one in lines if not one.startswith("#"))}
    lists = [project["dependencies"], *project["optional-dependencies"].values()]
    declared = [Requirement(one) for requirements in lists for one in requirements]
    outside = [str(one) for one in declared if _name(one.name) in pins and pins[_name(one.name)] not in one.specifier]
    unpinned = {one.name for one in declared if _name(one.name) not in pins}
    assert not outside
    assert unpinned == {"bitsandbytes"}  # needs an accelerator; no environment of ours has it


def test_the_workflow_pins_its_actions_by_commit_and_runs_what_there_is() -> None:
    text = (_ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8")
    workflow = yaml.safe_load(text)
    steps = [step for job in workflow["jobs"].values() for step in job["steps"]]
    used = [step["uses"] for step in steps if "uses" in step]
    assert used
    assert all(re.fullmatch(r"actions/[\w-]+@[0-9a-f]{40}", one) for one in used)
    assert workflow["permissions"] == {"contents": "read"}
    targets = set(re.findall(r"^([\w-]+):", (_ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    commands = [step["run"] for step in steps if "run" in step]
    assert {one.split()[1] for one in commands if one.startswith("make ")} <= targets
    for one in commands:
        assert all((_ROOT / path).exists() for path in re.findall(r"tests/\S+", one))
    versions = workflow["jobs"]["tests"]["strategy"]["matrix"]["python"]
    classifiers = tomllib.loads((_ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["classifiers"]
    assert versions == re.findall(r"Python :: (3\.\d+)", "\n".join(classifiers))


def test_the_citation_is_of_this_version() -> None:
    citation = yaml.safe_load((_ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == srlm.__version__
    # What the schema of CFF 1.2.0 demands, and what it names a licence.
    assert {"cff-version", "message", "title", "authors"} <= set(citation)
    assert citation["cff-version"] == "1.2.0"
    assert citation["type"] == "software"
    assert citation["license"] == "Apache-2.0"
    assert all(set(one) <= {"name", "family-names", "given-names"} and one for one in citation["authors"])
    assert all({"type", "title", "authors"} <= set(one) for one in citation["references"])
