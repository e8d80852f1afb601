"""Where prompts come from.

Knows: JSON Lines, the bundled sets of questions, reasoning-gym tasks, `datasets.load_dataset`. Every prompt carries
what is needed to judge a response to it, and whether it is trained on, held out or kept for the gate. Refuses to know:
tokens, models.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, get_args

import numpy as np

from srlm.errors import InputError
from srlm.records.responses import ModeBracket, Response, Rollout
from srlm.records.rounds import Split
from srlm.records.shipped import shipped
from srlm.tasks.answers import AnswerRule, answer_rule
from srlm.tasks.grading import is_correct

BUNDLED = "bundled"
# Short answers; answers after a sentence or two; chains of steps, which the tiny reasoner was trained on the like of.
_SETS = {BUNDLED: "questions.jsonl", "reasoning": "reasoning.jsonl", "chains": "chains.jsonl"}
_GYM = "reasoning_gym:"
_GYM_SIZE = 64
_ONE_ANSWER = re.compile(r"[-+]?\d[\d.,/]*|yes|no|true|false|[a-f]", re.IGNORECASE)
Messages = tuple[Mapping[str, str], ...]


@dataclass(frozen=True, slots=True)
class Prompt:
    """One prompt and how to judge answers to it.

    Attributes:
        content: a string, or chat messages with `role` and `content`.
        split: trained on; held out and only measured; or kept for the gate, which other work leaves out.
        answers: accepted answers, for display and grading; empty where none is known.
        columns: every field of the record but the prompt, as it was, passed on to reward functions.
        judge: text of a response -> correct or not, or None where correctness is unknown.
        rule: how its answers are read, from the column `answer_type`; None: by the run's rule.
    """

    content: str | Messages
    split: Split = "train"
    answers: tuple[str, ...] = ()
    columns: Mapping[str, Any] = field(default_factory=dict)
    judge: Callable[[str], bool] | None = None
    rule: AnswerRule | None = None

    @property
    def text(self) -> str:
        """The prompt as a person reads it: the string, or the last message."""
        return self.content if isinstance(self.content, str) else self.content[-1]["content"]

    def grade(self, response: str) -> bool | None:
        """Whether the response is right; None where no answer is known."""
        if self.judge is not None:
            return self.judge(response)
        return is_correct(response, self.answers) if self.answers else None

    def graded(self, response: Response) -> Response:
        """The response, marked right or wrong where an answer is known and its text was told."""
        return response if response.text is None else replace(response, correct=self.grade(response.text))

    def graded_rollout(self, rollout: Rollout) -> Rollout:
        """The rollout with every sample marked."""
        return replace(rollout, responses=tuple(map(self.graded, rollout.responses)))

    def accepted(self, rule: AnswerRule) -> tuple[str, ...]:
        """The accepted answers as the prompt's own rule, else the given one, reads them; without those it cannot."""
        keys = map((self.rule or rule).accepted, self.answers)
        return tuple(dict.fromkeys(key for key in keys if key is not None))

    def answered_rollout(self, rollout: Rollout, rule: AnswerRule, known: Sequence[str] = ()) -> Rollout:
        """The rollout with the answer of every response, and with the mark that the answer earns.

        Args:
            rollout: decoded.
            rule: the run's, used where the prompt has none of its own.
            known: answers of earlier waves or rounds, which stand for what equals them.

        Returns:
            Right where the answer is an accepted one, wrong where it is another or none; where none is accepted, what
            `judge` says of the text, else not known. Without a text: as it was.
        """
        every = [*rollout.responses, *([rollout.greedy] if rollout.greedy else [])]
        accepted = self.accepted(rule)
        keys = iter((self.rule or rule).keys([one.text for one in every if one.text is not None], (*accepted, *known)))

        def answered(response: Response) -> Response:
            if response.text is None:
                return response
            key = next(keys)
            unknown = self.judge(response.text) if self.judge else None
            return replace(response, answer=key, correct=key in accepted if self.answers else unknown)

        responses = tuple(map(answered, rollout.responses))
        return replace(rollout, responses=responses, greedy=answered(rollout.greedy) if rollout.greedy else None)

    def graded_bracket(self, bracket: ModeBracket) -> ModeBracket:
        """The bracket with every response in it marked."""
        return replace(bracket, best=tuple(map(self.graded, bracket.best)), greedy=self.graded(bracket.greedy))


def load_prompts(
    source: str = BUNDLED, *, limit: int | None = None, held_out: float = 0.25, seed: int = 0
) -> list[Prompt]:
    """Read prompts.

    Args:
        source: "bundled", "reasoning" or "chains"; a JSON Lines file; "reasoning_gym:TASK"; or the name of a data set
            for `datasets.load_dataset`.
        limit: use at most this many (the first ones, so that a limit is a fixed subset), by default all.
        held_out: share in [0, 1) of prompts to hold out where the records carry no `split` of their own.
        seed: chooses the held-out prompts and generates reasoning-gym tasks.

    Raises:
        InputError: nothing there, a malformed record (its line is named), no prompts left.
    """
    problems = []
    if limit is not None and limit < 1:
        problems.append(f"the number of prompts is {limit}; it must be at least 1")
    if not 0 <= held_out < 1:
        problems.append(f"the held-out share is {held_out}; it must lie in [0, 1)")
    if problems:
        raise InputError(problems)
    if source in _SETS:
        text = shipped(f"tasks/data/{_SETS[source]}").read_text(encoding="utf-8")
        prompts = _from_json_lines(text, f"the {source} questions")
    elif source.startswith(_GYM):
        prompts = _from_reasoning_gym(source.removeprefix(_GYM), limit or _GYM_SIZE, seed)
    elif Path(source).is_file():
        prompts = _from_file(Path(source))
    elif Path(source).is_dir() or source.endswith((".jsonl", ".json")) or source.startswith((".", "/")):
        raise InputError(
            f"prompts file {source!r} does not exist; give a JSON Lines file with a `prompt` on every line"
        )
    else:
        prompts = _from_data_set(source, limit)
    prompts = prompts[:limit]
    if not prompts:
        raise InputError(f'{source!r} holds no prompts; give at least one line such as {{"prompt": "..."}}')
    if not any("split" in prompt.columns for prompt in prompts):
        prompts = _hold_out(prompts, held_out, seed)
    if not any(prompt.split == "train" for prompt in prompts):
        raise InputError(f"every prompt of {source!r} is held out or marked gate; at least one must be trained on")
    return prompts


def as_prompts(records: Any) -> list[Prompt]:
    """What the Python interface accepts as prompts: `Prompt`s, or records (dicts, a data set) with a `prompt`; None
    is bundled.

    Raises:
        InputError: no prompts, or a malformed record (it is named).
    """
    if records is None:
        return load_prompts()
    prompts = [
        record if isinstance(record, Prompt) else _from_record(record, f"train_dataset, row {number}")
        for number, record in enumerate(records, start=1)
    ]
    if not any(prompt.split == "train" for prompt in prompts):
        raise InputError("train_dataset holds no prompt to train on; give at least one record with a `prompt`")
    return prompts


def without_gate(prompts: Sequence[Prompt]) -> list[Prompt]:
    """The prompts that are trained on or measured, in order: all but those marked `gate`."""
    return [prompt for prompt in prompts if prompt.split != "gate"]


def _from_file(path: Path) -> list[Prompt]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"prompts file {str(path)!r} is not UTF-8 text (byte {error.start})") from error
    except OSError as error:
        raise InputError(f"prompts file {str(path)!r} cannot be read: {error.strerror}") from error
    return _from_json_lines(text, str(path))


def _from_json_lines(text: str, name: str) -> list[Prompt]:
    prompts = []
    for number, line in enumerate(text.split("\n"), start=1):  # other ends of lines may stand inside a string
        if not line.strip():
            continue
        where = f"{name}, line {number}"
        try:
            record = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise InputError(
                f'{where} is not JSON ({error}); write one object such as {{"prompt": "..."}} on every line'
            ) from error
        prompts.append(_from_record(record, where))
    return prompts


def _from_record(record: Any, where: str) -> Prompt:
    if not isinstance(record, dict) or "prompt" not in record:
        raise InputError(
            f'{where} has no `prompt`; write {{"prompt": "..."}} or {{"prompt": [{{"role": ..., "content": ...}}]}}'
        )
    split = record.get("split", "train")
    if split not in get_args(Split):
        raise InputError(f'{where}: split is {split!r}; use "train", "held_out" or "gate"')
    try:
        json.dumps(record, ensure_ascii=False, default=str, skipkeys=True).encode()
    except (ValueError, RecursionError) as error:
        raise InputError(f"{where} holds what no file can ({error}); write whole characters, less deep") from error
    columns = {key: value for key, value in record.items() if key != "prompt"}
    content, answers = _content(record["prompt"], where), _answers(record.get("answer"), where)
    return Prompt(content, split, answers, columns, rule=_rule(record.get("answer_type"), where))


def _rule(value: Any, where: str) -> AnswerRule | None:
    if value is None:
        return None
    try:
        return answer_rule(str(value))
    except InputError as error:
        raise InputError(f"{where}: {error}") from error


def _content(value: Any, where: str) -> str | Messages:
    if isinstance(value, str):
        if not value.strip():
            raise InputError(f"{where}: the prompt is empty; give it some text or remove the line")
        return value
    if not isinstance(value, list) or not value:
        raise InputError(f"{where}: the prompt is neither a string nor a list of chat messages")
    for message in value:
        if not isinstance(message, dict) or not all(isinstance(message.get(key), str) for key in ("role", "content")):
            raise InputError(f"{where}: a chat message needs `role` and `content`, both strings")
    if not value[-1]["content"].strip():
        raise InputError(f"{where}: the last message is empty; give it some text or remove the line")
    return tuple(value)


def _answers(value: Any, where: str) -> tuple[str, ...]:
    if value is None:
        return ()
    values = value if isinstance(value, list) else [value]
    if not values or any(isinstance(one, bool) or not isinstance(one, str | int | float) for one in values):
        raise InputError(f"{where}: the answer is {value!r}; use a string, a number, or a list of accepted ones")
    return tuple(str(one) for one in values)


def _from_reasoning_gym(task: str, size: int, seed: int) -> list[Prompt]:
    try:
        import reasoning_gym
        from reasoning_gym.dataset import ProceduralDataset
        from reasoning_gym.factory import DATASETS
    except ImportError as error:
        raise InputError(
            "reasoning_gym prompts need the package reasoning-gym; run: pip install 'srlm[gym]'"
        ) from error
    if task not in DATASETS:
        raise InputError(f"reasoning_gym has no task {task!r}; it has {', '.join(sorted(DATASETS))}")
    data = reasoning_gym.create_dataset(task, size=size, seed=seed)
    # Where a task scores in a way of its own, an answer of another form may be one of many: its scorer decides.
    oracle = type(data).score_answer is ProceduralDataset.score_answer
    prompts = []
    for entry in data:

        def judge(response: str, entry: dict[str, Any] = entry) -> bool:
            return float(data.score_answer(response.strip() or None, entry)) >= 1.0

        answer = entry["answer"]
        plain = isinstance(answer, str) and bool(oracle or _ONE_ANSWER.fullmatch(answer))
        prompts.append(Prompt(entry["question"], "train", (answer,) if plain else (), {"task": task}, judge))
    return prompts


def _from_data_set(name: str, limit: int | None) -> list[Prompt]:
    from datasets import load_dataset

    try:
        rows = load_dataset(name, split="train" if limit is None else f"train[:{limit}]")
    except Exception as error:  # the hub's errors share no base class
        raise InputError(
            f"prompts {name!r} are neither a file, nor {', '.join(_SETS)}, nor {_GYM}TASK, nor a data set that can "
            f"be loaded ({str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__})"
        ) from error
    return [_from_record(row, f"data set {name}, row {number}") for number, row in enumerate(rows, start=1)]


def _hold_out(prompts: list[Prompt], share: float, seed: int) -> list[Prompt]:
    """The same prompts with `share` of them, chosen by `seed`, held out."""
    count = min(round(share * len(prompts)), len(prompts) - 1)
    chosen = set(np.random.default_rng(seed).permutation(len(prompts))[:count].tolist())
    return [replace(prompt, split="held_out") if at in chosen else prompt for at, prompt in enumerate(prompts)]
