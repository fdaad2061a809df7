"""Rows of a batch that equal evaluation rows, or lie nearer to them than other real rows do.

Rows altered on purpose, and the score that tells an altered copy from a row that lies close by nature.

What an altered copy looks like depends on the table: where rows repeat, sharing nine of ten values is no news. So the
score is learned on the table itself, from real rows that were altered here and from pairs of real rows that were not.

Rows of a batch that are evaluation rows, altered: numbers moved, one value changed, half of the values changed.

How a batch matches evaluation rows: whole rows, rounded rows, and combinations of their values.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats
from sklearn.linear_model import LogisticRegression

from synth_mlflow.checks._common_columns import common_columns
from synth_mlflow.checks._tables import Tables, subsample, thinned, without
from synth_mlflow.data.digests import are_among, are_repeated, row_hashes
from synth_mlflow.data.grids import floats_of
from synth_mlflow.metrics.distances import ks_distance, tv_distance
from synth_mlflow.metrics.intervals import Matches, Sizes, rate_p_value
from synth_mlflow.metrics.row_closeness import Closeness
from synth_mlflow.metrics.row_pairs import Pairs, closest_pairs
from synth_mlflow.metrics.shared_keys import ColumnSet, KeyCounts, KeyedRows, column_sets, is_key

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]
Alteration = Callable[[pd.DataFrame, Ints, np.random.Generator], pd.DataFrame]

SLIGHTLY, CLEARLY = (0.001, 0.01), (0.02, 0.1)  # standard deviations, evenly drawn in logarithms
MANY_VALUES = 12  # numbers with fewer are left as they are
MIN_EXAMPLES = 10
MAX_DEVIATIONS = 12.0
FAR_OFF = 0.5  # distance of a column from its real values, beyond which most of the batch has other ones
REGULARISATION = 0.3  # inverse strength: few features, many natural pairs


def moved(
    real: pd.DataFrame, sources: Ints, rng: np.random.Generator, by: tuple[float, float] = SLIGHTLY
) -> pd.DataFrame:
    """Rows whose numbers are moved by a small part of their standard deviation, whole ones to whole numbers."""
    moved_rows = real.iloc[sources].reset_index(drop=True)
    scale = by[0] * (by[1] / by[0]) ** rng.random(len(sources))
    for name in real:
        kind = real[name].dtype
        if not pd.api.types.is_numeric_dtype(kind) or pd.api.types.is_bool_dtype(kind):
            continue
        values = floats_of(real[name])
        if real[name].nunique() > MANY_VALUES and np.isfinite(np.nanstd(values)):
            shifted = values[sources] + scale * np.nanstd(values) * rng.normal(size=len(sources))
            if pd.api.types.is_integer_dtype(kind):
                shifted = np.clip(np.round(shifted), np.nanmin(values), np.nanmax(values))
            moved_rows[name] = pd.Series(shifted).astype(kind)
    return moved_rows


def one_changed(real: pd.DataFrame, sources: Ints, rng: np.random.Generator) -> pd.DataFrame:
    """Rows of which one value each is another row's."""
    names = rng.integers(real.shape[1], size=len(sources))
    return _mixed(real, sources, names[:, None] == np.arange(real.shape[1]), rng)


def half_mixed(real: pd.DataFrame, sources: Ints, rng: np.random.Generator) -> pd.DataFrame:
    """Rows of which half of the values are another row's."""
    order = rng.random((len(sources), real.shape[1])).argsort(axis=1)
    return _mixed(real, sources, order < real.shape[1] // 2, rng)


def _mixed(real: pd.DataFrame, sources: Ints, changed: Bools, rng: np.random.Generator) -> pd.DataFrame:
    other = rng.integers(len(real), size=len(sources))
    columns = {
        name: real[name].iloc[np.where(changed[:, at], other, sources)].reset_index(drop=True)
        for at, name in enumerate(real)
    }
    return pd.DataFrame(columns)


ALTERATIONS: dict[str, Alteration] = {
    "numbers moved slightly": moved,
    "numbers moved": partial(moved, by=CLEARLY),
    "one value changed": one_changed,
    "half of the values changed": half_mixed,
}


@dataclass(frozen=True)
class Scored:
    """The real row that each query is most likely an altered copy of, and how likely."""

    places: Ints
    scores: Floats


@dataclass(frozen=True)
class CopyScore:
    """Log odds that a row is an altered copy of the real row it is paired with."""

    centre: Floats
    spread: Floats
    model: LogisticRegression

    @classmethod
    def learn(cls, natural: Pairs, altered: Pairs, sources: Ints) -> CopyScore | None:
        """Fit the score, or nothing where altered rows no longer lie close to their sources.

        Parameters
        ----------
        natural, altered : Pairs
            Of real rows with others, and of altered rows with real ones.
        sources : int array of shape (n_altered,)
            The real row that each altered row was made of.
        """
        examples = altered.features[altered.usable & (altered.places == sources[:, None])]
        others = natural.features[natural.usable]
        if min(len(examples), len(others)) < MIN_EXAMPLES:
            return None
        centre, spread = others.mean(axis=0), others.std(axis=0) + 1e-9
        model = LogisticRegression(C=REGULARISATION, max_iter=300)
        points = np.clip((np.vstack([others, examples]) - centre) / spread, -MAX_DEVIATIONS, MAX_DEVIATIONS)
        model.fit(points, np.repeat([0, 1], [len(others), len(examples)]))
        return cls(centre, spread, model)

    def of(self, pairs: Pairs) -> Scored:
        """Score every pair and keep the best of each query."""
        points = np.clip((pairs.features - self.centre) / self.spread, -MAX_DEVIATIONS, MAX_DEVIATIONS)
        scores = self.model.decision_function(points.reshape(-1, points.shape[-1])).reshape(pairs.places.shape)
        scores = np.where(pairs.usable, scores, -np.inf)
        best = scores.argmax(axis=1)[:, None]
        return Scored(*(np.take_along_axis(each, best, axis=1)[:, 0] for each in (pairs.places, scores)))


MAX_NEAR_ROWS = 3_000  # batch rows, and real rows, whose closest real row is looked for
MAX_NEAR_TRAINING = 8_000  # training rows among which it is looked for, beside every evaluation row
MAX_FITTED_ROWS = 1_500  # real rows from which the score learns what is natural; the reference has others
N_ALTERED = 300  # of each kind
MIN_FOUND = 0.3  # of the rows altered here: a threshold that finds fewer tells nothing
PLANTED_SHARE, MIN_PLANTED = 0.01, 3  # of the batch, for which the threshold is best
MIN_SIDE = 10


@dataclass(frozen=True)
class NearMatches:
    """Evaluation rows, altered in one way, that rows of the batch are taken for."""

    alteration: str
    power: float
    """Of real rows altered in this way, the share that is recognised."""
    matches: Matches


@dataclass(frozen=True)
class _Rows:
    """The rows that are compared: distinct real ones, training before evaluation, and those of the batch."""

    real: pd.DataFrame
    n_training: int
    batch: pd.DataFrame
    alone: Ints
    """Places of real rows that stand once in the whole tables."""
    known: npt.NDArray[np.uint64]
    groups: Ints | None
    """Of each real row, where the set was split by group."""

    @property
    def sizes(self) -> Sizes:
        return Sizes(len(self.batch), self.n_training, len(self.real) - self.n_training)


@dataclass(frozen=True)
class _Queries:
    """Pairs of rows, by what they serve for."""

    fitted: Pairs
    reference: Pairs
    batch: Pairs
    altered: dict[str, tuple[Pairs, Ints]]


def near_rows(tables: Tables, rng: np.random.Generator, groups: Ints | None = None) -> list[NearMatches]:
    """Rows of the batch that look like altered evaluation rows, beside real rows that look like altered real rows.

    Rows that equal a real one are left out, and every real row is asked once: they are matched as a whole. The
    threshold of each score is chosen without the batch, so that each kind is one test.

    Parameters
    ----------
    tables : Tables
    rng : Generator
    groups : int array of shape (n_members + n_control,), optional
        The group of each real row, members first, where the set was split by group.
    """
    rows = _rows(without(tables, tables.identifying), groups, rng)
    sides = (rows.sizes.training, rows.sizes.evaluation, len(rows.alone))
    if not len(rows.batch) or min(sides) < MIN_SIDE:
        return []
    queries = _queries_of(rows, rng)
    matches = []
    for name, (pairs, sources) in queries.altered.items():
        score = CopyScore.learn(queries.fitted, pairs, sources)
        near = None if score is None else _matches(score, queries, name, rows)
        matches += [] if near is None else [near]
    return matches


def _rows(tables: Tables, groups: Ints | None, rng: np.random.Generator) -> _Rows:
    in_batch, in_training, in_evaluation = tables.hashes
    known = np.concatenate([in_training, in_evaluation])
    training = _some(np.flatnonzero(~are_repeated(in_training)), MAX_NEAR_TRAINING, rng)
    training = training[~are_among(in_training[training], in_evaluation)]
    evaluation = np.flatnonzero(~are_repeated(in_evaluation))
    new = _some(np.flatnonzero(~are_repeated(in_batch) & ~are_among(in_batch, known)), MAX_NEAR_ROWS, rng)
    values, counts = np.unique(known, return_counts=True)
    hashes = np.concatenate([in_training[training], in_evaluation[evaluation]])
    alone = np.flatnonzero(are_among(hashes, values[counts == 1]))
    real = pd.concat([tables.members.iloc[training], tables.control.iloc[evaluation]], ignore_index=True)
    own = None if groups is None else groups[np.concatenate([training, len(tables.members) + evaluation])]
    return _Rows(real, len(training), tables.batch.iloc[new].reset_index(drop=True), alone, known, own)


def _some(places: Ints, n_rows: int, rng: np.random.Generator) -> Ints:
    """At most ``n_rows`` of the places, drawn without replacement, in their order."""
    return np.asarray(places[thinned(len(places), n_rows, rng)])


def _queries_of(rows: _Rows, rng: np.random.Generator) -> _Queries:
    order = rng.permutation(rows.alone)
    n_fitted = min(len(order) // 3, MAX_FITTED_ROWS)
    fitted, reference = order[:n_fitted], order[n_fitted : n_fitted + MAX_NEAR_ROWS]
    made = {name: _altered(rows, name, rng) for name in ALTERATIONS}
    others = pd.concat([rows.batch, *(one for one, _ in made.values())], ignore_index=True)
    places = np.concatenate([fitted, reference, len(rows.real) + np.arange(len(others))])
    pairs = closest_pairs(Closeness(rows.real, rows.n_training, others), places)
    lengths = [len(fitted), len(reference), len(rows.batch), *(len(one) for one, _ in made.values())]
    stops = np.cumsum(lengths).tolist()
    parts = [pairs.part(slice(stop - length, stop)) for length, stop in zip(lengths, stops, strict=True)]
    altered = {name: (part, made[name][1]) for name, part in zip(made, parts[3:], strict=True)}
    return _Queries(parts[0], parts[1], parts[2], altered)


def _altered(rows: _Rows, name: str, rng: np.random.Generator) -> tuple[pd.DataFrame, Ints]:
    """Altered real rows that no longer equal one, and the places of those they were made of."""
    sources = rng.choice(rows.alone, size=N_ALTERED)
    made = ALTERATIONS[name](rows.real, sources, rng)
    new = ~are_among(row_hashes(made), rows.known)
    return made[new].reset_index(drop=True), sources[new]


def _matches(score: CopyScore, queries: _Queries, name: str, rows: _Rows) -> NearMatches | None:
    """The matches of one kind, or nothing where too few altered rows are told from natural ones."""
    (pairs, sources), sizes = queries.altered[name], rows.sizes
    altered, natural = score.of(pairs), score.of(queries.fitted).scores
    exposures = (float(sizes.batch * sizes.evaluation), len(queries.reference.places) * sizes.real / 2)
    seen = np.where(altered.places == sources, altered.scores, -np.inf)
    threshold = _threshold(seen, natural, exposures, len(queries.reference.places) / len(natural), sizes.batch)
    if not np.isfinite(threshold):
        return None
    batch, reference = score.of(queries.batch), score.of(queries.reference)
    places = np.unique(batch.places[batch.scores >= threshold])
    matches = Matches(
        evaluation=int((places >= sizes.training).sum()),
        training=int((places < sizes.training).sum()),
        real_pairs=_pairs(reference, threshold),
        batch_exposure=exposures[0],
        real_exposure=exposures[1],
        side_share=sizes.evaluation / sizes.real,
        design_effect=1.0 if rows.groups is None else _design_effect(rows.groups[places]),
    )
    return NearMatches(name, float((seen >= threshold).mean()), matches)


def _design_effect(groups: Ints) -> float:
    """The rows of a group that matches fall on, in the mean over these rows; at least 1."""
    counts = np.unique(groups, return_counts=True)[1]
    return float((counts**2).sum() / counts.sum()) if len(counts) else 1.0


def _pairs(scored: Scored, threshold: float) -> int:
    return -(-int((scored.scores >= threshold).sum()) // 2)  # a pair is seen from both of its rows


def _threshold(
    altered: Floats, natural: Floats, exposures: tuple[float, float], n_reference_each: float, n_batch: int
) -> float:
    """The score from which a few rows planted in a batch would be most significant; infinite if hardly any are found.

    ``altered`` are scores of rows altered here, ``natural`` those of real rows, ``n_reference_each`` how many rows the
    reference has for each of the latter.
    """
    best, smallest = 1.0, np.inf
    planted = max(PLANTED_SHARE * n_batch, MIN_PLANTED)
    scores = altered[np.isfinite(altered)]
    for threshold in np.quantile(scores, np.linspace(0, 0.9, 19)) if len(scores) else ():
        power = float((altered >= threshold).mean())
        if power < MIN_FOUND:  # as quantiles grow, ever fewer
            break
        pairs = (int((natural >= threshold).sum()) / 2 + 0.5) * n_reference_each
        expected = pairs * exposures[0] / exposures[1]
        p_value = rate_p_value(int(planted * power + expected), exposures[0], int(np.ceil(pairs)), exposures[1])
        if p_value < best:
            best, smallest = p_value, float(threshold)
    return smallest


MAX_KEYED_ROWS = 10_000
MIN_NEW_KEYS = 20


@dataclass(frozen=True)
class SetMatches:
    """Matches of the combinations of one set of columns."""

    columns: tuple[str, ...]
    matches: Matches


@dataclass(frozen=True)
class NewKeys:
    """Combinations in sets of equally many columns that no training row has, and how many of them evaluation rows have.

    Every row is asked in every set, so the rows, and not the combinations, are what is independent.
    """

    n_columns: int
    n_sets: int
    n_matches: float
    """In the batch: those that evaluation rows have."""
    expected: float
    """Those that they would have, by what real rows show when each is left out."""
    p_value: float


def whole_rows(tables: Tables, *, rounded: bool = False) -> Matches:
    """Every row of the batch against every real row, as it is or rounded as the columns are."""
    sizes = Sizes(len(tables.batch), len(tables.members), len(tables.control))
    compared = _rounded(tables) if rounded else tables
    return KeyCounts.of(np.concatenate([compared.real_hashes(), compared.hashes[0]]), sizes).matches()


def _rounded(tables: Tables) -> Tables:
    """Numbers rounded to the decimals that real ones have, or else to a thousandth of their middle half's width."""
    parts = (tables.members, tables.control, tables.batch)
    ends = np.cumsum([len(rows) for rows in parts])[:-1]
    rounded_sides: list[dict[str, Floats]] = [{} for _ in parts]
    for name in tables.members:
        columns = [rows[name] for rows in parts]
        if all(pd.api.types.is_float_dtype(column.dtype) for column in columns):
            values = np.concatenate([column.to_numpy(dtype=np.float64) for column in columns])
            for side, rounded in zip(rounded_sides, np.split(_on_grid(values, int(ends[-1])), ends), strict=True):
                side[str(name)] = rounded
    if not rounded_sides[0]:
        return tables
    members, control, batch = (rows.assign(**side) for rows, side in zip(parts, rounded_sides, strict=True))
    return Tables(batch, members, control)


def _on_grid(values: Floats, n_real: int) -> Floats:
    present = values[:n_real][~np.isnan(values[:n_real])]
    if not len(present):
        return values
    for decimals in range(5):
        if np.allclose(present, np.round(present, decimals), rtol=0, atol=1e-9):
            return np.round(values, decimals)
    width = float(np.subtract(*np.quantile(present, [0.75, 0.25])))
    return np.round(values * 1000 / width) if width > 0 else values


@dataclass(frozen=True)
class Combinations:
    """What the sets of columns show."""

    sets: tuple[SetMatches, ...]
    new_keys: tuple[NewKeys, ...]
    common: tuple[SetMatches, ...]
    """Of the sets that several rows of the batch have in common with real rows."""
    rows_identified: bool
    """Whether real rows never repeat though their columns would let them, so that whole rows have no natural rate."""


def combinations(tables: Tables, rng: np.random.Generator) -> Combinations:
    """Compare the combinations of values in many sets of columns."""
    given_out = tables.identifying
    all_given_out = len(given_out) == tables.members.shape[1]  # then no two real rows show what chance does
    tables = without(tables, given_out)
    once = np.flatnonzero(~are_repeated(tables.hashes[0]))
    batch = tables.batch.iloc[_some(once, MAX_KEYED_ROWS, rng)].reset_index(drop=True)
    rows = KeyedRows.of(subsample(tables.members, MAX_KEYED_ROWS, rng), tables.control, batch)
    names = [str(name) for name in tables.members]
    unlike = {at for at, name in enumerate(names) if _distance(tables.real_column(name), batch[name]) > FAR_OFF}
    by_size: dict[int, _LeftOut] = {}
    sets = []

    def matched(columns: ColumnSet, counts: KeyCounts) -> SetMatches:
        return SetMatches(tuple(names[at] for at in columns), counts.matches())

    for columns in column_sets(rows, rng):
        counts = rows.counts(columns)
        sets.append(matched(columns, counts))
        if not all_given_out and not unlike & set(columns):
            by_size.setdefault(_size_class(columns, len(names)), _LeftOut(len(rows.cells))).add(counts)
    new = tuple(
        new_keys
        for size, each in sorted(by_size.items())
        if (new_keys := _new_keys(size, each, rows.sizes)) is not None
    )
    common = tuple(matched(columns, rows.counts(columns)) for columns in common_columns(rows, rng))
    whole = tuple(range(len(names)))
    return Combinations(tuple(sets), new, common, is_key(rows, whole, rows.collisions()))


def _distance(real: pd.Series, batch: pd.Series) -> float:
    """Of the values of a column; a batch that has other ones meets evaluation rows more often than real rows do."""
    is_ordered = pd.api.types.is_numeric_dtype(real.dtype) or pd.api.types.is_datetime64_any_dtype(real.dtype)
    return ks_distance(real, batch) if is_ordered else tv_distance(real, batch)


def _size_class(columns: ColumnSet, n_columns: int) -> int:
    return min(len(columns), 4) if len(columns) < n_columns - 1 else n_columns - 1


class _LeftOut:
    """Of each row, in how many sets its key is an evaluation row's and no training row's, and what is expected."""

    def __init__(self, n_rows: int) -> None:
        self.n_sets = 0
        self.found, self.expected = np.zeros(n_rows), np.zeros(n_rows)

    def add(self, counts: KeyCounts) -> None:
        """Take in one set."""
        new, n_shared = counts.left_out
        n = counts.sizes.real
        natural = n_shared[:n].sum() / max(new[:n].sum(), 1)
        self.n_sets += 1
        self.found += n_shared
        self.expected += new * natural


def _new_keys(size: int, each: _LeftOut, sizes: Sizes) -> NewKeys | None:
    n_new, expected = each.found, each.expected
    beyond = n_new - expected
    batch, real = beyond[sizes.real :], beyond[: sizes.real]
    total, chance = float(n_new[sizes.real :].sum()), float(expected[sizes.real :].sum())
    if total < MIN_NEW_KEYS or len(batch) < 2:
        return None
    spread = np.sqrt(len(batch) * batch.var() + len(batch) ** 2 * real.var() / len(real))
    p_value = float(stats.norm.sf(batch.sum() / spread)) if spread > 0 else 1.0
    return NewKeys(size, each.n_sets, total, chance, p_value)
