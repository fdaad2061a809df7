"""What is known of a local copy of a table: where it lies, and what its source says of itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from synth_mlflow.data.addresses import Address


@dataclass(frozen=True)
class Copy:
    """One local copy."""

    path: Path
    """A file, a folder of Parquet files or a pattern."""
    folder: Path
    """What is removed with it."""
    pinned: Address
    """By which the same rows are read again: of a Delta table with its version."""
    facts: Mapping[str, str | int] = field(default_factory=dict)
    """What the source says of itself, such as ``etag`` and ``version``; holds no secret."""

    def asked_as(self, address: Address) -> Copy:
        """The same copy for an address that stands for another one, whose masked form is among the facts."""
        return replace(self, pinned=address, facts={"address": str(self.pinned), **self.facts})
