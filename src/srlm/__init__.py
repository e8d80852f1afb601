"""Self-rewarding language models with certificates.

Knows: the names that the package promises, each loaded on first use so that `import srlm` needs neither torch nor
transformers.
"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_PUBLIC: dict[str, str] = {
    "InputError": "srlm.errors",
    "Plan": "srlm.theory.planning",
    "SelfRewardingConfig": "srlm.training.config",
    "SelfRewardingTrainer": "srlm.training.trainer",
    "Verification": "srlm.verification",
    "diagnose": "srlm.diagnosis.preflight",
    "plan": "srlm.theory.planning",
    "simulate": "srlm.simulation.engine",
    "verify": "srlm.verification",
    "watch": "srlm.watching.trl",
}

__all__ = ["__version__", *_PUBLIC]  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        try:
            return getattr(import_module(_PUBLIC[name]), name)
        except ModuleNotFoundError as error:
            from srlm.errors import what_to_install

            if sentence := what_to_install(error):
                raise ImportError(sentence) from error
            raise
    raise AttributeError(f"module 'srlm' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
