"""Which columns are worth looking at for each other, in tables too wide to look at all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from synth_mlflow.generators._encoding import Encoded
from synth_mlflow.generators._latents import latents_of
from synth_mlflow.generators._numbers import Floats

MAX_PREDICTORS = 30
MAX_ROWS = 5_000  # correlations from so many are sharp enough to rank by


def screened(encoded: Encoded, order: Sequence[str]) -> Mapping[str, list[str]]:
    """For each column the earlier ones of ``order`` that go with it most, at most ``MAX_PREDICTORS``, in that order."""
    if len(order) <= MAX_PREDICTORS + 1:
        return {name: list(order[:at]) for at, name in enumerate(order)}
    strength = _strength(encoded, order)
    kept: dict[str, list[str]] = {}
    for at, name in enumerate(order):
        strongest = np.sort(np.argsort(-strength[at, :at], kind="stable")[:MAX_PREDICTORS])
        kept[name] = [order[earlier] for earlier in strongest]
    return kept


def _strength(encoded: Encoded, order: Sequence[str]) -> Floats:
    """Largest absolute correlation between the latent variables of two columns; shape (n_columns, n_columns)."""
    latents = latents_of(encoded)
    rows = np.linspace(0, encoded.n_rows - 1, min(encoded.n_rows, MAX_ROWS)).astype(np.int64)
    scores = np.column_stack([latent.scores(encoded.codes[latent.column][rows]) for latent in latents])
    scores = np.nan_to_num(scores - np.nanmean(scores, axis=0))
    scores /= np.maximum(np.linalg.norm(scores, axis=0), 1e-12)
    correlation = np.abs(scores.T @ scores)
    owner = np.array([order.index(latent.column) for latent in latents])
    strength = np.zeros((len(order), len(order)))
    np.maximum.at(strength, (owner[:, None], owner[None, :]), correlation)
    return strength
