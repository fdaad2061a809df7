"""The answers to a blind sheet, as the page writes them and as a spreadsheet may: read, and refused where they do not
fit the sheet."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

from synth_mlflow.errors import UsageError

HEADER = ("sheet", "row", "answer")
WORDS: Mapping[str, float] = {"real": 1.0, "synthetic": 0.0, "cannot say": 0.5}
MAX_BYTES = 50_000_000
N_NAMED = 5  # rows in a message


def read_answers(path: Path) -> dict[str, dict[int, str]]:
    """The answers in a CSV file, by sheet and by row number; blank ones are left out.

    The first three columns are ``sheet``, ``row`` and ``answer``; further ones, which a spreadsheet keeps, are
    not read.

    Raises
    ------
    UsageError
        If it is no such file, or a row has two answers, or one that is none of the three.
    """
    by_rater: dict[str, dict[int, str]] = {}
    for line, cells in enumerate(_lines(path), start=2):
        if not any(cells):
            continue
        sheet, number, answer = (cell.strip() for cell in cells[:3])
        if not number.isdecimal():
            raise UsageError(f"line {line} of {path} has {number!r} as its row; the number of a row was needed.")
        rows = by_rater.setdefault(sheet, {})
        if not answer:
            continue
        word = " ".join(answer.casefold().split())
        if word not in WORDS:
            raise UsageError(
                f"line {line} of {path} answers {answer!r} for row {number}; one of {', '.join(WORDS)} was needed."
            )
        if int(number) in rows:
            raise UsageError(f"{path} answers row {number} twice (line {line}).", "Leave one of both.")
        rows[int(number)] = word
    return by_rater


def _lines(path: Path) -> list[list[str]]:
    fix = f"Give the CSV that the sheet's page downloads; it begins with {','.join(HEADER)}."
    if not path.is_file():
        raise UsageError(f"there is no file {path}.", fix)
    if path.stat().st_size > MAX_BYTES:
        raise UsageError(f"{path} has {path.stat().st_size:,} bytes; at most {MAX_BYTES:,} are read.", fix)
    try:
        text = path.read_text(encoding="utf-8-sig")
        separator = ";" if text.split("\n", 1)[0].count(";") > text.split("\n", 1)[0].count(",") else ","
        lines = list(csv.reader(io.StringIO(text, newline=""), delimiter=separator))
    except (UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"{path} cannot be read as CSV: {error}.", fix) from error
    header = tuple(cell.strip().casefold() for cell in lines[0][:3]) if lines else ()
    if header != HEADER:
        raise UsageError(f"{path} begins with {','.join(lines[0][:3]) if lines else 'nothing'!r}.", fix)
    short = next((at for at, cells in enumerate(lines, start=1) if cells and len(cells) < len(HEADER)), None)
    if short is not None:
        raise UsageError(f"line {short} of {path} has fewer than three cells.", fix)
    return lines[1:]


def answers_in_order(given: Mapping[int, str], n_rows: int, what: str) -> list[float]:
    """One number for each row of a sheet, in its order; see :mod:`synth_mlflow.metrics.raters`.

    Raises
    ------
    UsageError
        If a row is none of the sheet's, or has no answer; says how many.
    """
    strange = sorted(set(given) - set(range(1, n_rows + 1)))
    if strange:
        raise UsageError(
            f"{what} has answers for {_rows(strange)}; the sheet has rows 1 to {n_rows:,}.",
            "Give the answers as they were downloaded.",
        )
    missing = [number for number in range(1, n_rows + 1) if number not in given]
    if missing:
        raise UsageError(
            f"{what} answers {n_rows - len(missing):,} of {n_rows:,} rows; {_rows(missing)} have no answer.",
            "Answer them too; “cannot say” is an answer.",
        )
    return [WORDS[given[number]] for number in range(1, n_rows + 1)]


def _rows(numbers: Sequence[int]) -> str:
    named = ", ".join(map(str, numbers[:N_NAMED]))
    more = len(numbers) - N_NAMED
    return f"rows {named}{f' and {more:,} more' if more > 0 else ''}"


def answers_csv(sheet: str, answers: Sequence[float]) -> str:
    """Answers as the file that :func:`read_answers` reads."""
    words = {value: word for word, value in WORDS.items()}
    lines = [f"{sheet},{number},{words[value]}" for number, value in enumerate(answers, start=1)]
    return "\n".join([",".join(HEADER), *lines, ""])
