"""Configurations for common needs, by name: `srlm run --preset NAME`.

Knows: fields of `SelfRewardingConfig`. A preset only fills in what neither the options nor the configuration file say.
Refuses to know: which of two names transformers has for recomputing activations (`start.py` looks).
"""

from collections.abc import Mapping
from typing import Any

PRESETS: Mapping[str, Mapping[str, Any]] = {
    # Does it work here at all? One round, half the passes, little certification.
    "quick": {"rounds": 1, "num_train_epochs": 2.0, "max_expansions": 500},
    # Nearer to the exact update (small P4 error): more responses, more passes, ended by the held-out residual.
    "faithful": {"rounds": 3, "num_generations": 8, "num_train_epochs": 8.0, "early_stopping_patience": 1},
    # Ends at anything unusual, whatever it might still turn into; keeps the best round.
    "cautious": {
        "early_stopping_patience": 1,
        "on_signature": {
            "modes_drift": "rollback",
            "margin_collapses": "stop",
            "kappa_stalls": "stop",
            "informative_pairs_vanish": "stop",
        },
    },
    # Answers of a paragraph: the sum of log-probabilities would reward brevity above all, and no search reaches
    # the mode.
    "long-answers": {"max_completion_length": 128, "rewards": ["length_normalised"], "max_expansions": 0},
    # The same updates in smaller pieces (steps of 8 prompts as 8 passes of one), activations recomputed.
    "low-memory": {
        "per_device_train_batch_size": 1,
        "gradient_accumulation_steps": 8,
        "activation_checkpointing": True,
        "rows_per_pass": 16,
    },
}
