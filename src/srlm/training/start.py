"""From what a user typed to a run: every mistake is found before the model is loaded or anything is written.

Knows: the order in which inputs can be wrong cheaply: configuration, folder, prompts, model. Refuses to know: how a
round works.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any

import torch
from transformers import Trainer, get_scheduler

from srlm.errors import InputError
from srlm.lm.loading import LoadedModel, load_model
from srlm.lm.subject import prompts_of, settings_of
from srlm.records.atomic import is_empty
from srlm.records.options import problems
from srlm.records.progress import Observer
from srlm.records.run_directory import RUN_FILE, RunDirectory
from srlm.tasks.prompts import Prompt, load_prompts
from srlm.training.config import SelfRewardingConfig
from srlm.training.estimate import RunEstimate, estimate_run
from srlm.training.memory import RECOMPUTE
from srlm.training.presets import PRESETS
from srlm.training.processes import is_main_process
from srlm.training.settings import Request, RunSettings
from srlm.training.trainer import SelfRewardingTrainer


def prepared(request: Request) -> tuple[SelfRewardingConfig, list[Prompt], LoadedModel]:
    """The configuration, the prompts and the model of a run, checked in this order.

    Raises:
        InputError: anything of this that cannot be used.
    """
    path = request.folder()
    config = _configuration(request)
    # With several processes the main one may have made the folder already.
    if is_main_process() and not request.resume and path.exists() and (path.is_file() or not is_empty(path)):
        what = "holds a run already" if (path / RUN_FILE).is_file() else "exists and is not empty"
        raise InputError(f"{path} {what}; add --resume to go on with a run, or give another --out")
    prompts = load_prompts(
        prompts_of(request.model, request.prompts), limit=request.limit, held_out=request.held_out, seed=config.seed
    )
    loaded = load_model(
        request.model,
        dtype=request.dtype,
        device=request.device,
        load_in_4bit=request.load_in_4bit,
        trust_remote_code=request.trust_remote_code,
    )
    return config, prompts, loaded


def start_run(*, observer: Observer | None = None, **asked: Any) -> RunDirectory:
    """Run T self-rewarding rounds and return the run's folder.

    Args:
        observer: is told what is happening.
        asked: fields of `Request`.

    Raises:
        InputError: anything of this that cannot be used.
    """
    request = Request(**asked)
    config, prompts, loaded = prepared(request)
    with _told_by_the_file(request):
        _require_optimiser(config, loaded.model)
        trainer = SelfRewardingTrainer(loaded, config, prompts)
    return trainer.train(resume_from_checkpoint=request.resume, observer=observer)


def dry_run(**asked: Any) -> RunEstimate:
    """What `start_run` with the same arguments will cost, from a calibration; nothing is written.

    Args:
        asked: fields of `Request`.

    Raises:
        InputError: anything of this that cannot be used.
    """
    request = Request(**asked)
    config, prompts, loaded = prepared(request)
    with _told_by_the_file(request):
        _require_optimiser(config, loaded.model)
        return estimate_run(loaded, config, prompts)


@contextmanager
def _told_by_the_file(request: Request) -> Iterator[None]:
    """Fields of `TrainingArguments` come from a file alone; what libraries make of them is the file's mistake."""
    try:
        yield
    except (InputError, OSError, MemoryError):
        raise
    except Exception as error:  # of a hub that cannot be reached, too
        if request.config_file is None:
            raise
        told = repr(error) if isinstance(error, KeyError) else str(error)
        raise InputError(f"the configuration cannot be used: {told}") from error


def _require_optimiser(config: SelfRewardingConfig, model: Any) -> None:
    """Make the optimiser and the schedule of an update once, of one number, before anything is written."""
    kind, options = Trainer.get_optimizer_cls_and_kwargs(config, model)
    optimiser = kind([torch.nn.Parameter(torch.zeros(1))], **options)
    get_scheduler(config.lr_scheduler_type, optimiser, 0, 1, config.lr_scheduler_kwargs)  # pyright: ignore


def _configuration(request: Request) -> SelfRewardingConfig:
    options, file, preset = request.options, request.config_file, request.preset
    values = request.configured()
    known = {f.name for f in fields(SelfRewardingConfig)}
    unknown = sorted(set(values) - known)
    if unknown:
        raise InputError(
            f"configuration file {str(file)!r} has unknown fields {', '.join(unknown)}; "
            "it takes those of SelfRewardingConfig"
        )
    ready = settings_of(request.model, dict(options).get("level")) | dict(PRESETS[preset] if preset else {})
    ready = {RECOMPUTE if name == "activation_checkpointing" else name: value for name, value in ready.items()}
    told = _recorded(request) | ready | values | dict(options)
    try:
        return SelfRewardingConfig(**told)
    except InputError:
        raise
    except Exception as error:  # transformers has no one class for it
        raise InputError(f"the configuration cannot be used: {error or type(error).__name__}") from error


def _recorded(request: Request) -> dict[str, Any]:
    """What the run to be resumed was told: it need not be told again, even where a default has changed since."""
    folder = Path(request.options.get("output_dir") or SelfRewardingConfig.output_dir or ".")
    if not request.resume or not (folder / RUN_FILE).is_file():
        return {}
    told = RunDirectory.open(folder).record()["configuration"]
    recorded = {one.name: told[one.name] for one in fields(RunSettings) if one.name in told}
    if wrong := problems(RunSettings(**recorded)):
        raise InputError([f"{folder / RUN_FILE}: {one}" for one in wrong])
    return recorded
