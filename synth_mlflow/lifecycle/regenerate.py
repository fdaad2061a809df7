"""The rows of a recorded batch, made again from its record alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from synth_mlflow.allowed_code import importable_here
from synth_mlflow.data.record import Origin
from synth_mlflow.data.tables import read_parquet, restore
from synth_mlflow.errors import PluginError, SynthError, UsageError
from synth_mlflow.generators import is_external
from synth_mlflow.plugins import BUILT_IN, find, installed
from synth_mlflow.stages.child_process import TIMEOUT_SECONDS
from synth_mlflow.stages.command import command_again
from synth_mlflow.stages.declared_constraints import kept_constraints
from synth_mlflow.stages.llm import llm_again
from synth_mlflow.stages.maker import Maker, Wanted, installed_maker
from synth_mlflow.stages.own_code import own_maker
from synth_mlflow.stages.peer import peer_maker
from synth_mlflow.stages.spool import Spool, parsed_slice, spooling
from synth_mlflow.tracking.project import Project
from synth_mlflow.tracking.stored import EvaluationSet, StoredBatch

EXTERNAL = {
    "command": "runs a command",
    "code": "runs code that the record names",
    "peer": "runs in another Python",
    "llm": "asks a language model",
}
"""What a door does that nobody may be made to do by a record alone."""


class CannotError(SynthError):
    """A step that cannot be done here, and why."""


@dataclass(frozen=True)
class Remade:
    """Rows that were made again."""

    rows: pd.DataFrame
    digest: str
    version: str
    """Of the generator that is installed here."""


@dataclass(frozen=True)
class Workshop:
    """Where batches are made again."""

    project: Project
    frozen: EvaluationSet
    sources: Mapping[str, pd.DataFrame]
    """Real rows that the server does not hold, by content digest."""
    allow_external: bool
    """Whether commands may run, services be called, and code be loaded that only the record names."""
    python: str | None = None
    """The Python of the environment of a peer."""

    def remake(self, batch: StoredBatch) -> Remade:
        """Make a batch again.

        Raises
        ------
        CannotError
            If it was made elsewhere, its generator or the rows that it learned from are not here, or it may not run.
        SynthError
            If the generator fails, or makes what it must not.
        """
        origin = self.project.record(batch).origin
        self._refuse(origin)
        members = self._members(origin)
        constraints = kept_constraints(self.project, self.frozen, members)
        with spooling(self.frozen, origin, constraints) as spool:
            version = self._fill(spool, batch, origin, members)
            digest = spool.finish()
            spool.give_up()
            return Remade(restore(read_parquet(spool.path), self.frozen.schema), digest, version)

    def _fill(self, spool: Spool, batch: StoredBatch, origin: Origin, members: pd.DataFrame | None) -> str:
        shown = self._training() if members is None else members
        if origin.door == "command":
            command_again(origin, batch.n_rows, members, spool)
            return origin.version
        if origin.door == "llm":
            return llm_again(self.project, origin, batch.n_rows, shown, spool)
        statement = self.project.problem().statement
        part = parsed_slice(origin.slice, self.frozen.schema)
        wanted = Wanted(batch.n_rows, origin.seed or 0, statement.task, part, statement.constraints)
        with importable_here():
            maker = _maker(origin, self.python)
            maker.run(shown, wanted, spool.add)
        return maker.version

    def _refuse(self, origin: Origin) -> None:
        made = f"{origin.generator} {origin.version}"
        if origin.door in {"python", "file"}:
            raise CannotError(f"{made} made it elsewhere: its code is not known here, its rows are on the server")
        if origin.door == "generator" and origin.generator not in installed("generators"):
            raise CannotError(f"generator {origin.generator!r} is not installed here; {made} made it")
        plugin = find("generators", origin.generator) if origin.door == "generator" else None
        external = plugin is None or plugin.origin != BUILT_IN or is_external(_loaded(origin.generator))
        if external and not self.allow_external:
            does = EXTERNAL.get(origin.door, "calls a service")
            if plugin is not None and plugin.origin != BUILT_IN:
                does = f"runs code of package {plugin.origin}"
            raise CannotError(f"{made} {does}: only with `--allow-external`")

    def _members(self, origin: Origin) -> pd.DataFrame | None:
        source = origin.source
        if source.kind == "training":
            return self._training()
        if source.kind != "file":
            return None
        if source.digest is None or source.digest not in self.sources:
            raise CannotError(
                f"it learned from {source.n_rows or 0:,} real rows that the server does not hold: give them with "
                f"`--source FILE`, digest {(source.digest or '')[:12]}…"
            )
        return self.sources[source.digest]

    def _training(self) -> pd.DataFrame:
        return self.project.training_rows(self.frozen)


def _maker(origin: Origin, python: str | None) -> Maker:
    if origin.door == "peer":
        return peer_maker(origin.generator, origin.params, python, TIMEOUT_SECONDS)
    if origin.door == "code":
        try:
            return own_maker(origin.generator, origin.params, None)
        except UsageError:  # a version that cannot be measured was given by hand: the rows will tell
            return own_maker(origin.generator, origin.params, origin.version)
    return installed_maker(origin.generator, origin.params)


def _loaded(generator: str) -> object:
    """An installed generator; a CannotError if it cannot be loaded."""
    try:
        return find("generators", generator).load()
    except PluginError as error:
        raise CannotError(error.found) from error
