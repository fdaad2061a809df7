"""Where real rows are kept by reference: what models and checks see of labels that few real rows have."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd

from synth_mlflow.checks import CheckInput
from synth_mlflow.data.private import Rare, rare_labels, renamed
from synth_mlflow.data.statement import Statement
from synth_mlflow.tracking.stored import EvaluationSet


def hidden_labels(frozen: EvaluationSet, statement: Statement, *real: pd.DataFrame) -> Rare:
    """The labels that models take as missing values; none where the server holds the rows."""
    return rare_labels(real, frozen.task_of(statement), statement.text) if frozen.keeps_values else {}


def without_rare_labels(evidence: CheckInput, statement: Statement) -> CheckInput:
    """The same evidence under other names for rare labels, which words and pictures of a check would tell."""
    real = [rows for rows in (evidence.training, evidence.members, evidence.control) if rows is not None]
    rare = rare_labels(real, replace(evidence.task, group=None), statement.text)  # groups stay groups by any name
    return replace(
        evidence,
        batch=renamed(evidence.batch, rare),
        members=renamed(evidence.members, rare),
        control=renamed(evidence.control, rare),
        training=None if evidence.training is None else renamed(evidence.training, rare),
    )
