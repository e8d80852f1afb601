"""`srlm diagnose`: is this model fit for self-rewarding on these prompts, and what will it converge to?

Knows: the words around the options, and how progress is drawn. Refuses to know: any default or domain of a setting.
"""

import shutil
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from srlm.cli._options import with_options
from srlm.diagnosis.settings import Cluster, DiagnosisSettings, settings_for
from srlm.lm.subject import EMBEDDED_MODEL, Subject


@with_options(subject=Subject, settings=DiagnosisSettings, cluster=Cluster)
def command(
    subject: dict[str, Any],
    settings: dict[str, Any],
    cluster: dict[str, Any],
    models: Annotated[
        list[str] | None, typer.Argument(help="With --compare: the models to put side by side.", show_default=False)
    ] = None,
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
    """Know before you train: kappa, modes, the predicted ceiling, and a verdict with its reason.

    Prompts marked gate are left out, as a run leaves them out.
    """
    from srlm.cli._answers_text import answers_text
    from srlm.cli._diagnosis_text import comparison_text, diagnosis_text
    from srlm.cli._progress import DiagnosisProgress
    from srlm.cli.output import print_json
    from srlm.diagnosis.preflight import diagnose
    from srlm.engines.names import parse_engine
    from srlm.errors import InputError
    from srlm.records.answer_diagnosis import AnswerDiagnosis
    from srlm.records.atomic import write_json
    from srlm.records.lock import holding
    from srlm.report.answers_page import write_answers_page
    from srlm.report.diagnosis_page import write_diagnosis_comparison, write_diagnosis_page

    if models and not compare:
        raise InputError(f"{models[0]!r} is no option; name a model with --model, or several after --compare")
    if compare and families:
        raise InputError("--compare and --families exclude each other; give one of them")
    chosen = settings_for(subject.get("model", EMBEDDED_MODEL), settings)
    if chosen.level == "answer" and (compare or families):
        raise InputError("--compare and --families look at responses; leave out --level answer")
    where, parts = Cluster(**cluster), out and out / "parts"
    if where.ray and (compare or families):
        raise InputError("--compare and --families look at one model after the other here; leave out --ray")
    with holding(out):
        if parse_engine(chosen.engine).kind != "openai":
            import srlm.diagnosis.look  # what is not installed is said before progress is drawn  # noqa: F401
        with DiagnosisProgress() as progress:
            if compare or families:
                from srlm.diagnosis.comparison import compare as compare_models
                from srlm.diagnosis.comparison import comparison_document

                if families:
                    from srlm.diagnosis.families import FamilySettings, diagnose_families

                    several = diagnose_families(FamilySettings(seed=chosen.seed), observer=progress.named)
                else:
                    subject.pop("model", None)
                    several = compare_models(models or [], settings=chosen, observer=progress.named, **subject)
                document, stem = comparison_document(several), "comparison"
                text = comparison_text(several, document["notes"], out)
                draw = partial(write_diagnosis_comparison, several, notes=document["notes"])
            else:
                diagnosis = diagnose(settings=chosen, observer=progress, cluster=where, parts=parts, **subject)
                document, stem = diagnosis.as_dict(), "diagnosis"
                if isinstance(diagnosis, AnswerDiagnosis):
                    text, draw = answers_text(diagnosis, out), partial(write_answers_page, diagnosis)
                else:
                    text, draw = diagnosis_text(diagnosis, out), partial(write_diagnosis_page, diagnosis)
        if out is not None:
            write_json(out / f"{stem}.json", document)
            draw(out=out / f"{stem}.html")
            if where.ray and parts is not None:
                shutil.rmtree(parts, ignore_errors=True)
    if json_output:
        print_json(document)
    else:
        typer.echo(text)
