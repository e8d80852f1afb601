"""How a diagnosis measures.

Knows: names, defaults and domains, one line each. Refuses to know: torch, and what a setting makes a diagnosis do.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from srlm.engines.names import TRANSFORMERS, parse_engine
from srlm.errors import InputError
from srlm.lm.subject import LEVELS, settings_of
from srlm.records.options import option, problems, resolve

# What None stands for at each level.
_BY_LEVEL = {"response": {"samples": 8, "beta": 1.0}, "answer": {"samples": 16}}
# Of an endpoint alone.
ENDPOINT = ("endpoint", "api_key_env", "max_requests", "max_tokens", "in_flight", "cache")
_IN_FLIGHT = 64


@dataclass(frozen=True, slots=True)
class DiagnosisSettings:
    """How to measure.

    Raises:
        InputError: any field outside its domain; all such fields are named at once.
    """

    level: str = option(
        "response", "What is looked at: whole responses, by search, or their answers, by sampling.", "level",
        choices=LEVELS,
    )  # fmt: skip
    answers: str | None = option(
        None, "How an answer is read, as srlm run takes it.", "answers", shown="what the prompts say, else auto"
    )
    split: str | None = option(
        None, "Only the prompts of this split.", "split", choices=("train", "held_out"), shown="both"
    )
    until_certain: bool = option(
        False, "Stop drawing at a prompt once its majority is certified; --samples is then the most.", "until-certain"
    )
    confidence: float = option(
        0.95, "Of the certificates of answers, at all prompts at once.", "confidence", above=0, below=1
    )
    accept_unreadable: bool = option(
        False, "Go on where more than half of the responses have no answer.", "accept-unreadable"
    )
    max_new_tokens: int = option(
        12, "Longest response in tokens, as in the run you plan.", "max-new-tokens", low=1, high=1_000_000
    )
    expansions: int = option(2000, "Budget of the mode search for a prompt.", "expansions", low=1)
    samples: int = option(
        None, "Responses drawn for a prompt.", "samples", low=1, high=100_000, shown="8; of answers 16"
    )
    mass_slack: float = option(
        0.5, "delta: failure means mode probability <= 1 - delta.", "mass-slack", above=0, below=1
    )
    beta: float = option(
        None, "KL strength of the rounds that are forecast, as in the run you plan.", "beta", above=0,
        shown="1; of answers chosen from the shares",
    )  # fmt: skip
    rounds: int = option(3, "How many rounds to forecast.", "rounds", low=1, high=10_000)
    seed: int = option(0, "Everything random follows from it.", "seed", low=0, below=2**32)
    raw_prompts: bool = option(False, "Send string prompts without the chat template.", "raw-prompts")
    spectra: bool = option(True, "Leave out features and weights.", "no-spectra")
    engine: str = option(
        TRANSFORMERS, "What draws: transformers, vllm:URL[,URL...] or openai:URL, which ends in /v1.", "engine"
    )
    endpoint: str | None = option(
        None, "How an endpoint is asked.", "endpoint", choices=("chat", "completions"),
        shown="chat; of raw prompts completions",
    )  # fmt: skip
    api_key_env: str | None = option(
        None, "The environment variable that holds the endpoint's key.", "api-key-env", shown="OPENAI_API_KEY, if set"
    )
    max_requests: int | None = option(None, "Most requests to send to an endpoint.", "max-requests", low=1, shown="any")
    max_tokens: int | None = option(
        None, "Most tokens of responses to have from an endpoint.", "max-tokens", low=1, shown="any"
    )
    in_flight: int = option(_IN_FLIGHT, "Requests to an endpoint under way at once.", "in-flight", low=1, high=4096)
    cache: str | None = option(
        None, "Folder of what an endpoint answered before, which is not paid for again; none keeps nothing.", "cache",
        shown="srlm in the user's cache",
    )  # fmt: skip

    def __post_init__(self) -> None:
        resolve(self, _BY_LEVEL)
        if wrong := problems(self):  # of a wrong type nothing more can be asked
            raise InputError(wrong)
        wrong = self._of_engine()
        only = [name for name in ("answers", "until_certain", "accept_unreadable") if getattr(self, name)]
        if self.level == "response" and only:
            wrong.append(f"{', '.join(only)}: of level answer; give --level answer, or leave it out")
        if wrong:
            raise InputError(wrong)

    def _of_engine(self) -> list[str]:
        """What the engine cannot do, or the others have no use for."""
        kind = parse_engine(self.engine).kind
        if kind != "openai":
            if kind == "vllm" and self.level == "response":
                return ["engine vllm gives no next-token tables, so modes cannot be proved; use --level answer"]
            only = [name for name in ENDPOINT if getattr(self, name) not in (None, _IN_FLIGHT)]
            return [f"{', '.join(only)}: of an endpoint; give --engine openai:URL, or leave it out"] if only else []
        if self.level == "response":
            return [f"engine {kind} gives no next-token tables, so modes cannot be proved; use --level answer"]
        if self.raw_prompts and self.endpoint == "chat":
            return ["raw_prompts: chat puts every prompt into a template; use --endpoint completions"]
        return []


@dataclass(frozen=True, slots=True)
class Cluster:
    """The machines that look.

    Raises:
        InputError: as `DiagnosisSettings`.
    """

    ray: str | None = option(
        None,
        "Deal prompts out over a Ray cluster: its address, auto (the one that runs here, or RAY_ADDRESS), or local.",
        "ray",
        shown="this process alone",
    )
    ray_workers: int | None = option(
        None,
        "Workers of the cluster, each with the model.",
        "ray-workers",
        low=1,
        high=10_000,
        shown="one a GPU, else one a machine",
    )

    def __post_init__(self) -> None:
        if wrong := problems(self):
            raise InputError(wrong)


def settings_for(model: Any, given: Mapping[str, Any]) -> DiagnosisSettings:
    """The settings that come with a model, and what was given."""
    brought = settings_of(model, given.get("level"))
    names = {"max_completion_length": "max_new_tokens", "num_generations": "samples"}
    known = {one.name for one in fields(DiagnosisSettings)}
    ours = {names.get(name, name): value for name, value in brought.items() if names.get(name, name) in known}
    return DiagnosisSettings(**(ours | dict(given)))
