"""Score the final model once on the confirmation split and record the result; later reports reuse it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from synth_mlflow.data.digests import canonical_json
from synth_mlflow.models.labels import Labels
from synth_mlflow.sweep.curve import Curve
from synth_mlflow.sweep.holdout import HoldoutEstimate, estimate_on_confirmation_split
from synth_mlflow.tracking import names
from synth_mlflow.tracking.project import Project
from synth_mlflow.tracking.read import StoredRun
from synth_mlflow.tracking.sign_offs import RecordedEstimate, estimate_in, estimate_of, estimate_text
from synth_mlflow.tracking.write import set_param_once


def get_or_record_estimate(project: Project, final: StoredRun, curve: Curve) -> RecordedEstimate:
    """The estimate that stands on the run of a final model, or else the one that is stated there now, for good.

    Of several reports at once the first one states it; whatever happens to them, every later one says the same.

    Raises
    ------
    EvidenceError
        If the estimate, the predictions or the frozen rows are not what was recorded, or the rows are elsewhere.
    """
    stands = estimate_of(final)
    if stands is None:
        sweeps, finals = runs_on_evaluation_set(project, "sweep"), runs_on_evaluation_set(project, "final")
        keys = {run.run_id: run.params.get(names.P_KEY, run.run_id) for run in sweeps}
        own = final.params[names.P_SWEEP]
        others = _distinct({run.run_id: keys[run.run_id] for run in sweeps}, sweeps, keys.get(own, own))
        opened = [run for run in finals if names.P_HOLDOUT_ESTIMATE in run.params and run.run_id != final.run_id]
        of_sweep = {run.run_id: keys.get(run.params[names.P_SWEEP], run.params[names.P_SWEEP]) for run in opened}
        openings = _distinct(of_sweep, opened, keys.get(own, own))
        estimate = scored(project, final, curve, other_sweeps=_answers(others), earlier_openings=_answers(openings))
        stated = RecordedEstimate(estimate, datetime.now(UTC).isoformat(timespec="seconds"))
        text = set_param_once(project.server, final.run_id, names.P_HOLDOUT_ESTIMATE, estimate_text(final, stated))
        stands = estimate_in(text, final)
    return stands


def scored(
    project: Project, final: StoredRun, curve: Curve, *, other_sweeps: Sequence[int], earlier_openings: Sequence[int]
) -> HoldoutEstimate:
    """The estimate of a final model, from its recorded predictions and the frozen rows."""
    predictions, classes = read_predictions(project.reader.file(final, names.A_PREDICTIONS))
    frozen = project.evaluation_set()
    rows, task = project.evaluation_rows(frozen), frozen.task_of(project.problem().statement)
    return estimate_on_confirmation_split(
        curve, rows, task, classes, predictions, other_sweeps=other_sweeps, earlier_openings=earlier_openings
    )


def runs_on_evaluation_set(project: Project, stage: Literal["sweep", "final"]) -> list[StoredRun]:
    """All sweeps, or final models, in any experiment, that were scored on these rows: each reuse weakens them."""
    where = f"params.`{names.P_EVALUATION_DIGEST}` = '{project.evaluation_set().digest}'"
    return project.reader.finished(stage, where=where, everywhere=True)


def _distinct(keys: Mapping[str, str], runs: Sequence[StoredRun], own: str) -> list[StoredRun]:
    """One run of each key but the own one: several processes that sweep the same at once have looked once."""
    by_key = {keys[run.run_id]: run for run in reversed(runs)}
    return [run for key, run in by_key.items() if key != own]


def _answers(runs: list[StoredRun]) -> list[int]:
    """Between how many ratios each decided, of all sources together."""
    return [int(run.params.get(names.P_ANSWERS, len(json.loads(run.params[names.P_RATIOS])))) for run in runs]


def write_predictions(path: Path, predictions: npt.NDArray[np.float64], classes: Labels) -> None:
    """Keep what a model says of every row of the frozen set, with the labels in the order of its probabilities."""
    np.savez_compressed(path, predictions=predictions, classes=np.array(canonical_json(list(classes))))


def read_predictions(path: Path) -> tuple[npt.NDArray[np.float64], Labels]:
    """The inverse of :func:`write_predictions`; nothing is unpickled."""
    with np.load(path, allow_pickle=False) as arrays:
        return arrays["predictions"], tuple(json.loads(str(arrays["classes"])))
