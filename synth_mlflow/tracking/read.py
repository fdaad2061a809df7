"""Read runs and their files back; a file counts only if its bytes match the digest in its run's parameters.

Ask a server for runs, page by page; of several questions, a server over HTTP is asked at once.

Run ids as people have them: whole, or as much of one as a page shows.
"""

from __future__ import annotations

import gc
import itertools
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from mlflow.entities import Run
from mlflow.entities import Run as MlflowRun
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE, RESOURCE_DOES_NOT_EXIST, ErrorCode

from synth_mlflow.data.digests import file_digest
from synth_mlflow.data.private import private_room
from synth_mlflow.errors import EvidenceError
from synth_mlflow.tracking import names
from synth_mlflow.tracking.draft import Value, seal_of
from synth_mlflow.tracking.server import ACTIVE_AND_DELETED, ACTIVE_ONLY, DELETED_ONLY, Server, guard
from synth_mlflow.tracking.stored_run import PARENT as PARENT
from synth_mlflow.tracking.stored_run import StoredRun as StoredRun
from synth_mlflow.tracking.stored_run import fetch

PAGE = 1_000
PAGE_OVER_HTTP = 100  # a server takes 2 to 3 ms for a run, and on a busy machine ten times that: MLflow waits 30 s


def search(
    server: Server,
    experiments: Sequence[str],
    conditions: Sequence[str],
    *,
    view: int = ACTIVE_ONLY,
    page: int | None = None,
) -> list[Run]:
    """The runs that meet any of some conditions, as many times as they meet one.

    Parameters
    ----------
    server : Server
    experiments : sequence of str
        The ids of the experiments to look in.
    conditions : sequence of str
        In MLflow's filter syntax. A server with several workers answers as many side by side; a database in this
        process would gain nothing from threads.
    view : int
        MLflow's number for which runs to look at: those that are there, or those that were deleted.
    page : int, optional
        How many runs come with one request.
    """
    with _collector_paused():
        if server.web and len(conditions) > 1:
            with ThreadPoolExecutor(len(conditions)) as pool:
                pages = partial(_pages, server, experiments, view=view, n_runs=page)
                runs = list(pool.map(lambda condition: list(pages(condition)), conditions))
            return list(itertools.chain.from_iterable(runs))
        return [run for each in conditions for run in _pages(server, experiments, each, view, page)]


def newest(server: Server, condition: str, n_runs: int) -> list[Run]:
    """The runs of the project that meet a condition and began last, in one request."""
    return list(
        server.client.search_runs(
            [server.experiment_id],
            condition,
            run_view_type=ACTIVE_ONLY,
            max_results=n_runs,
            order_by=["attributes.start_time DESC"],
        )
    )


def _pages(server: Server, experiments: Sequence[str], condition: str, view: int, n_runs: int | None) -> Iterator[Run]:
    return every_page(
        lambda token: server.client.search_runs(
            list(experiments),
            condition,
            run_view_type=view,
            max_results=n_runs or (PAGE_OVER_HTTP if server.web else PAGE),
            page_token=token,
        )
    )


def every_page(page_at: Callable[[str | None], Any]) -> Iterator[Any]:
    """What the pages of a search hold, each asked for when it is needed; ``page_at`` takes the token of a page."""
    token: str | None = None
    while True:
        page = page_at(token)
        yield from page
        token = page.token
        if not token:
            return


@contextmanager
def _collector_paused() -> Iterator[None]:
    """Python's cyclic garbage collector walks the objects of a page again and again while they are made.

    A page of 1,000 runs is some 50,000 of them in MLflow's SQL store: without it, reading takes 0.4 of the time.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


SHOWN = 8  # characters that are enough; pages show 12


def expand_run_id(given: str, known: Iterable[str]) -> str:
    """The one known id that begins with what was given; what was given where none does, or more than one.

    Examples
    --------
    >>> expand_run_id("5f0c1d2e", ["5f0c1d2e9ab3", "77aa01b2c3d4"])
    '5f0c1d2e9ab3'
    >>> expand_run_id("5f0c", ["5f0c1d2e9ab3"])
    '5f0c'
    """
    matches = [run_id for run_id in known if run_id.startswith(given)] if len(given) >= SHOWN else []
    return matches[0] if len(matches) == 1 else given


LEFT_OUT = ("ratio", "contamination", "fidelity", "utility", "privacy")
"""The stages that most runs of a grown project are of, and that say nothing which their parents do not say."""
FEW = 20  # beyond, reading all of a kind takes fewer requests than asking for each
IDS = 100  # named in one condition
AT_ONCE = 10  # runs of a stage that may have begun in the same millisecond
GONE = ErrorCode.Name(RESOURCE_DOES_NOT_EXIST)


class Reader:
    """Queries over one project; what it has downloaded it keeps while it lives."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self._downloaded: dict[tuple[str, str], Path] = {}
        self._vouched: set[str] = set()
        self._read_once: list[StoredRun] | None = None

    @cached_property
    def _folder(self) -> tempfile.TemporaryDirectory[str]:
        return tempfile.TemporaryDirectory(prefix="synth-mlflow-", dir=private_room())

    @staticmethod
    def stored(runs: Iterable[Run]) -> list[StoredRun]:
        """Runs of MLflow as they are read here, oldest first."""
        return sorted(map(_stored, runs), key=_age)

    @contextmanager
    def at_one_moment(self) -> Iterator[None]:
        """For verbs that only read: until the block ends, the runs that nobody leaves out are read once.

        Questions for the runs of a stage are then answered from memory, but those for single ratios and for checks.
        """
        before = self._read_once
        self._read_once = self.runs_without_children()
        try:
            yield
        finally:
            self._read_once = before

    def _remembered(self, *stages: str) -> list[StoredRun] | None:
        """The runs of some stages, where they were all read before."""
        if self._read_once is None or not stages or set(stages) & set(LEFT_OUT):
            return None
        return [run for run in self._read_once if run.stage in stages]

    @guard
    def runs(self, *stages: str, where: str = "", everywhere: bool = False) -> list[StoredRun]:
        """Runs of some stages, oldest first.

        Parameters
        ----------
        stages : str
            One search a stage; without any, one search over all runs of this product.
        where : str
            A further condition in MLflow's filter syntax.
        everywhere : bool
            Whether to look in every experiment of the server.
        """
        remembered = None if where or everywhere else self._remembered(*stages)
        if remembered is not None:
            return remembered
        conditions = [f"tags.`{names.TAG_STAGE}` = '{stage}'" for stage in stages]
        conditions = conditions or [f"tags.`{names.TAG_SCHEMA}` = '{names.SCHEMA}'"]
        experiments = self._all_experiments() if everywhere else [self.server.experiment_id]
        return self._search(experiments, [f"{each} and {where}" if where else each for each in conditions])

    @guard
    def runs_without_children(self) -> list[StoredRun]:
        """Every run but those of single ratios and of checks, which in a grown project are most of them; oldest first.

        Over HTTP, batches are asked for beside the others.
        """
        if self._read_once is not None:
            return [*self._read_once]
        stage = f"tags.`{names.TAG_STAGE}`"
        apart = ("batch",) if self.server.web else ()  # a database in this process gains nothing from threads
        others = " and ".join(f"{stage} != '{each}'" for each in (*LEFT_OUT, *apart))
        return self._search([self.server.experiment_id], [*(f"{stage} = '{each}'" for each in apart), others])

    @guard
    def children_of(self, parents: Sequence[str], where: str) -> list[StoredRun]:
        """The runs right under some others that meet a condition; under others too if ``parents`` are many."""
        few = [f"tags.`{PARENT}` = '{parent}' and {where}" for parent in parents]
        return self._search([self.server.experiment_id], few if len(few) <= FEW else [where])

    def checks_of(self, batches: Sequence[str]) -> list[StoredRun]:
        """The runs of the checks of some batches, which are named by the ids of their runs."""
        batch_ids = set(batches)
        checks = self.children_of(batches, f"tags.`{names.TAG_CHECK}` LIKE '%'")
        return [run for run in checks if run.parent in batch_ids]

    @guard
    def by_ids(self, run_ids: Sequence[str]) -> list[StoredRun]:
        """The runs of this project among some ids, oldest first; those that are gone are not there."""
        pages = [run_ids[at : at + IDS] for at in range(0, len(run_ids), IDS)]
        quoted = (", ".join(f"'{run_id}'" for run_id in page) for page in pages)
        return self._search([self.server.experiment_id], [f"attributes.run_id IN ({page})" for page in quoted])

    @guard
    def deleted(self, where: str) -> list[StoredRun]:
        """The runs of this project that somebody deleted and that meet a condition."""
        return [_stored(run) for run in search(self.server, [self.server.experiment_id], [where], view=DELETED_ONLY)]

    @guard
    def retracted(self) -> list[StoredRun]:
        """Every run of this project that records a retraction, deleted ones too; by its parameter, not by tags."""
        where = [f"params.`{names.P_RETRACTION}` LIKE '%'"]
        runs = search(self.server, [self.server.experiment_id], where)
        runs += search(self.server, [self.server.experiment_id], where, view=DELETED_ONLY)
        return sorted(map(_stored, runs), key=_age)

    def finished(self, *stages: str, where: str = "", everywhere: bool = False) -> list[StoredRun]:
        """Runs of some stages that were written to their end, oldest first."""
        return [run for run in self.runs(*stages, where=where, everywhere=everywhere) if run.counts]

    @guard
    def latest(self, stage: str) -> StoredRun | None:
        """The newest run of a stage that was written to its end."""
        if self._remembered(stage) is not None:
            return max(self.finished(stage), key=_age, default=None)
        condition = f"tags.`{names.TAG_STAGE}` = '{stage}' and attributes.status = 'FINISHED'"
        runs = [_stored(run) for run in newest(self.server, condition, AT_ONCE)]
        counting = [run for run in runs if run.counts] or (self.finished(stage) if runs else [])
        return max(counting, key=_age, default=None)

    @guard
    def ever_finished(self, stage: str) -> list[StoredRun]:
        """Runs of a stage in every experiment that were written to their end, those that were deleted too."""
        where = [f"tags.`{names.TAG_STAGE}` = '{stage}' and attributes.status = 'FINISHED'"]
        experiments = self.server.client.search_experiments(view_type=ACTIVE_AND_DELETED)
        ids = [experiment.experiment_id for experiment in experiments]
        runs = search(self.server, ids, where) + search(self.server, ids, where, view=DELETED_ONLY)
        return sorted(map(_stored, runs), key=_age)

    def find_by_key(self, key: str) -> list[StoredRun]:
        """The runs that carry an idempotency key, whatever their status."""
        return self.runs(where=f"tags.`{names.TAG_KEY}` = '{key}'")

    def recorded(self, key: str) -> list[StoredRun]:
        """The complete runs that were written under a key; their parameter says so, since a tag may be edited."""
        return [run for run in self.find_by_key(key) if run.counts and run.params.get(names.P_KEY) == key]

    def children(self, parent: str) -> list[StoredRun]:
        """The runs right under one run, oldest first."""
        return self.runs(where=f"tags.`{PARENT}` = '{parent}'")

    @guard
    def runs_reading(self, digest: str) -> list[StoredRun]:
        """Every run on the server, of whatever tool, that logged a dataset of this content as an input."""
        condition = f"dataset.digest = '{digest[: names.DATASET_DIGEST_LENGTH]}'"
        return self._search(self._all_experiments(), [condition])

    @guard
    def run(self, run_id: str) -> StoredRun:
        """One run by its id."""
        return _stored(self.server.client.get_run(run_id))

    @guard
    def metric_values(self, run: StoredRun) -> list[Value]:
        """Every value of every metric of a run, with what the server shows as the newest; one request a metric."""
        history = [
            (name, int(entry.step), float(entry.value))
            for name in run.metrics
            for entry in self.server.client.get_metric_history(run.run_id, name)
        ]
        logged = {(name, value) for name, _, value in history}
        return history + [(name, -1, value) for name, value in run.metrics.items() if (name, value) not in logged]

    def verify_seal(self, run: StoredRun) -> StoredRun:
        """The run, if its parameters and metrics are those that it was sealed with; asked once a run.

        Raises
        ------
        EvidenceError
            If one was changed, added or removed.
        """
        if run.run_id in self._vouched:
            return run
        sealed = run.params.get(names.P_SEAL)
        seal = seal_of(run.params, self._shown_values(run))
        if seal != sealed:  # or a metric has several values of step 0
            seal = seal_of(run.params, self.metric_values(run))
        if seal != sealed:
            raise EvidenceError(
                f"run {run.run_id} ({run.name}) was changed: its parameters and metrics give the seal {seal[:12]}…, "
                f"the record says {(sealed or 'nothing')[:12]}…; a value was changed, added or removed.",
                "Restore it, or write the evidence anew with the stage's command; `synth-mlflow verify` says more.",
            )
        self._vouched.add(run.run_id)
        return run

    @guard
    def _shown_values(self, run: StoredRun) -> list[Value]:
        """The values that came with the run, which are those that stages read; one request a metric with steps only."""
        values = [(name, 0, value) for name, value in run.metrics.items() if not run.steps.get(name)]
        for name in (name for name in run.metrics if run.steps.get(name)):
            history = self.server.client.get_metric_history(run.run_id, name)
            values += [(name, int(entry.step), float(entry.value)) for entry in history]
        return values

    @guard
    def find(self, run_id: str) -> StoredRun | None:
        """A run of any experiment by its id; None if there is none."""
        known = next((run for run in self._read_once or () if run.run_id == run_id), None)
        if known is not None:
            return known
        try:
            return _stored(self.server.client.get_run(run_id))
        except MlflowException as error:
            if error.error_code not in (GONE, ErrorCode.Name(INVALID_PARAMETER_VALUE)):  # the latter: no id at all
                raise
            return None

    @guard
    def experiment_names(self) -> Mapping[str, str]:
        """The name of every experiment of the server by its id."""
        return {experiment.experiment_id: experiment.name for experiment in self.server.client.search_experiments()}

    @guard
    def file(self, run: StoredRun, path: str) -> Path:
        """A local copy of one of a run's files.

        Raises
        ------
        EvidenceError
            If the run does not vouch for such a file, it is gone, or its bytes are not those that were recorded.
        """
        recorded = run.artifacts.get(path)
        if recorded is None:
            raise EvidenceError(
                f"run {run.run_id} ({run.name}) records no file {path!r}.",
                "It was not written by synth_mlflow, or by a version that did not know this file.",
            )
        if Path(path).is_absolute() or ".." in Path(path).parts:
            raise EvidenceError(f"run {run.run_id} ({run.name}) records the file {path!r}, which lies elsewhere.")
        local = self._downloaded.get((run.run_id, path)) or self._fetched(run, path)
        digest = file_digest(local)
        if digest != recorded:
            raise EvidenceError(
                f"{path} of run {run.run_id} ({run.name}) has sha256 {digest[:12]}…, the record says {recorded[:12]}…: "
                "someone changed it.",
                "Restore the file, or write the evidence anew with the stage's command.",
            )
        self._downloaded[run.run_id, path] = local
        return local

    def _fetched(self, run: StoredRun, path: str) -> Path:
        return fetch(self.server, run, path, Path(self._folder.name))

    def _all_experiments(self) -> list[str]:
        return [experiment.experiment_id for experiment in self.server.client.search_experiments()]

    def _search(self, experiments: Sequence[str], conditions: Sequence[str]) -> list[StoredRun]:
        return sorted(map(_stored, search(self.server, experiments, conditions)), key=_age)


def _age(run: StoredRun) -> tuple[int, str]:
    """Sorts runs oldest first."""
    return run.started, run.run_id


def _stored(run: MlflowRun) -> StoredRun:
    return StoredRun(
        run_id=run.info.run_id,
        name=run.info.run_name or "",
        status=run.info.status,
        tags=dict(run.data.tags),
        params=dict(run.data.params),
        metrics=dict(run.data.metrics),
        started=run.info.start_time or 0,
        ended=run.info.end_time,
        experiment_id=run.info.experiment_id,
        artifact_uri=run.info.artifact_uri or "",
        deleted=run.info.lifecycle_stage == "deleted",
        steps={metric.key: int(metric.step) for metric in run.data._metric_objs},
    )
