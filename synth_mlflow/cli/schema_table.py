"""The schema as `define` prints it."""

from __future__ import annotations

from synth_mlflow.cli import output
from synth_mlflow.data.schema import HEADINGS, TableSchema

COLUMNS_SHOWN, CELL_WIDTH = 60, 48


def tell_schema(table: TableSchema) -> None:
    """What each column is, as it will be treated from now on."""
    if table.csv is not None:
        output.line(f"read as {table.csv.words}")
    rows = table.rows()
    shown = [HEADINGS, *rows[:COLUMNS_SHOWN]]
    widths = [min(max(len(row[at]) for row in shown), CELL_WIDTH) for at in range(len(HEADINGS))]
    for row in shown:
        cells = (_cut(cell, width).ljust(width) for cell, width in zip(row, widths, strict=True))
        output.line("  ".join(cells).rstrip())
    if len(rows) > COLUMNS_SHOWN:
        output.line(f"… and {len(rows) - COLUMNS_SHOWN:,} more columns; `--json` shows them all")


def _cut(text: str, width: int) -> str:
    line = " ".join(text.split())
    return line if len(line) <= width else line[: width - 1] + "…"
