"""Probes of single columns: shapes, gaps, tails, ranges, levels, rounding habits, grids."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy import stats

from synth_mlflow.checks import Metric
from synth_mlflow.checks._grids import grid_probes
from synth_mlflow.data.columns import CATEGORICAL_KINDS, Kind, Schema
from synth_mlflow.metrics.distances import (
    Bools,
    Statistic,
    Tallied,
    ValueCounts,
    absent_levels,
    absent_marks,
    expected_marks,
    homogeneity_p_value,
    ks_of_tally,
    ks_p_value,
    marks_gap,
    marks_kept,
    measured_floors,
    missing_gap,
    missing_kept,
    new_label_share,
    outside_range,
    share_kept,
    share_p_value,
    tallied,
    tv_of_tally,
    unseen_levels,
)
from synth_mlflow.metrics.null_distribution import Places

TAILS = (("tails_kept", 0.01), ("outliers_kept", 0.001))
RARE_SHARE = 0.01
HEAP_SHARE, HEAP_LEVELS_SHARE = 0.002, 0.2
"""A heap is a value that this share of real rows has, in a column where at most a fifth of the values are heaps."""
FREE_TEXT_SHARE = 0.5
"""Text of which more real values than this stand only once is read as names or prose: by length, not by label."""
MIN_EXPECTED = 5
KEPT = ("missing_kept", "tails_kept", "outliers_kept", "rare_levels_kept")


@dataclass(frozen=True)
class Column:
    """One column of both tables."""

    name: str
    kind: Kind
    counted: Tallied
    text: bool = False
    """Whether only its length is compared."""

    @property
    def is_label(self) -> bool:
        """Whether its values have no order."""
        return self.kind in CATEGORICAL_KINDS and not self.text

    @property
    def values(self) -> np.ndarray:
        """The values of both tables, sorted where they have an order."""
        return self.counted.values


@dataclass(frozen=True)
class Question:
    """A statistic of a column, and the probe of what it says about the batch."""

    statistic: Statistic
    probe: Metric


def column_probes(
    real: pd.DataFrame,
    batch: pd.DataFrame,
    schema: Schema,
    policy: Mapping[str, float],
    rng: np.random.Generator,
    groups: Places | None = None,
) -> list[Metric]:
    """Every probe of every column, each with the floor that splits of the real rows give, by group if there are any."""
    columns = (_tallied(name, schema[name], real, batch) for name in schema)
    return [probe for column in columns for probe in _measured(column, policy, rng, groups)]


def kept_probe(
    name: str,
    counts: tuple[int, int],
    sizes: tuple[int, int],
    limit: float,
    note: str,
    *,
    column: str | None = None,
    floor: float | None = None,
) -> Iterator[Metric]:
    """How much of a mark that real rows have is left in the batch: suspiciously clean batches lose it.

    ``counts`` and ``sizes`` are of real rows and batch; no probe is made where too few marks are to be expected.
    """
    (k_real, k_batch), (n_real, n_batch) = counts, sizes
    if min(k_real, k_real * n_batch / n_real) < MIN_EXPECTED:
        return
    p_value = share_p_value(k_real, n_real, k_batch, n_batch, alternative="less")
    words = f"{k_batch / n_batch:.2%} of the batch, {k_real / n_real:.2%} of real rows; {note}"
    yield Metric(name, share_kept(counts, sizes), limit, "high", column, floor=floor, p_value=p_value, note=words)


def _tallied(name: str, kind: Kind, real: pd.DataFrame, batch: pd.DataFrame) -> Column:
    sides = real[name], batch[name]
    if kind in CATEGORICAL_KINDS and not _is_free_text(real[name]):
        return Column(name, kind, tallied(*sides, ordered=False))
    if kind in CATEGORICAL_KINDS:
        lengths = (side.str.len().astype(np.float64) for side in sides)
        return Column(name, kind, tallied(*lengths, ordered=True), text=True)
    return Column(name, kind, tallied(*sides, ordered=True))


def _measured(
    column: Column, policy: Mapping[str, float], rng: np.random.Generator, groups: Places | None
) -> list[Metric]:
    statistics_to_test = list(_questions(column, policy))
    statistics = {question.probe.name: question.statistic for question in statistics_to_test}
    floors = measured_floors(column.counted, statistics, KEPT, rng, groups)
    probes = [replace(question.probe, floor=floors[question.probe.name].floor) for question in statistics_to_test]
    if groups is None:
        return probes
    between = {name: measured.p_value for name, measured in floors.items()}
    between["outside_range"] = _outside_p_value(column.counted.tally, len(groups) / (int(groups.max()) + 1))
    return [replace(probe, p_value=by_group(probe.p_value, between[probe.name])) for probe in probes]


def by_group(p_value: float | None, between_groups: float) -> float | None:
    """The p-value of rows that come in groups: exact tests take each row for a draw of its own and say too little."""
    return None if p_value is None else max(p_value, between_groups)


def _questions(column: Column, policy: Mapping[str, float]) -> Iterator[Question]:
    yield _missing_gap(column, policy["missing_gap"])
    tally = column.counted.tally
    clean = "too clean: gaps were filled"
    for probe in kept_probe(
        "missing_kept", tally.missing, tally.rows, policy["clean_share"], clean, column=column.name
    ):
        yield Question(missing_kept, probe)
    if not tally.present[0]:
        return
    if not tally.present[1]:
        note = f"all {tally.rows[1]:,} values are missing"
        probe = Metric("column_distance", None, policy["column_distance"], column=column.name, note=note)
        yield Question(ks_of_tally, probe)
    elif column.is_label:
        yield from _label(column, policy)
    else:
        yield from _number(column, policy)


def _missing_gap(column: Column, limit: float) -> Question:
    tally = column.counted.tally
    (k_real, k_batch), (n_real, n_batch) = tally.missing, tally.rows
    p_value = share_p_value(k_real, n_real, k_batch, n_batch) if k_real or k_batch else 1.0
    note = f"missing in {k_batch / n_batch:.2%} of the batch, {k_real / n_real:.2%} of real rows"
    probe = Metric("missing_gap", missing_gap(tally), limit, column=column.name, p_value=p_value, note=note)
    return Question(missing_gap, probe)


def _number(column: Column, policy: Mapping[str, float]) -> Iterator[Question]:
    tally = column.counted.tally
    value = ks_of_tally(tally)
    middles = [_in_words(column, _quantile(column, side, 0.5)) for side in (tally.batch, tally.real)]
    note = f"medians {middles[0]} in the batch, {middles[1]} in real rows"
    if column.text:
        note = f"mostly unique text: only its length is compared, {note}"
    limit, p_value = policy["column_distance"], ks_p_value(value, *tally.present)
    yield Question(ks_of_tally, Metric("column_distance", value, limit, column=column.name, p_value=p_value, note=note))
    if column.text:
        return
    yield from _tails(column, policy["clean_share"])
    yield _outside(column, policy["outside_range"])
    yield from _heaps(column, policy["heaping_gap"])
    yield from (Question(*one) for one in grid_probes(column.name, column.kind, column.counted, policy))


def _tails(column: Column, limit: float) -> Iterator[Question]:
    tally = column.counted.tally
    for name, tail in TAILS:
        low, high = (_quantile(column, tally.real, at) for at in (tail, 1 - tail))
        marks = (column.values < low) | (column.values > high)
        ends = _in_words(column, low), _in_words(column, high)
        note = f"too clean: values below {ends[0]} or above {ends[1]} are cut off"
        for probe in kept_probe(name, tally.marked(marks), tally.rows, limit, note, column=column.name):
            yield Question(marks_kept(marks), probe)


def _outside(column: Column, limit: float) -> Question:
    tally = column.counted.tally
    value = outside_range(tally)
    k, p_value = round(value * tally.present[1]), _outside_p_value(tally)
    note = f"{k:,} values outside the real range"
    return Question(
        outside_range, Metric("outside_range", value, limit, column=column.name, p_value=p_value, note=note)
    )


def _outside_p_value(tally: ValueCounts, rows_per_group: float = 1.0) -> float:
    """How often further real rows would leave the real range as often; groups of rows leave it together."""
    n_real, n_batch = (round(n / rows_per_group) for n in tally.present)
    k = round(outside_range(tally) * tally.present[1] / rows_per_group)
    return float(stats.betabinom.sf(k - 1, max(n_batch, 1), 2, max(n_real - 1, 1)))


def _heaps(column: Column, limit: float) -> Iterator[Question]:
    heaps, tally = _heaps_and_tally(column.counted)
    if (
        not heaps.any()
        or not all(tally.present)
        or heaps.sum() > HEAP_LEVELS_SHARE * (column.counted.tally.real > 0).sum()
    ):
        return
    (k_real, k_batch), (n_real, n_batch) = tally.marked(heaps), tally.present
    gap = marks_gap(heaps)
    shares = f"{k_batch / n_batch:.1%} of the batch, {k_real / n_real:.1%} of real rows"
    note = f"{shares} on values that many real rows share (rounding habits)"
    p_value = share_p_value(k_real, n_real, k_batch, n_batch)
    yield Question(gap, Metric("heaping_gap", gap(tally), limit, column=column.name, p_value=p_value, note=note))


def _heaps_and_tally(counted: Tallied) -> tuple[Bools, ValueCounts]:
    """The heaps that one half of the real rows shows, and the tally of the other half and the batch.

    Values that are common by chance in the rows that they were chosen on are rarer in any others: real rows of 2,000
    homes would have failed.
    """
    places = np.arange(len(counted.real_codes))
    halves = counted.between(places[::2], places[1::2])
    heaps = halves.real >= max(HEAP_SHARE * halves.present[0], MIN_EXPECTED)
    return heaps, ValueCounts(halves.batch, counted.tally.batch, (halves.missing[1], counted.tally.missing[1]))


def _label(column: Column, policy: Mapping[str, float]) -> Iterator[Question]:
    tally = column.counted.tally
    n_real, n_batch = tally.present
    widest = int(np.argmax(np.abs(tally.real / n_real - tally.batch / n_batch)))
    shares = f"{tally.batch[widest] / n_batch:.1%} of the batch, {tally.real[widest] / n_real:.1%} of real rows"
    note = f"widest gap: {_short(column.values[widest])} has {shares}"
    value, p_value = tv_of_tally(tally), homogeneity_p_value(tally.real, tally.batch)
    limit = policy["column_distance"]
    yield Question(tv_of_tally, Metric("column_distance", value, limit, column=column.name, p_value=p_value, note=note))
    yield _unseen(column, policy["unseen_levels"])
    yield from _absent(column, policy["absent_levels"])
    rare: Bools = (tally.real > 0) & (tally.real / n_real < RARE_SHARE)
    clean = "too clean: rare levels are lost"
    marks = tally.marked(rare)
    for probe in kept_probe("rare_levels_kept", marks, tally.rows, policy["clean_share"], clean, column=column.name):
        yield Question(marks_kept(rare), probe)


def _unseen(column: Column, limit: float) -> Question:
    tally = column.counted.tally
    n_real, n_batch = tally.present
    unseen = tally.real == 0
    k, n_once = int(tally.batch[unseen].sum()), int((tally.real == 1).sum())
    p_value = float(stats.betabinom.sf(k - 1, n_batch, n_once + 1, n_real - n_once + 1))
    expected = new_label_share(tally) * n_batch
    named = f", most often {_short(column.values[int(np.argmax(tally.batch * unseen))])}" if k else ""
    note = f"{k:,} of {n_batch:,} rows have a label that no real row has{named}, {expected:,.0f} are to be expected"
    probe = Metric("unseen_levels", unseen_levels(tally), limit, column=column.name, p_value=p_value, note=note)
    return Question(unseen_levels, probe)


def _absent(column: Column, limit: float) -> Iterator[Question]:
    tally = column.counted.tally
    n_real, n_batch = tally.present
    n_testable = int(expected_marks(tally, MIN_EXPECTED).sum())
    if not n_testable:
        return
    absent = np.flatnonzero(absent_marks(tally, MIN_EXPECTED))
    absent = absent[np.argsort(-tally.real[absent], kind="stable")]
    k = int(tally.real[absent[0]]) if len(absent) else 0
    p_value = float(stats.betabinom.pmf(0, n_batch, k + 1, n_real - k + 1)) * n_testable if k else 1.0
    names = ", ".join(_short(name) for name in column.values[absent[:5]])
    note = f"{len(absent)} of {n_testable} levels are absent{': ' + names if names else ''}"
    statistic = absent_levels(MIN_EXPECTED)
    yield Question(
        statistic,
        Metric("absent_levels", statistic(tally), limit, column=column.name, p_value=min(p_value, 1.0), note=note),
    )


def _is_free_text(real: pd.Series) -> bool:
    present = real.dropna()
    return bool((~present.duplicated(keep=False)).mean() > FREE_TEXT_SHARE)


def _quantile(column: Column, counts: np.ndarray, at: float) -> float:
    """As ``numpy.quantile`` gives it for the values that are counted."""
    ends = np.cumsum(counts)
    place = at * (int(ends[-1]) - 1)
    low, high = (
        float(column.values[np.searchsorted(ends, int(edge), side="right")]) for edge in (place, np.ceil(place))
    )
    return low + (high - low) * (place - int(place))


def _in_words(column: Column, value: float) -> str:
    return str(pd.Timestamp(int(value), unit="us").date()) if column.kind == "datetime" else f"{value:.4g}"


def _short(label: object) -> str:
    text = str(label)
    return repr(text if len(text) <= 40 else text[:39] + "…")
