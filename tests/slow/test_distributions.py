"""sdist and wheel: the same bytes wherever they are built, with everything that srlm needs in them and nothing else."""

import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections import Counter
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

_ROOT = Path(__file__).parents[2]
_PYTHON_FOLDERS = {
    "cli", "diagnosis", "engines", "lm", "measure", "policies", "records", "report", "rewards", "simulation",
    "simulation/experiments", "tasks", "theory", "training", "training/updates", "verification", "watching",
}  # fmt: skip
# What is in the wheel beside Python, by folder of the package.
_DATA = {
    "": {"py.typed"},
    "lm/data/tiny_reasoner": {
        "config.json", "generation_config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json",
    },
    "tasks/data": {"chains.jsonl", "questions.jsonl", "reasoning.jsonl", "unrelated.txt"},
    "watching": {"measured.json"},
}  # fmt: skip
_TEMPLATES = {".css", ".html", ".js"}
_TOP = {
    "CHANGELOG.md", "CITATION.cff", "CONTRIBUTING.md", "LICENSE", "Makefile", "NOTICE", "PKG-INFO", "README.md",
    "SECURITY.md", "benchmarks", "constraints.txt", "docs", "mkdocs.yml", "pyproject.toml", "src", "tests",
    ".gitignore",
}  # fmt: skip


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two folders with an sdist and a wheel each: built in different places, at different times, from files with
    different modes and dates, with the backend of constraints.txt.
    """
    folder = tmp_path_factory.mktemp("built")
    subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True)
    python, pins = folder / "venv" / "bin" / "python", _ROOT / "constraints.txt"
    subprocess.run([python, "-m", "pip", "install", "--quiet", "--constraint", pins, "build", "hatchling"], check=True)
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=_ROOT, capture_output=True, check=True).stdout.decode()
    outs = []
    for name, umask, date in (("one", 0o022, 1_600_000_000), ("a second place", 0o077, 1_700_000_000)):
        sources, out = folder / name, folder / f"dist {name}"
        for file in filter(None, tracked.split("\0")):
            if (_ROOT / file).is_file():
                (sources / file).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(_ROOT / file, sources / file)
                (sources / file).chmod(0o666 & ~umask)
                os.utime(sources / file, (date, date))
        (sources / "src" / "srlm" / "__pycache__").mkdir()
        (sources / "src" / "srlm" / "__pycache__" / "stray.cpython-311.pyc").write_bytes(b"stray")
        (sources / "runs").mkdir()
        (sources / "runs" / "private.json").write_text("{}")
        subprocess.run(
            [python, "-m", "build", "--no-isolation", "--outdir", out, sources],
            check=True,
            umask=umask,
            capture_output=True,
        )
        outs.append(out)
    return outs


def _only(folder: Path, pattern: str) -> Path:
    (one,) = folder.glob(pattern)
    return one


@pytest.mark.parametrize("pattern", ["*.whl", "*.tar.gz"])
def test_two_builds_are_the_same_bytes(built: list[Path], pattern: str) -> None:
    digests = {hashlib.sha256(_only(folder, pattern).read_bytes()).hexdigest() for folder in built}
    assert len(digests) == 1


def test_the_wheel_holds_the_package_its_data_and_its_licences_and_nothing_else(built: list[Path]) -> None:
    with zipfile.ZipFile(_only(built[0], "*.whl")) as wheel:
        names = wheel.namelist()
        for file in (_ROOT / "src" / "srlm").rglob("*.safetensors"):
            assert wheel.read(file.relative_to(_ROOT / "src").as_posix()) == file.read_bytes()
    expected = {"srlm/__init__.py", "srlm/errors.py"}
    expected |= {f"srlm/{folder}/{one}".replace("//", "/") for folder, data in _DATA.items() for one in data}
    expected |= {
        path.relative_to(_ROOT / "src").as_posix()
        for folder in _PYTHON_FOLDERS
        for path in (_ROOT / "src" / "srlm" / folder).glob("*.py")
    }
    expected |= {
        path.relative_to(_ROOT / "src").as_posix()
        for path in (_ROOT / "src" / "srlm" / "report" / "templates").rglob("*")
        if path.suffix in _TEMPLATES
    }
    about = {one for one in names if ".dist-info/" in one}
    assert {one.partition(".dist-info/")[2] for one in about} == {
        "METADATA", "RECORD", "WHEEL", "entry_points.txt", "licenses/LICENSE", "licenses/NOTICE",
    }  # fmt: skip
    assert Counter(set(names) - about) == Counter(expected)


def test_the_sdist_holds_the_sources_and_nothing_else(built: list[Path]) -> None:
    with tarfile.open(_only(built[0], "*.tar.gz")) as sdist:
        names = [one.name.partition("/")[2] for one in sdist.getmembers() if one.isfile()]
        assert {(one.uid, one.gid, one.uname, one.gname, one.mode & 0o133) for one in sdist} == {(0, 0, "", "", 0)}
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=_ROOT, capture_output=True, check=True).stdout.decode()
    assert {one.partition("/")[0] for one in names} == _TOP
    assert set(names) - {"PKG-INFO"} <= set(tracked.split("\0"))
    assert {one for one in tracked.split("\0") if one.startswith("src/")} <= set(names)
