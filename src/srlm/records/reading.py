"""Files that somebody may have damaged: what cannot be read is refused by its name.

Knows: what the readers of JSON and of Arrow raise about bytes, types and shapes that are not what was written. Refuses
to know: any format. Errors of the disk itself pass through: the file may be as it should.
"""

import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa

from srlm.errors import InputError

# The file is not there, or is no file.
_ABSENT = (FileNotFoundError, NotADirectoryError, IsADirectoryError)
_SHAPES = (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError, pa.ArrowException)


@contextmanager
def reading(path: Path, remedy: str = "was it edited?") -> Iterator[None]:
    """Within the block `path` is read; what it holds instead of what was written is an error that names it.

    Args:
        path: the file, for the message.
        remedy: what to do about it.

    Raises:
        InputError: the file is not there, or what is in it is not what was written.
    """
    try:
        yield
    except InputError:
        raise
    except _ABSENT as error:
        raise InputError(f"{path} cannot be read ({error.strerror}); {remedy}") from error
    except _SHAPES as error:
        why = "nested too deeply" if isinstance(error, RecursionError) else " ".join(str(error).split())[:200]
        raise InputError(f"{path} is damaged ({type(error).__name__}: {why}); {remedy}") from error


def read_object(path: Path, remedy: str = "was it edited?") -> dict[str, Any]:
    """A file with one JSON object and nothing but finite numbers.

    Raises:
        InputError: it is none (named).
    """
    with reading(path, remedy):
        document = json.loads(path.read_text(encoding="utf-8"), parse_constant=_no_number, parse_float=_finite)
        if not isinstance(document, dict):
            raise ValueError("not a JSON object")
    return document


def _no_number(text: str) -> float:
    raise ValueError(f"{text} is no JSON number")


def _finite(text: str) -> float:
    value = float(text)
    return value if math.isfinite(value) else _no_number(text)
