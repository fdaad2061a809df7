"""A project read at once: two searches for its runs, one file for what their gate needs.

Whoever loads approved data by name asks a server as rarely as can be. The evidence of a version lies in one file beside
its approval; nothing in that file is believed: each part is compared with the digest in the run that it is from.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

from synth_mlflow.tracking import names
from synth_mlflow.tracking.moved import local_path
from synth_mlflow.tracking.read import Reader, StoredRun, search
from synth_mlflow.tracking.server import ACTIVE_AND_DELETED, Server, guard, server_failures
from synth_mlflow.tracking.stored_run import reading

NOT_NEEDED = (
    "ratio", "baseline", "workflow", "search", "blame", "handoff", "sign-off", "draft", "reproduction", "production",
)  # fmt: skip
"""Stages that no gate reads."""
PAGE = 1_000
Part = tuple[str, str]
"""A run's id, and the path of one of its files."""


class KnownRuns(Reader):
    """A reader whose questions are answered from runs that were read at once; any other question goes to the server."""

    def __init__(self, server: Server) -> None:
        super().__init__(server)
        self._bundle: Path | None = None

    @cached_property
    @guard
    def known(self) -> list[StoredRun]:
        """Every run that a gate may read, oldest first; those that somebody deleted are among them.

        Retractions are looked for by their parameter: whoever edits the tag of a stage hides none.
        """
        stage = f"tags.`{names.TAG_STAGE}`"
        conditions = [
            " and ".join(f"{stage} != '{each}'" for each in NOT_NEEDED),
            f"params.`{names.P_RETRACTION}` LIKE '%'",
        ]
        known_runs = search(self.server, [self.server.experiment_id], conditions, view=ACTIVE_AND_DELETED, page=PAGE)
        runs = {run.info.run_id: run for run in known_runs}
        return self.stored(runs.values())

    def runs(self, *stages: str, where: str = "", everywhere: bool = False) -> list[StoredRun]:
        """As :meth:`Reader.runs`; without a request where only stages are asked for."""
        if where or everywhere or not stages or set(stages) & set(NOT_NEEDED):
            return super().runs(*stages, where=where, everywhere=everywhere)
        return [run for run in self.known if run.stage in stages and not run.deleted]

    def checks_of(self, batches: Sequence[str]) -> list[StoredRun]:
        """As :meth:`Reader.checks_of`."""
        batch_ids = set(batches)
        return [
            run for run in self.known if run.parent in batch_ids and names.TAG_CHECK in run.tags and not run.deleted
        ]

    def retracted(self) -> list[StoredRun]:
        """As :meth:`Reader.retracted`."""
        return [run for run in self.known if names.P_RETRACTION in run.params]

    def run(self, run_id: str) -> StoredRun:
        """As :meth:`Reader.run`."""
        return self._by_id.get(run_id) or super().run(run_id)

    def find(self, run_id: str) -> StoredRun | None:
        """As :meth:`Reader.find`."""
        return self._by_id.get(run_id) or super().find(run_id)

    def use_bundle(self, approval: StoredRun) -> None:
        """Take files out of the evidence of an approval, where they would have to be fetched one by one."""
        if local_path(approval.artifact_uri) is None:
            self._bundle = self.file(approval, names.A_APPROVED)

    @cached_property
    def _by_id(self) -> dict[str, StoredRun]:
        return {run.run_id: run for run in self.known}

    def _fetched(self, run: StoredRun, path: str) -> Path:
        in_place = _in_place(run, path) or self._out_of_bundle(run, path) or self._at_once(run, path)
        return in_place or super()._fetched(run, path)

    def _out_of_bundle(self, run: StoredRun, path: str) -> Path | None:
        member = part_name((run.run_id, path))
        if self._bundle is None:
            return None
        with reading(run, names.A_APPROVED), zipfile.ZipFile(self._bundle) as bundle:
            if member not in bundle.namelist() or bundle.getinfo(member).compress_type != zipfile.ZIP_STORED:
                return None  # what is packed could unfold to more than a disk holds
            return Path(bundle.extract(member, Path(self._folder.name) / "parts"))

    def _at_once(self, run: StoredRun, path: str) -> Path | None:
        """One request, without asking first whether it is a folder; None where it fails: the slow way says why."""
        target = Path(self._folder.name) / run.run_id / path
        target.parent.mkdir(parents=True, exist_ok=True)
        failures: tuple[type[Exception], ...] = (*server_failures(), ValueError, AttributeError)
        try:
            store: Any = get_artifact_repository(run.artifact_uri, tracking_uri=self.server.tracking_uri)
            store._download_file(path, str(target))  # each store has it; what is public asks twice
        except failures:
            return None
        return target if target.is_file() else None


def _in_place(run: StoredRun, path: str) -> Path | None:
    folder = local_path(run.artifact_uri)
    place = None if folder is None else folder / path
    return place if place is not None and place.is_file() else None


def part_name(part: Part) -> str:
    """The name of a file of a run in a bundle."""
    return "/".join(part)


def write_bundle(reader: Reader, parts: Iterable[tuple[StoredRun, str]], target: Path) -> None:
    """Copy files of several runs into one, each checked against its run; not packed, since most are packed already."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as bundle:
        by_part = {part_name((run.run_id, path)): (run, path) for run, path in parts}
        for name, (run, path) in by_part.items():
            bundle.write(reader.file(run, path), name)


def bundle_parts(runs: Sequence[StoredRun], paths: Sequence[str]) -> list[tuple[StoredRun, str]]:
    """Those files of some runs that they vouch for."""
    return [(run, path) for run in runs for path in paths if path in run.artifacts]
