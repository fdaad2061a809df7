"""The verbs about approved data: approve rows under a name, fetch, publish and watch them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from synth_mlflow.cli import options, output
from synth_mlflow.cli.options import (
    DATA_HELP,
    GlobalOptions,
    OptionalPath,
    OptionalTable,
    OptionalText,
    real_rows_option,
    shared,
)
from synth_mlflow.cli.session import open_workflow, quiet_mlflow
from synth_mlflow.data.addresses import Place
from synth_mlflow.data.approved_names import FORMATS, parse_name
from synth_mlflow.errors import UsageError

if TYPE_CHECKING:
    from synth_mlflow.queries.watch import ReadingRun, Watched
    from synth_mlflow.tracking.webhooks import Call


@click.command()
@click.argument("what", type=OptionalText(), default="", shell_complete=options.batches)
@click.option("--as", "name", required=True, metavar="NAME", help="Others load it as PROJECT/NAME@approved.")
@click.option("--mix", is_flag=True, help="The mix that a sweep chose; without WHAT, of the newest sweep.")
@click.option("--by", type=OptionalText(), metavar="NAME", help="Who approves; by default your user name.")
@click.option("--role", default="approver", show_default=True, help="As what.")
@click.option("--webhook", type=OptionalText(), metavar="URL",
              help="Called when a batch of it is retracted; env:VARIABLE keeps the URL off the server.")  # fmt: skip
@real_rows_option
@shared
def approve(
    given: GlobalOptions,
    what: str | None,
    name: str,
    mix: bool,
    by: str | None,
    role: str,
    webhook: str | None,
) -> None:
    """Approve WHAT, a batch or the mix of a sweep, as a version of a name; its gate is asked now and at each load."""
    approved = open_workflow("approve", given).approve(what, name=name, mix=mix, by=by, role=role, webhook=webhook)
    if given.as_json:
        return output.as_json(approved)
    output.line(
        f"approved: {approved.address}, a {approved.kind} of {approved.rows:,} rows, by {approved.by} ({approved.role})"
    )
    output.line(f"  digest {approved.digest}; run {approved.run_id}")
    load = "load_mix" if approved.kind == "mix" else "load_batch"
    project = approved.address.rpartition("/")[0]
    output.line(f'  in Python: synth_mlflow.{load}("{project}@approved")')
    return output.next_command(f"synth-mlflow fetch {project}@approved --output {approved.name}.parquet")


@click.command()
@click.argument("address")
@click.option("--output", "target", type=OptionalPath(), required=True, help="The Parquet file to write.")
@click.option("--run", "run_id", type=OptionalText(), metavar="RUN", help="Log it as a dataset input of this run.")
@click.option("--data", type=OptionalTable(), help=DATA_HELP)
@shared
def fetch(
    given: GlobalOptions,
    address: str,
    target: Path,
    run_id: str | None,
    data: Place | None,
) -> None:
    """Write the rows of ADDRESS (PROJECT/NAME@approved or PROJECT/NAME/2) to a file, if its gate is open.

    Every row is digested again. A mix has two further columns: what each row is, and how much it counts.
    """
    quiet_mlflow()
    from synth_mlflow.stages.approved_data import load_approved
    from synth_mlflow.stages.approved_rows import refuse_target

    refuse_target(target)
    rows = load_approved(address, tracking_uri=given.tracking_uri, data=data, deep=True, run_id=run_id)
    written = rows.write(target)
    facts = {**rows.facts(), "written": written, "rows": len(rows), "logged_on": rows.version.logged_on}
    if given.as_json:
        return output.as_json(facts)
    output.line(f"written: {written}, {len(rows):,} rows of {rows.version.address}, digest {rows.version.digest}")
    output.line(f"  approved by {rows.version.by} ({rows.version.role}) on {rows.version.at[:10]}")
    if rows.version.logged_on:
        output.line(f"  logged as a dataset input of run {rows.version.logged_on}")
    return output.next_command(f"synth-mlflow watch {rows.version.address.rpartition('/')[0]}")


@click.command()
@click.argument("address")
@click.option("--format", "format_name", required=True, type=click.Choice(FORMATS),
              help="Parquet, a Delta table, a dataset folder, an evaluation dataset of MLflow.")  # fmt: skip
@click.option("--output", "target", type=OptionalPath(), help="A new folder; not for mlflow.")
@click.option("--data", type=OptionalTable(), help=DATA_HELP)
@shared
def publish(
    given: GlobalOptions,
    address: str,
    format_name: str,
    target: Path | None,
    data: Place | None,
) -> None:
    """Write the rows of ADDRESS for another tool, with their provenance; they are read back and compared."""
    quiet_mlflow()
    from synth_mlflow.stages.publish import publish as write

    published = write(address, format_name, target, tracking_uri=given.tracking_uri, data=data)
    if given.as_json:
        return output.as_json(published)
    output.line(f"published: {published.rows:,} rows of {published.address} as {published.format}: {published.where}")
    output.line(f"  read back, their content digest is {published.rows_digest}")
    return output.next_command(f"synth-mlflow watch {published.address.rpartition('/')[0]}")


@click.command()
@click.argument("name")
@click.option("--webhook", type=OptionalText(), metavar="URL", help="Call this URL on a retraction from now on.")
@click.option("--no-webhook", "dropped", type=OptionalText(), metavar="URL", help="Call this URL no longer.")
@shared
def watch(
    given: GlobalOptions,
    name: str,
    webhook: str | None,
    dropped: str | None,
) -> None:
    """The versions of NAME (or PROJECT/NAME), who has loaded each, and what is called when one is retracted."""
    from dataclasses import replace

    project, short = parse_name(name)
    if project and given.experiment not in (None, project):
        raise UsageError(
            f"{name} is of project {project!r}, and --experiment names {given.experiment!r}.", "Leave it out."
        )
    writes = "watch --webhook" if webhook or dropped else "watch"
    workflow = open_workflow(writes, replace(given, experiment=project or given.experiment))
    if dropped:
        workflow.remove_webhook(short, dropped)
    watched = workflow.add_webhook(short, webhook) if webhook else workflow.watch(short)
    if given.as_json:
        return output.as_json(watched)
    _tell_watched(watched)
    return output.next_command(f"synth-mlflow fetch {watched.name}@approved --output {short}.parquet")


def _tell_watched(watched: Watched) -> None:
    for each in watched.versions:
        output.line(
            f"{each.address}: {each.kind} of {each.rows:,} rows, approved by {each.by} ({each.role}) {each.at[:10]}"
        )
        if each.retracted:
            output.line(f"  RETRACTED: {each.retracted}")
        tell_readers(each.read_by)
    output.line(f"called on a retraction: {', '.join(watched.webhooks) or 'nothing'}")


def tell_readers(runs: tuple[ReadingRun, ...]) -> None:
    """List the runs that have read approved rows."""
    output.line(f"  read by: {'' if runs else 'no run'}")
    for run in runs:
        output.line(f"    {run.name} (run {run.run_id}) in {run.experiment!r}, by {run.by}, {run.status}")


def tell_calls(calls: tuple[Call, ...]) -> None:
    """List what was called, and what it answered."""
    for call in calls:
        output.line(f"  {'told' if call.delivered else 'NOT told'}: {call.webhook} ({call.answer})")
