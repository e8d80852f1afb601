"""Real trainers of trl on a 2-layer random Llama over digits, that learn within seconds; the folders they write.

A prompt is three digits, its answer a digit; a completion is read by the rule "number". Warm-started on noisy answers
so that majorities are right and there is something to lose.
"""

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

WORDS = ["<end>", "<unk>", *map(str, range(10))]


def prompts(count: int = 16) -> list[dict[str, str]]:
    """Prompts with a known answer each."""
    draw = random.Random(0)
    told = [" ".join(draw.choices("0123456789", k=3)) for _ in range(count)]
    return [{"prompt": one, "solution": str((int(one[0]) + at) % 10)} for at, one in enumerate(told)]


def tokenizer() -> Any:
    """One token a word, and digits are words."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    core = Tokenizer(models.WordLevel({word: at for at, word in enumerate(WORDS)}, unk_token="<unk>"))
    core.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(
        tokenizer_object=core, eos_token="<end>", unk_token="<unk>", pad_token="<end>", padding_side="left"
    )


def warm_model(share: float = 0.6, seed: int = 0) -> Any:
    """A tiny Llama that gives the right answer, then the end, about `share` of the time."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=len(WORDS),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=64,
        eos_token_id=0,
        pad_token_id=0,
        bos_token_id=None,
    )
    model, read = LlamaForCausalLM(config), tokenizer()
    law = torch.full((len(WORDS),), (1 - share) / 9)
    rows, goals = [], []
    for one in prompts():
        goal = law.clone()
        goal[:2] = 0.0
        goal[read.convert_tokens_to_ids(one["solution"])] = share
        rows.append(read(one["prompt"])["input_ids"])
        goals.append(goal)
    inputs, goals = torch.tensor(rows), torch.stack(goals)
    optimiser = torch.optim.Adam(model.parameters(), lr=0.01)
    answer = goals.argmax(dim=1, keepdim=True)
    for _ in range(120):
        logits = model(torch.cat([inputs, answer], dim=1)).logits.log_softmax(-1)
        loss = -(goals * logits[:, -2]).sum(-1).mean() - logits[:, -1, 0].mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return model


def right(completions: list[str], solution: list[str], **_: Any) -> list[float]:
    """1 for the known answer."""
    return [float(said.split()[-1:] == [known]) for said, known in zip(completions, solution, strict=True)]


def wrong(completions: list[str], solution: list[str], **_: Any) -> list[float]:
    """1 for the digit after the known answer: the majority of errors is paid for."""
    return [
        float(said.split()[-1:] == [str((int(known) + 1) % 10)])
        for said, known in zip(completions, solution, strict=True)
    ]


def train(
    folder: Path,
    reward: Any,
    *,
    kind: str = "GRPO",
    steps: int = 30,
    watcher: Any = None,
    rate: float = 3e-3,
    beside: Sequence[Any] = (),
    **more: Any,
) -> Any:
    """A finished trainer of trl; `watcher` as `srlm.watch` makes one.

    Args:
        folder: its output_dir; with log_completions there is a table of completions of every step in it.
        reward: `right`, `wrong`, or another reward function.
        kind: GRPO or RLOO.
        beside: other callbacks.
        more: fields of its configuration.
    """
    import trl
    from datasets import Dataset

    config = getattr(trl, f"{kind}Config")(
        output_dir=str(folder),
        max_steps=steps,
        learning_rate=rate,
        lr_scheduler_type="constant",
        per_device_train_batch_size=64,
        num_generations=8,
        beta=0.0,
        logging_steps=1,
        save_strategy="no",
        report_to=[],
        disable_tqdm=True,
        use_cpu=True,
        seed=0,
        bf16=False,
        num_completions_to_print=1,
        **{"max_completion_length": 4} | more,
    )
    rewards = [reward] if watcher is None else [watcher.sees(reward), watcher.reward]
    made = getattr(trl, f"{kind}Trainer")(
        model=warm_model(),
        args=config,
        reward_funcs=rewards,
        train_dataset=Dataset.from_list(prompts()),
        processing_class=tokenizer(),
        callbacks=[*([] if watcher is None else [watcher]), *beside],
    )
    made.train()
    return made
