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
from synth_mlflow.metrics.near_texts import Nearest, TextPieces, nearest_texts

SIMILAR = (0.35, 0.5, 0.65, 0.8)  # from a text of which half was kept to one with a word changed
MAX_TEXTS = 20_000  # of a table; the batch is looked through whole
MIN_TEXTS = 20
TINY = 1e-6

Bools = npt.NDArray[np.bool_]


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
    found: int
    """Evaluation rows of which the batch has a near copy that is no nearer to any training row."""
    expected: float
    """Of as many other real texts."""
    p_value: float


def near_evaluation_texts(tables: Tables, task: Task, rng: np.random.Generator) -> list[TextMatches]:
    """Compare the batch with evaluation texts, beside training texts that are compared with them in the same way.

    A text of the batch counts where an evaluation text is nearer to it than every training text is: what was made from
    training rows is nearest to those.
    """
    return [found for name in text_columns(task, tables.members) for found in _of_column(tables, name, task, rng)]


def _of_column(tables: Tables, name: str, task: Task, rng: np.random.Generator) -> Iterator[TextMatches]:
    batch, training, evaluation = (
        texts_of(rows, name, task).dropna().reset_index(drop=True)
        for rows in (tables.batch, tables.members, tables.control)
    )
    if min(len(training), len(evaluation)) < MIN_TEXTS or batch.empty:
        return
    training, evaluation = (texts.iloc[thinned(len(texts), MAX_TEXTS, rng)] for texts in (training, evaluation))
    known = TextPieces.learn(pd.concat([training, evaluation], ignore_index=True))
    of_training, of_evaluation = known.pieces(training), known.pieces(evaluation)
    of_batch = known.pieces(batch)
    made = nearest_texts(of_batch, of_evaluation), nearest_texts(of_batch, of_training)
    fresh = nearest_texts(of_training, of_evaluation), nearest_texts(of_training, of_training, itself=True)
    for similar in SIMILAR:
        found, by_chance = _matched(*made, similar), _matched(*fresh, similar)
        expected = by_chance * len(batch) / len(training)
        p_value = rate_p_value(found, float(len(batch)), by_chance, float(len(training)))
        yield TextMatches(name, similar, found, expected, p_value)


def _matched(to_evaluation: Nearest, to_training: Nearest, similar: float) -> int:
    """Evaluation texts with a near copy, each once however often it was copied."""
    near = (to_evaluation.similarity >= similar) & (to_evaluation.similarity > to_training.similarity)
    return len(np.unique(to_evaluation.place[near]))


def near_target_texts(targets: Targets, batch: pd.DataFrame, task: Task) -> dict[str, dict[float, Bools]]:
    """By column and similarity, which targets of the membership attacks a text of the batch is a near copy of.

    A text of the batch is a copy of its nearest target alone, and only where it is nearer to it than the other targets
    are: texts that come in many forms by nature, such as licences, are copies of one another.
    """
    found: dict[str, dict[float, Bools]] = {}
    for name in text_columns(task, targets.rows):
        real, made = texts_of(targets.rows, name, task), texts_of(batch, name, task).dropna()
        if real.notna().sum() < MIN_TEXTS or made.empty:
            continue
        known = TextPieces.learn(real.dropna())
        there = known.pieces(real)
        nearest, by_nature = nearest_texts(known.pieces(made), there), nearest_texts(there, there, itself=True)
        found[name] = {similar: _marks(nearest, by_nature, similar) for similar in SIMILAR}
    return found


def _marks(nearest: Nearest, by_nature: Nearest, similar: float) -> Bools:
    marks = np.zeros(len(by_nature.similarity), dtype=np.bool_)
    near = nearest.similarity >= np.maximum(similar, by_nature.similarity[nearest.place] + TINY)
    marks[nearest.place[near]] = True
    return marks


def worst(found: Sequence[TextMatches]) -> TextMatches:
    """The most significant one."""
    return min(found, key=lambda one: (one.p_value, -one.found))
