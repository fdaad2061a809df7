"""What the record and the run of a batch say of the language model that wrote it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import pandas as pd

from synth_mlflow.data.digests import canonical_json, json_digest
from synth_mlflow.errors import GateError, UsageError
from synth_mlflow.llm.asking import Asking, PaidCall
from synth_mlflow.llm.budget import cost_of
from synth_mlflow.llm.cache import AcceptedRows, RejectedRow
from synth_mlflow.llm.parsing import answer_schema
from synth_mlflow.tracking import names
from synth_mlflow.tracking.draft import RunDraft
from synth_mlflow.tracking.prompts import Call, link_prompt, trace_calls

NO_COPY = "left out: real rows of this project are not copied to the server"
MAX_METRICS = 50  # reasons that have a metric of their own


@dataclass(frozen=True)
class Teacher:
    """What a person says of the model that writes training rows.

    Raises
    ------
    UsageError
        If something is blank, or the terms are not said to allow training or not to.
    GateError
        If they do not allow it.
    """

    model: str
    licence: str
    training_allowed: str
    """``yes: …`` or ``no: …``, with where its terms say so."""

    def __post_init__(self) -> None:
        if not self.model.strip():
            raise UsageError(
                "no model is named.", "Name it as the endpoint knows it: `synth-mlflow generate llm:MODEL`."
            )
        blank = [name for name in ("licence", "training_allowed") if not getattr(self, name).strip()]
        if blank:
            raise UsageError(
                f"a batch of {self.model} cannot be written without what is known of this model; missing: "
                f"{', '.join(blank)}.",
                "Give both: `--model-licence 'Apache-2.0' --training-allowed 'yes: section 2 of its licence'`.",
            )
        answer, _, where = self.training_allowed.partition(":")
        if answer.strip().casefold() not in ("yes", "no") or not where.strip():
            raise UsageError(
                f"training_allowed is {self.training_allowed!r}; `yes: …` or `no: …` was needed, with where the terms "
                f"of {self.model} say so.",
                "As in `--training-allowed 'yes: terms of use of 1 May 2026, section 3'`.",
            )
        if answer.strip().casefold() == "no":
            raise GateError(
                f"the terms of {self.model} do not allow training on what it writes ({where.strip()}); batches are "
                "made to be trained on. Nothing was asked.",
                "Use a model whose terms allow it.",
            )

    @property
    def params(self) -> dict[str, str]:
        """As the record has it."""
        return {"model": self.model, "licence": self.licence.strip(), "training_allowed": self.training_allowed.strip()}


def llm_notes(asking: Asking, accepted: AcceptedRows, earlier: Iterable[str]) -> dict[str, Any]:
    """What the record says of how the rows came.

    Parameters
    ----------
    earlier : iterable of str
        The ids of the batches whose texts were not to be repeated.
    """
    llm_request, answers = asking.request, [call.answer for call in asking.calls]
    return {
        "endpoint": llm_request.endpoint.public,
        "model_asked": llm_request.model,
        "models_answered": models_answered(asking),
        "requests": len(answers),
        "from_journal": sum(call.from_journal for call in asking.calls),
        "retries": sum(answer.retries for answer in answers),
        "cut_answers": sum(answer.finish_reason == "length" for answer in answers),
        "prompt_tokens": _total(answer.prompt_tokens for answer in answers),
        "completion_tokens": _total(answer.completion_tokens for answer in answers),
        "cost": _cost(asking),
        "rows_received": accepted.tally.received,
        "rows_repaired": accepted.tally.repaired,
        "rows_rejected": dict(sorted(accepted.tally.rejected.items())),
        "rows_duplicate": accepted.tally.duplicates,
        "ended_by": asking.ended_by,
        "earlier_batches": sorted(earlier),
        "relabel": asking.relabel.agreement.summary() if asking.relabel else None,
        "real_rows_sent": len(asking.shown),
        "prompt_sha256": llm_request.prompt.sha256,
        "answer_schema_sha256": json_digest(answer_schema(llm_request.columns)),
    }


def models_answered(asking: Asking) -> list[str]:
    """The models that wrote rows, as the server names them."""
    return sorted({call.answer.model for call in asking.calls if not call.relabels} - {""})


def _total(counts: Iterable[int | None]) -> int | None:
    """The sum of what the server told; None if it told nothing."""
    known = [count for count in counts if count is not None]
    return sum(known) if known else None


def _cost(asking: Asking) -> float | None:
    costs = [cost_of(call.answer, asking.request.settings) for call in asking.calls]
    known = [cost for cost in costs if cost is not None]
    return round(sum(known), 9) if known else None


@dataclass(frozen=True)
class LLMEvidence:
    """What the run of the batch keeps beyond the record: answers, traces, prompts, counts as metrics."""

    teacher: Teacher
    asking: Asking
    accepted: AcceptedRows
    uris: tuple[str, ...]
    """Of the registered prompts."""
    may_copy: bool
    """Whether what was sent and answered may be copied to the server: not if it may hold real rows that may not."""
    may_keep_rejected: bool
    """Whether rows that were not kept may be: not where they may repeat real rows that are not on the server."""

    def keep(self, draft: RunDraft) -> None:
        """Add it to a run that is being written."""
        if self.may_copy:
            _lines(draft, names.A_ANSWERS, [dataclasses.asdict(call.answer) for call in self.asking.calls])
        if self.may_keep_rejected and self.accepted.rejected:
            _lines(draft, names.A_REJECTED, [_rejected(row) for row in self.accepted.rejected])
        draft.param(names.P_TEACHER_LICENCE, self.teacher.licence.strip()[:3_000])
        draft.param(names.P_TRAINING_ALLOWED, self.teacher.training_allowed.strip()[:3_000])
        for metric, value in self._metrics().items():
            if value is not None:
                draft.metric(metric, value)
        trace_calls(draft.server, draft.run_id, [self._call(call) for call in self.asking.calls])
        for uri in self.uris:
            link_prompt(draft.server, draft.run_id, uri)

    def _metrics(self) -> dict[str, float | None]:
        answers, tally = [call.answer for call in self.asking.calls], self.accepted.tally
        relabel = self.asking.relabel
        return {
            names.M_PROMPT_TOKENS: _total(answer.prompt_tokens for answer in answers),
            names.M_COMPLETION_TOKENS: _total(answer.completion_tokens for answer in answers),
            names.M_COST: _cost(self.asking),
            names.M_RECEIVED: tally.received,
            names.M_REJECTED: tally.rejected.total() + tally.duplicates,
            names.M_AGREEMENT: relabel.agreement.summary().get("share") if relabel else None,
            names.rejection_metric("duplicate"): tally.duplicates or None,
            **{names.rejection_metric(reason): n for reason, n in tally.rejected.most_common(MAX_METRICS)},
        }

    def _call(self, call: PaidCall) -> Call:
        answer = call.answer
        known = answer.prompt_tokens is not None and answer.completion_tokens is not None
        return Call(
            inputs=call.body if self.may_copy else {**call.body, "messages": NO_COPY},
            outputs={"content": answer.text if self.may_copy else NO_COPY, "model": answer.model},
            attributes={
                "synth.request_sha256": answer.request_sha256,
                "synth.prompt": self.uris[-1 if call.relabels else 0],
                "synth.retries": answer.retries,
                "finish_reason": answer.finish_reason,
            },
            begun_ns=answer.begun_ns,
            ended_ns=answer.ended_ns,
            tokens=(answer.prompt_tokens or 0, answer.completion_tokens or 0) if known else None,
        )


def _lines(draft: RunDraft, name: str, values: list[dict[str, Any]]) -> None:
    draft.text(name, "\n".join(map(canonical_json, values)) + "\n")


def _rejected(row: RejectedRow) -> dict[str, Any]:
    values = {name: str(value) if isinstance(value, pd.Timestamp) else value for name, value in row.values.items()}
    return {"reason": row.reason, "row": values}
