"""What `validate` will probably say of the texts of a batch, while the prompt that wrote them is still at hand."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import pandas as pd

from synth_mlflow.checks import CheckInput, judge, sanitize_metrics
from synth_mlflow.data.slices import Slice
from synth_mlflow.errors import EvidenceError
from synth_mlflow.gate.policy import load_check, policy_of
from synth_mlflow.tracking.embeddings import embedding_of
from synth_mlflow.tracking.project import Project
from synth_mlflow.tracking.stored import EvaluationSet

CHECKS = ("contamination", "fidelity")
MAX_ROWS = 2_000  # of the batch that are looked at
MIN_ROWS = 40  # fewer decide nothing


def text_outlook(
    project: Project, frozen: EvaluationSet, rows: pd.DataFrame, members: pd.DataFrame, part: Slice | None
) -> list[str]:
    """For what `contamination` and `fidelity` would fail the texts and labels of rows.

    Nothing where no column has free text, rows are few, or the evaluation rows are not here.
    """
    statement = project.problem().statement
    columns = [name for name in rows if name in statement.task.texts or name == statement.task.target]
    if len(columns) < 2 or len(rows) < MIN_ROWS:
        return []
    try:
        control = project.evaluation_rows(frozen)
    except EvidenceError:  # kept by reference, elsewhere
        return []
    real = [table if part is None else table[part.mask(table)] for table in (members, control)]
    some = rows.sample(min(len(rows), MAX_ROWS), random_state=0)
    made, learned, held_out = (table[columns].reset_index(drop=True) for table in (some, *real))
    task = dataclasses.replace(statement.task, group=None, time=None)
    embedding = embedding_of(statement, frozen)
    evidence = CheckInput(made, learned, held_out, task, statement.facts.metric, seed=0, embedding=embedding)
    return [reason for check in CHECKS for reason in _reasons(check, evidence, policy_of(statement).thresholds[check])]


def _reasons(check: str, evidence: CheckInput, thresholds: Mapping[str, float]) -> list[str]:
    result = sanitize_metrics(load_check(check).run(evidence, thresholds))
    ruling = judge(result.probes, result.inconclusive, thresholds["alpha"])
    return [f"{check}: {reason}" for reason in ruling.reasons] if ruling.verdict == "fail" else []
