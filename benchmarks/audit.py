"""How long `srlm audit` takes for a million completions of 200 characters, and in how much memory.

Usage: python benchmarks/audit.py [COMPLETIONS]      Prints Markdown; the committed output is
benchmarks/results/audit.md. Processor time is what counts on a machine that does other work, too.
"""

import json
import os
import random
import subprocess
import sys
import tempfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

PROMPTS, DRAWS, LETTERS = 500, 8, 200
_WORDS = ("we", "have", "the number of apples", "so then", "multiply by", "because each box", "costs", "she spent half")
_WAYS = ("The answer is {}.", "So \\boxed{{{}}}.", "#### {}", "that makes {}")


def texts(rng: random.Random, count: int) -> list[str]:
    """Beginnings of chains of thought, different ones, digits and signs among the words."""
    told = []
    for _ in range(count):
        words: list[str] = []
        while sum(map(len, words)) + len(words) < LETTERS - 20:
            words.append(
                rng.choice(_WORDS) if rng.random() < 0.85 else f"{rng.randint(1, 99)} + {rng.randint(1, 99)} ="
            )
        told.append(" ".join(words)[: LETTERS - 20])
    return told


def write(folder: Path, completions: int, kind: str) -> None:
    """A run in verl's files, or in trl's tables."""
    rng = random.Random(0)
    beginnings = texts(rng, 20_000)
    for step in range(1, completions // (PROMPTS * DRAWS) + 1):
        rows = []
        for _ in range(PROMPTS):
            prompt = rng.randrange(10 * PROMPTS)
            for _ in range(DRAWS):
                answer = 3 * prompt + (0 if rng.random() < 0.6 else rng.randint(1, 5))
                text = f"{rng.choice(beginnings)} {rng.choice(_WAYS).format(answer)}"
                rows.append(
                    (f"How many apples are in {prompt} boxes of three?", text, str(3 * prompt), answer == 3 * prompt)
                )
        asked, said, gold, right = zip(*rows, strict=True)
        if kind == "verl":
            lines = [
                json.dumps({"input": p, "output": t, "gts": g, "score": float(r), "step": step}) for p, t, g, r in rows
            ]
            (folder / f"{step}.jsonl").write_text("\n".join(lines) + "\n", "utf-8")
            continue
        table = {"step": [step] * len(rows), "prompt": asked, "completion": said, "solution": gold}
        table |= {"accuracy_reward": [float(one) for one in right], "advantage": [0.0] * len(rows)}
        pq.write_table(pa.table(table), folder / f"completions_{step:05d}.parquet")


_MEASURED = """
import os, resource, sys, time
from pathlib import Path
began = time.perf_counter()
from srlm.watching.audit import audit
one = audit(Path(sys.argv[1]))
used = [resource.getrusage(of) for of in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
told = [of.ru_utime + of.ru_stime for of in used] + [of.ru_maxrss for of in used]
print(one.to_document()["completions"], time.perf_counter() - began, *told)
"""


def main() -> None:
    completions = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} when begun; bars: 60 s on two idle cores, 1,000 MB\n")
    print("| files | completions | seconds | of a processor: main, readers | at least, on two idle cores | MB |")
    print("|---|---|---|---|---|---|")
    for kind in ("verl", "trl"):
        with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR")) as name:
            write(Path(name), completions, kind)
            told = subprocess.run([sys.executable, "-c", _MEASURED, name], check=True, capture_output=True, text=True)
        count, wall, main_, readers, own, others = map(float, told.stdout.split())
        least = max(main_, (main_ + readers) / 2)
        memory = f"{own / 1024:.0f} + 2 x {others / 1024:.0f}"
        print(
            f"| {kind} | {count:,.0f} | {wall:.0f} | {main_:.0f}, {readers:.0f} | {least:.0f} | {memory} |", flush=True
        )


if __name__ == "__main__":
    main()
