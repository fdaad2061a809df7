"""The gated mix for people who train their own model; its lineage stands on their run before they hold a row.

A batch as users hold it, and the writer that takes the rows of one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pandas as pd

from synth_mlflow.backends.batch_writer import BatchBuffer
from synth_mlflow.data.columns import conform
from synth_mlflow.data.digests import canonical_json
from synth_mlflow.data.json_lines import json_forms
from synth_mlflow.data.json_text import write_json_lines
from synth_mlflow.data.markup import html_table
from synth_mlflow.data.mixing import REAL, FitRows, Mix, check_rows, check_supply, percent, read_ratio, read_shares
from synth_mlflow.data.provenance import Record, source_in_words
from synth_mlflow.data.schema import present
from synth_mlflow.errors import GateError, UsageError
from synth_mlflow.stages.sweep_inputs import open_batches, refuse_overlap
from synth_mlflow.sweep.axes import RATIO, Axis
from synth_mlflow.sweep.plan import ALL_ROWS, FitKey, fit_rows
from synth_mlflow.tracking import names
from synth_mlflow.tracking.lineage import batch_input, frozen_inputs
from synth_mlflow.tracking.project import Project
from synth_mlflow.tracking.server import users_run
from synth_mlflow.tracking.stored import EvaluationSet, StoredBatch, Sweep
from synth_mlflow.tracking.write import log_lineage


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
    def of(cls, project: Project, stored: StoredBatch) -> Self:
        """A batch with its record, which is checked against its digest."""
        return cls(stored.id, stored.run.run_id, stored.n_rows, stored.digest, project.record(stored))

    def _repr_html_(self) -> str:
        origin = self.record.origin
        facts = {
            "rows": f"{self.n_rows:,}",
            "generator": f"{origin.generator} {origin.version}",
            "parameters": canonical_json(dict(origin.params)),
            "seed": "none" if origin.seed is None else origin.seed,
            "slice": origin.slice or "the whole table",
            "purpose": origin.purpose,
            "learned from": source_in_words(origin.source),
            "run": self.run_id,
            "next": f'workflow.validate("{self.batch}")',
        }
        return html_table(["batch", self.batch], list(facts.items()))


class BatchWriter:
    """Takes the rows of one batch; the batch is written when the ``with`` block ends."""

    def __init__(self, spool: BatchBuffer) -> None:
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


@dataclass(frozen=True)
class TrainingData:
    """Rows to train on, and where each is from."""

    rows: pd.DataFrame
    """Real rows, then synthetic ones; shuffle them for models that mind."""
    origin: pd.Series
    """Of shape (n_rows,): ``real``, or the short id of the batch."""
    target: str
    """Empty where there is none."""
    ratio: float
    batches: tuple[str, ...]
    """Short ids of the batches that rows were taken from."""
    run_id: str
    """The run that now carries their lineage."""
    weight: float = 1.0
    """How much a synthetic row counts beside a real one, where a sweep over weights chose it."""

    @property
    def weights(self) -> pd.Series:
        """Of shape (n_rows,): what each row counts; the ``sample_weight`` of a fit."""
        return self.origin.eq(REAL).map({True: 1.0, False: self.weight}).rename("weight")

    @property
    def X(self) -> pd.DataFrame:  # noqa: N802 - the field's name
        """The features."""
        return self.rows.drop(columns=self.target or [])

    @property
    def y(self) -> pd.Series:
        """The target; a UsageError where there is none."""
        if not self.target:
            raise UsageError("a scored task has no target.", "Train on `rows`.")
        return self.rows[self.target]

    def _repr_html_(self) -> str:
        counts = self.origin.value_counts(sort=False)
        title = ["from", f"rows ({percent(self.ratio)} synthetic; lineage on run {self.run_id})"]
        return html_table(title, [[name, f"{count:,}"] for name, count in counts.items()])


def training_data(
    project: Project,
    ratio: float | None = None,
    *,
    batches: Sequence[str] = (),
    mix: Mix | None = None,
    seed: int | None = None,
    run_id: str | None = None,
) -> TrainingData:
    """The mix at a ratio, of real training rows and of batches whose gate is open.

    Without a ratio it is what the newest sweep chose on its axis: a weight comes as ``weights``, a ratio of one slice
    and a mix of batches by the rows that are taken.

    Parameters
    ----------
    project : Project
    ratio : float, optional
        The share of synthetic rows, in [0, 1). By default what the newest sweep chose, with that sweep's batches, mix
        and seed: the rows of its final model.
    batches : sequence of str
        Short ids; by default those of that sweep, else every batch whose gate is open.
    mix : {"augment", "replace"}, optional
        Keep all real rows and add synthetic ones, or keep the total; by default as in that sweep, else ``augment``.
    seed : int, optional
        Which synthetic rows are drawn; by default that of the sweep, else 0.
    run_id : str, optional
        The run that trains; by default MLflow's active run. The real rows and each batch become its dataset inputs, so
        that `trace` finds it.

    Raises
    ------
    UsageError
        If the ratio lies outside [0, 1), there is no run to log on, or it belongs to another server.
    GateError
        If a batch has not passed its gate or was retracted, or too few rows passed.
    EvidenceError
        If any table is no longer what was recorded.
    """
    run_id = users_run(project.server, run_id)
    recipe = _chosen(project.latest_sweep()) if ratio is None else _Recipe(read_ratio(ratio))
    recipe = replace(
        recipe,
        batches=tuple(batches) or recipe.batches,
        mix=mix or recipe.mix,
        seed=recipe.seed if seed is None else seed,
    )
    return _mixed(project, recipe, run_id)


@dataclass(frozen=True)
class _Recipe:
    ratio: float
    batches: tuple[str, ...] = ()
    mix: Mix = "augment"
    seed: int = 0
    axis: Axis = RATIO
    source: str = ""
    """Of the axis ``mix``: each batch's share."""
    share: float | None = None
    """Of synthetic rows in the whole mix, where that is not the point of the axis."""


def _chosen(sweep: Sweep | None) -> _Recipe:
    """How the final model of a sweep was mixed."""
    if sweep is None:
        raise GateError("no ratio was given, and no sweep has chosen one.", "First: `synth-mlflow sweep`.")
    params, curve = sweep.run.params, sweep.curve
    mix: Any = params[names.P_MIX]
    source = curve.source if curve.axis.name == "mix" else ""
    batches, seed = tuple(read_shares(source)) or sweep.run.batches, int(params[names.P_SEED])
    return _Recipe(curve.chosen, batches, mix, seed, curve.axis, source, curve.chosen_share)


def _mixed(project: Project, recipe: _Recipe, run_id: str) -> TrainingData:
    frozen, target = project.evaluation_set(), project.problem().statement.task.target
    real = project.training_rows(frozen)
    refuse_overlap(frozen, real, project.evaluation_rows(frozen))
    batches = open_batches(project, recipe.batches) if recipe.ratio else ()
    tables = [project.rows_to_fit(batch, frozen) for batch in batches]
    labels = np.repeat([batch.id for batch in batches], [len(table) for table in tables])
    n_left_out = sum(batch.n_rows for batch in batches) - len(labels)
    if n_left_out:
        project.say(f"left out: {n_left_out:,} synthetic rows that equal an evaluation row and no training row")
    pool = pd.concat([real, *tables], ignore_index=True)
    places = _taken(project, recipe, pool, len(real), labels).all
    rows = pool.iloc[places].reset_index(drop=True)
    origin = pd.Series(np.concatenate([np.full(len(real), REAL, dtype=object), labels])[places], name="origin")
    used = [batch for batch in batches if (origin == batch.id).any()]
    _log(project, frozen, recipe, used, run_id)
    ids, weight = tuple(batch.id for batch in used), recipe.axis.weight(recipe.ratio) or 1.0
    return TrainingData(present(rows, frozen.schema), origin, target, _share(recipe), ids, run_id, weight)


def write_jsonl(project: Project, rows: pd.DataFrame | TrainingData | Batch | str, path: Path) -> Path:
    """Write rows as JSON lines, in the style of the project's data; of a batch those that equal no evaluation row.

    Parameters
    ----------
    project : Project
    rows : DataFrame, TrainingData, Batch or str
        Rows in the project's own form, a mix, or a batch or its short id.
    path : Path
        Is replaced where it is there.

    Raises
    ------
    UsageError
        If the columns are not those of the project's rows.
    """
    frozen = project.evaluation_set()
    schema = frozen.schema
    if isinstance(rows, TrainingData):
        rows_to_write = rows.rows
    elif isinstance(rows, pd.DataFrame):
        rows_to_write = present(conform(rows, schema, "the table"), schema)
    else:
        batch = project.batch(rows if isinstance(rows, str) else rows.batch)
        free = batch.holds_no_evaluation_row  # then no real row is needed, which may be kept by reference elsewhere
        rows_to_write = present(
            project.batch_rows(batch, schema) if free else project.rows_to_fit(batch, frozen), schema
        )
    write_json_lines(rows_to_write, path, json_forms(schema), None if frozen.table is None else frozen.table.lines)
    return path


def _taken(
    project: Project, recipe: _Recipe, pool: pd.DataFrame, n_real: int, labels: npt.NDArray[np.object_]
) -> FitRows:
    """The rows of the recipe, as places in the real rows and the batches under them."""
    key, axis = FitKey("synthetic", recipe.ratio, ALL_ROWS, recipe.source), recipe.axis
    inside, source = None, None
    if axis.name == "slice":
        mask = project.problem().statement.slices[axis.slice].mask(pool)
        inside, source = mask[:n_real], np.flatnonzero(mask[n_real:])
    if axis.name == "weight" and recipe.ratio:
        check_rows(axis.rows, len(labels))
    elif axis.name == "slice":
        check_supply((recipe.ratio,), int(mask[:n_real].sum()), int(mask[n_real:].sum()), recipe.mix)
    else:
        check_supply((recipe.ratio,), n_real, len(labels), recipe.mix)
    return fit_rows(key, n_real, labels, recipe.mix, recipe.seed, source=source, axis=axis, inside=inside)


def _share(recipe: _Recipe) -> float:
    return recipe.ratio if recipe.share is None else recipe.share


def _log(project: Project, frozen: EvaluationSet, recipe: _Recipe, batches: Sequence[StoredBatch], run_id: str) -> None:
    n_columns = len(frozen.schema.kinds)
    tags = {
        names.TAG_PROJECT: project.server.experiment,
        names.TAG_BATCHES: " ".join(batch.id for batch in batches),
        names.TAG_RATIO: f"{_share(recipe):g}",
        names.TAG_EVALUATION: frozen.digest,
    }
    inputs = [frozen_inputs(frozen)[0], *(batch_input(batch, n_columns) for batch in batches)]
    log_lineage(project.server, run_id, inputs, tags)
