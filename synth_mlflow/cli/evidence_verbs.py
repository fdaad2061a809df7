"""The verbs about recorded evidence: take a batch back."""

from __future__ import annotations

from collections.abc import Sequence

import click

from synth_mlflow.cli import output
from synth_mlflow.cli.options import Shared, shared
from synth_mlflow.cli.session import open_workflow


@click.command()
@click.argument("batch")
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


def _listed(what: str, items: Sequence[str]) -> None:
    output.line(f"  {what}: {', '.join(items) or 'none'}")
