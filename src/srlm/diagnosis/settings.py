"""How a diagnosis measures.

Knows: names, defaults and domains, one line each. Refuses to know: torch, and what a setting makes a diagnosis do.
"""

from dataclasses import dataclass

from srlm.errors import InputError
from srlm.records.options import option, problems


@dataclass(frozen=True, slots=True)
class DiagnosisSettings:
    """How to measure.

    Raises:
        InputError: any field outside its domain; all such fields are named at once.
    """

    max_new_tokens: int = option(12, "Longest response in tokens, as in the run you plan.", "max-new-tokens", low=1)
    expansions: int = option(2000, "Budget of the mode search for a prompt.", "expansions", low=1)
    samples: int = option(8, "Responses drawn for a prompt.", "samples", low=1)
    mass_slack: float = option(
        0.5, "delta: failure means mode probability <= 1 - delta.", "mass-slack", above=0, below=1
    )
    beta: float = option(1.0, "KL strength of the rounds that are forecast, as in the run you plan.", "beta", above=0)
    rounds: int = option(3, "How many rounds to forecast.", "rounds", low=1)
    seed: int = option(0, "Everything random follows from it.", "seed", low=0)
    raw_prompts: bool = option(False, "Send string prompts without the chat template.", "raw-prompts")
    spectra: bool = option(True, "Leave out features and weights.", "no-spectra")

    def __post_init__(self) -> None:
        if wrong := problems(self):
            raise InputError(wrong)
