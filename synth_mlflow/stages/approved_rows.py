"""What loading by name gives: the rows of an approved batch or mix, for any library, with what is known of them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from synth_mlflow.data.chunks import ChunkWriter
from synth_mlflow.data.columns import Schema
from synth_mlflow.data.digests import canonical_json
from synth_mlflow.data.intact_files import read_pandas, read_table
from synth_mlflow.data.markup import html_table
from synth_mlflow.data.mixing import REAL
from synth_mlflow.data.other_libraries import Columns, as_hugging_face, as_polars, numpy_batches, torch_batches
from synth_mlflow.data.provenance import METADATA_KEY, Record
from synth_mlflow.data.schema import present
from synth_mlflow.data.table_files import PARQUET
from synth_mlflow.data.tables import restore
from synth_mlflow.errors import UsageError
from synth_mlflow.stages.chosen_mix import ChosenMix
from synth_mlflow.tracking.project import Project

APPROVAL_KEY = b"synth_mlflow.approval"
ORIGIN, WEIGHT = "synth_mlflow_origin", "synth_mlflow_weight"
"""The columns by which a file of a mix says what each row is, and how much it counts."""


@dataclass(frozen=True)
class ApprovedVersion:
    """Which version was loaded, and who has approved it."""

    address: str
    """``project/NAME/VERSION``."""
    kind: str
    """``batch`` or ``mix``."""
    run_id: str
    """The run of the approval."""
    digest: str
    """The content digest of the batch, or of the mix."""
    batches: tuple[str, ...]
    """Short ids of the batches whose rows it holds."""
    by: str
    role: str
    at: str
    """ISO 8601, UTC."""
    logged_on: str | None
    """The run that says now that it read them; None where none was active."""


@dataclass(frozen=True)
class ApprovedRows:
    """Rows that were loaded by name, for whatever library."""

    version: ApprovedVersion
    schema: Schema
    """The columns and their kinds."""
    project: Project = field(repr=False)
    """What they are from; holds the folder of their files."""

    def __len__(self) -> int:
        return len(self.to_pandas())

    def _repr_html_(self) -> str:
        version = self.version
        row = [version.address, version.kind, f"{len(self):,}", f"{version.by} ({version.role})", version.at[:10]]
        return html_table(["approved", "kind", "rows", "by", "on"], [row])

    def to_pandas(self) -> pd.DataFrame:
        """A DataFrame of pandas, in the form and the types that the project's data came in."""
        raise NotImplementedError

    def to_arrow(self) -> pa.Table:
        """A Table of PyArrow."""
        return pa.Table.from_pandas(self.to_pandas(), preserve_index=False)

    def to_published(self) -> pa.Table:
        """As :meth:`to_arrow`, with the columns that a file of them has beside the project's."""
        return self.to_arrow()

    def to_polars(self) -> Any:
        """A DataFrame of Polars; a UsageError where it is not installed."""
        return as_polars(self.to_arrow())

    def to_dataset(self) -> Any:
        """A ``datasets.Dataset`` of Hugging Face; a UsageError where `datasets` is not installed."""
        return as_hugging_face(self.to_arrow())

    def batches(self, n_rows: int = 1024, *, seed: int | None = None) -> Iterator[Columns]:
        """Batches of NumPy arrays; see :func:`synth_mlflow.data.other_libraries.numpy_batches`."""
        return numpy_batches(self.to_arrow(), n_rows, seed)

    def to_torch(self, n_rows: int = 1024, *, seed: int | None = None) -> Iterator[dict[str, Any]]:
        """Batches of tensors, texts as lists; a UsageError where PyTorch is not installed."""
        return torch_batches(self.to_arrow(), n_rows, seed)

    def facts(self) -> dict[str, Any]:
        """The version and the provenance records of its batches, as JSON values: what travels with the rows."""
        raise NotImplementedError

    def write(self, path: str | Path) -> Path:
        """Write a Parquet file of the rows, with the provenance records in its metadata; returns its path."""
        raise NotImplementedError


@dataclass(frozen=True)
class ApprovedBatch(ApprovedRows):
    """The rows of an approved batch: all of them but those that equal an evaluation row."""

    record: Record
    """What made the batch."""
    path: Path
    """The Parquet file of the batch on this machine, while this object lives."""
    row_mask: npt.NDArray[np.bool_] | None
    """Which rows are handed out, of shape (n_rows of the file,); None for all."""

    @property
    def records(self) -> tuple[Record, ...]:
        """The record alone."""
        return (self.record,)

    @property
    def n_left_out(self) -> int:
        """How many rows equal an evaluation row and no training row; no model may be fitted on these."""
        return 0 if self.row_mask is None else int((~self.row_mask).sum())

    def __len__(self) -> int:
        return self.record.rows - self.n_left_out

    def to_pandas(self) -> pd.DataFrame:
        """As :meth:`ApprovedRows.to_pandas`."""
        rows = read_pandas(self.path)
        return rows if self.row_mask is None else rows[self.row_mask].reset_index(drop=True)

    def to_arrow(self) -> pa.Table:
        """As :meth:`ApprovedRows.to_arrow`."""
        table = read_table(self.path)
        return table if self.row_mask is None else table.filter(pa.array(self.row_mask))

    def write(self, path: str | Path) -> Path:
        """The batch's own file, byte by byte; where rows are left out, one of the others whose record says so."""
        target = refuse_target(path)
        if self.row_mask is None:
            shutil.copyfile(self.path, target)
            return target
        rows, writer = restore(self.to_pandas(), self.schema), ChunkWriter(target, self.schema)
        writer.add(rows)
        digest = writer.finish()
        writer.close({METADATA_KEY: self.record_of(len(rows), digest).to_json().encode()})
        return target

    def facts(self) -> dict[str, Any]:
        """As :meth:`ApprovedRows.facts`."""
        return version_facts(self.version) | {"left_out": self.n_left_out, "records": [_as_json(self.record)]}

    def record_of(self, n_rows: int, digest: str) -> Record:
        """The record of a file without the rows that are left out: it names the whole batch, and what is missing."""
        notes = {"approved": self.version.address, "batch_digest": self.record.digest, "left_out": self.n_left_out}
        return replace(self.record, rows=n_rows, digest=digest, notes={**self.record.notes, **notes})


@dataclass(frozen=True)
class ApprovedMix(ApprovedRows):
    """The rows that the final model of a sweep was fitted on."""

    mix: ChosenMix
    target: str
    records: tuple[Record, ...]
    """What made each batch."""

    @property
    def ratio(self) -> float:
        """The share of synthetic rows."""
        return self.mix.ratio

    @property
    def origin(self) -> pd.Series:
        """Of shape (n_rows,): ``real``, or the short id of the batch."""
        return self.mix.origin

    @property
    def weights(self) -> pd.Series:
        """Of shape (n_rows,): what each row counts; the ``sample_weight`` of a fit."""
        return self.origin.eq(REAL).map({True: 1.0, False: self.mix.weight}).rename("weight")

    @property
    def X(self) -> pd.DataFrame:  # noqa: N802 - the field's name
        """The features."""
        return self.to_pandas().drop(columns=[self.target])

    @property
    def y(self) -> pd.Series:
        """The target."""
        return self.to_pandas()[self.target]

    def __len__(self) -> int:
        return len(self.mix.rows)

    @cached_property
    def _rows(self) -> pd.DataFrame:
        return present(self.mix.rows, self.schema)

    def to_pandas(self) -> pd.DataFrame:
        """As :meth:`ApprovedRows.to_pandas`."""
        return self._rows.copy()

    def write(self, path: str | Path) -> Path:
        """A Parquet file with two further columns: what each row is, and how much it counts."""
        target, table = refuse_target(path), self.to_published()
        facts = {APPROVAL_KEY: canonical_json(self.facts()).encode()}
        pq.write_table(table.replace_schema_metadata({**(table.schema.metadata or {}), **facts}), target)
        return target

    def to_published(self) -> pa.Table:
        """With what each row is, and how much it counts."""
        table = self.to_arrow().append_column(ORIGIN, pa.array(self.origin.tolist(), pa.string()))
        return table.append_column(WEIGHT, pa.array(self.weights.to_numpy()))

    def facts(self) -> dict[str, Any]:
        """As :meth:`ApprovedRows.facts`."""
        return version_facts(self.version) | {"records": [_as_json(record) for record in self.records]}


def version_facts(version: ApprovedVersion) -> dict[str, Any]:
    """Which version it is, as JSON values."""
    return {
        "approved": version.address,
        "kind": version.kind,
        "digest": version.digest,
        "batches": list(version.batches),
        "by": version.by,
        "role": version.role,
        "at": version.at,
        "approval_run": version.run_id,
    }


def refuse_target(path: str | Path) -> Path:
    """The path of a Parquet file that is about to be written.

    Raises
    ------
    UsageError
        If it has another ending, or its folder is not there.
    """
    target = Path(path)
    if not target.name.lower().endswith(PARQUET):
        raise UsageError(f"{target.name} does not end in {PARQUET}, and rows are written as Parquet.", "Rename it.")
    if not target.resolve().parent.is_dir():
        raise UsageError(f"there is no folder {target.resolve().parent} to write {target.name} to.", "Make it first.")
    return target


def _as_json(record: Record) -> dict[str, Any]:
    fields: dict[str, Any] = json.loads(record.to_json())
    return fields
