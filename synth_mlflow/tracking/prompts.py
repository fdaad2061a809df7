"""Prompts in MLflow's registry, and calls of models as traces under a run."""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import mlflow
from mlflow.entities import SpanType

from synth_mlflow.data.digests import json_digest
from synth_mlflow.errors import EvidenceError
from synth_mlflow.tracking import names
from synth_mlflow.tracking.server import Server, guard

URI = "MLFLOW_TRACKING_URI"
USAGE = "mlflow.chat.tokenUsage"  # what the UI counts


@dataclass(frozen=True)
class Call:
    """One call of a model, as it is shown as a trace."""

    inputs: Mapping[str, Any]
    outputs: Mapping[str, Any]
    attributes: Mapping[str, Any]
    begun_ns: int
    ended_ns: int
    tokens: tuple[int, int] | None = None
    """Of the prompt and of the answer."""


@guard
def registered_prompt(server: Server, stem: str, messages: Sequence[Mapping[str, str]]) -> str:
    """The URI of the version that holds these templates, which is registered if there is none."""
    name = f"{_plain(server.experiment)}-{_plain(stem)}-prompt"
    digest = json_digest(list(messages))
    for version in itertools.count(1):
        prompt = server.client.load_prompt(f"prompts:/{name}/{version}", allow_missing=True)
        if prompt is None:
            break
        if prompt.tags.get(names.TAG_PROMPT) == digest:
            return str(prompt.uri)
    made = server.client.register_prompt(
        name, [dict(message) for message in messages], tags={names.TAG_PROMPT: digest, names.TAG_SCHEMA: names.SCHEMA}
    )
    return str(made.uri)


@guard
def recorded_prompt(server: Server, uri: str) -> list[dict[str, str]]:
    """The templates of a registered version.

    Raises
    ------
    EvidenceError
        If the version is gone, or its templates are no longer those that it was registered with.
    """
    prompt = server.client.load_prompt(uri, allow_missing=True)
    if prompt is None:
        raise EvidenceError(f"the prompt {uri} is gone from the registry.")
    messages = [dict(message) for message in prompt.template] if isinstance(prompt.template, list) else []
    if json_digest(messages) != prompt.tags.get(names.TAG_PROMPT):
        raise EvidenceError(f"the prompt {uri} is not the one that was registered: someone changed it.")
    return messages


@guard
def link_prompt(server: Server, run_id: str, uri: str) -> None:
    """Show a prompt's version on a run."""
    server.client.link_prompt_version_to_run(run_id, uri)


@guard
def trace_calls(server: Server, run_id: str, calls: Sequence[Call]) -> None:
    """Show each call as a trace under a run, with the times at which it was made."""
    with traces_to(server):
        for call in calls:
            attributes = dict(call.attributes)
            if call.tokens is not None:
                tokens_in, tokens_out = call.tokens
                attributes[USAGE] = {
                    "input_tokens": tokens_in,
                    "output_tokens": tokens_out,
                    "total_tokens": tokens_in + tokens_out,
                }
            span = server.client.start_trace(
                "chat completion",
                span_type=SpanType.CHAT_MODEL,
                inputs=dict(call.inputs),
                attributes=attributes,
                experiment_id=server.experiment_id,
                start_time_ns=call.begun_ns,
                run_id=run_id,
            )
            server.client.end_trace(span.trace_id, outputs=dict(call.outputs), end_time_ns=call.ended_ns)


@contextmanager
def traces_to(server: Server) -> Iterator[None]:
    """Traces go where MLflow's global setting points, and in the background; afterwards it is as it was."""
    before: Any = mlflow.tracking._tracking_service.utils._tracking_uri  # None where nobody set it; no public way
    variable = os.environ.get(URI)
    mlflow.set_tracking_uri(server.tracking_uri)
    try:
        yield
        mlflow.flush_trace_async_logging()
    finally:
        mlflow.set_tracking_uri(before)
        os.environ.pop(URI, None)  # which MLflow sets too
        os.environ.update({} if variable is None else {URI: variable})


def _plain(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", name).strip("-") or "rows"
