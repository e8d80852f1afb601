"""What vLLM serves and how it is started: which adapters, by which command, and what its refusals mean.

Knows: vLLM's options and its words. Refuses to know: who asks, torch, adapter libraries.
"""

import hashlib
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from srlm.engines.http import Failure
from srlm.errors import InputError
from srlm.records.text import visible

WAY_OUT = "use --engine transformers"
RUNTIME = "VLLM_ALLOW_RUNTIME_LORA_UPDATING=1"
# What `--max-lora-rank` may be.
_RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)
# Of peft's settings for LoRA: those with which vLLM would serve something else than what is trained.
_UNSERVED: Mapping[str, str] = {
    "use_dora": "DoRA",
    "lora_bias": "biases",
    "modules_to_save": "modules trained beside it (modules_to_save)",
    "target_parameters": "target_parameters",
    "trainable_token_indices": "trained tokens",
    "layer_replication": "layer_replication",
    "use_qalora": "QALoRA",
    "alora_invocation_tokens": "aLoRA",
}
# Initialisations that leave the base weights as they are.
_PLAIN_STARTS = (True, False, "gaussian", "eva", "orthogonal")


@dataclass(frozen=True, slots=True)
class Adapter:
    """What a server is told of a policy: the adapter's folder, under a name that says its contents."""

    name: str
    folder: Path

    @classmethod
    def of(cls, folder: Path, number: int) -> "Adapter":
        whole = hashlib.sha256(str(folder.resolve()).encode())
        for path in sorted(folder.glob("adapter_*")):
            whole.update(path.name.encode() + path.read_bytes())
        return cls(f"srlm-{whole.hexdigest()[:12]}-r{number:02d}", folder.resolve())


@dataclass(frozen=True, slots=True)
class Serving:
    """What a server must be started for.

    Attributes:
        model: folder or name of the base model.
        dtype: of its weights, as training holds them.
        longest: tokens of the longest prompt and response together.
        rank: of the adapter; None: the base model alone is asked.
    """

    model: str
    dtype: str
    longest: int
    rank: int | None = None

    def command(self, address: str) -> str:
        """The command line that starts it."""
        dtype = self.dtype if self.dtype in ("float32", "bfloat16", "float16") else "auto"
        port = urlsplit(address).port or 8000
        rank = self.rank and next((one for one in _RANKS if one >= self.rank), self.rank)
        lora = f" --enable-lora --max-lora-rank {rank} --max-loras 1 --max-cpu-loras 2" if rank else ""
        return (
            f"{f'{RUNTIME} ' if rank else ''}vllm serve {shlex.quote(self.model)} --port {port} --dtype {dtype} "
            f"--max-model-len {self.longest}{lora} --logprobs-mode raw_logprobs --generation-config vllm"
        )


def refusal(address: str, adapter: Adapter, why: Failure) -> str:
    """What it means that a server does not load an adapter, in a sentence."""
    told, folder = str(why), visible(str(adapter.folder), 200)
    if "No adapter found" in told:
        return f"{address} does not see the folder {folder}; put --out where the server has it at the same path"
    if "max_lora_rank" in told:
        return f"{address} takes no adapter of this rank ({why}); start it with a higher --max-lora-rank"
    if why.status == 404:
        return f"{address} loads no adapters while it runs; start it with {RUNTIME} in its environment"
    if "lora" in told.lower() and "enable" in told.lower():
        return f"{address} serves no adapters; start it with --enable-lora"
    return f"{address} does not load the adapter in {folder}: {why}"


def require_servable(configs: Iterable[Mapping[str, Any]], targets: Iterable[str]) -> int:
    """The rank of the adapter that is trained, from the policy's adapters as peft writes them (none: all weights are
    trained), and the names of the modules that they change.

    Raises:
        InputError: vLLM would serve something else than what is trained.
    """
    found = list(configs)
    if not found:
        raise InputError(f"vLLM serves adapters, and this run trains all weights; train an adapter, or {WAY_OUT}")
    if len(found) > 1:
        raise InputError(f"vLLM serves one adapter at a time, and the model has {len(found)}; {WAY_OUT}")
    config = found[0]
    kind = str(getattr(config.get("peft_type"), "value", config.get("peft_type")))
    wrong = [] if kind == "LORA" else [f"adapters of type {kind}"]
    wrong += [name for field, name in _UNSERVED.items() if config.get(field)]
    if config.get("bias", "none") != "none":
        wrong.append("biases")
    start = config.get("init_lora_weights", True)
    if start not in _PLAIN_STARTS:
        wrong.append(f"init_lora_weights {start!r}, which changes the base")
    heads = sorted({one.rpartition(".")[2] for one in targets} & {"lm_head", "embed_tokens", "wte", "embed_out"})
    if heads:
        wrong.append(f"an adapter on {' and '.join(heads)}")
    if wrong:
        raise InputError(f"vLLM does not serve {', '.join(dict.fromkeys(wrong))} as it is trained here; {WAY_OUT}")
    return max([int(config["r"]), *(config.get("rank_pattern") or {}).values()])
