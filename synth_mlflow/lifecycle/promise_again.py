"""The promised score of a model, computed again from its predictions and the frozen rows."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import astuple
from datetime import datetime

from synth_mlflow.data.digests import array_digest, canonical_json
from synth_mlflow.lifecycle.usage import handoffs_of
from synth_mlflow.model.promise import Promise
from synth_mlflow.stages.opening import read_predictions, scored
from synth_mlflow.tracking import names
from synth_mlflow.tracking.project import Project
from synth_mlflow.tracking.promises import StatedPromise, promise_of
from synth_mlflow.tracking.read import StoredRun

CLOSE = 1e-9  # relative; what another processor may round differently


def promise_contradictions(project: Project, final: StoredRun, runs: Sequence[StoredRun]) -> Iterator[str]:
    """What a final run promises and its predictions, the frozen rows, or the handoffs of its sweep do not bear out.

    Parameters
    ----------
    project : Project
    final : StoredRun
        Its files must match their digests.
    runs : sequence of StoredRun
        Every run of the project.

    Raises
    ------
    EvidenceError, GateError
        If the promise was changed, or the frozen rows or the statement are not here or not what they were.
    """
    predictions = array_digest(read_predictions(project.reader.file(final, names.A_PREDICTIONS))[0])
    if final.params[names.P_PREDICTIONS] != predictions:
        yield f"{names.A_PREDICTIONS} has digest {predictions[:12]}…, its run says {final.params[names.P_PREDICTIONS]}"
    counting = [run for run in runs if run.counts]
    handoffs = handoffs_of(counting, {final.params[names.P_SWEEP]})
    stated = promise_of(final)
    if stated is None:
        yield from (f"the promise that handoff {handoff.run_id} tells of is gone" for handoff in handoffs)
        return
    sweep = next((run for run in counting if run.run_id == final.params[names.P_SWEEP]), None)
    if sweep is None:
        return  # told by whoever looks for missing runs
    found = _again(project, sweep, final, stated)
    if not _alike(found, stated.promise):
        yield f"it promises “{stated.promise.words}”, its predictions and the frozen rows give “{found.words}”"
    yield from _uses_left_out(stated, sweep, counting)
    for handoff in handoffs:
        if handoff.params.get(names.P_PROMISED) != canonical_json(stated.interval):
            yield f"handoff {handoff.run_id} promises {handoff.params.get(names.P_PROMISED)}, it {stated.interval}"


def _again(project: Project, sweep: StoredRun, final: StoredRun, stated: StatedPromise) -> Promise:
    """With the earlier uses that it was stated with; of the others only their number is kept, which is all it tells."""
    curve = project.curve(sweep)
    earlier, n_others = stated.promise.earlier_answers, stated.promise.n_other_sweeps
    others = earlier if stated.promise.shared else (1,) * n_others
    return scored(project, final, curve, other_sweeps=others, earlier_openings=earlier)


def _alike(one: Promise, other: Promise) -> bool:
    pairs = zip(astuple(one), astuple(other), strict=True)
    return all(math.isclose(a, b, rel_tol=CLOSE) if isinstance(a, float) else a == b for a, b in pairs)


def _uses_left_out(stated: StatedPromise, sweep: StoredRun, runs: Sequence[StoredRun]) -> Iterator[str]:
    """Uses by this project that had ended before the promise was stated, so that it must have counted them."""
    before = [run for run in runs if run.ended and run.ended < 1000 * datetime.fromisoformat(stated.at).timestamp()]
    if stated.promise.shared:
        uses = {run.run_id for run in before if run.stage == "sweep"} - {sweep.run_id}
    else:
        uses = {run.params[names.P_SWEEP] for run in before if run.stage == "handoff"} - {sweep.run_id}
    counted = len(stated.promise.earlier_answers)
    if counted < len(uses):
        yield f"its promise counts {counted} earlier uses of the frozen set, this project alone has {len(uses)}"
