"""Membership attacks with the sides swapped: which evaluation rows, rather than training rows, does a batch betray?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

from synth_mlflow.checks._membership import distinct, draw_targets
from synth_mlflow.checks._tables import Tables, thin
from synth_mlflow.measures.attacks import distance_attacks, neighbours
from synth_mlflow.measures.encoding import Encoding
from synth_mlflow.measures.value_reuse import count_values, exact_values

MAX_TARGETS = 2_000
MAX_BATCH = 20_000
MIN_TARGETS = 20
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
    """Attack as many evaluation as training rows, every row one copy; nothing where there are too few."""
    once = distinct(tables)
    small = Tables(thin(once.batch, MAX_BATCH, rng), once.members, thin(once.control, MAX_TARGETS, rng))
    if min(len(small.members), len(small.control)) < MIN_TARGETS or len(small.batch) < MIN_TARGETS:
        return []
    targets = draw_targets(small, rng)
    encoding = Encoding.learn(targets.rows)
    near = neighbours(encoding.points(targets.rows), encoding.points(small.batch))
    scores = {name: score for name, score in distance_attacks(near).items() if name in RELATIVE}
    scores["exact_values"] = exact_values(count_values(targets.rows, small.batch, targets.others[:0]))
    is_evaluation = ~targets.is_member
    return [_judged(name, score, is_evaluation) for name, score in scores.items()]


def _judged(name: str, score: np.ndarray, is_evaluation: np.ndarray) -> Swapped:
    found = stats.mannwhitneyu(score[is_evaluation], score[~is_evaluation], alternative="greater", method="asymptotic")
    n = int(is_evaluation.sum())
    return Swapped(name, float(found.statistic) / n**2, float(found.pvalue))
