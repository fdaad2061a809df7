"""The ratio curve as a few lines of text, for `status`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from synth_mlflow.lifecycle.status import CurvePoint

WIDTH = 48  # characters between the least low end and the greatest high end


def curve_lines(points: Sequence[CurvePoint]) -> list[str]:
    """One ratio a line: its score as ``●`` in its interval, duplicated real rows (the placebo) as ``×``, and a scale.

    Parameters
    ----------
    points : sequence of CurvePoint
        In the order of their ratios; at least one.
    """
    from synth_mlflow.data.mixes import percent

    named = [point.words or percent(point.ratio) for point in points]
    least, greatest = min(point.low for point in points), max(point.high for point in points)
    width = max(7, *map(len, named))
    lines = [
        f"{words:>{width}}  {point.score:<9.4g} {_bar(point, least, greatest)}{'  chosen' if point.chosen else ''}"
        for words, point in zip(named, points, strict=True)
    ]
    low, high = f"{least:.4g}", f"{greatest:.4g}"
    return [*(line.rstrip() for line in lines), f"{'':{width + 12}}{low}{high:>{WIDTH - len(low)}}"]


def _bar(point: CurvePoint, least: float, greatest: float) -> str:
    cells = [" "] * WIDTH
    first, last = _place(point.low, least, greatest), _place(point.high, least, greatest)
    cells[first : last + 1] = "─" * (last - first + 1)
    cells[first], cells[last] = "├", "┤"
    if point.ratio:
        cells[_place(point.placebo, least, greatest)] = "×"
    cells[_place(point.score, least, greatest)] = "●"
    return "".join(cells)


def _place(value: float, least: float, greatest: float) -> int:
    if greatest <= least:
        return 0
    return min(WIDTH - 1, max(0, round((value - least) / (greatest - least) * (WIDTH - 1))))
