"""The embedding of a project: the statement's, as it was when the evaluation set was frozen."""

from __future__ import annotations

import json

from synth_mlflow.data.statement import Statement
from synth_mlflow.models.embedding import Embedding, allowed_embedding, refuse_other
from synth_mlflow.tracking import names
from synth_mlflow.tracking.stored import EvaluationSet


def embedding_of(statement: Statement, frozen: EvaluationSet | None = None) -> Embedding | None:
    """What turns texts into vectors; None where the statement names nothing.

    Parameters
    ----------
    frozen : EvaluationSet, optional
        Whose record the embedding must agree with.

    Raises
    ------
    UsageError
        If it is not allowed, or not available here.
    EvidenceError
        If it gives other vectors than when the evaluation set was frozen.
    """
    if statement.embedding is None:
        return None
    embedding = allowed_embedding(statement.embedding)
    recorded = None if frozen is None else frozen.run.params.get(names.P_EMBEDDING)
    if recorded is not None:
        refuse_other(json.loads(recorded), embedding)
    return embedding
