"""Further ratios around the peak of a first sweep; its fits are kept, so that only the new ones are made."""

from __future__ import annotations

from synth_mlflow.model.curve import Curve

_DECIMALS = 4  # halving twice from whole percents


def refined_ratios(curve: Curve) -> tuple[float, ...]:
    """The ratios of the first sweep, and the midpoints between the peak and its neighbours.

    Where the peak is the greatest ratio swept, the midpoint towards 1 is one of them.

    Examples
    --------
    With ratios 0, 25, 50 and 75 % and the peak at 50 %, 37.5 and 62.5 % are added; with the peak at 75 %, 62.5 and
    87.5 %.
    """
    ratios = [point.ratio for point in curve.points]
    place = ratios.index(curve.peak)
    neighbours = [ratios[place - 1]] if place else []
    neighbours.append(ratios[place + 1] if place + 1 < len(ratios) else 1.0)
    added = {round((curve.peak + other) / 2, _DECIMALS) for other in neighbours}
    return tuple(sorted({*ratios, *added}))
