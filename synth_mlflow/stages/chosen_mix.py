"""The rows that the final model of a sweep was fitted on, out of the sweep's own record of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from synth_mlflow.data.digests import table_digest
from synth_mlflow.data.mixing import REAL
from synth_mlflow.errors import EvidenceError, GateError
from synth_mlflow.tracking import names
from synth_mlflow.tracking.project import Project
from synth_mlflow.tracking.read import StoredRun
from synth_mlflow.tracking.stored import EvaluationSet, StoredBatch
from synth_mlflow.tracking.stored_run import reading


@dataclass(frozen=True)
class ChosenMix:
    """A mix of real and synthetic rows."""

    rows: pd.DataFrame
    """Normalised: real rows, then synthetic ones."""
    origin: pd.Series
    """Of shape (n_rows,): ``real``, or the short id of the batch."""
    weight: float
    """How much a synthetic row counts beside a real one."""
    ratio: float
    """The share of synthetic rows."""
    digest: str
    """The content digest of the rows."""


def final_of(project: Project, sweep: StoredRun) -> StoredRun:
    """The run of the final model of a sweep.

    Raises
    ------
    EvidenceError
        If it is gone, there are two, or it was changed.
    """
    finals = [run for run in project.reader.finished("final") if run.params.get(names.P_SWEEP) == sweep.run_id]
    if len(finals) != 1:
        raise EvidenceError(
            f"sweep {sweep.run_id} has {len(finals)} runs of a final model, 1 was written.",
            "Restore what was deleted in MLflow, or delete what somebody has added; else sweep again.",
        )
    return project.reader.verify_seal(finals[0])


def chosen_mix(project: Project, frozen: EvaluationSet, sweep: StoredRun, batches: Sequence[StoredBatch]) -> ChosenMix:
    """Read the mix that a sweep chose.

    Parameters
    ----------
    batches : sequence of StoredBatch
        Those whose rows it holds; their gate was asked.

    Raises
    ------
    GateError
        If the sweep chose real rows alone.
    EvidenceError
        If a table is not what was recorded, or the record names rows that are not there.
    """
    final, curve = final_of(project, sweep), project.curve(sweep)
    if not curve.chosen:
        raise GateError(
            f"sweep {sweep.run_id} chose real rows alone: there is no mix to hand out.",
            "Sweep with other batches, or approve a batch by itself: `synth-mlflow approve BATCH --as NAME`.",
        )
    tables = {REAL: project.training_rows(frozen)} | {b.id: project.rows_to_fit(b, frozen) for b in batches}
    path = project.reader.file(final, names.A_MIX)
    with reading(final, names.A_MIX):
        mix = pd.read_parquet(path)
        origin = mix["from"].astype(object).rename("origin")
        places = _places(final, origin, mix["row"].to_numpy(dtype=np.int64), {k: len(t) for k, t in tables.items()})
    rows = pd.concat(list(tables.values()), ignore_index=True).iloc[places].reset_index(drop=True)
    weight = curve.axis.weight(curve.chosen) or 1.0
    share = float((origin != REAL).mean())
    return ChosenMix(rows, origin, weight, share, table_digest(rows, frozen.schema))


def _places(
    final: StoredRun, origin: pd.Series, rows: npt.NDArray[np.int64], sizes: dict[str, int]
) -> npt.NDArray[np.int64]:
    """Where each row of the mix stands in all tables together."""
    n_here = origin.map(sizes)
    if n_here.isna().any() or (rows < 0).any() or (rows >= n_here.to_numpy()).any():
        raise EvidenceError(
            f"{names.A_MIX} of run {final.run_id} ({final.name}) names rows that its batches do not have.",
            "Sweep again, and approve the new mix.",
        )
    starts = dict(zip(sizes, np.cumsum([0, *sizes.values()])[:-1], strict=True))
    return np.asarray(rows + origin.map(starts).to_numpy(dtype=np.int64), dtype=np.int64)
