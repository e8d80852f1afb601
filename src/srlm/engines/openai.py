"""Any endpoint that speaks OpenAI's interface: the texts that it draws, each exactly once.

Knows: chat and completions, what servers do to `n`, order and numbers of choices, budgets, what was drawn before. It
asks for temperature 1 without truncation; what a server does beside that cannot be seen from outside. Refuses to know:
torch, tokens, and log-probabilities, which servers temper, round and leave out as they like.
"""

import hashlib
import json
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

from srlm.engines.cache import Cache, Told
from srlm.engines.engine import Draw, Encoded, PolicyVersion
from srlm.engines.http import KEY, Ask, Client, Failure
from srlm.errors import InputError
from srlm.records.progress import Progress
from srlm.records.responses import Response, Rollout
from srlm.records.text import visible
from srlm.tasks.prompts import Messages

NAME = "openai"
_GREEDY = -1  # the number of greedy decoding among a prompt's draws
AT_ONCE = 64  # most choices of a request
_FRUITLESS = 3  # requests for a draw that bring none, before giving up
# What such servers truncate by unless they are told not to; others refuse names that they do not know.
_PLAIN: Mapping[str, Any] = {"top_k": -1, "min_p": 0.0, "repetition_penalty": 1.0}
_OWNERS = ("vllm", "sglang", "llamacpp")
Job = tuple[Encoded, int, int]  # a prompt, its first draw, how many


@dataclass(slots=True)
class Spent:
    """What was paid for: requests sent, tokens answered; and how many draws the cache had."""

    requests: int = 0
    tokens: int = 0
    cached: int = 0
    models: set[str] = field(default_factory=set)


@dataclass(eq=False, slots=True)
class Endpoint:
    """A model behind an address: an engine with one policy, and its sampler.

    Attributes:
        address: the base, which ends in /v1.
        model: as the server calls it.
        contents: of the prompts, by their numbers.
        client, cache: send, and keep.
        note: is told what whoever waits should know.
        chat: ask by chat; else by completions, which take strings alone.
        at_once: most choices of a request; a server that gives half or fewer lowers it.
        max_requests, max_tokens: most to send, and most tokens to have answered; None: no end.
        key_name: the variable that the key comes from, for messages.
    """

    address: str
    model: str
    contents: Sequence[str | Messages]
    client: Client
    cache: Cache
    note: Callable[[str], None]
    chat: bool = True
    at_once: int = AT_ONCE
    max_requests: int | None = None
    max_tokens: int | None = None
    key_name: str = KEY
    spent: Spent = field(default_factory=Spent)
    _plain: Mapping[str, Any] = field(default_factory=dict)
    _dropped: set[str] = field(default_factory=set)
    _greedy: bool = True
    _tried: set[bool] = field(default_factory=set)
    _reserved: dict[int, int] = field(default_factory=dict)
    _copies: list[int] = field(default_factory=list)
    _said: str = ""
    name: ClassVar[str] = NAME
    dtype: ClassVar[str] = "not known"  # nobody says
    scores: ClassVar[bool] = False

    def __post_init__(self) -> None:
        seen: Counter[str] = Counter()
        for content in map(repr, self.contents):
            self._copies.append(seen[content])
            seen[content] += 1

    def at(self, version: PolicyVersion) -> "Endpoint":
        """Itself: it has one policy."""
        if version != PolicyVersion(0):
            raise ValueError("an endpoint has the policy that it has; nothing can be put in its place")
        return self

    def prepare(self, prompts: Sequence[Encoded], ask: Draw) -> None:
        """Look at the server, tell what drawing will cost, and refuse what cannot be, before anything is paid for.

        Raises:
            InputError: messages for completions; no such server or model; the wrong key; a budget that is too small.
        """
        for one in () if self.chat else prompts:
            if not isinstance(self.contents[one.number], str):
                told = "is a list of chat messages, which completions do not take; use --endpoint chat"
                raise InputError(f"prompt {one.number + 1} {told}")
        jobs = self._jobs(prompts, ask, self._known(prompts, ask))
        if jobs:
            self._greet(ask.max_tokens)
        draws = len(prompts) * (ask.count + ask.greedy)
        self.spent.cached = draws - sum(count for _, _, count in jobs)
        self._estimate(jobs, ask)

    def draw(self, prompts: Sequence[Encoded], ask: Draw, progress: Progress | None = None) -> list[Rollout]:
        """As `Sampler.draw`: texts alone.

        Raises:
            InputError: the server refuses, does not answer, answers as another model or cuts; the budget is spent.
                What was drawn is kept.
        """
        known, fruitless = self._known(prompts, ask), 0
        while jobs := self._jobs(prompts, ask, known):
            # Alone first: what a server refuses is learnt from one request of a kind, not from all at once.
            new = next((job for job in jobs if (job[1] == _GREEDY) not in self._tried), None)
            before, at_once = _count(known), self.at_once
            failure = self._send(jobs if new is None else [new], ask, known, progress)
            if failure is not None and new is not None and self._adapts(failure, new, ask):
                continue
            now, wanted = _count(known), len(prompts) * len(self._numbers(ask))
            if failure is not None:
                raise self._explained(failure, now, wanted)
            if new is not None and now > before:
                self._tried.add(new[1] == _GREEDY)
            if self.at_once < at_once:
                self._estimate(self._jobs(prompts, ask, known), ask)
            fruitless = 0 if now > before else fruitless + 1
            if fruitless == _FRUITLESS:
                told = InputError(f"{self._url} answers without usable choices{self._said}")
                raise self._explained(told, now, wanted)
        return [self._rollout(one, ask, known[one.number]) for one in prompts]

    @property
    def _url(self) -> str:
        return f"{self.address}/{'chat/completions' if self.chat else 'completions'}"

    def _digest(self, number: int, ask: Draw, *facts: Any) -> str:
        """Of a prompt, how it is drawn at, and more facts. A prompt that occurs twice is drawn at twice."""
        asked = [self.contents[number], self._copies[number], ask.seed, ask.stream, *facts]
        return hashlib.sha256(json.dumps(asked).encode()).hexdigest()

    def _question(self, number: int, ask: Draw) -> str:
        """Of all that a draw depends on beside its number."""
        return self._digest(number, ask, self.address, self.model, self.chat, ask.max_tokens)

    def _known(self, prompts: Sequence[Encoded], ask: Draw) -> dict[int, dict[int, Told]]:
        """Draws that are asked for and in the cache, by prompt and number."""
        wanted = set(self._numbers(ask))
        every = {one.number: self.cache.read(self._question(one.number, ask)) for one in prompts}
        return {at: {draw: told for draw, told in one.items() if draw in wanted} for at, one in every.items()}

    def _numbers(self, ask: Draw) -> list[int]:
        return [*([_GREEDY] if ask.greedy and self._greedy else []), *range(ask.skip, ask.skip + ask.count)]

    def _jobs(self, prompts: Sequence[Encoded], ask: Draw, known: Mapping[int, Mapping[int, Told]]) -> list[Job]:
        """Requests for what is missing: runs of neighbouring draws."""
        jobs: list[Job] = []
        for one in prompts:
            for draw in (draw for draw in self._numbers(ask) if draw not in known[one.number]):
                of, first, count = jobs[-1] if jobs else (None, 0, 0)
                if of is one and first != _GREEDY and draw == first + count and count < self.at_once:
                    jobs[-1] = (one, first, count + 1)
                else:
                    jobs.append((one, draw, 1))
        return jobs

    def _body(self, job: Job, ask: Draw) -> dict[str, Any]:
        one, first, count = job
        content = self.contents[one.number]
        # One seed a draw, counted from the prompt's own: prompts share no randomness, and n draws at once are those of
        # n requests where a server counts on from the seed. Caches on the way see different requests.
        seed = int(self._digest(one.number, ask)[:7], 16) + max(first, 0)
        messages = [{"role": "user", "content": content}] if isinstance(content, str) else list(content)
        body = {
            "model": self.model,
            **({"messages": messages} if self.chat else {"prompt": content}),
            **({"n": count} if count > 1 else {}),
            "temperature": 0 if first == _GREEDY else 1,
            "top_p": 1,
            "max_tokens": ask.max_tokens,
            "seed": seed,
            **self._plain,
        }
        body = {name: value for name, value in body.items() if name not in self._dropped}
        return body if "max_tokens" in body else {**body, "max_completion_tokens": ask.max_tokens}

    def _send(
        self, jobs: Sequence[Job], ask: Draw, known: dict[int, dict[int, Told]], progress: Progress | None
    ) -> InputError | None:
        """Send all, take what comes; why it ended early, if it did."""
        asks = [Ask(self._url, self._body(job, ask)) for job in jobs]
        failures: list[InputError] = []
        wanted = len(self._numbers(ask))
        done = sum(len(one) == wanted for one in known.values())

        def hear(at: int, reply: Any) -> bool:
            nonlocal done
            self._reserved.pop(id(asks[at]), None)
            try:
                if isinstance(reply, Failure):
                    raise reply
                self._take(jobs[at], reply, ask, known)
            except InputError as failure:
                failures.append(failure)
            done += len(known[jobs[at][0].number]) == wanted
            if progress is not None:
                progress(done, len(known))
            return bool(failures)

        def allow(one: Ask) -> str | None:
            need = (one.body or {}).get("n", 1) * ask.max_tokens
            reserved = sum(self._reserved.values()) - self._reserved.get(id(one), 0)
            if self.max_requests is not None and self.spent.requests >= self.max_requests:
                return f"the budget of {self.max_requests} requests is spent; raise --max-requests"
            if self.max_tokens is not None and self.spent.tokens + reserved + need > self.max_tokens:
                return f"the budget of {self.max_tokens} tokens would not hold the next request; raise --max-tokens"
            self.spent.requests, self._reserved[id(one)] = self.spent.requests + 1, need
            return None

        self.client.send(asks, hear, allow)
        return failures[0] if failures else None

    def _take(self, job: Job, reply: Any, ask: Draw, known: dict[int, dict[int, Told]]) -> None:
        """Keep the choices of a reply, each once and no more than were asked for."""
        one, first, count = job
        reply = reply if isinstance(reply, dict) else {}
        choices, usage = self._choices(reply), reply.get("usage")
        tokens = usage.get("completion_tokens") if isinstance(usage, dict) else None
        tokens = tokens if isinstance(tokens, int) and tokens >= 0 else None
        self.spent.tokens += max(1, len(choices)) * ask.max_tokens if tokens is None else tokens
        echo = reply.get("model")
        if isinstance(echo, str) and echo:
            if not _same(self.model, echo):
                raise InputError(f"{self._url} answers as model {visible(echo, 80)!r}, not {visible(self.model, 80)!r}")
            self.spent.models.add(visible(echo, 80))
        if tokens is not None and len(choices) == 1 and choices[0][1] is False and tokens + 1 < ask.max_tokens:
            raise InputError(
                f"{self._url} cut a response after {tokens} tokens, though {ask.max_tokens} were asked for; lower "
                "--max-new-tokens, or raise the server's limit"
            )
        if not choices and isinstance(error := reply.get("error"), dict):
            self._said = f" ({self.client.without(str(error.get('message')))})"
        if 0 < len(choices) <= count // 2:  # one that is missing once is no habit
            self.at_once = len(choices)
        new = {first + at: told for at, told in enumerate(choices[:count])}
        known[one.number].update(new)
        self.cache.write(self._question(one.number, ask), new)

    def _choices(self, reply: Mapping[str, Any]) -> list[Told]:
        """Texts with how they ended, in the order of their indices; what is there twice counts once."""
        found: dict[int, Told] = {}
        every = reply.get("choices")
        for at, one in enumerate(every if isinstance(every, list) else []):
            holder = one.get("message" if self.chat else "text") if isinstance(one, dict) else None
            text = holder.get("content", "") if self.chat and isinstance(holder, dict) else holder
            if text is None and isinstance(holder, dict):
                text = ""  # all its tokens went into thought
            if not isinstance(text, str):
                continue
            index, end = one.get("index"), one.get("finish_reason")
            # Half of a character is no text, and could not be written down.
            whole = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
            found.setdefault(index if isinstance(index, int) else at, (whole, None if end is None else end != "length"))
        return [found[index] for index in sorted(found)]

    def _greet(self, max_tokens: int) -> None:
        """The models that the server lists, where it lists any."""
        try:
            reply = replace(self.client, attempts=min(2, self.client.attempts)).one(Ask(f"{self.address}/models"))
        except Failure as failure:
            if failure.status in (404, 405, 501):
                return
            raise self._explained(failure) from None
        data = reply.get("data") if isinstance(reply, dict) else None
        entries = [one for one in data or [] if isinstance(one, dict) and isinstance(one.get("id"), str)]
        ours = [one for one in entries if one["id"] == self.model or one["id"].endswith(f"/{self.model}")]
        if entries and not ours:
            names = ", ".join(visible(one["id"], 60) for one in entries[:5])
            raise InputError(
                f"{self.address} has no model {visible(self.model, 80)!r}; give one of its own by --model: {names}"
                + (f" and {len(entries) - 5} more" if len(entries) > 5 else "")
            )
        facts = ours[0] if ours else {}
        longest = facts.get("max_model_len")
        if isinstance(longest, int) and longest <= max_tokens:
            raise InputError(
                f"{self.address} takes {longest} tokens of prompt and response together; lower --max-new-tokens "
                f"(now {max_tokens})"
            )
        if facts.get("owned_by") in _OWNERS:
            self._plain = _PLAIN

    def _estimate(self, jobs: Sequence[Job], ask: Draw) -> None:
        """Tell what is to come, and refuse what is beyond the budget.

        Raises:
            InputError: it is.
        """
        requests, draws = len(jobs), sum(count for _, _, count in jobs)
        tokens = draws * ask.max_tokens
        what = f"{requests:,} requests for {draws:,} draws, at most {tokens:,} tokens of responses"
        cached = f" ({self.spent.cached:,} draws are in the cache)" if self.spent.cached else ""
        self.note(f"to send to {self._url}: {what}{cached}" if jobs else f"nothing to send{cached}")
        wrong = []
        for name, need, spent, most in (
            ("requests", requests, self.spent.requests, self.max_requests),
            ("tokens", tokens, self.spent.tokens, self.max_tokens),
        ):
            if most is not None and need + spent > most:
                wrong.append(f"the budget is {most:,} {name}, and {spent + need:,} may be needed; raise --max-{name}")
        if wrong:
            raise InputError([*wrong, "or lower --samples, --limit or --max-new-tokens"])

    def _adapts(self, failure: InputError, job: Job, ask: Draw) -> bool:
        """Whether the first request of a kind can be made without what was refused; if so, it is from now on."""
        if not isinstance(failure, Failure) or failure.status not in (400, 422):
            return False
        body, said = self._body(job, ask), str(failure).partition(" answered ")[2]
        names = [name for name in ("seed", "top_p", *self._plain) if name in body and re.search(rf"\b{name}\b", said)]
        if "max_tokens" in body and "max_completion_tokens" in said:
            names = ["max_tokens"]
        if names:
            self._dropped.add(names[0])
        elif "n" in body:
            self.at_once = 1
        elif job[1] == _GREEDY:
            self._greedy = False
            self.note(f"greedy decoding is left out: {failure}")
        else:
            return False
        return True

    def _explained(self, failure: InputError, done: int = 0, wanted: int = 0) -> InputError:
        """The failure with what can be done about it, and what is not lost: the draws that are done."""
        told = str(failure)
        if isinstance(failure, Failure) and failure.status in (401, 403):
            state = "holds the key that was sent" if self.client.key else "is not set"
            told += f"; the environment variable {self.key_name} {state}"
        if done and self.cache.keeps:
            told += f"; {done} of {wanted} draws are kept: the same command goes on from there"
        return InputError(told)

    def _rollout(self, one: Encoded, ask: Draw, known: Mapping[int, Told]) -> Rollout:
        drawn = {number: Response(None, text, stopped=stopped) for number, (text, stopped) in known.items()}
        responses = tuple(drawn[number] for number in range(ask.skip, ask.skip + ask.count))
        return Rollout(one.number, responses, drawn.get(_GREEDY) if ask.greedy else None)


def _same(asked: str, echo: str) -> bool:
    """Whether a server that answers as `echo` runs what was asked for: the name itself, dated, or with an owner."""
    return echo.startswith(asked) or echo.endswith(f"/{asked}") or asked.endswith(f"/{echo}")


def _count(known: Mapping[int, Mapping[int, Told]]) -> int:
    return sum(map(len, known.values()))
