"""People and judge models: leave a blind sheet, and take answers back."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from synth_mlflow.cli import options, output
from synth_mlflow.cli.options import (
    GlobalOptions,
    OptionalPath,
    OptionalText,
    Setting,
    real_rows_option,
    shared,
)
from synth_mlflow.cli.session import open_workflow

if TYPE_CHECKING:
    from synth_mlflow.stages.review import Reviewed


def leave_sheet(given: GlobalOptions, batch: str | None, n_rows: int, folder: Path | None, queue: str | None) -> int:
    """What `validate BATCH --review N` does."""
    if batch is None:
        raise click.UsageError("--review N needs a BATCH: `synth-mlflow validate BATCH --review N`.")
    left = open_workflow("validate", given).review_sheet(batch, n_rows, output=folder or ".", queue=queue)
    if given.as_json:
        output.as_json(left)
        return 0
    output.line(f"sheet {left.sheet} of batch {left.batch}: {left.rows:,} rows, half of them real")
    output.line(f"  for people: {left.page}, or {left.table} for a spreadsheet; both are on this machine alone")
    if left.queue:
        output.line(f"  in MLflow: the review queue {left.queue!r}, whose rows all who may read the server can see")
    if left.queue_page:
        output.line(f"  {left.queue_page}")
    output.line(f"  {left.outlook}")
    if queue is not None:
        output.next_command(f"synth-mlflow review {left.batch} --queue --rater {shlex.quote(queue)}")
    else:
        output.next_command(f'synth-mlflow review {left.batch} answers-{left.sheet}.csv --rater "…"')
    return 0


@click.command()
@click.argument("batch", shell_complete=options.batches)
@click.argument("answers", type=OptionalPath(), default="")
@click.option("--rater", type=OptionalText(), metavar="NAME", help="Who has answered.")
@click.option("--queue", "in_queue", is_flag=True, help="The answers are in a review queue of MLflow, not in a file.")
@click.option("--judge", "model", type=OptionalText(), metavar="MODEL",
              help="Let this language model answer; it counts once its agreement with people is shown.")  # fmt: skip
@click.option("--sheet", type=OptionalText(), metavar="ID", help="With --judge: which sheet; else the largest.")
@click.option("--param", "params", type=Setting(), multiple=True, help="With --judge: a setting, as NAME=VALUE.")
@click.option("--journal", type=OptionalPath(), help="With --judge: where its answers are kept as they come.")
@click.option("--timeout", type=click.FloatRange(0, min_open=True), default=3600.0, show_default=True,
              help="With --judge: seconds in all.")  # fmt: skip
@real_rows_option
@shared
def review(
    given: GlobalOptions,
    batch: str,
    answers: Path | None,
    rater: str | None,
    in_queue: bool,
    model: str | None,
    sheet: str | None,
    params: tuple[tuple[str, Any], ...],
    journal: Path | None,
    timeout: float,
) -> None:
    """Take in the ANSWERS of a person to a blind sheet of BATCH, or let a judge model answer it."""
    _refuse_mixed(answers, rater, model, in_queue=in_queue, is_judge_set=bool(sheet or params or journal))
    workflow = open_workflow("review", given)
    if model is not None:
        reviewed = workflow.review_by_model(
            batch, model, sheet=sheet, params=dict(params), journal=journal, timeout_seconds=timeout
        )
    else:
        reviewed = workflow.review(batch, None if in_queue else answers or "", rater=rater or "")
    if given.as_json:
        return output.as_json(reviewed)
    _print_review(reviewed)
    return output.next_command(
        f"synth-mlflow validate {shlex.quote(reviewed.batch)}" if reviewed.required else "synth-mlflow status"
    )


def _refuse_mixed(
    answers: Path | None, rater: str | None, model: str | None, *, in_queue: bool, is_judge_set: bool
) -> None:
    if model is not None and (answers is not None or rater is not None or in_queue):
        raise click.UsageError("--judge MODEL answers a sheet itself: leave ANSWERS, --queue and --rater out.")
    if in_queue and (answers is not None or rater is None):
        raise click.UsageError(
            '--queue stands in place of ANSWERS: `synth-mlflow review BATCH --queue --rater "Ada Lind"`.'
        )
    if model is None and not in_queue and (answers is None or rater is None):
        raise click.UsageError(
            'answers of a person need both: `synth-mlflow review BATCH answers.csv --rater "Ada Lind"`.'
        )
    if model is None and is_judge_set:
        raise click.UsageError("--sheet, --param and --journal belong to --judge MODEL.")


def _print_review(reviewed: Reviewed) -> None:
    who = f"model {reviewed.rater}" if reviewed.kind == "model" else reviewed.rater
    output.line(
        f"{who} on sheet {reviewed.sheet} of {reviewed.batch}: AUC {reviewed.auc:.3f} ({reviewed.low:.3f} to "
        f"{reviewed.high:.3f}) on "
        f"{reviewed.rows:,} rows, {reviewed.cannot_say:,} of them “cannot say”; run {reviewed.run_id}"
    )
    if not reviewed.counted:
        output.line(f"  not counted: {who} had answered this sheet before, and the first answers count; both are kept")
    whose = "judge models" if reviewed.kind == "model" else "people"
    output.line(f"all answers of {whose} about {reviewed.batch}: {reviewed.verdict.upper()}")
    for reason in reviewed.reasons[:8]:
        output.line(f"  {reason}")
    if not reviewed.required:
        check = "model_review" if reviewed.kind == "model" else "review"
        output.line(f"  the statement does not require it; `validation: {{required: [{check}]}}` would")
