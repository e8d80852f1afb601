"""How prompts become the tokens that a model sees.

Knows: chat templates, a model's context limit, what identifies an encoded set of prompts. Refuses to know: where
prompts come from.
"""

import hashlib
import json
from collections.abc import Sequence
from typing import Any

from srlm.errors import InputError
from srlm.lm.loading import LoadedModel
from srlm.lm.templates import require_harmless
from srlm.tasks.prompts import Prompt


def encode_prompts(
    prompts: Sequence[Prompt],
    loaded: LoadedModel,
    *,
    max_new_tokens: int,
    raw: bool = False,
    numbers: Sequence[int] | None = None,
) -> list[list[int]]:
    """Token ids of every prompt, ready for a response: chat template applied, generation prompt added.

    Args:
        prompts: what to encode. A string goes to a model that has a chat template as one user message.
        loaded: the model that will answer.
        max_new_tokens: longest response, L >= 1.
        raw: send string prompts as they are, without the chat template.
        numbers: of the prompts among all, from 0; by default these are all.

    Raises:
        InputError: messages for a model without a chat template; a prompt that with its response would not fit the
            context.
    """
    limit = loaded.context_length
    tokenizer: Any = loaded.tokenizer
    encoded: list[list[int]] = []
    problems: list[str] = []
    template = tokenizer.chat_template and tokenizer.get_chat_template()
    chats = {
        at: [{"role": "user", "content": one.content}] if isinstance(one.content, str) else list(one.content)
        for at, one in enumerate(prompts)
        if template and not (raw and isinstance(one.content, str))
    }
    if chats:
        require_harmless(template, list(chats.values()), tokenizer.special_tokens_map)
    for at, prompt in enumerate(prompts):
        number = 1 + (numbers[at] if numbers is not None else at)
        if at in chats:
            ids = _rendered(chats[at], tokenizer, f"prompt {number} in the chat template of {loaded.name!r}")
        elif isinstance(prompt.content, str):
            ids = tokenizer(prompt.content)["input_ids"]
        else:
            raise InputError(
                f"prompt {number} is a list of chat messages, but {loaded.name!r} has no chat template; "
                "give strings, or a chat model"
            )
        if not ids:
            problems.append(f"prompt {number} has no tokens; give it some text")
        if limit is not None and len(ids) + max_new_tokens > limit:
            problems.append(
                f"prompt {number} has {len(ids)} tokens, which with {max_new_tokens} new tokens exceeds the context of "
                f"{limit}; shorten it or lower --max-new-tokens"
            )
        encoded.append(list(ids))
    if problems:
        raise InputError(problems[:5] + ([f"and {len(problems) - 5} more like these"] if len(problems) > 5 else []))
    return encoded


def _rendered(messages: list[Any], tokenizer: Any, what: str) -> list[int]:
    try:
        return tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=True, return_dict=True)[
            "input_ids"
        ]
    except Exception as error:  # whatever a template does
        raise InputError(f"{what}: {type(error).__name__}: {error}") from error


def encode_passages(text: str, loaded: LoadedModel) -> list[tuple[int, ...]]:
    """Token ids of the paragraphs of a text, each cut at the model's context; those of fewer than two are left out."""
    passages = [loaded.tokenizer(one)["input_ids"][: loaded.context_length] for one in text.split("\n\n")]
    return [tuple(ids) for ids in passages if len(ids) > 1]


def checksum_of(prompts: Sequence[Prompt], encoded: Sequence[Sequence[int]]) -> str:
    """Identifies what a run was given: tokens, split and accepted answers of every prompt, in order."""
    facts = [[list(ids), prompt.split, list(prompt.answers)] for prompt, ids in zip(prompts, encoded, strict=True)]
    return "sha256:" + hashlib.sha256(json.dumps(facts).encode()).hexdigest()
