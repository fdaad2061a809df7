"""How fast and how right the three checks are on the known-answer tables: run by hand, prints two tables.

OMP_NUM_THREADS=2 python tests/benchmarks/validation.py                 verdicts and seconds, 50,000 rows a batch
OMP_NUM_THREADS=2 python tests/benchmarks/validation.py --stage         the whole stage, pictures and logging included
OMP_NUM_THREADS=2 python tests/benchmarks/validation.py --rows 500000   time and memory on a larger batch
OMP_NUM_THREADS=2 python tests/benchmarks/validation.py --sdmetrics VENV/bin/python    beside SDMetrics in its own venv
"""

from __future__ import annotations

import argparse
import io
import itertools
import os
import resource
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from synth_mlflow import Workflow
from synth_mlflow.checks import Check, CheckInput, Judgement, judge
from synth_mlflow.checks.fidelity import Fidelity
from synth_mlflow.checks.privacy import Privacy
from synth_mlflow.checks.utility import Utility
from synth_mlflow.data.columns import normalise
from synth_mlflow.data.task import Task

fidelity = Fidelity()
privacy = Privacy()
utility = Utility()

ORACLES = Path(__file__).resolve().parents[3] / "shared" / "oracles" / "validation"
CHECKS: dict[str, Check] = {"fidelity": fidelity, "utility": utility, "privacy": privacy}
BATCHES = ("ideal", "gc", "cart", "smote", "leak05", "clean")
TASK = Task("default", "binary")
STATEMENT = """---
name: oracle
data: rows.parquet
target: default
task: binary
metric: roc_auc
success: {gain_at_least: 0.01}
gap: privacy block
privacy: relevant
sensitive: [education]
evaluation: {share: 0.1667}
---
## What gap are we filling?
None: a benchmark.
## Why can't real data solve it?
It can.
## What metric decides success, and why?
Any.
## Who owns this, and who may change the evaluation set?
Nobody.
"""
SDMETRICS = """
import sys, time, pandas as pd
from sdmetrics.reports.single_table import QualityReport
real, batch = pd.read_parquet(sys.argv[1]), pd.read_parquet(sys.argv[2])
kind = lambda c: "numerical" if pd.api.types.is_numeric_dtype(real[c]) else "categorical"
start = time.perf_counter()
QualityReport().generate(real, batch, {"columns": {c: {"sdtype": kind(c)} for c in real}}, verbose=False)
print(time.perf_counter() - start)
"""


def main() -> None:
    """Read the options and print what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=0)
    parser.add_argument("--stage", action="store_true")
    parser.add_argument("--batch", default="ideal", help="of the stage")
    parser.add_argument("--keep", type=Path, help="a folder for the stage's pictures")
    parser.add_argument("--sdmetrics", type=Path)
    options = parser.parse_args()
    if options.stage:
        stage(options.batch, options.keep)
    elif options.rows:
        larger(options.rows)
    else:
        known_answers(options.sdmetrics)


def known_answers(sdmetrics: Path | None) -> None:
    """Verdicts and seconds on every known-answer batch of both sizes, figures rendered as the stage does."""
    tables = {name: _table(name) for name in ("real", "small_real", "holdout")}
    for world, name in itertools.product(("syn", "small"), BATCHES):
        path = ORACLES / f"{world}_{name}.parquet"
        if not path.exists():
            continue
        members, total = tables["real" if world == "syn" else "small_real"], 0.0
        evidence = CheckInput(_table(path.stem), members, tables["holdout"], TASK, "roc_auc", 0)
        for check, ruling, seconds in _ruled(evidence):
            total += seconds
            print(f"{path.stem:12} {check:9} {ruling.verdict:13} {seconds:6.1f} CPU s", flush=True)
            for reason in ruling.reasons[: 3 if ruling.verdict == "fail" else 1]:
                print(f"{'':23}{reason[:130]}", flush=True)
        print(f"{path.stem:12} {'together':9} {'':13} {total:6.1f} CPU s", flush=True)
        if sdmetrics and world == "syn":
            command = [str(sdmetrics), "-c", SDMETRICS, str(ORACLES / "real.parquet"), str(path)]
            peer = float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
            print(f"{name:8} SDMetrics {'quality only':13} {peer:6.1f} s  ours / theirs {total / peer:.2f}", flush=True)


def stage(name: str, keep: Path | None) -> None:
    """Wall and CPU seconds and peak memory of `validate` on a store of its own: 50,000 members, 10,000 controls."""
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        pd.concat([_table("real"), _table("holdout")]).to_parquet("rows.parquet")
        Path("problem.md").write_text(STATEMENT)
        workflow = Workflow("oracle", f"sqlite:///{folder}/mlflow.db")
        workflow.define("problem.md")
        workflow.freeze()
        made_by = {"generator": name, "version": "1", "params": {}, "seed": 0, "slice": None, "purpose": "benchmark"}
        with workflow.batch(**made_by, source="none") as b:
            b.write(_table(f"syn_{name}"))
        assert b.batch is not None
        start, used = time.perf_counter(), time.process_time()
        verdict = workflow.validate(b.batch)
        wall, cpu = time.perf_counter() - start, time.process_time() - used
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
        spent = f"{wall:.1f} s wall, {cpu:.1f} CPU s, peak {peak:.2f} GB, load {os.getloadavg()[0]:.1f}"
        print(f"{name}: {verdict.verdict}, {spent}")
        for check in verdict.checks:
            print(f"  {check.check}: {check.verdict}; {check.reasons[0]}")
        if keep:
            for picture in Path(folder).rglob("*.png"):
                shutil.copy(picture, keep / picture.name)


def larger(n_rows: int) -> None:
    """Seconds and peak memory where members and batch are ``n_rows`` long; rows repeat, so no verdict is right."""
    world = _table("real").sample(n_rows, replace=True, random_state=0, ignore_index=True)
    batch = _table("syn_ideal").sample(n_rows, replace=True, random_state=1, ignore_index=True)
    for check, _, seconds in _ruled(CheckInput(batch, world, _table("holdout"), TASK, "roc_auc", 0)):
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
        print(f"{n_rows:,} rows {check:9} {seconds:6.1f} CPU s, {peak:.2f} GB so far", flush=True)


def _ruled(evidence: CheckInput) -> Iterator[tuple[str, Judgement, float]]:
    for name, check in CHECKS.items():
        start = time.process_time()
        result = check.run(evidence, check.defaults)
        for figure in result.figures.values():
            figure.savefig(io.BytesIO(), dpi=100)
        seconds = time.process_time() - start
        yield name, judge(result.probes, result.inconclusive, check.defaults["alpha"]), seconds


def _table(name: str) -> pd.DataFrame:
    return normalise(pd.read_parquet(ORACLES / f"{name}.parquet"))


if __name__ == "__main__":
    main()
