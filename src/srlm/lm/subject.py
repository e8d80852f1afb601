"""What a command works on: a model and prompts, by name.

Knows: the names' meaning. Refuses to know: how anything is loaded, torch.
"""

from dataclasses import dataclass

from srlm.records.options import option

EMBEDDED_MODEL = "smollm2-135m"
TINY_REASONER = "tiny-reasoner"


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
    limit: int | None = option(None, "Use the first so many prompts.", "limit", low=1, shown="all")
    dtype: str = option("float32", "Precision of the weights.", "dtype", choices=("float32", "bfloat16", "float16"))
    device: str | None = option(None, "Where to compute, as torch names it.", "device", shown="the best there is")
    trust_remote_code: bool = option(False, "Run code that comes with the model.", "trust-remote-code")
