"""The bundled experiment on model families: small models of several architectures, trained briefly on a synthetic task.

Knows: transformers' configurations, a task with a known answer. Shows how kappa, margin, spectra and ceiling differ by
family and by training length when everything else is equal.
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
from srlm.records.progress import Observer
from srlm.tasks.prompts import Prompt

_WORDS = ("<end>", "<unk>", "or", "is", "so", "the", "answer")
# Several ways to say the same, so that modes, samples and greedy decoding can differ; probabilities of the teacher.
_PHRASES = ((("{}",), 0.45), (("is", "{}"), 0.35), (("so", "the", "answer", "is", "{}"), 0.2))


@dataclass(frozen=True, slots=True)
class FamilySettings:
    """The experiment.

    Attributes:
        families: which architectures, of `FAMILIES`.
        steps: numbers of training steps at which each model is diagnosed, rising.
        width: hidden size, a multiple of 8.
        layers: blocks.
        numbers: the task is to name the larger of two of this many numbers.
        error_rate: share of the teacher's answers that are wrong.
        batch_size: examples a step.
        learning_rate: of AdamW.
        seed: everything random follows from it.
    """

    families: tuple[str, ...] = ("Llama", "GPT-2", "Qwen3", "Gemma", "Mamba", "RWKV")
    steps: tuple[int, ...] = (0, 50, 200)
    width: int = 64
    layers: int = 2
    numbers: int = 7
    error_rate: float = 0.2
    batch_size: int = 64
    learning_rate: float = 3e-3
    seed: int = 0

    def __post_init__(self) -> None:
        problems = []
        unknown = [name for name in self.families if name not in FAMILIES]
        if unknown or not self.families:
            problems.append(f"families are {list(self.families)}; choose among {', '.join(FAMILIES)}")
        if not self.steps or list(self.steps) != sorted(set(self.steps)) or self.steps[0] < 0:
            problems.append(f"steps are {list(self.steps)}; give rising numbers of at least 0")
        if self.width < 8 or self.width % 8:
            problems.append(f"width is {self.width}; it must be a positive multiple of 8")
        if self.layers < 1 or self.numbers < 2 or self.batch_size < 1:
            problems.append("layers and batch_size must be at least 1, numbers at least 2")
        if not 0 <= self.error_rate < 1:
            problems.append(f"error_rate is {self.error_rate}; it must lie in [0, 1)")
        if problems:
            raise InputError(problems)


def diagnose_families(
    settings: FamilySettings | None = None,
    *,
    measured: DiagnosisSettings | None = None,
    observer: Callable[[str], Observer] | None = None,
) -> list[tuple[str, dict[str, Any]]]:
    """Build, train and diagnose small models of every family.

    Args:
        settings: the experiment.
        measured: how to diagnose.
        observer: given a model's name, returns what is told about its diagnosis.

    Returns:
        ("family, n steps", document of its diagnosis), families in order, steps rising.
    """
    chosen = settings or FamilySettings()
    how = measured or DiagnosisSettings(max_new_tokens=6, samples=16)
    tokenizer = task_tokenizer(chosen.numbers)
    prompts = task_prompts(chosen.numbers)
    found: list[tuple[str, dict[str, Any]]] = []
    for family in chosen.families:
        model = build(family, chosen, len(tokenizer))
        for steps in trained(model, tokenizer, chosen):
            name = f"{family}, {steps} steps"
            loaded = as_loaded(model, tokenizer)
            document = diagnose(loaded, prompts, settings=how, observer=observer(name) if observer else None).as_dict()
            document["model"] = name
            document["settings"]["prompts"] = f"the larger of two of {chosen.numbers} numbers"
            found.append((name, document))
    return found


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


def _attention(settings: FamilySettings, vocabulary: int) -> dict[str, Any]:
    return {
        "vocab_size": vocabulary,
        "hidden_size": settings.width,
        "intermediate_size": 2 * settings.width,
        "num_hidden_layers": settings.layers,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 64,
        "tie_word_embeddings": False,
        **_ENDS,
    }


_ENDS: Mapping[str, Any] = {"bos_token_id": 0, "eos_token_id": 0, "pad_token_id": 0}


def _llama(settings: FamilySettings, vocabulary: int) -> Any:
    return LlamaForCausalLM(LlamaConfig(**_attention(settings, vocabulary)))


def _gpt2(settings: FamilySettings, vocabulary: int) -> Any:
    config = GPT2Config(
        vocab_size=vocabulary, n_embd=settings.width, n_layer=settings.layers, n_head=4, n_positions=64, **_ENDS
    )
    return GPT2LMHeadModel(config)


def _qwen3(settings: FamilySettings, vocabulary: int) -> Any:
    return Qwen3ForCausalLM(Qwen3Config(**_attention(settings, vocabulary), head_dim=settings.width // 4))


def _gemma(settings: FamilySettings, vocabulary: int) -> Any:
    # A window shorter than prompt and response, so that the search's path for sliding windows is taken.
    config = Gemma3TextConfig(**_attention(settings, vocabulary), head_dim=settings.width // 4, sliding_window=4)
    return Gemma3ForCausalLM(config)


def _mamba(settings: FamilySettings, vocabulary: int) -> Any:
    config = MambaConfig(
        vocab_size=vocabulary, hidden_size=settings.width, num_hidden_layers=settings.layers, state_size=8, **_ENDS
    )
    return MambaForCausalLM(config)


def _rwkv(settings: FamilySettings, vocabulary: int) -> Any:
    config = RwkvConfig(
        vocab_size=vocabulary,
        hidden_size=settings.width,
        attention_hidden_size=settings.width,
        num_hidden_layers=settings.layers,
        context_length=64,
        **_ENDS,
    )
    return RwkvForCausalLM(config)


FAMILIES: Mapping[str, Callable[[FamilySettings, int], Any]] = {
    "Llama": _llama,
    "GPT-2": _gpt2,
    "Qwen3": _qwen3,
    "Gemma": _gemma,
    "Mamba": _mamba,
    "RWKV": _rwkv,
}
