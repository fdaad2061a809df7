"""Approved rows for other tools: written, read back by the tool's own reader, and compared row by row."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pyarrow as pa

from synth_mlflow.data.addresses import Place
from synth_mlflow.data.approved_names import FORMATS
from synth_mlflow.data.digests import table_digest
from synth_mlflow.data.statement import LIMITS, QUESTIONS, sections
from synth_mlflow.data.table_files import exact_pandas
from synth_mlflow.data.tables import restore
from synth_mlflow.errors import EvidenceError, UsageError, closest
from synth_mlflow.publications import Column, Publication, delta, hugging_face, parquet_folder
from synth_mlflow.stages.approved_data import load_approved
from synth_mlflow.stages.approved_rows import ApprovedBatch, ApprovedMix
from synth_mlflow.tracking import names
from synth_mlflow.tracking.caller import one_verb
from synth_mlflow.tracking.evaluation_dataset import drop, keep_rows, rows_of
from synth_mlflow.tracking.project import Project
from synth_mlflow.tracking.server import refuse_read_only

WRITERS: Mapping[str, Callable[[Publication, Path], pa.Table]] = {
    "parquet": parquet_folder.write,
    "delta": delta.write,
    "hugging-face": hugging_face.write,
}


@dataclass(frozen=True)
class Published:
    """Rows that stand somewhere else now."""

    address: str
    """``project/NAME/VERSION``."""
    format: str
    where: str
    """The folder; of an evaluation dataset of MLflow its id."""
    rows: int
    rows_digest: str
    """The content digest of these rows, found again by reading them back."""


def publish(
    address: str,
    format_name: str,
    output: Path | None = None,
    *,
    tracking_uri: str | None = None,
    data: Place | None = None,
) -> Published:
    """Write approved rows in one form, with their provenance in the form's own metadata.

    Parameters
    ----------
    address : str
        ``project/NAME@approved`` or ``project/NAME/2``.
    format_name : {"parquet", "delta", "hugging-face", "mlflow"}
        ``mlflow`` writes an evaluation dataset into the project's experiment.
    output : Path, optional
        A new folder; not for ``mlflow``.
    tracking_uri : str, optional
        By default MLflow's own setting.
    data : Path, optional
        Where real rows that are kept by reference lie now.

    Raises
    ------
    UsageError
        If there is no such form, its library is not installed, or the folder cannot be made or holds something.
    GateError, EvidenceError
        As when they are loaded; an EvidenceError if what is read back are not these rows, and then nothing is left.
    """
    if format_name not in FORMATS:
        raise UsageError(f"there is no form {format_name!r}. {closest(format_name, FORMATS)}")
    folder = None if format_name == "mlflow" else _new_folder(output)
    approved = load_approved(address, tracking_uri=tracking_uri, data=data, deep=True)
    with one_verb():
        normal = restore(approved.to_pandas(), approved.schema)
        digest = table_digest(normal, approved.schema)
        if folder is None:
            where = _as_evaluation_dataset(approved, normal, digest)
        else:
            where = _as_folder(approved, digest, format_name, folder)
    return Published(approved.version.address, format_name, where, len(normal), digest)


def _new_folder(output: Path | None) -> Path:
    if output is None:
        raise UsageError("no folder was named to write to.", "Give `--output FOLDER`.")
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise UsageError(f"{output} is there already, and is not an empty folder.", "Name a new folder.")
    if not output.resolve().parent.is_dir():
        raise UsageError(f"there is no folder {output.resolve().parent} to write {output.name} in.", "Make it first.")
    return output.resolve()


def _as_folder(approved: ApprovedBatch | ApprovedMix, digest: str, format_name: str, folder: Path) -> str:
    """Written beside its place and moved there as a whole, so that a fault leaves no half of it."""
    beside = folder.with_name(f".{folder.name}.unfinished")
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir()
    try:
        table = WRITERS[format_name](_publication(approved, digest), beside)
        _compare(approved, exact_pandas(table, ignore_metadata=False), digest, format_name)
        if folder.exists():
            folder.rmdir()
        beside.rename(folder)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return str(folder)


def _as_evaluation_dataset(approved: ApprovedBatch | ApprovedMix, normal: pd.DataFrame, digest: str) -> str:
    project = approved.project
    refuse_read_only(project.server, "publish --format mlflow")
    version, target = approved.version, project.problem().statement.task.target
    tags = {
        names.TAG_APPROVED: version.address,
        names.P_APPROVED_DIGEST: version.digest,
        names.P_RECORD: " ".join(record.sha256 for record in approved.records),
        names.TAG_BATCHES: " ".join(version.batches),
        names.TAG_ROWS_DIGEST: digest,
    }
    dataset_id = keep_rows(project.server, version.address, normal, target, tags)
    try:
        _compare(approved, rows_of(project.server, dataset_id, approved.schema), digest, "mlflow")
    except EvidenceError:
        drop(project.server, dataset_id)
        raise
    return dataset_id


def _compare(approved: ApprovedBatch | ApprovedMix, rows: pd.DataFrame, digest: str, format_name: str) -> None:
    """An EvidenceError where rows that were read back are other ones."""
    again = table_digest(restore(rows, approved.schema), approved.schema)
    if again != digest:
        raise EvidenceError(
            f"the rows of {approved.version.address} have content digest {digest[:12]}…, and {again[:12]}… "
            f"when they are read back from {format_name}: this form does not hold them as they are.",
            "Nothing was published. Publish it as `--format parquet`.",
        )


def _publication(approved: ApprovedBatch | ApprovedMix, digest: str) -> Publication:
    project = approved.project
    problem, frozen = project.problem(), project.evaluation_set()
    roles = frozen.table.roles if frozen.table else {}
    columns = tuple(Column(name, kind, roles.get(name, "")) for name, kind in approved.schema.kinds.items())
    return Publication(
        title=approved.version.address,
        rows=approved.to_published(),
        facts={**approved.facts(), "rows_digest": digest},
        about=problem.statement.answers[QUESTIONS[0]],
        limits=_limits(project),
        columns=columns,
        target=problem.statement.task.target,
        task=problem.statement.facts.task,
        how_to_read=frozen.table.how_to_read if frozen.table else "",
    )


def _limits(project: Project) -> str:
    """The known limitations as the newest handoff has them; empty before there is one."""
    handoffs = [run for run in project.reader.finished("handoff") if names.A_LIMITS in run.artifacts]
    if not handoffs:
        return ""
    text = project.reader.file(handoffs[-1], names.A_LIMITS).read_text(encoding="utf-8")
    return sections(text, LIMITS)[LIMITS[0]]
