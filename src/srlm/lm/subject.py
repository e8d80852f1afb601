"""What a command works on: a model and prompts, by name, and what a bundled model brings with it.

Knows: the names' meaning. Refuses to know: how anything is loaded, torch.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from srlm.records.options import option

EMBEDDED_MODEL = "smollm2-135m"
TINY_REASONER = "tiny-reasoner"
BUNDLED = "bundled"
LEVELS = ("response", "answer")

# What a bundled model brings with it, by its name: what neither the options nor a configuration file nor a preset say.
MODEL_DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    TINY_REASONER: {
        "prompts": "chains",
        "level": "answer",
        "answers": r"regex:(?:#|^)(\d+)$",
        "max_completion_length": 64,  # six long steps and their end take 52
        "num_generations": 16,
        "rounds": 4,
        "use_peft": False,
        "learning_rate": 1e-3,
        "num_train_epochs": 2.0,
        "per_device_train_batch_size": 16,
        "raw_prompts": True,
    },
}


@dataclass(frozen=True, slots=True)
class Subject:
    """A model and prompts, as `load_model` and `load_prompts` take them."""

    model: str = option(
        EMBEDDED_MODEL,
        f"{EMBEDDED_MODEL} (embedded), {TINY_REASONER} (bundled), a local folder, or a hub name.",
        "model",
    )
    prompts: str = option(
        "bundled",
        "bundled, reasoning, chains, a JSON Lines file, reasoning_gym:TASK, or a data set's name.",
        "prompts",
    )
    limit: int | None = option(None, "Use the first so many prompts.", "limit", low=1, high=10_000_000, shown="all")
    dtype: str = option("float32", "Precision of the weights.", "dtype", choices=("float32", "bfloat16", "float16"))
    device: str | None = option(None, "Where to compute, as torch names it.", "device", shown="the best there is")
    trust_remote_code: bool = option(False, "Run code that comes with the model.", "trust-remote-code")


def prompts_of(model: Any, prompts: Any) -> Any:
    """Where prompts come from: "bundled" are those that come with the model."""
    known = MODEL_DEFAULTS.get(model, {}) if isinstance(model, str) else {}
    return known.get("prompts", prompts) if isinstance(prompts, str) and prompts == BUNDLED else prompts


def settings_of(model: Any, level: str | None = None) -> dict[str, Any]:
    """Settings that come with a model, by trl's names, but for those of another level than the one asked for."""
    known = MODEL_DEFAULTS.get(model, {}) if isinstance(model, str) else {}
    other = {"level", "answers", "num_generations"} if level not in (None, known.get("level")) else set()
    return {name: value for name, value in known.items() if name not in other and name != "prompts"}
