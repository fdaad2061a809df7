"""Texts of a batch that are real texts but for an edit: of evaluation rows, of members, and of one another."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from synth_mlflow.checks._membership import Targets
from synth_mlflow.checks._tables import Tables, thinned
from synth_mlflow.data.conversation_text import spoken
from synth_mlflow.data.task import Task
from synth_mlflow.metrics.intervals import rate_p_value
from synth_mlflow.metrics.minhash import nearest_by_minhash, signatures
from synth_mlflow.metrics.near_texts import Nearest, Pieces, TextPieces, counted, nearest_texts, rare_similarities
from synth_mlflow.models.embedding import Embedding

SIMILAR = (0.35, 0.5, 0.65, 0.8)  # from a text of which half was kept to one with a word changed
EXACT_TEXTS = 100_000  # of all sides; more are looked through by MinHash
EXACT_PRODUCTS = 2e9  # of weights of pieces: about 80 CPU seconds; long texts reach it before there are as many
MAX_TEXTS = 1_000_000  # of each real side; the batch is looked through whole
MAX_ASKED = 20_000  # training texts that say how near real texts lie by nature
MIN_TEXTS = 20
TINY = 1e-6
BY_PIECES, BY_VECTORS = "pieces of words", "vectors"

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
Places = npt.NDArray[np.int64]


def text_columns(task: Task, rows: pd.DataFrame) -> list[str]:
    """The columns of free text, in the order of the table."""
    return [name for name in rows if name in task.texts]


def texts_of(rows: pd.DataFrame, name: str, task: Task) -> pd.Series:
    """A column of free text as it is; of conversations what is said in them."""
    return spoken(rows[name]) if name in task.conversations else rows[name]


@dataclass(frozen=True)
class TextMatches:
    """How many evaluation texts the batch nearly has, and how many as many other real texts would."""

    column: str
    similar: float
    """The least cosine of a near copy."""
    n_matches: int
    """Evaluation rows of which the batch has a near copy that is no nearer to any training row."""
    expected: float
    """Of as many other real texts."""
    p_value: float
    by: str
    """What was compared: pieces of words, or vectors by an embedding."""


def near_evaluation_texts(
    tables: Tables, task: Task, rng: np.random.Generator, embedding: Embedding | None = None
) -> list[TextMatches]:
    """Compare the batch with evaluation texts, beside training texts that are compared with them in the same way.

    A text of the batch counts where an evaluation text is nearer to it than every training text is: what was made from
    training rows is nearest to those. With an embedding, texts are compared by their vectors as well.
    """
    names = text_columns(task, tables.members)
    return [matches for name in names for matches in _of_column(tables, name, task, rng, embedding)]


def _of_column(
    tables: Tables, name: str, task: Task, rng: np.random.Generator, embedding: Embedding | None
) -> Iterator[TextMatches]:
    batch, training, evaluation = (
        texts_of(rows, name, task).dropna().reset_index(drop=True)
        for rows in (tables.batch, tables.members, tables.control)
    )
    if min(len(training), len(evaluation)) < MIN_TEXTS or batch.empty:
        return
    training, evaluation = (texts.iloc[thinned(len(texts), MAX_TEXTS, rng)] for texts in (training, evaluation))
    queries = thinned(len(training), MAX_ASKED, rng)
    counts = [counted(texts) for texts in (batch, training, evaluation)]
    known = TextPieces.of_counts(*counts[1:])
    search = _Search([known.weighed(each) for each in counts])
    del counts
    yield from _compared(name, BY_PIECES, search, queries, SIMILAR)
    if embedding is not None:
        vectors = _Search([embedding.vectors(texts) for texts in (batch, training, evaluation)])
        yield from _compared(name, BY_VECTORS, vectors, queries)


class _Search:
    """Looks for the nearest texts: exactly, or by MinHash where there are too many or they are too long for that."""

    def __init__(self, sides: Sequence[Pieces]) -> None:
        self.batch, self.training, self.evaluation = sides
        self._signatures = {id(side): signatures(side) for side in sides} if _is_large(*sides) else {}

    def nearest(self, texts: Pieces, others: Pieces, own: Places | None = None) -> Nearest:
        """Of texts of one side, among those of another."""
        if not self._signatures:
            return nearest_texts(texts, others, own=own)
        known = self._signatures
        return nearest_by_minhash((texts, known[id(texts)]), (others, known[id(others)]), own)

    def asked(self, places: Places, others: Pieces, own: Places | None = None) -> Nearest:
        """Of some training texts."""
        if not self._signatures:
            return nearest_texts(self.training[places], others, own=own)
        some = self.training[places], self._signatures[id(self.training)][places]
        return nearest_by_minhash(some, (others, self._signatures[id(others)]), own)


def _is_large(batch: Pieces, training: Pieces, evaluation: Pieces) -> bool:
    """Whether the exact search would take too long; that of vectors never does."""
    if isinstance(batch, np.ndarray):
        return False
    if batch.shape[0] + training.shape[0] + evaluation.shape[0] > EXACT_TEXTS:
        return True
    made, known, held_out = (
        np.bincount(side.indices, minlength=side.shape[1]).astype(np.float64) for side in (batch, training, evaluation)
    )
    n_pairs = known * min(MAX_ASKED / training.shape[0], 1.0)
    return float((made + n_pairs) @ (known + held_out)) > EXACT_PRODUCTS


def _compared(
    name: str, by: str, search: _Search, queries: Places, similarities: Sequence[float] | None = None
) -> Iterator[TextMatches]:
    """The batch beside ``queries``, training texts; without similarities, those that few of these reach by nature."""
    n_batch = search.batch.shape[0]
    made = search.nearest(search.batch, search.evaluation), search.nearest(search.batch, search.training)
    fresh = search.asked(queries, search.evaluation), search.asked(queries, search.training, queries)
    for similar in similarities or rare_similarities(fresh[0].similarity):
        matched, by_chance = _matched(*made, similar), _matched(*fresh, similar)
        expected = by_chance * n_batch / len(queries)
        p_value = rate_p_value(matched, float(n_batch), by_chance, float(len(queries)))
        yield TextMatches(name, similar, matched, expected, p_value, by)


def _matched(to_evaluation: Nearest, to_training: Nearest, similar: float) -> int:
    """Evaluation texts with a near copy, each once however often it was copied."""
    near = (to_evaluation.similarity >= similar) & (to_evaluation.similarity > to_training.similarity)
    return len(np.unique(to_evaluation.place[near]))


def near_target_texts(
    targets: Targets, batch: pd.DataFrame, task: Task, embedding: Embedding | None = None
) -> dict[str, dict[tuple[str, float], Bools]]:
    """By column, how texts were compared and similarity: which targets of the membership attacks the batch has edited.

    A text of the batch is a copy of its nearest target alone, and only where it is nearer to it than the other targets
    are: texts that come in many forms by nature, such as licences, are copies of one another.
    """
    by_column: dict[str, dict[tuple[str, float], Bools]] = {}
    for name in text_columns(task, targets.rows):
        real, made = texts_of(targets.rows, name, task), texts_of(batch, name, task).dropna()
        if real.notna().sum() < MIN_TEXTS or made.empty:
            continue
        known = TextPieces.learn(real.dropna())
        by_column[name] = _marked(BY_PIECES, known.pieces(made), known.pieces(real), SIMILAR)
        if embedding is not None:
            by_column[name] |= _marked(BY_VECTORS, embedding.vectors(made), embedding.vectors(real))
    return by_column


def _marked(
    by: str, made: Pieces, real: Pieces, similarities: Sequence[float] | None = None
) -> dict[tuple[str, float], Bools]:
    itself = np.arange(real.shape[0])
    nearest, by_nature = nearest_texts(made, real), nearest_texts(real, real, own=itself)
    each = similarities or rare_similarities(by_nature.similarity)
    return {(by, similar): _marks(nearest, by_nature, similar) for similar in each}


def _marks(nearest: Nearest, by_nature: Nearest, similar: float) -> Bools:
    marks = np.zeros(len(by_nature.similarity), dtype=np.bool_)
    near = nearest.similarity >= np.maximum(similar, by_nature.similarity[nearest.place] + TINY)
    marks[nearest.place[near]] = True
    return marks


def worst(matches: Sequence[TextMatches]) -> TextMatches:
    """The most significant one."""
    return min(matches, key=lambda one: (one.p_value, -one.n_matches))
