"""Probes of whole rows: the classifier test and its worst slices, repeated rows, and isolated ones."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.ensemble import IsolationForest

from synth_mlflow.checks import Probe
from synth_mlflow.checks._columns import kept_probe
from synth_mlflow.checks._tables import thin
from synth_mlflow.data.slices import Slice
from synth_mlflow.measures.associations import SharedBins
from synth_mlflow.measures.attacks import roc_area
from synth_mlflow.measures.distances import share_p_value
from synth_mlflow.measures.encoding import Encoding
from synth_mlflow.measures.intervals import standard_error_of_auc
from synth_mlflow.measures.two_sample import SPREAD_INFLATION, ClassifierTest, classifier_test

MAX_CLASSIFIER_ROWS = 10_000
REPEATS_MATTER = 0.25  # of real rows: so coarse a table repeats by its law; fewer copies are entered twice, and no loss
MAX_ISOLATION_ROWS = 4_000
ISOLATED_SHARE = 0.05
MIN_CELL_ROWS = 100
DEVIATIONS = 2.33


@dataclass(frozen=True)
class Classified:
    """The classifier test and the rows that it was made on."""

    test: ClassifierTest
    control: pd.DataFrame
    batch: pd.DataFrame
    encoding: Encoding

    @property
    def worst_columns(self) -> list[str]:
        """The columns that earned most of the classifier's gain."""
        order = np.argsort(self.test.importance)[::-1][:3]
        return [f"{self.encoding.schema.columns[at]!r} ({self.test.importance[at]:.0%})" for at in order]


def classify(
    control: pd.DataFrame, batch: pd.DataFrame, encoding: Encoding, seed: int, rng: np.random.Generator
) -> Classified:
    """Tell the batch from control rows: members would reward a generator for copying them."""
    first = thin(control, MAX_CLASSIFIER_ROWS, rng)
    second = thin(batch, max(len(first), min(len(batch), 1_000)), rng)
    features = encoding.features(first), encoding.features(second)
    test = classifier_test(*features, seed=seed, categorical=encoding.categorical)
    return Classified(test, first, second, encoding)


def classifier_probes(found: Classified, slices: Mapping[str, Slice], limit: float) -> Iterator[Probe]:
    """The test over all rows, and inside each slice of the statement that has rows enough."""
    test = found.test
    floor = 0.5 + DEVIATIONS * test.standard_error
    note = f"given away by {', '.join(found.worst_columns)}"
    yield Probe("classifier_auc", test.auc, limit, floor=floor, p_value=test.p_value, note=note)
    for name, part in slices.items():
        inside = _inside(found, part.mask(found.control), part.mask(found.batch))
        if inside is not None:
            floor = 0.5 + DEVIATIONS * inside.standard_error
            yield Probe(
                f"classifier_auc_{name}", inside.auc, limit, floor=floor, p_value=inside.p_value, note=part.text
            )


def worst_slices(found: Classified) -> pd.DataFrame:
    """Where the classifier tells best: each bin and each level of each column, worst first."""
    bins = SharedBins.learn(found.control, n_bins=4)
    control, batch = bins.codes(found.control), bins.codes(found.batch)
    rows = [
        {"column": column, "cell": bins.name(column, code), "auc": inside.auc, "standard_error": inside.standard_error}
        for at, (column, width) in enumerate(zip(bins.columns, bins.widths, strict=True))
        for code in range(int(width))
        if (inside := _inside(found, control[:, at] == code, batch[:, at] == code)) is not None
    ]
    table = pd.DataFrame(rows, columns=["column", "cell", "auc", "standard_error"])
    return table.sort_values("auc", ascending=False, ignore_index=True).head(20)


def repeated_rows(real: pd.DataFrame, batch: pd.DataFrame, policy: Mapping[str, float]) -> Iterator[Probe]:
    """Rows that stand more than once: more than among as many real rows, or suspiciously few."""
    n = min(len(real), len(batch))
    k_real, k_batch = (int(rows.iloc[:n].duplicated(keep="first").sum()) for rows in (real, batch))
    p_value = share_p_value(k_real, n, k_batch, n, alternative="greater")
    note = f"{k_batch:,} of {n:,} batch rows repeat an earlier one, {k_real:,} of as many real rows"
    value = max(k_batch - k_real, 0) / n
    yield Probe("repeated_rows", value, policy["repeated_rows"], floor=k_real / n, p_value=p_value, note=note)
    if k_real >= REPEATS_MATTER * n:
        clean = "too clean: real rows repeat"
        yield from kept_probe("repeats_kept", (k_real, k_batch), (n, n), policy["clean_share"], clean)


def isolated_rows(
    real: pd.DataFrame, batch: pd.DataFrame, encoding: Encoding, limit: float, rng: np.random.Generator
) -> Iterator[Probe]:
    """How many of the batch's rows are as odd as the oddest real ones.

    Notes
    -----
    F. T. Liu, K. M. Ting, Z.-H. Zhou, "Isolation forest", ICDM 2008; learned from one half of the real rows,
    compared on the other.
    """
    halves = thin(real, 2 * MAX_ISOLATION_ROWS, rng)
    order = rng.permutation(len(halves))
    learned, asked = (halves.iloc[part].reset_index(drop=True) for part in np.array_split(order, 2))
    forest = IsolationForest(random_state=int(rng.integers(2**31))).fit(encoding.points(learned))
    scores = [forest.score_samples(encoding.points(rows)) for rows in (asked, thin(batch, MAX_ISOLATION_ROWS, rng))]
    odd = np.quantile(scores[0], ISOLATED_SHARE)
    counts = int((scores[0] < odd).sum()), int((scores[1] < odd).sum())
    note = "too clean: odd rows are rarer than in reality"
    yield from kept_probe("isolated_kept", counts, (len(scores[0]), len(scores[1])), limit, note)


@dataclass(frozen=True)
class _Inside:
    auc: float
    standard_error: float
    p_value: float


def _inside(found: Classified, control: np.ndarray, batch: np.ndarray) -> _Inside | None:
    if min(control.sum(), batch.sum()) < MIN_CELL_ROWS:
        return None
    scores = found.test.scores
    auc = roc_area(scores[len(control) :][batch], scores[: len(control)][control])
    spread = SPREAD_INFLATION * standard_error_of_auc(int(control.sum()), int(batch.sum()))
    return _Inside(auc, spread, ClassifierTest(auc, spread, found.test.importance, scores).p_value)
