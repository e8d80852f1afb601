"""A control: a reward that knows nothing. Refuses to know: everything but the response itself."""

import json
import random as generator
from collections.abc import Sequence
from typing import Any


def random(prompts: Sequence[Any], completions: Sequence[Any], **_: Any) -> list[float]:
    """A standard normal number for every response to every prompt, the same each time that it is asked for."""
    return [
        generator.Random(json.dumps([prompt, completion], sort_keys=True)).gauss(0, 1)
        for prompt, completion in zip(prompts, completions, strict=True)
    ]
