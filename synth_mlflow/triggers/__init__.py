"""The named conditions that force a rerun, one a file, each *due*, *not due* or *cannot tell*.

A built-in trigger is a file of this folder that defines ``plugin``, a class that keeps the :class:`Trigger`
contract; the file's name is its name in the statement's ``rerun_when``. Third parties register theirs in the
entry-point group ``synth_mlflow.triggers``. A file whose name starts with an underscore is no plugin but a piece that
plugins share.
"""

from __future__ import annotations

import html
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, Protocol

from synth_mlflow.data.markup import html_table

DRIFT_ALPHA = 0.01
"""Below this p-value new rows are said to differ from the known ones."""

State = Literal["due", "not due", "cannot tell"]


@dataclass(frozen=True)
class RecordedState:
    """What the project recorded when its model was handed over."""

    generators: Mapping[str, tuple[str, ...]]
    """Generator name to the versions whose batches the model used; empty if it used none."""
    statement_digest: str
    n_real_rows: int
    """Training and evaluation rows together."""
    metric: str
    """A scikit-learn scorer name; better high."""
    expected: tuple[float, float, float] | None
    """Score, low and high end of its interval on further rows; None before the model is handed over."""
    n_expected_rows: int = 0
    """The rows of the frozen set behind this interval."""
    schema_digest: str | None = None
    """Of the real rows' columns and their kinds; None where it was not recorded."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """What made the model: ``python`` and the names of distributions, each with its version."""


@dataclass(frozen=True)
class ProductionValue:
    """One value of the metric that was measured in production."""

    value: float
    n_rows: int | None = None
    """How many rows it was measured on; None where nobody said."""


@dataclass(frozen=True)
class Drift:
    """A test of the new real rows against the known ones, made by the caller."""

    p_value: float
    """The smallest of the columns' p-values, corrected for their number."""
    columns: tuple[str, ...] = ()
    """The columns that differ, most different first."""
    test: str = "two-sample tests by column, Holm-corrected"
    distances: tuple[float, ...] = ()
    """How far each of these columns has moved, between 0 and 1; empty where nobody measured it."""


@dataclass(frozen=True)
class CurrentState:
    """What is known now; None or empty where nobody has said."""

    generators: Mapping[str, str] = field(default_factory=dict)
    """Generator name to the version that is installed or was given."""
    statement_digest: str | None = None
    schema_digest: str | None = None
    n_new_rows: int | None = None
    """Real rows that the project has not seen, equal rows counted once."""
    rows_refused: str = ""
    """Why the rows that were given cannot be counted; empty where they can, or none were given."""
    drift: Drift | None = None
    production: tuple[ProductionValue, ...] = ()
    """What was measured in production since the handoff, oldest first."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """What is installed: ``python`` and the names of distributions, each with its version."""


@dataclass(frozen=True)
class TriggerState:
    """Whether one condition is met, and the numbers behind it."""

    name: str
    condition: str
    """The condition in words, with its threshold."""
    state: State
    reason: str
    """The numbers; for *cannot tell*, what to give."""


class TriggerStates(list[TriggerState]):
    """How every condition stands; a list that notebooks show as a table."""

    def _repr_html_(self) -> str:
        due = [each.name for each in self if each.state == "due"]
        words = f"A rerun is due: {', '.join(due)}." if due else "No condition asks for a rerun."
        rows = [[each.state, each.condition, each.reason] for each in self]
        return f"<p><b>{html.escape(words)}</b></p>{html_table(['state', 'condition', 'reason'], rows)}"


class Trigger(Protocol):
    """One condition that forces a rerun."""

    summary: ClassVar[str]
    """One line for `synth-mlflow list`."""

    def condition(self, threshold: Any) -> str:
        """The condition in words; raises ValueError, saying what was needed, if the threshold makes no sense."""
        ...

    def evaluate(self, threshold: Any, recorded: RecordedState, present: CurrentState) -> TriggerState:
        """Compare what was recorded with what is known now; raises ValueError as ``condition`` does."""
        ...
