"""From what a user typed to a run: every mistake is found before the model is loaded or anything is written.

Knows: the order in which inputs can be wrong cheaply: configuration, folder, prompts, model.
"""

import json
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from srlm.errors import InputError
from srlm.lm.loading import load_model
from srlm.lm.prompts import load_prompts
from srlm.records.run_directory import RUN_FILE, RunDirectory
from srlm.training.config import SelfRewardingConfig
from srlm.training.rounds import Observer
from srlm.training.trainer import SelfRewardingTrainer


def start_run(
    *,
    model: str,
    prompts: str,
    options: Mapping[str, Any],
    config_file: Path | None = None,
    limit: int | None = None,
    held_out: float = 0.25,
    dtype: str = "float32",
    device: str | None = None,
    trust_remote_code: bool = False,
    resume: bool = False,
    observer: Observer | None = None,
) -> RunDirectory:
    """Run T self-rewarding rounds and return the run's folder.

    Args:
        model: a name for `load_model`.
        prompts: a source for `load_prompts`.
        options: fields of `SelfRewardingConfig`; they win over `config_file`.
        config_file: a JSON object with fields of `SelfRewardingConfig`.
        limit, held_out: as for `load_prompts`.
        dtype, device, trust_remote_code: as for `load_model`.
        resume: go on with the run in `options["output_dir"]`, or start it where there is none.
        observer: is told what is happening.

    Raises:
        InputError: anything of this that cannot be used.
    """
    config = _configuration(options, config_file)
    path = Path(config.output_dir or ".")
    if not resume and path.exists() and (path.is_file() or any(path.iterdir())):
        what = "holds a run already" if (path / RUN_FILE).is_file() else "exists and is not empty"
        raise InputError(f"{path} {what}; add --resume to go on with a run, or give another --out")
    loaded_prompts = load_prompts(prompts, limit=limit, held_out=held_out, seed=config.seed)
    loaded = load_model(model, dtype=dtype, device=device, trust_remote_code=trust_remote_code)
    trainer = SelfRewardingTrainer(loaded, config, loaded_prompts)
    return trainer.train(resume_from_checkpoint=resume, observer=observer)


def _configuration(options: Mapping[str, Any], file: Path | None) -> SelfRewardingConfig:
    values: dict[str, Any] = {}
    if file is not None:
        try:
            values = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise InputError(f"configuration file {str(file)!r} cannot be read as JSON ({error})") from error
        if not isinstance(values, dict):
            raise InputError(f'configuration file {str(file)!r} is not a JSON object; write {{"rounds": 3, ...}}')
    known = {f.name for f in fields(SelfRewardingConfig)}
    unknown = sorted(set(values) - known)
    if unknown:
        raise InputError(
            f"configuration file {str(file)!r} has unknown fields {', '.join(unknown)}; "
            "it takes those of SelfRewardingConfig"
        )
    try:
        return SelfRewardingConfig(**(values | dict(options)))
    except InputError:
        raise
    except (TypeError, ValueError) as error:
        raise InputError(f"the configuration cannot be used: {error}") from error
