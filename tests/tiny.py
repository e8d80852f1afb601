"""A tiny random model with its tokenizer, and prompts for it: built where tests need them; nothing is downloaded."""

import json
from pathlib import Path
from typing import Any


def tiny_llama(seed: int = 0, dtype: Any = None, sharpness: float = 4.0, **overrides: Any) -> Any:
    """A random 2-layer Llama of float64-safe size.

    Args:
        seed: of its weights.
        dtype: of torch; None: float32.
        sharpness: a fresh head is nearly uniform; sharper logits make modes, ties and greedy failures worth testing.
        overrides: of its configuration.
    """
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

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
        model.lm_head.weight.data.mul_(sharpness * 10)
    return model.to(dtype or torch.float32).eval()


def save_tiny_model(folder: Path) -> Path:
    """A saved tiny Llama with a word-level tokenizer and a chat template, as `--model` takes it."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    words = ["<end>", "<unk>", "user", "assistant", *(f"w{n}" for n in range(28))]
    core = Tokenizer(models.WordLevel({word: at for at, word in enumerate(words)}, unk_token="<unk>"))
    core.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=core, eos_token="<end>", unk_token="<unk>", pad_token="<end>")
    turns = "{% for m in messages %}{{ m['role'] }} {{ m['content'] }} {% endfor %}"
    tokenizer.chat_template = turns + "{% if add_generation_prompt %}assistant{% endif %}"
    tiny_llama(vocab_size=len(words), sharpness=1.0).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def save_prompts(path: Path, count: int = 8) -> Path:
    """Prompts with answers for that model, every fourth held out."""
    rows = [
        {"prompt": f"w{n} w{n + 1}", "answer": f"w{n + 2}", "split": "held_out" if n % 4 == 3 else "train"}
        for n in range(count)
    ]
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return path
