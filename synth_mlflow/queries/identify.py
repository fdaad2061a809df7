"""`identify`: where each row of any table comes from, by the salted row digests on the server.

A digest covers the values of all columns of a row and not their order, so a row is known again after a re-save through
CSV, in another order of columns, and without the record that its file once carried.

Which of many sets of row digests hold each row of a table: one sorted pass a set, whatever the number of rows.

Any table, as far as it has the columns of a schema: what else it holds is left out, what cannot be read is marked.

`conform` refuses a table that differs from the real one; here a table that somebody has saved again, extended or
damaged in places is still to be understood.
"""

from __future__ import annotations

import html
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt
import pandas as pd

from synth_mlflow.data.addresses import Place
from synth_mlflow.data.columns import Schema, as_kind, conform, normalise
from synth_mlflow.data.digests import Hashes, are_among, distinct_hashes, row_digests
from synth_mlflow.data.provenance import record_in_file
from synth_mlflow.data.tables import read_known
from synth_mlflow.data.text_forms import PLAIN, read_texts_as
from synth_mlflow.errors import UsageError
from synth_mlflow.tracking.project import Project

WORD = 64  # sets that one unsigned integer remembers


@dataclass(frozen=True)
class Matches:
    """Where rows were found; rows that were found in the same sets share a pattern."""

    pattern: npt.NDArray[np.int64]
    """The pattern of each row, shape (n_rows,)."""
    holds: npt.NDArray[np.bool_]
    """Whether a set belongs to a pattern, shape (n_patterns, n_sets)."""


def match(rows: Hashes, sets: Sequence[Hashes]) -> Matches:
    """Look every row up in every set.

    Parameters
    ----------
    rows : array of shape (n_rows,)
        Row digests; may repeat.
    sets : sequence of arrays
        Row digests made with the same salt; may repeat and overlap.

    Examples
    --------
    >>> found = match(np.array([7, 8, 7], dtype=np.uint64), [np.array([7, 9], dtype=np.uint64)])
    >>> found.holds[found.pattern].tolist()
    [[True], [False], [True]]
    """
    distinct, place = np.unique(rows, return_inverse=True)
    words = np.zeros((len(distinct), max(1, -(-len(sets) // WORD))), dtype=np.uint64)
    for at, digests in enumerate(sets):
        words[_places(distinct, digests), at // WORD] |= np.uint64(1) << np.uint64(at % WORD)
    patterns, of_distinct = np.unique(words, axis=0, return_inverse=True)
    bits = np.unpackbits(patterns.astype("<u8").view(np.uint8), axis=1, bitorder="little")
    return Matches(of_distinct.reshape(-1)[place], bits[:, : len(sets)].astype(np.bool_))


def _places(distinct: Hashes, digests: Hashes) -> npt.NDArray[np.int64]:
    """Where in the sorted rows the digests of one set stand; each place once."""
    if not len(distinct):
        return np.empty(0, dtype=np.int64)
    distinct_digests = distinct_hashes(digests)
    places = np.minimum(np.searchsorted(distinct, distinct_digests), len(distinct) - 1)
    matches: npt.NDArray[np.int64] = places[distinct[places] == distinct_digests]
    return matches


Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class KnownColumns:
    """A table in the columns and physical types of a schema."""

    rows: pd.DataFrame
    readable: Flags
    """Which rows hold values of the schema's kinds throughout, shape (n_rows,)."""


def missing_columns(frame: pd.DataFrame, schema: Schema) -> tuple[str, ...]:
    """The schema's columns that a table lacks."""
    return tuple(name for name in schema if name not in {str(column) for column in frame.columns})


def known_columns(frame: pd.DataFrame, schema: Schema) -> KnownColumns:
    """Bring a table that has every column of ``schema`` into its kinds, value by value where a column has others.

    Raises
    ------
    UsageError
        If one of the columns stands in the table twice.
    """
    table = frame.set_axis([str(name) for name in frame.columns], axis=1)
    columns: dict[str, pd.Series] = {}
    readable = np.ones(len(table), dtype=np.bool_)
    for name in schema:
        values = _only(table, name)
        try:
            columns[name] = conform(values.to_frame(), schema.only(name))[name]
        except UsageError:
            columns[name] = _value_by_value(values, schema.only(name))
            readable &= (columns[name].notna() | values.reset_index(drop=True).isna()).to_numpy(dtype=np.bool_)
    return KnownColumns(pd.DataFrame(columns), readable)


def _only(table: pd.DataFrame, name: str) -> pd.Series:
    columns = table.loc[:, table.columns == name]
    if columns.shape[1] > 1:
        raise UsageError(f"column {name!r} stands in the table {columns.shape[1]} times.", "Keep one of them.")
    return columns.iloc[:, 0]


def _value_by_value(values: pd.Series, schema: Schema) -> pd.Series:
    (name,) = schema
    kind, form = schema[name], schema.forms.get(name, PLAIN)
    texts = values.reset_index(drop=True).astype(object).map(lambda value: None if pd.isna(value) else str(value))
    read = texts.astype("str").rename(name)
    if kind != "string":
        cells = read.where(~read.isin(form.words))
        read = read_texts_as(cells, kind, form.text_format)
        if kind in {"integer", "number"}:  # saved again where the decimal mark is a comma
            with_comma = read.isna() & cells.str.fullmatch(r"[+-]?\d+,\d+(?:[eE][+-]?\d+)?").fillna(False)
            read = read.where(~with_comma, read_texts_as(cells.str.replace(",", "."), kind, None))
    if pd.api.types.is_float_dtype(read.dtype):
        read = read.where(np.isfinite(read))
    values = normalise(read.to_frame())[name]
    try:
        return as_kind(values, kind, replace(form, ordered=False))
    except ValueError:  # beyond what its type holds
        return as_kind(values, kind, replace(form, dtype="", ordered=False))


Origin = Literal["synthetic", "training", "evaluation", "ambiguous", "unknown"]
ORIGINS: tuple[Origin, ...] = get_args(Origin)

MAX_GUESSES = 200  # combinations of what several columns may have lost
BATCHES_NAMED = 3  # in the origin of one row
COLUMNS_NAMED = 8  # in one message


@dataclass(frozen=True)
class FoundIn:
    """How many rows of the table stand in one recorded set of rows."""

    name: str
    """``training``, ``evaluation``, or a batch's short id."""
    run_id: str
    n_rows: int
    n_only_here: int
    """Those that stand in no other set."""


@dataclass(frozen=True)
class Identified:
    """Where the rows of a table come from."""

    what: str
    n_rows: int
    counts: Mapping[Origin, int]
    """Rows by kind; they add up to ``n_rows``. *Ambiguous* are rows found among real rows and in a batch alike."""
    found_in: tuple[FoundIn, ...]
    """Training rows, evaluation rows, and every batch that holds a row of the table."""
    n_ambiguous_evaluation: int
    """Ambiguous rows that stand in the evaluation set."""
    n_coarse: int
    """Synthetic rows without two values, or a long text, of their own in their batch: equal by chance is possible."""
    n_unreadable: int
    """Unknown rows with a value of another kind than the real table's."""
    extra_columns: tuple[str, ...]
    """Columns of the table that the real one does not have; they were left out."""
    record: str | None
    """The batch whose record the file still carries; None where it carries none."""
    rows: pd.Series
    """One origin a row, shape (n_rows,): ``training``, ``synthetic: BATCH``, ``ambiguous: training or BATCH``, …"""

    @property
    def holds_evaluation_rows(self) -> bool:
        """Whether rows are evaluation rows beyond doubt."""
        return self.counts["evaluation"] > 0

    def to_json(self) -> dict[str, object]:
        """Everything but the single rows."""
        return {name: value for name, value in vars(self).items() if name != "rows"}

    def _repr_html_(self) -> str:
        rows = "".join(f"<tr><td>{name}</td><td>{n:,}</td></tr>" for name, n in self.counts.items())
        return f"<table><tr><th>{html.escape(self.what)}</th><th>rows</th></tr>{rows}</table>"


def identify(project: Project, table: Place | pd.DataFrame) -> Identified:
    """Say for every row of a table whether it is synthetic and of which batch, a real row, or unknown.

    Parameters
    ----------
    project : Project
    table : Path, Address or DataFrame
        CSV, gzipped CSV or Parquet; columns in any order, further columns are left out.

    Raises
    ------
    GateError
        Before `freeze`.
    UsageError
        If the table has no rows, or lacks columns: then nothing can be told, since a digest covers a whole row.
    """
    frozen = project.evaluation_set()
    what = "the table" if isinstance(table, pd.DataFrame) else str(table)
    frame, extra = _read(table, frozen.schema)
    _refuse_missing(what, frame, frozen.schema)
    known = known_columns(frame, frozen.schema)
    sets = _recorded_sets(project)
    digests = with_guesses(known, frozen.schema, frozen.salt, sets)
    return Lookup(what, extra, _record(table), known.readable).of(digests, sets)


def with_guesses(known: KnownColumns, schema: Schema, salt: str, sets: Sequence[RecordedSet]) -> Hashes:
    """The digest of each row; where it is nowhere, one that the row may have had before zeros or words were lost."""
    digests = row_digests(known.rows, salt)
    guesses = {name: [known.rows[name], *form.guesses(known.rows[name])] for name, form in schema.forms.items()
               if schema[name] == "string" and (form.widths or form.not_missing)}  # fmt: skip
    if not guesses:
        return digests
    recorded = np.concatenate([side for each in sets for side in (each.distinctive, each.common)])
    open_ = np.flatnonzero(~are_among(digests, recorded) & known.readable)
    for columns in itertools.islice(itertools.product(*guesses.values()), 1, MAX_GUESSES):
        if not len(open_):
            break
        rows = known.rows.assign(**dict(zip(guesses, columns, strict=True))).iloc[open_].reset_index(drop=True)
        made = row_digests(rows, salt)
        matches = are_among(made, recorded)
        digests[open_[matches]] = made[matches]
        open_ = open_[~matches]
    return digests


def _read(table: Place | pd.DataFrame, schema: Schema) -> tuple[pd.DataFrame, tuple[str, ...]]:
    if isinstance(table, pd.DataFrame):
        return table, tuple(str(name) for name in table.columns if str(name) not in schema.kinds)
    return read_known(table, schema)


def _refuse_missing(what: str, frame: pd.DataFrame, schema: Schema) -> None:
    missing = missing_columns(frame, schema)
    if missing:
        named = ", ".join(map(repr, missing[:COLUMNS_NAMED]))
        more = f" and {len(missing) - COLUMNS_NAMED} more" if len(missing) > COLUMNS_NAMED else ""
        raise UsageError(
            f"cannot tell where the rows of {what} come from: {named}{more} of the {len(schema)} columns of the real "
            "table are missing, and a row is known by one digest over all of its values.",
            "Give the table with these columns, or the file as it was before they were left out.",
        )
    if frame.empty:
        raise UsageError(f"{what} holds no rows.", "Give a table with a header and at least one row.")


def _record(table: Place | pd.DataFrame) -> str | None:
    record = None if isinstance(table, pd.DataFrame) else record_in_file(table)
    return record.batch if record else None


@dataclass(frozen=True)
class RecordedSet:
    """Row digests that the server keeps under one name."""

    name: str
    run_id: str
    distinctive: Hashes
    common: Hashes
    """Rows of a batch without two values, or a long text, of their own; empty for real rows."""


def _recorded_sets(project: Project) -> list[RecordedSet]:
    frozen = project.evaluation_set().run
    nothing = np.empty(0, dtype=np.uint64)
    real = project.row_digests(frozen)
    sets = [RecordedSet(side, frozen.run_id, real[side], nothing) for side in ("training", "evaluation")]
    batches = project.batches()
    project.say(f"comparing with the real rows and {len(batches)} batches")
    for number, batch in enumerate(batches, start=1):
        made = project.row_digests(batch.run)
        sets.append(RecordedSet(batch.id, batch.run.run_id, made["distinctive"], made["common"]))
        project.count(number, len(batches), "batches")
    return sets


@dataclass(frozen=True)
class Lookup:
    """A table whose rows are about to be looked up, and what is known of it before."""

    what: str
    extra: tuple[str, ...]
    record: str | None
    readable: Flags

    def of(self, rows: Hashes, sets: Sequence[RecordedSet]) -> Identified:
        """Look the rows up, and count."""
        matches = match(rows, [digests for each in sets for digests in (each.distinctive, each.common)])
        nowhere = np.zeros((1, matches.holds.shape[1]), dtype=np.bool_)
        sure = np.concatenate([matches.holds, nowhere])[:, ::2]
        holds = sure | np.concatenate([matches.holds, nowhere])[:, 1::2]
        pattern = np.where(self.readable, matches.pattern, len(matches.holds))
        n_rows = np.bincount(pattern, minlength=len(holds))
        origins = _origins(holds)
        of_origin = {origin: origins == origin for origin in ORIGINS}
        return Identified(
            what=self.what,
            n_rows=len(rows),
            counts={origin: int(n_rows[which].sum()) for origin, which in of_origin.items()},
            found_in=_found_in(sets, holds, n_rows),
            n_ambiguous_evaluation=int(n_rows[of_origin["ambiguous"] & holds[:, 1]].sum()),
            n_coarse=int(n_rows[of_origin["synthetic"] & ~sure.any(axis=1)].sum()),
            n_unreadable=int((~self.readable).sum()),
            extra_columns=self.extra,
            record=self.record,
            rows=_labelled(pattern, origins, holds, [each.name for each in sets]),
        )


def _origins(holds: Flags) -> npt.NDArray[np.object_]:
    """The kind of each pattern; the first two sets are the real rows, all others batches."""
    training, evaluation, synthetic = holds[:, 0], holds[:, 1], holds[:, 2:].any(axis=1)
    sides = training.astype(int) + evaluation + synthetic
    names: list[Origin] = ["ambiguous", "training", "evaluation", "synthetic"]
    return np.select([sides > 1, training, evaluation, synthetic], names, "unknown").astype(object)


def _found_in(sets: Sequence[RecordedSet], holds: Flags, n_rows: npt.NDArray[np.int64]) -> tuple[FoundIn, ...]:
    alone = holds.sum(axis=1) == 1
    places = [
        FoundIn(each.name, each.run_id, int(n_rows[here].sum()), int(n_rows[here & alone].sum()))
        for each, here in zip(sets, holds.T, strict=True)
    ]
    return tuple(each for at, each in enumerate(places) if at < 2 or each.n_rows)


def _labelled(
    pattern: npt.NDArray[np.int64], origins: npt.NDArray[np.object_], holds: Flags, names: Sequence[str]
) -> pd.Series:
    labels = [_label(str(origin), here, names) for origin, here in zip(origins, holds, strict=True)]
    codes, levels = pd.factorize(np.array(labels, dtype=object))
    return pd.Series(pd.Categorical.from_codes(codes[pattern], categories=pd.Index(levels)), name="origin")


def _label(origin: str, here: npt.NDArray[np.bool_], names: Sequence[str]) -> str:
    if origin not in {"synthetic", "ambiguous"}:
        return origin
    labels = [name for name, is_here in zip(names, here, strict=True) if is_here]
    real = int(here[:2].sum())
    shown, more = labels[: real + BATCHES_NAMED], len(labels) - real - BATCHES_NAMED
    return f"{origin}: {' or '.join(shown)}" + (f" or {more} more batches" if more > 0 else "")
