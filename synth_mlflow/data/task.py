"""The learning task: which column is predicted, what kind of prediction it is, and by which model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import pandas as pd

from synth_mlflow.data.fit_commands import FitCommands
from synth_mlflow.data.schema import NO_FEATURES, Role

TaskKind = Literal["binary", "multiclass", "regression", "scored"]
SCORED: TaskKind = "scored"  # no target: a program gives each row a score
MEAN_SCORE = "mean_score"  # its metric


@dataclass(frozen=True)
class Task:
    """The target column, the kind of task, and which rows depend on each other."""

    target: str
    """Empty where a program scores rows that have none."""
    kind: TaskKind
    group: str | None = None
    """The column whose groups of rows were kept together when the evaluation set was split off; None where rows are
    independent. Everything that splits or resamples real rows keeps these groups together too."""
    roles: Mapping[str, Role] = field(default_factory=dict)
    """The role of each column, as the project's schema says; empty where none is known."""
    time: str | None = None
    """The column that orders the rows of a group."""

    @property
    def no_features(self) -> frozenset[str]:
        """The columns that no model learns from, the target among them."""
        return frozenset({self.target, *(name for name, role in self.roles.items() if role in NO_FEATURES)})

    @property
    def weight(self) -> str | None:
        """The column that weighs rows in fits."""
        return next((name for name, role in self.roles.items() if role == "weight"), None)

    @property
    def texts(self) -> frozenset[str]:
        """The columns of free text, conversations among them."""
        return frozenset(name for name, role in self.roles.items() if role in {"text", "conversation"})

    @property
    def conversations(self) -> frozenset[str]:
        """The columns of conversations."""
        return frozenset(name for name, role in self.roles.items() if role == "conversation")

    @property
    def names_rows(self) -> frozenset[str]:
        """The columns of identifiers and of group keys."""
        return frozenset(name for name, role in self.roles.items() if role in {"identifier", "group key"})

    @property
    def is_classification(self) -> bool:
        """Whether the target is a class label."""
        return self.kind in {"binary", "multiclass"}

    def targets(self, rows: pd.DataFrame) -> pd.Series:
        """The target of each row; zeros where there is none."""
        return rows[self.target] if self.target else pd.Series(0.0, index=rows.index, name="none")


@dataclass(frozen=True)
class Guardrail:
    """How far the score may fall on any slice, against real rows alone."""

    max_slice_drop: float
    accept_inconclusive: str = ""
    """Why slices may be too small to show that they do not fall; then only their estimates must not."""


BOOSTED = "lightgbm"  # the estimator that is built in
COMMAND = "command"  # stands for two programs that a person named for a sweep
Columns = Literal["named", "encoded", "texts", "texts and vectors", "vectors"]
"""How an estimator is shown the features: a DataFrame with pandas categories, an array of numbers alone, or, for the
built-in linear model only, a sparse matrix in which free text has its words, its vectors by an embedding, or both."""
TEXTS: Literal["texts"] = "texts"
BESIDE: Literal["texts and vectors"] = "texts and vectors"
VECTORS: Literal["vectors"] = "vectors"


@dataclass(frozen=True)
class ModelSpec:
    """The model that every score of a project is measured with.

    ``estimator`` is ``"lightgbm"`` or ``"module:callable"``, a callable that takes ``params`` as keyword arguments
    and returns a scikit-learn estimator.
    """

    estimator: str = BOOSTED
    params: Mapping[str, Any] = field(default_factory=dict)
    columns: Columns | None = None
    """How the estimator is shown the features; None for what suits it."""
    commands: FitCommands | None = None
    """The programs that fit and predict, where a sweep names them."""
    embedding: str | None = None
    """What turns free text into vectors, for the built-in linear model: ``module:callable``, or a folder."""

    def to_json(self) -> dict[str, Any]:
        """As JSON values, without the embedding, which is recorded on its own; what is not said is left out."""
        fields = {"estimator": self.estimator, "params": dict(self.params), "columns": self.columns}
        fields |= {} if self.commands is None else {"commands": self.commands.to_json()}
        return {name: value for name, value in fields.items() if value is not None}
