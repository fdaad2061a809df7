"""All columns at once: a classifier test of the batch against real rows, and the same test on control rows.

Probes of whole rows: the classifier test and its worst slices, repeated rows, and isolated ones.

Test members against control without the batch: where they differ, nothing can be judged against them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.ensemble import IsolationForest

from synth_mlflow.checks import Metric
from synth_mlflow.checks._columns import kept_probe
from synth_mlflow.checks._tables import Tables, subsample, thinned
from synth_mlflow.data.digests import Hashes, are_repeated, distinct_rows
from synth_mlflow.data.slices import Slice
from synth_mlflow.data.splits import group_codes
from synth_mlflow.data.task import Task
from synth_mlflow.metrics.associations import SharedBins
from synth_mlflow.metrics.distances import SPLIT_ROWS, Bools, share_p_value
from synth_mlflow.metrics.encoding import Encoding
from synth_mlflow.metrics.null_distribution import Floats, NullDistribution, Places, group_halves, split_floor
from synth_mlflow.metrics.two_sample import ClassifierTest, FoldedArea, classifier_floor, classifier_test

MAX_BESIDE = 1_000  # rows of a batch that few control rows are compared with
MAX_CLASSIFIER_ROWS = 10_000
REPEATS_MATTER = 0.25  # of real rows: so coarse a table repeats by its law; fewer copies are entered twice, and no loss
MAX_ISOLATION_ROWS = 4_000
ISOLATED_SHARE = 0.05
MIN_CELL_ROWS = 100


@dataclass(frozen=True)
class Classified:
    """The classifier test, the rows that it was made on, and what it gives for real rows against real rows."""

    test: ClassifierTest
    floor: NullDistribution
    control: pd.DataFrame
    batch: pd.DataFrame
    encoding: Encoding
    p_value: float
    """Of the whole test."""

    @property
    def worst_columns(self) -> list[str]:
        """The columns that earned most of the classifier's gain."""
        order = np.argsort(self.test.importance)[::-1][:3]
        return [f"{self.encoding.schema.columns[at]!r} ({self.test.importance[at]:.0%})" for at in order]

    def upper(self, n_control: int, n_batch: int) -> float:
        """What 99 of 100 draws of so many real rows stay below."""
        return 0.5 + float(self.floor.upper(n_control, n_batch)[0])

    @property
    def noise(self) -> float:
        """:meth:`upper` at the sizes of the whole test."""
        return self.upper(len(self.control), len(self.batch))


def classify(tables: Tables, encoding: Encoding, task: Task, seed: int, rng: np.random.Generator) -> Classified:
    """Distinguish the batch from control rows: training rows would reward a generator for copying them.

    Rows entered twice are asked once: whoever learns from a row knows its copy. Repeats have a test of their own.
    Where rows come in groups, no row is scored by a model that has seen its group.
    """
    hashes = tables.hashes
    control, batch = _entered_once(tables.control, hashes[2]), _entered_once(tables.batch, hashes[0])
    first = subsample(control, MAX_CLASSIFIER_ROWS, rng)
    second = subsample(batch, max(len(first), min(len(batch), MAX_BESIDE)), rng)
    real = subsample(_entered_once(tables.real, tables.real_hashes()), 2 * MAX_CLASSIFIER_ROWS, rng)
    by_table = [group_codes(rows, task) for rows in (first, second, real)]
    groups = None if by_table[0] is None or by_table[1] is None else (by_table[0], by_table[1])
    features, categorical = (encoding.features(first), encoding.features(second)), encoding.categorical
    test = classifier_test(*features, seed=seed, categorical=categorical, groups=groups)
    floor = classifier_floor(encoding.features(real), seed=seed, categorical=categorical, groups=by_table[2])
    p_value = test.p_value
    if groups is not None:
        p_value = max(p_value, float(floor.p_values(np.array([test.auc - 0.5]), len(first), len(second))[0]))
    return Classified(test, floor, first, second, encoding, p_value)


def classifier_probes(classified: Classified, slices: Mapping[str, Slice], limit: float) -> Iterator[Metric]:
    """The test over all rows, and inside each slice of the statement that has rows enough."""
    test = classified.test
    note = f"given away by {', '.join(classified.worst_columns)}"
    yield Metric("classifier_auc", test.auc, limit, floor=classified.noise, p_value=classified.p_value, note=note)
    for name, part in slices.items():
        inside = _inside(classified, part.mask(classified.control), part.mask(classified.batch))
        if inside is not None:
            area, floor = inside
            yield Metric(f"classifier_auc_{name}", area.auc, limit, floor=floor, p_value=area.p_value, note=part.text)


def worst_slices(classified: Classified) -> pd.DataFrame:
    """Where the classifier tells best: each bin and each level of each column, worst first."""
    bins = SharedBins.learn(classified.control[list(classified.encoding.schema)], n_bins=4)
    control, batch = bins.codes(classified.control), bins.codes(classified.batch)
    rows = [
        {"column": column, "cell": bins.name(column, code), "auc": inside[0].auc, "real_against_real": inside[1]}
        for at, (column, width) in enumerate(zip(bins.columns, bins.widths, strict=True))
        for code in range(int(width))
        if (inside := _inside(classified, control[:, at] == code, batch[:, at] == code)) is not None
    ]
    table = pd.DataFrame(rows, columns=["column", "cell", "auc", "real_against_real"])
    return table.sort_values("auc", ascending=False, ignore_index=True).head(20)


def repeated_rows(
    real: Hashes,
    batch: Hashes,
    policy: Mapping[str, float],
    rng: np.random.Generator,
    groups: Places | None = None,
) -> Iterator[Metric]:
    """Rows that stand more than once: more than among as many real rows, or suspiciously few.

    Parameters
    ----------
    real, batch : arrays of shape (n_real,), (n_batch,)
        Hashes of rows.
    """
    n = min(len(real), len(batch))
    drawn, batch_repeats = (_repeats(one) for one in (rng.permutation(real)[:n], batch[:n]))
    real_repeats = max(drawn, round(_repeats(real) * n / len(real)))  # copies entered twice come together
    p_value = share_p_value(real_repeats, n, batch_repeats, n, alternative="greater")
    note = f"{batch_repeats:,} of {n:,} batch rows repeat an earlier one, {real_repeats:,} of as many real rows"
    value = max(batch_repeats - real_repeats, 0) / n

    def excess(first: Places, second: Places) -> Floats:
        expected = _repeats(real[first]) * len(second) / len(first)
        return np.array([max(_repeats(real[second]) - expected, 0) / len(second)])

    law = split_floor(excess, min(len(real), SPLIT_ROWS), rng, n_all=len(real), groups=groups)
    if groups is not None:
        p_value = max(p_value, float(law.p_values(np.array([value]), n, n)[0]))
    floor = float(law.upper(n, n)[0])
    yield Metric("repeated_rows", value, policy["repeated_rows"], floor=floor, p_value=p_value, note=note)
    if drawn >= REPEATS_MATTER * n:
        clean, counts = "too clean: real rows repeat", (drawn, batch_repeats)
        yield from kept_probe("repeats_kept", counts, (n, n), policy["clean_share"], clean)


def isolated_rows(
    real: pd.DataFrame,
    batch: pd.DataFrame,
    encoding: Encoding,
    limit: float,
    rng: np.random.Generator,
    groups: Places | None = None,
) -> Iterator[Metric]:
    """How many of the batch's rows are as odd as the oddest real ones.

    Notes
    -----
    F. T. Liu, K. M. Ting, Z.-H. Zhou, "Isolation forest", ICDM 2008; learned from one half of the real rows,
    compared on the other.
    """
    places_of_real = thinned(len(real), 2 * MAX_ISOLATION_ROWS, rng)
    parts = (
        np.array_split(rng.permutation(len(places_of_real)), 2)
        if groups is None
        else group_halves(groups, len(places_of_real), rng)
    )
    places = parts if groups is not None else [places_of_real[part] for part in parts]
    learned, queries = (real.iloc[part].reset_index(drop=True) for part in places)
    forest = IsolationForest(random_state=int(rng.integers(2**31))).fit(encoding.points(learned))
    scores = [
        forest.score_samples(encoding.points(rows)) for rows in (queries, subsample(batch, MAX_ISOLATION_ROWS, rng))
    ]
    odd = [one < np.quantile(scores[0], ISOLATED_SHARE) for one in scores]
    sizes = len(odd[0]), len(odd[1])

    def ratio(first: Places, second: Places) -> Floats:
        shares = [float(odd[0][half].mean()) for half in (first, second)]
        return np.array([shares[1] / shares[0] - 1 if shares[0] else 0.0])

    asked_groups = None if groups is None else np.unique(groups[places[1]], return_inverse=True)[1]
    floor = 1 - float(split_floor(ratio, sizes[0], rng, groups=asked_groups).symmetric().upper(*sizes)[0])
    note = "too clean: odd rows are rarer than in reality"
    counts = int(odd[0].sum()), int(odd[1].sum())
    yield from kept_probe("isolated_kept", counts, sizes, limit, note, floor=floor)


def _inside(classified: Classified, control: Bools, batch: Bools) -> tuple[FoldedArea, float] | None:
    sizes = int(control.sum()), int(batch.sum())
    if min(sizes) < MIN_CELL_ROWS:
        return None
    return classified.test.within(np.concatenate([control, batch])), classified.upper(*sizes)


def _entered_once(rows: pd.DataFrame, hashes: Hashes) -> pd.DataFrame:
    again = are_repeated(hashes)
    return rows if again.mean() >= REPEATS_MATTER else rows[~again].reset_index(drop=True)


def _repeats(hashes: Hashes) -> int:
    return len(hashes) - int((~are_repeated(hashes)).sum())


MAX_ROWS = 5_000
BLIND_AUC = 0.55
"""Real rows that were split at random stay below it; below it, drift is too weak to make a leak."""
BLIND_ALPHA = 0.001
"""Asked once a project, of data that the batch cannot change."""


@dataclass(frozen=True)
class ControlShiftTest:
    """How well members and control are separated by themselves."""

    auc: float
    p_value: float
    floor: float
    """What 99 of 100 random splits of the same rows stay below; NaN where the area is below `BLIND_AUC` anyhow."""
    columns: tuple[str, ...]
    """The columns that give the difference away, if there is one."""
    group: str | None = None
    """The column by whose groups the set was split, if it was."""
    time: str | None = None
    """The column by whose time it was split, if it was."""

    @property
    def metrics(self) -> dict[str, float]:
        """For the run."""
        floor = {} if np.isnan(self.floor) else {"blind_auc_floor": self.floor}
        return {"blind_auc": self.auc, **floor, "blind_auc_limit": BLIND_AUC}

    @property
    def differ(self) -> str:
        """What is wrong, or nothing."""
        if self.auc <= BLIND_AUC or self.auc <= self.floor or self.p_value > BLIND_ALPHA:
            return ""
        way, remedy = "random splits", "draw the evaluation set at random in a new project"
        if self.group:
            way, remedy = f"random splits by {self.group!r}", "look at how the groups of the two sides differ"
        if self.time:
            remedy = f"this set was split by {self.time!r}, so later rows may differ"
        return (
            f"training rows and evaluation rows do not follow one distribution: without the batch a classifier "
            f"distinguishes them with AUC {self.auc:.2f} (limit {BLIND_AUC:.2f}, {way} {self.floor:.2f}), by "
            f"{', '.join(map(repr, self.columns))}. A split by time or drift does this; {remedy}, or accept this check "
            "as inconclusive with a reason"
        )


def blind_test(
    members: pd.DataFrame,
    control: pd.DataFrame,
    encoding: Encoding,
    *,
    seed: int,
    floor: NullDistribution | None = None,
    task: Task | None = None,
) -> ControlShiftTest:
    """Compare equally many members and controls, of every row one copy.

    Where ``floor`` is not given it is measured if it can matter: thirty-six fits, for areas above `BLIND_AUC` alone.

    Exact duplicates lie on one side of a frozen split, so a classifier that remembers a row knows where its twin lies:
    on wine quality, where a fifth of the rows are copies, that alone gave an AUC of 0.56. The same holds for groups:
    where the set was split by the group that ``task`` names, no row is scored by a model that has seen its group.
    """
    members, control = distinct_rows(members), distinct_rows(control)
    rng = np.random.default_rng([seed, 17])
    n_rows = min(len(members), len(control), MAX_ROWS)
    first, second = subsample(members, n_rows, rng), subsample(control, n_rows, rng)
    features, categorical = (encoding.features(first), encoding.features(second)), encoding.categorical
    pooled = None if task is None else group_codes(pd.concat([first, second], ignore_index=True), task)
    groups = None if pooled is None else (pooled[: len(first)], pooled[len(first) :])
    test = classifier_test(*features, seed=seed, categorical=categorical, groups=groups)
    if floor is None and test.auc > BLIND_AUC:
        floor = classifier_floor(np.vstack(features), seed=seed, categorical=categorical, groups=pooled)
    sizes, p_value = (len(first), len(second)), test.p_value
    if floor is not None and pooled is not None:
        p_value = max(p_value, float(floor.p_values(np.array([test.auc - 0.5]), *sizes)[0]))
    best, named = np.argsort(test.importance)[::-1][:3], (task.group, task.time) if task else (None, None)
    columns = tuple(encoding.schema.columns[place] for place in best)
    highest = float("nan") if floor is None else 0.5 + float(floor.upper(*sizes)[0])
    return ControlShiftTest(test.auc, p_value, highest, columns, *named)
