"""Batches from prompts to a language model: asked in order, paid for once, and checked row by row."""

from __future__ import annotations

import dataclasses
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from synth_mlflow.backends.batch_request import FromLanguageModel
from synth_mlflow.backends.batch_writer import (
    BatchBuffer,
    BatchDraft,
    GenerationStats,
    parsed_slice,
    refuse_row_count,
    spooling,
    write_spooled,
)
from synth_mlflow.backends.llm_evidence import LLMEvidence, Teacher, llm_notes, models_answered
from synth_mlflow.backends.llm_outlook import text_outlook
from synth_mlflow.backends.real_rows import real_members
from synth_mlflow.backends.subprocess import TIMEOUT_SECONDS, refuse_time_limit
from synth_mlflow.data.constraints import Constraints
from synth_mlflow.data.private import private_room
from synth_mlflow.data.provenance import Origin, Record, Source
from synth_mlflow.data.splits import refuse_negative_seed
from synth_mlflow.errors import GeneratorError, UsageError
from synth_mlflow.gate.in_force import kept_constraints
from synth_mlflow.llm.asking import Asking, LLMRequest
from synth_mlflow.llm.budget import Budget
from synth_mlflow.llm.cache import AcceptedRows, Checks
from synth_mlflow.llm.client import Endpoint
from synth_mlflow.llm.filters import text_filters
from synth_mlflow.llm.journal import Journal
from synth_mlflow.llm.parsing import columns_of
from synth_mlflow.llm.prompt import Prompt, PromptFile
from synth_mlflow.llm.relabel import RULES, TEXT, Disagreement, Relabeller
from synth_mlflow.llm.settings import Settings
from synth_mlflow.tracking import names
from synth_mlflow.tracking.embeddings import embedding_of
from synth_mlflow.tracking.project import Project
from synth_mlflow.tracking.prompts import recorded_prompt, registered_prompt
from synth_mlflow.tracking.stored import EvaluationSet, StoredBatch

NO_BUDGET = Budget()


def generate_by_llm(project: Project, request: FromLanguageModel) -> StoredBatch:
    """Ask a language model for rows, and record prompt, answers, tokens and what became of each row.

    The endpoint and its key come from ``OPENAI_BASE_URL`` and ``OPENAI_API_KEY``; neither the key nor anything else
    that opens it is recorded. Rows are screened as they come; see :mod:`synth_mlflow.llm.filters`.

    Raises
    ------
    GateError
        Before `freeze`, or if the model's terms do not allow training.
    UsageError
        If prompt, settings or endpoint cannot be used, or nothing is said of the model.
    GeneratorError
        If the endpoint refuses, fails or no longer gives new valid rows, or the budget ends before the first one. Then
        no run is made, and the answers are kept.
    """
    frozen = project.evaluation_set()
    refuse_row_count(request.rows)
    refuse_negative_seed(request.seed)
    refuse_time_limit(request.timeout_seconds)
    teacher = Teacher(request.model, request.licence, request.training_allowed)
    llm_request, declared = _llm_request(project, frozen, request)
    second = _relabeller(llm_request, request.relabel or llm_request.prompt.relabel, request.disagreement)
    origin = _origin(request, teacher, llm_request, second, declared)
    work = _Work(project, frozen, llm_request, kept_constraints(project, frozen, llm_request.members))
    earlier = work.earlier(origin)
    accepted, begun = work.accepted(request.rows, earlier), time.monotonic()
    prompt = request.prompt
    with Journal(request.journal or prompt.with_name(prompt.name + ".answers.jsonl")) as paid:
        project.say(
            f"asking {request.model} at {llm_request.endpoint.public} for {request.rows:,} rows; answers are kept in "
            f"{paid.path}"
        )
        asking = Asking(llm_request, paid, begun + request.timeout_seconds, request.budget, second)
        work.ask(asking, accepted)
    _report(project, asking, accepted)
    uris = work.registered(second)
    origin = dataclasses.replace(origin, version=_version(asking), prompts=uris)
    is_stored = frozen.run.params[names.P_ROW_STORAGE] == "rows" and declared.kind != "file"
    evidence = LLMEvidence(teacher, asking, accepted, uris, not request.examples or is_stored, is_stored)
    notes = {**llm_notes(asking, accepted, earlier), "outlook": work.outlook(accepted.frame)}
    account = GenerationStats(time.monotonic() - begun, {"llm": notes})
    with spooling(frozen, origin, work.constraints) as spool:
        spool.add(accepted.frame)
        draft = BatchDraft(request.rows, origin, account, request.pilot, also=evidence.keep)
        return write_spooled(project, spool, draft)


def _llm_request(project: Project, frozen: EvaluationSet, request: FromLanguageModel) -> tuple[LLMRequest, Source]:
    """What the endpoint is asked, and the real rows that examples are taken from, as the record names them."""
    settings, template = Settings.of(request.params or {}), PromptFile.read(request.prompt)
    endpoint = Endpoint.from_environment()
    _refuse_idle_examples(template, request.examples)
    members, declared = real_members(project, frozen, request.source)
    task, part = project.problem().statement.task, parsed_slice(request.slice, frozen.schema)
    words = {"purpose": request.purpose, "target": task.target, "slice": request.slice or ""}
    columns = columns_of(members, task)
    llm_request = LLMRequest(
        request.model, settings, template, endpoint, columns, members, part, request.examples, request.seed, words
    )
    return llm_request, declared


def _origin(
    request: FromLanguageModel, teacher: Teacher, llm_request: LLMRequest, second: Relabeller | None, declared: Source
) -> Origin:
    settings = llm_request.settings
    params = {
        **teacher.params,
        "examples": request.examples,
        **settings.of_rows,
        **_of_steps(llm_request.prompt),
        **_of_second(second),
    }
    return Origin(
        f"llm:{request.model}",
        "not asked yet",
        params,
        request.seed if settings.seeded or request.examples else None,
        request.slice,
        request.purpose,
        door="llm",
        source=declared,
    )


def llm_again(project: Project, record: Record, members: pd.DataFrame, spool: BatchBuffer) -> str:
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
    frozen, origin = project.evaluation_set(), record.origin
    params = dict(origin.params)
    steps, second_of = params.pop("steps", None), params.pop("relabel", None)
    model, examples, _, _ = (params.pop(name) for name in ("model", "examples", "licence", "training_allowed"))
    settings, endpoint = Settings.of(params), Endpoint.from_environment()
    prompt = _recorded_prompt(project, origin, steps)
    part, task = parsed_slice(origin.slice, frozen.schema), project.problem().statement.task
    words = {"purpose": origin.purpose, "target": task.target, "slice": origin.slice or ""}
    columns = columns_of(members, task)
    llm_request = LLMRequest(
        model, settings, prompt, endpoint, columns, members, part, examples, origin.seed or 0, words
    )
    second = _relabeller(llm_request, second_of["model"], second_of["disagreement"]) if second_of else None
    work = _Work(project, frozen, llm_request, kept_constraints(project, frozen, members))
    before = [project.batch(batch) for batch in record.notes["llm"].get("earlier_batches", [])]
    accepted = work.accepted(record.rows, {one.id: project.batch_rows(one, frozen.schema) for one in before})
    with (
        tempfile.TemporaryDirectory(prefix="synth-llm-", dir=private_room()) as folder,
        Journal(Path(folder) / "answers.jsonl") as paid,
    ):
        project.say(f"asking {model} at {endpoint.public} for {record.rows:,} rows again")
        asking = Asking(llm_request, paid, time.monotonic() + TIMEOUT_SECONDS, NO_BUDGET, second)
        work.ask(asking, accepted)
    spool.add(accepted.frame)
    return _version(asking)


def _recorded_prompt(project: Project, origin: Origin, steps: Sequence[Sequence[str]] | None) -> PromptFile:
    messages = recorded_prompt(project.server, origin.prompts[0])
    columns = steps or [()] * (len(messages) - 1)
    recorded_messages = [
        Prompt("recorded", message["content"], tuple(names_of))
        for message, names_of in zip(messages[1:], columns, strict=True)
    ]
    text = recorded_prompt(project.server, origin.prompts[1])[-1]["content"] if len(origin.prompts) > 1 else ""
    prompt = PromptFile("recorded", tuple(recorded_messages), relabel_text=text)
    if prompt.messages != messages:
        raise UsageError(
            f"this version of synth_mlflow puts another message before the user's than {origin.prompts[0]} has.",
            "Ask again with the version that made the batch.",
        )
    return prompt


@dataclass(frozen=True)
class _Work:
    """What rows are asked for, and what they are held against."""

    project: Project
    frozen: EvaluationSet
    request: LLMRequest
    constraints: Constraints

    def __post_init__(self) -> None:
        self.request.prompt.helpers(column.name for column in self.request.columns)

    def earlier(self, origin: Origin) -> dict[str, pd.DataFrame]:
        """The rows of the batches of other requests, by their ids; none where no column has free text."""
        if not self._texts:
            return {}
        batches = [batch for batch in self.project.batches() if not self._is_same(self.project.record(batch), origin)]
        return {batch.id: self.project.batch_rows(batch, self.frozen.schema) for batch in batches}

    def _is_same(self, record: Record, origin: Origin) -> bool:
        """Whether a batch came from this very request, of which more or fewer rows are asked now."""
        names_of_params = {"model", "examples", *self.request.settings.of_rows}
        known, params = record.origin, dict(origin.params)
        return (
            (known.generator, known.seed, known.slice, known.purpose)
            == (origin.generator, origin.seed, origin.slice, origin.purpose)
            and all(known.params.get(name) == params[name] for name in names_of_params)
            and record.notes.get("llm", {}).get("prompt_sha256") == self.request.prompt.sha256
        )

    @property
    def _texts(self) -> list[str]:
        task = self.project.problem().statement.task
        return [column.name for column in self.request.columns if column.name in task.texts]

    def accepted(self, rows: int, earlier: Mapping[str, pd.DataFrame]) -> AcceptedRows:
        """No rows yet, of so many."""
        settings, holds = self.request.settings, self.constraints.holds if self.constraints else None
        embedding = embedding_of(self.project.problem().statement, self.frozen) if self._texts else None
        vectors = None if embedding is None else embedding.vectors
        filters = text_filters(self._texts, self.request.members, list(earlier.values()), settings.off_topic, vectors)
        checks = Checks(self.frozen.schema, self.request.part, holds)
        return AcceptedRows(rows, checks, filters, settings.patience)

    def ask(self, asking: Asking, accepted: AcceptedRows) -> None:
        """Ask until there are enough rows, or the budget ends."""
        if self.request.examples:
            self.project.say(f"each request sends {self.request.examples:,} real rows there")
        asking.until(accepted, lambda n_rows: self.project.count(n_rows, accepted.n_wanted, "rows"))

    def outlook(self, rows: pd.DataFrame) -> list[str]:
        """What `validate` will probably say of the texts; told at once."""
        lines = text_outlook(self.project, self.frozen, rows, self.request.members, self.request.part)
        for reason in lines:
            self.project.say(f"`validate` will probably fail this batch, {reason}")
        return lines

    def registered(self, second: Relabeller | None) -> tuple[str, ...]:
        """The registered versions of the prompt, and of that for second labels."""
        prompt, server = self.request.prompt, self.project.server
        uris = [registered_prompt(server, prompt.name, prompt.messages)]
        if second is not None:
            uris.append(registered_prompt(server, f"{prompt.name}-relabel", second.prompt.messages))
        return tuple(uris)


def _relabeller(llm_request: LLMRequest, model: str, disagreement: Disagreement) -> Relabeller | None:
    if disagreement not in RULES:
        raise UsageError(f"disagreement is {disagreement!r}, needed {' or '.join(RULES)}.")
    if not model:
        return None
    prompt, target = llm_request.prompt.second(TEXT), str(llm_request.words["target"])
    return Relabeller(model, disagreement, prompt, llm_request.columns, target, llm_request.settings)


def _of_steps(template: PromptFile) -> dict[str, Any]:
    return {"steps": [list(step.columns) for step in template.steps]} if len(template.steps) > 1 else {}


def _of_second(second: Relabeller | None) -> dict[str, Any]:
    return {"relabel": {"model": second.model, "disagreement": second.rule}} if second else {}


def _version(asking: Asking) -> str:
    return "+".join(models_answered(asking)) or "not told by the server"


def _report(project: Project, asking: Asking, accepted: AcceptedRows) -> None:
    """Say what became of the rows; a GeneratorError if the budget ended before the first one was kept."""
    if asking.ended_by and not accepted.rows:
        raise GeneratorError(
            f"{asking.ended_by} was reached before one of {accepted.n_wanted:,} rows was kept: "
            f"{accepted.tally.why() if asking.calls else 'no answer came in time'}.",
            "Change the prompt, or raise the limit; the answers so far are kept, and not asked for again. Nothing was "
            "recorded.",
        )
    if asking.ended_by:
        project.say(
            f"{asking.ended_by} was reached: the batch has {len(accepted.rows):,} of {accepted.n_wanted:,} rows; of "
            f"{accepted.tally.received:,} that came, {accepted.tally.why()}"
        )
    elif accepted.tally.rejected:
        project.say(f"of {accepted.tally.received:,} rows that came, {accepted.tally.why()}")
    if asking.relabel is not None:
        agreement = asking.relabel.agreement.summary()
        project.say(f"{asking.relabel.model} agrees with {agreement['agreed']:,} of {agreement['labelled']:,} labels")


def _refuse_idle_examples(template: PromptFile, examples: int) -> None:
    if examples < 0 or (examples and not any("examples" in step.named for step in template.steps)):
        raise UsageError(
            f"{examples:,} examples were asked for, and the prompt {template.name} has no place for them.",
            "Write `{% for row in examples %}{{ row }}{% endfor %}` into it, or leave `--examples` out.",
        )
