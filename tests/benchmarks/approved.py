"""Load 1,000,000 approved rows by name, against reading their Parquet file; and how the time grows with a project.

Run by hand: ``python tests/benchmarks/approved.py [--rows 1000000] [--repeats 15] [--runs 400]``. Wall and CPU seconds,
the least of some repeats, in one process that has loaded everything. The store is SQLite on this machine. ``--runs``
adds as many runs that no gate reads, and as many that are read with the others.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import pandas as pd
import shop

from synth_mlflow import Workflow, load_batch
from synth_mlflow.tracking import names


def wide(n_rows: int, seed: int) -> pd.DataFrame:
    """The shop's rows with five further numbers: 11 columns."""
    rng, rows = np.random.default_rng(seed), shop.customers(n_rows, seed)
    for number in range(5):
        rows.insert(0, f"x{number}", rng.normal(size=n_rows).round(3))
    return rows


def least(what: str, repeats: int, one: Callable[[], object]) -> tuple[float, float]:
    """The least wall and CPU seconds of some calls, printed."""
    times = []
    for _ in range(repeats):
        wall, cpu = time.perf_counter(), time.process_time()
        one()
        times.append((time.perf_counter() - wall, time.process_time() - cpu))
    found = min(each[0] for each in times), min(each[1] for each in times)
    print(f"{what:<44} wall {found[0]:7.3f} s   CPU {found[1]:7.3f} s", flush=True)
    return found


def main() -> None:
    """Make the project, and time."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--runs", type=int, default=400)
    given = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="approved-"))
    os.chdir(folder)
    problem, uri = shop.write_shop(folder, wide(2_000, 1)), f"sqlite:///{folder / 'mlflow.db'}"
    workflow = Workflow("shop", uri)
    workflow.define(problem)
    workflow.freeze()
    law = {"generator": "law", "version": "1", "params": {}, "seed": 2, "slice": None}
    with workflow.batch(**law, purpose="a benchmark", source="none") as b:
        b.write(wide(given.rows, 2))
    begun = time.process_time()
    workflow.validate()
    print(f"validate {given.rows:,} rows: {time.process_time() - begun:.1f} CPU s")
    begun = time.process_time()
    workflow.approve(b.batch, name="young")
    print(f"approve: {time.process_time() - begun:.1f} CPU s")

    def load() -> pd.DataFrame:
        return load_batch("shop/young@approved", tracking_uri=uri).to_pandas()

    path = load_batch("shop/young@approved", tracking_uri=uri).path
    read = least("pandas.read_parquet of the file", given.repeats, lambda: pd.read_parquet(path))
    loaded = least("load_batch(...).to_pandas()", given.repeats, load)
    print(f"ratio: wall {loaded[0] / read[0]:.2f}, CPU {loaded[1] / read[1]:.2f}; must be at most 1.2")
    least("load_batch(...) alone", given.repeats, lambda: load_batch("shop/young@approved", tracking_uri=uri))
    least("load_batch(..., deep=True).to_pandas()", 2,
          lambda: load_batch("shop/young@approved", tracking_uri=uri, deep=True).to_pandas())  # fmt: skip
    client, experiment = workflow.project.server.client, workflow.project.server.experiment_id
    for stage in ("ratio", "search"):
        for _ in range(given.runs):
            run = client.create_run(experiment, tags={names.TAG_STAGE: stage, names.TAG_SCHEMA: names.SCHEMA})
            client.set_terminated(run.info.run_id)
        least(f"load_batch alone, {given.runs:,} {stage} runs more", 3,
              lambda: load_batch("shop/young@approved", tracking_uri=uri))  # fmt: skip


if __name__ == "__main__":
    main()
