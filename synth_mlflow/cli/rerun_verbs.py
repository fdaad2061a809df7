"""The verbs that do again what was recorded, to question it: which batch is to blame, does it come out again."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from synth_mlflow.cli import output
from synth_mlflow.cli.options import DATA_HELP, Blank, BlankPath, Shared, shared
from synth_mlflow.cli.session import open_workflow
from synth_mlflow.errors import UsageError

if TYPE_CHECKING:
    from synth_mlflow.lifecycle.blame import Blame
    from synth_mlflow.lifecycle.reproduce import Reproduction

DIFFERENT = 4


@click.command()
@click.argument("model", type=Blank(), default="")
@click.option("--ratio", type=click.FloatRange(0, 100, min_open=True, max_open=True), metavar="PERCENT",
              help="Look at this synthetic share; by default the model's own.")  # fmt: skip
@click.option("--batch", "batches", type=Blank(), multiple=True, help="Suspect this batch; by default every one.")
@click.option("--repeats", type=click.IntRange(3), default=16, show_default=True, help="Draws of the rows.")
@click.option("--data", type=BlankPath(), help=DATA_HELP)
@click.option("--jobs", type=int, default=-1, show_default=True, help="Fits at a time; -1 takes every core.")
@click.option("--allow-external", is_flag=True, help="Run the commands that fitted the recorded model.")
@shared
def blame(
    given: Shared,
    model: str | None,
    ratio: float | None,
    batches: tuple[str | None, ...],
    repeats: int,
    data: Path | None,
    jobs: int,
    allow_external: bool,
) -> None:
    """Which batch made MODEL worse: leave each one out, with rows of the others in its place.

    MODEL is models:/NAME/VERSION, or the run of a sweep or handoff; by default the newest.
    """
    found = open_workflow("blame", given).blame(
        model,
        ratio=ratio and ratio / 100,
        batches=[batch for batch in batches if batch],
        repeats=repeats,
        data=data,
        n_jobs=jobs,
        allow_external=allow_external,
    )
    if given.as_json:
        return output.as_json({**output.plain(found), "named": list(found.named), "words": found.words})
    _tell_blame(found)
    command = f'retract {found.named[0]} --reason "…"' if found.named else "status"
    return output.next_command(f"synth-mlflow {command}")


@click.command()
@click.argument("handoff", default="newest")
@click.option("--source", "sources", type=BlankPath(), multiple=True,
              help="Real rows that a batch learned from and the server does not hold.")  # fmt: skip
@click.option("--data", type=BlankPath(), help=DATA_HELP)
@click.option("--allow-external", is_flag=True,
              help="Run commands, call services, and load code that only a record names.")  # fmt: skip
@click.option("--external", type=Blank(), hidden=True, help="`yes` is --allow-external: MLproject files have no flags.")
@click.option("--python", type=Blank(), metavar="PATH",
              help="The Python of the environment in which a peer is installed, for batches made by one.")  # fmt: skip
@click.option("--sweep", "whole", is_flag=True, help="Measure the whole curve again, too.")
@shared
def reproduce(
    given: Shared,
    handoff: str,
    sources: tuple[Path | None, ...],
    data: Path | None,
    allow_external: bool,
    external: str | None,
    python: str | None,
    whole: bool,
) -> int:
    """Make the batches and the model of HANDOFF again from the records, and compare; exits with 4 where they differ.

    HANDOFF is a run id, `newest` or `previous`.
    """
    if external not in (None, "yes"):
        raise UsageError(f"allow_external is {external!r}.", "Give `yes`, or leave it out.")
    found = open_workflow("reproduce", given).reproduce(
        handoff,
        sources=[source for source in sources if source],
        data=data,
        allow_external=allow_external or external is not None,
        python=python,
        sweep=whole,
    )
    if given.as_json:
        output.as_json({**output.plain(found), "outcome": found.outcome})
    else:
        _tell_reproduction(found)
    return DIFFERENT if found.outcome == "different" else 0


def _tell_reproduction(found: Reproduction) -> None:
    for text in found.versions:
        output.line(f"another version: {text}")
    for step in found.steps:
        output.line(f"{step.outcome:<15} {step.what}: {step.words}")
    output.line(f"{found.model}: {found.outcome}; kept as run {found.run_id}")
    output.next_command("synth-mlflow verify" if found.outcome == "different" else "synth-mlflow status")


def _tell_blame(found: Blame) -> None:
    from synth_mlflow.data.mixes import percent

    slices = list(found.found.effects[0].slices)
    rows = [
        [
            each.batch,
            each.overall.verdict,
            f"{each.overall.effect:+.4f}",
            f"{each.overall.low:+.4f} to {each.overall.high:+.4f}",
            percent(each.ratio),
            each.n_rows,
            *("" if part is None else f"{part.effect:+.4f}" for part in each.slices.values()),
        ]
        for each in found.found.effects
    ]
    effect = f"effect on {found.found.metric}"
    output.table(["batch", "verdict", effect, "95 % interval", "at", "rows", *slices], rows)
    output.line(found.words)
    output.line(f"kept as run {found.run_id}")
