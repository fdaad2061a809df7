"""Where the fits of a sweep run: on this machine, or on a cluster; the numbers are the same."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, get_args

from joblib import Parallel, delayed
from threadpoolctl import threadpool_limits

from synth_mlflow.errors import UsageError, closest
from synth_mlflow.models.command import CommandTrainer
from synth_mlflow.sweep.evaluator import Failed, FitJob, RawFit
from synth_mlflow.sweep.plan import FitKey

SCHEDULER = "SYNTH_MLFLOW_SCHEDULER"
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
        Address of a Dask scheduler, such as ``tcp://10.0.0.1:8786``; by default what `SCHEDULER` in the environment
        says.

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
    scheduler = scheduler or os.environ.get(SCHEDULER, "")
    if not scheduler:
        raise UsageError(
            "the engine `dask` needs the address of a scheduler.",
            f"Give `--scheduler tcp://HOST:8786`, or `export {SCHEDULER}=tcp://HOST:8786`; the page on the sweep in "
            "the documentation says how to start one.",
        )

    from synth_mlflow.sweep.dask_executor import DaskCluster  # needs the extra

    return DaskCluster(scheduler)
