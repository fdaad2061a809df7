"""CPU seconds and peak memory of every stage on a table of many rows: run by hand, prints a line a stage.

OMP_NUM_THREADS=1 python tests/benchmarks/scale_data.py                                  1,000,000 rows of 11 columns
OMP_NUM_THREADS=1 python tests/benchmarks/scale_data.py --rows 250000 --stages define freeze
OMP_NUM_THREADS=1 python tests/benchmarks/scale_data.py --keep DIR --stages sweep        goes on in a kept project
OMP_NUM_THREADS=1 python tests/benchmarks/scale_data.py --rows 10000000 --columns 20 --folder --stages define freeze

Each stage is a command in a process of its own. Its CPU seconds and its resident memory are those of the process with
all that it started; memory is looked at every 100 ms. `import` is a command that reads nothing: every stage pays it.
`many_rows.py` has generators and real columns, `scale.py` projects of many runs.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pandas as pd
import psutil
import pyarrow as pa
import pyarrow.parquet as pq

ROWS_A_GROUP = 100_000  # of the Parquet file
ROWS_A_FILE = 1_000_000  # of a folder
SECONDS_BETWEEN = 0.1
CITIES = np.array([f"city {at:02d}" for at in range(40)])
PLANS = np.array(["basic", "family", "business", "student"])
STATEMENT = """---
name: scale
data: rows.parquet
target: churned
task: binary
metric: roc_auc
success: {gain_at_least: 0.01}
gap: cold start
privacy: "not relevant: simulated rows"
evaluation: {share: 0.2}
---
## What gap are we filling?
None: this is a benchmark.
## Why can't real data solve it?
It can.
## What metric decides success, and why?
Any.
## Who owns this, and who may change the evaluation set?
Nobody.
"""


@dataclass(frozen=True)
class Used:
    """What a process and all that it started used."""

    cpu_seconds: float
    peak_mib: float
    """Of resident memory, summed over the processes that ran at the same time."""
    peak_own_mib: float
    """The same without what is mapped from files, which the system takes back where memory is short."""
    exit_code: int


def main() -> None:
    """Read the options, write the table, run the stages."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--columns", type=int, default=11)
    parser.add_argument("--folder", action="store_true", help="a folder of Parquet files, and not one file")
    parser.add_argument("--batch-rows", type=int, help="by default half of the rows")
    parser.add_argument("--generator", default="forest")
    parser.add_argument("--ratios", default="0,25", help="of the sweep; the batch must have as many rows")
    parser.add_argument("--stages", nargs="+", default=["import", "define", "freeze", "generate", "validate", "sweep"])
    parser.add_argument("--keep", type=Path, help="where to keep the project, or to find it again")
    options = parser.parse_args()
    n_rows = options.batch_rows or options.rows // 2
    commands = commands_of(options.generator, n_rows, in_folder=options.folder, ratios=options.ratios)
    with tempfile.TemporaryDirectory() as temporary:
        folder = (options.keep or Path(temporary)).resolve()
        write_table(folder, options.rows, options.columns, in_folder=options.folder)
        print(f"{options.rows:,} rows of {options.columns} columns\n")
        print("| stage | CPU s | MiB at most | without mapped files | exit code |\n|---|---|---|---|---|", flush=True)
        for stage in options.stages:
            used = measured([sys.executable, "-m", "synth_mlflow", *commands[stage]], folder)
            memory = f"{used.peak_mib:,.0f} | {used.peak_own_mib:,.0f}"
            print(f"| {stage} | {used.cpu_seconds:.1f} | {memory} | {used.exit_code} |", flush=True)


def commands_of(generator: str, n_rows: int, *, in_folder: bool = False, ratios: str = "0,25") -> dict[str, list[str]]:
    """The arguments of each stage; of a folder, `identify` takes the first file."""
    return {
        "import": ["list"],
        "define": ["define", "problem.md"],
        "freeze": ["freeze"],
        "generate": ["generate", generator, "--rows", str(n_rows), "--purpose", "a benchmark"],
        "validate": ["validate"],
        "sweep": ["sweep", "--ratios", ratios, "--repeats", "3"],
        "identify": ["identify", "rows.parquet/part-000.parquet" if in_folder else "rows.parquet"],
        "verify": ["verify"],
    }


def write_table(folder: Path, n_rows: int, n_columns: int, *, in_folder: bool = False) -> None:
    """The statement and the table, a group of rows after the other; what is there already stays."""
    path = folder / "rows.parquet"
    if path.exists():
        return
    (path if in_folder else folder).mkdir(parents=True, exist_ok=True)
    (folder / "problem.md").write_text(STATEMENT)
    rows_a_file = ROWS_A_FILE if in_folder else n_rows
    for first in range(0, n_rows, rows_a_file):
        stop, writer = min(first + rows_a_file, n_rows), None
        for at in range(first, stop, ROWS_A_GROUP):
            group = simulated(min(ROWS_A_GROUP, stop - at), n_columns, np.random.default_rng([1, at]))
            table = pa.Table.from_pandas(group, preserve_index=False)
            file = path / f"part-{first // rows_a_file:03d}.parquet" if in_folder else path
            writer = writer or pq.ParquetWriter(file, table.schema)
            writer.write_table(table)
        if writer is not None:
            writer.close()


def simulated(n_rows: int, n_columns: int, rng: np.random.Generator) -> pd.DataFrame:
    """Customers: whole numbers, a count, categories, a target that depends on them, and numbers that follow others.

    Returns
    -------
    DataFrame of shape (n_rows, n_columns), at least 11 columns
    """
    age, visits = rng.integers(18, 90, n_rows), rng.poisson(4, n_rows)
    spend = np.round(rng.lognormal(3, 0.8, n_rows) + visits, 2)
    plan = rng.integers(0, len(PLANS), n_rows)
    columns = {
        "age": age,
        "visits": visits,
        "spend": spend,
        "balance": np.where(rng.random(n_rows) < 0.05, np.nan, np.round(rng.normal(500, 200, n_rows), 2)),
        "distance": np.round(rng.gamma(2, 10, n_rows), 3),
        "score": rng.normal(age / 90, 1, n_rows),
        "usage": rng.normal(np.log(spend), 1, n_rows),
        "plan": PLANS[plan],
        "city": CITIES[np.minimum(rng.geometric(0.1, n_rows), len(CITIES)) - 1],
        "device": np.where(rng.random(n_rows) < 0.6, "phone", "computer"),
    }
    risk = 0.03 * (age - 50) + 0.4 * (plan == 1) - 0.2 * visits + 0.3 * columns["usage"] - 0.8
    target = np.where(rng.random(n_rows) < 1 / (1 + np.exp(-risk)), "yes", "no")
    more = {f"more_{at}": rng.normal(columns["score"], 1 + at, n_rows) for at in range(n_columns - 11)}
    return pd.DataFrame({**columns, **more, "churned": target})


def measured(command: list[str], folder: Path) -> Used:
    """Run a command and look at it and at its children until it ends; what it says goes to `log` in the folder."""
    environment = {**os.environ, "MLFLOW_TRACKING_URI": f"sqlite:///{folder / 'mlflow.db'}"}
    with (folder / "log").open("ab") as log:
        process = psutil.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log)
        peak, peak_own, seconds = 0, 0, {}
        while process.poll() is None:
            resident, own = _look(process, seconds)
            peak, peak_own = max(peak, resident), max(peak_own, own)
            time.sleep(SECONDS_BETWEEN)
    return Used(sum(seconds.values()), peak / 2**20, peak_own / 2**20, process.returncode)


def _look(process: psutil.Process, seconds: dict[int, float]) -> tuple[int, int]:
    """Bytes of resident memory of a process and its descendants, also without mapped files; notes CPU seconds."""
    resident = own = 0
    try:
        for each in (process, *process.children(recursive=True)):
            with each.oneshot():
                found = each.memory_info()
                resident, own = resident + found.rss, own + found.rss - getattr(found, "shared", 0)
                seconds[each.pid] = each.cpu_times().user + each.cpu_times().system
    except (psutil.NoSuchProcess, subprocess.SubprocessError):
        pass  # it ended while we looked
    return resident, own


if __name__ == "__main__":
    main()
