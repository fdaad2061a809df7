"""Sequential trees: each column drawn given the earlier ones, numbers and the target with the help of boosting.

Which columns are worth looking at for each other, in tables too wide to look at all of them.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd

from synth_mlflow.data.slices import Slice
from synth_mlflow.data.task import Task
from synth_mlflow.errors import UsageError
from synth_mlflow.generators._encoding import Codes, Encoded
from synth_mlflow.generators._latents import latents_of
from synth_mlflow.generators._numeric import Floats, Smoothing
from synth_mlflow.generators._table_sampler import TableSampler, TextPolicy, fit_table
from synth_mlflow.generators._trees import ColumnModel, Settings, fit_column


@dataclass(frozen=True)
class Forest:
    r"""Draw each column from its distribution given the earlier columns, as trees find it.

    Parameters
    ----------
    privacy : float
        From 0 (closest to the members) to 1 (farthest from them); see Notes.
    text : "refuse" or "resample"
        Free text is refused, or drawn from the members' own texts.

    Notes
    -----
    Sequential trees follow J. P. Reiter, Journal of Official Statistics 21 (2005). Here a tree for a number also sees
    an out-of-fold boosted expectation, a classification target is drawn from boosted probabilities, and no fine value
    of a member is handed out. What ``privacy`` sets:

    =======================================  ======  =======  =====
    \                                        0       0.5      1
    =======================================  ======  =======  =====
    members a leaf must hold                 6       26       104
    gain of a split for levels, in noises    0       6        12
    gain of a split for numbers, in noises   0       0        1
    members between knots of fine values     0       32       64
    members that share a value handed out    1       10, 20   19, 39
    values by which even counts drift        0       1        1
    shared values handed out, per member     any     0.09     0.045
    knots of fine values, per member         any     2        1
    =======================================  ======  =======  =====

    Where all columns together would have more knots, each gets a curve with as few bends as fit its values.

    In tables of more than 31 columns each looks at the 30 earlier ones that it is most correlated with, and a
    classification target is drawn first: rows then have the class in common, which 30 columns alone would not tell.
    At 0 exact values of members are reused, and attacks find them: it is for data that hide nothing.
    """

    privacy: float = 0.5
    text: TextPolicy = "refuse"

    summary: ClassVar[str] = "Sequential boosted trees: the best fidelity, utility and privacy for its time"
    version: ClassVar[str] = "9"
    leaky: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if not (isinstance(self.privacy, int | float) and 0.0 <= self.privacy <= 1.0):
            raise UsageError(
                f"privacy is {self.privacy!r}, needed a number between 0 and 1.", "Leave it out for the default, 0.5."
            )

    def fit(
        self,
        members: pd.DataFrame,
        task: Task,
        rng: np.random.Generator,
        *,
        slice: Slice | None = None,  # noqa: A002 (the contract's name)
    ) -> TableSampler:
        """Learn one model a column from real rows."""
        smoothing = Smoothing.at(self.privacy)
        return fit_table(members, task, rng, self._learn, slice=slice, smoothing=smoothing, text=self.text)

    def _learn(self, encoded: Encoded, rng: np.random.Generator) -> _Chain:
        order = _order(encoded)
        predictors = screened(encoded, order)
        settings = Settings.at(self.privacy)

        def fit_one(name: str, child: np.random.Generator) -> ColumnModel:
            return fit_column(encoded, name, predictors[name], settings, child)

        with ThreadPoolExecutor(os.cpu_count()) as pool:  # a generator a column: the order of work changes nothing
            models = list(pool.map(fit_one, order, rng.spawn(len(order))))
        return _Chain(tuple(models))


@dataclass(frozen=True)
class _Chain:
    """One model a column, in the order in which they are drawn; keeps the Core contract."""

    models: tuple[ColumnModel, ...]

    def draw(self, codes: Codes, names: Sequence[str], n_rows: int, rng: np.random.Generator) -> Codes:
        drawn = dict(codes)
        for model in self.models:
            if model.name in names:
                drawn[model.name] = model.draw(drawn, n_rows, rng)
        return drawn


def _order(encoded: Encoded) -> list[str]:
    """The slice's columns first, the target last, the others as they stand; in a wide table the class before them."""
    first = list(encoded.leading)
    target = [name for name in (encoded.target,) if name in encoded.columns and name not in first]
    others = [name for name in encoded.columns if name not in {*first, *target}]
    return first + (target + others if _is_led_by_class(encoded) else others + target)


def _is_led_by_class(encoded: Encoded) -> bool:
    """Whether columns are drawn given the class: where none can look at all others, the class holds them together."""
    return encoded.is_classification and len(encoded.columns) > MAX_PREDICTORS + 1


plugin = Forest


MAX_PREDICTORS = 30
MAX_ROWS = 5_000  # correlations from so many are sharp enough to rank by


def screened(encoded: Encoded, order: Sequence[str]) -> Mapping[str, list[str]]:
    """For each column the earlier ones of ``order`` that go with it most, at most ``MAX_PREDICTORS``, in that order.

    A target that leads them is always among them.
    """
    if len(order) <= MAX_PREDICTORS + 1:
        return {name: list(order[:at]) for at, name in enumerate(order)}
    strength = _strength(encoded, order)
    if _is_led_by_class(encoded) and encoded.target in order:
        strength[:, order.index(encoded.target)] = np.inf
    columns: dict[str, list[str]] = {}
    for at, name in enumerate(order):
        strongest = np.sort(np.argsort(-strength[at, :at], kind="stable")[:MAX_PREDICTORS])
        columns[name] = [order[earlier] for earlier in strongest]
    return columns


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
