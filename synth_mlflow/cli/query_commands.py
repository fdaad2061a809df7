"""The verbs that answer questions, judge conditions and evidence, and change nothing but what they are asked to.

The verbs for questions that people ask later: where rows come from, what a model is made of.

The verbs that do again what was recorded, to question it: which batch is to blame, does it come out again.

The verbs about recorded evidence: take a batch back, recompute every digest, tell other tools.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

import click

from synth_mlflow.cli import options, output
from synth_mlflow.cli.approved_commands import tell_calls, tell_readers
from synth_mlflow.cli.options import (
    DATA_HELP,
    GlobalOptions,
    OptionalPath,
    OptionalTable,
    OptionalText,
    real_rows_option,
    shared,
)
from synth_mlflow.cli.session import open_workflow
from synth_mlflow.data.addresses import Place
from synth_mlflow.errors import EvidenceError, UsageError

if TYPE_CHECKING:
    from synth_mlflow.audit.blame import Blame
    from synth_mlflow.audit.reproduce import Reproduction
    from synth_mlflow.audit.verify import Verification
    from synth_mlflow.queries.identify import Identified


EVALUATION_ROWS_FOUND = 4


@click.command()
@click.argument("file", type=OptionalTable())
@click.option("--rows-to", type=OptionalPath(), help="Write the origin of every row to this CSV file.")
@real_rows_option
@shared
def identify(
    given: GlobalOptions,
    file: Place,
    rows_to: Path | None,
) -> int:
    """Which rows of any table FILE are synthetic, real or unknown; exits with 4 where some are evaluation rows."""
    from synth_mlflow.errors import UsageError

    if rows_to is not None and not rows_to.resolve().parent.is_dir():
        raise UsageError(f"there is no folder {rows_to.resolve().parent} to write {rows_to.name} to.", "Make it first.")
    identified = open_workflow("identify", given).identify(file)
    if rows_to is not None:
        identified.rows.to_csv(rows_to, index_label="row")
    if given.as_json:
        output.as_json(identified.to_json())
    else:
        _tell_identified(identified)
    if not identified.holds_evaluation_rows:
        return 0
    output.error(
        f"{identified.counts['evaluation']:,} of the {identified.n_rows:,} rows of {file} ARE EVALUATION ROWS.",
        "Nothing may be fitted, tuned or generated from this file: leave these rows out (`--rows-to` tells which).",
    )
    return EVALUATION_ROWS_FOUND


@click.command()
@click.argument("what", shell_complete=options.batches)
@shared
def trace(
    given: GlobalOptions,
    what: str,
) -> None:
    """What a model or run is made of, or what a batch went into; WHAT: models:/NAME/VERSION, a batch, any run id."""
    traced = open_workflow("trace", given).trace(what)
    if given.as_json:
        return output.as_json(traced)
    for text in traced.lines():
        output.line(text)
    return output.next_command("synth-mlflow status")


@click.command()
@click.argument("before")
@click.argument("after", default="newest")
@shared
def diff(
    given: GlobalOptions,
    before: str,
    after: str,
) -> None:
    """What changed between two handoffs; each a run id, `newest`, `previous`, or a JSON file that `report` wrote."""
    from synth_mlflow.handoff.diff import diff_files, is_file

    if is_file(before) and is_file(after):
        differences = diff_files(Path(before), Path(after))
    else:
        differences = open_workflow("diff", given).diff(before, after)
    if given.as_json:
        return output.as_json({**output.plain(differences), "words": differences.words})
    rows = [[c.part, *(_clipped(text) for text in (c.what, c.before, c.after))] for c in differences.changes]
    output.table(["part", "what", differences.before, differences.after], rows)
    output.line(differences.words)
    output.line(f"the same: {', '.join(differences.same) or 'nothing'}")
    return output.next_command("synth-mlflow status")


CLIPPED_AT = 72  # characters of one cell; the JSON has all


def _clipped(text: str) -> str:
    return text if len(text) <= CLIPPED_AT else f"{text[: CLIPPED_AT - 1]}…"


def _tell_identified(identified: Identified) -> None:
    where = [[origin, n_rows, f"{n_rows / identified.n_rows:.1%}"] for origin, n_rows in identified.counts.items()]
    output.table(["rows are", "rows", "share"], where)
    output.line()
    rows = [[each.name, each.n_rows, each.n_only_here, each.run_id] for each in identified.found_in]
    output.table(["found in", "rows", "only there", "run"], rows)
    for note in _notes(identified):
        output.line(f"note: {note}")
    batch = max(identified.found_in[2:], key=lambda each: each.n_rows, default=None)
    output.next_command(f"synth-mlflow trace {batch.name}" if batch else "synth-mlflow status")


def _notes(identified: Identified) -> list[str]:
    notes = []
    if identified.record:
        notes.append(f"the file still carries the record of batch {identified.record}")
    if identified.extra_columns:
        notes.append(f"left out, since the real table has no such columns: {', '.join(identified.extra_columns)}")
    if identified.counts["ambiguous"]:
        notes.append(
            f"{identified.counts['ambiguous']:,} rows are ambiguous: equal rows stand among the real ones and "
            f"in a batch ({identified.n_ambiguous_evaluation:,} of them in the evaluation set)"
        )
    if identified.n_coarse:
        notes.append(
            f"{identified.n_coarse:,} of the synthetic rows hold fewer than two values, and no long text, that are "
            "alone in their batch: a real row may be equal by chance"
        )
    if identified.n_unreadable:
        notes.append(f"{identified.n_unreadable:,} rows hold values of another kind than the real table's: unknown")
    return notes


DIFFERENT = 4


@click.command()
@click.argument("model", type=OptionalText(), default="")
@click.option("--ratio", type=click.FloatRange(0, 100, min_open=True, max_open=True), metavar="PERCENT",
              help="Look at this synthetic share; by default the model's own.")  # fmt: skip
@click.option(
    "--batch", "batches", type=OptionalText(), multiple=True, help="Suspect this batch; by default every one."
)
@click.option("--repeats", type=click.IntRange(3), default=16, show_default=True, help="Draws of the rows.")
@click.option("--data", type=OptionalTable(), help=DATA_HELP)
@click.option("--jobs", type=int, default=-1, show_default=True, help="Fits at a time; -1 takes every core.")
@click.option("--allow-external", is_flag=True, help="Run the commands that fitted the recorded model.")
@shared
def blame(
    given: GlobalOptions,
    model: str | None,
    ratio: float | None,
    batches: tuple[str | None, ...],
    repeats: int,
    data: Place | None,
    jobs: int,
    allow_external: bool,
) -> None:
    """Which batch made MODEL worse: leave each one out, with rows of the others in its place.

    MODEL is models:/NAME/VERSION, or the run of a sweep or handoff; by default the newest.
    """
    blamed = open_workflow("blame", given).blame(
        model,
        ratio=ratio and ratio / 100,
        batches=[batch for batch in batches if batch],
        repeats=repeats,
        data=data,
        n_jobs=jobs,
        allow_external=allow_external,
    )
    if given.as_json:
        return output.as_json({**output.plain(blamed), "named": list(blamed.named), "words": blamed.words})
    _tell_blame(blamed)
    command = f'retract {blamed.named[0]} --reason "…"' if blamed.named else "status"
    return output.next_command(f"synth-mlflow {command}")


@click.command()
@click.argument("handoff", default="newest")
@click.option("--source", "sources", type=OptionalTable(), multiple=True,
              help="Real rows that a batch learned from and the server does not hold.")  # fmt: skip
@click.option("--data", type=OptionalTable(), help=DATA_HELP)
@click.option("--allow-external", is_flag=True,
              help="Run commands, call services, and load code that only a record names.")  # fmt: skip
@click.option(
    "--external", type=OptionalText(), hidden=True, help="`yes` is --allow-external: MLproject files have no flags."
)
@click.option("--python", type=OptionalText(), metavar="PATH",
              help="The Python of the environment in which a peer is installed, for batches made by one.")  # fmt: skip
@click.option("--sweep", "whole", is_flag=True, help="Measure the whole curve again, too.")
@shared
def reproduce(
    given: GlobalOptions,
    handoff: str,
    sources: tuple[Path | None, ...],
    data: Place | None,
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
    reproduction = open_workflow("reproduce", given).reproduce(
        handoff,
        sources=[source for source in sources if source],
        data=data,
        allow_external=allow_external or external is not None,
        python=python,
        sweep=whole,
    )
    if given.as_json:
        output.as_json({**output.plain(reproduction), "outcome": reproduction.outcome})
    else:
        _tell_reproduction(reproduction)
    return DIFFERENT if reproduction.outcome == "different" else 0


def _tell_reproduction(reproduction: Reproduction) -> None:
    for text in reproduction.versions:
        output.line(f"another version: {text}")
    for step in reproduction.steps:
        output.line(f"{step.outcome:<15} {step.what}: {step.words}")
    output.line(f"{reproduction.model}: {reproduction.outcome}; kept as run {reproduction.run_id}")
    output.next_command("synth-mlflow verify" if reproduction.outcome == "different" else "synth-mlflow status")


def _tell_blame(blamed: Blame) -> None:
    from synth_mlflow.data.mixing import percent

    slices = list(blamed.result.effects[0].slices)
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
        for each in blamed.result.effects
    ]
    effect = f"effect on {blamed.result.metric}"
    output.table(["batch", "verdict", effect, "95 % interval", "at", "rows", *slices], rows)
    output.line(blamed.words)
    output.line(f"kept as run {blamed.run_id}")


@click.command()
@click.argument("batch", shell_complete=options.batches)
@click.option("--reason", required=True, help="Why; kept on the batch for good.")
@click.option("--by", metavar="NAME", help="Who takes it back; by default your user name.")
@shared
def retract(
    given: GlobalOptions,
    batch: str,
    reason: str,
    by: str | None,
) -> None:
    """Take BATCH back for good: shut its gate, mark the handoffs that rest on it; nothing is deleted."""
    retraction = open_workflow("retract", given).retract(batch, reason=reason, by=by)
    if given.as_json:
        return output.as_json(retraction)
    output.line(f"{retraction.batch}: RETRACTED by {retraction.by} at {retraction.at}: {retraction.reason}")
    _listed("models that hold its rows", retraction.models)
    _listed("sweeps that used it", retraction.sweeps)
    _listed("handoffs that are superseded now", retraction.handoffs)
    if retraction.approved:
        _listed("approved versions that are handed out no longer", retraction.approved)
        tell_readers(retraction.read_by)
        tell_calls(retraction.webhooks)
    return output.next_command("synth-mlflow status")


@click.command()
@click.argument("run_id", metavar="[RUN]", required=False)
@click.option("--deep", is_flag=True, help="Run every check again from its rows; else one, by chance.")
@click.option("--source", "sources", type=OptionalTable(), multiple=True,
              help="Real rows that a batch was learned from and the server does not hold.")  # fmt: skip
@real_rows_option
@shared
def verify(
    given: GlobalOptions,
    run_id: str | None,
    deep: bool,
    sources: tuple[Path | None, ...],
) -> int:
    """Recompute every digest and verdict of the project, or of RUN and those under it; exits with 4 on a mismatch."""
    workflow = open_workflow("verify", given)
    verification = workflow.verify(run_id, deep=deep, sources=[source for source in sources if source])
    if given.as_json:
        output.as_json(verification)
    else:
        _print_verification(verification)
    return 0 if verification.holds else EvidenceError.exit_code


@click.command()
@click.option("--format", "format_name", required=True, metavar="NAME",
              help="croissant, prov-json, openlineage, or another that `list` shows.")  # fmt: skip
@click.option("--output", "target", type=OptionalPath(), help="Write this file instead of stdout.")
@shared
def export(
    given: GlobalOptions,
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


def _print_verification(verification: Verification) -> None:
    stages = ", ".join(f"{count} {stage}" for stage, count in verification.runs.items())
    output.line(f"checked: {sum(verification.runs.values())} runs ({stages})")
    output.line(
        f"         {verification.n_files:,} files, {verification.n_params:,} parameters, "
        f"{verification.n_metrics:,} metrics"
    )
    output.line(f"         {len(verification.rechecked)} of its checks run again from the rows")
    for run_id, why in verification.not_rechecked.items():
        output.line(f"         check {run_id} could not be run again: {why}")
    for run_id, group in groupby(verification.findings, key=lambda finding: finding.run_id):
        findings = list(group)
        output.line(f"BROKEN   {findings[0].run_name} (run {run_id})")
        for finding in findings:
            output.line(f"         - {finding.what}")
        output.line(f"         depends on it: {', '.join(findings[0].affects) or 'nothing'}")
    output.line("everything matches" if verification.holds else f"mismatches: {len(verification.findings)}")
    output.next_command("synth-mlflow status")


def _listed(what: str, items: Sequence[str]) -> None:
    output.line(f"  {what}: {', '.join(items) or 'none'}")
