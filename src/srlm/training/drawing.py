"""Which engine a run's samples come from, and whether it will do.

Knows: what of a configuration names an engine, how an adapter is described. Refuses to know: the order of rounds, how
anything is drawn.
"""

import shutil
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from srlm.engines.handshake import shake_hands
from srlm.engines.names import parse_engine
from srlm.engines.serving import WAY_OUT, Serving, require_servable
from srlm.engines.transformers import InProcess
from srlm.engines.vllm import Score, VllmServers
from srlm.errors import InputError
from srlm.training.assembly import Parts
from srlm.training.config import SelfRewardingConfig
from srlm.training.work import Work

# Rewards that need whole next-token distributions along the samples.
_OF_DISTRIBUTIONS = {"entropy", "self_certainty"}


def engine_of(args: SelfRewardingConfig, own: InProcess, parts: Parts, score: Score) -> InProcess | VllmServers:
    """The engine that draws.

    Args:
        args: the configuration.
        own: the model in this process.
        parts: of the run.
        score: the training forward.

    Raises:
        InputError: servers would draw from something else than what is trained, or cannot give what a reward needs.
    """
    named = parse_engine(args.engine)
    if named.kind == "transformers":
        return own
    _rank(own.model)
    if lacking := sorted(_OF_DISTRIBUTIONS & set(parts.reward.names)):
        raise InputError(
            f"the reward {lacking[0]} needs next-token distributions, which vLLM does not give; take another, or "
            f"{WAY_OUT}"
        )
    return VllmServers(named.addresses, own.loaded, score, args.server_patience)


def require_servers(engine: VllmServers, work: Work, own: InProcess, write: Callable[[Path], None] | None) -> None:
    """Check the servers with an adapter that changes nothing; nothing stays on disk.

    Args:
        engine: the servers.
        work: what the run is made of; the learner is the untouched base model.
        own: the model in this process.
        write: writes its adapter into a folder; None: the base model alone is asked.

    Raises:
        InputError: a server will not do.
    """
    ask, loaded = work.ask(0), own.loaded
    longest = max(len(one.tokens) for one in (*work.encoded, *work.beside.encoded)) + ask.max_tokens
    serving = Serving(str(loaded.model.name_or_path or loaded.name), loaded.weights, longest, _rank(own.model))
    limit = None if work.settings.rescore else work.settings.max_drift
    if write is None:
        shake_hands(engine, serving, work.encoded, ask, limit)
        return
    out = Path(work.settings.output_dir or ".").resolve()
    probe = Path(tempfile.mkdtemp(prefix=".srlm-handshake-", dir=next(one for one in out.parents if one.is_dir())))
    try:
        probe.chmod(0o755)  # servers may be another user's
        write(probe)
        shake_hands(engine, serving, work.encoded, ask, limit, probe)
    except InputError:
        with suppress(OSError):  # `Trainer` made it; a run that is resumed is in it
            out.rmdir()
        raise
    finally:
        shutil.rmtree(probe, ignore_errors=True)


def _rank(policy: Any) -> int:
    configs = [one.to_dict() for one in getattr(policy, "peft_config", {}).values()]
    tuner = getattr(policy, "base_model", None)
    return require_servable(configs, getattr(tuner, "targeted_module_names", ()) if configs else ())
