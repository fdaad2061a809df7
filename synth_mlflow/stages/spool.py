"""The rows of a batch on their way into a project: checked and written a piece at a time, so that memory stays flat."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from synth_mlflow.data.any_table import as_pandas
from synth_mlflow.data.chunks import ChunkWriter, distinctive_rows
from synth_mlflow.data.columns import Schema, conform
from synth_mlflow.data.constraints import Constraints
from synth_mlflow.data.digests import Hashes, row_digests
from synth_mlflow.data.private_room import private_room
from synth_mlflow.data.record import METADATA_KEY, Origin, Record
from synth_mlflow.data.slices import Slice
from synth_mlflow.errors import UsageError
from synth_mlflow.tracking.stored import EvaluationSet

PREVIEW_ROWS = 200


@dataclass(frozen=True)
class RowDigests:
    """The salted digests of a batch's rows, by whether a row can be told by its values alone."""

    distinctive: Hashes
    common: Hashes


class Spool:
    """Takes the rows of one batch in pieces.

    Parameters
    ----------
    folder : Path
        Where its file is written.
    frozen : EvaluationSet
        Its columns are those that every row must have.
    origin : Origin
        Its slice holds every row.
    constraints : Constraints
        What every row keeps; with the combinations that real rows have.
    """

    def __init__(self, folder: Path, frozen: EvaluationSet, origin: Origin, constraints: Constraints) -> None:
        self.path = folder / "rows.parquet"
        self.preview = pd.DataFrame()
        """The first rows."""
        self._frozen = frozen
        self._origin = origin
        self._part = parsed_slice(origin.slice, frozen.schema)
        self._writer = ChunkWriter(self.path, frozen.schema)
        self._digests: list[Hashes] = []
        self._constraints = constraints
        self._broken: Counter[str] = Counter()

    @property
    def n_rows(self) -> int:
        """How many rows were taken in so far."""
        return self._writer.n_rows

    def add(self, frame: Any) -> None:
        """Take in further rows; any table that :func:`~synth_mlflow.data.any_table.as_pandas` takes.

        Raises
        ------
        UsageError
            If they are no table, do not have the columns of the real ones, or do not lie in the slice of the record.
        """
        rows = conform(as_pandas(frame, "the batch"), self._frozen.schema, "the batch")
        self._refuse_outside(rows)
        self._broken.update(self._constraints.broken(rows))
        self._digests.append(row_digests(rows, self._frozen.salt))
        self._writer.add(rows)
        if len(self.preview) < PREVIEW_ROWS:
            self.preview = pd.concat([self.preview, rows.head(PREVIEW_ROWS - len(self.preview))], ignore_index=True)

    def finish(self) -> str:
        """The content digest of all rows; no more can be added.

        Raises
        ------
        UsageError
            If rows break a declared constraint, with the number for each.
        """
        if self._broken:
            counts = "; ".join(f"{text!r} by {n_rows:,}" for text, n_rows in self._broken.items())
            raise UsageError(
                f"rows of the batch break declared constraints: {counts} of {self.n_rows:,} rows.",
                "Correct or drop these rows, or change `constraints` in problem.md and `synth-mlflow define` it again.",
            )
        return self._writer.finish()

    def close(self, record: Record) -> RowDigests:
        """Close the file, with the record in it; the digests of its rows."""
        self._writer.close({METADATA_KEY: record.to_json().encode()})
        alone = distinctive_rows(self.path, self._frozen.schema)
        digests = np.concatenate(self._digests)
        return RowDigests(digests[alone], digests[~alone])

    def give_up(self) -> None:
        """Close the file, whatever it holds."""
        self._writer.close()

    def _refuse_outside(self, rows: pd.DataFrame) -> None:
        outside = 0 if self._part is None else int((~self._part.mask(rows)).sum())
        if self._part is not None and outside:
            raise UsageError(
                f"{outside:,} of the {len(rows):,} rows do not lie in the slice {self._part.text!r} that the record of "
                f"{self._origin.generator!r} names.",
                "Correct the rows, or the record's slice.",
            )


@contextmanager
def spooling(frozen: EvaluationSet, origin: Origin, constraints: Constraints) -> Iterator[Spool]:
    """A spool in a temporary folder, which is gone after the block."""
    with tempfile.TemporaryDirectory(prefix="synth-mlflow-", dir=private_room()) as folder:
        spool = Spool(Path(folder), frozen, origin, constraints)
        try:
            yield spool
        finally:
            spool.give_up()


def parsed_slice(text: str | None, schema: Schema) -> Slice | None:
    """The slice that a batch is made for, checked against the columns; None where it is for the whole table."""
    if text is None:
        return None
    part = Slice.parse(text)
    part.check(schema)
    return part
