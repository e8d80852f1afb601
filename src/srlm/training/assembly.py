"""From a configuration to the parts of a run that need no trainer, and to its folder.

Knows: which prompts are asked, what they are worth, what an update is, what identifies a run. Refuses to know: the
model beyond its tokens and its name.
"""

import platform
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from srlm.engines.engine import Encoded
from srlm.errors import InputError
from srlm.lm.encoding import checksum_of, encode_passages, encode_prompts
from srlm.lm.loading import LoadedModel
from srlm.measure.decision import Action, checked_actions
from srlm.records.run_directory import RUN_FILE, RunDirectory
from srlm.rewards.mixture import RewardMixture, reward_mixture
from srlm.tasks.answers import AnswerRule, answer_rule
from srlm.tasks.prompts import Prompt, as_prompts, without_gate
from srlm.tasks.readable import require_readable
from srlm.tasks.unrelated import unrelated_text
from srlm.training.beside import Beside
from srlm.training.config import SelfRewardingConfig
from srlm.training.schedules import BETA_SCHEDULES
from srlm.training.update import Update
from srlm.training.updates import UPDATES


@dataclass(frozen=True, slots=True)
class Parts:
    """What a configuration and a set of prompts say of a run; see `srlm.training.work.Work`."""

    prompts: Sequence[Prompt]
    encoded: Sequence[Encoded]
    beside: Beside
    reward: RewardMixture
    update: Update
    beta: float | None
    actions: Mapping[str, Action]
    answers: AnswerRule | None


def assemble(args: SelfRewardingConfig, loaded: LoadedModel, records: Any, reward_funcs: Any) -> Parts:
    """The parts of a run.

    Args:
        args: its configuration.
        loaded: the base model.
        records: prompts as `as_prompts` takes them; those marked `gate` take part where their answers choose the round.
        reward_funcs: rewards as `reward_mixture` takes them; None: those of `args`.

    Raises:
        InputError: prompts, rewards or settings that do not go together.
    """
    given = as_prompts(records)
    prompts, gate = without_gate(given), [prompt for prompt in given if prompt.split == "gate"]
    held_out = any(prompt.split == "held_out" for prompt in prompts)
    if args.early_stopping_patience and not held_out:
        raise InputError(
            "early_stopping_patience needs held-out prompts; mark some with split held_out, or set it to 0"
        )
    if args.gate == "held_out" and not held_out:
        raise InputError("gate held_out needs held-out prompts; mark some with split held_out, or leave the gate out")
    if args.gate != "answers":
        gate = []
    elif not any(prompt.answers or prompt.judge for prompt in gate):
        raise InputError("gate answers needs prompts with answers marked split gate; mark some, or use gate held_out")

    rule = answer_rule(args.answers or "auto") if args.level == "answer" else None
    if rule is not None:
        require_readable([*prompts, *gate], rule)

    def encoded(of: Sequence[Prompt], first: int) -> list[Encoded]:
        tokens = encode_prompts(of, loaded, max_new_tokens=args.max_completion_length, raw=args.raw_prompts)
        return [Encoded(number, tuple(ids)) for number, ids in enumerate(tokens, first)]

    trained = sum(prompt.split == "train" for prompt in prompts)
    return Parts(
        prompts=prompts,
        encoded=encoded(prompts, 0),
        beside=Beside(encode_passages(unrelated_text(), loaded), gate, encoded(gate, len(prompts)), rule),
        reward=reward_mixture(_rewards(args, reward_funcs), args.reward_weights),
        update=UPDATES[args.loss_type],
        beta=None
        if args.beta is None
        else BETA_SCHEDULES[args.beta_schedule](
            args.beta, trained * args.num_generations * (args.num_generations - 1) // 2
        ),
        actions=checked_actions(args.on_signature),
        answers=rule,
    )


def _rewards(args: SelfRewardingConfig, given: Any) -> Any:
    if given is None:
        given = args.rewards
    return "answer" if given is None and args.level == "answer" else given


def open_folder(args: SelfRewardingConfig, loaded: LoadedModel, parts: Parts, resume: bool) -> RunDirectory:
    """The run's folder, created, or opened to go on with the same run.

    Raises:
        InputError: the folder holds another run, or this run with another configuration.
    """
    path = args.run_folder
    configuration = args.recorded() | {
        "rewards": list(parts.reward.names),
        "model": loaded.name,
        "model_checksum": loaded.checksum,
        "weights": loaded.weights,
        "prompts_checksum": checksum_of(parts.prompts, [one.tokens for one in parts.encoded]),
    }
    if resume and (path / RUN_FILE).is_file():
        directory = RunDirectory.open(path)
        before = directory.record()["configuration"]
        directory.require_same(configuration, args.may_change(before, configuration))
        directory.update(status="running", reason=None, configuration=configuration)
        return directory
    counts = Counter(prompt.split for prompt in parts.prompts)
    about = {
        "seed": args.seed,
        "prompts": {"train": counts["train"], "held_out": counts["held_out"]},
        "versions": {name: version(name) for name in ("srlm", "torch", "transformers", "peft", "numpy")}
        | {"python": platform.python_version()},
    }
    return RunDirectory.create(path, configuration, about)
