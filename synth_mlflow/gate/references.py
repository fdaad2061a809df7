"""Runs that others name: whether each is still there, and is the one that was meant."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence

from synth_mlflow.data.mixing import percent
from synth_mlflow.tracking import names
from synth_mlflow.tracking.read import StoredRun

NAMED_BY_DIGEST = (
    (names.P_STATEMENT, "problem", "problem statement"),
    (names.P_EVALUATION_DIGEST, "evaluation_set", "evaluation set"),
    (names.P_TRAINING_DIGEST, "evaluation_set", "set of training rows"),
)
"""A parameter, the stage whose runs hold the same one, and what it names."""


class ReferenceIndex:
    """Every run of a project, ready to be asked by each of them what it names.

    Parameters
    ----------
    runs : sequence of StoredRun
        Also those that are not finished: a pass may hang under a root that failed later.
    """

    def __init__(self, runs: Sequence[StoredRun]) -> None:
        counting = [run for run in runs if run.counts]
        self._ids = {run.run_id for run in runs}
        self._digests = {
            param: {run.params.get(param) for run in counting if run.stage == stage}
            for param, stage, _ in NAMED_BY_DIGEST
        }
        self._batches = {run.params.get(names.P_BATCH): run for run in counting if run.stage == "batch"}
        self._under: dict[str | None, list[StoredRun]] = {}
        for run in counting:
            self._under.setdefault(run.parent, []).append(run)

    def missing(self, run: StoredRun) -> Iterator[str]:
        """What a run names and the project does not hold any more."""
        named = [("parent", run.parent), ("sweep", run.params.get(names.P_SWEEP))]
        for label, prefix in (("sign-off", names.P_SIGN_OFF_PREFIX), ("approval", names.P_APPROVAL_PREFIX)):
            named += [(label, name.removeprefix(prefix)) for name in run.params if name.startswith(prefix)]
        for label, run_id in named:
            if run_id and run_id not in self._ids:
                yield f"its {label} run {run_id} is gone"
        for param, _, what in NAMED_BY_DIGEST:
            digest = run.params.get(param)
            if digest and digest not in self._digests[param]:
                yield f"it names the {what} {digest[:12]}…, which no finished run of the project holds"
        yield from self._missing_batches(run)
        yield from self._missing_children(run)

    def _missing_batches(self, run: StoredRun) -> Iterator[str]:
        digests = run.batch_digests or ("",) * len(run.batches)
        for batch, digest in zip(run.batches, digests, strict=False):
            held = self._batches.get(batch)
            if held is None:
                yield f"it used batch {batch}, whose run is gone"
            elif not held.params.get(names.P_BATCH_DIGEST, "").startswith(digest):
                yield f"it used batch {batch} with digest {digest}…, the batch has another one now"

    def _missing_children(self, run: StoredRun) -> Iterator[str]:
        under = self._under.get(run.run_id, [])
        if run.stage == "evaluation_set":
            yield from _of_a_set(under)
        elif run.stage == "sweep":
            yield from _of_a_sweep(run, under)


def _of_a_set(under: Sequence[StoredRun]) -> Iterator[str]:
    n_baselines = sum(other.stage == "baseline" for other in under)
    if n_baselines != 1:
        yield f"it has {n_baselines} baseline runs, 1 was written" if n_baselines else "its baseline run is gone"


def _of_a_sweep(sweep: StoredRun, under: Sequence[StoredRun]) -> Iterator[str]:
    if "final" not in {other.stage for other in under}:
        yield "the run of its final model is gone"
    ratios = [other for other in under if other.stage == "ratio"]
    left = {round(names.axis_value({names.M_RATIO: -1.0, **other.metrics}), 6) for other in ratios}
    points = sweep.params.get(names.P_AXIS_VALUES, sweep.params.get(names.P_RATIOS, "[]"))
    noun = "weight" if sweep.params.get(names.P_AXIS) == "weight" else "ratio"
    for point in json.loads(points):
        if round(point, 6) not in left:
            yield f"its run of {noun} {f'{point:g}' if noun == 'weight' else percent(point)} is gone"
    keys = Counter(other.tags.get(names.TAG_KEY) for other in ratios)
    for other in ratios:
        if keys[other.tags.get(names.TAG_KEY)] > 1:
            yield f"run {other.run_id} ({other.name}) stands twice"
