"""Many rows straight to Parquet: peak memory and CPU seconds of `generate` and `validate`, by the number of rows.

Run by hand: ``python tests/benchmarks/many_rows.py [--rows 100000 500000 5000000] [--generator forest] [--validate]``.
Each number of rows is made in a process of its own, whose highest resident memory the system counts; the table has 15
columns, of which 8,000 real rows are learned from.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
ADULT = Path(__file__).resolve().parents[3] / "shared" / "data" / "adult.csv"
STATEMENT = """---
name: many
data: rows.csv
target: income
task: binary
metric: roc_auc
success: {gain_at_least: 0.01}
gap: cold start
privacy: "not relevant: public rows"
evaluation: {share: 0.5}
model: {params: {num_iterations: 20}}
---
## What gap are we filling?
None: this is a benchmark.
## Why can't real data solve it?
It has 16,000 rows.
## What metric decides success, and why?
None.
## Who owns this, and who may change the evaluation set?
Nobody.
"""


def one(folder: Path, generator: str, rows: int, validate: bool) -> None:
    """Make one batch in this process, and print a line of the table."""
    import time

    from synth_mlflow import Workflow

    workflow = Workflow("many", f"sqlite:///{folder / 'mlflow.db'}")
    (folder / "problem.md").write_text(STATEMENT)
    lines = ADULT.read_text().splitlines(keepends=True)
    (folder / "rows.csv").write_text("".join(lines[:16_001]))
    workflow.define(folder / "problem.md")
    workflow.freeze()
    before, begun = _peak_mib(), time.process_time()
    batch = workflow.generate(generator, rows=rows, seed=1, purpose="a benchmark")
    made, seconds = _peak_mib(), time.process_time() - begun
    stored = workflow.project.batch(batch.batch)
    size = workflow.project.reader.file(stored.run, "batch/data.parquet").stat().st_size / 1e6
    told = [f"{rows:,}", f"{before:,.0f}", f"{made:,.0f}", f"{seconds:,.0f}", f"{size:,.0f}"]
    if validate:
        begun = time.process_time()
        verdict = workflow.validate(batch)
        told += [f"{_peak_mib():,.0f}", f"{time.process_time() - begun:,.0f}", getattr(verdict, "verdict", "")]
    print("|", " | ".join(told), "|", flush=True)


def _peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[100_000, 500_000, 5_000_000])
    parser.add_argument("--generator", default="forest")
    parser.add_argument("--validate", action="store_true")
    parser.add_argument("--in-this-process", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.in_this_process:
        os.chdir(arguments.in_this_process)
        one(arguments.in_this_process, arguments.generator, arguments.rows[0], arguments.validate)
        return
    columns = ["rows", "MiB before", "MiB at most", "CPU s", "file MB"]
    columns += ["MiB with validate", "CPU s", "verdict"] if arguments.validate else []
    print("|", " | ".join(columns), "|\n|" + "---|" * len(columns), flush=True)
    more = ["--validate"] if arguments.validate else []
    for rows in arguments.rows:
        with tempfile.TemporaryDirectory() as folder:
            asked = ["--rows", str(rows), "--generator", arguments.generator, *more, "--in-this-process", folder]
            subprocess.run([sys.executable, __file__, *asked], check=True)


if __name__ == "__main__":
    main()
