"""Gaussian copula: empirical marginals tied together by one correlation matrix; fast and smooth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd

from synth_mlflow.data.slices import Slice
from synth_mlflow.data.task import Task
from synth_mlflow.errors import UsageError
from synth_mlflow.generators._encoding import Codes, Encoded
from synth_mlflow.generators._latent_correlation import latent_correlation
from synth_mlflow.generators._latents import Latent, ValueLatent, latents_of
from synth_mlflow.generators._numeric import Floats, Smoothing
from synth_mlflow.generators._table_sampler import TableSampler, TextPolicy, fit_table


@dataclass(frozen=True)
class GaussianCopula:
    """Draw each column from its own distribution and their ranks from a joint Gaussian.

    Categories are intervals of a latent normal variable, ordered by how they go with the target; a column with missing
    numbers has a second latent variable for being missing.

    Parameters
    ----------
    shrinkage : "auto" or float
        How far correlations are pulled to zero: 0 leaves them, 1 makes the columns independent; "auto" takes the
        amount that minimises the expected squared error (Schäfer and Strimmer, doi:10.2202/1544-6115.1175). With fewer
        than 10 rows for each latent variable it may also take a few common factors, where rows that were left out are
        likelier under these.
    text : "refuse" or "resample"
        Free text is refused, or drawn from the members' own texts.
    """

    shrinkage: float | str = "auto"
    text: TextPolicy = "refuse"

    summary: ClassVar[str] = "Gaussian copula: very fast, keeps marginals and correlations, loses everything else"
    version: ClassVar[str] = "8"
    leaky: ClassVar[bool] = False

    def __post_init__(self) -> None:
        is_share = isinstance(self.shrinkage, int | float) and 0.0 <= self.shrinkage <= 1.0
        if not (is_share or self.shrinkage == "auto"):
            raise UsageError(
                f"shrinkage is {self.shrinkage!r}, needed a number between 0 and 1 or 'auto'.",
                "Leave it out for 'auto'.",
            )

    def fit(
        self,
        members: pd.DataFrame,
        task: Task,
        rng: np.random.Generator,
        *,
        slice: Slice | None = None,  # noqa: A002 (the contract's name)
    ) -> TableSampler:
        """Learn marginals and correlations from real rows."""
        return fit_table(members, task, rng, self._learn, slice=slice, smoothing=Smoothing(), text=self.text)

    def _learn(self, encoded: Encoded, rng: np.random.Generator) -> _Copula:  # noqa: ARG002 (nothing here is random)
        latents = latents_of(encoded)
        scores = np.empty((encoded.n_rows, len(latents)))
        for at, latent in enumerate(latents):
            scores[:, at] = latent.scores(encoded.codes[latent.column])
        shrinkage = None if self.shrinkage == "auto" else float(self.shrinkage)
        return _Copula(encoded, latents, latent_correlation(scores, shrinkage))


@dataclass(frozen=True)
class _Copula:
    """A fitted copula; keeps the Core contract."""

    encoded: Encoded
    latents: tuple[Latent, ...]
    correlation: Floats

    def draw(self, codes: Codes, names: Sequence[str], n_rows: int, rng: np.random.Generator) -> Codes:
        known = [at for at, latent in enumerate(self.latents) if latent.column in codes]
        places = [at for at, latent in enumerate(self.latents) if latent.column in names]
        if not places:
            return codes
        given = [self.latents[at].latent(codes[self.latents[at].column], rng) for at in known]
        normals = self._conditional(known, places, given, n_rows, rng)
        return codes | _values([self.latents[at] for at in places], normals, rng)

    def _conditional(
        self, known: list[int], places: list[int], given: list[Floats], n_rows: int, rng: np.random.Generator
    ) -> Floats:
        inner = self.correlation[np.ix_(places, places)]
        if not known:
            return _draw(inner, n_rows, rng)
        cross = self.correlation[np.ix_(places, known)]
        weights = np.linalg.solve(self.correlation[np.ix_(known, known)], cross.T)
        mean: Floats = np.column_stack(given) @ weights
        return mean + _draw(inner - cross @ weights, n_rows, rng)


def _values(latents: list[Latent], normals: Floats, rng: np.random.Generator) -> Codes:
    values: Codes = {}
    for latent, normal in zip(latents, normals.T, strict=True):
        if isinstance(latent, ValueLatent):
            values[latent.column] = latent.value(normal, rng)
        elif latent.is_missingness:
            values[latent.column] = np.where(latent.level(normal) == 1, np.nan, values[latent.column])
        else:
            values[latent.column] = latent.level(normal)
    return values


def _draw(covariance: Floats, n_rows: int, rng: np.random.Generator) -> Floats:
    eigenvalues, vectors = np.linalg.eigh(covariance)
    root = vectors * np.sqrt(np.maximum(eigenvalues, 0.0))
    return np.asarray(rng.standard_normal((n_rows, len(covariance))) @ root.T)


plugin = GaussianCopula
