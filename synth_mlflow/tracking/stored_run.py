"""One run as it stands on the server."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from synth_mlflow.tracking import names
from synth_mlflow.tracking.long_lists import words_of

PARENT = "mlflow.parentRunId"


@dataclass(frozen=True)
class StoredRun:
    """One run as it stands on the server."""

    run_id: str
    name: str
    status: str
    tags: Mapping[str, str]
    params: Mapping[str, str]
    metrics: Mapping[str, float]
    started: int
    """Milliseconds since 1970."""
    ended: int | None
    experiment_id: str = ""
    artifact_uri: str = ""
    """Where its files lie."""
    deleted: bool = False
    steps: Mapping[str, int] = field(default_factory=dict)
    """The step of the value of each metric."""

    @property
    def stage(self) -> str:
        """Which part of the run tree this is."""
        return self.tags.get(names.TAG_STAGE, "")

    @property
    def parent(self) -> str | None:
        """The id of the run that this one hangs under."""
        return self.tags.get(PARENT)

    @property
    def counts(self) -> bool:
        """Whether the run was written to its end, by this product, and was not put away since."""
        return self.status == "FINISHED" and not self.discarded and not self.lacks

    @property
    def discarded(self) -> bool:
        """Whether a later command has put the run away, since what it was a part of was not written to its end."""
        return self.tags.get(names.TAG_DISCARDED) == "true"

    @cached_property
    def lacks(self) -> tuple[str, ...]:
        """The parameters without which a run of its stage is not one of ours; none of a run that has a seal."""
        wanted = () if names.P_SEAL in self.params else names.REQUIRED.get(self.stage, ())
        return tuple(name for name in wanted if name not in self.params)

    @cached_property
    def batches(self) -> tuple[str, ...]:
        """The short ids of the batches that a sweep, ratio, model, handoff or blame names."""
        return words_of(self.params, names.P_BATCHES)

    @cached_property
    def batch_digests(self) -> tuple[str, ...]:
        """How the digest of each of them begins; empty where the run does not say."""
        return words_of(self.params, names.P_BATCH_DIGESTS)

    @property
    def artifacts(self) -> dict[str, str]:
        """Every file that the run vouches for, and its SHA-256."""
        prefix = names.P_ARTIFACT_PREFIX
        return {key.removeprefix(prefix): value for key, value in self.params.items() if key.startswith(prefix)}
