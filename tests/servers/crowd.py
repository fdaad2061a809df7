"""Several processes that write batches to one server at once, and what is there afterwards."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

import shop
from started import PATIENT, fork

from synth_mlflow import Workflow

WORKERS = 8
ROWS = 20


@dataclass(frozen=True)
class Crowd:
    """What came of it."""

    written: int
    """Batches that the processes say they have written."""
    found: int
    wrong: tuple[str, ...]


def write_at_once(uri: str, experiment: str, folder: Path, seconds: float, workers: int = WORKERS) -> Crowd:
    """Let processes write batches for some seconds, then look at all of them."""
    processes = [
        fork(_keep_writing, uri, experiment, str(folder), seconds, worker, workers) for worker in range(workers)
    ]
    for process in processes:
        process.join()
    wrong = [f"a writer ended with exit code {process.exitcode}" for process in processes if process.exitcode != 0]
    told = dict(line.split() for path in sorted(folder.glob("told-*")) for line in path.read_text().splitlines())
    workflow = Workflow(experiment, uri)
    schema = workflow.project.evaluation_set().schema
    batches = [batch for batch in workflow.project.batches() if batch.run.params["synth.generator"] == "crowd"]
    found = {batch.id: batch.digest for batch in batches}
    if len(found) != len(batches):
        wrong.append(f"{len(batches)} batches share {len(found)} ids")
    if found != told:
        wrong.append(f"{len(set(told) - set(found))} batches are lost, {len(set(found) - set(told))} nobody wrote")
    for batch in batches:
        seed = int(batch.run.params["synth.seed"])
        rows = workflow.project.batch_rows(batch, schema)  # raises unless bytes, content and record match
        if rows["age"].tolist() != shop.customers(ROWS, seed)["age"].tolist():
            wrong.append(f"batch {batch.id} holds the rows of another")
    wrong += [f"{finding.run_name}: {finding.what}" for finding in workflow.verify().findings]
    return Crowd(len(told), len(found), tuple(wrong))


def _keep_writing(uri: str, experiment: str, folder: str, seconds: float, worker: int, workers: int) -> None:
    os.environ.update({"MLFLOW_LOGGING_LEVEL": "ERROR", **PATIENT})
    workflow, deadline, seed = Workflow(experiment, uri), time.monotonic() + seconds, 1_000 + worker
    with Path(folder, f"told-{worker}").open("w") as told:
        while time.monotonic() < deadline or seed < 1_000 + workers:  # each writes one at least
            law = {"generator": "crowd", "version": "1", "params": {}, "seed": seed, "slice": None, "purpose": "more"}
            with workflow.batch(**law, source="none") as b:
                b.write(shop.customers(ROWS, seed))
            told.write(f"{b.batch.batch} {b.batch.digest}\n")
            told.flush()
            seed += workers
