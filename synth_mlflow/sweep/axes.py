"""The axes of a sweep: what its points are, how many rows each takes, and how they are called.

``ratio``: the share of synthetic rows in the mix. ``weight``: a fixed number of synthetic rows, each of which counts as
a part of a real one. ``slice``: the share of synthetic rows among the rows of one slice; all other rows stay as they
are. ``mix``: the ratio again, with each batch's share in the synthetic rows (:mod:`synth_mlflow.sweep.mix_search`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from synth_mlflow.data.mixing import Mix, mix_counts, percent, read_ratios, read_weights
from synth_mlflow.errors import UsageError, closest

AxisName = Literal["ratio", "weight", "slice", "mix"]
AXES: tuple[AxisName, ...] = get_args(AxisName)

WEIGHTS = (0.0, 0.1, 0.25, 0.5, 1.0)
ROWS_PER_REAL = 3  # synthetic rows that a weight takes by default, if so many passed: as many as the ratio 75 %


@dataclass(frozen=True)
class Axis:
    """What a sweep varies; a point of it is a ratio, or a weight."""

    name: AxisName = "ratio"
    rows: int = 0
    """Of the axis ``weight``: the synthetic rows that every point above 0 takes beside all real rows."""
    slice: str = ""
    """Of the axis ``slice``: its name in the problem statement."""
    screened: float | None = None
    """Of the axis ``mix``: the ratio at which all mixes were compared; at the others only the best one is fitted."""

    def __post_init__(self) -> None:
        if self.name not in AXES:
            raise UsageError(f"axis {self.name!r} is unknown. {closest(self.name, AXES)}")

    @property
    def noun(self) -> str:
        """What its points are."""
        return "weight" if self.name == "weight" else "ratio"

    def read(self, points: Sequence[float]) -> tuple[float, ...]:
        """Its points in ascending order, 0 among them; a UsageError names one that is none."""
        return read_weights(points) if self.name == "weight" else read_ratios(points)

    def words(self, point: float) -> str:
        """A point as people read it.

        >>> Axis().words(0.25), Axis("weight", rows=300).words(0.25), Axis("slice", slice="young").words(0.25)
        ('25 %', 'weight 0.25', '25 % of slice young')
        """
        if self.name == "weight":
            return f"weight {point:.4g}"
        return f"{percent(point)} of slice {self.slice}" if self.name == "slice" else percent(point)

    def spoken(self, text: str) -> str:
        """A text about ratios, said of this axis's points.

        >>> Axis("weight").spoken("the smallest ratio of all ratios")
        'the smallest weight of all weights'
        """
        return text.replace("ratio", self.noun)

    def weight(self, point: float) -> float | None:
        """How much an added row counts beside a real one; None where rows are not weighed."""
        return (point or 1.0) if self.name == "weight" else None

    def counts(self, point: float, n_real: int, n_whole: int, mix: Mix) -> tuple[int, int]:
        """How many real and how many added rows a point takes.

        Parameters
        ----------
        point : float
        n_real : int
            Real rows that the fit draws, of the axis ``slice`` those inside the slice.
        n_whole : int
            Real rows at hand.
        mix : {"augment", "replace"}
        """
        if self.name == "weight":
            return n_real, round(self.rows * n_real / n_whole) if point else 0
        return mix_counts(point, n_real, mix)

    def to_json(self) -> dict[str, Any]:
        """As JSON values, without what the axis has no use for."""
        return {name: value for name, value in vars(self).items() if value or name == "name"}


RATIO = Axis()
