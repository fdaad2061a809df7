"""A synthetic batch as MLflow's own kind of dataset, so that any training script can log it as its input.

MLflow loads this file with every ``import mlflow`` (entry points ``mlflow.dataset_source`` and
``mlflow.dataset_constructor``), so it imports nothing heavy; and it leaves annotations unquoted, since MLflow looks at
them.
"""

import json
from pathlib import Path
from typing import Any, Self

from mlflow.data.dataset import Dataset
from mlflow.data.dataset_source import DatasetSource

from synth_mlflow.tracking import names

SCHEME = "synth-batch:"


class SyntheticBatchSource(DatasetSource):
    """Where a synthetic batch lies: a file on disk, or an artifact of the batch's run (``runs:/…``)."""

    def __init__(self, uri: str, batch: str, digest: str) -> None:
        self.uri = uri
        self.batch = batch
        """Its short id."""
        self.digest = digest
        """The content digest of its rows."""

    def load(self) -> str:
        """A local path of the batch's Parquet file.

        Raises
        ------
        EvidenceError
            If the file's rows are not those of the batch.
        """
        from mlflow.artifacts import download_artifacts

        path = Path(download_artifacts(self.uri) if self.uri.startswith("runs:/") else self.uri)
        _checked(path, self.digest)
        return str(path)

    def to_dict(self) -> dict[str, Any]:
        """What MLflow keeps."""
        return {"uri": self.uri, "batch": self.batch, "digest": self.digest}

    @classmethod
    def from_dict(cls, source_dict: dict[Any, Any]) -> Self:
        """The inverse of :meth:`to_dict`."""
        return cls(source_dict["uri"], source_dict["batch"], source_dict["digest"])

    @staticmethod
    def _get_source_type() -> str:
        return names.SOURCE_TYPE

    @staticmethod
    def _can_resolve(raw_source: Any) -> bool:
        return isinstance(raw_source, str) and raw_source.startswith(SCHEME)

    @classmethod
    def _resolve(cls, raw_source: str) -> Self:
        path = Path(raw_source.removeprefix(SCHEME))
        record = _record(path)
        return cls(str(path.resolve()), record.batch, record.digest)


class SyntheticBatchDataset(Dataset):
    """A batch by its record: named after its short id, with the digest by which it is found again."""

    def __init__(self, source: SyntheticBatchSource, n_rows: int, n_columns: int, name: str, digest: str) -> None:
        self._shape = {"num_rows": n_rows, "num_columns": n_columns}
        super().__init__(source, name, digest)

    def _compute_digest(self) -> str:
        source: Any = self.source
        return str(source.digest[: names.DATASET_DIGEST_LENGTH])

    def to_dict(self) -> dict[str, str]:
        """What MLflow keeps."""
        return {**super().to_dict(), "profile": json.dumps(self.profile)}

    @property
    def profile(self) -> dict[str, int]:
        """How many rows and columns it has."""
        return self._shape

    @property
    def schema(self) -> None:
        """Stands in the batch's record."""
        return


def from_synthetic_batch(
    path: str | Path, *, name: str | None = None, digest: str | None = None
) -> SyntheticBatchDataset:
    """A batch's Parquet file as a dataset for ``mlflow.log_input``; also ``mlflow.data.from_synthetic_batch``.

    Parameters
    ----------
    path : str or Path
        The file as it was written: it carries the batch's record. Its rows are digested and compared with it.
    name, digest : str, optional
        By default ``batch ID`` and the digest by which ``synth-mlflow trace`` finds every run that read the batch.

    Raises
    ------
    UsageError
        If there is no such file, or it carries no record.
    EvidenceError
        If its rows are not those that its record vouches for.
    """
    file = Path(path)
    record = _record(file)
    _checked(file, record.digest)
    source = SyntheticBatchSource(str(file.resolve()), record.batch, record.digest)
    return SyntheticBatchDataset(
        source,
        record.rows,
        len(record.columns),
        name or f"batch {record.batch}",
        digest or record.digest[: names.DATASET_DIGEST_LENGTH],
    )


def _record(path: Path) -> Any:
    from synth_mlflow.data.provenance import record_in_file
    from synth_mlflow.errors import UsageError

    if not path.is_file():
        raise UsageError(f"there is no file {path}.", "Give the Parquet file of a batch.")
    record = record_in_file(path)
    if record is None:
        raise UsageError(
            f"{path} carries no provenance record.", "Give the Parquet file of a batch as synth_mlflow wrote it."
        )
    return record


def _checked(path: Path, digest: str) -> None:
    import pandas as pd

    from synth_mlflow.data.columns import Schema
    from synth_mlflow.data.digests import table_digest
    from synth_mlflow.data.tables import restore
    from synth_mlflow.errors import EvidenceError

    rows, kinds = pd.read_parquet(path), _record(path).columns
    schema = Schema({name: kinds[name] for name in rows.columns})
    rows_digest = table_digest(restore(rows, schema), schema)
    if rows_digest != digest:
        raise EvidenceError(
            f"the rows of {path} have content digest {rows_digest[:12]}…, the batch's {digest[:12]}…: someone "
            "changed them.",
            "Fetch the file from the batch's run again.",
        )
