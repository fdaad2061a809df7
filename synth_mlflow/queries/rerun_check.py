"""Whether a recorded choice still holds: drift of new rows, and the conditions that ask for a rerun.

Whether rows that came later still follow the law of those that are known, column by column.

`check`: hold the named conditions that force a rerun against what is known now.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from synth_mlflow.data.addresses import Place
from synth_mlflow.data.columns import CATEGORICAL_KINDS, Schema, schema_of
from synth_mlflow.data.digests import are_among, are_repeated, json_digest, row_digests
from synth_mlflow.data.grids import floats_of
from synth_mlflow.data.statement import read_statement
from synth_mlflow.errors import EvidenceError, GateError, UsageError, closest
from synth_mlflow.gate.rerun_conditions import (
    CONTAMINATION,
    evaluate,
    installed_environment,
    installed_generators,
    production_values,
    recorded_facts,
    retracted_inside,
    unjudged_inside,
    without_check,
)
from synth_mlflow.gate.verdicts import newest_notes
from synth_mlflow.later import later
from synth_mlflow.tracking import names
from synth_mlflow.tracking.project import Project
from synth_mlflow.tracking.read import StoredRun
from synth_mlflow.tracking.sign_offs import estimate_of
from synth_mlflow.tracking.stored import EvaluationSet, StoredBatch
from synth_mlflow.tracking.write import NewRun, create_run, writing
from synth_mlflow.triggers import DRIFT_ALPHA, CurrentState, Drift, TriggerStates

if TYPE_CHECKING:
    from synth_mlflow.data.tables import read_as, read_table
    from synth_mlflow.metrics.distances import (
        counted_tv_distance,
        homogeneity_p_value,
        ks_p_value,
        label_counts,
        share_p_value,
        sorted_ks_distance,
    )
    from synth_mlflow.metrics.encoding import labels
else:  # only rows to compare need them, and what they load
    read_as = later("synth_mlflow.data.tables", "read_as")
    read_table = later("synth_mlflow.data.tables", "read_table")
    counted_tv_distance = later("synth_mlflow.metrics.distances", "counted_tv_distance")
    homogeneity_p_value = later("synth_mlflow.metrics.distances", "homogeneity_p_value")
    ks_p_value = later("synth_mlflow.metrics.distances", "ks_p_value")
    label_counts = later("synth_mlflow.metrics.distances", "label_counts")
    share_p_value = later("synth_mlflow.metrics.distances", "share_p_value")
    sorted_ks_distance = later("synth_mlflow.metrics.distances", "sorted_ks_distance")
    labels = later("synth_mlflow.metrics.encoding", "labels")


@dataclass(frozen=True)
class ColumnDrift:
    """How far one column has moved."""

    column: str
    distance: float
    """Kolmogorov-Smirnov distance of numbers and dates, total variation of labels, or the difference of the shares that
    are missing where that is more significant; between 0 and 1."""
    p_value: float
    """Corrected for the number of columns: how often rows of one distribution would look as different anywhere."""


def table_drift(known: pd.DataFrame, new: pd.DataFrame, schema: Schema) -> tuple[ColumnDrift, ...]:
    """Test every column, most significant first.

    Parameters
    ----------
    known, new : DataFrames of shape (n_known, n_columns), (n_new, n_columns)
        With the columns and types of ``schema``.

    Notes
    -----
    Kolmogorov-Smirnov test of the values that are there and Fisher's exact test of the shares that are missing for
    numbers and dates, the smaller p-value doubled; chi-squared test of the shares of labels, missing ones a label of
    their own. Corrected over the columns by Holm's method (S. Holm, Scandinavian Journal of Statistics 6, 1979).

    Examples
    --------
    >>> known = pd.DataFrame({"size": range(100), "colour": ["red", "blue"] * 50})
    >>> found = table_drift(known, known.assign(size=range(300, 400)), Schema({"size": "integer", "colour": "string"}))
    >>> [(drift.column, drift.distance, drift.p_value < 0.001) for drift in found]
    [('size', 1.0, True), ('colour', 0.0, False)]
    """
    drifts = sorted((_column(known[name], new[name], name, schema) for name in schema), key=lambda drift: drift.p_value)
    corrected, largest = [], 0.0
    for rank, drift in enumerate(drifts):
        largest = max(largest, min(1.0, drift.p_value * (len(drifts) - rank)))
        corrected.append(ColumnDrift(drift.column, drift.distance, largest))
    return tuple(corrected)


def _column(known: pd.Series, new: pd.Series, name: str, schema: Schema) -> ColumnDrift:
    return (_labels if schema[name] in CATEGORICAL_KINDS else _numbers)(known, new, name)


def _labels(known: pd.Series, new: pd.Series, name: str) -> ColumnDrift:
    counts = label_counts(pd.Series(labels(known)), pd.Series(labels(new)))
    return ColumnDrift(name, counted_tv_distance(*counts), homogeneity_p_value(*counts))


def _numbers(known: pd.Series, new: pd.Series, name: str) -> ColumnDrift:
    sides = [floats_of(known), floats_of(new)]
    here = [np.sort(side[~np.isnan(side)]) for side in sides]
    n_missing = [len(side) - len(there) for side, there in zip(sides, here, strict=True)]
    distance, p_value = 0.0, 1.0
    if all(map(len, here)):
        distance = sorted_ks_distance(*here)
        p_value = ks_p_value(distance, *map(len, here))
    if not any(n_missing):
        return ColumnDrift(name, distance, p_value)
    p_missing = share_p_value(n_missing[0], len(known), n_missing[1], len(new))
    if p_missing < p_value:
        distance, p_value = abs(n_missing[0] / len(known) - n_missing[1] / len(new)), p_missing
    return ColumnDrift(name, distance, min(1.0, 2 * p_value))


@dataclass(frozen=True)
class GivenState:
    """What the caller knows that the server does not; all of it may be left out."""

    new_data: Place | None = None
    """A file with the real rows of today, known ones included or not."""
    generators: Mapping[str, str] | None = None
    """Generator name to its present version; by default what is installed."""
    statement: Path | None = None
    """problem.md as it stands today."""


def check(project: Project, given: GivenState | None = None) -> TriggerStates:
    """Every condition of the statement, with its state and the numbers, and whether a batch was retracted.

    Parameters
    ----------
    project : Project
    given : GivenState, optional

    Raises
    ------
    GateError
        Before `sweep`: there is no model that could be out of date.
    UsageError
        If a version is given of a generator that has made no batch of the project.
    """
    with project.reader.at_one_moment():
        return _check(project, given or GivenState())


def _check(project: Project, state: GivenState) -> TriggerStates:
    problem, frozen = project.problem(), project.evaluation_set()
    sweep = project.latest_sweep()
    if sweep is None:
        raise GateError(f"project {project.server.experiment!r} has no model yet.", "First: `synth-mlflow sweep`.")
    finals = [run for run in project.reader.finished("final") if run.parent == sweep.run.run_id]
    if not finals:
        raise EvidenceError(f"the final model of sweep {sweep.run.run_id} is gone.", "Restore its run in MLflow.")
    final = project.reader.verify_seal(finals[0])
    inside = set(final.batches) if sweep.curve.chosen else set()
    batches = project.batches()
    used = [batch for batch in batches if batch.id in inside]
    recorded = recorded_facts(problem, frozen, final, used, estimate_of(final))
    _refuse_unknown_generators(state.generators or {}, batches)
    news = _news(project, frozen, state.new_data)
    digest = read_statement(state.statement).digest if state.statement else problem.statement.digest
    present = CurrentState(
        generators={**installed_generators(recorded.generators), **(state.generators or {})},
        statement_digest=digest,
        schema_digest=news.schema_digest,
        n_new_rows=news.n_rows,
        rows_refused=news.refused,
        drift=news.drift,
        production=production_values(project.reader.finished("production"), final),
        environment=installed_environment(),
    )
    unjudged = unjudged_inside(_contamination_checks(project, used), [batch.id for batch in used])
    return TriggerStates([*evaluate(problem, recorded, present), retracted_inside(used), *unjudged])


def _contamination_checks(project: Project, batches: Sequence[StoredBatch]) -> list[StoredRun]:
    """The checks for evaluation rows that notes of verdicts name; all of the project where a batch has no such note."""
    notes = (note for batch in batches for note in newest_notes(batch.run).values())
    named = [each.run_id for note in notes for each in note.checks if each.check == CONTAMINATION]
    checks = project.reader.by_ids(named)
    is_complete = not without_check(checks, [batch.id for batch in batches])
    return checks if is_complete else project.reader.finished(CONTAMINATION)


def _refuse_unknown_generators(versions: Mapping[str, str], batches: Sequence[StoredBatch]) -> None:
    made = {batch.run.params[names.P_GENERATOR] for batch in batches}
    for name in versions:
        if name not in made:
            raise UsageError(f"no batch of this project was made by generator {name!r}.", closest(name, made))


def log_production(project: Project, value: float, n_rows: int | None = None) -> StoredRun:
    """Record one value of the project's metric that was measured in production.

    Raises
    ------
    UsageError
        If the value is not finite or beyond the metric, or the number of rows not positive.
    """
    if not np.isfinite(value) or (n_rows is not None and n_rows < 1):
        on = "" if n_rows is None else f" on {n_rows:,} rows"
        raise UsageError(
            f"a finite value and a positive number of rows are needed, found {value}{on}.",
            "`synth-mlflow log-production --metric VALUE --n ROWS`",
        )
    from synth_mlflow.models.scoring import ceiling  # takes 1 s to import

    metric = project.problem().statement.facts.metric
    if value > ceiling(metric):
        raise UsageError(
            f"{metric} is at most {ceiling(metric):g}, found {value:g}.",
            "Give the metric itself, greater is better: no percentage, and errors below zero.",
        )
    previous = len(project.reader.finished("production"))
    key = json_digest(["production", previous, value, n_rows])
    run_id = create_run(project.server, NewRun("production", f"production · {metric} {value:.4g}", key))
    with writing(project.server, run_id) as draft:
        draft.param(names.P_METRIC, metric)
        draft.metric(names.M_SCORE, value)
        draft.metric(names.own_name(metric), value)
        if n_rows is not None:
            draft.metric(names.M_ROWS, n_rows)
        rows = "" if n_rows is None else f" on {n_rows:,} rows"
        draft.describe(f"**{metric} = {value:.4f}** in production{rows}. Next: `synth-mlflow check`.")
    return project.reader.run(run_id)


@dataclass(frozen=True)
class _News:
    """What a file of today's real rows says."""

    schema_digest: str
    n_rows: int | None = None
    drift: Drift | None = None
    refused: str = ""


def _news(project: Project, frozen: EvaluationSet, path: Place | None) -> _News:
    if path is None:
        return _News(frozen.schema_digest)
    try:
        rows = read_as(path, frozen.schema)
    except UsageError as refusal:  # other columns are no mistake here but an answer
        return _News(json_digest(list(schema_of(read_table(path)).kinds.items())), refused=refusal.found)
    return _News(frozen.schema_digest, *_new_rows(project, frozen, rows))


def _new_rows(project: Project, frozen: EvaluationSet, rows: pd.DataFrame) -> tuple[int, Drift | None]:
    known = np.concatenate(list(project.row_digests(frozen.run).values()))
    digests = row_digests(rows, frozen.salt)
    unseen = rows[~are_among(digests, known) & ~are_repeated(digests)]
    return len(unseen), _drift(project, frozen, unseen)


def _drift(project: Project, frozen: EvaluationSet, unseen: pd.DataFrame) -> Drift | None:
    """None where nothing is new, or the known rows are kept by reference and are not here."""
    if unseen.empty:
        return None
    try:
        known = pd.concat([project.training_rows(frozen), project.evaluation_rows(frozen)])
    except EvidenceError:
        if frozen.run.params[names.P_ROW_STORAGE] == "rows":
            raise
        return None
    drifts = table_drift(known, unseen, frozen.schema)
    moved = [column for column in drifts if column.p_value < DRIFT_ALPHA]
    return Drift(
        drifts[0].p_value,
        tuple(column.column for column in moved),
        "Kolmogorov-Smirnov, Fisher's and chi-squared tests by column, Holm-corrected",
        tuple(column.distance for column in moved),
    )
