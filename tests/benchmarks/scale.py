"""How long the verbs that read take on a project as large as years leave it: run by hand, prints seconds and requests.

OMP_NUM_THREADS=1 python tests/benchmarks/scale.py                                      1,000 batches, 20 sweeps
OMP_NUM_THREADS=1 python tests/benchmarks/scale.py --batches 2000 --sweeps 200 --http   over `mlflow server`

The project is the demo's with a sweep of 20 ratios; its batch and its sweep are copied in the database.
"""

from __future__ import annotations

import argparse
import os
import resource
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.request import urlopen

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from many_runs import grow
from watched import counted

from synth_mlflow import Workflow
from synth_mlflow.cli.templates import write_demo

RATIOS = tuple(at * 0.04 for at in range(20))
PORT = 5917
SETTLING = 45  # seconds


def main() -> None:
    """Read the options, build the project, time each verb."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batches", type=int, default=1_000)
    parser.add_argument("--sweeps", type=int, default=20)
    parser.add_argument("--inside", type=int, default=50, help="how many batches the model holds")
    parser.add_argument("--http", action="store_true")
    parser.add_argument("--workers", type=int, default=1, help="of `mlflow server`")
    parser.add_argument("--keep", type=Path, help="where to keep the project, or to find it again")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = (options.keep or Path(temporary)).resolve()
        if not (folder / "mlflow.db").exists():
            build(folder, options.batches, options.sweeps, options.inside)
        uri = f"sqlite:///{folder / 'mlflow.db'}"
        if options.http:
            with served(uri, options.workers) as address:
                measure(address, folder)
            used = resource.getrusage(resource.RUSAGE_CHILDREN)
            print(f"the server used {used.ru_utime + used.ru_stime:.1f} s of CPU, its start among them")
        else:
            measure(uri, folder)


def build(folder: Path, n_batches: int, n_sweeps: int, n_inside: int) -> None:
    """The demo's project with a sweep over 20 ratios, grown by copies."""
    write_demo(folder)
    os.chdir(folder)  # MLflow puts artifacts under the working directory
    workflow = Workflow("scale", f"sqlite:///{folder / 'mlflow.db'}")
    workflow.define(folder / "problem.md")
    workflow.freeze()
    source = folder / "partner_clinic.csv"
    workflow.generate("gaussian_copula", rows=400, purpose="large tumours", source=source)
    workflow.validate(source=source)
    workflow.sweep(RATIOS, repeats=3)
    workflow.report()
    begun = time.perf_counter()
    grow(folder / "mlflow.db", n_batches=n_batches - 1, n_sweeps=n_sweeps - 1, n_inside=n_inside)
    print(f"grown in {time.perf_counter() - begun:.1f} s")


@contextmanager
def served(uri: str, workers: int) -> Iterator[str]:
    """An `mlflow server` on that database."""
    command = ["mlflow", "server", "--backend-store-uri", uri, "--port", str(PORT), "--workers", str(workers)]
    address = f"http://127.0.0.1:{PORT}"
    process = subprocess.Popen([sys.executable, "-m", *command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(120):
            time.sleep(1)
            with suppress(OSError):
                urlopen(f"{address}/health", timeout=2).close()
                break
        time.sleep(SETTLING)  # its workers and job runners go on importing after it has answered for the first time
        yield address
    finally:
        process.terminate()
        process.wait()


def measure(uri: str, folder: Path) -> None:
    """Time every verb that reads, and count what it asks of the server."""
    with closing(sqlite3.connect(folder / "mlflow.db")) as database:
        print(f"{database.execute('SELECT count(*) FROM runs').fetchone()[0]:,} runs at {uri}")
    page = folder / "handoff.html"
    verbs: dict[str, Callable[[Workflow], Any]] = {
        "status": lambda workflow: workflow.status(),
        "check": lambda workflow: workflow.check(),
        "trace model": lambda workflow: workflow.trace("models:/scale/1"),
        "trace batch": lambda workflow: workflow.trace("copy-0001"),
        "report": lambda workflow: workflow.report(page, limits=folder / "limits.md"),
    }
    for name, verb in verbs.items():
        workflow, asked = counted(Workflow("scale", uri))
        wall, cpu = time.perf_counter(), time.process_time()
        verb(workflow)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        most = ", ".join(f"{count} {what}" for what, count in asked.most_common(4))
        print(f"{name:<12} {wall:6.1f} s wall {cpu:6.1f} s CPU   {asked.total()} requests: {most}")
    print(f"handoff.html has {page.stat().st_size / 1e6:.1f} MB")
    print(f"at most {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6:.1f} GB of memory")


if __name__ == "__main__":
    main()
