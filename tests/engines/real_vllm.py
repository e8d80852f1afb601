"""`make test-vllm`: two rounds of the tiny reasoner through a real vLLM server, which is killed in the middle and comes
back, against the same rounds in this process; prints a table and exits with 1 where a check fails.

    python tests/engines/real_vllm.py --vllm-python .venv-vllm/bin/python [--out benchmarks/results/vllm.md]
"""

import argparse
import logging
import os
import platform
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
from peft import PeftModel

from srlm.engines.engine import Draw, Encoded, PolicyVersion
from srlm.engines.http import Ask, Client, Failure
from srlm.engines.vllm import VllmServers, seed_of
from srlm.lm.encoding import encode_prompts
from srlm.lm.loading import load_model
from srlm.lm.scoring import score_responses
from srlm.records.run_directory import RunDirectory
from srlm.records.tables import samples_from_table
from srlm.tasks.prompts import load_prompts
from srlm.training.start import start_run

MODEL, PROMPTS, ROUNDS, DRAWS, TOKENS, PORT = "tiny-reasoner", 24, 2, 16, 64, 8717
ADDRESS = f"http://127.0.0.1:{PORT}"


class Server:
    """A real server, started as `docs/scaling.md` says but for the CPU."""

    def __init__(self, python: str, model: str, log: Path) -> None:
        self.log = log
        self.command = [
            python, "-m", "vllm.entrypoints.openai.api_server", "--model", model, "--host", "127.0.0.1", "--port",
            str(PORT), "--dtype", "float32", "--enforce-eager", "--enable-lora", "--max-lora-rank", "16", "--max-loras",
            "1", "--max-cpu-loras", "2", "--max-model-len", "256", "--logprobs-mode", "raw_logprobs",
            "--generation-config", "vllm",
        ]  # fmt: skip

    def start(self) -> float:
        """Seconds until it answers."""
        began, environment = time.monotonic(), dict(os.environ)
        environment.pop("PYTHONPATH", None)
        environment |= {"VLLM_ALLOW_RUNTIME_LORA_UPDATING": "1", "VLLM_CPU_KVCACHE_SPACE": "1", "HF_HUB_OFFLINE": "1"}
        environment |= {"VLLM_CPU_OMP_THREADS_BIND": "nobind", "OMP_NUM_THREADS": "1", "VLLM_NO_USAGE_STATS": "1"}
        with self.log.open("ab") as file:
            self.process = subprocess.Popen(
                self.command, env=environment, stdout=file, stderr=file, start_new_session=True
            )
        while isinstance(Client(attempts=1, timeout=5).send([Ask(f"{ADDRESS}/v1/models")])[0], Failure):
            if self.process.poll() is not None or time.monotonic() - began > 600:
                sys.exit(f"the server did not start; see {self.log}")
            time.sleep(1)
        return time.monotonic() - began

    def kill(self) -> None:
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


def run(out: Path, engine: str) -> RunDirectory:
    options = {
        "engine": engine, "output_dir": str(out), "rounds": ROUNDS, "use_peft": True, "learning_rate": 5e-3,
        "num_generations": DRAWS, "logging_strategy": "no",
    }  # fmt: skip
    return start_run(model=MODEL, prompts="bundled", limit=PROMPTS, device="cpu", options=options)


def killer(server: Server, out: Path, told: dict[str, Any]) -> None:
    """Kill the server in the middle of round 1, and start it again."""
    drawn = out / "rounds" / "01" / "drawn"
    while sum(len(path.read_text().splitlines()) for path in drawn.glob("*.jsonl")) < PROMPTS // 2:
        time.sleep(0.02)
    server.kill()
    told["kept"] = sum(len(path.read_text().splitlines()) for path in drawn.glob("*.jsonl"))
    told["restarted in"] = server.start()


def per_prompt(directory: RunDirectory, number: int) -> tuple[np.ndarray, np.ndarray]:
    """Sample accuracy, and the plug-in 1/(share of the commonest answer), of every prompt."""
    rollouts = samples_from_table(directory.round(number).read_table("samples"))
    right = [np.mean([bool(one.correct) for one in rollout.responses]) for rollout in rollouts]
    answers = [[one.answer for one in rollout.responses if one.answer is not None] for rollout in rollouts]
    kappa = [len(some) / max(map(some.count, some)) if some else np.nan for some in answers]
    return np.array(right), np.array(kappa)


def apart(a: np.ndarray, b: np.ndarray) -> tuple[float, float]:
    """Mean of the prompts' differences, and its standard error."""
    gap = (a - b)[np.isfinite(a - b)]
    return float(gap.mean()), float(gap.std(ddof=1) / np.sqrt(len(gap)))


def furthest(loaded: Any, encoded: list[list[int]], directory: RunDirectory, number: int) -> tuple[float, int]:
    """Largest difference (nats) of any sample's recorded log-probability from the training forward's; how many."""
    folder = directory.round(number)
    rollouts = samples_from_table(folder.read_table("samples"))
    model = PeftModel.from_pretrained(load_model(MODEL, device="cpu").model, str(folder.checkpoint())).eval()
    groups = [(ids, one.tokens) for ids, one in zip(encoded, rollouts, strict=True)]
    values = [value for row in score_responses(model, groups, tree_attention=False) for value in row]
    return float(np.abs(np.array(values) - [v for one in rollouts for v in one.logprobs]).max()), len(values)


def seeds_apart(loaded: Any, prompt: tuple[int, ...]) -> tuple[int, int, int]:
    """At eight places with one prompt: different lists of samples with our seeds, and with one seed for all; places."""
    servers, places = VllmServers((ADDRESS,), loaded, lambda groups: [], 60.0), 8
    ask = Draw(DRAWS, TOKENS, 3, 0)
    drawn = servers.at(PolicyVersion(0)).draw([Encoded(number, prompt) for number in range(places)], ask)
    base = servers.cards(ADDRESS)[0]["id"]
    body = {
        "model": base, "prompt": list(prompt), "n": DRAWS, "max_tokens": TOKENS, "temperature": 1.0, "top_k": 0,
        "seed": seed_of(ask, 0), "return_token_ids": True, "stop_token_ids": list(loaded.end_token_ids),
    }  # fmt: skip
    replies = Client().send([Ask(f"{ADDRESS}/v1/completions", body)] * places)
    same = {tuple(tuple(one["token_ids"]) for one in reply["choices"]) for reply in replies}
    return len({tuple(one.tokens) for one in drawn}), len(same), places


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--vllm-python", required=True)
    parser.add_argument("--out", type=Path)
    told = parser.parse_args()
    work = Path(tempfile.mkdtemp(prefix="srlm-vllm-"))
    loaded = load_model(MODEL, device="cpu")
    said: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: said.append(record.getMessage())
    logging.getLogger("srlm").addHandler(handler)
    server = Server(told.vllm_python, str(loaded.model.name_or_path), work / "server.log")
    rows: list[tuple[str, str, str, bool]] = []

    def check(what: str, seen: str, wanted: str, holds: bool) -> None:
        rows.append((what, seen, wanted, holds))
        print(f"{'ok  ' if holds else 'FAIL'} {what}: {seen} (wanted: {wanted})", flush=True)

    started = server.start()
    try:
        facts: dict[str, Any] = {}
        thread = threading.Thread(target=killer, args=(server, work / "vllm", facts), daemon=True)
        thread.start()
        began = time.monotonic()
        served = run(work / "vllm", f"vllm:{ADDRESS}")
        seconds = time.monotonic() - began
        thread.join(1)
        ours, one_seed, places = seeds_apart(loaded, tuple(_encoded(loaded)[0]))
    finally:
        server.kill()
    began = time.monotonic()
    own = run(work / "transformers", "transformers")
    own_seconds = time.monotonic() - began
    log = (work / "server.log").read_text(errors="replace")
    names = re.findall(r"Loaded new LoRA adapter: name '(\S+)'", log)
    encoded, records = _encoded(loaded), [served.round(number).read() for number in range(ROUNDS + 1)]
    for number, record in enumerate(records):
        which = f"round {number}: log-probabilities"
        gap, count = furthest(loaded, encoded, served, number)
        check(f"{which} against the training forward's", f"{gap:.1e} nats a response at most, "
              f"{count} responses", "at most 1e-3", gap <= 1e-3)  # fmt: skip
        parity = record.numerics and record.numerics.parity
        assert parity is not None
        check(f"round {number}: parity that the run recorded", f"{parity.response:.1e} nats a response, "
              f"{parity.token:.1e} a token", "at most 1e-3", parity.response <= 1e-3)  # fmt: skip
        check(f"round {number}: samples on disk", str(count), str(PROMPTS * DRAWS), count == PROMPTS * DRAWS)
    rounds = [{name for name in names if name.endswith(f"-r{number:02d}")} for number in range(ROUNDS + 1)]
    check("adapters loaded", f"{len(set(names))} names, {len(names)} loads", "one of the handshake, one a round, round "
          "1's again after the restart", [len(some) for some in rounds] == [2, 1, 1] and len(names) == 5)  # fmt: skip
    gone = log.count("Removed LoRA adapter")
    check("adapters unloaded", str(gone), "those of the handshake and of every round", gone == 2 + ROUNDS)
    check("killed in the middle of round 1", f"{facts.get('kept')} of {2 * PROMPTS} requests were done, back after "
          f"{facts.get('restarted in', 0):.0f} s", "some, not all", 0 < facts.get("kept", 0) < 2 * PROMPTS)  # fmt: skip
    lines = ["no server answers" in " ".join(said), "sampling goes on" in " ".join(said)]
    check("the run says so", f"{len(said)} lines", "that it waits, and that it goes on", all(lines))
    check("one prompt at eight places, our seeds", f"{ours} different sets of samples", str(places), ours == places)
    check("the same with one seed for all", f"{one_seed} different", f"fewer than {places}: the check above can fail",
          one_seed < places)  # fmt: skip
    for name, at in (("sample accuracy", 0), ("kappa_A, plug-in", 1)):
        a, b = per_prompt(served, ROUNDS)[at], per_prompt(own, ROUNDS)[at]
        base = per_prompt(own, 0)[at]
        gap, error = apart(a, b)
        seen = f"{np.nanmean(a):.3f} and {np.nanmean(b):.3f} (round 0: {np.nanmean(base):.3f}), difference {gap:+.3f} "
        seen += f"with standard error {error:.3f}"
        check(f"{name} of round {ROUNDS}, vllm and transformers", seen, "within 2 standard errors",
              abs(gap) <= 2 * error + 1e-12)  # fmt: skip
    text = _page(rows, started, seconds, own_seconds, told.vllm_python)
    print(text)
    if told.out is not None:
        told.out.write_text(text, encoding="utf-8")
    return 0 if all(holds for *_, holds in rows) else 1


def _encoded(loaded: Any) -> list[list[int]]:
    prompts = load_prompts("chains", limit=PROMPTS, held_out=0.25, seed=0)
    kept = [one for one in prompts if one.split != "gate"]
    return [list(one) for one in encode_prompts(kept, loaded, max_new_tokens=TOKENS, raw=True)]


def _page(rows: list[Any], started: float, seconds: float, own: float, python: str) -> str:
    asked = "from importlib.metadata import version as v; print(v('vllm-cpu'), v('torch'))"
    versions = subprocess.run([python, "-c", asked], capture_output=True, text=True, check=False).stdout.strip()
    lines = [
        "# A real vLLM server as the engine of self-rewarding rounds", "",
        f"`make test-vllm`: {MODEL} with a LoRA adapter, {PROMPTS} prompts, {DRAWS} draws of at most {TOKENS} tokens, "
        f"{ROUNDS} rounds, float32; one server (vllm-cpu and its torch: {versions}) on the loopback of a shared "
        f"machine with {os.cpu_count()} cores ({platform.machine()}), killed in round 1 and started again.", "",
        "| checked | seen | wanted | holds |", "|---|---|---|---|",
        *(f"| {what} | {seen} | {wanted} | {'yes' if holds else '**no**'} |" for what, seen, wanted, holds in rows), "",
        f"The server answered after {started:.0f} s. The run took {seconds:.0f} s with it, the time it was away "
        f"included, and {own:.0f} s in process: at this size the server is slower, and other jobs ran beside both.", "",
    ]  # fmt: skip
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
