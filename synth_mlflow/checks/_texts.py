"""Free text of a batch beside that of real rows: is it separable, does it repeat itself, did an assistant refuse?"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import sparse, stats
from sklearn.feature_extraction.text import HashingVectorizer
from sklearn.linear_model import LogisticRegression

from synth_mlflow.checks import Metric
from synth_mlflow.checks._near_texts import MIN_TEXTS, text_columns, texts_of
from synth_mlflow.checks._tables import thinned
from synth_mlflow.data.hashed_counts import hashed_counts
from synth_mlflow.data.task import Task
from synth_mlflow.metrics.distances import share_p_value
from synth_mlflow.metrics.intervals import excess_p_value
from synth_mlflow.metrics.letters import Letters
from synth_mlflow.metrics.near_texts import TextPieces, nearest_texts
from synth_mlflow.metrics.null_distribution import Places, group_halves
from synth_mlflow.metrics.refusals import refusals
from synth_mlflow.metrics.text_screen import OFF_TOPIC, nearness, topic_floors
from synth_mlflow.models.embedding import Embedding

MAX_TEXTS = 2_000  # of each side
MIN_JUDGED = 2 * MIN_TEXTS
SIMILAR = 0.65  # two texts that differ by a few words
FAR = 1.5  # times as far from the median of real texts as all but a twentieth of them
N_SHOWN = 5  # texts of the batch that are shown for each finding
SHOWN_LETTERS = 300

WORDS = (
    HashingVectorizer(ngram_range=(1, 2), n_features=2**16, alternate_sign=False),
    HashingVectorizer(analyzer="char_wb", ngram_range=(2, 4), n_features=2**16, alternate_sign=False),
)

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class TextFindings:
    """What was found in the texts of a batch."""

    probes: tuple[Metric, ...]
    worst: pd.DataFrame
    """Texts of the batch that speak most for each finding; columns ``column``, ``finding`` and ``text``."""


def text_findings(
    real: pd.DataFrame,
    batch: pd.DataFrame,
    task: Task,
    policy: Mapping[str, float],
    rng: np.random.Generator,
    groups: Places | None = None,
    embedding: Embedding | None = None,
) -> TextFindings:
    """Judge every column of free text; ``groups`` has the group of each real row, where rows come in groups.

    With an embedding, the classifier and the search for other subjects also look at vectors.
    """
    probes, shown = list[Metric](), list[pd.DataFrame]()
    for name in text_columns(task, real):
        made, known = (texts_of(rows, name, task) for rows in (batch, real))
        made, there = made.dropna(), known.notna().to_numpy()
        texts, of_group = known[there], None if groups is None else groups[there]
        if min(len(made), len(texts)) < MIN_JUDGED:
            continue
        for probe, weight in _judged(texts, made, policy, rng, of_group, embedding):
            probes.append(replace(probe, column=name))
            worst = made.iloc[np.argsort(-weight, kind="stable")[:N_SHOWN]].str.slice(0, SHOWN_LETTERS)
            shown.append(pd.DataFrame({"column": name, "finding": probe.name, "text": worst.to_numpy()}))
    return TextFindings(tuple(probes), pd.concat(shown, ignore_index=True) if shown else pd.DataFrame())


def _judged(
    real: pd.Series,
    batch: pd.Series,
    policy: Mapping[str, float],
    rng: np.random.Generator,
    groups: Places | None,
    embedding: Embedding | None,
) -> Iterator[tuple[Metric, Floats]]:
    """Each statistic, with how much each text of the batch speaks for it."""
    sides = _Sides.drawn(real, batch, rng, groups)
    yield _separated(sides, sides.looked_at(_words), policy["text_classifier_auc"], "text_classifier_auc")
    yield _off_topic(sides.looked_at(_pieces), policy["off_topic_texts"], "off_topic_texts")
    yield _other_letters(sides, policy["strange_letters"])
    if embedding is not None:
        vectors = sides.looked_at(lambda _, each: [embedding.vectors(texts) for texts in each])
        yield _separated(sides, vectors, policy["text_classifier_auc"], "text_vectors_auc")
        yield _off_topic(vectors, policy["off_topic_texts"], "off_topic_vectors")
    yield _near_duplicates(real, batch, policy["near_duplicate_texts"], rng)
    yield _refusals(real, batch, policy["refusals"])


@dataclass(frozen=True)
class _Sides:
    """Texts that something is learned from, and others that are asked."""

    learned: pd.Series
    """Real texts."""
    queries: pd.Series
    """Other real texts."""
    batch: pd.Series
    learned_batch: Places
    asked_batch: Places

    @classmethod
    def drawn(cls, real: pd.Series, batch: pd.Series, rng: np.random.Generator, groups: Places | None) -> _Sides:
        learned, queries = _halves(len(real), rng, groups)
        order = rng.permutation(len(batch))
        halves = [order[place::2][: MAX_TEXTS // 2] for place in range(2)]
        return cls(real.iloc[learned].astype(str), real.iloc[queries].astype(str), batch.astype(str), *halves)

    def looked_at(self, look: Look) -> _Views:
        """All three as a matrix of what they are judged by."""
        return _Views(*look(self.learned, [self.learned, self.queries, self.batch]))


@dataclass(frozen=True)
class _Views:
    """The texts of :class:`_Sides` as matrices."""

    learned: Any
    queries: Any
    batch: Any


Look = Callable[[pd.Series, list[pd.Series]], list[Any]]


def _words(known: pd.Series, sides: list[pd.Series]) -> list[Any]:  # noqa: ARG001 (every look takes the same)
    return [sparse.hstack([hashed_counts(each, texts.tolist()) for each in WORDS], format="csr") for texts in sides]


def _pieces(known: pd.Series, sides: list[pd.Series]) -> list[Any]:
    pieces = TextPieces.learn(known)
    return [pieces.pieces(texts) for texts in sides]


def _separated(sides: _Sides, looked: _Views, limit: float, name: str) -> tuple[Metric, Floats]:
    """A linear model learns from one half, and is asked about the other.

    Notes
    -----
    The texts asked are new to the model, so the rank test is exact for texts that were drawn alone (D. Lopez-Paz, M.
    Oquab, ICLR 2017).
    """
    stack = np.vstack if isinstance(looked.learned, np.ndarray) else sparse.vstack
    labels = np.repeat([0, 1], [len(sides.learned), len(sides.learned_batch)])
    model = LogisticRegression(C=10.0, max_iter=300, class_weight="balanced", solver="liblinear", random_state=0)
    model.fit(stack([looked.learned, looked.batch[sides.learned_batch]]), labels)
    scores, of_real = (model.decision_function(side) for side in (looked.batch, looked.queries))
    test = stats.mannwhitneyu(scores[sides.asked_batch], of_real, alternative="greater", method="asymptotic")
    auc = float(test.statistic) / (len(sides.asked_batch) * len(of_real))
    by = "words and letters alone separate" if name == "text_classifier_auc" else "vectors of the embedding separate"
    note = (
        f"{by} the texts from real ones: another language, subject, length or spelling; read `worst_texts`, and let "
        "the generator write what real rows have"
    )
    return Metric(name, auc, limit, p_value=float(test.pvalue), note=note), scores


def _off_topic(looked: _Views, limit: float, name: str) -> tuple[Metric, Floats]:
    """Texts that lie further from real texts than few other real texts do; of two floors the more significant one."""
    of_real, made = (nearness(side, looked.learned).around for side in (looked.queries, looked.batch))
    floors = topic_floors(of_real, OFF_TOPIC).values()
    counts = [(int((of_real < floor).sum()), int((made < floor).sum())) for floor in floors]
    p_values = [share_p_value(real, len(of_real), batch, len(made), alternative="greater") for real, batch in counts]
    place = int(np.argmin(p_values))
    natural, of_batch = counts[place]
    note = (
        f"{of_batch:,} of {len(made):,} texts are further from real texts than {natural / len(of_real):.0%} of "
        "other real "
        "texts are: another subject or language; read `worst_texts`, and drop those that are about something else"
    )
    excess = max(of_batch / len(made) - natural / len(of_real), 0.0)
    return Metric(name, excess, limit, p_value=min(len(counts) * p_values[place], 1.0), note=note), -made


def _other_letters(sides: _Sides, limit: float) -> tuple[Metric, Floats]:
    """Texts whose alphabet or pieces of letters are far stranger than those of other real texts; the more significant.

    Where real texts are short, few of them resemble any other one, and nearness says nothing of another language.
    """
    known = Letters.learn(sides.learned)
    of_real, made = known.strange(sides.queries), known.strange(sides.batch)
    middle, high = np.median(of_real, axis=1), np.quantile(of_real, 1 - OFF_TOPIC, axis=1)
    limits = (middle + FAR * (high - middle))[:, None]
    counts = list(zip((of_real > limits).sum(axis=1).tolist(), (made > limits).sum(axis=1).tolist(), strict=True))
    n_real, n_made = of_real.shape[1], made.shape[1]
    p_values = [share_p_value(real, n_real, of_batch, n_made, alternative="greater") for real, of_batch in counts]
    place = int(np.argmin(p_values))
    natural, of_batch = counts[place]
    what = ("letters of an alphabet", "sequences of letters")[place]
    note = (
        f"{of_batch:,} of {n_made:,} texts have {what} that {natural:,} of {n_real:,} other real texts have: another "
        "language; read `worst_texts`, and drop those that are in another one"
    )
    excess = max(of_batch / n_made - natural / n_real, 0.0)
    p_value = min(len(counts) * p_values[place], 1.0)
    return Metric("strange_letters", excess, limit, p_value=p_value, note=note), made[place]


def _halves(n: int, rng: np.random.Generator, groups: Places | None) -> tuple[Places, Places]:
    if groups is not None and groups.max() > 0:
        codes = np.unique(groups, return_inverse=True)[1]
        return group_halves(codes, min(n, MAX_TEXTS), rng)
    order = rng.permutation(n)[:MAX_TEXTS]
    return order[::2], order[1::2]


def _near_duplicates(
    real: pd.Series, batch: pd.Series, limit: float, rng: np.random.Generator
) -> tuple[Metric, Floats]:
    """Texts that have a near copy in their own table, of as many texts of both."""
    n = min(len(real), len(batch), MAX_TEXTS)
    drawn = thinned(len(batch), n, rng)
    some, others = batch.iloc[drawn], real.iloc[thinned(len(real), n, rng)]
    known = TextPieces.learn(others)
    itself = np.arange(n)
    similarity = [nearest_texts(made, made, own=itself).similarity for made in map(known.pieces, (some, others))]
    repeated, by_nature = (int((one >= SIMILAR).sum()) for one in similarity)
    note = (
        f"{repeated:,} of {n:,} texts have a near duplicate in the batch, of as many real texts {by_nature:,}: one "
        "text or template many times teaches little; ask for more variety, or drop the near duplicates"
    )
    excess = max(repeated - by_nature, 0) / n
    p_value = excess_p_value(repeated, by_nature, n)
    weight = np.zeros(len(batch))
    weight[drawn] = similarity[0]
    return Metric("near_duplicate_texts", excess, limit, p_value=p_value, note=note), weight


def _refusals(real: pd.Series, batch: pd.Series, limit: float) -> tuple[Metric, Floats]:
    of_batch, by_nature = refusals(batch), refusals(real)
    p_value = share_p_value(int(by_nature.sum()), len(real), int(of_batch.sum()), len(batch), alternative="greater")
    note = (
        f"{of_batch.sum():,} texts are refusals or remarks of an assistant, of {len(real):,} real texts "
        f"{by_nature.sum():,}: drop them, and ask again"
    )
    return Metric("refusals", max(float(of_batch.mean() - by_nature.mean()), 0.0), limit, p_value=p_value, note=note), (
        of_batch.astype(np.float64)
    )
