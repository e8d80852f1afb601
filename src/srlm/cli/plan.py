"""`srlm plan`: what the theory says about a run before it is paid for.

Knows: the command's arguments and the words around the numbers. Refuses to know: any formula.
"""

from pathlib import Path
from typing import Annotated, Any

import typer

from srlm.errors import InputError

_BOUNDS_NEED = "Bounds for the worst model of its class need --pairs, and --radius or --log-class-size"


def command(
    kappa0: Annotated[float | None, typer.Option(help="Condition number of the base policy, at least 1.")] = None,
    pairs: Annotated[float | None, typer.Option(help="Pairs a round, n.")] = None,
    log_class_size: Annotated[float | None, typer.Option(help="log |Pi| in nats; or give --dim and --radius.")] = None,
    dim: Annotated[float | None, typer.Option(help="Dimension (or effective dimension) of the features.")] = None,
    radius: Annotated[float | None, typer.Option(help="Norm bound B of the parameters.")] = None,
    margin: Annotated[float | None, typer.Option(help="Margin gamma in nats.", show_default="1")] = None,
    min_confidence: Annotated[float | None, typer.Option(help="Least mode probability in rounds t >= 1.")] = None,
    mass_slack: Annotated[float, typer.Option(help="delta: failure means mode probability <= 1 - delta.")] = 0.5,
    rho: Annotated[float, typer.Option(help="Chance that the guarantee fails.")] = 0.05,
    beta: Annotated[float | None, typer.Option(help="KL strength.", show_default="pairs^(-1/2)")] = None,
    rounds: Annotated[int | None, typer.Option(help="Rounds T.", show_default="the diagnosis's, or 1", min=1)] = None,
    constant: Annotated[float, typer.Option(help="C of theorem 5.3 and eq. 43, which nobody knows.")] = 1.0,
    lower_constant: Annotated[
        float | None, typer.Option(help="C0 of theorem 4.1, which nobody knows.", show_default="1/(2e)")
    ] = None,
    reward_range: Annotated[
        float | None,
        typer.Option(
            help="R, range of the rewards in nats; multiplies C.", show_default="the larger of 1 and the margin"
        ),
    ] = None,
    responses: Annotated[int, typer.Option(help="Responses a prompt, for the cost.")] = 2,
    tokens_per_response: Annotated[float | None, typer.Option(help="Mean response length, for the cost.")] = None,
    target_failure: Annotated[float | None, typer.Option(help="Failure rate to reach: solve for n and T.")] = None,
    from_: Annotated[Path | None, typer.Option("--from", help="diagnosis.json of `srlm diagnose`.")] = None,
    plot: Annotated[Path | None, typer.Option(help="Draw the bound over n and T (.svg, .png or .pdf).")] = None,
    json_output: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """How many samples, how many rounds, is one round enough, what will it cost; what a diagnosis foretells."""
    from srlm.cli.output import print_json
    from srlm.theory.planning import plan

    given: dict[str, Any] = {
        "kappa0": kappa0, "dim": dim, "margin": margin, "min_confidence": min_confidence
    }  # fmt: skip
    foretold: dict[str, Any] = {}
    lead, read = "", []
    if from_ is not None:
        from srlm.cli._plan_text import forecast_text
        from srlm.measure.forecast import forecast_of
        from srlm.records.diagnosis import planning_inputs, read_diagnosis

        diagnosis = read_diagnosis(from_)
        forecast = forecast_of(diagnosis.prompts, diagnosis.settings, diagnosis.numeric_error, beta, rounds, mass_slack)
        lead = "\n".join([*forecast_text(forecast), "", "In the worst case", ""])
        rounds = rounds or diagnosis.settings.rounds
        foretold = {"forecast": forecast.model_dump(mode="json")}
        if pairs is None and plot is None and target_failure is None:
            if json_output:
                print_json(foretold | {"worst_case": None, "worst_case_note": _BOUNDS_NEED})
            else:
                typer.echo(f"{lead}  {_BOUNDS_NEED}.")
            return
        for one in planning_inputs(diagnosis, from_, sized=dim is not None or log_class_size is not None):
            if given[one.name] is None:
                given[one.name] = one.value
                read.append(f"{one.name} = {one.value:.4g} from the diagnosis ({one.note})")
    missing = [name for name, value in (("--kappa0", given["kappa0"]), ("--pairs", pairs)) if value is None]
    if missing or pairs is None:
        why = "give them, or a diagnosis with --from" if from_ is None else foretold.get("forecast_note", _BOUNDS_NEED)
        raise InputError(f"{' and '.join(missing)} missing; {why}")
    if given["margin"] is None:
        given["margin"] = 1.0
    if lower_constant is not None:
        given["lower_constant"] = lower_constant
    planned = plan(
        pairs=pairs,
        log_class_size=log_class_size,
        radius=radius,
        mass_slack=mass_slack,
        rho=rho,
        beta=beta,
        rounds=rounds or 1,
        constant=constant,
        reward_range=reward_range,
        responses_per_prompt=responses,
        tokens_per_response=tokens_per_response,
        target_failure=target_failure,
        **given,
    )
    if plot is not None:
        from srlm.report.plan_figure import draw_plan

        draw_plan(planned, plot)
    if json_output:
        print_json(foretold | planned.as_dict() | {"from": read})
        return
    from srlm.cli._plan_text import plan_text

    typer.echo(lead + plan_text(planned, read))
