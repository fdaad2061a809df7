"""What a handoff states of its model, and who signed it.

The estimate that a final model's run carries: stated once, at the first handoff of its sweep, and read back since.

Who has signed which handoff, as the runs tell it.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from synth_mlflow.data.digests import canonical_json, json_digest
from synth_mlflow.errors import EvidenceError
from synth_mlflow.sweep.holdout_estimate import HoldoutEstimate
from synth_mlflow.tracking import names
from synth_mlflow.tracking.read import StoredRun


@dataclass(frozen=True)
class RecordedEstimate:
    """An estimate, and since when it stands."""

    estimate: HoldoutEstimate
    at: str
    """ISO 8601, UTC."""

    @property
    def interval(self) -> tuple[float, float, float]:
        """The score, and the low and the high end of its interval."""
        return self.estimate.score, self.estimate.low, self.estimate.high


def estimate_of(final: StoredRun) -> RecordedEstimate | None:
    """What a final model is expected to score; None before its sweep was handed over.

    Raises
    ------
    EvidenceError
        As :func:`estimate_in`.
    """
    text = final.params.get(names.P_HOLDOUT_ESTIMATE)
    return None if text is None else estimate_in(text, final)


def estimate_in(text: str, final: StoredRun) -> RecordedEstimate:
    """The estimate in a parameter of a final run.

    Raises
    ------
    EvidenceError
        If it is not what was stated: the run's seal, which was there before, does not cover it, a seal of its own does.
    """
    try:
        recorded = json.loads(text)
        sealed = recorded.pop("sha256")
        if sealed == _seal(final, recorded):
            return _read(recorded)
    except (ValueError, KeyError, TypeError, AttributeError):
        pass  # no estimate that this product has written
    raise EvidenceError(
        f"the expected score of run {final.run_id} ({final.name}) is not the one that was stated: someone changed it.",
        f"Restore the parameter {names.P_HOLDOUT_ESTIMATE}; `synth-mlflow verify` says more.",
    )


def estimate_text(final: StoredRun, stated: RecordedEstimate) -> str:
    """An estimate as the parameter of a final run."""
    fields = asdict(stated.estimate)
    counts = Counter(stated.estimate.earlier_answers)  # as counts, any number of them fits into a parameter
    fields |= {"earlier_answers": {str(n): times for n, times in counts.items()}, "at": stated.at}
    return canonical_json({**fields, "sha256": _seal(final, fields)})


def _read(recorded: Mapping[str, Any]) -> RecordedEstimate:
    fields = dict(recorded)
    at = fields.pop("at")
    earlier = sorted(int(n) for n, times in fields["earlier_answers"].items() for _ in range(times))
    return RecordedEstimate(HoldoutEstimate(**{**fields, "earlier_answers": tuple(earlier)}), at)


def _seal(final: StoredRun, recorded: Mapping[str, Any]) -> str:
    """Over the estimate and the seal of the run that carries it."""
    return json_digest([final.params.get(names.P_SEAL), recorded])


@dataclass(frozen=True)
class Signed:
    """A run by which somebody answers for something."""

    run: StoredRun

    @property
    def by(self) -> str:
        """Who, as they gave their name."""
        return self.run.params[names.P_SIGNED_BY]

    @property
    def role(self) -> str:
        """As what."""
        return self.run.params[names.P_ROLE]

    @property
    def at(self) -> str:
        """ISO 8601, UTC."""
        return self.run.params[names.P_CREATED_AT]


class StoredSignOff(Signed):
    """Somebody who answers for one state of a handoff document; a run of its own under the handoff's."""

    @property
    def document(self) -> str:
        """The digest of the document that was signed."""
        return self.run.params[names.P_DOCUMENT]

    @property
    def handoff(self) -> str:
        """The run id of the handoff."""
        return self.run.params[names.P_HANDOFF]

    @property
    def champion(self) -> str | None:
        """The registered version that this sign-off made the champion, as ``models:/name/version``."""
        return self.run.params.get(names.P_CHAMPION)

    @property
    def words(self) -> str:
        """Name and role."""
        return f"{self.by} ({self.role})"


def recorded_sign_offs(runs: Iterable[StoredRun]) -> Mapping[str, list[StoredSignOff]]:
    """The sign-offs that count, oldest first, by the run id of their handoff.

    A sign-off counts from the moment when the handoff's run names it: both must agree.
    """
    all_runs = {run.run_id: run for run in runs if run.counts}
    by_run: dict[str, list[StoredSignOff]] = {}
    for run in all_runs.values():
        if run.stage != "sign-off":
            continue
        handoff = all_runs.get(run.params[names.P_HANDOFF])
        if handoff is not None and names.P_SIGN_OFF_PREFIX + run.run_id in handoff.params:
            by_run.setdefault(handoff.run_id, []).append(StoredSignOff(run))
    return by_run
