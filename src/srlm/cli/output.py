"""What a command prints: one JSON document on stdout, everything else on stderr.

Knows: how results become JSON. Non-finite numbers are a bug of the caller: a result says null, and why in a field
beside it. Refuses to know: what they mean.
"""

import json
import sys
from typing import Any


def print_json(document: Any) -> None:
    """Print `document` (dicts, lists, strings, numbers, booleans, None) as the command's one JSON document.

    Raises:
        ValueError: the document holds NaN or an infinity.
    """
    whole = (sys.stdout.encoding or "utf-8").lower().replace("-", "") == "utf8"
    sys.stdout.write(json.dumps(document, allow_nan=False, ensure_ascii=not whole, indent=2) + "\n")
