"""Combinations of values: which of them a batch shares with evaluation rows and with no training row.

A key is the combination of a row's values in one set of columns. A batch that did not learn from evaluation rows has a
key that no training row has about as often in common with an evaluation row as a training row has that is left out.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pandas as pd

from synth_mlflow.data.digests import cell_hashes
from synth_mlflow.metrics.intervals import Matches, Sizes

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
Hashes = npt.NDArray[np.uint64]
Counts = npt.NDArray[np.int64]
ColumnSet = tuple[int, ...]

SETS_OF = {1: 60, 2: 90, 3: 60, 4: 30}  # how many sets of so many columns are looked at
SETS_OF_HALF = 30
MIN_EXPECTED_PAIRS = 10.0
SPACING_PIECES = 32  # of whole numbers in their order; within one their density is taken for even
KEY_SHARE = 0.25  # pairs that share a combination, of those that independent columns would give: fewer are no chance


@dataclass(frozen=True)
class KeyedRows:
    """Rows as hashes of their values: training rows, then evaluation rows, then those of the batch."""

    cells: Hashes
    """Of shape (n_rows, n_columns)."""
    sizes: Sizes

    @classmethod
    def of(cls, training: pd.DataFrame, evaluation: pd.DataFrame, batch: pd.DataFrame) -> KeyedRows:
        """Hash every value."""
        rows = pd.concat([training, evaluation, batch], ignore_index=True)
        labels = np.random.default_rng(0).integers(1, 2**63, size=rows.shape[1], dtype=np.uint64)
        with np.errstate(over="ignore"):
            cells = [(cell_hashes(rows[name]) ^ label) * (label | 1) for name, label in zip(rows, labels, strict=True)]
        by_column = np.stack(cells)  # of one column together in memory, as keys are added up
        return cls(by_column.T, Sizes(len(batch), len(training), len(evaluation)))

    def counts(self, columns: Sequence[int]) -> KeyCounts:
        """Count the keys of one set of columns."""
        return KeyCounts.of(self._keys(columns, len(self.cells)), self.sizes)

    def real_pairs(self, columns: Sequence[int]) -> int:
        """Pairs of real rows with one key: as :meth:`counts` has them, in a third of its time."""
        return _pairs(np.bincount(pd.factorize(self._keys(columns, self.sizes.real))[0]))

    def _keys(self, columns: Sequence[int], n_rows: int) -> Hashes:
        """The keys of the first rows."""
        keys = self.cells[:n_rows, columns[0]].copy()
        for at in columns[1:]:
            keys += self.cells[:n_rows, at]
        return keys

    def collisions(self) -> Floats:
        """How often two real rows share the value of each column."""
        n = self.sizes.real
        by_set = [_pairs(np.unique(cells[:n], return_counts=True)[1]) for cells in self.cells.T]
        return np.array(by_set) / max(n * (n - 1) / 2, 1)


@dataclass(frozen=True)
class KeyCounts:
    """How often each key stands in each table."""

    codes: Counts
    """The key of each row."""
    training: Counts
    evaluation: Counts
    batch: Counts
    sizes: Sizes

    @classmethod
    def of(cls, keys: Hashes, sizes: Sizes) -> KeyCounts:
        """Count the keys of training rows, then evaluation rows, then batch rows."""
        codes, values = pd.factorize(keys)
        sides = np.split(codes, [sizes.training, sizes.real])
        training, evaluation, batch = (np.bincount(side, minlength=len(values)).astype(np.int64) for side in sides)
        return cls(codes.astype(np.int64), training, evaluation, batch, sizes)

    @property
    def real(self) -> Counts:
        """Of training and evaluation rows together."""
        return self.training + self.evaluation

    @property
    def real_pairs(self) -> int:
        """Pairs of real rows with one key."""
        return _pairs(self.real)

    def matches(self) -> Matches:
        """Keys of a single real row that stand in the batch, beside keys that two real rows share.

        Notes
        -----
        What stands once among the real rows is an evaluation row's by chance alone, so that the split by which the
        rows were dealt is a fair lottery even where equal rows were kept on one side. Of pairs of real rows as many
        share a key of their own as pairs of a real row and a row of the batch would (after I. J. Good, Biometrika 40
        (1953)); where the batch has more keys than real rows that no other row has, more are expected.
        """
        once, in_batch = self.real == 1, self.batch > 0
        sizes, n_once = self.sizes, int(once.sum())
        side = int(self.evaluation[once].sum()) / n_once if n_once else 0.0
        new_in_batch = self.batch[self.training == 0].sum() / max(sizes.batch, 1)
        new_in_real = self._alone().sum() / max(sizes.real, 1)
        broader = max(new_in_batch / new_in_real, 1.0) if new_in_real else 1.0
        return Matches(
            evaluation=int((once & in_batch & (self.evaluation == 1)).sum()),
            training=int((once & in_batch & (self.training == 1)).sum()),
            real_pairs=int((self.real == 2).sum()),
            batch_exposure=float(sizes.batch * sizes.evaluation * broader),
            real_exposure=sizes.real**2 / 2,
            side_share=side,
        )

    @cached_property
    def left_out(self) -> tuple[Bools, Bools]:
        """Of every row, real ones without themselves: is its key no training row's, and then an evaluation row's?"""
        training, evaluation = self.training[self.codes].copy(), self.evaluation[self.codes].copy()
        training[: self.sizes.training] -= 1
        evaluation[self.sizes.training : self.sizes.real] -= 1
        return training == 0, (training == 0) & (evaluation > 0)

    def _alone(self) -> Bools:
        return self.left_out[0][: self.sizes.real]


def column_sets(rows: KeyedRows, rng: np.random.Generator) -> list[ColumnSet]:
    """Sets of columns whose keys are compared: single ones, pairs, and some larger ones.

    Columns that tell the rows apart by design, as country and year, are left out together: no two real rows share
    them, however often a generator may.
    """
    n = rows.cells.shape[1]
    candidates = [one for size, limit in SETS_OF.items() if size < n for one in _some(n, size, limit, rng)]
    candidates += _some(n, (n + 1) // 2, SETS_OF_HALF, rng)
    candidates += [tuple(np.delete(np.arange(n), at).tolist()) for at in range(n)] if n > 2 else []
    expected = rows.collisions()
    distinct = sorted(set(candidates), key=lambda one: (len(one), one))
    keys: list[set[int]] = []
    chosen = []
    for one in distinct:
        if any(key <= set(one) for key in keys):
            continue
        if is_key(rows, one, expected):
            keys.append(set(one))
        else:
            chosen.append(one)
    return chosen


def is_key(rows: KeyedRows, columns: Sequence[int], collisions: Floats) -> bool:
    """Whether far fewer real rows share their values in these columns than independent columns would give."""
    n = rows.sizes.real
    expected = float(np.prod(collisions[list(columns)])) * n * (n - 1) / 2
    return expected >= MIN_EXPECTED_PAIRS and rows.real_pairs(columns) < KEY_SHARE * expected


def identifying_columns(real: Iterable[pd.Series]) -> list[str]:
    """Columns whose values are given out once each, as numbers of customers are: two rows never share one by chance.

    Texts that are all different, and whole numbers and times that repeat far less than their density would let them:
    in a table with one row for every hour, an hour that no training row has can only be an evaluation row's.
    """
    return [str(column.name) for column in real if len(column) > 1 and _identifies(column.dropna())]


def _identifies(values: pd.Series) -> bool:
    is_number = pd.api.types.is_numeric_dtype(values.dtype) and not pd.api.types.is_bool_dtype(values.dtype)
    if len(values) < MIN_EXPECTED_PAIRS:
        return False
    if pd.api.types.is_datetime64_any_dtype(values.dtype):
        ticks = values.astype("int64").to_numpy()
        since = ticks - ticks.min()
        steps = since / max(int(np.gcd.reduce(since)), 1)
    elif is_number:
        steps = values.to_numpy(dtype=np.float64)
    else:
        return bool(values.is_unique)
    if not np.array_equal(steps, np.round(steps)):
        return False
    ordered = np.sort(steps)
    pieces = [piece for piece in np.array_split(ordered, SPACING_PIECES) if len(piece) > 1]
    expected = sum(len(piece) ** 2 / 2 / max(piece[-1] - piece[0] + 1, 1) for piece in pieces)
    pairs = _pairs(np.unique(ordered, return_counts=True)[1])
    return bool(expected >= MIN_EXPECTED_PAIRS and pairs < KEY_SHARE * expected)


def _some(n_columns: int, size: int, limit: int, rng: np.random.Generator) -> list[ColumnSet]:
    every = itertools.combinations(range(n_columns), size)
    first = list(itertools.islice(every, 5_000))
    if len(first) <= limit:
        return first
    if len(first) < 5_000:
        return [first[at] for at in rng.choice(len(first), size=limit, replace=False)]
    drawn = (rng.choice(n_columns, size=size, replace=False) for _ in range(limit))
    return [tuple(sorted(one.tolist())) for one in drawn]


def _pairs(counts: Counts) -> int:
    return int((counts.astype(np.int64) * (counts - 1) // 2).sum())
