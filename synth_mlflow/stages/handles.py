"""A batch as users hold it, and the writer that takes the rows of one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

from synth_mlflow.data.html_table import html_table
from synth_mlflow.data.record import Record
from synth_mlflow.stages.spool import Spool
from synth_mlflow.tracking.project import Project
from synth_mlflow.tracking.stored import StoredBatch


@dataclass(frozen=True)
class Batch:
    """A synthetic batch as it stands on the server."""

    batch: str
    """Its short id."""
    run_id: str
    n_rows: int
    digest: str
    record: Record

    @classmethod
    def of(cls, project: Project, found: StoredBatch) -> Self:
        """A batch with its record, which is checked against its digest."""
        return cls(found.id, found.run.run_id, found.n_rows, found.digest, project.record(found))

    def _repr_html_(self) -> str:
        origin = self.record.origin
        row = [self.batch, f"{self.n_rows:,}", f"{origin.generator} {origin.version}", origin.purpose]
        return html_table(["batch", "rows", "generator", "purpose"], [row])


class BatchWriter:
    """Takes the rows of one batch; the batch is written when the ``with`` block ends."""

    def __init__(self, spool: Spool) -> None:
        self.batch: Batch | None = None
        """The batch, once the block has ended."""
        self._spool = spool

    def write(self, frame: Any) -> None:
        """Add rows; may be called more than once, with as many as fit into memory at a time.

        Parameters
        ----------
        frame : DataFrame, Table, relation or dict
            Of pandas, Polars, PyArrow, DuckDB or another library that narwhals knows, or a dict of columns.

        Raises
        ------
        UsageError
            If they are no table, do not have the columns of the real rows, or do not lie in the slice of the record.
        """
        self._spool.add(frame)
