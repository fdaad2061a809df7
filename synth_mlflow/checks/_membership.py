"""The battery of membership attacks on one batch: targets, scores, outcomes, copies, and their noise floors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from synth_mlflow.checks._tables import Tables, subsample
from synth_mlflow.data.digests import are_among, are_repeated
from synth_mlflow.data.splits import group_codes
from synth_mlflow.data.task import Task
from synth_mlflow.metrics import membership
from synth_mlflow.metrics.associations import SharedBins
from synth_mlflow.metrics.encoding import Encoding, Scale
from synth_mlflow.metrics.intervals import excess_p_value
from synth_mlflow.metrics.membership import (
    attack_floors,
    dealt_excess,
    dealt_p_value,
    dealt_rates,
    meta_floors,
    meta_null,
    meta_p_values,
    permute_membership,
)
from synth_mlflow.metrics.null_distribution import Places
from synth_mlflow.metrics.row_pairs import ValueCounts, count_values, exact_values, surplus_by_column
from synth_mlflow.metrics.two_sample import roc_area

MAX_TARGETS = 5_000  # members and as many controls; one false positive in a thousand is then five rows
MAX_BATCH = 100_000
MAX_CLASSIFIER_ROWS = 10_000
NEAR_RATIOS = (0.05, 0.1, 0.2)
"""A near copy lies so much closer to the batch than to the nearest other real row. Natural twins, as on Adult, drown
copies at a fifth; noise on every number, as on California housing, hides them at a twentieth."""
SCALES: tuple[Scale, ...] = ("ranks", "deviations")


@dataclass(frozen=True)
class Targets:
    """As many members as controls in random order, every row one copy."""

    rows: pd.DataFrame
    is_member: membership.Bools
    others: pd.DataFrame
    """The members that are left; where rows come in groups, those of groups without a target."""
    groups: Places | None = None
    """The group of each target; None where every row stands for itself."""

    @property
    def n(self) -> int:
        """Members, and controls."""
        return int(self.is_member.sum())


@dataclass(frozen=True)
class Battery:
    """What all attacks found."""

    scores: Mapping[str, membership.Floats]
    outcomes: Mapping[str, membership.Outcome]
    floors: Mapping[str, tuple[float, ...]]
    """Of the area and the two low rates, attack by attack."""
    dealt: membership.Bools
    counts: ValueCounts
    copies: Mapping[str, membership.Bools]
    """Marks of near copies, by the way in which they are near."""
    targets: Targets

    @property
    def strongest_first(self) -> dict[str, membership.Floats]:
        """The scores, by the members found at one false positive in a hundred."""
        order = sorted(self.outcomes.values(), key=lambda one: (-one.rates[0].true_positive_rate, -one.auc))
        return {one.name: self.scores[one.name] for one in order}

    def leaking_columns(self) -> pd.DataFrame:
        """Columns whose values alone tell members from controls better than 99 of 100 deals, worst first."""
        member = self.targets.is_member
        by_column = surplus_by_column(self.counts).T
        leaks = [
            {"column": name, "auc": roc_area(one[member], one[~member]), "floor": attack_floors(one, self.dealt)[0]}
            for name, one in zip(self.counts.columns, by_column, strict=True)
        ]
        table = pd.DataFrame(leaks, columns=["column", "auc", "floor"])
        return table[table["auc"] > table["floor"]].sort_values("auc", ascending=False, ignore_index=True)

    def adding_columns(self) -> list[str]:
        """The columns whose values together tell members from controls, worst first.

        As many as must be left out until the sum over the others does so no better than 99 of 100 deals; none where
        the sum over all does not.
        """
        member, by_column = self.targets.is_member, surplus_by_column(self.counts)
        areas = [roc_area(one[member], one[~member]) for one in by_column.T]
        left, floor = by_column.sum(axis=1), self.floors["value_surplus"][0]
        columns: list[str] = []
        for at in np.argsort(areas)[::-1]:
            if roc_area(left[member], left[~member]) <= floor:
                break
            columns.append(self.counts.columns[at])
            left = left - by_column[:, at]
        return columns

    def counted(self, marks: membership.Bools) -> tuple[int, int]:
        """Members and controls with a mark."""
        return int(marks[self.targets.is_member].sum()), int(marks[~self.targets.is_member].sum())

    def p_value(self, marks: membership.Bools) -> float:
        """How often so many marks would fall on members if membership did not matter."""
        k_members, k_control = self.counted(marks)
        exact = excess_p_value(k_members, k_control, self.targets.n)
        if self.targets.groups is None:
            return exact
        dealt = dealt_excess(marks[:, None], self.dealt)[:, 0]
        return max(exact, dealt_p_value((k_members - k_control) / self.targets.n, dealt))


def distinct(tables: Tables) -> Tables:
    """Every real row once, and none that stands on both sides.

    Copies of a row share its side of the split, so an attack that learns from one of them knows the other: on wine
    quality, where a fifth of the rows are copies, that alone gave the meta-attack an AUC of 0.68.
    """
    sides = (tables.members, tables.control)
    hashes = tables.hashes[1:]
    distinct_sides = (
        rows[~are_repeated(own) & ~are_among(own, others)].reset_index(drop=True)
        for rows, own, others in zip(sides, hashes, hashes[::-1], strict=True)
    )
    return Tables(tables.batch, *distinct_sides)


def draw_targets(tables: Tables, rng: np.random.Generator, task: Task | None = None) -> Targets:
    """Members and controls of equal number: with unequal numbers an attack looks better or worse than it is.

    Whole groups are drawn, but for the last, where ``task`` names the column of groups.
    """
    n = min(len(tables.members), len(tables.control), MAX_TARGETS)
    by_table = [None if task is None else group_codes(rows, task) for rows in (tables.members, tables.control)]
    places, left = _drawn(len(tables.members), n, rng, by_table[0])
    controls = subsample(tables.control, n, rng)
    if by_table[1] is not None:
        controls = tables.control.iloc[_drawn(len(tables.control), n, rng, by_table[1])[0]]
    order = rng.permutation(2 * n)
    pooled = pd.concat([tables.members.iloc[places], controls], ignore_index=True).iloc[order]
    rows = pooled.reset_index(drop=True)
    groups = None if task is None else group_codes(rows, task)
    several = groups if groups is not None and groups.max() > 0 else None
    return Targets(rows, np.asarray(order < n), tables.members.iloc[left], several)


def _drawn(n_all: int, n: int, rng: np.random.Generator, groups: Places | None) -> tuple[Places, Places]:
    """Places of ``n`` rows, and of all rows that have nothing to do with them."""
    if groups is None:
        order = rng.permutation(n_all)
        return order[:n], order[n:]
    rank = rng.permutation(int(groups.max()) + 1)[groups]
    order = np.argsort(rank, kind="stable")
    return order[:n], order[~np.isin(groups[order], groups[order[:n]])]


def by_group(outcome: membership.Outcome, scores: membership.Floats, dealt: membership.Bools) -> membership.Outcome:
    """The same outcome with p-values of deals by group: exact tests take each row for a draw of its own."""
    values = (outcome.auc, *(rate.true_positive_rate for rate in outcome.rates))
    by_deal = zip(values, dealt_rates(scores, dealt), strict=True)
    return _at_least(outcome, [dealt_p_value(value, deals) for value, deals in by_deal])


def _at_least(outcome: membership.Outcome, p_values: list[float]) -> membership.Outcome:
    """The same outcome; no p-value is below those given, of the area and of the two low rates."""
    area, *rest = p_values
    rates = tuple(
        replace(rate, p_value=max(rate.p_value, least)) for rate, least in zip(outcome.rates, rest, strict=True)
    )
    return replace(outcome, p_value=max(outcome.p_value, area), rates=rates)


def run_attacks(targets: Targets, batch: pd.DataFrame, encoding: Encoding, seed: int) -> Battery:
    """Score every target by every attack, and measure what the scores give when membership is dealt at random."""
    rng = np.random.default_rng([seed, 29])
    batch = subsample(batch, MAX_BATCH, rng)
    near = {
        scale: membership.neighbours(encoding.points(targets.rows, scale), encoding.points(batch, scale))
        for scale in SCALES
    }
    counts = count_values(targets.rows, batch, targets.others)
    scores = _scores(targets, batch, near, counts, encoding, seed, rng)
    confidence = 1 - 0.05 / (len(scores) + 1)  # the strongest of several is reported
    outcomes = {
        name: membership.outcome(name, score, targets.is_member, confidence=confidence)
        for name, score in scores.items()
    }
    dealt = permute_membership(2 * targets.n, rng, targets.groups)
    floors = {name: attack_floors(score, dealt) for name, score in scores.items()}
    distances = [side for one in near.values() for side in (one.to_batch, one.to_real)]
    known = np.column_stack([*scores.values(), *distances, counts.reused.astype(np.float64)])
    scores["meta"], folds = membership.meta_attack(known, targets.is_member, seed=seed, groups=targets.groups)
    outcomes["meta"] = membership.outcome("meta", scores["meta"], targets.is_member, confidence=confidence, folds=folds)
    null = meta_null(known, rng, targets.groups)
    floors["meta"] = meta_floors(null, targets.n)
    if targets.groups is not None:
        learned = _at_least(outcomes["meta"], meta_p_values(outcomes["meta"], null, targets.n).tolist())
        outcomes = {
            name: by_group(outcome, scores[name], dealt) for name, outcome in outcomes.items() if name != "meta"
        }
        outcomes["meta"] = learned
    copies = {
        f"{ratio:g} of the way, in {scale}": membership.near_copies(one, ratio)
        for scale, one in near.items()
        for ratio in NEAR_RATIOS
    }
    return Battery(scores, outcomes, floors, dealt, counts, copies, targets)


def _scores(
    targets: Targets,
    batch: pd.DataFrame,
    near: Mapping[Scale, membership.Neighbours],
    counts: ValueCounts,
    encoding: Encoding,
    seed: int,
    rng: np.random.Generator,
) -> dict[str, membership.Floats]:
    bins = SharedBins.learn(targets.rows)
    scores = membership.distance_attacks(near["ranks"])
    scores |= {f"scaled_{name}": score for name, score in membership.distance_attacks(near["deviations"]).items()}
    scores["exact_values"] = exact_values(counts)
    scores["value_surplus"] = surplus_by_column(counts).sum(axis=1)
    scores["subset_counts"] = membership.subset_counts(bins.codes(targets.rows), bins.codes(batch), rng)
    scores["density_classifier"] = membership.density_classifier(
        encoding.features(targets.rows),
        encoding.features(subsample(batch, MAX_CLASSIFIER_ROWS, rng)),
        seed=seed,
        categorical=encoding.categorical,
    )
    return scores
