"""How a CSV file is written: its separator and encoding, found out or said, and its cells as texts.

Nothing is taken for missing here but the empty cell; what texts mean is decided by the schema.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import pandas as pd
import pyarrow as pa
import pyarrow.csv as pa_csv

from synth_mlflow.data.json_lines import open_bytes
from synth_mlflow.errors import UsageError

SAMPLE_LINES = 200
SAMPLE_CHARACTERS = 100_000
SNIFFED_CHARACTERS = 50_000  # clevercsv needs 100 CPU s for a line of a million
SAMPLE_BYTES = 1_000_000
SEPARATORS = (",", ";", "\t", "|")
LONGEST_CELL = 1 << 30  # characters; Python's reader takes 131,072 by itself, and texts are longer
_MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32"),
          (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))  # fmt: skip
_WESTERN = ["cp1252", "cp1250", "cp1251", "cp1253", "cp1254", "mac_roman", "cp932", "gb18030", "big5", "cp949"]

_WESTERN_LETTERS = frozenset("äöüßéèêëàâçñáíóúôûîïåæøœÄÖÜÉÈÀÇÑÅÆØìòùãõ€")


@dataclass(frozen=True)
class CsvFormat:
    """How the cells of a CSV file are separated, quoted and encoded."""

    separator: str = ","
    encoding: str = "utf-8"
    quote: str = '"'

    @property
    def words(self) -> str:
        """In one line."""
        separator = {"\t": "tab", " ": "blank"}.get(self.separator, repr(self.separator))
        return f"CSV, separated by {separator}, quoted by {self.quote}, encoded as {self.encoding}"

    @property
    def is_plain(self) -> bool:
        """Whether every reader of CSV expects it so."""
        return self.separator == "," and self.encoding in {"utf-8", "utf-8-sig"} and self.quote == '"'


def csv_format(path: Path, *, separator: str | None = None, encoding: str | None = None) -> CsvFormat:
    """How a CSV file is written; what is given is not looked for.

    The encoding is UTF-8 if all bytes are, else what ``charset-normalizer`` finds. The separator is the comma if it
    cuts the header and every line of a sample into the same number of cells, else what ``clevercsv`` finds
    (van den Burg, Nazabal & Sutton, Data Mining and Knowledge Discovery 33 (2019), doi:10.1007/s10618-019-00646-y).
    """
    encoding = encoding or _encoding(path)
    sample = _sample(path, encoding)
    if separator is not None:
        return CsvFormat(separator, encoding)
    regular = [mark for mark in SEPARATORS if _is_regular(sample, mark)]
    if regular == [","] or not sample.strip():
        return CsvFormat(",", encoding, _quote_of(sample))
    found, quote = _sniffed(sample)
    if found not in regular and regular:
        found = regular[0]
    return CsvFormat(found or ",", encoding, quote)


def _quote_of(sample: str) -> str:
    """The single quote where every line after the header begins and ends with one, and no double quote occurs."""
    lines = [line.strip() for line in sample.splitlines()[1:-1] if line.strip()]
    is_single = lines and '"' not in sample and all(line[0] == line[-1] == "'" for line in lines)
    return "'" if is_single else '"'


def open_text(path: Path, encoding: str) -> IO[str]:
    """The text of a CSV file, packed or not."""
    encoding = "utf-8-sig" if encoding == "utf-8" else encoding
    return io.TextIOWrapper(open_bytes(path), encoding=encoding, newline="")


def checked_header(path: Path, form: CsvFormat) -> list[str]:
    """The names of the columns.

    Raises
    ------
    UsageError
        If a name stands twice, or the first row has more cells than the header.
    """
    with open_text(path, form.encoding) as lines:
        cells = _cells(csv.reader(lines, delimiter=form.separator, quotechar=form.quote))
        header, first = (next((row for row in cells if row), []) for _ in range(2))
    _refuse_lines_before(path, form, header, first)
    twice = sorted({name for name in header if header.count(name) > 1})
    if twice:
        raise UsageError(
            f"{path}: column names must be unique; these stand more than once: {', '.join(map(repr, twice))}.",
            "Rename them in the file's header.",
        )
    if len(first) > len(header):  # pandas would silently take the first column as an index
        raise UsageError(
            f"{path}: its header names {len(header)} columns, its first row has {len(first)}.",
            "Name every column; if the cells are separated by another character, say which in problem.md: "
            '`csv: {separator: ";"}`.',
        )
    if _is_row(header):
        raise UsageError(
            f"{path} has no header: its first line holds numbers, {form.separator.join(header[:6])!r}.",
            "Put a first line with the names of its columns into the file.",
        )
    return header


def _refuse_lines_before(path: Path, form: CsvFormat, header: list[str], first: list[str]) -> None:
    """A UsageError that names a comment, or the line that tells Excel the separator, in the place of a header."""
    line, fix = form.separator.join(header), "Take the lines before the header out of the file."
    if line.startswith("#") and (form.separator.join(first).startswith("#") or len(first) > len(header)):
        raise UsageError(f"{path} begins with a comment, {line!r}, where the names of its columns were needed.", fix)
    if len(header) > 2 and header[0].strip() and not any(name.strip() for name in header[1:]) and all(first):
        raise UsageError(f"{path} begins with a title, {header[0]!r}, where the names of its columns were needed.", fix)
    if re.fullmatch("sep=.{1,3}", line, re.IGNORECASE):
        raise UsageError(f"{path} begins with a line for Excel, {line!r}, where the names of its columns belong.", fix)


def read_texts(path: Path, form: CsvFormat) -> pa.Table:
    """Every cell as a text; only the empty cell is missing.

    Raises
    ------
    UsageError
        If the header cannot be used, or a row has fewer cells than the header.
    """
    names = checked_header(path, form)
    options = pa_csv.ConvertOptions(
        column_types=dict.fromkeys(names, pa.string()),
        null_values=[""],
        strings_can_be_null=True,
        quoted_strings_can_be_null=True,
    )
    parse = pa_csv.ParseOptions(delimiter=form.separator, quote_char=form.quote, newlines_in_values=True)
    encoding = {"utf-8": "utf8", "utf-8-sig": "utf8"}.get(form.encoding, form.encoding)
    reading = pa_csv.ReadOptions(use_threads=False, encoding=encoding, block_size=1 << 23)
    try:
        with open_bytes(path) as file:
            return pa_csv.read_csv(file, reading, parse, options)
    except pa.ArrowInvalid:  # lines of other lengths, long lines: pandas reads some of them, or says what is wrong
        frame = _read_by_pandas(path, form)
        _refuse_short_rows(path, form, len(names))
        return pa.Table.from_pandas(frame, preserve_index=False)


def _read_by_pandas(path: Path, form: CsvFormat) -> pd.DataFrame:
    try:
        return pd.read_csv(
            path,
            sep=form.separator,
            quotechar=form.quote,
            encoding="utf-8-sig" if form.encoding == "utf-8" else form.encoding,
            dtype="str",
            keep_default_na=False,
            na_values=[""],
            low_memory=False,
        )
    except pd.errors.ParserError as error:
        found = re.search(r"Expected (\d+) fields in line (\d+), saw (\d+)", str(error))
        if found is None:
            raise
        n_needed, line, n_found = found.groups()
        raise UsageError(
            f"{path}: {n_needed} cells a row were needed, and line {line} has {n_found}; the cells were read as "
            f"separated by {form.separator!r}.",
            f"Mend line {line}, or put its cells in quotes. If another character separates the cells, say which in "
            'problem.md: `csv: {separator: ":"}`.',
        ) from error


def _refuse_short_rows(path: Path, form: CsvFormat, n_columns: int) -> None:
    """A UsageError that names rows which a line break in a cell may have cut; pandas reads their ends as missing."""
    with open_text(path, form.encoding) as lines:
        reader = csv.reader(lines, delimiter=form.separator, quotechar=form.quote)
        short = [(reader.line_num, len(row)) for row in _cells(reader) if 0 < len(row) < n_columns]
    if not short:
        return
    named = ", ".join(f"line {line} ({n_cells} cells)" for line, n_cells in short[:5])
    whole = f"{path.name.partition('.')[0]}_whole.csv"
    code = f"import pandas; pandas.read_csv({path.name!r}, dtype=str, keep_default_na=False"
    code += "".join(
        f", {name}={value!r}"
        for name, value, usual in (("sep", form.separator, ","), ("encoding", form.encoding, "utf-8"))
        if value != usual
    )
    raise UsageError(
        f"{path}: its header has {n_columns} cells; rows with fewer ({len(short):,} in all): {named}"
        f"{', …' if len(short) > 5 else ''}.",
        "Mend lines that were cut in two. If only empty cells at the ends of rows are left out, write them and name "
        f'the new file in problem.md: `python -c "{code}).to_csv({whole!r}, index=False)"`.',
    )


def _encoding(path: Path) -> str:
    pieces = _bytes(path)
    first = next(pieces, b"")
    for mark, name in _MARKS:
        if first.startswith(mark):
            return name
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        decoder.decode(first)
        for piece in pieces:
            first = piece
            decoder.decode(piece)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError as error:
        return _other_encoding(first[max(0, error.start - SAMPLE_BYTES // 10) :][:SAMPLE_BYTES], error)
    return "utf-8"


def _other_encoding(sample: bytes, error: UnicodeDecodeError) -> str:
    if b"\0" in sample:
        raise error
    import charset_normalizer

    best = charset_normalizer.from_bytes(sample, cp_isolation=_WESTERN).best()
    found = "cp1252" if best is None or best.encoding == "ascii" else best.encoding
    return _usual_western(sample, found) if found in {"cp1250", "cp1254", "mac_roman"} else found


def _usual_western(sample: bytes, found: str) -> str:
    """The usual code page where it says the same, or where it alone makes letters of what are no letters else."""
    as_found, as_usual = (sample.decode(encoding, errors="replace") for encoding in (found, "cp1252"))
    if as_usual == as_found:
        return "cp1252"
    letters = [sum(character in _WESTERN_LETTERS for character in text) for text in (as_found, as_usual)]
    return "cp1252" if found == "mac_roman" and letters[1] > letters[0] else found


def _bytes(path: Path) -> Iterator[bytes]:
    with open_bytes(path) as file:
        while piece := file.read(SAMPLE_BYTES):
            yield piece


def _sample(path: Path, encoding: str) -> str:
    with open_text(path, encoding) as lines:
        text = lines.read(SAMPLE_CHARACTERS)
    kept = text.splitlines(keepends=True)
    complete = kept[:-1] if len(text) == SAMPLE_CHARACTERS and len(kept) > 1 else kept
    return "".join(complete[:SAMPLE_LINES])


def _cells(reader: Iterator[list[str]]) -> Iterator[list[str]]:
    """Rows of cells of any length; the limit that the caller's process has set stays as it is."""
    while True:
        limit = csv.field_size_limit(LONGEST_CELL)
        try:
            row = next(reader)
        except StopIteration:
            return
        finally:
            csv.field_size_limit(limit)
        yield row


def _is_regular(sample: str, separator: str) -> bool:
    """Whether a separator cuts every line of a sample into the same number of cells, at least two."""
    try:
        reader = csv.reader(sample.splitlines(keepends=True), delimiter=separator)
        rows = [len(row) for row in _cells(reader) if row]
    except csv.Error:
        return False
    if len(rows) > 2 and len(rows) >= SAMPLE_LINES // 2:
        rows = rows[:-1]  # the last may be cut off inside a quoted cell
    return bool(rows) and rows[0] > 1 and max(rows) == rows[0] and sum(n == rows[0] for n in rows) > 0.9 * len(rows)


def _sniffed(sample: str) -> tuple[str, str]:
    import clevercsv

    try:
        found = clevercsv.Sniffer().sniff(sample[:SNIFFED_CHARACTERS], delimiters="".join(SEPARATORS))
    except clevercsv.Error:
        found = None
    if found is None:
        return ",", '"'
    return found.delimiter or ",", found.quotechar or '"'


def _is_row(header: list[str]) -> bool:
    """Whether what should be names are measurements: more than half of them numbers, and one with decimals."""
    numbers = [name for name in header if _is_number(name)]
    return 2 * len(numbers) > len(header) and any("." in name for name in numbers)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return any(character.isdigit() for character in text)
