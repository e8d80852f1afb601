"""Weights and prompts that ship inside the package, read only where they still are what was shipped.

Knows: their checksums. Refuses to know: what is in them.
"""

import errno
import hashlib
from functools import cache
from pathlib import Path

_PACKAGE = Path(__file__).parents[1]
# tests/records/test_shipped.py compares them with the files, and prints this table anew where they differ.
_SHA256 = {
    "lm/data/tiny_reasoner/config.json": "af90011293f25f7cc9767e8d11be76653c1133b321605e041ee852fb62556656",
    "lm/data/tiny_reasoner/generation_config.json": "823f3d59a8537faee18d7dbfcbc3f46ee99d685662735e4a385125b5b1311c6a",
    "lm/data/tiny_reasoner/model.safetensors": "064ac51d2eb8abf4bbc439c72e682a367a54e880d02814320fc97c4f5a3dedd3",
    "lm/data/tiny_reasoner/tokenizer.json": "31fb3102346382fbf743d7d39d3d2ca5fd549042e0959c823e744731db24da6d",
    "lm/data/tiny_reasoner/tokenizer_config.json": "6989493dd0e74543dd0c334bb4f409a520902eb6d22c089b00ef5ad4d4f22dbd",
    "tasks/data/chains.jsonl": "a91a9179c7d17d08e1ba54d9d540224ce907bc4eafc683d242c81f63a5c19729",
    "tasks/data/questions.jsonl": "8fb7e0dd505132fa6be5171703ec42c157239c24461b12ee896acde4ad70f1c0",
    "tasks/data/reasoning.jsonl": "2657e702b145214d1b0abb5f709cebb1ebc32d8ccadefc5d3a47e4582c5fa170",
    "tasks/data/unrelated.txt": "0966e5ccae4c3c3d834316ea1672928c4b20e59397745f7ffcf6fb76882fb333",
}


@cache
def shipped(name: str) -> Path:
    """A file or folder of the package, checked once a process.

    Args:
        name: its path inside the package: "tasks/data/chains.jsonl", "lm/data/tiny_reasoner".

    Raises:
        OSError: a file in it is missing or is not what was shipped.
    """
    for file, digest in _SHA256.items():
        if file == name or file.startswith(f"{name}/"):
            with (_PACKAGE / file).open("rb") as content:
                same = hashlib.file_digest(content, "sha256").hexdigest() == digest
            if not same:
                raise damaged(_PACKAGE / file, "pip install --force-reinstall --no-deps srlm")
    return _PACKAGE / name


def damaged(file: Path, install: str) -> OSError:
    """What to raise for a file whose checksum is another: not the user's input is wrong."""
    return OSError(errno.EIO, f"this is not the file that was shipped (its sha256 differs); run: {install}", str(file))
