"""The bundled experiment on model families: small models of several architectures, trained briefly on a synthetic task.

Knows: transformers' configurations, a task with a known answer. Shows how kappa, margin, spectra and ceiling differ by
family and by training length when everything else is equal. Refuses to know: self-rewarding.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from torch import Tensor
from transformers import (
    Gemma3ForCausalLM,
    Gemma3TextConfig,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    MambaConfig,
    MambaForCausalLM,
    PreTrainedTokenizerFast,
    Qwen3Config,
    Qwen3ForCausalLM,
    RwkvConfig,
    RwkvForCausalLM,
)

from srlm.diagnosis.preflight import diagnose
from srlm.diagnosis.settings import DiagnosisSettings
from srlm.errors import InputError
from srlm.lm.loading import as_loaded
from srlm.records.diagnosis import DiagnosisRecord
from srlm.records.options import option, problems
from srlm.records.progress import Observer
from srlm.tasks.prompts import Prompt

_WORDS = ("<end>", "<unk>", "or", "is", "so", "the", "answer")
# Several ways to say the same, so that modes, samples and greedy decoding can differ; probabilities of the teacher.
_PHRASES = ((("{}",), 0.45), (("is", "{}"), 0.35), (("so", "the", "answer", "is", "{}"), 0.2))


@dataclass(frozen=True, slots=True)
class FamilySettings:
    """The experiment.

    Raises:
        InputError: any field outside its domain; all such fields are named at once.
    """

    families: tuple[str, ...] = option(("Llama", "GPT-2", "Qwen3", "Gemma", "Mamba", "RWKV"), "Which architectures.")
    steps: tuple[int, ...] = option((0, 50, 200), "Training steps at which each model is diagnosed, rising.")
    width: int = option(64, "Hidden size, a multiple of 8.", low=8)
    layers: int = option(2, "Blocks.", low=1)
    numbers: int = option(7, "The task is to name the larger of two of this many numbers.", low=2)
    error_rate: float = option(0.2, "Share of the teacher's answers that are wrong.", low=0, below=1)
    batch_size: int = option(64, "Examples a step.", low=1)
    learning_rate: float = option(3e-3, "Of AdamW.", above=0)
    seed: int = option(0, "Everything random follows from it.", low=0)

    def __post_init__(self) -> None:
        wrong = problems(self)
        if not self.families or not FAMILIES.keys() >= set(self.families):
            wrong.append(f"families are {list(self.families)}; choose among {', '.join(FAMILIES)}")
        if not self.steps or list(self.steps) != sorted(set(self.steps)) or self.steps[0] < 0:
            wrong.append(f"steps are {list(self.steps)}; give rising numbers of at least 0")
        if self.width % 8:
            wrong.append(f"width is {self.width}; it must be a multiple of 8")
        if wrong:
            raise InputError(wrong)


def diagnose_families(
    settings: FamilySettings | None = None,
    *,
    measured: DiagnosisSettings | None = None,
    observer: Callable[[str], Observer] | None = None,
) -> list[tuple[str, DiagnosisRecord]]:
    """Build, train and diagnose small models of every family.

    Args:
        settings: the experiment.
        measured: how to diagnose.
        observer: given a model's name, returns what is told about its diagnosis.

    Returns:
        ("family, n steps", its diagnosis), families in order, steps rising.
    """
    chosen = settings or FamilySettings()
    how = measured or DiagnosisSettings(max_new_tokens=6, samples=16)
    tokenizer = task_tokenizer(chosen.numbers)
    prompts = task_prompts(chosen.numbers)
    several = []
    for family in chosen.families:
        model = build(family, chosen, len(tokenizer))
        for steps in trained(model, tokenizer, chosen):
            name = f"{family}, {steps} steps"
            loaded = as_loaded(model, tokenizer)
            diagnosis = diagnose(loaded, prompts, settings=how, observer=observer(name) if observer else None)
            if not isinstance(diagnosis, DiagnosisRecord):
                raise InputError("families are diagnosed by responses; leave out level answer")
            asked = {"prompts": f"the larger of two of {chosen.numbers} numbers"}
            setup = diagnosis.settings.model_copy(update=asked)
            several.append((name, diagnosis.model_copy(update={"model": name, "settings": setup})))
    return several


def build(family: str, settings: FamilySettings, vocabulary: int) -> Any:
    """A fresh model of a family, on the CPU; its weights follow from the seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        return FAMILIES[family](settings, vocabulary).eval()


def task_tokenizer(numbers: int) -> PreTrainedTokenizerFast:
    """One token a word or number."""
    words = [*_WORDS, *map(str, range(numbers))]
    core = Tokenizer(models.WordLevel({word: at for at, word in enumerate(words)}, unk_token="<unk>"))
    core.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(tokenizer_object=core, eos_token="<end>", unk_token="<unk>", pad_token="<end>")


def task_prompts(numbers: int) -> list[Prompt]:
    """All questions "a or b" with their answer, the larger number."""
    return [Prompt(f"{a} or {b}", answers=(str(max(a, b)),)) for a in range(numbers) for b in range(numbers)]


def trained(model: Any, tokenizer: Any, settings: FamilySettings) -> Iterator[int]:
    """Train by next-token prediction on the teacher's responses; yields at every number of steps asked for, with the
    model in evaluation mode.
    """
    generator = np.random.default_rng([settings.seed, 7])
    optimizer = torch.optim.AdamW(model.parameters(), lr=settings.learning_rate)
    done = 0
    for target in settings.steps:
        model.train()
        with torch.random.fork_rng(devices=[]):  # dropout draws from torch's global generator
            torch.manual_seed(settings.seed + done)
            for _ in range(target - done):
                _step(model, optimizer, *teacher_batch(tokenizer, settings, generator))
        model.eval()
        done = target
        yield done


def teacher_batch(tokenizer: Any, settings: FamilySettings, generator: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Right-padded examples (batch, length), and labels: the response's tokens and its end, -100 elsewhere."""
    weights = np.array([weight for _, weight in _PHRASES])
    rows, spans = [], []
    for _ in range(settings.batch_size):
        a, b = generator.integers(0, settings.numbers, 2).tolist()
        answer = max(a, b)
        if generator.random() < settings.error_rate:
            answer = (answer + int(generator.integers(1, settings.numbers))) % settings.numbers
        phrase, _ = _PHRASES[int(generator.choice(len(_PHRASES), p=weights))]
        prompt = tokenizer(f"{a} or {b}")["input_ids"]
        reply = tokenizer(" ".join(phrase).format(answer))["input_ids"] + [tokenizer.eos_token_id]
        rows.append(prompt + reply)
        spans.append((len(prompt), len(prompt) + len(reply)))
    width = max(map(len, rows))
    ids = torch.tensor([row + [tokenizer.pad_token_id] * (width - len(row)) for row in rows])
    labels = torch.full_like(ids, -100)
    for row, (start, end) in enumerate(spans):
        labels[row, start:end] = ids[row, start:end]
    return ids, labels


def _step(model: Any, optimizer: torch.optim.Optimizer, ids: Tensor, labels: Tensor) -> None:
    # Right padding after the labelled span cannot reach it in a causal model, so no mask is needed.
    logits = model(input_ids=ids, use_cache=False).logits[:, :-1]
    loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), labels[:, 1:].flatten(), ignore_index=-100)
    optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()


_ENDS: Mapping[str, Any] = {"bos_token_id": 0, "eos_token_id": 0, "pad_token_id": 0}


def _sized(settings: FamilySettings, vocabulary: int, **more: Any) -> dict[str, Any]:
    sizes = {"vocab_size": vocabulary, "hidden_size": settings.width, "num_hidden_layers": settings.layers}
    return {**sizes, **_ENDS, **more}


def _attention(settings: FamilySettings, vocabulary: int, **more: Any) -> dict[str, Any]:
    return _sized(
        settings,
        vocabulary,
        intermediate_size=2 * settings.width,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=64,
        tie_word_embeddings=False,
        **more,
    )


def _gpt2(settings: FamilySettings, vocabulary: int) -> Any:
    config = GPT2Config(
        vocab_size=vocabulary, n_embd=settings.width, n_layer=settings.layers, n_head=4, n_positions=64, **_ENDS
    )
    return GPT2LMHeadModel(config)


FAMILIES: Mapping[str, Callable[[FamilySettings, int], Any]] = {
    "Llama": lambda one, size: LlamaForCausalLM(LlamaConfig(**_attention(one, size))),
    "GPT-2": _gpt2,
    "Qwen3": lambda one, size: Qwen3ForCausalLM(Qwen3Config(**_attention(one, size, head_dim=one.width // 4))),
    # A window shorter than prompt and response, so that the search's path for sliding windows is taken.
    "Gemma": lambda one, size: Gemma3ForCausalLM(
        Gemma3TextConfig(**_attention(one, size, head_dim=one.width // 4, sliding_window=4))
    ),
    "Mamba": lambda one, size: MambaForCausalLM(MambaConfig(**_sized(one, size, state_size=8))),
    "RWKV": lambda one, size: RwkvForCausalLM(
        RwkvConfig(**_sized(one, size, attention_hidden_size=one.width, context_length=64))
    ),
}
