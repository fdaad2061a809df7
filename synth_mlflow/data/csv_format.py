"""How a CSV file is written: its separator and encoding, found out or said, and its cells as texts.

Nothing is taken for missing here but the empty cell; what texts mean is decided by the schema.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import IO, Any

import pandas as pd
import pyarrow as pa
import pyarrow.csv as pa_csv

from synth_mlflow.data.json_lines import is_long, open_bytes
from synth_mlflow.data.mapped import mapped_table
from synth_mlflow.data.text_forms import MISSING_WORDS
from synth_mlflow.errors import UsageError

SAMPLE_LINES = 200
SAMPLE_CHARACTERS = 100_000
SNIFFED_CHARACTERS = 50_000  # clevercsv needs 100 CPU s for a line of a million
# clevercsv looks for addresses: 50,000 characters without a break would take it minutes
_LONG_WORD = re.compile(r"""([^\s,;|"']{200})[^\s,;|"']+""")
SAMPLE_BYTES = 1_000_000
BLOCK_BYTES = 1 << 20  # of a long file that are cut into cells together: a line may be as long, else pandas reads it
WHOLE_BLOCK_BYTES = 1 << 23  # of any other; many of these are held at a time
PIECE_ROWS = 100_000
SEPARATORS = (",", ";", "\t", "|")
RARE_SEPARATORS = ("\x01", "\x1f", "^", "~", "¦", ":", " ")
"""Looked for where none of the usual ones separates anything."""
MOST_LINES_BEFORE = 30  # a header that stands further down is not looked for
FEWEST_NUMBERS = 20  # in a column, below a word
FEWEST_LINES = 5  # of a table behind other lines
LONGEST_CELL = 1 << 30  # characters; Python's reader takes 131,072 by itself, and texts are longer
_MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32"),
          (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))  # fmt: skip
_WESTERN = ["cp1252", "cp1250", "cp1251", "cp1253", "cp1254", "mac_roman", "cp932", "gb18030", "big5", "cp949"]


@dataclass(frozen=True)
class CsvFormat:
    """How the cells of a CSV file are separated, quoted and encoded."""

    separator: str = ","
    encoding: str = "utf-8"
    quote: str = '"'
    escape: str = ""
    """What stands before a quote inside a cell, where the quote is not doubled."""

    @property
    def quoting(self) -> dict[str, Any]:
        """How cells are quoted, as arguments of Python's reader and of pandas."""
        return {"quotechar": self.quote, "escapechar": self.escape or None, "doublequote": not self.escape}

    @property
    def words(self) -> str:
        """In one line."""
        separator = {"\t": "tab", " ": "blank"}.get(self.separator, repr(self.separator))
        escaped = f", quotes in cells written as {self.escape}{self.quote}" if self.escape else ""
        return f"CSV, separated by {separator}, quoted by {self.quote}{escaped}, encoded as {self.encoding}"

    @property
    def is_plain(self) -> bool:
        """Whether every reader of CSV expects it so."""
        is_quoted = self.quote == '"' and not self.escape
        return self.separator == "," and self.encoding in {"utf-8", "utf-8-sig"} and is_quoted


def csv_format(
    path: Path, *, separator: str | None = None, encoding: str | None = None, quote: str | None = None
) -> CsvFormat:
    """How a CSV file is written; what is given is not looked for.

    The encoding is UTF-8 if all bytes are, else what ``charset-normalizer`` finds. The separator is the comma if it
    cuts the header and every line of a sample into the same number of cells, else what ``clevercsv`` finds
    (van den Burg, Nazabal & Sutton, Data Mining and Knowledge Discovery 33 (2019), doi:10.1007/s10618-019-00646-y).
    """
    encoding = encoding or _encoding(path)
    sample = _sample(path, encoding)
    if separator is not None:
        return CsvFormat(separator, encoding, quote or _quote_of(sample), _escape_of(sample, separator))
    regular = [mark for mark in SEPARATORS if _is_regular(sample, mark)]
    escaped = [mark for mark in SEPARATORS if _escape_of(sample, mark)]
    if escaped and not (len(regular) == 1 and regular[0] not in escaped):
        return CsvFormat(escaped[0], encoding, escape=ESCAPE)
    if regular == [","] or not sample.strip():
        return CsvFormat(",", encoding, _quote_of(sample))
    rare = [] if regular else [mark for mark in RARE_SEPARATORS if _is_regular(sample, mark, fewest=3)]
    if rare:
        return CsvFormat(rare[0], encoding)
    detected, quote = _sniffed(sample)
    if detected not in regular and regular:
        detected = regular[0]
    return CsvFormat(detected or ",", encoding, quote)


ESCAPE = "\\"


def _escape_of(sample: str, separator: str) -> str:
    """The backslash where it stands before quotes inside cells, and cells are whole with it and torn without it."""
    if f'{ESCAPE}"' not in sample:
        return ""
    lines = sample.splitlines(keepends=True)
    counts = []
    for escape in ("", ESCAPE):
        try:
            quoting = CsvFormat(escape=escape).quoting
            rows = csv.reader(lines, delimiter=separator, strict=True, **quoting)
            counts.append([len(row) for row in _cells(rows) if row])
        except csv.Error:
            counts.append([])
    without, by_escape = counts
    is_whole = bool(by_escape) and by_escape[0] > 1 and len(set(by_escape)) == 1
    mark = re.escape(separator)
    is_bare = re.search(rf'(?:^|{mark})[^"{mark}\n][^{mark}\n]*{re.escape(ESCAPE)}"', sample, re.MULTILINE)
    return ESCAPE if is_whole and (len(set(without)) != 1 or is_bare) else ""  # others quote each cell with a quote


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
        cells = _cells(csv.reader(lines, delimiter=form.separator, **form.quoting))
        header, first = (next((row for row in cells if row), []) for _ in range(2))
    _refuse_lines_before(path, form)
    twice = sorted({name for name in header if name.strip() and header.count(name) > 1})
    if twice:
        raise UsageError(
            f"{path}: column names must be unique; these stand more than once: {', '.join(map(repr, twice))}.",
            f"Rename them in the file's header, or write a file with other names: {copy_command(path, form)}.",
        )
    if len(first) > len(header):  # pandas would silently take the first column as an index
        counts_text = f"{path}: its header names {len(header)} columns, its first row has {len(first)}."
        if not any(first[len(header) :]):
            raise UsageError(
                counts_text, f"Write its rows without the ends: {copy_command(path, form, 'index_col=False')}."
            )
        raise UsageError(
            counts_text,
            "Name every column; if the cells are separated by another character, say which in problem.md: "
            '`csv: {separator: ";"}`.',
        )
    _refuse_blanks(path, form, header, first)
    if _is_row(header):
        raise UsageError(
            f"{path} has no header: its first line holds numbers, {form.separator.join(header[:6])!r}.",
            "Put a first line with the names of its columns into the file.",
        )
    return header


def _refuse_lines_before(path: Path, form: CsvFormat) -> None:
    """A UsageError that names the lines before the header, such as a title, a comment, or a separator for Excel."""
    sample = _sample(path, form.encoding)
    lines = sample.splitlines(keepends=True)
    header_line = _header_line(lines, sample, form)
    if header_line is None:
        return
    n_before, separator = header_line
    line = lines[0].strip()
    what = f"{n_before} line{'s' if n_before > 1 else ''}, {line!r}" + (" and others" if n_before > 1 else "")
    if line.startswith("#"):
        what = f"a comment, {line!r}"
    elif re.fullmatch("sep=.", line, re.IGNORECASE):
        what = f"a line for Excel, {line!r}"
    command = copy_command(path, replace(form, separator=separator), f"skiprows={n_before}")
    raise UsageError(
        f"{path} begins with {what}, where the names of its columns were needed.",
        f"Take the lines before the header out of the file: {command}.",
    )


def _header_line(lines: list[str], sample: str, form: CsvFormat) -> tuple[int, str] | None:
    """How many lines stand before the header, and the separator of what follows; None if the header is the first."""
    for_excel = re.fullmatch(r"sep=(.)\s*", lines[0], re.IGNORECASE) if lines else None
    if for_excel:
        return 1, for_excel[1]
    if any(_is_regular(sample, mark) for mark in {*SEPARATORS, form.separator}):
        rows = [next(csv.reader([line], delimiter=form.separator, quotechar=form.quote), []) for line in lines]
        header = rows[0] if rows else []
        n_names = sum(bool(name.strip()) for name in header)
        if len(header) < 2 or n_names > max(1, len(header) // 3) or not rows[0][0].strip():
            return None
        whole = (at for at, row in enumerate(rows[:MOST_LINES_BEFORE]) if len(row) == len(header) and all(row))
        at = next(whole, 0)
        return (at, form.separator) if at else None
    for at in range(1, min(MOST_LINES_BEFORE, len(lines) - FEWEST_LINES)):
        rest = "".join(lines[at:])
        for mark in SEPARATORS:
            names = next(csv.reader([lines[at]], delimiter=mark), [])
            if names and all(names) and _is_regular(rest, mark):
                return at, mark
    return None


def _refuse_blanks(path: Path, form: CsvFormat, header: list[str], first: list[str]) -> None:
    """A UsageError for columns that blanks alone separate, as many as it takes to align them."""
    n_names = len(header[0].split()) if len(header) == 1 else 0
    if n_names < 3 or len(first) != 1:
        return
    sample = _sample(path, form.encoding).splitlines()
    if all(len(line.split()) == n_names for line in sample if line.strip()):
        raise UsageError(
            f"{path}: its {n_names} columns are separated by blanks, {header[0][:80]!r}.",
            f"Write a file with commas: {copy_command(path, form, f'sep={BLANKS!r}', separator=False)}.",
        )


def _refuse_second_header(path: Path, form: CsvFormat, texts: pa.Table) -> None:
    """A UsageError for a second line of names or units: words alone, in columns that hold numbers from then on."""
    rows = texts.slice(0, SAMPLE_LINES).to_pylist()
    first, others = (rows[0], rows[1:]) if rows else ({}, [])
    if len(others) < FEWEST_NUMBERS or any(_is_number(cell) for cell in first.values() if cell):
        return
    named = {name: cell for name, cell in first.items() if cell and cell not in MISSING_WORDS}
    below = {name: [row[name] for row in others if row[name]] for name in named}
    units = [f"{named[name]!r}" for name, cells in below.items()
             if len(cells) >= FEWEST_NUMBERS and sum(map(_is_number, cells)) > 0.9 * len(cells)]  # fmt: skip
    if len(units) > 1:
        raise UsageError(
            f"{path}: its second line holds no row, but {', '.join(units[:3])} above columns of numbers.",
            f"Leave that line out: {copy_command(path, form, 'skiprows=[1]')}.",
        )


BLANKS = " +"


def copy_command(path: Path, form: CsvFormat, *options: str, separator: bool = True) -> str:
    """A command that writes the table anew, every cell as it is, with commas and in UTF-8."""
    usual = (("sep", form.separator, ","), ("encoding", form.encoding, "utf-8"), ("quotechar", form.quote, '"'),
             ("escapechar", form.escape, ""))  # fmt: skip
    settings = [f"{name}={value!r}" for name, value, plain in usual if value != plain and (separator or name != "sep")]
    whole = f"{path.name.partition('.')[0]}_whole.csv"
    arguments = ", ".join([repr(path.name), "dtype=str", "keep_default_na=False", *settings, *options])
    code = f"import pandas; pandas.read_csv({arguments}).to_csv({whole!r}, index=False)"
    escaped = code.replace("\\", "\\\\").replace('"', '\\"')
    return f'`python -c "{escaped}"` in its folder, and name {whole} as the data'


def read_texts(path: Path, form: CsvFormat) -> pa.Table:
    """Every cell as a text; only the empty cell is missing. Of a long file the texts lie in a mapped one.

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
    parse = pa_csv.ParseOptions(
        delimiter=form.separator,
        quote_char=form.quote,
        double_quote=not form.escape,
        escape_char=form.escape or False,
        newlines_in_values=True,
    )
    encoding = {"utf-8": "utf8", "utf-8-sig": "utf8"}.get(form.encoding, form.encoding)
    in_blocks = is_long(path)
    block_bytes = BLOCK_BYTES if in_blocks else WHOLE_BLOCK_BYTES
    reading = pa_csv.ReadOptions(use_threads=False, encoding=encoding, block_size=block_bytes)
    try:
        with open_bytes(path) as file:
            if in_blocks:
                texts = _in_blocks(pa_csv.open_csv(file, reading, parse, options), names)
            else:
                texts = pa_csv.read_csv(file, reading, parse, options)
    except pa.ArrowInvalid:  # lines of other lengths, long lines: pandas reads some of them, or says what is wrong
        frames = _read_by_pandas(path, form, PIECE_ROWS if in_blocks else None)
        tables = (pa.Table.from_pandas(frame, preserve_index=False) for frame in frames)
        first = next(tables)
        texts = mapped_table(chain([first], tables), first.schema) if in_blocks else first
        _refuse_short_rows(path, form, len(names))
    texts = _without_nothing(texts)
    _refuse_second_header(path, form, texts)
    return texts


def _in_blocks(blocks: Any, names: list[str]) -> pa.Table:
    """The texts of a CSV file that is read block by block, in a mapped file.

    An ArrowInvalid says that the header is read as other names here, whose columns would be no texts.
    """
    if blocks.schema.names != names:
        raise pa.ArrowInvalid("another header")
    return mapped_table(blocks, blocks.schema)


def _without_nothing(texts: pa.Table) -> pa.Table:
    """The table without columns that have neither a name nor a cell, which a separator at the end of lines makes."""
    named = [
        at
        for at, name in enumerate(texts.column_names)
        if name.strip() or texts.column(at).null_count < texts.num_rows or not texts.num_rows
    ]
    return texts if len(named) == texts.num_columns else texts.select(named)


def _read_by_pandas(path: Path, form: CsvFormat, piece_rows: int | None) -> Iterator[pd.DataFrame]:
    """The table in pieces of so many rows, or as one."""
    try:
        read: Any = pd.read_csv(
            path,
            sep=form.separator,
            **form.quoting,
            encoding="utf-8-sig" if form.encoding == "utf-8" else form.encoding,
            dtype="str",
            keep_default_na=False,
            na_values=[""],
            low_memory=False,
            chunksize=piece_rows,
        )
        yield from [read] if piece_rows is None else read
    except pd.errors.ParserError as error:
        match = re.search(r"Expected (\d+) fields in line (\d+), saw (\d+)", str(error))
        if match is None:
            raise
        n_needed, line, n_found = match.groups()
        raise UsageError(
            f"{path}: {n_needed} cells a row were needed, and line {line} has {n_found}; the cells were read as "
            f"separated by {form.separator!r}.",
            f"Mend line {line}, or put its cells in quotes. If another character separates the cells, say which in "
            'problem.md: `csv: {separator: ":"}`.',
        ) from error


def _refuse_short_rows(path: Path, form: CsvFormat, n_columns: int) -> None:
    """A UsageError that names rows which a line break in a cell may have cut; pandas reads their ends as missing."""
    with open_text(path, form.encoding) as lines:
        reader: Any = csv.reader(lines, delimiter=form.separator, **form.quoting)
        short = [(reader.line_num, len(row)) for row in _cells(reader) if 0 < len(row) < n_columns]
    if not short:
        return
    named = ", ".join(f"line {line} ({n_cells} cells)" for line, n_cells in short[:5])
    raise UsageError(
        f"{path}: its header has {n_columns} cells; rows with fewer ({len(short):,} in all): {named}"
        f"{', …' if len(short) > 5 else ''}.",
        "Mend lines that were cut in two. If only empty cells at the ends of rows are left out, write them: "
        f"{copy_command(path, form)}.",
    )


def _encoding(path: Path) -> str:
    pieces = _bytes(path)
    first = next(pieces, b"")
    for mark, name in _MARKS:
        if first.startswith(mark):
            return name
    for start, name in ((1, "utf-16-le"), (0, "utf-16-be")):  # every second byte of plain letters is zero
        if len(first) > 2 and first[start::2].count(0) > len(first) // 4 and not first[1 - start :: 2].count(0):
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
    encoding = "cp1252" if best is None or best.encoding == "ascii" else best.encoding
    return _likeliest(sample, encoding) if encoding in _ALIKE else encoding


_ALIKE = ("cp1252", "cp1250", "cp1254", "mac_roman")


def _likeliest(sample: bytes, detected: str) -> str:
    """Of code pages that differ in a few letters the one that makes words of them; cp1252 where several do."""
    order = sorted(_ALIKE, key=lambda encoding: encoding != "cp1252")
    broken = {encoding: _broken_words(sample.decode(encoding, errors="replace")) for encoding in order}
    best = min(order, key=lambda encoding: broken[encoding])
    return detected if best != "cp1252" and broken[detected] == broken[best] else best


_BROKEN = re.compile(
    r"(?<=[^\W\d_])[^\w\s!-~\u2010-\u201f«»…°·•€$£¥™®©¹²³]|[^\w\s!-~\u2010-\u201f«»…°·•€$£¥¿¡§©](?=[^\W\d_])"
)
_CAPITAL_INSIDE = re.compile(r"[a-zà-öø-ÿ][À-ÖØ-ÞŒŠŽŸ](?![A-Z])")


def _broken_words(text: str) -> int:
    """How many signs stand in words where letters should, and how many capitals follow small letters."""
    return len(_BROKEN.findall(text)) + len(_CAPITAL_INSIDE.findall(text)) + text.count("\ufffd")


def _bytes(path: Path) -> Iterator[bytes]:
    with open_bytes(path) as file:
        while piece := file.read(SAMPLE_BYTES):
            yield piece


def _sample(path: Path, encoding: str) -> str:
    with open_text(path, encoding) as lines:
        text = lines.read(SAMPLE_CHARACTERS)
    whole_lines = text.splitlines(keepends=True)
    complete = whole_lines[:-1] if len(text) == SAMPLE_CHARACTERS and len(whole_lines) > 1 else whole_lines
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


def _is_regular(sample: str, separator: str, fewest: int = 2) -> bool:
    """Whether a separator cuts every line of a sample into the same number of cells, at least ``fewest``."""
    try:
        reader = csv.reader(sample.splitlines(keepends=True), delimiter=separator)
        rows = [len(row) for row in _cells(reader) if row]
    except csv.Error:
        return False
    if len(rows) > 2 and len(rows) >= SAMPLE_LINES // 2:
        rows = rows[:-1]  # the last may be cut off inside a quoted cell
    return (
        bool(rows) and rows[0] >= fewest and max(rows) == rows[0] and sum(n == rows[0] for n in rows) > 0.9 * len(rows)
    )


def _sniffed(sample: str) -> tuple[str, str]:
    import clevercsv

    try:
        text = _LONG_WORD.sub(r"\1", sample[:SNIFFED_CHARACTERS])
        dialect = clevercsv.Sniffer().sniff(text, delimiters="".join(SEPARATORS))
    except clevercsv.Error:
        dialect = None
    if dialect is None:
        return ",", '"'
    return dialect.delimiter or ",", dialect.quotechar or '"'


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
