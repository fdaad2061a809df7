"""Blind sheets as review queues of MLflow: a trace for each row, and the answers as feedback on it.

One queue is for one rater: whoever opens a trace sees the feedback of others, so raters never share traces.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any

import mlflow

from synth_mlflow.errors import UsageError
from synth_mlflow.tracking import names
from synth_mlflow.tracking.prompts import traces_to
from synth_mlflow.tracking.server import Server, guard

QUESTION = "synth_real_or_synthetic"
PER_CALL = 100  # traces that a queue takes at once
PER_PAGE, MOST_TRACES = 500, 100_000


@guard
def leave_queue(server: Server, sheet: str, rater: str, rows: Sequence[Mapping[str, str]], answers: list[str]) -> str:
    """Make a queue of the rows of a sheet for one rater; gives its name.

    Nothing in a trace says which row is real: traces differ by the row and its number alone.

    Raises
    ------
    UsageError
        If the rater has a queue of this sheet already.
    """
    from mlflow.genai import review_queues as queues  # takes seconds, which each command would pay

    name = f"sheet {sheet} · {rater}"
    if _traces(server, sheet, rater):
        raise UsageError(
            f"{rater!r} has a queue of sheet {sheet} already: {name!r}.",
            "Answer it in MLflow, or name another rater: `--queue NAME`.",
        )
    with traces_to(server):
        traces = [_left(server, sheet, rater, number, row) for number, row in enumerate(rows, start=1)]
        mlflow.flush_trace_async_logging()
        found = queues.create_review_queue(
            name, queue_type="custom", schema_ids=[_question(server, answers)], experiment_id=server.experiment_id
        )
        left = iter(traces)
        while some := list(islice(left, PER_CALL)):
            queues.add_items_to_review_queue(found.queue_id, item_ids=some)
    return name


@guard
def queue_answers(server: Server, sheet: str, rater: str) -> dict[int, str] | None:
    """What was answered in the queue of a rater, by row number; None where there is no such queue.

    Of several answers to one row the last counts, which is what MLflow shows.

    Raises
    ------
    UsageError
        If more than one person has answered.
    """
    traces = _traces(server, sheet, rater)
    if not traces:
        return None
    given: dict[int, str] = {}
    people: set[str] = set()
    for trace in traces:
        said = [each for each in trace.info.assessments or () if each.name == QUESTION and each.valid is not False]
        if said:
            last = max(said, key=lambda each: each.last_update_time_ms or 0)
            given[int(trace.info.tags[names.TAG_SHEET_ROW])] = str(last.value)
            people |= {each.source.source_id for each in said}
    if len(people) > 1:
        raise UsageError(
            f"{len(people):,} people have answered the queue of {rater!r}: {', '.join(sorted(people))}.",
            "Each rater needs a queue of their own: `synth-mlflow validate BATCH --review N --queue NAME`.",
        )
    return given


def _left(server: Server, sheet: str, rater: str, number: int, row: Mapping[str, str]) -> str:
    tags = {names.TAG_SHEET: sheet, names.TAG_RATER: rater, names.TAG_SHEET_ROW: str(number)}
    span = server.client.start_trace(f"row {number}", inputs=dict(row), tags=tags, experiment_id=server.experiment_id)
    server.client.end_trace(span.trace_id)
    return str(span.trace_id)


def _question(server: Server, answers: list[str]) -> str:
    """The id of the question, which one experiment has once."""
    from mlflow.genai import label_schemas as schemas

    known = [each for each in schemas.list_label_schemas(experiment_id=server.experiment_id) if each.name == QUESTION]
    if known:
        return str(known[0].schema_id)
    made = schemas.create_label_schema(
        QUESTION,
        type="feedback",
        input=schemas.InputCategorical(options=answers),
        instruction="Is this row real, or was it made by a program?",
        experiment_id=server.experiment_id,
    )
    return str(made.schema_id)


def _traces(server: Server, sheet: str, rater: str) -> list[Any]:
    condition = f"tags.`{names.TAG_SHEET}` = '{sheet}'"
    found: list[Any] = []
    token = None
    while len(found) < MOST_TRACES:
        page = server.client.search_traces(
            locations=[server.experiment_id],
            filter_string=condition,
            max_results=PER_PAGE,
            page_token=token,
            include_spans=False,
        )
        found += [trace for trace in page if trace.info.tags.get(names.TAG_RATER) == rater]
        token = page.token
        if not token:
            break
    return found
