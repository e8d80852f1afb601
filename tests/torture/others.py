"""What others wrote: model folders with pickles, programs and absurd values; prompts and answers that attack a page.

A model folder is clean where it is refused in a sentence or used, no code of it has run, and no file was read for it. A
page is clean where nothing of a text became a part of it that runs.
"""

import json
import os
import pickle
import re
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from tests.torture.arguments import asked, place_in, started, usual_codes, wrong
from tests.torture.case import Case, Outcome, copied
from tests.torture.subjects import base

Made = Iterator[tuple[str, Callable[[Path], Outcome]]]


def cases(seed: int) -> Iterator[Case]:
    """Every case, in an order that does not matter."""
    asked("report")  # makes what all of them need
    for of, made in (("model folders", _models()), ("pages", _pages())):
        for name, run in made:
            yield Case(name, run, of=of, limit=300)


class _Bomb:
    """Unpickled, it leaves a mark."""

    def __reduce__(self) -> Any:
        return os.mkdir, ("exploded",)


def _models() -> Made:
    templates = {
        "loops": "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}",
        "a range of a billion": "{% for i in range(10**9) %}x{% endfor %}",
        "a long string": "{{ 'a' * 10**9 }}",
        "a longer string": "{{ 'a' * 10**12 }}",
        "a tower of powers": "{{ 10 ** (10 ** 9) }}",
        "doubles": "{% set n = namespace(s='ab') %}{% for i in range(60) %}{% set n.s = n.s + n.s %}{% endfor %}",
        "calls itself": "{% macro f(n) %}{{ f(n) }}{{ f(n) }}{% endmacro %}{{ f(1) }}",
        "centres": "{{ 'a'|center(2000000000) }}",
        "reads a file": "{% include '/etc/passwd' %}",
        "opens": "{{ open('/etc/passwd').read() }}",
        "attributes": "{{ messages.__class__.__mro__[1].__subclasses__() }}",
        "changes messages": "{{ messages.append(1) }}",
        "raises": "{{ raise_exception('no') }}",
        "undefined": "{{ a.b.c }}",
        "no template": "{% for %}",
        "empty": "",
        "a number": "{{ 1/0 }}",
        "format": "{{ '%99999999999d' % 1 }}",
        "lone surrogate": "{{ '\\ud800' }}",
        "control": "\x00\x1b[31m{{ messages[0].content }}",
    }  # fmt: skip
    for name, text in templates.items():
        ends = (0, 1, 2) if name in ("empty", "control", "no template", "lone surrogate") else (2,)
        yield f"chat template: {name}", partial(_model, {"chat_template.jinja": text.encode()}, ends)
    values: dict[str, Sequence[Any]] = {
        "vocab_size": (0, -1, 10**12, "x", None),
        "hidden_size": (0, -1, 7, 10**12, "x", None, 32.5),
        "num_hidden_layers": (0, -1, 10**9, "x", None),
        "num_attention_heads": (0, -1, 3, 10**12, None),
        "num_key_value_heads": (0, -3, 10**12),
        "intermediate_size": (0, -1, 10**12),
        "max_position_embeddings": (0, -1, 10**12, "x", None),
        "model_type": ("", "x", 3, None, "bert", "t5", "__class__"),
        "architectures": ([], ["X"], "x", [1], ["BertModel"]),
        "eos_token_id": (-1, 10**12, "x", [], [[1]], {}),
        "torch_dtype": ("x", "float8", 3),
        "dtype": ("x", "int8", "complex64"),
        "rope_parameters": ("x", {"rope_type": "x"}, {"rope_theta": -1, "rope_type": "default"}),
        "hidden_act": ("x", 3, "__import__"),
        "rms_norm_eps": ("x", -1, 1e308),
        "tie_word_embeddings": ("x", 3),
        "quantization_config": ("x", {}, {"quant_method": "x"}, {"quant_method": "bitsandbytes", "load_in_4bit": True}),
        "auto_map": ({"AutoModelForCausalLM": "evil.Evil", "AutoConfig": "evil.C"}, "x", {"AutoConfig": 3}),
        "attn_implementation": ("x", "https://x/y"),
        "id2label": ({"x": 1}, 3),
    }
    for field, some in values.items():
        for value in some:
            change = {"config.json": {field: value}}
            yield f"config.json: {field} is {json.dumps(value)[:40]}", partial(_model, change, (0, 1, 2))
    whole: dict[str, Any] = {
        "only a pickle": ({"model.safetensors": None, "pytorch_model.bin": pickle.dumps(_Bomb())}, (2,)),
        "only a pickle in parts": (
            {"model.safetensors": None, "pytorch_model-00001-of-00001.bin": pickle.dumps(_Bomb()),
             "pytorch_model.bin.index.json": b'{"weight_map": {"x": "pytorch_model-00001-of-00001.bin"}}'}, (2,)),
        "a pickle beside": ({"pytorch_model.bin": pickle.dumps(_Bomb())}, (0,)),
        "an adapter in a pickle": (
            {"model.safetensors": None, "config.json": None, "adapter_model.bin": pickle.dumps(_Bomb()),
             "adapter_config.json": b'{"peft_type": "LORA", "base_model_name_or_path": "x"}'}, (2,)),
        "an adapter in a pickle beside": (
            {"adapter_model.bin": pickle.dumps(_Bomb()),
             "adapter_config.json": b'{"peft_type": "LORA", "base_model_name_or_path": "x"}'}, (0, 2)),
        "code of its own": (
            {"config.json": {"auto_map": {"AutoConfig": "evil.C", "AutoModelForCausalLM": "evil.M"}, "model_type": "e"},
             "evil.py": b"import os\nos.mkdir('exploded')\n"}, (2,)),
        "a tokenizer with code": (
            {"tokenizer_config.json": {"auto_map": {"AutoTokenizer": ["evil.T", None]}, "tokenizer_class": "T"},
             "evil.py": b"import os\nos.mkdir('exploded')\n"}, (0, 2)),
    }  # fmt: skip
    for file in (
        "config.json",
        "tokenizer.json",
        "tokenizer_config.json",
        "generation_config.json",
        "model.safetensors",
    ):
        for name, content in (
            ("missing", None), ("empty", b""), ("half", 0.5), ("{}", b"{}"), ("[]", b"[]"), ("null", b"null"),
            ("a text", b'"x"'), ("deep", b"[" * 100_000), ("no UTF-8", b"\xff\xfe{}"), ("zeros", b"\0" * 4096),
            ("a huge header", b"\xff" * 7 + b"\x7f{}"), ("a link to nowhere", ...), ("a folder", {}),
        ):  # fmt: skip
            whole[f"{file} is {name}"] = ({file: content}, (0, 1, 2))
    for name, (change, ends) in whole.items():
        yield name, partial(_model, change, ends)
    for field, value in (("eos_token_id", -5), ("max_length", -1), ("temperature", "x"), ("eos_token_id", [[]])):
        change = {"generation_config.json": {field: value}}
        yield f"generation_config.json: {field} is {value}", partial(_model, change, (0, 1, 2))
    for key, value in (("vocab", {}), ("vocab", {"x": 2**40}), ("vocab", {"x": -1}), ("unk_token", 3), ("type", "X")):
        yield (
            f"tokenizer.json: {key} is {value}",
            partial(_model, {"tokenizer.json": {"model": {key: value}}}, (0, 1, 2)),
        )


def _model(changes: dict[str, Any], ends: Sequence[int], folder: Path) -> Outcome:
    place = place_in(folder)
    model = copied(base() / "model", place / "model")
    for name, change in changes.items():
        path = model / name
        if change is None or change is ...:
            path.unlink()
            if change is ...:
                path.symlink_to("nowhere")
        elif isinstance(change, bytes):
            path.write_bytes(change)
        elif isinstance(change, float):
            path.write_bytes(path.read_bytes()[: int(path.stat().st_size * change)])
        elif not change:
            path.unlink()
            path.mkdir()
        else:
            path.write_text(json.dumps(_changed(json.loads(path.read_text()), change)))
    given = asked("diagnose")
    given[given.index("--model") + 1] = "model"
    ended = started(place, given, {})
    if list(place.rglob("exploded")):
        return Outcome("lost: code of the model has run", ended.err)
    found = wrong(ended, ends)
    return (
        found if found.problem or ended.code != 2 or not (place / "out").exists() else Outcome("written on exit 2: out")
    )


def _changed(document: Any, change: Any) -> Any:
    if not isinstance(change, dict) or not isinstance(document, dict):
        return change
    return document | {key: _changed(document.get(key), value) for key, value in change.items()}


_EVIL = (
    "</script><script>alert(1)</script>", "<img src=x onerror=alert(1)>", "--><svg onload=alert(1)>", "{{7*7}}",
    "'\"><iframe src=javascript:alert(1)>", "</style></title></textarea><script>alert(1)</script>",
    "]]><script>alert(1)",
    "<!--<script>", "\u2028alert(1)//", "&lt;script&gt;", "</JSON><script >alert(1)</script\t>", "javascript:alert(1)",
)  # fmt: skip


def _pages() -> Made:
    for at, text in enumerate(_EVIL):
        for command in ("run", "diagnose", "audit"):
            yield f"{command}: {ascii(text)[:40]} ({at})", partial(_paged, command, text)


def _paged(command: str, text: str, folder: Path) -> Outcome:
    """What people and models wrote closes nothing and starts nothing in a page."""
    place = place_in(folder)
    rows = [{"prompt": f"w{at} {text}", "answer": text, "split": "train" if at else "held_out"} for at in range(3)]
    (place / "prompts.jsonl").write_text("\n".join(map(json.dumps, rows)))
    steps = [
        {"prompt": text, "completion": f"{text} {at % 3}", "answer": text, "step": at // 8, "reward": 0.5}
        for at in range(64)
    ]
    (place / "rollouts.jsonl").write_text("\n".join(map(json.dumps, steps)))
    given = asked(command)
    if command == "audit":
        given[1] = "rollouts.jsonl"
    else:
        given[given.index("--prompts") + 1] = "prompts.jsonl"
    found = wrong(started(place, given, {}), usual_codes(command))
    if found.problem:
        return found
    pages = list((place / "out").rglob("*.html"))
    if not pages:
        return Outcome("no page")
    for page in pages:
        whole = page.read_text(encoding="utf-8")
        tags = re.sub(r"<script[^>]*>.*?</script>", "", whole, flags=re.S)
        if text in whole and text not in ("{{7*7}}", "&lt;script&gt;", "javascript:alert(1)"):
            return Outcome(f"script in a page: {page.name} holds it as it is")
        if re.search(r"<(img|svg|iframe|script)[^>]*(alert|javascript:)", tags):
            return Outcome(f"script in a page: {page.name} has a tag of it")
    return Outcome()
