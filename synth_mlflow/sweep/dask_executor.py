"""Fits on the workers of a Dask cluster; what a dead worker had begun is done again by another."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import metadata
from typing import Any

from synth_mlflow.errors import SynthError, UsageError
from synth_mlflow.sweep.evaluator import Failed, FitJob, RawFit
from synth_mlflow.sweep.plan import FitKey

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
    """A cluster that runs already. The tables travel to each worker once, the numbers of each fit come back.

    Neither passes through the scheduler where workers answer this machine.
    """

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
                for result in _round(client, work, list(missing)):
                    del missing[result.key]
                    yield result
                if not missing:
                    return
        raise SynthError(
            f"all workers of {self.scheduler} died in {ROUNDS} rounds; {len(missing):,} fits are missing.",
            "Give the workers more memory, and run the same sweep again: the fits that were made are kept.",
        )

    def _client(self) -> Any:
        try:
            return Client(self.scheduler, timeout=SECONDS_TO_CONNECT, set_as_default=False, direct_to_workers=True)
        except (OSError, TimeoutError, ValueError) as error:
            raise UsageError(
                f"the Dask scheduler {self.scheduler} does not answer: {error}.",
                "Start it with `dask scheduler`, and its workers with `dask worker ADDRESS --nthreads 1`.",
            ) from error


def _round(client: Any, work: FitJob, keys: list[FitKey]) -> Iterator[RawFit | Failed]:
    """Send the tables to every worker and collect what the fits give; what was lost with its workers is left out."""
    shared = _sent(client, work)
    futures = {client.submit(_do, shared, key, pure=False): key for key in keys}
    for future in as_completed(futures, loop=client.loop):
        result = _result(future, futures[future])
        if result is not None:
            yield result


def _sent(client: Any, work: FitJob) -> Any:
    """The tables on every worker: straight to one of them, which hands them on; by the scheduler where none answers."""
    try:
        return client.scatter(work, broadcast=True, hash=False)
    except OSError:  # workers of a network that only the scheduler reaches
        return client.scatter(work, broadcast=True, hash=False, direct=False)


def _do(work: FitJob, key: FitKey) -> RawFit | Failed:
    return work.do(key)


def _result(future: Future, key: FitKey) -> RawFit | Failed | None:
    """What a fit gave; None where the tables were lost before it ran."""
    try:
        result: RawFit | Failed = future.result()
    except KilledWorker as error:
        return Failed(key, f"{error.last_worker.address} and others died of this fit; it may need more memory")
    except FutureCancelledError:
        return None
    future.release()
    return result


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
