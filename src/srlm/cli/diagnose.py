"""`srlm diagnose`: is this model fit for self-rewarding on these prompts, and what will it converge to?

Knows: the command's arguments and how progress is drawn.
"""

from pathlib import Path
from typing import Annotated, Any

import typer


def command(
    models: Annotated[
        list[str] | None, typer.Argument(help="With --compare: the models to put side by side.", show_default=False)
    ] = None,
    model: Annotated[
        str, typer.Option(help="smollm2-135m (embedded), a local folder, or a hub name.")
    ] = "smollm2-135m",
    prompts: Annotated[
        str, typer.Option(help="bundled, a JSON Lines file, reasoning_gym:TASK, or a data set's name.")
    ] = "bundled",
    max_new_tokens: Annotated[int, typer.Option(help="Longest response in tokens, as in the run you plan.")] = 12,
    expansions: Annotated[int, typer.Option(help="Budget of the mode search a prompt.")] = 2000,
    samples: Annotated[int, typer.Option(help="Responses drawn for a prompt.")] = 8,
    limit: Annotated[int | None, typer.Option(help="Use the first so many prompts.")] = None,
    mass_slack: Annotated[float, typer.Option(help="delta: failure means mode probability <= 1 - delta.")] = 0.5,
    no_spectra: Annotated[bool, typer.Option("--no-spectra", help="Leave out features and weights.")] = False,
    raw_prompts: Annotated[
        bool, typer.Option("--raw-prompts", help="Send string prompts without the chat template.")
    ] = False,
    dtype: Annotated[str, typer.Option(help="float32, bfloat16 or float16.")] = "float32",
    device: Annotated[str | None, typer.Option(help="A torch device; by default the best there is.")] = None,
    seed: Annotated[int, typer.Option(help="Everything random follows from it.")] = 0,
    trust_remote_code: Annotated[
        bool, typer.Option("--trust-remote-code", help="Run code that comes with the model.")
    ] = False,
    compare: Annotated[
        bool,
        typer.Option("--compare", help="Put the models named after it (or earlier diagnoses) side by side."),
    ] = False,
    families: Annotated[
        bool, typer.Option("--families", help="The bundled experiment: small models of six architectures.")
    ] = False,
    out: Annotated[
        Path | None, typer.Option(help="Folder for diagnosis.json and diagnosis.html.", show_default=False)
    ] = None,
    json_output: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """Know before you train: kappa, modes, the predicted ceiling, and a verdict with its reason."""
    from srlm.cli._diagnosis_progress import DiagnosisProgress
    from srlm.cli._diagnosis_text import comparison_text, diagnosis_text
    from srlm.cli.output import print_json
    from srlm.diagnosis.preflight import DiagnosisSettings, diagnose
    from srlm.errors import InputError
    from srlm.records.atomic import write_json
    from srlm.records.diagnosis_file import DIAGNOSIS_FILE
    from srlm.report.diagnosis_page import write_diagnosis_comparison, write_diagnosis_page

    if models and not compare:
        raise InputError(f"{models[0]!r} is no option; name a model with --model, or several after --compare")
    if compare and families:
        raise InputError("--compare and --families exclude each other; give one of them")
    if out is not None and out.is_file():
        raise InputError(f"--out {out} is a file; give a folder")
    settings = DiagnosisSettings(max_new_tokens, expansions, samples, mass_slack, seed, raw_prompts, not no_spectra)
    loading: dict[str, Any] = {
        "limit": limit, "dtype": dtype, "device": device, "trust_remote_code": trust_remote_code
    }  # fmt: skip
    with DiagnosisProgress() as progress:
        if compare or families:
            from srlm.diagnosis.comparison import compare as compare_models
            from srlm.diagnosis.comparison import comparison_document

            if families:
                from srlm.diagnosis.families import FamilySettings, diagnose_families

                several = diagnose_families(FamilySettings(seed=seed), progress=progress.named)
            else:
                several = compare_models(models or [], prompts, settings=settings, progress=progress.named, **loading)
            found = comparison_document(several)
        else:
            several = []
            found = diagnose(model, prompts, settings=settings, progress=progress, **loading).as_dict()
    if out is not None and several:
        write_json(out / "comparison.json", found)
        write_diagnosis_comparison(several, out / "comparison.html", found["notes"])
    elif out is not None:
        write_json(out / DIAGNOSIS_FILE, found)
        write_diagnosis_page(found, out / "diagnosis.html")
    if json_output:
        print_json(found)
    else:
        typer.echo(comparison_text(found, out) if several else diagnosis_text(found, out))
