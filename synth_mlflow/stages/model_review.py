"""A judge model answers the blind sheet that people have answered, or may answer."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from synth_mlflow.data.digests import canonical_json
from synth_mlflow.data.fit_commands import TIMEOUT_SECONDS
from synth_mlflow.data.markup import as_text, checked_line
from synth_mlflow.errors import UsageError
from synth_mlflow.llm.client import Endpoint
from synth_mlflow.llm.journal import Journal
from synth_mlflow.llm.settings import Settings
from synth_mlflow.llm.sheet_judge import JudgedSheet, SheetJudge
from synth_mlflow.review.sheet import SheetKey
from synth_mlflow.stages.review import NewAnswers, Reviewed, key_of_sheet, record_answers
from synth_mlflow.stages.review_sheet import LONGEST_NAME, reviewable, sheet_of
from synth_mlflow.tracking import names
from synth_mlflow.tracking.project import Project
from synth_mlflow.tracking.ratings import sheet_sizes
from synth_mlflow.tracking.stored import StoredBatch


def review_by_model(
    project: Project,
    batch_id: str,
    model: str,
    *,
    sheet: str | None = None,
    params: Mapping[str, Any] | None = None,
    journal: Path | None = None,
    timeout_seconds: float = TIMEOUT_SECONDS,
) -> Reviewed:
    """Ask a language model to answer a blind sheet, record its answers, and judge the batch by those that count.

    The endpoint and its key come from ``OPENAI_BASE_URL`` and ``OPENAI_API_KEY``. Each request sends real rows there.
    Asked again, the model is judged by its earlier answers and by what people have answered since.

    Parameters
    ----------
    model : str
        As the endpoint knows it.
    sheet : str, optional
        The id of a sheet that was left of the batch; by default the largest.
    params : mapping, optional
        See :class:`~synth_mlflow.llm.settings.Settings`.
    journal : Path, optional
        Where answers are kept as they come, so that nothing is paid for twice; by default
        ``review-SHEET.answers.jsonl``.
    timeout_seconds : float
        Of all requests together.

    Raises
    ------
    UsageError
        If no sheet was left, or settings or endpoint cannot be used.
    GateError
        For a batch that no answer can let into training.
    GeneratorError
        If the endpoint refuses or fails, or the time limit is reached; the answers so far are kept.
    """
    checked_line(model, LONGEST_NAME, "a judge model needs its name", "`--judge MODEL`.")
    batch, frozen = reviewable(project, batch_id), project.evaluation_set()
    key = key_of_sheet(project, batch, sheet or _largest(batch))
    shown = sheet_of(project, batch, frozen, key)
    settings, endpoint = Settings.of(params or {}), Endpoint.from_environment()
    path = journal or Path(f"review-{shown.id}.answers.jsonl")
    project.say(
        f"asking {model} at {endpoint.public} about {key.n_rows:,} rows, {key.n_rows // 2:,} real ones among them, "
        f"which are sent there; its answers are kept in {path}"
    )
    with Journal(path) as paid:
        judged = SheetJudge(model, endpoint, settings, paid, time.monotonic() + timeout_seconds).judged(shown)
    if judged.n_unanswered:
        project.say(f"{model} left {judged.n_unanswered:,} rows without an answer; they count as “cannot say”")
    keeps_rows = frozen.run.params[names.P_ROW_STORAGE] == "rows"
    return record_answers(project, _new_answers(batch, key, model, judged, keeps_rows))


def _new_answers(batch: StoredBatch, key: SheetKey, model: str, judged: JudgedSheet, keeps_rows: bool) -> NewAnswers:
    lines = [canonical_json(dataclasses.asdict(each)) for each in judged.responses]
    tokens = {
        names.M_PROMPT_TOKENS: sum(each.prompt_tokens or 0 for each in judged.responses),
        names.M_COMPLETION_TOKENS: sum(each.completion_tokens or 0 for each in judged.responses),
    }
    return NewAnswers(
        batch=batch,
        key=key,
        rater=model,
        kind="model",
        answers=judged.answers,
        files={names.A_RESPONSES: "\n".join([*lines, ""])} if keeps_rows else {},
        metrics={name: float(value) for name, value in tokens.items()},
        words=f"The server names the model {as_text(judged.model)}; {len(judged.responses):,} answers were paid for. ",
    )


def _largest(batch: StoredBatch) -> str:
    sizes = sheet_sizes(batch.run)
    if not sizes:
        raise UsageError(
            f"no sheet was left of batch {batch.id}.", f"First: `synth-mlflow validate {batch.id} --review 100`."
        )
    return max(sizes, key=lambda sheet: (sizes[sheet], sheet))
