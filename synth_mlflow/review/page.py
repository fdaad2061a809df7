"""A blind sheet as one HTML page that needs nothing else, and as a CSV table."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import re
from importlib.resources import files
from pathlib import Path

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from synth_mlflow.review.answers import HEADER
from synth_mlflow.review.sheet import Sheet

CLIPPED = 400  # characters of a text that are shown before it is unfolded
SHOWN_TURNS = 8  # of a conversation
_FORMULA = re.compile(r"^\s*[=+\-@\t\r]")
_NUMBER = re.compile(r"^-?\d+(\.\d+)?(e[+-]\d+)?$")


def sheet_page(sheet: Sheet) -> str:
    """The page: each row with three answers to choose from, and a button that downloads them as CSV.

    Nothing in a row becomes markup. A content-security policy lets no other script run than the page's own, and lets it
    ask nobody for anything.
    """
    style, script = _asset("sheet.css"), _asset("sheet.js")
    policy = (
        f"default-src 'none'; style-src 'sha256-{_hash(style)}'; script-src 'sha256-{_hash(script)}'; "
        "base-uri 'none'; form-action 'none'"
    )
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(_asset("sheet.html.j2")).render(
        sheet=sheet,
        policy=policy,
        style=Markup(style),
        script=Markup(script),
        clipped=CLIPPED,
        shown_turns=SHOWN_TURNS,
    )


def sheet_csv(sheet: Sheet) -> str:
    """The table for a spreadsheet, with a blank column ``answer``; no cell is a formula."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*HEADER, *map(_harmless, sheet.columns)])
    for number, row in enumerate(sheet.rows, start=1):
        writer.writerow([sheet.id, number, "", *(_harmless(cell.plain) for cell in row)])
    return text.getvalue()


def write_sheet(sheet: Sheet, folder: Path, stem: str) -> tuple[Path, Path]:
    """Write both files into a folder, which is made if it is missing; gives their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    page, table = folder / f"{stem}.html", folder / f"{stem}.csv"
    page.write_text(sheet_page(sheet), encoding="utf-8")
    table.write_text(sheet_csv(sheet), encoding="utf-8-sig")  # by which spreadsheets know UTF-8
    return page, table


def _harmless(text: str) -> str:
    """A text that a spreadsheet takes for text.

    >>> _harmless("=1+1"), _harmless("-3.5"), _harmless("plain")
    ("'=1+1", '-3.5', 'plain')
    """
    return f"'{text}" if _FORMULA.match(text) and not _NUMBER.match(text) else text


def _asset(name: str) -> str:
    return files("synth_mlflow.review").joinpath(name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
