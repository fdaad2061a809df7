"""The two arms of the utility check: models that learned from real rows, and from the batch in their place."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from synth_mlflow.checks import Evidence
from synth_mlflow.checks._tables import Tables, judged_tables, thin, too_few
from synth_mlflow.data.splits import Positions, group_codes
from synth_mlflow.data.task import Task
from synth_mlflow.model.constant import constant_prediction
from synth_mlflow.model.fit import fit

Floats = npt.NDArray[np.float64]

MAX_TRAINING_ROWS = 10_000
MAX_CONTROL_ROWS = 10_000
MIN_ROWS = 50
N_REPEATS = 6
SUBSAMPLE = 0.8  # of the rows there are: repeats of full samples would not differ on a small table


@dataclass(frozen=True)
class Trained:
    """What both arms may learn from, and the evaluation rows that they are scored on."""

    batch: pd.DataFrame
    members: pd.DataFrame
    control: pd.DataFrame
    classes: tuple[Any, ...]
    """Of all real training rows; empty for regression."""
    rest: pd.DataFrame | None = None
    """Real rows outside the slice, which both arms learn from too; None where the batch is judged within its slice."""


@dataclass(frozen=True)
class Arms:
    """Predictions on the control: shape (n_repeats, n_control, …) each."""

    real: Floats
    synthetic: Floats
    constant: Floats
    """Of a model that has not seen what the arms are compared by: a constant, or real rows outside the slice alone."""
    control: pd.DataFrame
    classes: tuple[Any, ...]
    n_training_rows: int
    beside_rest: bool = False

    @property
    def without(self) -> str:
        """What the arms are compared with, for people."""
        return "real rows outside the slice alone" if self.beside_rest else "a constant prediction"


def trainable(evidence: Evidence) -> Trained:
    """The rows with a target of a class that training rows have: within the slice, or beside the rest of real rows.

    Within a slice no score is defined where one class is left, and none means much where the slice is cut out of the
    target: there the rows of the slice are put beside real rows of the rest, and scored on all evaluation rows.
    """
    task, part = evidence.task, evidence.slice
    within = judged_tables(evidence)
    if part is None:
        return _known(within.batch, within.members, _selected(evidence, within.control), within.members, task)
    found = _known(within.batch, within.members, within.control, within.members, task)
    if task.target not in part.columns and _varies(found, task):
        return found
    whole = judged_tables(replace(evidence, slice=None))
    found = _known(within.batch, within.members, _selected(evidence, whole.control), whole.members, task)
    outside = whole.members[~part.mask(whole.members) & whole.members[task.target].notna().to_numpy()]
    return replace(found, rest=outside.reset_index(drop=True))


def too_few_rows(trained: Trained) -> str:
    """Why no model can be trained and tested, or nothing."""
    tables = Tables(trained.batch, trained.members, trained.control)
    return too_few(tables, needed=MIN_ROWS, needed_batch=MIN_ROWS, why="train and test a model")


def train(trained: Trained, evidence: Evidence) -> Arms:
    """Fit both arms on as many rows, again and again."""
    rng = np.random.default_rng([evidence.seed, 31])
    control, classes, task = thin(trained.control, MAX_CONTROL_ROWS, rng), trained.classes, evidence.task
    n_rows = min(*(int(SUBSAMPLE * len(side)) for side in (trained.batch, trained.members)), MAX_TRAINING_ROWS)
    sides = (trained.members, group_codes(trained.members, task)), (trained.batch, None)
    arms = []
    for rows, groups in sides:
        draws = (_beside(_drawn(rows, n_rows, rng, groups), trained.rest, rng) for _ in range(N_REPEATS))
        arms.append(np.stack([_fitted(drawn, control, evidence, classes) for drawn in draws]))
    if trained.rest is None:
        constant = constant_prediction(trained.members[task.target], classes, len(control))
    else:
        constant = _fitted(_beside(trained.members[:0], trained.rest, rng), control, evidence, classes)
    return Arms(arms[0], arms[1], constant, control, classes, n_rows, trained.rest is not None)


def classes_of_members(members: pd.DataFrame, task: Task) -> tuple[Any, ...]:
    """The classes of training rows, in the order of probabilities; none for regression."""
    return tuple(sorted(members[task.target].dropna().unique().tolist())) if task.is_classification else ()


def _selected(evidence: Evidence, control: pd.DataFrame) -> pd.DataFrame:
    """Without the rows that confirm: a batch that passes for its score on them would promise too much."""
    return control if evidence.choosing is None else control[evidence.choosing].reset_index(drop=True)


def _known(
    batch: pd.DataFrame, members: pd.DataFrame, control: pd.DataFrame, reference: pd.DataFrame, task: Task
) -> Trained:
    """The rows with a target, and of batch and control those with a class that the reference rows have."""
    classes = classes_of_members(reference, task)
    sides = (rows[rows[task.target].notna()] for rows in (batch, members, control))
    kept = [rows[rows[task.target].isin(classes)] if classes else rows for rows in sides]
    judged, learned, scored = (rows.reset_index(drop=True) for rows in kept)
    return Trained(judged, learned, scored, classes)


def _varies(found: Trained, task: Task) -> bool:
    """Whether both sides of a slice hold more than one value of the target."""
    return all(rows[task.target].nunique() > 1 for rows in (found.members, found.control))


def _drawn(rows: pd.DataFrame, n_rows: int, rng: np.random.Generator, groups: Positions | None) -> pd.DataFrame:
    """About ``n_rows`` rows without replacement: whole groups where rows come in groups."""
    if groups is None:
        return thin(rows, n_rows, rng)
    order = rng.permutation(int(groups.max()) + 1)
    n_groups = int(np.searchsorted(np.cumsum(np.bincount(groups)[order]), n_rows, "right"))
    return rows[np.isin(groups, order[: max(n_groups, 1)])].reset_index(drop=True)


def _beside(drawn: pd.DataFrame, rest: pd.DataFrame | None, rng: np.random.Generator) -> pd.DataFrame:
    if rest is None:
        return drawn
    n_rest = min(int(SUBSAMPLE * len(rest)), MAX_TRAINING_ROWS)
    return pd.concat([thin(rest, n_rest, rng), drawn], ignore_index=True)


def _fitted(rows: pd.DataFrame, control: pd.DataFrame, evidence: Evidence, classes: tuple[Any, ...]) -> Floats:
    target = rows[evidence.task.target]
    if target.nunique() < 2:  # nothing can be learned from a constant
        return constant_prediction(target, classes, len(control))
    model = fit(evidence.model, evidence.task, rows, seed=evidence.seed, classes=classes or None)
    return np.asarray(model.predict(control), dtype=np.float64)
