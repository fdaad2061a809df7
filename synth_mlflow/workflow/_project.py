"""The project behind every verb, opened once; verbs that read or write; paths and batches as people give them."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

from synth_mlflow.allowed_code import allowing
from synth_mlflow.data.addresses import Address, Place, place_of
from synth_mlflow.errors import UsageError
from synth_mlflow.tracking.caller import one_verb
from synth_mlflow.tracking.moved import refuse_closed, refuse_moved
from synth_mlflow.tracking.project import Project
from synth_mlflow.tracking.server import connect, exists, refuse_read_only

if TYPE_CHECKING:
    from synth_mlflow.stages.training_data import Batch
    from synth_mlflow.tracking.stored import StoredBatch

SETTLES = "status --repair"  # the one verb that may write to a project which was moved

Table = Any
"""Where a table is named: a path, an address, or a table in memory of any library that narwhals knows."""

P = ParamSpec("P")
T = TypeVar("T")
W = TypeVar("W", bound="OpenProject")


def reads(method: Callable[Concatenate[W, P], T]) -> Callable[Concatenate[W, P], T]:
    """For verbs that write nothing: not even the experiment, where it is missing."""

    @functools.wraps(method)
    def checked(workflow: W, /, *args: P.args, **kwargs: P.kwargs) -> T:
        with one_verb():
            workflow._open(create=False)
            return method(workflow, *args, **kwargs)

    return checked


def writes(verb: str) -> Callable[[Callable[Concatenate[W, P], T]], Callable[Concatenate[W, P], T]]:
    """For verbs that write: somebody who may only read is told so before anything is computed."""

    def decorate(method: Callable[Concatenate[W, P], T]) -> Callable[Concatenate[W, P], T]:
        @functools.wraps(method)
        def checked(workflow: W, /, *args: P.args, **kwargs: P.kwargs) -> T:
            with one_verb():
                refuse_read_only(workflow.project.server, verb, workflow.project.say)
                if verb != SETTLES:
                    refuse_moved(workflow.project.server)
                    refuse_closed(workflow.project.server, verb)
                return method(workflow, *args, **kwargs)

        return checked

    return decorate


class OpenProject:
    """What the verbs of all kinds share."""

    allow_code: Sequence[str] = ()

    def __init__(
        self,
        experiment: str | None,
        tracking_uri: str | None = None,
        *,
        say: Callable[[str], None] | None = None,
        allow_code: Sequence[str] = (),
        data: Table | None = None,
    ) -> None:
        with allowing(allow_code):  # a name that is no module's is refused at once
            self.allow_code = tuple(allow_code)
        self._where = (experiment, tracking_uri)
        self._say = say
        self._data = as_place(data)
        self._project: Project | None = None
        if experiment is None or exists(experiment, tracking_uri):
            self._open(create=False)

    @property
    def project(self) -> Project:
        """What the project has recorded; its experiment is made if it is missing."""
        return self._open(create=True)

    def _open(self, *, create: bool) -> Project:
        if self._project is None:
            self._project = Project(connect(*self._where, create=create, say=self._say), say=self._say)
            self._project.real_file = self._data
        return self._project

    @contextmanager
    def _real_rows_in(self, data: Table | None) -> Iterator[None]:
        before = self.project.real_file
        self.project.real_file = as_place(data) or before
        try:
            yield
        finally:
            self.project.real_file = before

    def _made_batch(self, stored: StoredBatch) -> Batch:
        from synth_mlflow.stages.training_data import Batch

        return Batch.of(self.project, stored)


def as_place(given: Table | None) -> Place | None:
    return None if given is None else required_place(given)


def required_place(given: Table) -> Place:
    """Where a table is: a path, an address, or itself in memory."""
    if isinstance(given, str | os.PathLike | Address):
        return place_of(given)
    from synth_mlflow.data.sources.frames import Frame  # and narwhals

    return Frame.of(given)


def as_path(given: str | Path | None) -> Path | None:
    return None if given is None else as_file(given)


def as_file(given: str | Path) -> Path:
    """A path; a UsageError for a table, which only some verbs take."""
    if not isinstance(given, str | os.PathLike):
        kind = type(given)
        raise UsageError(
            f"a file was needed, and a {kind.__module__}.{kind.__qualname__} was given.",
            "Give the path of a CSV or Parquet file; write a table to one first.",
        )
    return Path(given)


def batch_id(batch: Batch | str) -> str:
    return batch if isinstance(batch, str) else batch.batch
