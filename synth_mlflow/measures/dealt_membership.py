"""The noise floor of attacks: what the same scores and marks give when membership is dealt to the targets at random."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import stats

from synth_mlflow.measures.attacks import LOW_RATES, meta_attack, true_positive_rate
from synth_mlflow.measures.floors import CONFIDENCE, Places, split_floor
from synth_mlflow.measures.two_sample import folded_area

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

N_DEALS = 200
N_META_DEALS = 10  # each trains the attack anew
MAX_META_TARGETS = 3_000


def deals(n_targets: int, rng: np.random.Generator) -> Bools:
    """Random memberships, half of the targets each: shape (N_DEALS, n_targets)."""
    half = np.arange(n_targets) < n_targets // 2
    return np.stack([rng.permutation(half) for _ in range(N_DEALS)])


def excess_floors(marks: Bools, dealt: Bools) -> Floats:
    """What 99 of 100 deals stay below: share of members with a mark, beyond that of controls.

    Parameters
    ----------
    marks : array of shape (n_targets, n_marks)
    dealt : array of shape (n_deals, n_targets)

    Returns
    -------
    array of shape (n_marks,)
    """
    of_members = dealt.astype(np.float32) @ marks.astype(np.float32)
    excess = (2 * of_members - marks.sum(axis=0)) / (len(marks) / 2)
    return np.asarray(np.quantile(excess, CONFIDENCE, axis=0), dtype=np.float64)


def attack_floors(scores: Floats, dealt: Bools) -> tuple[float, ...]:
    """What 99 of 100 deals stay below: the area, and the true-positive rate at each low rate.

    Parameters
    ----------
    scores : array of shape (n_targets,)
    dealt : array of shape (n_deals, n_targets)
    """
    n = scores.shape[0] // 2
    ranked = stats.rankdata(scores)
    areas = ((dealt @ ranked) / n - (n + 1) / 2) / n
    order = np.argsort(-scores, kind="stable")
    n_top = min(2 * n, 8 * int(max(LOW_RATES) * n) + 200)  # holds the first controls of every deal
    ordered = dealt[:, order[:n_top]]
    members, controls = np.cumsum(ordered, axis=1), np.cumsum(~ordered, axis=1)
    first_of_ties = np.searchsorted(-scores[order], -scores[order], side="left")
    found = [areas]
    for rate in LOW_RATES:
        allowed = min(int(rate * n), n - 1)
        threshold = np.argmax(controls > allowed, axis=1)  # the first control too many
        above = first_of_ties[threshold]
        hits = np.where(above > 0, members[np.arange(len(dealt)), above - 1], 0)
        found.append(hits / n)
    return tuple(float(np.quantile(one, CONFIDENCE)) for one in found)


def meta_floors(known: Floats, rng: np.random.Generator) -> tuple[float, ...]:
    """As :func:`attack_floors`, for the attack that learns from membership: trained anew on every deal.

    Parameters
    ----------
    known : array of shape (n_targets, n_features)
    """

    def beyond_chance(members: Places, control: Places) -> Floats:
        is_member = np.arange(len(members) + len(control)) < len(members)
        rows = np.concatenate([members, control])
        scores, folds = meta_attack(known[rows], is_member, seed=int(members[0]))
        rates = [true_positive_rate(scores, is_member, rate).true_positive_rate - rate for rate in LOW_RATES]
        return np.array([folded_area(scores, is_member, folds).auc - 0.5, *rates])

    n_rows = min(len(known), MAX_META_TARGETS)
    floor = split_floor(beyond_chance, n_rows, rng, n_splits=N_META_DEALS, n_all=len(known))
    n = len(known) // 2
    beyond = np.maximum(floor.upper(n, n), 0)
    return tuple(float(chance + reach) for chance, reach in zip((0.5, *LOW_RATES), beyond, strict=True))
