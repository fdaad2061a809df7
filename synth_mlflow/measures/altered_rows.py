"""Rows altered on purpose, and the score that tells an altered copy from a row that lies close by nature.

What an altered copy looks like depends on the table: where rows repeat, sharing nine of ten values is no news. So the
score is learned on the table itself, from real rows that were altered here and from pairs of real rows that were not.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.linear_model import LogisticRegression

from synth_mlflow.measures.encoding import numbers
from synth_mlflow.measures.row_pairs import Pairs

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]
Alteration = Callable[[pd.DataFrame, Ints, np.random.Generator], pd.DataFrame]

SLIGHTLY, CLEARLY = (0.001, 0.01), (0.02, 0.1)  # standard deviations, evenly drawn in logarithms
MANY_VALUES = 12  # numbers with fewer are left as they are
MIN_EXAMPLES = 10
MAX_DEVIATIONS = 12.0
REGULARISATION = 0.3  # inverse strength: few features, many natural pairs


def moved(
    real: pd.DataFrame, sources: Ints, rng: np.random.Generator, by: tuple[float, float] = SLIGHTLY
) -> pd.DataFrame:
    """Rows whose numbers are moved by a small part of their standard deviation, whole ones to whole numbers."""
    found = real.iloc[sources].reset_index(drop=True)
    scale = by[0] * (by[1] / by[0]) ** rng.random(len(sources))
    for name in real:
        kind = real[name].dtype
        if not pd.api.types.is_numeric_dtype(kind) or pd.api.types.is_bool_dtype(kind):
            continue
        values = numbers(real[name])
        if real[name].nunique() > MANY_VALUES and np.isfinite(np.nanstd(values)):
            shifted = values[sources] + scale * np.nanstd(values) * rng.normal(size=len(sources))
            if pd.api.types.is_integer_dtype(kind):
                shifted = np.clip(np.round(shifted), np.nanmin(values), np.nanmax(values))
            found[name] = pd.Series(shifted).astype(kind)
    return found


def one_changed(real: pd.DataFrame, sources: Ints, rng: np.random.Generator) -> pd.DataFrame:
    """Rows of which one value each is another row's."""
    names = rng.integers(real.shape[1], size=len(sources))
    return _mixed(real, sources, names[:, None] == np.arange(real.shape[1]), rng)


def half_mixed(real: pd.DataFrame, sources: Ints, rng: np.random.Generator) -> pd.DataFrame:
    """Rows of which half of the values are another row's."""
    order = rng.random((len(sources), real.shape[1])).argsort(axis=1)
    return _mixed(real, sources, order < real.shape[1] // 2, rng)


def _mixed(real: pd.DataFrame, sources: Ints, changed: Bools, rng: np.random.Generator) -> pd.DataFrame:
    other = rng.integers(len(real), size=len(sources))
    columns = {
        name: real[name].iloc[np.where(changed[:, at], other, sources)].reset_index(drop=True)
        for at, name in enumerate(real)
    }
    return pd.DataFrame(columns)


ALTERATIONS: dict[str, Alteration] = {
    "numbers moved slightly": moved,
    "numbers moved": partial(moved, by=CLEARLY),
    "one value changed": one_changed,
    "half of the values changed": half_mixed,
}


@dataclass(frozen=True)
class Scored:
    """The real row that each query is most likely an altered copy of, and how likely."""

    places: Ints
    scores: Floats


@dataclass(frozen=True)
class CopyScore:
    """Log odds that a row is an altered copy of the real row it is paired with."""

    centre: Floats
    spread: Floats
    model: LogisticRegression

    @classmethod
    def learn(cls, natural: Pairs, altered: Pairs, sources: Ints) -> CopyScore | None:
        """Fit the score, or nothing where altered rows no longer lie close to their sources.

        Parameters
        ----------
        natural, altered : Pairs
            Of real rows with others, and of altered rows with real ones.
        sources : int array of shape (n_altered,)
            The real row that each altered row was made of.
        """
        examples = altered.features[altered.usable & (altered.places == sources[:, None])]
        others = natural.features[natural.usable]
        if min(len(examples), len(others)) < MIN_EXAMPLES:
            return None
        centre, spread = others.mean(axis=0), others.std(axis=0) + 1e-9
        model = LogisticRegression(C=REGULARISATION, max_iter=300)
        points = np.clip((np.vstack([others, examples]) - centre) / spread, -MAX_DEVIATIONS, MAX_DEVIATIONS)
        model.fit(points, np.repeat([0, 1], [len(others), len(examples)]))
        return cls(centre, spread, model)

    def of(self, pairs: Pairs) -> Scored:
        """Score every pair and keep the best of each query."""
        points = np.clip((pairs.features - self.centre) / self.spread, -MAX_DEVIATIONS, MAX_DEVIATIONS)
        scores = self.model.decision_function(points.reshape(-1, points.shape[-1])).reshape(pairs.places.shape)
        scores = np.where(pairs.usable, scores, -np.inf)
        best = scores.argmax(axis=1)[:, None]
        return Scored(*(np.take_along_axis(each, best, axis=1)[:, 0] for each in (pairs.places, scores)))
