"""The rows of a table as LightGBM takes them, encoded block by block, so that no matrix of all of them is made."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import lightgbm
import numpy as np
import pandas as pd

from synth_mlflow.models.raw_columns import Matrix, RawColumns

BLOCK_ROWS = 20_000  # encoded at a time


class EncodedRows(lightgbm.Sequence):
    """A normalised table of shape (n_rows, n_columns); its bins are those of the one matrix that it stands for."""

    batch_size = BLOCK_ROWS

    def __init__(self, columns: RawColumns, rows: pd.DataFrame) -> None:
        self._columns, self._rows = columns, rows
        self._start, self._block = 0, np.empty((0, 0))

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, place: Any) -> Matrix:
        """A slice of the rows, or one of them; single ones are asked for in ascending order."""
        if isinstance(place, slice):
            return self._columns.matrix(self._rows.iloc[place])
        if not self._start <= place < self._start + len(self._block):
            self._start = place - place % BLOCK_ROWS
            self._block = self._columns.matrix(self._rows.iloc[self._start : self._start + BLOCK_ROWS])
        row: Matrix = self._block[place - self._start]
        return row


def as_of_matrix(params: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters by which LightGBM draws the rows that decide on the bins from encoded rows as it does from a matrix.

    Of a matrix it derives the seed of that draw from ``seed``, of a sequence it passes ``seed`` over. The derivation is
    that of ``Config::Set`` and ``Random::NextShort`` in LightGBM 4.

    >>> as_of_matrix({"seed": 0})
    {'seed': 0, 'data_random_seed': 38}
    """
    seeds = [params[name] for name in _SEEDS if name in params]
    if not seeds or any(name in params for name in _DRAW_SEEDS):
        return dict(params)
    return {**params, "data_random_seed": ((214_013 * int(seeds[0]) + 2_531_011) >> 16 & 0x7FFF) % 0x7FFF}


_SEEDS = ("seed", "random_seed", "random_state")
_DRAW_SEEDS = ("data_random_seed", "data_seed")
