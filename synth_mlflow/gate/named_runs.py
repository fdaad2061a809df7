"""Runs that others name: whether each is still there, and is the one that was meant."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence

from synth_mlflow.tracking import names
from synth_mlflow.tracking.read import StoredRun

NAMED_BY_DIGEST = (
    (names.P_STATEMENT, "problem", "problem statement"),
    (names.P_EVALUATION_DIGEST, "evalset", "evaluation set"),
    (names.P_TRAINING_DIGEST, "evalset", "set of training rows"),
)
"""A parameter, the stage whose runs hold the same one, and what it names."""


def missing(run: StoredRun, runs: Sequence[StoredRun]) -> Iterator[str]:
    """What a run names and the project does not hold any more.

    Parameters
    ----------
    run : StoredRun
    runs : sequence of StoredRun
        Every run of the project, also those that are not finished: a pass may hang under a root that failed later.
    """
    ids, runs = {other.run_id for other in runs}, [other for other in runs if other.counts]
    named = [("parent", run.parent), ("sweep", run.params.get(names.P_SWEEP))]
    prefix = names.P_SIGN_OFF_PREFIX
    named += [("sign-off", name.removeprefix(prefix)) for name in run.params if name.startswith(prefix)]
    for label, run_id in named:
        if run_id and run_id not in ids:
            yield f"its {label} run {run_id} is gone"
    for param, stage, what in NAMED_BY_DIGEST:
        digest = run.params.get(param)
        if digest and digest not in {other.params.get(param) for other in runs if other.stage == stage}:
            yield f"it names the {what} {digest[:12]}…, which no finished run of the project holds"
    yield from _batches(run, runs)
    yield from _children(run, runs)


def _batches(run: StoredRun, runs: Sequence[StoredRun]) -> Iterator[str]:
    held = {other.params.get(names.P_BATCH): other for other in runs if other.stage == "batch"}
    named = run.params.get(names.P_BATCHES, "").split()
    digests = run.params.get(names.P_BATCH_DIGESTS, "").split() or [""] * len(named)
    for batch, digest in zip(named, digests, strict=False):
        if batch not in held:
            yield f"it used batch {batch}, whose run is gone"
        elif not held[batch].params.get(names.P_BATCH_DIGEST, "").startswith(digest):
            yield f"it used batch {batch} with digest {digest}…, the batch has another one now"


def _children(run: StoredRun, runs: Sequence[StoredRun]) -> Iterator[str]:
    under = [other for other in runs if other.parent == run.run_id]
    if run.stage == "evalset":
        n_baselines = sum(other.stage == "baseline" for other in under)
        if n_baselines != 1:
            yield f"it has {n_baselines} baseline runs, 1 was written" if n_baselines else "its baseline run is gone"
    elif run.stage == "sweep":
        yield from _of_a_sweep(run, under)


def _of_a_sweep(sweep: StoredRun, under: Sequence[StoredRun]) -> Iterator[str]:
    if "final" not in {other.stage for other in under}:
        yield "the run of its final model is gone"
    ratios = [other for other in under if other.stage == "ratio"]
    left = {round(other.metrics.get(names.M_RATIO, -1), 6) for other in ratios}
    for ratio in json.loads(sweep.params.get(names.P_RATIOS, "[]")):
        if round(ratio, 6) not in left:
            yield f"its run of ratio {ratio:.0%} is gone"
    keys = Counter(other.tags.get(names.TAG_KEY) for other in ratios)
    for other in ratios:
        if keys[other.tags.get(names.TAG_KEY)] > 1:
            yield f"run {other.run_id} ({other.name}) stands twice"
