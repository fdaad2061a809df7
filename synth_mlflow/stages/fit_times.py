"""When the fits of each ratio ran, so that its run in the UI begins and ends when its work did."""

from __future__ import annotations

from collections.abc import Iterable

from synth_mlflow.sweep.plan import Fit
from synth_mlflow.tracking.draft import now_ms

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
