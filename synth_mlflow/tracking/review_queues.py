"""Blind sheets as review queues of MLflow: a trace for each row, and the answers as feedback on it.

One queue is for one rater: whoever opens a trace sees the feedback of others, so raters never share traces.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import mlflow

from synth_mlflow.errors import UsageError
from synth_mlflow.tracking import names
from synth_mlflow.tracking.prompts import traces_to
from synth_mlflow.tracking.read import every_page
from synth_mlflow.tracking.server import Server, guard

QUESTION = "synth_real_or_synthetic"
PER_CALL = 100  # traces that a queue takes at once
PER_PAGE, MOST_TRACES = 500, 100_000


@dataclass(frozen=True)
class LeftQueue:
    """A queue that was made for a rater."""

    name: str
    page: str
    """Its address in the UI; empty where the tracking URI is no HTTP server."""


@guard
def leave_queue(
    server: Server, sheet: str, rater: str, rows: Sequence[Mapping[str, str]], answers: list[str]
) -> LeftQueue:
    """Make a queue of the rows of a sheet for one rater, or what is missing of one that a killed process began.

    Nothing in a trace says which row is real: traces differ by the row and its number alone.

    Raises
    ------
    UsageError
        If the rater has a whole queue of this sheet already.
    """
    from mlflow.genai import review_queues as queues  # takes seconds, which each command would pay

    name = f"{rater} · sheet {sheet}"
    with traces_to(server):
        begun = _queue_named(server, name)
        traces = _whole_traces(server, sheet, rater)
        if begun and len(traces) == len(rows) and not set(traces.values()) - _items(begun):
            raise UsageError(
                f"{rater!r} has a queue of sheet {sheet} already: {name!r}.",
                "Answer it in MLflow, or name another rater: `--queue NAME`.",
            )
        for number, row in enumerate(rows, start=1):
            if number not in traces:
                traces[number] = _left(server, sheet, rater, number, row)
        mlflow.flush_trace_async_logging()
        queue = begun or queues.create_review_queue(
            name, queue_type="custom", schema_ids=[_question(server, answers)], experiment_id=server.experiment_id
        )
        left = iter(traces[number] for number in range(1, len(rows) + 1))
        while some := list(islice(left, PER_CALL)):
            queues.add_items_to_review_queue(queue.queue_id, item_ids=some)
    return LeftQueue(name, _page(server, queue.queue_id))


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


def _page(server: Server, queue_id: str) -> str:
    if server.web is None:
        return ""
    address = f"#/experiments/{server.experiment_id}/review-queue?workflowType=genai&selectedQueueId={queue_id}"
    return f"{server.web.rstrip('/')}/{address}"


def _queue_named(server: Server, name: str) -> Any:
    """A queue of the experiment; None where there is none of this name."""
    from mlflow.genai.review_queues import list_review_queues

    pages = every_page(lambda token: list_review_queues(experiment_id=server.experiment_id, page_token=token))
    return next((queue for queue in pages if queue.name == name), None)


def _items(queue: Any) -> set[str]:
    from mlflow.genai.review_queues import list_review_queue_items

    pages = every_page(lambda token: list_review_queue_items(queue.queue_id, max_results=PER_CALL, page_token=token))
    return {str(item.item_id) for item in pages}


def _whole_traces(server: Server, sheet: str, rater: str) -> dict[int, str]:
    """The traces of rows that are there already, by row number; one that a kill left without its row is deleted."""
    whole: dict[int, str] = {}
    broken: list[str] = []
    for trace in _traces(server, sheet, rater, include_spans=True):
        if any(span.inputs for span in trace.data.spans):
            whole.setdefault(int(trace.info.tags[names.TAG_SHEET_ROW]), str(trace.info.trace_id))
        else:
            broken.append(str(trace.info.trace_id))
    if broken:
        server.client.delete_traces(server.experiment_id, trace_ids=broken)
    return whole


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


def _traces(server: Server, sheet: str, rater: str, *, include_spans: bool = False) -> list[Any]:
    pages = every_page(
        lambda token: server.client.search_traces(
            locations=[server.experiment_id],
            filter_string=f"tags.`{names.TAG_SHEET}` = '{sheet}'",
            max_results=PER_PAGE,
            page_token=token,
            include_spans=include_spans,
        )
    )
    return [trace for trace in islice(pages, MOST_TRACES) if trace.info.tags.get(names.TAG_RATER) == rater]
