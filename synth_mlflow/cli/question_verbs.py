"""The verbs for questions that people ask later: where rows come from, what a model is made of."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from synth_mlflow.cli import completion, output
from synth_mlflow.cli.options import BlankPath, Shared, real_rows_option, shared
from synth_mlflow.cli.session import open_workflow

if TYPE_CHECKING:
    from synth_mlflow.lifecycle.identify import Identified

EVALUATION_ROWS_FOUND = 4


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--rows-to", type=BlankPath(), help="Write the origin of every row to this CSV file.")
@real_rows_option
@shared
def identify(
    given: Shared,
    file: Path,
    rows_to: Path | None,
) -> int:
    """Which rows of any table FILE are synthetic, real or unknown; exits with 4 where some are evaluation rows."""
    from synth_mlflow.errors import UsageError

    if rows_to is not None and not rows_to.resolve().parent.is_dir():
        raise UsageError(f"there is no folder {rows_to.resolve().parent} to write {rows_to.name} to.", "Make it first.")
    found = open_workflow("identify", given).identify(file)
    if rows_to is not None:
        found.rows.to_csv(rows_to, index_label="row")
    if given.as_json:
        output.as_json(found.to_json())
    else:
        _tell_identified(found)
    if not found.holds_evaluation_rows:
        return 0
    output.error(
        f"{found.counts['evaluation']:,} of the {found.n_rows:,} rows of {file} ARE EVALUATION ROWS.",
        "Nothing may be fitted, tuned or generated from this file: leave these rows out (`--rows-to` tells which).",
    )
    return EVALUATION_ROWS_FOUND


@click.command()
@click.argument("what", shell_complete=completion.batches)
@shared
def trace(
    given: Shared,
    what: str,
) -> None:
    """What a model or run is made of, or what a batch went into; WHAT: models:/NAME/VERSION, a batch, any run id."""
    found = open_workflow("trace", given).trace(what)
    if given.as_json:
        return output.as_json(found)
    for text in found.lines():
        output.line(text)
    return output.next_command("synth-mlflow status")


@click.command()
@click.argument("before")
@click.argument("after", default="newest")
@shared
def diff(
    given: Shared,
    before: str,
    after: str,
) -> None:
    """What changed between two handoffs; each a run id, `newest`, `previous`, or a JSON file that `report` wrote."""
    from synth_mlflow.lifecycle.diff import diff_files, is_file

    if is_file(before) and is_file(after):
        found = diff_files(Path(before), Path(after))
    else:
        found = open_workflow("diff", given).diff(before, after)
    if given.as_json:
        return output.as_json({**output.plain(found), "words": found.words})
    rows = [[c.part, *(_clipped(text) for text in (c.what, c.before, c.after))] for c in found.changes]
    output.table(["part", "what", found.before, found.after], rows)
    output.line(found.words)
    output.line(f"the same: {', '.join(found.same) or 'nothing'}")
    return output.next_command("synth-mlflow status")


CLIPPED_AT = 72  # characters of one cell; the JSON has all


def _clipped(text: str) -> str:
    return text if len(text) <= CLIPPED_AT else f"{text[: CLIPPED_AT - 1]}…"


def _tell_identified(found: Identified) -> None:
    where = [[origin, n_rows, f"{n_rows / found.n_rows:.1%}"] for origin, n_rows in found.counts.items()]
    output.table(["rows are", "rows", "share"], where)
    output.line()
    rows = [[each.name, each.n_rows, each.n_only_here, each.run_id] for each in found.found_in]
    output.table(["found in", "rows", "only there", "run"], rows)
    for note in _notes(found):
        output.line(f"note: {note}")
    batch = max(found.found_in[2:], key=lambda each: each.n_rows, default=None)
    output.next_command(f"synth-mlflow trace {batch.name}" if batch else "synth-mlflow status")


def _notes(found: Identified) -> list[str]:
    notes = []
    if found.record:
        notes.append(f"the file still carries the record of batch {found.record}")
    if found.extra_columns:
        notes.append(f"left out, since the real table has no such columns: {', '.join(found.extra_columns)}")
    if found.counts["ambiguous"]:
        notes.append(
            f"{found.counts['ambiguous']:,} rows are ambiguous: equal rows stand among the real ones and in a batch "
            f"({found.n_ambiguous_evaluation:,} of them in the evaluation set)"
        )
    if found.n_coarse:
        notes.append(
            f"{found.n_coarse:,} of the synthetic rows hold fewer than two values that are alone in their batch: "
            "a real row may be equal by chance"
        )
    if found.n_unreadable:
        notes.append(f"{found.n_unreadable:,} rows hold values of another kind than the real table's: unknown")
    return notes
