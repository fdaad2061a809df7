"""Where the demo's time goes: seconds by stage, the tracking cost of a child run, and of keeping the model.

Run by hand: ``python tests/benchmarks/demo.py``. It works in a fresh folder with a fresh SQLite store.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

RUNS = 3


def main() -> None:
    """Print the split."""
    print(f"synth-mlflow --help      {help_seconds():.3f} s (median of 5)")
    begun = time.perf_counter()
    import synth_mlflow.workflow  # noqa: F401 - the import is what is timed

    print(f"import of everything     {time.perf_counter() - begun:.2f} s")
    splits: dict[str, list[float]] = defaultdict(list)
    for _ in range(RUNS):
        for name, value in one_demo().items():
            splits[name].append(value)
    print(f"\nmedians of {RUNS} demos, each on a fresh store")
    for name, values in splits.items():
        print(f"{name:<34} {statistics.median(values):8.3f}")


def help_seconds() -> float:
    """Wall time of `--help` in a process of its own."""
    times = []
    for _ in range(5):
        begun = time.perf_counter()
        subprocess.run([sys.executable, "-m", "synth_mlflow", "--help"], check=True, capture_output=True)
        times.append(time.perf_counter() - begun)
    return statistics.median(times)


def one_demo() -> dict[str, float]:
    """Seconds by stage and by kind of request of one demo."""
    from synth_mlflow.cli.templates import write_demo
    from synth_mlflow.workflow import Workflow

    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        split: dict[str, float] = {}
        write_demo(Path(folder))
        workflow = timed(
            split, "open a fresh SQLite store, s", lambda: Workflow("demo", f"sqlite:///{folder}/mlflow.db")
        )
        spent = watch(workflow.project.server.client)
        partner = Path(folder) / "partner_clinic.csv"
        timed(split, "define, s", lambda: workflow.define("problem.md"))
        timed(split, "freeze with baseline, s", workflow.freeze)
        batch = timed(
            split,
            "generate, s",
            lambda: workflow.generate("gaussian_copula", rows=288, purpose="benchmark", source=partner),
        )
        timed(split, "validate, s", lambda: workflow.validate(batch, source=partner))
        spent.clear()
        timed(split, "sweep, s", workflow.sweep)
        of_children = [
            spent[name] for name in ("create_run", "update_run", "log_batch", "log_inputs", "set_terminated")
        ]
        split["  tracking a child run of it, ms"] = 1000 * sum(map(sum, of_children)) / len(spent["log_batch"])
        split["  keeping and registering the model, s"] = sum(map(sum, (spent[name] for name in MODEL_CALLS)))
        split["  requests in all"] = float(sum(map(len, spent.values())))
        timed(split, "report, s", lambda: workflow.report("handoff.html"))
        os.chdir("/")
        return split


RUN_CALLS = ("create_run", "update_run", "log_batch", "log_inputs", "set_terminated")
MODEL_CALLS = (
    "create_registered_model",
    "search_model_versions",
    "create_logged_model",
    "log_model_artifacts",
    "finalize_logged_model",
    "log_outputs",
    "create_model_version",
)


def timed(split: dict[str, float], name: str, work: Callable[[], Any]) -> Any:
    """Do it, and keep how long it took."""
    begun = time.perf_counter()
    result = work()
    split[name] = time.perf_counter() - begun
    return result


def watch(client: Any) -> dict[str, list[float]]:
    """Seconds of every call of an MLflow client, by method."""
    spent: dict[str, list[float]] = defaultdict(list)

    def watched(name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            begun = time.perf_counter()
            try:
                return method(*args, **kwargs)
            finally:
                spent[name].append(time.perf_counter() - begun)

        return call

    for name in dir(client):
        if not name.startswith("_") and callable(getattr(client, name)):
            setattr(client, name, watched(name, getattr(client, name)))
    return spent


if __name__ == "__main__":
    main()
