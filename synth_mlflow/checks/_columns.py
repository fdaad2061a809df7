"""Probes of single columns: shapes, gaps, tails, ranges, levels, rounding habits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from synth_mlflow.checks import Probe
from synth_mlflow.data.columns import CATEGORICAL_KINDS, Kind, Schema
from synth_mlflow.measures.distances import (
    Counts,
    counted_tv_distance,
    homogeneity_p_value,
    ks_p_value,
    label_counts,
    pool_rare,
    share_p_value,
    sorted_ks_distance,
)
from synth_mlflow.measures.encoding import Floats, numbers

TAILS = (("tails_kept", 0.01), ("outliers_kept", 0.001))
RARE_SHARE = 0.01
HEAP_SHARE, HEAP_LEVELS_SHARE = 0.002, 0.2
"""A heap is a value that this share of real rows has, in a column where at most a fifth of the values are heaps."""
FREE_TEXT_SHARE = 0.5
"""Text of which more real values than this stand only once is read as names or prose: by length, not by label."""
MIN_EXPECTED = 5


@dataclass(frozen=True)
class Column:
    """One column of both tables."""

    name: str
    kind: Kind
    real: pd.Series
    batch: pd.Series


def column_probes(real: pd.DataFrame, batch: pd.DataFrame, schema: Schema, policy: Mapping[str, float]) -> list[Probe]:
    """Every probe of every column."""
    columns = (Column(name, schema[name], real[name], batch[name]) for name in schema)
    return [probe for column in columns for probe in _column(column, policy)]


def kept_probe(
    name: str, counts: tuple[int, int], sizes: tuple[int, int], limit: float, note: str, *, column: str | None = None
) -> Iterator[Probe]:
    """How much of a mark that real rows have is left in the batch: suspiciously clean batches lose it.

    ``counts`` and ``sizes`` are of real rows and batch; no probe is made where too few marks are to be expected.
    """
    (k_real, k_batch), (n_real, n_batch) = counts, sizes
    if min(k_real, k_real * n_batch / n_real) < MIN_EXPECTED:
        return
    value = (k_batch / n_batch) / (k_real / n_real)
    p_value = share_p_value(k_real, n_real, k_batch, n_batch, alternative="less")
    words = f"{k_batch / n_batch:.2%} of the batch, {k_real / n_real:.2%} of real rows; {note}"
    yield Probe(name, value, limit, "high", column, p_value=p_value, note=words)


def _column(column: Column, policy: Mapping[str, float]) -> Iterator[Probe]:
    yield _missing_gap(column, policy["missing_gap"])
    yield from _missing_kept(column, policy["clean_share"])
    if column.real.isna().all():
        return
    if column.batch.isna().all():
        note = f"all {len(column.batch):,} values are missing"
        yield Probe("column_distance", None, policy["column_distance"], column=column.name, note=note)
    elif column.kind not in CATEGORICAL_KINDS:
        yield from _number(column, policy)
    elif _is_free_text(column.real):
        yield from _text(column, policy)
    else:
        yield from _label(column, policy)


def _missing_gap(column: Column, limit: float) -> Probe:
    k_real, k_batch = int(column.real.isna().sum()), int(column.batch.isna().sum())
    n_real, n_batch = len(column.real), len(column.batch)
    value = abs(k_real / n_real - k_batch / n_batch)
    p_value = share_p_value(k_real, n_real, k_batch, n_batch) if k_real or k_batch else 1.0
    note = f"missing in {k_batch / n_batch:.2%} of the batch, {k_real / n_real:.2%} of real rows"
    return Probe("missing_gap", value, limit, column=column.name, p_value=p_value, note=note)


def _missing_kept(column: Column, limit: float) -> Iterator[Probe]:
    k_real, k_batch = int(column.real.isna().sum()), int(column.batch.isna().sum())
    yield from _kept("missing_kept", column, (k_real, k_batch), limit, "too clean: gaps were filled")


def _kept(name: str, column: Column, counts: tuple[int, int], limit: float, note: str) -> Iterator[Probe]:
    sizes = len(column.real), len(column.batch)
    yield from kept_probe(name, counts, sizes, limit, note, column=column.name)


def _number(column: Column, policy: Mapping[str, float]) -> Iterator[Probe]:
    real, batch = _sorted(column.real), _sorted(column.batch)
    value = sorted_ks_distance(real, batch)
    p_value = ks_p_value(value, len(real), len(batch))
    note = f"medians {np.median(batch):.4g} in the batch, {np.median(real):.4g} in real rows"
    if column.kind == "datetime":
        note = f"medians {_date(np.median(batch))} in the batch, {_date(np.median(real))} in real rows"
    floor = _ks_floor(len(real), len(batch))
    yield Probe(
        "column_distance", value, policy["column_distance"], column=column.name, floor=floor, p_value=p_value, note=note
    )
    yield from _tails(column, real, batch, policy)
    yield _outside(column, real, batch, policy["outside_range"])
    yield from _heaps(column, real, batch, policy["heaping_gap"])


def _ks_floor(n_real: int, n_batch: int) -> float:
    return float(stats.kstwobign.isf(0.01) * np.sqrt((n_real + n_batch) / (n_real * n_batch)))


def _tails(column: Column, real: Floats, batch: Floats, policy: Mapping[str, float]) -> Iterator[Probe]:
    for name, tail in TAILS:
        low, high = np.quantile(real, [tail, 1 - tail])
        counts = [int((side < low).sum() + (side > high).sum()) for side in (real, batch)]
        ends = (_date(low), _date(high)) if column.kind == "datetime" else (f"{low:.4g}", f"{high:.4g}")
        note = f"too clean: values below {ends[0]} or above {ends[1]} are cut off"
        yield from _kept(name, column, (counts[0], counts[1]), policy["clean_share"], note)


def _outside(column: Column, real: Floats, batch: Floats, limit: float) -> Probe:
    k = int((batch < real[0]).sum() + (batch > real[-1]).sum())
    p_value = float(stats.betabinom.sf(k - 1, len(batch), 2, max(len(real) - 1, 1)))
    note = f"{k:,} values outside the real range"
    return Probe("outside_range", k / len(batch), limit, column=column.name, p_value=p_value, note=note)


def _heaps(column: Column, real: Floats, batch: Floats, limit: float) -> Iterator[Probe]:
    values, counts = np.unique(real, return_counts=True)
    heaps = values[counts >= max(HEAP_SHARE * len(real), MIN_EXPECTED)]
    if not len(heaps) or len(heaps) > HEAP_LEVELS_SHARE * len(values):
        return
    k_real, k_batch = int(np.isin(real, heaps).sum()), int(np.isin(batch, heaps).sum())
    value = abs(k_real / len(real) - k_batch / len(batch))
    p_value = share_p_value(k_real, len(real), k_batch, len(batch))
    shares = f"{k_batch / len(batch):.1%} of the batch, {k_real / len(real):.1%} of real rows"
    note = f"{shares} on values that many real rows share (rounding habits)"
    yield Probe("heaping_gap", value, limit, column=column.name, p_value=p_value, note=note)


def _label(column: Column, policy: Mapping[str, float]) -> Iterator[Probe]:
    real, batch = column.real.dropna(), column.batch.dropna()
    counts = label_counts(real, batch)
    common = pool_rare(*counts)  # shares of labels that are rare on both sides are noise
    value, p_value = counted_tv_distance(*common), homogeneity_p_value(*counts)
    widest = int(np.argmax(np.abs(counts[0] / len(real) - counts[1] / len(batch))))
    shares = f"{counts[1][widest] / len(batch):.1%} of the batch, {counts[0][widest] / len(real):.1%} of real rows"
    note = f"widest gap: one label has {shares}"
    yield Probe("column_distance", value, policy["column_distance"], column=column.name, p_value=p_value, note=note)
    yield _unseen(column, counts, policy["unseen_levels"])
    yield from _absent(column, real, batch, policy["absent_levels"])
    rare = real.value_counts(normalize=True)
    rare_labels = rare[rare < RARE_SHARE].index
    marks = int(real.isin(rare_labels).sum()), int(batch.isin(rare_labels).sum())
    yield from _kept("rare_levels_kept", column, marks, policy["clean_share"], "too clean: rare levels are lost")


def _unseen(column: Column, counts: tuple[Counts, Counts], limit: float) -> Probe:
    real, batch = counts
    n_real, n_batch = int(real.sum()), int(batch.sum())
    k, n_once = int(batch[real == 0].sum()), int((real == 1).sum())
    expected = n_once / n_real  # I. J. Good, Biometrika 40 (1953): the chance that a further real row has a new label
    p_value = float(stats.betabinom.sf(k - 1, n_batch, n_once + 1, n_real - n_once + 1))
    note = f"{k:,} of {n_batch:,} rows have a label that no real row has, {expected * n_batch:,.0f} are to be expected"
    value = max(k / n_batch - expected, 0.0)
    return Probe("unseen_levels", value, limit, column=column.name, floor=expected, p_value=p_value, note=note)


def _absent(column: Column, real: pd.Series, batch: pd.Series, limit: float) -> Iterator[Probe]:
    levels = real.value_counts()
    testable = levels[levels * len(batch) / len(real) >= MIN_EXPECTED]
    absent = testable[~testable.index.isin(batch.unique())]
    if not len(testable):
        return
    k = int(absent.iloc[0]) if len(absent) else 0
    p_value = float(stats.betabinom.pmf(0, len(batch), k + 1, len(real) - k + 1)) * len(testable) if k else 1.0
    names = ", ".join(repr(str(name)) for name in absent.index[:5])
    note = f"{len(absent)} of {len(testable)} levels are absent{': ' + names if names else ''}"
    value = float(absent.sum() / len(real))
    yield Probe("absent_levels", value, limit, column=column.name, p_value=min(p_value, 1.0), note=note)


def _text(column: Column, policy: Mapping[str, float]) -> Iterator[Probe]:
    real, batch = (_sorted(side.str.len().astype(np.float64)) for side in (column.real, column.batch))
    value = sorted_ks_distance(real, batch)
    p_value = ks_p_value(value, len(real), len(batch))
    note = "mostly unique text: only its length is compared"
    yield Probe("column_distance", value, policy["column_distance"], column=column.name, p_value=p_value, note=note)


def _is_free_text(real: pd.Series) -> bool:
    present = real.dropna()
    return bool((~present.duplicated(keep=False)).mean() > FREE_TEXT_SHARE)


def _sorted(column: pd.Series) -> Floats:
    values = numbers(column)
    return np.sort(values[~np.isnan(values)])


def _date(ticks: float) -> str:
    return str(pd.Timestamp(int(ticks), unit="us").date())
