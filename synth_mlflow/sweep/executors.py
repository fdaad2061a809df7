"""Where the fits of a sweep run: on this machine, or on a cluster; the numbers are the same.

Fits on the workers of a Dask cluster; what a dead worker had begun is done again by another.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import metadata
from typing import Any, Literal, Protocol, get_args

from joblib import Parallel, delayed
from threadpoolctl import threadpool_limits

from synth_mlflow.errors import SynthError, UsageError, closest
from synth_mlflow.models.command import CommandTrainer
from synth_mlflow.sweep.evaluator import Failed, FitJob, RawFit
from synth_mlflow.sweep.plan import FitKey

EngineName = Literal["local", "dask"]
ENGINES: tuple[EngineName, ...] = get_args(EngineName)


class Engine(Protocol):
    """Runs fits in any order; each is reported once, whatever happens to whoever made it."""

    @property
    def words(self) -> str:
        """What it is, for the record."""
        ...

    def run(self, work: FitJob, keys: Sequence[FitKey]) -> Iterator[RawFit | Failed]:
        """Do every fit; tells of each as it ends."""
        ...


@dataclass(frozen=True)
class Threads:
    """This machine: one thread a fit, and several fits at a time that share the tables."""

    n_jobs: int = -1
    """Fits at a time; -1 takes every core."""

    @property
    def words(self) -> str:
        """What it is, for the record."""
        return "local"

    def run(self, work: FitJob, keys: Sequence[FitKey]) -> Iterator[RawFit | Failed]:
        """Do every fit; tells of each as it ends."""
        jobs = (delayed(work.do)(key) for key in keys)
        with threadpool_limits(limits=1):  # several threads a fit wait for each other on a busy machine
            results = Parallel(n_jobs=self._n_jobs(work), require="sharedmem", return_as="generator_unordered")(jobs)
            try:
                for result in results:  # noqa: UP028 (`yield from` would close them before `finally` does)
                    yield result
            finally:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")  # joblib complains of fits that nobody waits for after a refusal
                    results.close()

    def _n_jobs(self, work: FitJob) -> int:
        """A command may take every core itself, so that one runs at a time unless a person says another number."""
        return 1 if self.n_jobs == -1 and isinstance(work.trainer, CommandTrainer) else self.n_jobs


def open_engine(name: EngineName = "local", *, n_jobs: int = -1, scheduler: str = "") -> Engine:
    """The engine of that name.

    Parameters
    ----------
    name : {"local", "dask"}
    n_jobs : int
        Fits at a time on this machine.
    scheduler : str
        Address of a Dask scheduler, such as ``tcp://10.0.0.1:8786``.

    Raises
    ------
    UsageError
        If the name is unknown, or the scheduler is missing or of no use.
    """
    if name not in ENGINES:
        raise UsageError(f"engine {name!r} is unknown. {closest(name, ENGINES)}")
    if name == "local":
        if scheduler:
            raise UsageError(f"scheduler {scheduler} was given for the local engine.", "Add `--engine dask`.")
        return Threads(n_jobs)
    if not scheduler:
        raise UsageError(
            "the engine `dask` needs the address of a scheduler.",
            "Give `--scheduler tcp://HOST:8786`; the page on the sweep in the documentation says how to start one.",
        )
    pass  # needs the extra

    return DaskCluster(scheduler)


try:
    from distributed import Client, Future, KilledWorker, as_completed
    from distributed.client import FutureCancelledError
except ModuleNotFoundError as error:
    raise UsageError(
        f"the engine `dask` needs {error.name}.", "Install it: `pip install 'synth_mlflow[dask]'`."
    ) from None

SECONDS_TO_CONNECT = 30
SECONDS_TO_WAIT = 60  # for the first worker, and for another one when all have died
ROUNDS = 5  # how often the tables are sent again after every worker that held them has died
MATTERING = ("synth_mlflow", "lightgbm", "scikit-learn", "numpy", "pandas")
"""Packages whose version must be the same everywhere, since the numbers depend on it."""


@dataclass(frozen=True)
class DaskCluster:
    """A cluster that runs already. The tables travel to each worker once, the numbers of each fit come back."""

    scheduler: str

    @property
    def words(self) -> str:
        """What it is, for the record."""
        return f"dask {metadata.version('distributed')}"

    def run(self, work: FitJob, keys: Sequence[FitKey]) -> Iterator[RawFit | Failed]:
        """Do every fit; tells of each as it ends.

        Raises
        ------
        UsageError
            If the scheduler does not answer, or a worker has other versions of the packages that matter.
        SynthError
            If no worker is left, or all die again and again.
        """
        missing = dict.fromkeys(keys)
        with self._client() as client:
            for _ in range(ROUNDS):
                _await_worker(client)
                _refuse_other_versions(client)
                for found in _round(client, work, list(missing)):
                    del missing[found.key]
                    yield found
                if not missing:
                    return
        raise SynthError(
            f"all workers of {self.scheduler} died in {ROUNDS} rounds; {len(missing):,} fits are missing.",
            "Give the workers more memory, and run the same sweep again: the fits that were made are kept.",
        )

    def _client(self) -> Any:
        try:
            return Client(self.scheduler, timeout=SECONDS_TO_CONNECT, set_as_default=False)
        except (OSError, TimeoutError, ValueError) as error:
            raise UsageError(
                f"the Dask scheduler {self.scheduler} does not answer: {error}.",
                "Start it with `dask scheduler`, and its workers with `dask worker ADDRESS --nthreads 1`.",
            ) from error


def _round(client: Any, work: FitJob, keys: list[FitKey]) -> Iterator[RawFit | Failed]:
    """Send the tables to every worker and collect what the fits give; what was lost with its workers is left out."""
    shared = client.scatter(work, broadcast=True, hash=False)
    futures = {client.submit(_do, shared, key, pure=False): key for key in keys}
    for future in as_completed(futures, loop=client.loop):
        found = _result(future, futures[future])
        if found is not None:
            yield found


def _do(work: FitJob, key: FitKey) -> RawFit | Failed:
    return work.do(key)


def _result(future: Future, key: FitKey) -> RawFit | Failed | None:
    """What a fit gave; None where the tables were lost before it ran."""
    try:
        found: RawFit | Failed = future.result()
    except KilledWorker as error:
        return Failed(key, f"{error.last_worker.address} and others died of this fit; it may need more memory")
    except FutureCancelledError:
        return None
    future.release()
    return found


def _await_worker(client: Any) -> None:
    try:
        client.wait_for_workers(1, timeout=SECONDS_TO_WAIT)
    except TimeoutError:
        raise SynthError(
            f"the Dask scheduler {client.scheduler.address} has no worker, after {SECONDS_TO_WAIT} s.",
            f"Start some: `dask worker {client.scheduler.address} --nthreads 1`.",
        ) from None


def _refuse_other_versions(client: Any) -> None:
    here = _versions()
    for worker, there in client.run(_versions).items():
        for name in MATTERING:
            if there[name] != here[name]:
                raise UsageError(
                    f"worker {worker} has {name} {there[name]}, this machine {here[name]}: the numbers would differ.",
                    "Install the same versions everywhere.",
                )


def _versions() -> dict[str, str]:
    """Of the packages that matter, on the machine that runs this; empty for one that is missing."""
    return {name: _version(name) for name in MATTERING}


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""
