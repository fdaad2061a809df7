"""Membership attacks with the sides swapped: which evaluation rows, rather than training rows, does a batch betray?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats
from sklearn.neighbors import NearestNeighbors

from synth_mlflow.checks._membership import distinct, draw_targets
from synth_mlflow.checks._tables import Tables, thin, without
from synth_mlflow.measures.attacks import Bools, Floats, distance_attacks, neighbours
from synth_mlflow.measures.encoding import Encoding, Matrix
from synth_mlflow.measures.shared_keys import identifying_columns
from synth_mlflow.measures.value_reuse import count_values, exact_values

MAX_TARGETS = 1_500
MAX_BATCH = 10_000
MIN_TARGETS = 20
MANY_DEVIATIONS = 2.0
RELATIVE = ("reference_ratio", "density_ratio")
"""Attacks that ask how close the batch comes, measured by how close other real rows are. Those that do not ask this
would take the years of a split by time for a leak."""


@dataclass(frozen=True)
class Swapped:
    """How well one attack tells evaluation rows from training rows."""

    name: str
    auc: float
    """Above one half where evaluation rows look like members; below it where training rows do, as they may."""
    p_value: float


def swapped_attacks(tables: Tables, rng: np.random.Generator) -> list[Swapped]:
    """Attack as many evaluation as training rows, every row one copy.

    Nothing where there are too few, or where the rows lie apart without the batch, as after a split by time: a batch
    from elsewhere may then lie nearer to evaluation rows, and has not seen one.
    """
    once = distinct(without(tables, identifying_columns(tables.real)))
    small = Tables(thin(once.batch, MAX_BATCH, rng), once.members, thin(once.control, MAX_TARGETS, rng))
    if min(len(small.members), len(small.control)) < MIN_TARGETS or len(small.batch) < MIN_TARGETS:
        return []
    targets = draw_targets(small, rng)
    encoding = Encoding.learn(targets.rows)
    if _lie_apart(encoding.points(targets.rows), targets.is_member):
        return []
    near = neighbours(encoding.points(targets.rows), encoding.points(small.batch))
    scores = {name: score for name, score in distance_attacks(near).items() if name in RELATIVE}
    scores["exact_values"] = exact_values(count_values(targets.rows, small.batch, targets.others[:0]))
    is_evaluation = ~targets.is_member
    return [_judged(name, score, is_evaluation) for name, score in scores.items()]


def _lie_apart(points: Matrix, is_member: Bools) -> bool:
    """Whether more rows have their nearest row on their own side than a split at random gives.

    Notes
    -----
    M. F. Schilling, JASA 81 (1986), with one neighbour; a pair of rows that are nearest to each other counts twice, so
    the variance is at most twice the binomial one.
    """
    nearest = NearestNeighbors(n_neighbors=1, algorithm="brute").fit(points).kneighbors(return_distance=False)[:, 0]
    n = len(points)
    beyond = float((is_member[nearest] == is_member).mean()) - (n / 2 - 1) / (n - 1)
    return bool(beyond > MANY_DEVIATIONS * np.sqrt(2 * 0.25 / n))


def _judged(name: str, score: Floats, is_evaluation: Bools) -> Swapped:
    found = stats.mannwhitneyu(score[is_evaluation], score[~is_evaluation], alternative="greater", method="asymptotic")
    n = int(is_evaluation.sum())
    return Swapped(name, float(found.statistic) / n**2, float(found.pvalue))
