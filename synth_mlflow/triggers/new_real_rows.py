"""Due when a meaningful share of new real rows has come in."""

from __future__ import annotations

from typing import Any, ClassVar

from synth_mlflow.triggers import DRIFT_ALPHA, CurrentState, Drift, RecordedState, Trigger, TriggerState
from synth_mlflow.triggers._values import positive


class NewRealRows:
    """Compares the number of real rows that the project has not seen with those it has."""

    summary: ClassVar[str] = "new real rows reach a share of the known ones, such as 0.2"

    def condition(self, threshold: Any) -> str:
        """The share in percent."""
        return f"new real rows reach {100 * _share(threshold):g} % of the known ones"

    def evaluate(self, threshold: Any, recorded: RecordedState, present: CurrentState) -> TriggerState:
        """Due if the share is reached; a drift of the new rows is told, and does not decide."""
        condition, known, new = self.condition(threshold), recorded.n_real_rows, present.n_new_rows
        if new is None and present.rows_refused:
            fix = f"{present.rows_refused} Rows with the frozen columns can be counted."
            return TriggerState("new_real_rows", condition, "cannot tell", fix)
        if new is None:
            fix = "no new rows were given; give the new file: `synth-mlflow check --new-data FILE`"
            return TriggerState("new_real_rows", condition, "cannot tell", fix)
        due = new >= _share(threshold) * known
        reason = f"{new:,} new beside {known:,} known rows, {100 * new / known:.1f} %{_drift(present.drift)}"
        return TriggerState("new_real_rows", condition, "due" if due else "not due", reason)


def _share(threshold: Any) -> float:
    return positive(threshold, "a share of the known real rows, 0.2 for a fifth")


def _drift(drift: Drift | None) -> str:
    if drift is None:
        return ""
    if drift.p_value >= DRIFT_ALPHA:
        return f"; they do not differ measurably from the known ones (p = {drift.p_value:.2g}, {drift.test})"
    columns = f" in {', '.join(_moved(drift))}" if drift.columns else ""
    return f"; they differ from the known ones{columns} (p = {drift.p_value:.2g}, {drift.test})"


def _moved(drift: Drift) -> list[str]:
    if not drift.distances:
        return list(drift.columns)
    return [f"{column} ({distance:.2f})" for column, distance in zip(drift.columns, drift.distances, strict=True)]


plugin: type[Trigger] = NewRealRows
