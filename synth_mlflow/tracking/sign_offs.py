"""Who has signed which handoff, as the runs tell it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from synth_mlflow.tracking import names
from synth_mlflow.tracking.read import StoredRun


@dataclass(frozen=True)
class StoredSignOff:
    """Somebody who answers for one state of a handoff document; a run of its own under the handoff's."""

    run: StoredRun

    @property
    def name(self) -> str:
        """Who has signed, as they gave their name."""
        return self.run.params[names.P_SIGNED_BY]

    @property
    def role(self) -> str:
        """As what they have signed."""
        return self.run.params[names.P_ROLE]

    @property
    def at(self) -> str:
        """ISO 8601, UTC."""
        return self.run.params[names.P_CREATED_AT]

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
        return f"{self.name} ({self.role})"


def recorded_sign_offs(runs: Iterable[StoredRun]) -> Mapping[str, list[StoredSignOff]]:
    """The sign-offs that count, oldest first, by the run id of their handoff.

    A sign-off counts from the moment when the handoff's run names it: both must agree.
    """
    all_runs = {run.run_id: run for run in runs if run.counts}
    found: dict[str, list[StoredSignOff]] = {}
    for run in all_runs.values():
        if run.stage != "sign-off":
            continue
        handoff = all_runs.get(run.params[names.P_HANDOFF])
        if handoff is not None and names.P_SIGN_OFF_PREFIX + run.run_id in handoff.params:
            found.setdefault(handoff.run_id, []).append(StoredSignOff(run))
    return found
