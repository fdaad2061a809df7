"""Which share each batch has in the synthetic rows: a fixed design, then points between the best of it.

All mixes are compared at one ratio, the middle one of the sweep: every batch alone, all but one, all in proportion to
their rows, and then the points half-way between the best mix and the two next ones. The best mix is swept at every
ratio. The test of a gain covers every mix that was compared at every ratio
(:func:`synth_mlflow.sweep.inference.max_t`), so that the search raises no false claims.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from synth_mlflow.data.mixing import mix_counts, read_shares, shares_text
from synth_mlflow.sweep.plan import Fit, FitKey, SweepPlan, all_rows

NEXT_BEST = 2  # mixes that the best one is mixed with once more

Shares = Mapping[str, float]
Sizes = Mapping[str, int]
"""Rows of each batch."""


def first_mixes(sizes: Sizes, n_rows: int) -> tuple[str, ...]:
    """The mixes that every search compares, of those for which there are rows.

    Parameters
    ----------
    sizes : mapping of batch to int
    n_rows : int
        Synthetic rows that a mix takes; not more than there are.

    Returns
    -------
    tuple of str
        As :func:`synth_mlflow.data.mixing.shares_text` writes them, all batches in proportion first.

    Examples
    --------
    >>> first_mixes({"a": 300, "b": 300}, 100)
    ('a=0.5,b=0.5', 'a=1', 'b=1')
    """
    alone = [{batch: 1} for batch in sizes]
    without = [{other: n for other, n in sizes.items() if other != batch} for batch in sizes]
    mixes = [_shares(mix) for mix in (sizes, *alone, *(without if len(sizes) > 2 else ()))]
    return tuple(dict.fromkeys(shares_text(mix) for mix in mixes if has_rows(mix, sizes, n_rows)))


def has_rows(shares: Shares, sizes: Sizes, n_rows: int) -> bool:
    """Whether every batch has the rows that its share of so many takes, to the nearest row."""
    return all(round(share * n_rows) <= sizes[batch] for batch, share in shares.items())


def lead(plan: SweepPlan, sizes: Sizes, n_real: int, fit: Callable[[list[FitKey]], Mapping[FitKey, Fit]]) -> SweepPlan:
    """Compare the mixes at one ratio, and let the best one lead.

    Parameters
    ----------
    plan : SweepPlan
        Of the axis ``mix``.
    sizes : mapping of batch to int
    n_real : int
    fit : callable
        Makes fits.

    Returns
    -------
    SweepPlan
        With every mix that was compared, the best one first, and the ratios for which that one has rows.
    """
    ratio = screening_ratio(plan)
    n_rows = mix_counts(ratio, n_real, plan.mix)[1]
    scores = _scored(first_mixes(sizes, n_rows), ratio, plan, fit)
    scores |= _scored([mix for mix in _between(scores) if mix not in scores], ratio, plan, fit)
    ranked = sorted(scores, key=lambda mix: -scores[mix])
    best = read_shares(ranked[0])
    ratios = tuple(r for r in plan.ratios if has_rows(best, sizes, mix_counts(r, n_real, plan.mix)[1]))
    return replace(plan, ratios=ratios, sources=tuple(ranked), axis=replace(plan.axis, screened=ratio))


def screening_ratio(plan: SweepPlan) -> float:
    """The middle ratio above 0."""
    above = [ratio for ratio in plan.ratios if ratio]
    return above[len(above) // 2]


def n_mixes(sizes: Sizes, n_rows: int) -> int:
    """How many mixes a search compares at most."""
    first = len(first_mixes(sizes, n_rows))
    return first + min(NEXT_BEST, first - 1)


def _scored(
    mixes: Sequence[str], ratio: float, plan: SweepPlan, fit: Callable[[list[FitKey]], Mapping[FitKey, Fit]]
) -> dict[str, float]:
    keys = {mix: [FitKey("synthetic", ratio, n, mix) for n in all_rows(plan.repeats)] for mix in mixes}
    fits = fit([key for of_mix in keys.values() for key in of_mix])
    return {mix: float(np.mean([fits[key].score for key in of_mix])) for mix, of_mix in keys.items()}


def _between(scores: Mapping[str, float]) -> tuple[str, ...]:
    """The points half-way between the best mix and the next ones."""
    best, *others = (read_shares(mix) for mix in sorted(scores, key=lambda mix: -scores[mix])[: 1 + NEXT_BEST])
    return tuple(shares_text(_half_way(best, other)) for other in others)


def _half_way(one: Shares, other: Shares) -> Shares:
    return {batch: (one.get(batch, 0.0) + other.get(batch, 0.0)) / 2 for batch in {*one, *other}}


def _shares(parts: Mapping[str, float]) -> Shares:
    whole: float = sum(parts.values())
    return {batch: part / whole for batch, part in parts.items()}
