"""Long passages of a batch that stand in evaluation texts or in benchmarks, beyond what real texts show."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from synth_mlflow.checks import Metric
from synth_mlflow.checks._near_texts import MIN_TEXTS, text_columns, texts_of
from synth_mlflow.checks._tables import Tables
from synth_mlflow.data.task import Task
from synth_mlflow.metrics.intervals import rate_p_value
from synth_mlflow.metrics.passages import LENGTHS, Passages, Shared, Tokenizer, passages_of

ByLength = Mapping[int, Passages]

WHAT_TO_DO = "make the batch again without these texts"


@dataclass(frozen=True)
class SharedPassages:
    """How many texts have a passage of so many tokens in common with a batch, and how many by nature."""

    column: str | None
    """None where these texts are a benchmark."""
    where: str
    """What these texts are."""
    length: int
    n_matches: int
    expected: float
    """With as many real texts in place of the batch."""
    p_value: float


def evaluation_passages(tables: Tables, task: Task, tokenize: Tokenizer) -> list[SharedPassages]:
    """Evaluation texts that have a passage in common with the batch which no training text has.

    The reference are training texts that are held against evaluation texts in the same way: by passages that no other
    training text has.
    """
    return [one for name in text_columns(task, tables.members) for one in _of_column(tables, name, task, tokenize)]


def _of_column(tables: Tables, name: str, task: Task, tokenize: Tokenizer) -> Iterator[SharedPassages]:
    sides = (texts_of(rows, name, task).dropna() for rows in (tables.batch, tables.members, tables.control))
    batch, training, evaluation = sides
    if min(len(training), len(evaluation)) < MIN_TEXTS or batch.empty:
        return
    made, known, held_out = (passages_of(texts, tokenize) for texts in (batch, training, evaluation))
    yield from _shared(name, "evaluation texts", made, known, held_out)


def benchmark_passages(
    tables: Tables, task: Task, benchmarks: Mapping[str, pd.Series], tokenize: Tokenizer
) -> list[SharedPassages]:
    """Rows of a benchmark that have a passage in common with the batch which no real row has, by the same reference."""
    names = text_columns(task, tables.members)
    if not names or not benchmarks:
        return []
    batch, real = (_passages_of_rows(rows, names, task, tokenize) for rows in (tables.batch, tables.real))
    each = {file: passages_of(texts, tokenize) for file, texts in benchmarks.items()}
    return [one for file, known in each.items() for one in _shared(None, file, batch, real, known)]


def _passages_of_rows(rows: pd.DataFrame, names: Sequence[str], task: Task, tokenize: Tokenizer) -> ByLength:
    texts = [texts_of(rows, name, task).fillna("").astype("str") for name in names]
    together = texts[0]
    for more in texts[1:]:
        together = together + "\n" + more
    return passages_of(together, tokenize)


def _shared(
    column: str | None, where: str, made: ByLength, real: ByLength, others: ByLength
) -> Iterator[SharedPassages]:
    """What ``others`` share with the batch alone, beside what they share with one real text alone.

    Texts on both sides are counted, and the less significant number decides: one passage in many texts is one event.
    """
    for length in LENGTHS:
        n_batch, n_real = made[length].n_texts, real[length].n_texts
        new = Shared.of(others[length].without(real[length].hashes), made[length])
        fresh = Shared.of(others[length], real[length].of_one_text())
        by_nature = fresh.expected(n_batch, n_real)
        pairs = ((new.n_known, by_nature), (new.n_made, fresh.n_made * n_batch / max(n_real, 1)))
        p_value = max(_p_value(n_shared, expected, n_batch, n_real) for n_shared, expected in pairs)
        yield SharedPassages(column, where, length, new.n_known, by_nature, p_value)


def _p_value(n_shared: int, expected: float, n_batch: int, n_real: int) -> float:
    return rate_p_value(n_shared, float(n_batch), round(expected * n_real / n_batch), float(n_real))


def passage_probes(passages: Sequence[SharedPassages], n_batch: int, limit: float) -> list[Metric]:
    """Of the evaluation texts, and of each benchmark, the length that is most significant, at the price of all."""
    probes = []
    for where in dict.fromkeys(one.where for one in passages):
        each = [one for one in passages if one.where == where]
        worst = min(each, key=lambda one: (one.p_value, -one.n_matches))
        excess = max(worst.n_matches - worst.expected, 0.0) / n_batch
        p_value = min(len(each) * worst.p_value, 1.0)
        is_benchmark = worst.column is None
        name, group = ("benchmark_passages", "benchmarks") if is_benchmark else ("shared_passages", "")
        what = f"rows of the benchmark {where}" if is_benchmark else "evaluation rows"
        note = (
            f"{worst.n_matches:,} {what} have a passage of {worst.length} tokens in common with the batch which no "
            f"{'real' if is_benchmark else 'training'} row has; of as many real rows about {worst.expected:,.1f}: "
            f"{WHAT_TO_DO}"
        )
        probes.append(Metric(name, excess, limit, column=worst.column, p_value=p_value, note=note, group=group))
    return probes


def passage_table(passages: Sequence[SharedPassages]) -> pd.DataFrame:
    """Every comparison, for people."""
    return pd.DataFrame(
        [
            {
                "matched by": f"passages of {one.length} tokens of {one.column or one.where}",
                "rows": one.n_matches,
                "expected of real rows": np.round(one.expected, 2),
                "p_value": one.p_value,
            }
            for one in passages
        ]
    )
