"""Bootstrap with noise: members' rows drawn again with their numbers jittered; a baseline that reveals its members."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd

from synth_mlflow.data.slices import Slice
from synth_mlflow.data.task import Task
from synth_mlflow.errors import UsageError
from synth_mlflow.generators._encoding import Codes, Encoded, NumberColumn
from synth_mlflow.generators._numeric import Floats, Ints, Smoothing
from synth_mlflow.generators._table_sampler import TableSampler, TextPolicy, fit_table


@dataclass(frozen=True)
class BootstrapNoise:
    """Draw members' rows with replacement and add normal noise to their numbers.

    Parameters
    ----------
    noise : float
        Standard deviation of the noise, in standard deviations of each column; 0 gives copies.
    text : "refuse" or "resample"
        Free text is refused, or copied with its row.
    """

    noise: float = 0.1
    text: TextPolicy = "refuse"

    summary: ClassVar[str] = "Members' rows resampled, with noise on numbers: a baseline (leaky)"
    version: ClassVar[str] = "4"
    leaky: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not (isinstance(self.noise, int | float) and 0.0 <= self.noise < np.inf):
            raise UsageError(f"noise is {self.noise!r}, needed a number of at least 0.", "Try 0.1.")

    def fit(
        self,
        members: pd.DataFrame,
        task: Task,
        rng: np.random.Generator,
        *,
        slice: Slice | None = None,  # noqa: A002 (the contract's name)
    ) -> TableSampler:
        """Keep the members."""
        return fit_table(members, task, rng, self._learn, slice=slice, smoothing=Smoothing(), text=self.text)

    def _learn(self, encoded: Encoded, rng: np.random.Generator) -> _NoisyRows:  # noqa: ARG002 (nothing to learn)
        in_slice = np.ones(encoded.n_rows, dtype=bool) if encoded.in_slice is None else encoded.in_slice
        return _NoisyRows(encoded, np.flatnonzero(in_slice), self.noise)


@dataclass(frozen=True)
class _NoisyRows:
    """The members that may be drawn; keeps the Core contract."""

    encoded: Encoded
    pool: Ints
    noise: float

    def draw(self, codes: Codes, names: Sequence[str], n_rows: int, rng: np.random.Generator) -> Codes:  # noqa: ARG002
        """Whole rows at the first call, whichever columns are asked for."""
        if codes:
            return codes
        chosen = self.pool[rng.integers(len(self.pool), size=n_rows)]
        return {
            name: _jitter(column, self.encoded.codes[name], chosen, self.noise, rng)
            if isinstance(column, NumberColumn)
            else self.encoded.codes[name][chosen]
            for name, column in self.encoded.columns.items()
        }


def _jitter(column: NumberColumn, values: Floats, chosen: Ints, noise: float, rng: np.random.Generator) -> Floats:
    spread = noise * float(np.nanstd(values))
    drawn = values[chosen] + spread * rng.standard_normal(len(chosen))
    return column.numbers.round(np.clip(drawn, np.nanmin(values), np.nanmax(values)))


plugin = BootstrapNoise
