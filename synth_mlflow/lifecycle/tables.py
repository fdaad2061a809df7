"""What a project has recorded, as tables: its batches, and the checks of each."""

from __future__ import annotations

import pandas as pd

from synth_mlflow.gate.verdict_notes import recorded_verdicts
from synth_mlflow.gate.verdicts import Verdict, checks_by_batch
from synth_mlflow.tracking import names
from synth_mlflow.tracking.project import Project
from synth_mlflow.tracking.stored import StoredBatch

BATCH_COLUMNS = (
    "batch",
    "run_id",
    "generator",
    "generator_version",
    "rows",
    "seed",
    "slice",
    "purpose",
    "verdict",
    "retracted",
    "digest",
)
CHECK_COLUMNS = ("batch", "generator", "check", "verdict", "reason", "run_id")


def batches_table(project: Project) -> pd.DataFrame:
    """Every batch, one a row, with the columns ``BATCH_COLUMNS``."""
    found = project.batches()
    verdicts = recorded_verdicts(project, found)
    rows = [_batch_row(batch, verdict) for batch, verdict in zip(found, verdicts, strict=True)]
    return pd.DataFrame(rows, columns=BATCH_COLUMNS)


def checks_table(project: Project) -> pd.DataFrame:
    """The newest run of each check of each batch, one a row, with the columns ``CHECK_COLUMNS``."""
    by_batch = checks_by_batch(project)
    rows = []
    for batch in project.batches():
        newest = {run.params[names.P_CHECK]: run for run in by_batch.get(batch.run.run_id, [])}
        for name, run in newest.items():
            reason = run.tags.get(names.TAG_REASON, "")
            verdict = run.params[names.P_VERDICT]
            rows.append([batch.id, batch.run.params[names.P_GENERATOR], name, verdict, reason, run.run_id])
    return pd.DataFrame(rows, columns=CHECK_COLUMNS)


def _batch_row(batch: StoredBatch, verdict: Verdict) -> list[object]:
    params = batch.run.params
    seed = None if params[names.P_SEED] == "null" else int(params[names.P_SEED])
    return [
        batch.id,
        batch.run.run_id,
        params[names.P_GENERATOR],
        params[names.P_GENERATOR_VERSION],
        batch.n_rows,
        seed,
        params[names.P_SLICE] or None,
        params[names.P_PURPOSE],
        verdict.verdict,
        batch.retracted,
        batch.digest,
    ]
