"""Refuse rows as real that carry a synthetic record or are rows of a known batch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

from synth_mlflow.data.digests import Hashes, row_digests
from synth_mlflow.data.record import record_in_file
from synth_mlflow.errors import EvidenceError, ServerError, SynthError, UsageError
from synth_mlflow.tracking import names
from synth_mlflow.tracking.project import Project
from synth_mlflow.tracking.read import StoredRun

CHANCE = 1e-6  # how rarely a file of real rows may be refused for rows that it shares with a batch by chance


def refuse_synthetic(project: Project, path: Path, rows: pd.DataFrame) -> None:
    """Refuse a file that says it is synthetic, or rows that stand in a batch of any project on the server.

    Rows are compared by their salted digests. A row that is the same by chance is no proof: on tables of few coarse
    columns some real rows equal synthetic ones. So what counts is rows with at least two values that occur nowhere
    else in their batch, or more shared rows than the batch shares with its own project's evaluation set, which no
    generator has seen (conditional test of two Poisson rates, Przyborowski & Wilenski, Biometrika 31 (1940),
    doi:10.2307/2332612).

    Raises
    ------
    UsageError
        With the batch and the number of rows.
    """
    record = record_in_file(path)
    if record is not None:
        raise UsageError(
            f"{path} is no real data: it carries the record of synthetic batch {record.batch} "
            f"({record.origin.generator} {record.origin.version}).",
            "Give the real rows.",
        )
    evalsets = [run for run in project.reader.finished("evalset", everywhere=True) if names.P_SALT in run.params]
    digests = {run.params[names.P_SALT]: row_digests(rows, run.params[names.P_SALT]) for run in evalsets}
    by_evalset = {run.params[names.P_EVALUATION_DIGEST]: run for run in evalsets}
    for batch in project.reader.finished("batch", everywhere=True):
        frozen = by_evalset.get(batch.params.get(names.P_EVALUATION_DIGEST, ""))
        if frozen is not None:
            with _skipping(project, batch):
                _refuse_shared(project, path, digests[frozen.params[names.P_SALT]], batch, frozen)


@contextmanager
def _skipping(project: Project, batch: StoredRun) -> Iterator[None]:
    """Go on, and say so, where the evidence of another project is broken or its files are gone: it is not ours."""
    try:
        yield
    except (EvidenceError, ServerError, KeyError, ValueError) as error:
        if batch.experiment_id == project.server.experiment_id:
            raise
        other = project.reader.experiment_names().get(batch.experiment_id, batch.experiment_id)
        reason = error.found if isinstance(error, SynthError) else repr(error)
        project.say(f"not compared with batch run {batch.run_id} of experiment {other!r}, which is broken: {reason}")


def _refuse_shared(project: Project, path: Path, rows: Hashes, batch: StoredRun, frozen: StoredRun) -> None:
    made = project.row_digests(batch)
    real = project.row_digests(frozen)
    unknown = rows[~np.isin(rows, np.concatenate([real["training"], real["evaluation"]]))]
    certain = int(np.isin(unknown, made["distinctive"]).sum())
    everything = np.concatenate([made["distinctive"], made["common"]])
    shared = int(np.isin(unknown, everything).sum())
    by_chance = int(np.isin(real["evaluation"], everything).sum())
    if not certain and not _more_than_chance(shared, len(unknown), by_chance, len(real["evaluation"])):
        return
    raise UsageError(
        f"{path} is not strictly real: {shared:,} of its {len(rows):,} rows are rows of synthetic batch "
        f"{batch.params[names.P_BATCH]} (project {batch.tags.get(names.TAG_PROJECT)!r}, run {batch.run_id}).",
        "Give the real rows only.",
    )


def _more_than_chance(shared: int, n_rows: int, by_chance: int, n_evaluation: int) -> bool:
    if not shared:
        return False
    return bool(stats.binom.sf(shared - 1, shared + by_chance, n_rows / (n_rows + n_evaluation)) < CHANCE)
