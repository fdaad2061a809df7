"""Rows of a batch that are evaluation rows, altered: numbers moved, one value changed, half of the values changed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from synth_mlflow.checks._tables import Tables, thin, without
from synth_mlflow.data.digests import row_hashes
from synth_mlflow.measures.altered_rows import ALTERATIONS, CopyScore, Scored
from synth_mlflow.measures.rate_excess import Matches, Sizes, rate_p_value
from synth_mlflow.measures.row_closeness import Closeness
from synth_mlflow.measures.row_pairs import Pairs, closest_pairs
from synth_mlflow.measures.shared_keys import identifying_columns

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]

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

    @property
    def sizes(self) -> Sizes:
        return Sizes(len(self.batch), self.n_training, len(self.real) - self.n_training)


@dataclass(frozen=True)
class _Asked:
    """Pairs of rows, by what they serve for."""

    fitted: Pairs
    reference: Pairs
    batch: Pairs
    altered: dict[str, tuple[Pairs, Ints]]


def near_rows(tables: Tables, rng: np.random.Generator) -> list[NearMatches]:
    """Rows of the batch that look like altered evaluation rows, beside real rows that look like altered real rows.

    Rows that equal a real one are left out, and every real row is asked once: they are matched as a whole. The
    threshold of each score is chosen without the batch, so that each kind is one test.
    """
    rows = _rows(without(tables, identifying_columns(tables.real)), rng)
    sides = (rows.sizes.training, rows.sizes.evaluation, len(rows.alone))
    if not len(rows.batch) or min(sides) < MIN_SIDE:
        return []
    asked = _asked(rows, rng)
    found = []
    for name, (pairs, sources) in asked.altered.items():
        score = CopyScore.learn(asked.fitted, pairs, sources)
        near = None if score is None else _matches(score, asked, name, rows.sizes)
        found += [] if near is None else [near]
    return found


def _rows(tables: Tables, rng: np.random.Generator) -> _Rows:
    training = thin(tables.members.drop_duplicates(ignore_index=True), MAX_NEAR_TRAINING, rng)
    evaluation = tables.control.drop_duplicates(ignore_index=True)
    hashes = [row_hashes(rows) for rows in (training, evaluation)]
    training = training[~np.isin(hashes[0], hashes[1])].reset_index(drop=True)
    real = pd.concat([training, evaluation], ignore_index=True)
    batch = tables.batch.drop_duplicates(ignore_index=True)
    known = row_hashes(tables.real)
    batch = thin(batch[~np.isin(row_hashes(batch), known)].reset_index(drop=True), MAX_NEAR_ROWS, rng)
    values, counts = np.unique(known, return_counts=True)
    alone = np.flatnonzero(np.isin(row_hashes(real), values[counts == 1]))
    return _Rows(real, len(training), batch, alone, known)


def _asked(rows: _Rows, rng: np.random.Generator) -> _Asked:
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
    return _Asked(parts[0], parts[1], parts[2], altered)


def _altered(rows: _Rows, name: str, rng: np.random.Generator) -> tuple[pd.DataFrame, Ints]:
    """Altered real rows that no longer equal one, and the places of those they were made of."""
    sources = rng.choice(rows.alone, size=N_ALTERED)
    made = ALTERATIONS[name](rows.real, sources, rng)
    new = ~np.isin(row_hashes(made), rows.known)
    return made[new].reset_index(drop=True), sources[new]


def _matches(score: CopyScore, asked: _Asked, name: str, sizes: Sizes) -> NearMatches | None:
    """The matches of one kind, or nothing where too few altered rows are told from natural ones."""
    pairs, sources = asked.altered[name]
    altered, natural = score.of(pairs), score.of(asked.fitted).scores
    exposures = (float(sizes.batch * sizes.evaluation), len(asked.reference.places) * sizes.real / 2)
    seen = np.where(altered.places == sources, altered.scores, -np.inf)
    threshold = _threshold(seen, natural, exposures, len(asked.reference.places) / len(natural), sizes.batch)
    if not np.isfinite(threshold):
        return None
    batch, reference = score.of(asked.batch), score.of(asked.reference)
    places = np.unique(batch.places[batch.scores >= threshold])
    matches = Matches(
        evaluation=int((places >= sizes.training).sum()),
        training=int((places < sizes.training).sum()),
        real_pairs=_pairs(reference, threshold),
        batch_exposure=exposures[0],
        real_exposure=exposures[1],
        side_share=sizes.evaluation / sizes.real,
    )
    return NearMatches(name, float((seen >= threshold).mean()), matches)


def _pairs(asked: Scored, threshold: float) -> int:
    return -(-int((asked.scores >= threshold).sum()) // 2)  # a pair is seen from both of its rows


def _threshold(
    altered: Floats, natural: Floats, exposures: tuple[float, float], n_reference_each: float, n_batch: int
) -> float:
    """The score from which a few rows planted in a batch would be most significant; infinite if hardly any are found.

    ``altered`` are scores of rows altered here, ``natural`` those of real rows, ``n_reference_each`` how many rows the
    reference has for each of the latter.
    """
    best, found = 1.0, np.inf
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
            best, found = p_value, float(threshold)
    return found
