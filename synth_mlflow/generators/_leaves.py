"""Members grouped by a decision tree: rows that fall into the same leaf lend each other their values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from synth_mlflow.generators._numbers import Floats, Ints
from synth_mlflow.generators._predictors import Matrix


@dataclass(frozen=True)
class Leaves:
    """A tree, and the members' values sorted by leaf."""

    tree: Any
    """A fitted scikit-learn tree, or None if all members share one leaf."""
    values: Floats | Ints
    starts: Ints
    """Where each leaf's values begin; shape (n_nodes,)."""
    counts: Ints

    @classmethod
    def of(cls, tree: Any, matrix: Matrix, values: Floats | Ints) -> Leaves:
        """Sort the members' values, shape (n_rows,), by the leaves that their predictors fall into."""
        leaf = _apply(tree, matrix)
        n_nodes = 1 if tree is None else tree.tree_.node_count
        counts = np.bincount(leaf, minlength=n_nodes)
        return cls(tree, values[np.argsort(leaf, kind="stable")], np.cumsum(counts) - counts, counts)

    def draw(self, matrix: Matrix, rng: np.random.Generator) -> npt.NDArray[Any]:
        """A member's value from each row's leaf; all of a leaf's values are used before one is used again.

        Independent draws would use some members twice and others never, and add that noise to the members' own.
        """
        leaf = _apply(self.tree, matrix)
        rows = _shuffled_by(leaf, rng)
        donors = _shuffled_by(np.repeat(np.arange(len(self.counts)), self.counts), rng)
        turn = np.arange(len(leaf)) - np.searchsorted(leaf[rows], leaf[rows])
        drawn = np.empty(len(leaf), dtype=self.values.dtype)
        drawn[rows] = self.values[donors[self.starts[leaf[rows]] + turn % self.counts[leaf[rows]]]]
        return drawn


def grow_regressor(matrix: Matrix, outcome: Floats, *, min_leaf: int, significance: float, seed: int) -> Any:
    """A regression tree, each of whose splits explains at least ``significance`` times what noise would.

    ``outcome`` has shape (n_rows, n_outcomes). A split that explains nothing lowers the sum of squares by about one
    variance per outcome.
    """
    from sklearn.tree import DecisionTreeRegressor

    if matrix.shape[1] == 0 or len(matrix) < 2 * min_leaf:
        return None
    least = significance * float(outcome.var(axis=0).mean()) / len(outcome)
    tree = DecisionTreeRegressor(min_samples_leaf=min_leaf, min_impurity_decrease=least, random_state=seed)
    return tree.fit(matrix, outcome)


def _apply(tree: Any, matrix: Matrix) -> Ints:
    return np.zeros(len(matrix), dtype=np.int64) if tree is None else tree.apply(matrix)


def _shuffled_by(group: Ints, rng: np.random.Generator) -> Ints:
    """Positions sorted by group, in random order within each."""
    shuffled = rng.permutation(len(group))
    return shuffled[np.argsort(group[shuffled], kind="stable")]
