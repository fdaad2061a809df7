"""Probes of pairs: does each column depend on the others as it does in real rows?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from synth_mlflow.checks import Metric
from synth_mlflow.checks._tables import subsample, thinned
from synth_mlflow.data.columns import CATEGORICAL_KINDS, schema_of
from synth_mlflow.data.grids import floats_of
from synth_mlflow.metrics.associations import (
    Codes,
    SharedBins,
    compared_pairs,
    correlations,
    pair_counts,
    ranks,
)
from synth_mlflow.metrics.distances import homogeneity_p_value
from synth_mlflow.metrics.encoding import Floats
from synth_mlflow.metrics.null_distribution import Places, split_floor

MAX_ROWS = 20_000
N_TESTED = 3
N_BINS, N_LEVELS = 4, 8  # finer bins would fail nearly equal columns for a jitter that nobody would care about
TINY = 1e-12
SPLIT_ROWS = 8_000  # the noise floor needs fewer: it is carried over by the square root
MAX_PRODUCTS = 1e10  # of one-hot cells, for both tables and for each of the splits together; wide tables are thinned
WIDE = 60  # columns
FEW_ROWS = 10  # expected with two values that are both not the commonest: the correlation follows no normal law
DOUBTFUL = 0.05  # p-values above it decide nothing, and are not asked for a second time


@dataclass(frozen=True)
class Family:
    """One statistic of all pairs: the batch's difference from real rows, and what real against real gives.

    Floors of gaps are on Fisher's scale, which is the plain one except near 1.
    """

    name: str
    columns: list[str]
    difference: Floats
    floor: Floats
    p_values: Floats
    """NaN where the pair is not asked."""


def pair_families(
    real: pd.DataFrame, batch: pd.DataFrame, rng: np.random.Generator, groups: Places | None = None
) -> list[Family]:
    """Joint shares and strength of association for all columns on shared bins, rank correlation for ordered ones.

    ``groups`` has the group of each real row, where rows come in groups.
    """
    bins = SharedBins.learn(real, n_bins=N_BINS, n_levels=N_LEVELS if real.shape[1] <= WIDE else N_BINS)
    n_rows = int(min(MAX_ROWS, max(MAX_PRODUCTS / float(bins.widths.sum()) ** 2, 2_000)))
    places = thinned(len(real), n_rows, rng)
    real, batch = real.iloc[places].reset_index(drop=True), subsample(batch, n_rows, rng)
    groups = None if groups is None else np.unique(groups[places], return_inverse=True)[1]
    families = _binned(bins, real, batch, rng, groups) if len(bins.columns) > 1 else []
    schema = schema_of(real)
    ordered = [name for name in schema if schema[name] not in CATEGORICAL_KINDS]
    return families + (_ranked(ordered, bins, real, batch, rng, groups) if len(ordered) > 1 else [])


def pair_probes(families: list[Family], policy: Mapping[str, float]) -> list[Metric]:
    """For each column the pair that is most significant, paid for by Bonferroni over its partners."""
    return [
        _worst(family, place, policy[family.name])
        for family in families
        for place in range(len(family.columns))
        if len(_partners(family, place))
    ]


def _binned(
    bins: SharedBins, real: pd.DataFrame, batch: pd.DataFrame, rng: np.random.Generator, groups: Places | None
) -> list[Family]:
    codes, codes_batch, widths = bins.codes(real), bins.codes(batch), bins.widths

    def compare(first: Codes, second: Codes) -> tuple[Floats, tuple[Floats, Floats]]:
        """Distance and gap of the pairs, and both associations."""
        observed = compared_pairs(first, second, widths)
        gap = _stable(observed.association[1]) - _stable(observed.association[0])
        return np.stack([observed.distance, gap]), observed.association

    sizes = len(real), len(batch)
    floor = split_floor(
        lambda first, second: compare(codes[first], codes[second])[0], min(len(real), SPLIT_ROWS), rng, groups=groups
    )
    (distance, gap), (strength, strength_batch) = compare(codes, codes_batch)
    upper = floor.upper(*sizes)
    crowded = _crowded(distance / np.maximum(upper[0], TINY))
    p_values = _homogeneity(crowded, codes, codes_batch, widths)
    if groups is not None:  # exact tests take each row for a draw of its own
        p_values = np.maximum(p_values, floor.p_values(np.stack([distance, gap]), *sizes)[0])
    distance = np.maximum(distance - floor.expected(*sizes)[0], 0)  # what real rows of these sizes show by chance
    upper = np.stack([upper[0] - floor.expected(*sizes)[0], upper[1]])
    associated = floor.symmetric().p_values(np.stack([distance, gap]), *sizes)[1]
    associated = np.maximum(
        associated, p_values
    )  # associations near zero are not normal: the joint law must differ too
    ordered = np.isin(bins.columns, list(bins.edges))
    associated[np.outer(ordered, ordered)] = np.nan  # rank correlation says it better where both are ordered
    shown = strength_batch - strength
    return [
        Family("pair_distance", bins.columns, distance, upper[0], p_values),
        Family("association_gap", bins.columns, shown, floor.symmetric().upper(*sizes)[1], associated),
    ]


def _stable(correlation: Floats) -> Floats:
    """R. A. Fisher's transformation: the spread of a correlation shrinks near 1, that of its transform does not."""
    return np.arctanh(np.clip(correlation, -1 + 1e-6, 1 - 1e-6))


def _crowded(ratio: Floats) -> npt.NDArray[np.bool_]:
    """For each column the pairs that stand out most; only they are tested, at the price of all."""
    np.fill_diagonal(ratio, -np.inf)
    lowest = np.sort(ratio, axis=1)[:, -min(N_TESTED, len(ratio) - 1)]
    chosen = ratio >= lowest[:, None]
    return np.asarray(chosen | chosen.T)


def _homogeneity(chosen: npt.NDArray[np.bool_], real: Codes, batch: Codes, widths: Codes) -> Floats:
    p_values = np.ones((len(widths), len(widths)))
    for first, second in np.argwhere(np.triu(chosen, 1)):
        counts = [pair_counts(codes, widths, first, second) for codes in (real, batch)]
        p_values[first, second] = p_values[second, first] = homogeneity_p_value(*counts)
    return p_values


def _ranked(
    columns: list[str],
    bins: SharedBins,
    real: pd.DataFrame,
    batch: pd.DataFrame,
    rng: np.random.Generator,
    groups: Places | None,
) -> list[Family]:
    of_real_rows, of_batch_rows = (
        np.column_stack([floats_of(rows[name]) for name in columns]) for rows in (real, batch)
    )
    ranked, ranked_batch = ranks(of_real_rows), ranks(of_batch_rows)
    of_real, of_batch = correlations(ranked), correlations(ranked_batch)

    def between(first: Places, second: Places) -> Floats:
        return _stable(correlations(ranked[first])) - _stable(correlations(ranked[second]))

    floor = split_floor(between, min(len(real), SPLIT_ROWS), rng, groups=groups).symmetric()
    p_values = floor.p_values(_stable(of_batch) - _stable(of_real), len(real), len(batch))
    expected = np.minimum(_expected_rows(of_real_rows), _expected_rows(of_batch_rows))
    doubtful = (expected < FEW_ROWS) & (p_values < DOUBTFUL)
    if doubtful.any():
        places = [bins.columns.index(name) for name in columns]
        codes, codes_batch = bins.codes(real)[:, places], bins.codes(batch)[:, places]
        joint = _homogeneity(doubtful, codes, codes_batch, bins.widths[places])
        p_values = np.where(doubtful, np.maximum(p_values, joint), p_values)
    return [Family("correlation_gap", columns, of_batch - of_real, floor.upper(len(real), len(batch)), p_values)]


def _expected_rows(values: Floats) -> Floats:
    """Of each pair of columns: in how many rows neither would have its commonest value if they were independent.

    The rule for tables of counts: W. Cochran, Biometrics 10 (1954), doi:10.2307/3001616.
    """
    commonest = np.array([np.unique(column, return_counts=True)[1].max() for column in values.T])
    off = len(values) - commonest.astype(np.float64)
    return np.outer(off, off) / max(len(values), 1)


def _partners(family: Family, place: int) -> Places:
    tested = ~np.isnan(family.p_values[place])
    tested[place] = False
    return np.flatnonzero(tested)


def _worst(family: Family, place: int, limit: float) -> Metric:
    others = _partners(family, place)
    p_values, values = family.p_values[place, others], np.abs(family.difference[place, others])
    worst = int(others[np.lexsort((-values, p_values))[0]])
    p_value = min(float(p_values.min()) * len(others), 1.0)
    note = f"with {family.columns[worst]!r}"
    return Metric(
        family.name,
        abs(float(family.difference[place, worst])),
        limit,
        column=family.columns[place],
        floor=float(family.floor[place, worst]),
        p_value=p_value,
        note=note,
    )
