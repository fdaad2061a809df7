"""How close two rows are, in the number of real rows that are as close by chance, column by column.

The closeness of two rows is the sum over the columns of ``-log`` of the share of real values from the one to the other:
a value that few rows have weighs much where it returns, a value that most rows have weighs little, and a column that
differs costs nothing. Rows of which one value or half of the values were changed stay close, as do rows whose numbers
were moved a little.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from synth_mlflow.data.grids import floats_of
from synth_mlflow.metrics.closest_places import Coded, most_shared_places, nearest_places
from synth_mlflow.metrics.encoding import Encoding, coded_labels

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]

N_BINS = 16  # of a number, when partners are looked for
MAX_LEVELS = 40
N_CANDIDATES = 3  # partners of each row that are compared exactly, for each way of looking for them and each side
MAX_DEVIATIONS = 6.0  # values further out are no further apart
FAR = 9.0  # standard deviations


class Closeness:
    """Closeness of rows to real rows.

    Parameters
    ----------
    real : DataFrame of shape (n_real, n_columns)
        Distinct real rows, those of one side after those of the other.
    n_first : int
        How many rows the first side has.
    batch : DataFrame of shape (n_batch, n_columns)
    """

    def __init__(self, real: pd.DataFrame, n_first: int, batch: pd.DataFrame) -> None:
        self.n_real, self.n_first = len(real), n_first
        rows = pd.concat([real, batch], ignore_index=True)
        self._columns = [_column(rows[name], self.n_real) for name in rows]
        encoding = Encoding.learn(real)
        deviations = np.clip(encoding.points(rows, "deviations"), -MAX_DEVIATIONS, MAX_DEVIATIONS)
        self._points = (encoding.points(rows), deviations)
        codes = [column.bins() for column in self._columns]
        self._own = own_information([one[: self.n_real] for one in codes])
        self._coded = [_coded(one, self.n_real, own) for one, own in zip(codes, self._own, strict=True)]

    def by_column(self, queries: Ints, partners: Ints) -> Floats:
        """Closeness of pairs in each column, of shape (n_pairs, n_columns).

        Places of rows, real ones first, then those of the batch; a partner is a real row.
        """
        itself = (queries < self.n_real).astype(np.int64)  # a real query is no witness for what others have by chance
        return self._closeness([column.between(queries, partners, itself) for column in self._columns])

    def own(self, partners: Ints) -> Floats:
        """The closeness in each column that a row equal to a real one would have."""
        none = np.zeros(len(partners), dtype=np.int64)
        return self._closeness([column.between(partners, partners, none) for column in self._columns])

    def _closeness(self, shared: Sequence[Ints]) -> Floats:
        rows = np.clip(np.column_stack(shared), 1, self.n_real)
        return np.asarray(-self._own * np.log(rows / self.n_real))

    def differences(self, queries: Ints, partners: Ints) -> Floats:
        """Differences of pairs in each column: in standard deviations up to `FAR`, which two labels also are apart."""
        return np.column_stack([column.differences(queries, partners) for column in self._columns])

    def proposed(self, queries: Ints) -> Ints:
        """Real rows that may be the closest of each query, of shape (n_queries, n): three searches on either side."""
        sides = ((0, self.n_first), (self.n_first, self.n_real))
        return np.hstack([self._candidates(queries, *side) for side in sides if side[1] - side[0] > N_CANDIDATES])

    def _candidates(self, queries: Ints, start: int, stop: int) -> Ints:
        """Partners within one side: by shared values, and by Euclidean distance in ranks and in deviations."""
        k = N_CANDIDATES
        candidates = [most_shared_places(self._coded, queries, slice(start, stop), k + 1)]
        candidates += [nearest_places(points[queries], points[start:stop], k + 1) for points in self._points]
        return np.hstack(candidates) + start


@dataclass(frozen=True)
class _Numbers:
    below: Ints
    """Real values below each row's."""
    up_to: Ints
    missing: Bools
    n_missing: int
    n_real: int
    deviations: Floats
    """Values in standard deviations of real ones."""

    def differences(self, first: Ints, second: Ints) -> Floats:
        apart = np.minimum(np.abs(self.deviations[first] - self.deviations[second]), FAR)
        gaps = self.missing[first], self.missing[second]
        return np.where(gaps[0] & gaps[1], 0.0, np.where(gaps[0] | gaps[1], FAR, apart))

    def between(self, first: Ints, second: Ints, itself: Ints) -> Ints:
        low = np.minimum(self.below[first], self.below[second])
        high = np.maximum(self.up_to[first], self.up_to[second])
        equal = (self.below[first] == self.below[second]) & (self.up_to[first] == self.up_to[second])
        shared = np.where(equal, high - low - itself, 2 * (high - low - itself))  # as far on the other side
        gaps = self.missing[first], self.missing[second]
        return np.where(gaps[0] & gaps[1], self.n_missing - itself, np.where(gaps[0] | gaps[1], self.n_real, shared))

    def bins(self) -> Ints:
        middle = (self.below + self.up_to) / (2 * max(self.n_real, 1))
        codes = np.minimum((middle * N_BINS).astype(np.int64), N_BINS - 1)
        return np.where(self.missing, N_BINS, codes)


@dataclass(frozen=True)
class _Labels:
    codes: Ints
    counts: Ints
    """Real rows with each label."""
    n_real: int

    def differences(self, first: Ints, second: Ints) -> Floats:
        return np.where(self.codes[first] == self.codes[second], 0.0, FAR)

    def between(self, first: Ints, second: Ints, itself: Ints) -> Ints:
        equal = self.codes[first] == self.codes[second]
        return np.where(equal, self.counts[self.codes[second]] - itself, self.n_real)

    def bins(self) -> Ints:
        place = np.full(len(self.counts), MAX_LEVELS)
        common = np.argsort(-self.counts, kind="stable")[:MAX_LEVELS]
        place[common] = np.arange(len(common))
        return place[self.codes]


def _column(values: pd.Series, n_real: int) -> _Numbers | _Labels:
    is_label = pd.api.types.is_bool_dtype(values.dtype) or not (
        pd.api.types.is_numeric_dtype(values.dtype) or pd.api.types.is_datetime64_any_dtype(values.dtype)
    )
    if is_label:
        codes = coded_labels(values)[0]
        return _Labels(codes, np.bincount(codes[:n_real], minlength=int(codes.max()) + 1), n_real)
    as_numbers = floats_of(values)
    missing = np.isnan(as_numbers)
    ordered = np.sort(as_numbers[:n_real][~missing[:n_real]])
    below, up_to = np.searchsorted(ordered, as_numbers, "left"), np.searchsorted(ordered, as_numbers, "right")
    spread = float(ordered.std()) if len(ordered) else 0.0
    return _Numbers(
        below.astype(np.int64),
        up_to.astype(np.int64),
        missing,
        n_missing=int(missing[:n_real].sum()),
        n_real=n_real,
        deviations=as_numbers / (spread if spread > 0 else 1.0),
    )


def own_information(codes: Sequence[Ints]) -> Floats:
    """The part of each column's information that no finer column has: 0 for a function of one, else up to 1.

    Two rows of one age have one age squared, and are no closer for it.

    Notes
    -----
    The uncertainty coefficient (H. Theil, 1970), less its bias (G. A. Miller, 1955).

    Examples
    --------
    >>> age = np.arange(1_000) % 8
    >>> own_information([age, age // 2, np.arange(1_000) // 8 % 2]).round(1).tolist()
    [1.0, 0.0, 1.0]
    """
    entropies = np.array([_entropy(np.bincount(one)) for one in codes])
    information = np.ones(len(codes))
    done: list[int] = []
    for place in np.argsort(-entropies, kind="stable"):
        known = [_shared_information(codes[place], codes[other], entropies[[place, other]]) for other in done]
        if known and entropies[place] > 0:
            information[place] = 1 - min(max(max(known), 0.0) / entropies[place], 1.0)
        done.append(int(place))
    return information


def _shared_information(first: Ints, second: Ints, entropies: Floats) -> float:
    width = int(second.max()) + 1
    counts = np.bincount(first * width + second, minlength=(int(first.max()) + 1) * width).reshape(-1, width)
    rows, columns = (int((counts.sum(axis=axis) > 0).sum()) for axis in (1, 0))
    bias = (rows - 1) * (columns - 1) / (2 * len(first))
    return float(entropies.sum() - _entropy(counts.ravel()) - bias)


def _entropy(counts: Ints) -> float:
    shares = counts[counts > 0] / counts.sum()
    return float(-(shares * np.log(shares)).sum())


def _coded(codes: Ints, n_real: int, own: float) -> Coded:
    """A column's codes, and what two rows that share one are closer by."""
    counts = np.bincount(codes[:n_real], minlength=int(codes.max()) + 1)
    return Coded(codes, -own * np.log(np.clip(counts, 1, n_real) / n_real))
