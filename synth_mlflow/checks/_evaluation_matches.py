"""How a batch matches evaluation rows: whole rows, rounded rows, and combinations of their values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats

from synth_mlflow.checks._tables import Tables, thin, without
from synth_mlflow.data.digests import row_hashes
from synth_mlflow.measures.rate_excess import Matches, Sizes
from synth_mlflow.measures.shared_keys import ColumnSet, KeyCounts, KeyedRows, column_sets, identifying_columns, is_key

Floats = npt.NDArray[np.float64]

MAX_KEYED_ROWS = 10_000
MIN_NEW_KEYS = 20


@dataclass(frozen=True)
class SetMatches:
    """Matches of the combinations of one set of columns."""

    columns: tuple[str, ...]
    matches: Matches


@dataclass(frozen=True)
class NewKeys:
    """Combinations in sets of equally many columns that no training row has, and how many of them evaluation rows have.

    Every row is asked in every set, so the rows, and not the combinations, are what is independent.
    """

    n_columns: int
    n_sets: int
    found: float
    """In the batch: those that evaluation rows have."""
    expected: float
    """Those that they would have, by what real rows show when each is left out."""
    p_value: float


def whole_rows(tables: Tables, *, rounded: bool = False) -> Matches:
    """Every row of the batch against every real row, as it is or rounded as the columns are."""
    parts = (tables.members, tables.control, tables.batch)
    sizes = Sizes(len(tables.batch), len(tables.members), len(tables.control))
    rows = pd.concat(parts, ignore_index=True)
    if rounded:
        rows = _rounded(rows, sizes.real)
    return KeyCounts.of(row_hashes(rows), sizes).matches()


def _rounded(rows: pd.DataFrame, n_real: int) -> pd.DataFrame:
    """Numbers rounded to the decimals that real ones have, or else to a thousandth of their middle half's width."""
    found = rows.copy()
    for name in rows:
        if pd.api.types.is_float_dtype(rows[name].dtype):
            found[name] = _on_grid(rows[name].to_numpy(dtype=np.float64), n_real)
    return found


def _on_grid(values: Floats, n_real: int) -> Floats:
    present = values[:n_real][~np.isnan(values[:n_real])]
    if not len(present):
        return values
    for decimals in range(5):
        if np.allclose(present, np.round(present, decimals), rtol=0, atol=1e-9):
            return np.round(values, decimals)
    width = float(np.subtract(*np.quantile(present, [0.75, 0.25])))
    return np.round(values * 1000 / width) if width > 0 else values


@dataclass(frozen=True)
class Combinations:
    """What the sets of columns show."""

    sets: tuple[SetMatches, ...]
    new_keys: tuple[NewKeys, ...]
    rows_identified: bool
    """Whether real rows never repeat though their columns would let them, so that whole rows have no natural rate."""


def combinations(tables: Tables, rng: np.random.Generator) -> Combinations:
    """Compare the combinations of values in many sets of columns."""
    tables = without(tables, identifying_columns(tables.real))
    batch = thin(tables.batch.drop_duplicates(ignore_index=True), MAX_KEYED_ROWS, rng)
    rows = KeyedRows.of(thin(tables.members, MAX_KEYED_ROWS, rng), tables.control, batch)
    names = [str(name) for name in tables.members]
    by_size: dict[int, list[tuple[Floats, Floats]]] = {}
    sets = []
    for columns in column_sets(rows, rng):
        counts = rows.counts(columns)
        sets.append(SetMatches(tuple(names[at] for at in columns), counts.matches()))
        by_size.setdefault(_size_class(columns, len(names)), []).append(_left_out(counts))
    new = tuple(
        found for size, each in sorted(by_size.items()) if (found := _new_keys(size, each, rows.sizes)) is not None
    )
    whole = tuple(range(len(names)))
    return Combinations(tuple(sets), new, is_key(rows, whole, rows.collisions()))


def _size_class(columns: ColumnSet, n_columns: int) -> int:
    return min(len(columns), 4) if len(columns) < n_columns - 1 else n_columns - 1


def _left_out(counts: KeyCounts) -> tuple[Floats, Floats]:
    new, found = counts.left_out()
    n = counts.sizes.real
    natural = found[:n].sum() / max(new[:n].sum(), 1)
    return found.astype(np.float64), new * natural


def _new_keys(size: int, each: Sequence[tuple[Floats, Floats]], sizes: Sizes) -> NewKeys | None:
    found, expected = (np.sum([one[side] for one in each], axis=0) for side in (0, 1))
    beyond = found - expected
    batch, real = beyond[sizes.real :], beyond[: sizes.real]
    total, chance = float(found[sizes.real :].sum()), float(expected[sizes.real :].sum())
    if total < MIN_NEW_KEYS or len(batch) < 2:
        return None
    spread = np.sqrt(len(batch) * batch.var() + len(batch) ** 2 * real.var() / len(real))
    p_value = float(stats.norm.sf(batch.sum() / spread)) if spread > 0 else 1.0
    return NewKeys(size, len(each), total, chance, p_value)
