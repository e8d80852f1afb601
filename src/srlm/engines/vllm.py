"""vLLM servers: they draw, the process that trains scores.

Knows: vLLM's interface. A policy is an adapter's folder under a name of its own, loaded into every server: no weights
are sent or merged, and no name is ever given to two sets of weights (same name: stale caches, vllm-project/vllm 42125;
load_inplace: read from disk at every step, 33791). Of several servers each prompt has its own while they live. What is
drawn is kept until all is. Refuses to know: trainers, adapter libraries, how a policy is trained.
"""

import hashlib
import json
import logging
import math
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from srlm.engines.engine import Draw, Encoded, Gives, PolicyVersion
from srlm.engines.http import Ask, Client, Failure
from srlm.errors import InputError
from srlm.lm.loading import LoadedModel
from srlm.records.progress import Progress
from srlm.records.responses import Complete, Response, Rollout, TokenGroup
from srlm.records.text import visible

# Seeds of one prompt, and so the most draws at one. On a CPU torch seeds with 32 bits, which leaves a million prompts.
SEEDS = 4096
_IN_FLIGHT = 64  # requests under way at a server
_BUSY = 3  # attempts before a server is given up for now
_TEMPERED = {"top_p": 1.0, "top_k": 0, "min_p": 0.0, "repetition_penalty": 1.0, "presence_penalty": 0.0}
_WAY_OUT = "use --engine transformers"

Score = Callable[[Sequence[TokenGroup]], list[list[float]]]


def seed_of(ask: Draw, number: int) -> int:
    """The seed of the first response asked for at a prompt; vLLM gives the k-th after it this plus k. So a response's
    seed says run, stream, prompt and place, however many are asked for at once, and no two prompts share one.
    """
    digest = hashlib.sha256(f"{ask.seed}/{ask.stream}".encode()).digest()
    return (int.from_bytes(digest[:8], "big") >> 2) + number * SEEDS + ask.skip  # below 2^63


@dataclass(frozen=True, slots=True)
class Adapter:
    """What a server is told of a policy: the adapter's folder, under a name that says its contents."""

    name: str
    folder: Path

    @classmethod
    def of(cls, folder: Path, number: int) -> "Adapter":
        whole = hashlib.sha256(str(folder.resolve()).encode())
        for path in sorted(folder.glob("adapter_*")):
            whole.update(path.name.encode() + path.read_bytes())
        return cls(f"srlm-{whole.hexdigest()[:12]}-r{number:02d}", folder.resolve())


@dataclass(slots=True)
class VllmServers:
    """vLLM servers of one base model.

    Attributes:
        addresses: of their roots.
        loaded: the same model here: its tokenizer, and what ends a response.
        score: the training forward's log-probabilities, of the policy that is drawn from.
        patience: seconds to wait while no server gets anything done.
        tell: is given a sentence for whoever waits.
    """

    addresses: tuple[str, ...]
    loaded: LoadedModel
    score: Score
    patience: float = 600.0
    tell: Callable[[str], None] = logging.getLogger("srlm").warning
    away: dict[str, Failure] = field(default_factory=dict)  # servers that did not answer when they were last asked
    _bases: dict[str, str] = field(default_factory=dict)
    _holding: set[tuple[str, str]] = field(default_factory=set)  # (address, adapter)
    _adapter: Adapter | None = None

    @property
    def name(self) -> str:
        """What it is called."""
        return "vllm"

    @property
    def dtype(self) -> str:
        """How training holds the weights; a server does not say how it does, parity does."""
        return self.loaded.weights

    @property
    def gives(self) -> Gives:
        """Samples with their log-probabilities; no distributions, and rounding depends on what else a server does."""
        return Gives(logprobs=True, tokens=True, greedy=True, scores=False, repeatable=False)

    def at(self, version: PolicyVersion) -> "VllmSampler":
        adapter = None if version.checkpoint is None else Adapter.of(version.checkpoint, version.number)
        if self._adapter and self._adapter != adapter:
            self.close()
        self._adapter = adapter
        return VllmSampler(self, adapter, version.keep)

    def close(self) -> None:
        """Have the servers forget the policy that was drawn from last, as far as they answer."""
        if adapter := self._adapter:
            self._adapter = None
            for address, name in [one for one in self._holding if one[1] == adapter.name]:
                self._holding.discard((address, name))
                self.ask(address, "/v1/unload_lora_adapter", {"lora_name": name}, plain=True)

    def ask(self, address: str, path: str, body: Mapping[str, Any] | None = None, plain: bool = False) -> Any:
        """One attempt at one reply, or the `Failure`."""
        client = Client(attempts=1, timeout=max(60.0, self.patience))
        (reply,) = client.send([Ask(address + path, body, plain)])
        return reply

    def cards(self, address: str) -> Any:
        """What `/v1/models` lists, the base model first; or the `Failure`."""
        reply = self.ask(address, "/v1/models")
        if isinstance(reply, Failure):
            return reply
        found = reply.get("data") if isinstance(reply, dict) else None
        if not isinstance(found, list) or not all(isinstance(one, dict) and "id" in one for one in found) or not found:
            raise InputError(f"{address} lists no models; it is no vLLM server")
        return sorted(found, key=lambda one: one.get("parent") is not None)

    def prepare(self, address: str, adapter: Adapter | None) -> str | None:
        """The name by which this server has the policy, which it loads where it has not; None while it is away.

        Raises:
            InputError: it refuses the adapter.
        """
        if adapter is None:
            if address not in self._bases or address in self.away:
                cards = self.cards(address)
                if isinstance(cards, Failure):
                    self.away[address] = cards
                    return None
                self._bases[address] = cards[0]["id"]
        elif (address, adapter.name) not in self._holding or address in self.away:
            body = {"lora_name": adapter.name, "lora_path": str(adapter.folder)}
            reply = self.ask(address, "/v1/load_lora_adapter", body, plain=True)
            if isinstance(reply, Failure):
                already = reply.status == 400 and "already been loaded" in str(reply)
                if reply.status in (None, 502, 503, 504):
                    self.away[address] = reply
                    return None
                if not already:
                    raise InputError(_refused(address, adapter, reply)) from reply
            self._holding.add((address, adapter.name))
        self.away.pop(address, None)
        return self._bases[address] if adapter is None else adapter.name

    def lost(self, address: str, adapter: Adapter | None, why: Failure) -> None:
        """A server did not answer, or has forgotten the policy."""
        self.away[address] = why
        if adapter:
            self._holding.discard((address, adapter.name))


@dataclass(frozen=True, slots=True)
class _Piece:
    """One request: the samples at a prompt, or greedy decoding."""

    at: int
    prompt: Encoded
    greedy: bool


@dataclass(frozen=True, slots=True)
class _Drawn:
    """The reply to one request: which server gave it, tokens and log-probability of every response (None: not said),
    and that of the first token of the first one.
    """

    server: str
    choices: list[tuple[tuple[int, ...], float | None]]
    first: float | None


@dataclass(frozen=True, slots=True)
class VllmSampler:
    """Draws from one policy on all servers.

    Attributes:
        servers: the engine.
        adapter: the policy; None: the base model.
        keep: a folder for what is drawn, until all is; None: nothing is kept.
    """

    servers: VllmServers
    adapter: Adapter | None
    keep: Path | None = None

    def draw(self, prompts: Sequence[Encoded], ask: Draw, progress: Progress | None = None) -> list[Rollout]:
        """As `Sampler.draw`, up to rounding: what is drawn depends on what else its server does, as far as that rounds.

        Raises:
            InputError: a server refused, answered what cannot be right, or none answered for too long.
        """
        if ask.skip + ask.count > SEEDS:
            raise InputError(f"at most {SEEDS} responses to a prompt are drawn through servers; {_WAY_OUT}")
        pieces = [_Piece(at, one, g) for at, one in enumerate(prompts) for g in ((False, True)[: 1 + ask.greedy])]
        found = self._kept(pieces, ask)
        missing = [one for one in pieces if one not in found]
        with self._keeping(ask) as keep:
            last = time.monotonic()
            while missing:
                names = self._names(last)
                before = len(found)
                failure = self._send(missing, names, ask, found, keep, progress)
                missing = [one for one in missing if one not in found]
                if len(found) > before:
                    last = time.monotonic()
                elif missing and failure is not None:
                    self._give_up(last, failure)
                    time.sleep(min(1.0, self.servers.patience / 20))
        return self._rollouts(prompts, ask, found)

    def _names(self, since: float) -> dict[str, str]:
        """Servers that have the policy, and by which name; waits until there is one."""
        servers, told = self.servers, False
        while True:
            known = {address: servers.prepare(address, self.adapter) for address in servers.addresses}
            if names := {address: name for address, name in known.items() if name is not None}:
                if told:
                    servers.tell(f"{', '.join(names)} answers again; sampling goes on")
                return names
            why = next(iter(servers.away.values()))
            self._give_up(since, why)
            if not told:
                servers.tell(f"no server answers ({why}); waiting up to {servers.patience:g} s for one")
                told = True
            time.sleep(min(2.0, servers.patience / 20))

    def _give_up(self, since: float, why: Failure) -> None:
        if time.monotonic() - since > self.servers.patience:
            raise InputError(
                f"no server got anything done for {self.servers.patience:g} s ({why}); start one and resume: what was "
                "drawn is kept"
            ) from why

    def _send(
        self,
        missing: Sequence[_Piece],
        names: Mapping[str, str],
        ask: Draw,
        found: dict[_Piece, _Drawn],
        keep: Callable[[_Piece, _Drawn], None],
        progress: Progress | None,
    ) -> Failure | None:
        """Ask for all that is missing, each at its own server, until a server goes away; then the reason."""
        places = [_place(names, one.prompt.number) for one in missing]
        asks = [
            Ask(f"{address}/v1/completions", self._body(one, names[address], ask))
            for one, address in zip(missing, places, strict=True)
        ]
        failures: list[Failure] = []

        def hear(at: int, reply: Any) -> bool:
            piece, address = missing[at], places[at]
            if not isinstance(reply, Failure):
                drawn = self._read(piece, address, reply, ask)
                if not isinstance(drawn, Failure):
                    found[piece] = drawn
                    keep(piece, drawn)
                    if progress is not None:
                        done = {one.at for one in found} - {one.at for one in missing if one not in found}
                        progress(len(done), len({one.at for one in (*found, *missing)}))
                    return False
                reply = drawn
            if reply.kind == "refused" and not (self.adapter and reply.status == 404):
                raise reply
            if reply.kind != "unsent":
                failures.append(reply)
                self.servers.lost(address, self.adapter, reply)
            return True

        client = Client(in_flight=_IN_FLIGHT * len(names), attempts=_BUSY, timeout=max(600.0, self.servers.patience))
        client.send(asks, hear)
        return failures[0] if failures else None

    def _body(self, piece: _Piece, name: str, ask: Draw) -> dict[str, Any]:
        """The plain policy, whatever the server's generation settings say."""
        one = {"n": 1, "temperature": 0.0} if piece.greedy else {"n": ask.count, "temperature": 1.0}
        return {
            "model": name, "prompt": list(piece.prompt.tokens), "max_tokens": ask.max_tokens, "logprobs": 0, **one,
            "seed": seed_of(ask, piece.prompt.number), "return_token_ids": True, **_TEMPERED,
            "stop_token_ids": list(self.servers.loaded.end_token_ids),
        }  # fmt: skip

    def _read(self, piece: _Piece, address: str, reply: Any, ask: Draw) -> "_Drawn | Failure":
        """A reply's responses; a `Failure` where the server broke it off.

        Raises:
            InputError: it cannot be right.
        """
        count, ends = 1 if piece.greedy else ask.count, self.servers.loaded.end_token_ids
        try:
            choices = sorted(reply["choices"], key=lambda one: one["index"])
            if any(one.get("finish_reason") == "abort" for one in choices):
                return Failure(f"{address} broke responses off", "unreachable")
            if [one["index"] for one in choices] != list(range(count)):
                raise ValueError(f"{len(choices)} responses instead of {count}")
            drawn, firsts = [], []
            for one in choices:
                tokens, said = tuple(one["token_ids"]), one["logprobs"]["token_logprobs"]
                if list(one.get("prompt_token_ids") or piece.prompt.tokens) != list(piece.prompt.tokens):
                    raise ValueError("another prompt than the one that was sent")
                if not tokens or len(said) != len(tokens):
                    raise ValueError(f"{len(said)} log-probabilities of {len(tokens)} tokens")
                if tokens[-1] not in ends and len(tokens) != ask.max_tokens:
                    raise ValueError(f"a response of {len(tokens)} tokens that ends with token {tokens[-1]}")
                sure = all(isinstance(value, int | float) and math.isfinite(value) and value <= 0 for value in said)
                drawn.append((tokens, float(sum(said)) if sure else None))
                firsts.append(said[0] if sure else None)
        except (KeyError, TypeError, ValueError) as error:
            told = visible(str(error) or "nothing that can be read", 200)
            raise InputError(f"{address} answered what vLLM does not ({told}); {_WAY_OUT}") from error
        return _Drawn(address, drawn, firsts[0])

    def _rollouts(self, prompts: Sequence[Encoded], ask: Draw, found: Mapping[_Piece, _Drawn]) -> list[Rollout]:
        """What was found, with the training forward's values where a server did not say one."""
        unsaid = [
            (one, [tokens for tokens, value in drawn.choices if value is None])
            for one, drawn in found.items()
            if any(value is None for _, value in drawn.choices)
        ]
        scored = self.servers.score([(one.prompt.tokens, some) for one, some in unsaid]) if unsaid else []
        values = {
            one.at * 2 + one.greedy: dict(zip(some, row, strict=True))
            for (one, some), row in zip(unsaid, scored, strict=True)
        }
        loaded, rollouts = self.servers.loaded, []

        def responses(piece: _Piece) -> tuple[Response, ...]:
            known = values.get(piece.at * 2 + piece.greedy, {})
            complete = (
                Complete(tokens, known[tokens] if value is None else value, tokens[-1] in loaded.end_token_ids)
                for tokens, value in found[piece].choices
            )
            return tuple(Response(one, loaded.text(one.tokens)) for one in complete)

        for at, prompt in enumerate(prompts):
            piece = _Piece(at, prompt, False)
            drawn = found[piece]
            none = sum(value is None for _, value in drawn.choices)
            rollout = Rollout(prompt.number, responses(piece), server=drawn.server, unsaid=none)
            if ask.greedy:
                piece = _Piece(at, prompt, True)
                # No token is likelier than 1.
                rollout = replace(rollout, greedy=responses(piece)[0], first_token_bound=found[piece].first or 0.0)
            rollouts.append(rollout)
        return rollouts

    # What is drawn is kept as it comes, so that a killed run does not draw it again.

    def _mark(self, ask: Draw) -> list[Any]:
        """What a kept line must have been drawn from, and as which part of the stream."""
        return [self.adapter and self.adapter.name, ask.count, ask.max_tokens, ask.seed, ask.stream, ask.skip]

    def _kept(self, pieces: Sequence[_Piece], ask: Draw) -> dict[_Piece, _Drawn]:
        by_key = {(one.prompt.number, one.greedy): one for one in pieces}
        found: dict[_Piece, _Drawn] = {}
        for path in sorted(self.keep.glob("*.jsonl")) if self.keep else ():
            for line in path.read_text(encoding="utf-8").splitlines():
                try:
                    mark, number, greedy, server, choices, first = json.loads(line)
                except ValueError:  # cut short with the run
                    continue
                if mark == self._mark(ask) and (piece := by_key.get((number, greedy))):
                    found[piece] = _Drawn(server, [(tuple(tokens), value) for tokens, value in choices], first)
        return found

    @contextmanager
    def _keeping(self, ask: Draw) -> Iterator[Callable[[_Piece, _Drawn], None]]:
        if self.keep is None:
            yield lambda piece, drawn: None
            return
        self.keep.mkdir(parents=True, exist_ok=True)
        with (self.keep / f"{uuid.uuid4().hex[:12]}.jsonl").open("w", encoding="utf-8") as file:

            def keep(piece: _Piece, drawn: _Drawn) -> None:
                line = [self._mark(ask), piece.prompt.number, piece.greedy, drawn.server, drawn.choices, drawn.first]
                print(json.dumps(line), file=file, flush=True)

            yield keep


def _place(addresses: Mapping[str, Any], number: int) -> str:
    """The server of a prompt: when one goes away, only its own prompts move."""
    return min(addresses, key=lambda address: hashlib.sha256(f"{address}/{number}".encode()).digest())


def _refused(address: str, adapter: Adapter, why: Failure) -> str:
    return f"{address} does not load the adapter in {visible(str(adapter.folder), 200)}: {why}"
