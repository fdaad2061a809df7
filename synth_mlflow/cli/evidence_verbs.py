"""The verbs about recorded evidence: take a batch back, recompute every digest, tell other tools."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

import click

from synth_mlflow.cli import completion, output
from synth_mlflow.cli.options import BlankPath, Shared, real_rows_option, shared
from synth_mlflow.cli.session import open_workflow
from synth_mlflow.errors import EvidenceError

if TYPE_CHECKING:
    from synth_mlflow.lifecycle.verify import Verification


@click.command()
@click.argument("batch", shell_complete=completion.batches)
@click.option("--reason", required=True, help="Why; kept on the batch for good.")
@click.option("--by", metavar="NAME", help="Who takes it back; by default your user name.")
@shared
def retract(
    given: Shared,
    batch: str,
    reason: str,
    by: str | None,
) -> None:
    """Take BATCH back for good: shut its gate, mark the handoffs that rest on it; nothing is deleted."""
    found = open_workflow("retract", given).retract(batch, reason=reason, by=by)
    if given.as_json:
        return output.as_json(found)
    output.line(f"{found.batch}: RETRACTED by {found.by} at {found.at}: {found.reason}")
    _listed("models that hold its rows", found.models)
    _listed("sweeps that used it", found.sweeps)
    _listed("handoffs that are superseded now", found.handoffs)
    return output.next_command("synth-mlflow status")


@click.command()
@click.argument("run_id", metavar="[RUN]", required=False)
@click.option("--deep", is_flag=True, help="Run every check again from its rows; else one, by chance.")
@click.option("--source", "sources", type=BlankPath(), multiple=True,
              help="Real rows that a batch was learned from and the server does not hold.")  # fmt: skip
@real_rows_option
@shared
def verify(
    given: Shared,
    run_id: str | None,
    deep: bool,
    sources: tuple[Path | None, ...],
) -> int:
    """Recompute every digest and verdict of the project, or of RUN and those under it; exits with 4 on a mismatch."""
    workflow = open_workflow("verify", given)
    found = workflow.verify(run_id, deep=deep, sources=[source for source in sources if source])
    if given.as_json:
        output.as_json(found)
    else:
        _told(found)
    return 0 if found.holds else EvidenceError.exit_code


@click.command()
@click.option("--format", "format_name", required=True, metavar="NAME",
              help="croissant, prov-json, openlineage, or another that `list` shows.")  # fmt: skip
@click.option("--output", "target", type=BlankPath(), help="Write this file instead of stdout.")
@shared
def export(
    given: Shared,
    format_name: str,
    target: Path | None,
) -> None:
    """Provenance of the whole project in the format of another tool; no row of its data leaves with it."""
    text = open_workflow("export", given).export(format_name, target)
    if target is None:
        return click.echo(text, nl=not text.endswith("\n"))
    if given.as_json:
        return output.as_json({"written": target, "format": format_name})
    output.line(f"written: {target}")
    return output.next_command("synth-mlflow status")


def _told(found: Verification) -> None:
    stages = ", ".join(f"{count} {stage}" for stage, count in found.runs.items())
    output.line(f"checked: {sum(found.runs.values())} runs ({stages})")
    output.line(f"         {found.n_files:,} files, {found.n_params:,} parameters, {found.n_metrics:,} metrics")
    output.line(f"         {len(found.rechecked)} of its checks run again from the rows")
    for run_id, why in found.not_rechecked.items():
        output.line(f"         check {run_id} could not be run again: {why}")
    for run_id, group in groupby(found.findings, key=lambda finding: finding.run_id):
        findings = list(group)
        output.line(f"BROKEN   {findings[0].run_name} (run {run_id})")
        for finding in findings:
            output.line(f"         - {finding.what}")
        output.line(f"         depends on it: {', '.join(findings[0].affects) or 'nothing'}")
    output.line("everything matches" if found.holds else f"mismatches: {len(found.findings)}")
    output.next_command("synth-mlflow status")


def _listed(what: str, items: Sequence[str]) -> None:
    output.line(f"  {what}: {', '.join(items) or 'none'}")
