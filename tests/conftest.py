"""Shared fixtures: tiny random models built here, so that tests download nothing, and runs of one of them."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="session")
def tiny_llama() -> Callable[..., Any]:
    """Builds a random 2-layer Llama in float64-safe size; keyword arguments override the configuration."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    def build(seed: int = 0, dtype: Any = torch.float32, sharpness: float = 4.0, **overrides: Any) -> Any:
        settings: dict[str, Any] = {
            "vocab_size": 12,
            "hidden_size": 32,
            "intermediate_size": 48,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "max_position_embeddings": 128,
            "bos_token_id": 1,
            "eos_token_id": 0,
            "pad_token_id": 0,
            "tie_word_embeddings": False,
        }
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            model = LlamaForCausalLM(LlamaConfig(**(settings | overrides)))
            # A fresh head is nearly uniform; sharper logits make modes, ties and greedy failures worth testing.
            model.lm_head.weight.data.mul_(sharpness * 10)
        return model.to(dtype).eval()

    return build


@pytest.fixture(scope="session")
def tiny_model_folder(tiny_llama: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A saved tiny Llama with a word-level tokenizer and a chat template, as `--model` takes it."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    words = ["<end>", "<unk>", "user", "assistant", *(f"w{n}" for n in range(28))]
    core = Tokenizer(models.WordLevel({word: at for at, word in enumerate(words)}, unk_token="<unk>"))
    core.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=core, eos_token="<end>", unk_token="<unk>", pad_token="<end>")
    turns = "{% for m in messages %}{{ m['role'] }} {{ m['content'] }} {% endfor %}"
    tokenizer.chat_template = turns + "{% if add_generation_prompt %}assistant{% endif %}"
    folder = tmp_path_factory.mktemp("models") / "tiny"
    tiny_llama(vocab_size=len(words), sharpness=1.0).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def prompts_file(tmp_path_factory: pytest.TempPathFactory) -> str:
    import json

    path = tmp_path_factory.mktemp("prompts") / "prompts.jsonl"
    rows = [
        {"prompt": f"w{n} w{n + 1}", "answer": f"w{n + 2}", "split": "held_out" if n % 4 == 3 else "train"}
        for n in range(8)
    ]
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return str(path)


@pytest.fixture
def stub(tiny_model_folder: Path) -> Iterator[Any]:
    """A server that speaks vLLM's interface and draws from the tiny model."""
    from tests.engines.stub_vllm import StubVllm

    with StubVllm(tiny_model_folder).running() as one:
        yield one


other = stub  # a second one


@pytest.fixture
def start(tiny_model_folder: Path, prompts_file: str) -> Callable[..., Any]:
    """`start_run` on the tiny model: two rounds of four responses of at most three tokens."""
    from srlm.training.start import start_run

    def run(
        out: Path,
        *,
        resume: bool = False,
        observer: Any = None,
        model: str | None = None,
        prompts: str | None = None,
        preset: str | None = None,
        drop: tuple[str, ...] = (),
        **options: Any,
    ) -> Any:
        values = {
            "rounds": 2,
            "num_generations": 4,
            "max_completion_length": 3,
            "beta": 1.0,
            "learning_rate": 3e-3,
            "per_device_train_batch_size": 3,
            "logging_strategy": "no",
            "output_dir": str(out),
        }
        return start_run(
            model=model or str(tiny_model_folder),
            prompts=prompts or prompts_file,
            options={name: value for name, value in (values | options).items() if name not in drop or name in options},
            preset=preset,
            device="cpu",
            resume=resume,
            observer=observer,
        )

    return run
