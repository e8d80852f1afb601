"""An endpoint's draws against the table behind it, whatever the server does on the way."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.engines.stub import CHANGES, MODEL, REFUSALS, Stub, Table, table_draw

from srlm.engines.cache import FILE, Cache
from srlm.engines.engine import Draw, Encoded, PolicyVersion
from srlm.engines.http import Client
from srlm.engines.openai import Endpoint
from srlm.errors import InputError
from srlm.records.responses import Rollout

TABLES: dict[str, Table] = {
    f"{n}+{n}?": {f"so it is #{2 * n}": 0.5, f"#{2 * n + 1}": 0.3, "let us see": 0.2} for n in range(6)
}
PROMPTS = [Encoded(number, ()) for number in range(len(TABLES))]
ASK = Draw(8, 16, seed=3, stream=0, greedy=True)
FAST = Client("sk-secret", in_flight=4, timeout=5.0, attempts=4, backoff=0.001)


def endpoint(stub: Stub, folder: Path | str = "none", *, notes: list[str] | None = None, **changed: Any) -> Endpoint:
    told: Callable[[str], None] = (notes if notes is not None else []).append
    parts = {"contents": list(TABLES), "client": FAST, "cache": Cache(str(folder), told), "note": told} | changed
    return Endpoint(stub.address, MODEL, **parts)


def drawn(engine: Endpoint, ask: Draw = ASK, prompts: list[Encoded] = PROMPTS) -> list[Rollout]:
    engine.prepare(prompts, ask)
    return engine.at(PolicyVersion(0)).draw(prompts, ask)


def texts(rollouts: list[Rollout]) -> list[list[str | None]]:
    return [[one.text for one in rollout.responses] for rollout in rollouts]


@pytest.fixture(scope="module")
def right() -> list[Rollout]:
    with Stub(TABLES) as stub:
        return drawn(endpoint(stub))


@pytest.fixture
def stub() -> Iterator[Stub]:
    with Stub(TABLES) as one:
        yield one


def test_draws_are_those_of_the_table(right: list[Rollout]) -> None:
    for rollout, table in zip(right, TABLES.values(), strict=True):
        assert len(rollout.responses) == ASK.count
        assert {one.text for one in rollout.responses} <= table.keys()
        assert all(one.stopped and one.complete is None for one in rollout.responses)
        assert rollout.greedy is not None
        assert rollout.greedy.text == max(table, key=table.__getitem__)
    everything = [text for rollout in texts(right) for text in rollout]
    assert len(set(map(tuple, texts(right)))) > 1
    assert 0.3 < sum(str(text).startswith("so") for text in everything) / len(everything) < 0.7


def test_every_draw_has_a_seed_of_its_own(stub: Stub, right: list[Rollout]) -> None:
    assert texts(drawn(endpoint(stub))) == texts(right)
    sampled = [body for body in stub.bodies if body["temperature"]]
    seeds = [body["seed"] + at for body in sampled for at in range(body["n"])]
    assert len(set(seeds)) == len(seeds) == len(PROMPTS) * ASK.count
    assert [body["n"] for body in sampled] == [ASK.count] * len(PROMPTS)
    assert all((body["temperature"], body["top_p"]) == (1, 1) for body in sampled)
    by_prompt = {body["messages"][-1]["content"]: body["seed"] for body in sampled}
    expected = [[table_draw(table, by_prompt[name] + at) for at in range(8)] for name, table in TABLES.items()]
    assert texts(right) == expected


_PASSING = [
    "429", "429 with Retry-After", "500", "503", "HTML", "cut before headers", "cut after headers", "half a body",
    "half of JSON", "slow", "no choices", "error in a reply", "null log-probabilities", "no usage", "wrong usage",
    "wrong order", "duplicated choices", "no index", "dated model", "one choice more", "n ignored", "n of 2",
]  # fmt: skip


@pytest.mark.parametrize("fault", _PASSING)
def test_a_fault_that_passes_leaves_exactly_the_right_samples(fault: str, right: list[Rollout]) -> None:
    with Stub(TABLES, dict.fromkeys((0, 2, 3, 7), fault)) as stub:
        # Shorter than the slow answer: it is given up and asked for again.
        engine = endpoint(stub, client=replace(FAST, timeout=1.0, attempts=12) if fault == "slow" else FAST)
        found = drawn(engine)
        assert found == right
        assert engine.spent.requests >= len(stub.bodies) > len(PROMPTS)


@pytest.mark.parametrize(
    "fault", ["n ignored", "n of 2", "one choice more", "wrong order", "duplicated choices", "no usage", "no index"]
)
def test_a_server_that_always_does_so_still_gives_each_draw_once(fault: str, right: list[Rollout]) -> None:
    with Stub(TABLES, {"always": fault}) as stub:
        assert drawn(endpoint(stub)) == right
        draws = len(PROMPTS) * ASK.count
        assert len(stub.bodies) <= {"n ignored": draws, "n of 2": draws // 2}.get(fault, len(PROMPTS)) + len(PROMPTS)


@pytest.mark.parametrize("name", ["n", "seed", "top_p", "max_tokens"])
def test_what_a_server_refuses_is_left_out(name: str, right: list[Rollout]) -> None:
    with Stub(TABLES, {"always": f"refuses {name}"}) as stub:
        found = drawn(endpoint(stub))
        assert name == "seed" or texts(found) == texts(right)
        # Learnt from the first request alone.
        assert sum(name in body for body in stub.bodies if name != "max_tokens") <= 1


def test_greedy_decoding_that_is_refused_is_left_out(right: list[Rollout]) -> None:
    notes: list[str] = []
    with Stub(TABLES, {"always": "refuses temperature 0"}) as stub:
        engine = endpoint(stub, notes=notes)
        found = drawn(engine)
    assert (texts(found), [one.greedy for one in found]) == (texts(right), [None] * len(found))
    assert any("greedy decoding is left out" in one for one in notes)


_SENTENCES = {
    "another model": "answers as model 'small-0', not 'table-1'",
    "HTML": "something that is not JSON: <html>",
    "no choices": "answers without usable choices",
    "error in a reply": "answers without usable choices (upstream is away)",
    "early cut": "cut a response after 1 tokens, though 16 were asked for",
    "401": "answered 401 (Unauthorized): Incorrect API key provided: (the key); the environment variable",
    "403": "not for you; the environment variable OPENAI_API_KEY holds the key that was sent",
    "redirect": "redirects to http://elsewhere.example/v1/, which is not followed",
    "huge message": "400 (Bad Request): no\\x1b[2J\\u202e no",
    "too long": "max_tokens is too large: this model has 2048",
    "429": "answered 429 (Too Many Requests): slow down",
    "429 for an hour": "come back later",
    "500": "answered 500 (Internal Server Error): oh",
    "cut before headers": "cut the connection",
    "half a body": "cut the connection",
    "slow": "did not answer within 0.15 s",
}


@pytest.mark.parametrize("fault", _SENTENCES)
def test_a_fault_that_stays_is_one_sentence(fault: str, tmp_path: Path) -> None:
    with Stub(TABLES, {"always": fault}) as stub:
        engine = endpoint(stub, tmp_path, client=replace(FAST, timeout=0.15) if fault == "slow" else FAST)
        with pytest.raises(InputError) as error:
            drawn(engine)
        assert len(stub.bodies) <= 4  # all alone: what is wrong with one request is not learnt from sixty-four
    told = str(error.value)
    assert _SENTENCES[fault] in told
    assert len(told) < 700
    assert told.isprintable()
    assert "sk-secret" not in told
    assert b"sk-secret" not in (tmp_path / FILE).read_bytes()
    assert "sk-secret" not in repr(engine)


def test_there_are_twenty_faults() -> None:
    planted = {*_PASSING, *_SENTENCES, "no finish_reason", "empty text", "null text", "strange text"}
    assert planted >= CHANGES.keys() | REFUSALS.keys()
    assert len(planted) >= 20


@pytest.mark.parametrize(
    ("fault", "text", "stopped"),
    [
        ("empty text", "", True),
        ("null text", "", True),
        ("strange text", "\ufffd is \x1b[2J\x00\u202e #7", True),
        ("no finish_reason", "#0", None),
    ],
)
def test_strange_texts_are_samples_too(fault: str, text: str, stopped: bool | None, tmp_path: Path) -> None:
    with Stub({"": {"#0": 1.0}}, {"always": fault}) as stub:
        found = drawn(endpoint(stub, tmp_path))
        asked = len(stub.bodies)
        assert drawn(endpoint(stub, tmp_path)) == found
        assert len(stub.bodies) == asked
    assert {(one.text, one.stopped) for rollout in found for one in rollout.responses} == {(text, stopped)}


def test_a_response_at_the_limit_is_cut(stub: Stub) -> None:
    found = drawn(endpoint(stub), replace(ASK, max_tokens=2))
    ends = {one.text: one.stopped for rollout in found for one in rollout.responses}
    assert ends["so it"] is ends["let us"] is False
    assert all(stopped for text, stopped in ends.items() if str(text).startswith("#"))


def test_what_was_drawn_is_paid_for_once(stub: Stub, tmp_path: Path, right: list[Rollout]) -> None:
    first = endpoint(stub, tmp_path)
    assert drawn(first) == right
    assert len(stub.bodies) == first.spent.requests == 2 * len(PROMPTS)
    again = endpoint(stub, tmp_path)
    assert drawn(again) == right
    assert (again.spent.requests, again.spent.cached) == (0, len(PROMPTS) * 9)
    drawn(endpoint(stub, tmp_path), replace(ASK, count=12))
    assert [(body.get("n", 1), body["temperature"]) for body in stub.bodies[12:]] == [(4, 1)] * len(PROMPTS)
    sent = len(stub.bodies)
    drawn(endpoint(stub, tmp_path), replace(ASK, seed=4))
    assert len(stub.bodies) == sent + 2 * len(PROMPTS)


def test_a_killed_diagnosis_goes_on_where_it_stopped(stub: Stub, tmp_path: Path, right: list[Rollout]) -> None:
    def killed(done: int, total: int) -> None:
        if done == 3:
            raise KeyboardInterrupt

    engine = endpoint(stub, tmp_path, client=replace(FAST, in_flight=1))
    engine.prepare(PROMPTS, ASK)
    with pytest.raises(KeyboardInterrupt):
        engine.draw(PROMPTS, ASK, killed)
    sent = len(stub.bodies)
    assert 0 < sent < 2 * len(PROMPTS)
    assert drawn(endpoint(stub, tmp_path)) == right
    assert len(stub.bodies) == 2 * len(PROMPTS)
    assert len({json.dumps(body) for body in stub.bodies}) == len(stub.bodies)


def test_waves_are_the_beginning_of_what_one_call_draws(stub: Stub, right: list[Rollout]) -> None:
    engine, waves = endpoint(stub), []
    engine.prepare(PROMPTS, ASK)
    for skip in (0, 4):
        waves.append(engine.draw(PROMPTS, replace(ASK, count=4, skip=skip, greedy=skip == 0)))
    joined = [replace(a, responses=a.responses + b.responses) for a, b in zip(*waves, strict=True)]
    assert joined == right


def test_equal_prompts_are_drawn_at_independently(stub: Stub) -> None:
    engine = endpoint(stub, contents=["1+1?", "1+1?"])
    first, second = drawn(engine, replace(ASK, count=32), PROMPTS[:2])
    assert first.responses != second.responses


def test_a_budget_is_refused_beforehand_and_kept(tmp_path: Path, right: list[Rollout]) -> None:
    notes: list[str] = []
    with Stub(TABLES) as stub:
        refused: list[tuple[dict[str, Any], str]] = [
            ({"max_requests": 11}, "11 requests, and 12"),
            ({"max_tokens": 863}, "863 tokens, and 864"),
        ]
        for budget, told in refused:
            with pytest.raises(InputError, match=told):
                drawn(endpoint(stub, notes=notes, **budget))
        assert not stub.bodies
        assert "12 requests for 54 draws, at most 864 tokens of responses" in notes[0]
        assert drawn(endpoint(stub, max_requests=12, max_tokens=864)) == right
    with Stub(TABLES, dict.fromkeys((2, 3, 4, 5), "500")) as stub:
        with pytest.raises(InputError, match=r"budget of 12 requests is spent.* draws are kept"):
            drawn(endpoint(stub, tmp_path, max_requests=12))
        assert len(stub.bodies) == 12
    with Stub(TABLES) as stub:  # another address, so nothing of the above is known here
        engine = endpoint(stub, tmp_path, max_tokens=864)
        engine.spent.tokens = 864 - 200
        engine._greet(16)
        with pytest.raises(InputError, match="would not hold the next request"):
            engine.draw(PROMPTS, ASK)
        assert len(stub.bodies) > 1
        assert engine.spent.tokens <= 864


@pytest.mark.parametrize(
    ("models", "told"),
    [
        ({"data": [{"id": "a"}, {"id": "b\x1b"}]}, "has no model 'table-1'; give one of its own by --model: a, b\\x1b"),
        ({"data": [{"id": MODEL, "max_model_len": 16}]}, "takes 16 tokens of prompt and response together"),
        ("401", "Incorrect API key provided: (the key); the environment variable OPENAI_API_KEY holds the key"),
        ("HTML", "something that is not JSON"),
        ("redirect", "give the final address"),
    ],
)
def test_the_handshake_pays_for_nothing(models: Any, told: str, stub: Stub) -> None:
    stub.models = models
    with pytest.raises(InputError) as error:
        drawn(endpoint(stub))
    assert told in str(error.value)
    assert not stub.bodies


@pytest.mark.parametrize("models", [None, [], {"data": None}, {"data": [{"id": f"lab/{MODEL}"}]}])
def test_a_server_that_lists_nothing_useful_will_do(models: Any, stub: Stub, right: list[Rollout]) -> None:
    stub.models = models
    assert drawn(endpoint(stub)) == right


def test_servers_known_to_truncate_are_told_not_to(stub: Stub) -> None:
    stub.models = {"data": [{"id": MODEL, "owned_by": "llamacpp"}]}
    drawn(endpoint(stub))
    assert all((body["top_k"], body["min_p"], body["repetition_penalty"]) == (-1, 0, 1) for body in stub.bodies)


def test_completions_take_strings_alone(stub: Stub, right: list[Rollout]) -> None:
    found = drawn(endpoint(stub, chat=False))
    assert [len(one.responses) for one in found] == [ASK.count] * len(found)
    assert sorted(body["prompt"] for body in stub.bodies if body["temperature"]) == sorted(TABLES)
    with pytest.raises(InputError, match="prompt 2 is a list of chat messages"):
        drawn(endpoint(stub, chat=False, contents=["a", ({"role": "user", "content": "b"},)]), prompts=PROMPTS[:2])


def test_messages_go_as_they_are(stub: Stub) -> None:
    messages = ({"role": "system", "content": "be short"}, {"role": "user", "content": "1+1?"})
    drawn(endpoint(stub, contents=[messages]), prompts=PROMPTS[:1])
    assert all(body["messages"] == list(messages) for body in stub.bodies)


@pytest.mark.parametrize("damage", ["file for a folder", "no database"])
def test_a_cache_that_cannot_be_used_is_a_note(damage: str, stub: Stub, tmp_path: Path, right: list[Rollout]) -> None:
    folder, notes = tmp_path / "kept", []
    if damage == "no database":
        folder.mkdir()
        (folder / FILE).write_bytes(b"something else " * 1000)
    else:
        folder.write_text("a file")
    assert drawn(endpoint(stub, folder, notes=notes)) == right
    assert sum("the cache of answers cannot be used" in one for one in notes) == 1


def test_sixty_four_requests_are_under_way_at_once() -> None:
    with Stub({"": {"#1": 1.0}}, together=64) as stub:  # answers nobody before all are there
        many = [Encoded(number, ()) for number in range(129)]  # the first goes alone
        engine = endpoint(stub, contents=[f"prompt {at}" for at in range(129)], client=replace(FAST, in_flight=64))
        drawn(engine, replace(ASK, greedy=False), many)
        assert len(stub.bodies) == 129
