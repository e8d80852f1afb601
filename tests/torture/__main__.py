"""`python -m tests.torture`: tries the cases of all families and writes the table of what was tried, what clean."""

import argparse
import json
import os
import shutil
import signal
import sys
import time
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path

# One thread a process, set before anything imports numpy: workers share the cores, and a fork has but one thread.
for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["HF_HUB_VERBOSITY"] = "error"  # as `srlm.cli` has it, before anything imports the hub
warnings.filterwarnings("ignore", ".*fork.*", DeprecationWarning)

from tests.torture.trap import with_trap  # noqa: E402

if __name__ == "__main__":
    with_trap()

from tests.torture import FAMILIES  # noqa: E402
from tests.torture.case import Case, scratch  # noqa: E402
from tests.torture.running import Tried, run_cases, warm  # noqa: E402
from tests.torture.table import table  # noqa: E402


def main() -> int:
    """0 where all cases are clean."""
    parser = argparse.ArgumentParser(prog="python -m tests.torture", description=__doc__)
    parser.add_argument("--out", type=Path, help="where the table goes (Markdown)")
    parser.add_argument("--json", type=Path, help="where every case goes (JSON)")
    parser.add_argument("--only", default=",".join(FAMILIES), help="families, separated by commas")
    parser.add_argument("--case", default="", help="only cases with this (or|that) in what they attack or their name")
    parser.add_argument(
        "--spread", type=int, default=0, help="so many cases a family, evenly spread, others by another seed; 0: all"
    )
    parser.add_argument("--list", action="store_true", help="only count the cases")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell ignores it for what it starts in the background
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # what runs is ended, what lies about removed
    began = time.monotonic()
    warm()
    tried: list[Tried] = []
    try:
        chosen = _chosen(given.only.split(","), given.case, given.spread, given.seed)
        if given.list:
            for of, count in Counter((family, case.of) for family, case in chosen).items():
                print(*of, count, sep=": ")
            return 0
        for one in run_cases(chosen, given.workers):
            tried.append(one)
            if one.outcome.problem:
                print(f"{one.family}: {one.case.of}: {one.case.name}: {one.outcome.problem}", flush=True)
                if given.case and one.outcome.detail:
                    print(one.outcome.detail, flush=True)
            if len(tried) % 100 == 0:
                print(f"{len(tried)} cases, {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
    except KeyboardInterrupt:
        print("stopped; what was tried until now:", file=sys.stderr)
    finally:
        shutil.rmtree(scratch(), ignore_errors=True)
        if library := os.environ.get("SRLM_TORTURE_TRAP"):
            shutil.rmtree(library, ignore_errors=True)
    text = table(tried, time.monotonic() - began, given.seed)
    print(text)
    if given.out:
        given.out.write_text(text, encoding="utf-8")
    if given.json:
        rows = [
            {
                "family": one.family,
                "of": one.case.of,
                "name": one.case.name,
                "problem": one.outcome.problem,
                "detail": one.outcome.detail,
                "seconds": round(one.seconds, 2),
            }
            for one in tried
        ]
        given.json.write_text(json.dumps(rows, indent=1), encoding="utf-8")
    return int(any(one.outcome.problem for one in tried))


def _chosen(families: Sequence[str], part: str, spread: int, seed: int) -> Iterator[tuple[str, Case]]:
    for family in families:
        found = [
            one
            for one in import_module(FAMILIES[family]).cases(seed)
            if any(one_part in f"{one.of}: {one.name}" for one_part in part.split("|"))
        ]
        if spread and len(found) > spread:
            found = [found[at * len(found) // spread + seed % (len(found) // spread)] for at in range(spread)]
        for one in found:
            yield family, one


if __name__ == "__main__":
    sys.exit(main())
