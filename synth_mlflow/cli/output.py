"""What the command line prints beside progress: results to stdout, errors to stderr."""

from __future__ import annotations

import json
import shlex
import shutil
import sys
from collections.abc import Sequence
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any

import click

from synth_mlflow.cli.colours import colour
from synth_mlflow.cli.progress import hide
from synth_mlflow.handoff.links import without_credentials

WIDTH_OF_LOGS = 160  # characters, where nobody's window bounds it


def line(text: str = "") -> None:
    """One line of a result."""
    hide()
    click.echo(text, color=colour(sys.stdout))


def next_command(command: str, *, is_prose: bool = False) -> None:
    """The last line of every verb: a command for the same project on the same server, or words about one."""
    whole = command if is_prose else command + _same_project(command)
    line(f"next: {click.style(whole, bold=True)}")


def _same_project(command: str) -> str:
    context = click.get_current_context(silent=True)
    given = {} if context is None else context.params
    uri = given.get("tracking_uri")
    told = uri if uri and without_credentials(uri) == uri else None
    options = {"--experiment": given.get("experiment"), "--tracking-uri": told}
    return "".join(
        f" {name} {shlex.quote(value)}" for name, value in options.items() if value and f" {name} " not in command
    )


def error(found: str, fix: str = "") -> None:
    """What was found and needed, and what to do next."""
    hide()
    told = f"{found}\n{fix}".encode("utf-8", "replace").decode()  # names of files need not be text
    lines = told.splitlines()
    label = click.style("error:", fg="red", bold=True)
    click.echo(f"{label} {lines[0]}", err=True, color=colour(sys.stderr))
    for more in lines[1:]:
        click.echo(f"       {more}", err=True)


def as_json(value: Any) -> None:
    """A result for machines: one JSON value on stdout."""
    hide()
    click.echo(json.dumps(plain(value), indent=2, ensure_ascii=False, allow_nan=False))


def plain(value: Any) -> Any:
    """Dataclasses, paths and tuples as JSON values."""
    if is_dataclass(value) and not isinstance(value, type):
        return plain(asdict(value))
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set):
        return [plain(item) for item in value]
    return str(value) if isinstance(value, Path) else value


def table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """A small table; numbers to the right. Where even its longest words do not fit side by side, a line a cell."""
    from rich.console import Console
    from rich.table import Table

    hide()
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else WIDTH_OF_LOGS
    longest = _longest_words(columns, rows)
    if sum(longest) + 2 * len(columns) > width:
        for row in rows:
            told = [(column, _plain(value)) for column, value in zip(columns, row, strict=True)]
            for name, text in told:
                if text:
                    click.echo(f"{name}: {text}" if name else text)
            click.echo()
        return
    built = Table(*columns, box=None, pad_edge=False, header_style="bold")
    for at, column in enumerate(built.columns):
        column.min_width, column.overflow = longest[at], "fold"
        if rows and all(isinstance(row[at], int | float) for row in rows):
            column.justify = "right"
    for row in rows:
        built.add_row(*(_cell(value) for value in row))
    Console(no_color=not colour(sys.stdout), highlight=False, width=width).print(built)


def _longest_words(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> list[int]:
    """How many characters the longest word of each column has, its name among them: no column can be narrower."""
    cells = [[name, *(_plain(row[at]) for row in rows)] for at, name in enumerate(columns)]
    return [max((len(word) for cell in column for word in cell.split()), default=0) for column in cells]


def _cell(value: object) -> str:
    from rich.markup import escape

    return escape(_plain(value))


def _plain(value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}"
