"""Membership attacks: from a batch alone, was this real row among those that the generator learned from?

Every attack gives one score a target, higher where membership is likelier. The targets are as many members as controls,
pooled; no score but :func:`meta_attack`'s ever sees which is which, so that a batch that is independent of its members
given their law makes every order of the targets equally likely, and exact tests apply. The battery is needed because no
attack dominates (arXiv 2509.18014) and the distance to the closest record misses real leaks (arXiv 2505.01524,
2312.05114).

The noise floor of attacks: what the same scores and marks give when membership is dealt to the targets at random.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from synth_mlflow.metrics.closest_places import nearest_distances
from synth_mlflow.metrics.encoding import Matrix
from synth_mlflow.metrics.intervals import clopper_pearson, epsilon_lower_bound, excess_p_value
from synth_mlflow.metrics.null_distribution import CONFIDENCE, NullDistribution, Places, group_halves, split_floor
from synth_mlflow.metrics.two_sample import folded_area, log_odds, train_classifier

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Codes = npt.NDArray[np.int64]

N_NEIGHBOURS = 5
META_FOLDS = 3
LOW_RATES = (0.01, 0.001)
_TINY = 1e-6


@dataclass(frozen=True)
class Neighbours:
    """Distances of each target to its nearest rows, nearest first; shape (n_targets, k)."""

    to_batch: Floats
    to_real: Floats
    """Other targets, members and controls alike."""


@dataclass(frozen=True)
class LowRate:
    """How many members an attack finds while it accuses at most ``false_positive_rate`` of the controls."""

    false_positive_rate: float
    true_positive_rate: float
    low: float
    high: float
    p_value: float


@dataclass(frozen=True)
class Outcome:
    """How well one attack did."""

    name: str
    auc: float
    p_value: float
    rates: tuple[LowRate, ...]
    epsilon: float
    """Lower bound on the privacy loss; never a guarantee."""


def neighbours(targets: Matrix, batch: Matrix, *, k: int = N_NEIGHBOURS) -> Neighbours:
    """Distances to the nearest batch rows and to the nearest other targets."""
    k = min(k, len(batch), len(targets) - 1)
    with_itself = nearest_distances(targets, targets, k + 1)
    return Neighbours(nearest_distances(targets, batch, k), with_itself[:, 1:])


def distance_attacks(near: Neighbours) -> dict[str, Floats]:
    """Closest record, nearest-neighbour ratio, and closeness or local density against that of other real rows.

    Notes
    -----
    ``density_ratio`` follows DOMIAS (B. van Breugel et al., arXiv 2302.12580) with nearest-neighbour densities.
    """
    batch, real = near.to_batch + _TINY, near.to_real + _TINY
    return {
        "closest_record": -batch[:, 0],
        "neighbour_ratio": -batch[:, 0] / batch[:, -1],
        "reference_ratio": np.log(real[:, 0] / batch[:, 0]),
        "density_ratio": np.log(real[:, -1] / batch[:, -1]),
    }


def near_copies(near: Neighbours, ratio: float) -> Bools:
    """Targets to which a batch row is nearer than ``ratio`` times the nearest other real row."""
    return np.asarray(near.to_batch[:, 0] < ratio * near.to_real[:, 0])


def subset_counts(targets: Codes, batch: Codes, rng: np.random.Generator, *, n_subsets: int = 24) -> Floats:
    """How much oftener the batch than the other targets agrees with a target on random subsets of binned columns.

    Notes
    -----
    After the counting queries of F. Houssiau et al., "TAPAS", arXiv 2211.06550.
    """
    n_columns = targets.shape[1]
    score = np.zeros(len(targets))
    for _ in range(n_subsets):
        chosen = rng.choice(n_columns, size=min(int(rng.integers(3, 6)), n_columns), replace=False)
        cells = _cell_numbers(np.vstack([targets, batch])[:, chosen])
        n_cells = int(cells.max()) + 1
        in_batch = np.bincount(cells[len(targets) :], minlength=n_cells)[cells[: len(targets)]]
        in_real = np.bincount(cells[: len(targets)], minlength=n_cells)[cells[: len(targets)]] - 1
        score += np.log(in_batch * len(targets) / len(batch) + 0.5) - np.log(in_real + 0.5)
    return score / n_subsets


def density_classifier(targets: Floats, batch: Floats, *, seed: int, categorical: Sequence[int] = ()) -> Floats:
    """How like a batch row a target is, to a model that learned from the batch and the other half of the targets."""
    halves = np.random.default_rng(seed).permutation(len(targets)) % 2
    score = np.zeros(len(targets))
    for half in (0, 1):
        rest = targets[halves != half]
        X, y = np.vstack([rest, batch]), np.repeat([0, 1], [len(rest), len(batch)])
        raw = log_odds(train_classifier(X, y, categorical=categorical), targets[halves == half])
        score[halves == half] = stats.rankdata(raw) / max(len(raw), 1)
    return score


def meta_attack(
    scores: Floats, is_member: Bools, *, seed: int, n_folds: int = META_FOLDS, groups: Places | None = None
) -> tuple[Floats, Places]:
    """What a model makes of all attacks together, cross-fitted: no target is scored by a model that knew its answer.

    Returns the scores, as ranks within their fold, and the fold that each target was scored in.

    Parameters
    ----------
    scores : array of shape (n_targets, n_attacks)
    is_member : array of shape (n_targets,)
    groups : array of shape (n_targets,), optional
        No target is scored by a model that has seen its group, whose rows are all members or all controls.
    """
    meta_scores, fold_of = np.zeros(len(scores)), np.zeros(len(scores), dtype=np.int64)
    splitter = StratifiedKFold if groups is None else StratifiedGroupKFold
    splits = splitter(n_folds, shuffle=True, random_state=seed).split(scores, is_member, groups)
    for fold, (train, test) in enumerate(splits):
        model = train_classifier(scores[train], is_member[train].astype(np.int64), n_rounds=30, learning_rate=0.05)
        raw = log_odds(model, scores[test])
        meta_scores[test], fold_of[test] = stats.rankdata(raw) / len(raw), fold
    return meta_scores, fold_of


def outcome(
    name: str, scores: Floats, is_member: Bools, *, confidence: float = 0.95, folds: Places | None = None
) -> Outcome:
    """Judge one attack's scores.

    Parameters
    ----------
    scores, is_member : arrays of shape (2 n,)
        n members and n controls.
    confidence : float
        Of the intervals and of the bound on ε.
    folds : array of shape (2 n,), optional
        Where the scores come from models that share training rows: the fold of each.
    """
    one_fold = np.zeros(len(scores), dtype=np.int64)
    area = folded_area(scores, is_member, one_fold if folds is None else folds)
    rates = tuple(true_positive_rate(scores, is_member, rate, confidence=confidence) for rate in LOW_RATES)
    epsilon = epsilon_lower_bound(scores, is_member, confidence=confidence)
    return Outcome(name, area.auc, area.p_value, rates, epsilon)


def true_positive_rate(scores: Floats, is_member: Bools, rate: float, *, confidence: float = 0.95) -> LowRate:
    """Share of members above the score that at most ``rate`` of the controls exceed, with its exact interval.

    Examples
    --------
    >>> found = true_positive_rate(np.array([3.0, 2.0, 1.0, 0.0]), np.array([True, True, False, False]), 0.01)
    >>> found.true_positive_rate, round(found.p_value, 3)
    (1.0, 0.167)
    """
    control = np.sort(scores[~is_member])[::-1]
    allowed = int(rate * len(control))
    n_members = int(is_member.sum())
    k = int((scores[is_member] > control[min(allowed, len(control) - 1)]).sum())
    low, high = clopper_pearson(k, n_members, confidence=confidence)
    return LowRate(rate, k / n_members, low, high, excess_p_value(k, allowed, n_members))


def _cell_numbers(codes: Codes) -> Codes:
    cells = codes[:, 0]
    for column in codes.T[1:]:
        cells = np.unique(cells * (int(column.max()) + 1) + column, return_inverse=True)[1]
    return np.asarray(cells)


N_DEALS = 200
N_META_DEALS = 10  # each trains the attack anew
MAX_META_TARGETS = 3_000
META_CHANCE = (0.5, *LOW_RATES)


def permute_membership(n_targets: int, rng: np.random.Generator, groups: Places | None = None) -> Bools:
    """Random memberships, half of the targets each: shape (N_DEALS, n_targets).

    Parameters
    ----------
    groups : array of shape (n_targets,), optional
        Codes 0, 1, … of two groups at least: whole groups are members or not, about half of the targets in each deal.
    """
    if groups is None:
        half = np.arange(n_targets) < n_targets // 2
        return np.stack([rng.permutation(half) for _ in range(N_DEALS)])
    dealt = np.zeros((N_DEALS, n_targets), dtype=np.bool_)
    for deal in dealt:
        deal[group_halves(groups, n_targets, rng)[int(rng.integers(2))]] = True
    return dealt


def dealt_excess(marks: Bools, dealt: Bools) -> Floats:
    """Share of members with a mark, beyond that of controls: shape (n_deals, n_marks).

    Parameters
    ----------
    marks : array of shape (n_targets, n_marks)
    dealt : array of shape (n_deals, n_targets)
    """
    of_members = dealt.astype(np.float32) @ marks.astype(np.float32)
    n_members = dealt.sum(axis=1)[:, None]
    return np.asarray(of_members / n_members - (marks.sum(axis=0) - of_members) / (dealt.shape[1] - n_members))


def excess_floors(marks: Bools, dealt: Bools) -> Floats:
    """What 99 of 100 deals stay below, of :func:`dealt_excess`: shape (n_marks,)."""
    return np.asarray(np.quantile(dealt_excess(marks, dealt), CONFIDENCE, axis=0), dtype=np.float64)


def dealt_rates(scores: Floats, dealt: Bools) -> tuple[Floats, ...]:
    """The area, and the true-positive rate at each low rate, of every deal.

    Parameters
    ----------
    scores : array of shape (n_targets,)
    dealt : array of shape (n_deals, n_targets)
    """
    n_targets, n_members = len(scores), dealt.sum(axis=1)
    n_control, ranked = n_targets - n_members, stats.rankdata(scores)
    areas = (dealt @ ranked - n_members * (n_members + 1) / 2) / (n_members * n_control)
    order = np.argsort(-scores, kind="stable")
    halves = bool((n_members == n_control).all())
    n_top = min(n_targets, 8 * int(max(LOW_RATES) * n_targets / 2) + 200) if halves else n_targets
    ordered = dealt[:, order[:n_top]]  # holds the first controls of every deal
    members, controls = np.cumsum(ordered, axis=1), np.cumsum(~ordered, axis=1)
    first_of_ties = np.searchsorted(-scores[order], -scores[order], side="left")
    rates = [np.asarray(areas, dtype=np.float64)]
    for rate in LOW_RATES:
        allowed = np.minimum((rate * n_control).astype(np.int64), n_control - 1)
        threshold = np.argmax(controls > allowed[:, None], axis=1)  # the first control too many
        above = first_of_ties[threshold]
        hits = np.where(above > 0, members[np.arange(len(dealt)), above - 1], 0)
        rates.append(hits / n_members)
    return tuple(rates)


def attack_floors(scores: Floats, dealt: Bools) -> tuple[float, ...]:
    """What 99 of 100 deals stay below, of :func:`dealt_rates`."""
    return tuple(float(np.quantile(one, CONFIDENCE)) for one in dealt_rates(scores, dealt))


def dealt_p_value(value: float, dealt: Floats) -> float:
    """How often a deal gives more than ``value``, by Student's law, since mean and spread are measured.

    Examples
    --------
    >>> dealt_p_value(0.5, np.array([0.45, 0.5, 0.55]))
    0.5
    """
    spread = max(float(dealt.std(ddof=1)), _TINY)
    return float(stats.t.sf((value - float(dealt.mean())) / spread, len(dealt) - 1))


def meta_null(known: Floats, rng: np.random.Generator, groups: Places | None = None) -> NullDistribution:
    """As :func:`dealt_rates`, beyond chance, for the attack that learns from membership: trained anew on every deal.

    Parameters
    ----------
    known : array of shape (n_targets, n_features)
    groups : array of shape (n_targets,), optional
        Codes 0, 1, …; membership is then dealt by group.
    """

    def beyond_chance(members: Places, control: Places) -> Floats:
        is_member = np.arange(len(members) + len(control)) < len(members)
        rows = np.concatenate([members, control])
        inside = None if groups is None else groups[rows]
        scores, folds = meta_attack(known[rows], is_member, seed=int(members[0]), groups=inside)
        rates = [true_positive_rate(scores, is_member, rate).true_positive_rate - rate for rate in LOW_RATES]
        return np.array([folded_area(scores, is_member, folds).auc - 0.5, *rates])

    n_rows = min(len(known), MAX_META_TARGETS)
    return split_floor(beyond_chance, n_rows, rng, n_splits=N_META_DEALS, n_all=len(known), groups=groups)


def meta_floors(null: NullDistribution, n_members: int) -> tuple[float, ...]:
    """As :func:`attack_floors`, for :func:`meta_null` and as many members as controls."""
    beyond = np.maximum(null.upper(n_members, n_members), 0)
    return tuple(float(chance + reach) for chance, reach in zip(META_CHANCE, beyond, strict=True))


def meta_p_values(outcome: Outcome, null: NullDistribution, n_members: int) -> Floats:
    """How often a deal gives a larger area, and larger rates at the low rates."""
    values = np.array([outcome.auc, *(one.true_positive_rate for one in outcome.rates)])
    return null.p_values(np.maximum(values - META_CHANCE, 0), n_members, n_members)
