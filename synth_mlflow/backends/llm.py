"""Batches from prompts to a language model: asked in order, paid for once, and checked row by row."""

from __future__ import annotations

import dataclasses
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from synth_mlflow.backends.batch_writer import (
    BatchBuffer,
    BatchDraft,
    GenerationStats,
    parsed_slice,
    refuse_row_count,
    spooling,
    write_spooled,
)
from synth_mlflow.backends.real_rows import real_members
from synth_mlflow.backends.subprocess import TIMEOUT_SECONDS, refuse_time_limit
from synth_mlflow.data.digests import canonical_json, json_digest
from synth_mlflow.data.private import private_room
from synth_mlflow.data.provenance import Origin
from synth_mlflow.data.splits import refuse_negative_seed
from synth_mlflow.errors import UsageError
from synth_mlflow.gate.in_force import kept_constraints
from synth_mlflow.llm.cache import AcceptedRows, Checks
from synth_mlflow.llm.client import Asking, Endpoint, LLMRequest
from synth_mlflow.llm.parsing import Journal, LLMResponse, answer_schema, columns_of
from synth_mlflow.llm.prompt import Prompt, Settings
from synth_mlflow.tracking import names
from synth_mlflow.tracking.draft import RunDraft
from synth_mlflow.tracking.project import Project
from synth_mlflow.tracking.prompts import Call, link_prompt, recorded_prompt, registered_prompt, trace_calls
from synth_mlflow.tracking.stored import StoredBatch

PER_MILLION = 1e-6
NO_COPY = "left out: real rows of this project are not copied to the server"


def generate_by_llm(
    project: Project,
    model: str,
    *,
    prompt: Path,
    rows: int,
    purpose: str,
    seed: int = 0,
    slice: str | None = None,  # noqa: A002 - the word that users know
    examples: int = 0,
    params: Mapping[str, Any] | None = None,
    source: Path | None = None,
    journal: Path | None = None,
    timeout_seconds: float = TIMEOUT_SECONDS,
    pilot: bool = False,
) -> StoredBatch:
    """Ask a language model for rows, and record prompt, answers, tokens and what became of each row.

    The endpoint and its key come from ``OPENAI_BASE_URL`` and ``OPENAI_API_KEY``; neither the key nor anything else
    that opens it is recorded.

    Parameters
    ----------
    model : str
        As the endpoint knows it.
    prompt : Path
        A Jinja2 template of the user's message; it may name ``rows`` (how many to write), ``columns``, ``examples``,
        ``schema``, ``slice``, ``purpose`` and ``target``.
    examples : int
        Real rows shown in each request, drawn anew for each: they leave the house, and are counted in the record.
    params : mapping, optional
        See :class:`Settings`.
    journal : Path, optional
        Where answers are kept as they come, so that nothing is paid for twice; beside the prompt by default.
    timeout_seconds : float
        Of all requests together.

    Raises
    ------
    GateError
        Before `freeze`.
    UsageError
        If prompt, settings or endpoint cannot be used.
    GeneratorError
        If the endpoint refuses, fails or no longer gives new valid rows. Then no run is made, and the answers are kept.
    """
    frozen = project.evaluation_set()
    refuse_row_count(rows)
    refuse_negative_seed(seed)
    refuse_time_limit(timeout_seconds)
    settings, template, endpoint = Settings.of(params or {}), Prompt.read(prompt), Endpoint.from_environment()
    _refuse_unusable(model, template, examples)
    members, declared = real_members(project, frozen, source)
    told = {"model": model, "examples": examples, **settings.of_rows}
    own_seed = seed if settings.seeded or examples else None
    origin = Origin(f"llm:{model}", "not asked yet", told, own_seed, slice, purpose, door="llm", source=declared)
    part = parsed_slice(slice, frozen.schema)
    task = project.problem().statement.task
    asked = LLMRequest(model, settings, template, endpoint, columns_of(members, task), members, part, examples, seed)
    constraints = kept_constraints(project, frozen, members)
    kept = AcceptedRows(
        rows, Checks(frozen.schema, part, constraints.holds if constraints else None), settings.patience
    )
    begun = time.monotonic()
    with Journal(journal or prompt.with_name(prompt.name + ".answers.jsonl")) as paid:
        project.say(f"asking {model} at {endpoint.public} for {rows:,} rows; answers are kept in {paid.path}")
        asking = _asked_until(project, asked, origin, paid, timeout_seconds, kept)
    uri = registered_prompt(project.server, template.name, template.messages)
    origin = dataclasses.replace(origin, version=_version(kept), prompts=(uri,))
    may_copy = not examples or (frozen.run.params[names.P_ROW_STORAGE] == "rows" and declared.kind != "file")
    evidence = _Evidence(asking, kept, uri, may_copy)
    account = GenerationStats(time.monotonic() - begun, {"llm": _notes(asking, kept, asked)})
    with spooling(frozen, origin, constraints) as spool:
        spool.add(kept.frame)
        return write_spooled(project, spool, BatchDraft(rows, origin, account, pilot, also=evidence.keep))


def llm_again(project: Project, origin: Origin, rows: int, members: pd.DataFrame, spool: BatchBuffer) -> str:
    """Ask the model of a record again, at the endpoint of the environment, and give its rows to a spool.

    No answer of before is taken up. Returns the model as the server names it now.

    Raises
    ------
    UsageError
        If the environment names no endpoint, or this version asks in other words.
    EvidenceError
        If the registered prompt is no longer the one that was recorded.
    GeneratorError
        If the endpoint refuses, fails or no longer gives new valid rows.
    """
    frozen = project.evaluation_set()
    told = dict(origin.params)
    model, examples = str(told.pop("model")), int(told.pop("examples"))
    settings, endpoint = Settings.of(told), Endpoint.from_environment()
    prompt = _recorded_prompt(project, origin.prompts[0])
    part, task = parsed_slice(origin.slice, frozen.schema), project.problem().statement.task
    columns = columns_of(members, task)
    asked = LLMRequest(model, settings, prompt, endpoint, columns, members, part, examples, origin.seed or 0)
    constraints = kept_constraints(project, frozen, members)
    kept = AcceptedRows(
        rows, Checks(frozen.schema, part, constraints.holds if constraints else None), settings.patience
    )
    with (
        tempfile.TemporaryDirectory(prefix="synth-llm-", dir=private_room()) as folder,
        Journal(Path(folder) / "answers.jsonl") as paid,
    ):
        project.say(f"asking {model} at {endpoint.public} for {rows:,} rows again")
        _asked_until(project, asked, origin, paid, TIMEOUT_SECONDS, kept)
    spool.add(kept.frame)
    return _version(kept)


def _recorded_prompt(project: Project, uri: str) -> Prompt:
    messages = recorded_prompt(project.server, uri)
    prompt = Prompt("recorded", messages[-1]["content"])
    if prompt.messages != messages:
        raise UsageError(
            f"this version of synth_mlflow puts another message before the user's than {uri} has.",
            "Ask again with the version that made the batch.",
        )
    return prompt


def _asked_until(
    project: Project, asked: LLMRequest, origin: Origin, paid: Journal, seconds: float, kept: AcceptedRows
) -> Asking:
    """Ask until there are enough rows."""
    if asked.examples:
        project.say(f"each request sends {asked.examples:,} real rows there")
    target = project.problem().statement.task.target
    words = {"purpose": origin.purpose, "target": target, "slice": origin.slice or ""}
    asking = Asking(asked, words, paid, time.monotonic() + seconds)
    asking.until(kept, lambda n_rows: project.count(n_rows, kept.wanted, "rows"))
    return asking


def _version(kept: AcceptedRows) -> str:
    return "+".join(sorted({answer.model for answer in kept.answers} - {""})) or "not told by the server"


def _refuse_unusable(model: str, template: Prompt, examples: int) -> None:
    if not model.strip():
        raise UsageError("no model is named.", "Name it as the endpoint knows it: `synth-mlflow generate llm:MODEL`.")
    if examples < 0 or (examples and "examples" not in template.named):
        raise UsageError(
            f"{examples:,} examples were asked for, and the prompt {template.name} has no place for them.",
            "Write `{% for row in examples %}{{ row }}{% endfor %}` into it, or leave `--examples` out.",
        )


def _notes(asking: Asking, kept: AcceptedRows, asked: LLMRequest) -> dict[str, Any]:
    tokens = [_total(answer.prompt_tokens for answer in kept.answers)]
    tokens += [_total(answer.completion_tokens for answer in kept.answers)]
    return {
        "endpoint": asked.endpoint.public,
        "model_asked": asked.model,
        "models_answered": sorted({answer.model for answer in kept.answers}),
        "requests": len(kept.answers),
        "from_journal": asking.n_from_journal,
        "retries": sum(answer.retries for answer in kept.answers),
        "cut_answers": sum(answer.finish_reason == "length" for answer in kept.answers),
        "prompt_tokens": tokens[0],
        "completion_tokens": tokens[1],
        "cost": _cost(kept.answers, asked.settings),
        "rows_received": kept.tally.received,
        "rows_repaired": kept.tally.repaired,
        "rows_rejected": dict(sorted(kept.tally.rejected.items())),
        "rows_duplicate": kept.tally.duplicates,
        "real_rows_sent": len(asking.shown),
        "prompt_sha256": asked.prompt.sha256,
        "answer_schema_sha256": json_digest(answer_schema(asked.columns)),
    }


def _total(counts: Iterable[int | None]) -> int | None:
    """The sum of what the server told; None if it told nothing."""
    told = [count for count in counts if count is not None]
    return sum(told) if told else None


def _cost(answers: Sequence[LLMResponse], settings: Settings) -> float | None:
    """As the server says, else by the prices that were given; None if neither is."""
    told = [answer.cost for answer in answers if answer.cost is not None]
    if told:
        return round(sum(told), 9)
    if settings.price_prompt is None or settings.price_completion is None:
        return None
    asked = _total(answer.prompt_tokens for answer in answers) or 0
    answered = _total(answer.completion_tokens for answer in answers) or 0
    return round((asked * settings.price_prompt + answered * settings.price_completion) * PER_MILLION, 9)


@dataclass(frozen=True)
class _Evidence:
    """What the run of the batch keeps beyond the record: answers, traces, the prompt's version, tokens as metrics."""

    asking: Asking
    kept: AcceptedRows
    uri: str
    may_copy: bool
    """Whether what was sent and answered may be copied to the server: not if it may hold real rows that may not."""

    def keep(self, draft: RunDraft) -> None:
        """Add it to a run that is being written."""
        if self.may_copy:
            lines = [canonical_json(dataclasses.asdict(answer)) for answer in self.kept.answers]
            draft.text(names.A_ANSWERS, "\n".join(lines) + "\n")
        for metric, value in (
            (names.M_PROMPT_TOKENS, _total(answer.prompt_tokens for answer in self.kept.answers)),
            (names.M_COMPLETION_TOKENS, _total(answer.completion_tokens for answer in self.kept.answers)),
            (names.M_COST, _cost(self.kept.answers, self.asking.asked.settings)),
        ):
            if value is not None:
                draft.metric(metric, value)
        pairs = zip(self.asking.bodies, self.kept.answers, strict=True)
        trace_calls(draft.server, draft.run_id, [self._call(body, answer) for body, answer in pairs])
        link_prompt(draft.server, draft.run_id, self.uri)

    def _call(self, body: Mapping[str, Any], answer: LLMResponse) -> Call:
        known = answer.prompt_tokens is not None and answer.completion_tokens is not None
        return Call(
            inputs=body if self.may_copy else {**body, "messages": NO_COPY},
            outputs={"content": answer.text if self.may_copy else NO_COPY, "model": answer.model},
            attributes={
                "synth.request_sha256": answer.request_sha256,
                "synth.prompt": self.uri,
                "synth.retries": answer.retries,
                "finish_reason": answer.finish_reason,
            },
            begun_ns=answer.begun_ns,
            ended_ns=answer.ended_ns,
            tokens=(answer.prompt_tokens or 0, answer.completion_tokens or 0) if known else None,
        )
