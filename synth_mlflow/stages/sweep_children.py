"""The runs below a sweep before they are filled: a name, a key and tags for each ratio, and for the final model.

When the fits of each ratio ran, so that its run in the UI begins and ends when its work did.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from synth_mlflow.data.digests import json_digest
from synth_mlflow.data.mixing import read_shares
from synth_mlflow.stages.sweep_inputs import SweepInputs
from synth_mlflow.sweep.plan import Fit, source_name
from synth_mlflow.tracking import names
from synth_mlflow.tracking.draft import now_ms
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


Cell = tuple[float, str]
"""A ratio, and whose synthetic rows."""


class FitTimes:
    """The first begin and the last end of each cell's fits, in milliseconds since 1970."""

    def __init__(self) -> None:
        self._spans: dict[Cell, tuple[int, int]] = {}

    def ended(self, fit: Fit, at: int) -> None:
        """Take in a fit that ended at this moment; one on a share of the real rows alone is of no ratio."""
        if fit.key.arm == "real":
            return
        cell, began = (fit.key.ratio, fit.key.source), at - round(fit.seconds * 1000)
        first, last = self._spans.get(cell, (began, at))
        self._spans[cell] = min(first, began), max(last, at)

    def of(self, cell: Cell, fits: Iterable[Fit]) -> tuple[int, int]:
        """When the work on a cell began and ended.

        Of a cell whose fits an earlier process has made, it is known how long they took: they are taken to have ended
        now.
        """
        if cell in self._spans:
            return self._spans[cell]
        return now_ms() - round(1000 * self.seconds(cell, fits)), now_ms()

    @staticmethod
    def seconds(cell: Cell, fits: Iterable[Fit]) -> float:
        """How long the fits of a cell took together, whatever ran side by side."""
        return sum(fit.seconds for fit in fits if (fit.key.ratio, fit.key.source) == cell and fit.key.arm != "real")
