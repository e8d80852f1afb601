"""Diagnose a model behind an OpenAI-compatible endpoint, by its answers.

Knows: how settings become an engine. Refuses to know: torch, how anything is asked or measured.
"""

from collections.abc import Sequence
from typing import Any

from srlm.diagnosis.answers import diagnose_answers, setup_of
from srlm.diagnosis.settings import DiagnosisSettings
from srlm.engines.cache import Cache
from srlm.engines.drawing import WAVE
from srlm.engines.engine import Draw, Encoded, PolicyVersion
from srlm.engines.http import KEY, Client, key_from
from srlm.engines.names import parse_engine
from srlm.engines.openai import AT_ONCE, Endpoint
from srlm.errors import InputError
from srlm.records.answer_diagnosis import AnswerDiagnosis
from srlm.records.progress import Observer
from srlm.tasks.prompts import Prompt


def diagnose_endpoint(
    model: Any, asked: Sequence[Prompt], source: Any, gate: int, chosen: DiagnosisSettings, observer: Observer
) -> AnswerDiagnosis:
    """The diagnosis of what an endpoint answers.

    Args:
        model: its name there.
        asked: the prompts, at least one.
        source, gate: where they came from, and how many marked `gate` were left out.
        chosen: how to measure.
        observer: is told what will be sent, and about every stage.

    Raises:
        InputError: anything that the endpoint refuses or cannot do, or that would exceed the budget.
    """
    if not isinstance(model, str):
        raise InputError("an endpoint has its own models; give the name of one")
    chat = (chosen.endpoint or ("completions" if chosen.raw_prompts else "chat")) == "chat"
    engine = Endpoint(
        address=parse_engine(chosen.engine).addresses[0],
        model=model,
        contents=[one.content for one in asked],
        client=Client(key_from(chosen.api_key_env), chosen.in_flight),
        cache=Cache(chosen.cache, observer.note),
        note=observer.note,
        chat=chat,
        at_once=WAVE if chosen.until_certain else AT_ONCE,
        max_requests=chosen.max_requests,
        max_tokens=chosen.max_tokens,
        key_name=chosen.api_key_env or KEY,
    )
    numbered = [Encoded(number, ()) for number in range(len(asked))]
    engine.prepare(numbered, Draw(chosen.samples, chosen.max_new_tokens, chosen.seed, 0, greedy=True))
    about = {"model": model, "checksum": "not known", "settings": {}}
    found = diagnose_answers(engine.at(PolicyVersion(0)), asked, numbered, chosen, about, observer)
    facts = {"engine": engine.name, "dtype": engine.dtype, "address": engine.address}
    facts |= {"endpoint": "chat" if chat else "completions", "answered_as": sorted(engine.spent.models)}
    facts |= {"requests": engine.spent.requests, "tokens": engine.spent.tokens, "cached_draws": engine.spent.cached}
    return found.model_copy(update={"settings": setup_of(source, gate, chosen, **facts)})
