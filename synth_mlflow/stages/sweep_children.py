"""The runs below a sweep before they are filled: a name, a key and tags for each ratio, and for the final model."""

from __future__ import annotations

from collections.abc import Sequence

from synth_mlflow.data.digests import json_digest
from synth_mlflow.data.mixing import read_shares
from synth_mlflow.stages.sweep_inputs import SweepInputs
from synth_mlflow.sweep.plan import source_name
from synth_mlflow.tracking import names
from synth_mlflow.tracking.stored import StoredBatch
from synth_mlflow.tracking.write import NewRun


def ratio_run(ingredients: SweepInputs, sweep: str, ratio: float, source: str, began: int) -> NewRun:
    """The run of one ratio of a sweep, given by its run id; it began when its first fit did."""
    tags = {**_of_batches(ingredients.of(source)), names.TAG_CURVE: sweep}
    axis = ingredients.plan.axis
    if axis.name != "ratio":
        tags[names.TAG_AXIS] = axis.name
    if source:
        tags[names.TAG_SHARES if read_shares(source) else names.TAG_GENERATOR] = source
    among = ratio > 0 and (source or len(ingredients.plan.sources) > 1)
    name = f"{axis.words(ratio)} {source_name(source) if among else 'synthetic'}"
    return NewRun("ratio", name, json_digest([ingredients.key, ratio, source]), tags, began)


def final_run(ingredients: SweepInputs, result: str, began: int) -> NewRun:
    """The run of the final model, named by its result."""
    key = json_digest([ingredients.key, "final"])
    return NewRun("final", f"final model · {result}", key, _of_batches(ingredients.batches), began)


def _of_batches(batches: Sequence[StoredBatch]) -> dict[str, str]:
    return {names.TAG_BATCHES: " ".join(batch.id for batch in batches)}
