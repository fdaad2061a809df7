"""What a light verb costs against MLflow's client with one search: run by hand, prints ratios of CPU time.

OMP_NUM_THREADS=1 python tests/benchmarks/start_up.py              9 pairs of each verb on the demo's project
OMP_NUM_THREADS=1 python tests/benchmarks/start_up.py --pairs 25 --batches 40 --sweeps 6

Verb and client run in turn, each a process of its own, so that what the machine does beside them falls on both.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from many_runs import grow

from synth_mlflow import Workflow
from synth_mlflow.cli.templates import write_demo
from synth_mlflow.tracking import names

EXPERIMENT = "start-up"
CLIENT = f"""
import sys
from mlflow.tracking import MlflowClient
client = MlflowClient(tracking_uri=sys.argv[1])
client.search_runs([client.get_experiment_by_name("{EXPERIMENT}").experiment_id])
"""
WITH_PROJECT = ("status", "check")
"""At most 1.15 times the CPU of the client."""
WITHOUT_PROJECT = {"list": ("list",), "show": ("show",), "usage error": ("frobnicate",), "help": ("--help",)}
"""At most 1.0 s; an error of usage at most 0.3 s."""


def main() -> None:
    """Read the options, make the project, measure each verb beside the client."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=9)
    parser.add_argument("--batches", type=int, default=4)
    parser.add_argument("--sweeps", type=int, default=3)
    parser.add_argument("--only", nargs="*", help="the verbs to measure; by default all")
    parser.add_argument("--keep", type=Path, help="where to keep the project, or to find it again")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = (options.keep or Path(temporary)).resolve()
        if not (folder / "mlflow.db").exists():
            build(folder, options.batches, options.sweeps)
        os.chdir(folder)
        uri = f"sqlite:///{folder / 'mlflow.db'}"
        client = (sys.executable, "-c", CLIENT, uri)
        verbs = {verb: command(verb, "--experiment", EXPERIMENT, "--tracking-uri", uri) for verb in WITH_PROJECT}
        verbs |= {name: command(*given, *batch_file(name, folder)) for name, given in WITHOUT_PROJECT.items()}
        for name, arguments in ((name, each) for name, each in verbs.items() if name in (options.only or verbs)):
            pairs = [(cpu_seconds(arguments), cpu_seconds(client)) for _ in range(options.pairs)]
            ratios = sorted(verb / against for verb, against in pairs)
            seconds = (statistics.median(column) for column in zip(*pairs, strict=True))
            told = "{:5.2f} s, client {:5.2f} s".format(*seconds)
            print(f"{name:<12} {told}, ratio {statistics.median(ratios):.3f} ({ratios[0]:.3f} to {ratios[-1]:.3f})")


def build(folder: Path, n_batches: int, n_sweeps: int) -> None:
    """The demo's project with further batches and sweeps, which are copies."""
    write_demo(folder)
    os.chdir(folder)  # MLflow puts artifacts under the working directory
    workflow = Workflow(EXPERIMENT, f"sqlite:///{folder / 'mlflow.db'}")
    workflow.define(folder / "problem.md")
    workflow.freeze()
    source = folder / "partner_clinic.csv"
    workflow.generate("gaussian_copula", rows=400, purpose="large tumours", source=source)
    workflow.validate(source=source)
    workflow.sweep(repeats=3)
    workflow.report()
    grow(folder / "mlflow.db", n_batches=n_batches - 1, n_sweeps=n_sweeps - 1)


def command(*arguments: str) -> tuple[str, ...]:
    """A command line in a process of its own."""
    return (sys.executable, "-m", "synth_mlflow", *arguments)


def batch_file(verb: str, folder: Path) -> list[str]:
    """The file of a batch, for the verb that shows what is in one."""
    return [str(next(folder.rglob(names.A_BATCH)))] if verb == "show" else []


def cpu_seconds(arguments: Sequence[str]) -> float:
    """User and system time of a process, whatever it exits with."""
    process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, _, used = os.wait4(process.pid, 0)
    process.returncode = 0
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
