"""How columns depend on each other: correlations, and contingency tables on bins that both tables share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats

from synth_mlflow.data.columns import schema_of
from synth_mlflow.data.grids import floats_of
from synth_mlflow.metrics.encoding import MISSING, coded_labels

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]

CHUNK_ROWS = 10_000  # one-hot blocks of this many rows keep memory flat
STRIP_CELLS = 20_000_000  # cells of joint shares at a time, 160 MB


def correlation(first: pd.Series, second: pd.Series, method: Literal["pearson", "spearman"] = "pearson") -> float:
    """Correlation of two columns over the rows where both are present; NaN if either does not vary.

    Examples
    --------
    >>> correlation(pd.Series([1.0, 2.0, 3.0]), pd.Series([2.0, 4.0, 6.0]))
    1.0
    """
    x, y = floats_of(first), floats_of(second)
    both = ~(np.isnan(x) | np.isnan(y))
    x, y = x[both], y[both]
    if method == "spearman":
        x, y = stats.rankdata(x), stats.rankdata(y)
    if len(x) < 2 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return float("nan")
    return float(np.clip(np.corrcoef(x, y)[0, 1], -1, 1))


def correlations(columns: Floats) -> Floats:
    """Pearson correlations of all pairs of columns, each over the rows where both are present.

    Parameters
    ----------
    columns : array of shape (n_rows, n_columns)
        NaN where missing.

    Returns
    -------
    array of shape (n_columns, n_columns)
        0 where a column does not vary.
    """
    present = ~np.isnan(columns)
    mask = present.astype(np.float64)
    centre = np.where(mask.sum(axis=0) > 0, np.nansum(columns, axis=0) / np.maximum(mask.sum(axis=0), 1), 0.0)
    spread = np.sqrt(np.nansum((columns - centre) ** 2, axis=0) / np.maximum(mask.sum(axis=0), 1))
    x = np.where(present, (columns - centre) / np.where(spread > 0, spread, 1.0), 0.0)
    n, sums, squares = np.maximum(mask.T @ mask, 1), x.T @ mask, (x * x).T @ mask
    covariance = x.T @ x / n - sums * sums.T / n**2
    variance = np.maximum(squares / n - (sums / n) ** 2, 0)
    scale = np.sqrt(variance * variance.T)
    return np.asarray(np.clip(np.where(scale > 1e-12, covariance / np.where(scale > 1e-12, scale, 1.0), 0.0), -1, 1))


def ranks(columns: Floats) -> Floats:
    """Each column's ranks scaled to (0, 1], NaN where missing; :func:`correlations` of them is Spearman's."""
    return np.asarray(stats.rankdata(columns, axis=0, nan_policy="omit") / max(len(columns), 1))


def contingency_distance(
    real: tuple[pd.Series, pd.Series], synthetic: tuple[pd.Series, pd.Series], *, n_bins: int = 10
) -> float:
    """Total variation between the joint shares of two columns, numbers cut at the *real* column's edges.

    Parameters
    ----------
    real, synthetic : pair of Series
        The two columns of each table; a missing value is a label of its own.
    n_bins : int
        Bins of equal width over the real range; what lies outside falls into the first or last one.

    Notes
    -----
    SDMetrics' ContingencySimilarity is 1 minus this when it is given shared bins.
    """
    binned = [_equal_width_codes(r, s, n_bins) for r, s in zip(real, synthetic, strict=True)]
    width = 1 + max(int(max(r.max(initial=0), s.max(initial=0))) for r, s in binned)
    joint_real, joint_synthetic = (binned[0][side] * width + binned[1][side] for side in (0, 1))
    n_cells = width * width
    p = np.bincount(joint_real, minlength=n_cells) / len(joint_real)
    q = np.bincount(joint_synthetic, minlength=n_cells) / len(joint_synthetic)
    return float(np.abs(p - q).sum() / 2)


@dataclass(frozen=True)
class SharedBins:
    """Cut points and levels of each column, learned from real rows, the same for every table."""

    edges: dict[str, Floats]
    levels: dict[str, npt.NDArray[np.object_]]

    @classmethod
    def learn(cls, real: pd.DataFrame, *, n_bins: int = 8, n_levels: int = 8) -> SharedBins:
        """Quantile bins for numbers and dates; for labels the most common levels, and one bin for the rest."""
        schema = schema_of(real)
        categorical = schema.of_kind("string", "boolean")
        return cls(
            {name: _quantile_edges(real[name], n_bins) for name in schema if name not in categorical},
            {name: _top_levels(real[name], n_levels) for name in categorical},
        )

    @property
    def widths(self) -> Codes:
        """Bins of each column, with one for missing and one for other levels; in the order edges, then levels."""
        return np.array([len(e) + 2 for e in self.edges.values()] + [len(v) + 1 for v in self.levels.values()])

    @property
    def columns(self) -> list[str]:
        """Column names in the order of :attr:`widths`."""
        return [*self.edges, *self.levels]

    def name(self, column: str, code: int) -> str:
        """A bin in words."""
        if column in self.levels:
            known = self.levels[column]
            return "other" if code == len(known) else str(known[code]).replace(MISSING, "missing")
        edges = self.edges[column]
        if code > len(edges):
            return "missing"
        low = f"from {edges[code - 1]:.6g}" if code else ""
        high = f"below {edges[code]:.6g}" if code < len(edges) else ""
        return f"{low} {high}".strip() or "any"

    def codes(self, rows: pd.DataFrame) -> Codes:
        """Bin of each value: shape (n_rows, n_columns)."""
        coded = [_cut(floats_of(rows[name]), edges) for name, edges in self.edges.items()]
        for name, known in self.levels.items():
            codes, texts = coded_labels(rows[name])
            codes_of_labels = pd.Index(known).get_indexer(pd.Index(texts, dtype=object))
            coded.append(np.where(codes_of_labels < 0, len(known), codes_of_labels)[codes])
        return np.column_stack(coded).astype(np.int64)


@dataclass(frozen=True)
class ComparedPairs:
    """All pairs of columns in two tables; each array has the shape (n_columns, n_columns)."""

    distance: Floats
    """Total variation between the joint shares of a pair."""
    association: tuple[Floats, Floats]
    """Cramer's V in the first table and in the second: 0 for none, 1 for a function."""


def compared_pairs(first: Codes, second: Codes, widths: Codes) -> ComparedPairs:
    """Compare the joint shares of all pairs of columns of two tables, in strips of columns that fit into memory.

    Parameters
    ----------
    first, second : array of shape (n_rows, n_columns)
        Codes on the same bins.
    widths : array of shape (n_columns,)
        Bins of each column.

    Notes
    -----
    Cramer's V with the correction of W. Bergsma, Journal of the Korean Statistical Society 42 (2013),
    doi 10.1016/j.jkss.2012.10.002.
    """
    n_columns = len(widths)
    distance, phi2 = np.zeros((n_columns, n_columns)), [np.zeros((n_columns, n_columns)) for _ in range(2)]
    margins = [_margins(codes, widths) for codes in (first, second)]
    for strip in _strips(widths):
        shares = [joint_shares(codes, widths, strip) for codes in (first, second)]
        distance[strip] = _block_sums(np.abs(shares[0] - shares[1]), widths[strip], widths) / 2
        for side in range(2):
            phi2[side][strip] = _phi_squared(shares[side], margins[side], widths, strip)
    return ComparedPairs(
        distance,
        (_cramers_v(phi2[0], margins[0], widths, len(first)), _cramers_v(phi2[1], margins[1], widths, len(second))),
    )


def joint_shares(codes: Codes, widths: Codes, strip: slice = slice(None)) -> Floats:
    """Shares of rows in every cell of the pairs of some columns with all: (sum of their widths, sum of widths)."""
    starts = np.concatenate([[0], np.cumsum(widths)[:-1]])
    cells = _cells(widths, strip)
    total = np.zeros((cells.stop - cells.start, int(widths.sum())), dtype=np.float64)
    for begin in range(0, len(codes), CHUNK_ROWS):
        chunk = codes[begin : begin + CHUNK_ROWS] + starts
        hot = np.zeros((len(chunk), total.shape[1]), dtype=np.float32)
        np.put_along_axis(hot, chunk, 1.0, axis=1)
        total += hot[:, cells].T @ hot
    return total / max(len(codes), 1)


def pair_counts(codes: Codes, widths: Codes, first: int, second: int) -> Codes:
    """Rows in every cell of one pair of columns: shape (width of the first times that of the second,)."""
    cells = codes[:, first] * widths[second] + codes[:, second]
    return np.bincount(cells, minlength=int(widths[first] * widths[second])).astype(np.int64)


def _strips(widths: Codes) -> list[slice]:
    """Runs of columns whose pairs with all columns have few enough cells; one run where all have."""
    n_cells = int(widths.sum())
    run = np.cumsum(widths) * n_cells // STRIP_CELLS
    ends = [*np.flatnonzero(np.diff(run)) + 1, len(widths)]
    return [slice(int(start), int(end)) for start, end in zip([0, *ends[:-1]], ends, strict=True)]


def _cells(widths: Codes, strip: slice) -> slice:
    ends = np.concatenate([[0], np.cumsum(widths)])
    start, stop, _ = strip.indices(len(widths))
    return slice(int(ends[start]), int(ends[stop]))


def _margins(codes: Codes, widths: Codes) -> Floats:
    """Shares of rows in every bin of every column: shape (sum of widths,)."""
    counts = [np.bincount(column, minlength=width) for column, width in zip(codes.T, widths, strict=True)]
    return np.asarray(np.concatenate(counts) / max(len(codes), 1))


def _phi_squared(shares: Floats, margins: Floats, widths: Codes, strip: slice) -> Floats:
    expected = np.outer(margins[_cells(widths, strip)], margins)
    parts = np.divide(shares**2, expected, out=np.zeros_like(shares), where=expected > 0)
    return _block_sums(parts, widths[strip], widths) - 1


def _cramers_v(phi2: Floats, margins: Floats, widths: Codes, n_rows: int) -> Floats:
    filled = np.add.reduceat((margins > 0).astype(np.float64), np.concatenate([[0], np.cumsum(widths)[:-1]]))
    degrees = np.outer(filled - 1, filled - 1)
    corrected = np.maximum(phi2 - degrees / max(n_rows - 1, 1), 0)
    shrunk = filled - (filled - 1) ** 2 / max(n_rows - 1, 1)
    largest = np.minimum.outer(shrunk, shrunk) - 1
    return np.asarray(np.sqrt(np.clip(np.where(largest > 0, corrected / np.where(largest > 0, largest, 1), 0), 0, 1)))


def _equal_width_codes(real: pd.Series, synthetic: pd.Series, n_bins: int) -> tuple[Codes, Codes]:
    if pd.api.types.is_numeric_dtype(real.dtype) and not pd.api.types.is_bool_dtype(real.dtype):
        values = floats_of(real)
        edges = np.histogram_bin_edges(values[~np.isnan(values)], n_bins)[1:-1]
        return _cut(values, edges), _cut(floats_of(synthetic), edges)
    codes, _ = coded_labels(pd.concat([real, synthetic], ignore_index=True))
    return codes[: len(real)], codes[len(real) :]


def _cut(values: Floats, edges: Floats) -> Codes:
    return np.where(np.isnan(values), len(edges) + 1, np.digitize(values, edges)).astype(np.int64)


def _quantile_edges(column: pd.Series, n_bins: int) -> Floats:
    values = floats_of(column)
    present = values[~np.isnan(values)]
    if not len(present):
        return np.empty(0)
    cuts = np.unique(np.quantile(present, np.linspace(0, 1, n_bins + 1)[1:-1]))
    above = cuts[cuts > present.min()]
    if len(above) or np.ptp(present) == 0:
        return np.asarray(above)
    return np.array([present[present > present.min()].min()])  # one value fills every quantile: it against the rest


def _top_levels(column: pd.Series, n_levels: int) -> npt.NDArray[np.object_]:
    codes, texts = coded_labels(column)
    return np.asarray(texts[pd.Series(codes).value_counts().index[:n_levels]])


def _block_sums(cells: Floats, heights: Codes, widths: Codes) -> Floats:
    rows, columns = (np.concatenate([[0], np.cumsum(sizes)[:-1]]) for sizes in (heights, widths))
    return np.asarray(np.add.reduceat(np.add.reduceat(cells, rows, axis=0), columns, axis=1))
