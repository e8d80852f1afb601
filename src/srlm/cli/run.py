"""`srlm run`: T rounds of self-rewarding on a real model, each one certified, recorded and shown.

Knows: the command's arguments and how progress is drawn.
"""

from pathlib import Path
from typing import Annotated, Any

import typer


def command(
    model: Annotated[
        str, typer.Option(help="smollm2-135m (embedded), a local folder, or a hub name.")
    ] = "smollm2-135m",
    prompts: Annotated[
        str, typer.Option(help="bundled, a JSON Lines file, reasoning_gym:TASK, or a data set's name.")
    ] = "bundled",
    rounds: Annotated[int | None, typer.Option(help="Rounds of sample, update, certify.  [default: 3]")] = None,
    out: Annotated[Path, typer.Option(help="The run's folder.")] = Path("runs/srlm"),
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in --out where it stopped.")] = False,
    config: Annotated[
        Path | None, typer.Option(help="JSON file with any field of SelfRewardingConfig; options here win over it.")
    ] = None,
    responses: Annotated[int | None, typer.Option(help="Responses a prompt and round, K >= 2.  [default: 4]")] = None,
    max_new_tokens: Annotated[int | None, typer.Option(help="Longest response in tokens.  [default: 12]")] = None,
    beta: Annotated[
        float | None, typer.Option(help="KL strength; an exact round is pi^(1+1/beta).  [default: 1]")
    ] = None,
    learning_rate: Annotated[float | None, typer.Option(help="[default: 2e-4]")] = None,
    reward: Annotated[
        list[str] | None,
        typer.Option(help="Name of a reward, repeatable (they are summed).  [default: log_probability]"),
    ] = None,
    loss: Annotated[
        str | None, typer.Option(help="The update: regression, dpo, ipo or best_of_k.  [default: regression]")
    ] = None,
    reference: Annotated[
        str | None, typer.Option(help="What updates are kept near: previous or base.  [default: previous]")
    ] = None,
    beta_schedule: Annotated[str | None, typer.Option(help="constant, or n^-1/2.  [default: constant]")] = None,
    early_stopping: Annotated[
        int | None,
        typer.Option(help="End an update after so many passes without better held-out pairs; 0 never.  [default: 0]"),
    ] = None,
    rescore: Annotated[
        bool, typer.Option("--rescore", help="Take log-probabilities from the training forward, not from sampling.")
    ] = False,
    on_signature: Annotated[
        list[str] | None,
        typer.Option(help="SIGNATURE=note, stop or rollback, repeatable; all=... for every one."),
    ] = None,
    preset: Annotated[
        str | None,
        typer.Option(help="quick, faithful, cautious, long-answers or low-memory; --config and options win over it."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print plan, memory and time from a short calibration; write nothing.")
    ] = False,
    passes: Annotated[float | None, typer.Option(help="Passes over a round's responses.  [default: 4]")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Prompts a step.  [default: 8]")] = None,
    expansions: Annotated[int | None, typer.Option(help="Budget of the mode search a prompt.  [default: 2000]")] = None,
    limit: Annotated[int | None, typer.Option(help="Use the first so many prompts.")] = None,
    held_out: Annotated[
        float, typer.Option(help="Share of prompts to hold out where they do not say so themselves.")
    ] = 0.25,
    full: Annotated[bool, typer.Option("--full", help="Train all weights, not a LoRA adapter.")] = False,
    raw_prompts: Annotated[
        bool, typer.Option("--raw-prompts", help="Send string prompts without the chat template.")
    ] = False,
    dtype: Annotated[str, typer.Option(help="float32, bfloat16 or float16.")] = "float32",
    load_in_4bit: Annotated[
        bool, typer.Option("--load-in-4bit", help="Quantise the base model to 4 bits under its adapter.")
    ] = False,
    device: Annotated[str | None, typer.Option(help="A torch device; by default the best there is.")] = None,
    seed: Annotated[int | None, typer.Option(help="Everything random follows from it.  [default: 0]")] = None,
    trust_remote_code: Annotated[
        bool, typer.Option("--trust-remote-code", help="Run code that comes with the model.")
    ] = False,
    json_output: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """Self-reward a model: sample, certify, update, T times; ends with DIR/report.html and the model in DIR/model."""
    given = {
        "rounds": rounds,
        "num_generations": responses,
        "max_completion_length": max_new_tokens,
        "beta": beta,
        "learning_rate": learning_rate,
        "loss_type": loss,
        "reference": reference,
        "beta_schedule": beta_schedule,
        "early_stopping_patience": early_stopping,
        "rescore": True if rescore else None,
        "on_signature": _actions(on_signature),
        "num_train_epochs": passes,
        "rewards": reward or None,
        "per_device_train_batch_size": batch_size,
        "max_expansions": expansions,
        "seed": seed,
        "use_peft": False if full else None,
        "raw_prompts": True if raw_prompts else None,
        "output_dir": str(out),
    }
    asked: dict[str, Any] = {
        "model": model,
        "prompts": prompts,
        "options": {name: value for name, value in given.items() if value is not None},
        "config_file": config,
        "preset": preset,
        "limit": limit,
        "held_out": held_out,
        "dtype": dtype,
        "device": device,
        "load_in_4bit": load_in_4bit,
        "trust_remote_code": trust_remote_code,
        "resume": resume,
    }
    from srlm.cli._progress import RoundProgress
    from srlm.cli.output import print_json
    from srlm.report.page import write_report
    from srlm.training import start
    from srlm.training.processes import is_main_process

    if dry_run:
        estimate = start.dry_run(**asked)
        if json_output:
            print_json(estimate.as_json())
        else:
            typer.echo("\n".join(estimate.lines()))
        return
    if not is_main_process():  # one of several: it works, and leaves talking to the main one
        start.start_run(**asked)
        return
    with RoundProgress(rounds or 3, write_report) as observer:
        directory = start.start_run(**asked, observer=observer)
        page = write_report(directory.path)
    summary: dict[str, Any] = directory.summary() | {"report": str(page), "model": str(directory.path / "model")}
    if json_output:
        print_json(summary)
    else:
        if summary["status"] == "stopped":
            observer.say(f"Ended early: {summary['reason']}.")
        observer.say(f"Done: {summary['report']} is the page to look at, {summary['model']} the trained model.")


def _actions(given: list[str] | None) -> dict[str, str] | None:
    """`["kappa_rises=stop"]` as a mapping; what is wrong with names and actions is said by the configuration."""
    return {name: action for name, _, action in (one.partition("=") for one in given)} if given else None
