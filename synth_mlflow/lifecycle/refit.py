"""The chosen model, fitted again with the recorded rows, settings and seed; and the whole curve."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from synth_mlflow.data.digests import array_digest
from synth_mlflow.errors import UsageError
from synth_mlflow.lifecycle.recorded_sweep import RecordedSweep
from synth_mlflow.model.bench import Bench
from synth_mlflow.model.curve import Curve
from synth_mlflow.model.fit import FitRows
from synth_mlflow.model.plan import ALL_ROWS, DESIGN
from synth_mlflow.model.sweep import run_sweep
from synth_mlflow.tracking import names


@dataclass(frozen=True)
class Refitted:
    """A model that was fitted again."""

    score: float
    """On the evaluation rows that chose."""
    predictions: str
    """Digest of what it says on the whole evaluation set."""


def refit(sweep: RecordedSweep, tables: Sequence[pd.DataFrame]) -> Refitted:
    """Fit the final model again.

    Parameters
    ----------
    sweep : RecordedSweep
    tables : sequence of DataFrame
        The rows of its batches, in their order; of each, the rows at the recorded places are taken.

    Raises
    ------
    EvidenceError
        If any recorded rows are no longer what they were.
    """
    statement, plan = sweep.problem.statement, sweep.plan(n_jobs=1)
    synthetic = pd.concat(tables, ignore_index=True)
    facts = statement.facts
    task = sweep.frozen.task_of(statement)
    bench = Bench.build(sweep.training, sweep.evaluation, task, facts.metric, sweep.spec, synthetic=synthetic)
    rows, seed = _rows(sweep, tables), plan.seed + ALL_ROWS + 1
    predictions = bench.trainer.predictions(rows, seed)
    everyone = np.ones(len(bench.truth), dtype=np.bool_)
    model = bench.trainer.model(rows, seed)
    return Refitted(bench.score(predictions, everyone), array_digest(model.predict(sweep.evaluation)))


def swept_again(sweep: RecordedSweep) -> Curve:
    """The whole curve, measured again on the recorded rows.

    Raises
    ------
    UsageError
        If an earlier version made other fits, or read them in another way: its numbers cannot come out here.
    """
    if sweep.curve.design != DESIGN:
        raise UsageError(
            f"the curve is of design {sweep.curve.design} (an earlier version of this package, which tested redraws of "
            f"80 % of the real rows), and this version measures by design {DESIGN}: its model can be fitted again, its "
            "curve cannot.",
            "Install the recorded version of synth-mlflow, or sweep anew: `synth-mlflow sweep`.",
        )
    statement = sweep.problem.statement
    return run_sweep(
        sweep.training,
        sweep.synthetic,
        sweep.evaluation,
        sweep.frozen.task_of(statement),
        statement.facts.metric,
        sweep.spec,
        sweep.plan(),
        slices=statement.slices,
        batches=sweep.origin,
        sources=sweep.sources,
    ).curve


def _rows(sweep: RecordedSweep, tables: Sequence[pd.DataFrame]) -> FitRows:
    """The rows of the recorded mix, as places in the pool: real rows, then batch after batch."""
    mix = pd.read_parquet(sweep.project.reader.file(sweep.final, names.A_MIX))
    starts = np.cumsum([len(sweep.training), *(len(table) for table in tables)])[:-1]
    first = {batch.id: int(start) for batch, start in zip(sweep.batches, starts, strict=True)}
    real = mix.loc[mix["from"] == "real", "row"].to_numpy(dtype=np.int64)
    added = mix.loc[mix["from"] != "real"]
    places = added["row"].to_numpy(dtype=np.int64) + added["from"].map(first).to_numpy(dtype=np.int64)
    return FitRows(real, places.astype(np.int64), sweep.curve.axis.weight(sweep.curve.chosen))
