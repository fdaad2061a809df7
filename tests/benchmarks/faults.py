"""The fault tests at full size: kills at random moments, and many writers on one server; by hand, it takes an hour.

    .venv/bin/python tests/benchmarks/faults.py [--kills 200] [--seconds 60] [--minutes 120] [--seed 1]

What it prints is what SECURITY.md shows.
"""

from __future__ import annotations

# ruff: noqa: E402 - the tests' own modules are found first
import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS), str(TESTS / "servers")]

import shop
from crowd import WORKERS, write_at_once
from kills import kill_at_random
from started import mlflow_server

from synth_mlflow import Workflow
from synth_mlflow.tracking.server import connect


def main() -> int:
    """Inject the faults, and say what was lost; 1 if anything was."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--kills", type=int, default=200)
    options.add_argument("--seconds", type=float, default=60.0)
    options.add_argument("--minutes", type=float, default=120.0, help="no project is begun after so long")
    options.add_argument("--seed", type=int, default=1)
    given = options.parse_args()
    os.environ.update({"OMP_NUM_THREADS": "1", "MLFLOW_LOGGING_LEVEL": "ERROR"})
    os.environ["MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT"] = "true"
    with tempfile.TemporaryDirectory(prefix="faults-") as name:
        os.chdir(name)
        wrong = [*_kills(Path(name), given), *_crowd(Path(name), given.seconds)]
    for what in wrong:
        print(f"WRONG: {what}")
    return 1 if wrong else 0


def _kills(folder: Path, given: argparse.Namespace) -> list[str]:
    empty = folder / "empty.db"
    connect("nobody", f"sqlite:///{empty}", create=True).client.delete_experiment("1")
    began = time.monotonic()
    account = kill_at_random(empty, folder, given.kills, given.seed, seconds=60 * given.minutes)
    at = ", ".join(f"{stage} {n}" for stage, n in account.at.items())
    print(f"kill -9 at random moments (seed {given.seed}, {time.monotonic() - began:,.0f} s)")
    print(f"  injected   {account.kills} kills on {account.ways} whole ways; first stage not done: {at}")
    print(f"  survived   {account.kills - len(account.wrong)}; {account.open_runs} open runs marked KILLED afterwards")
    print(f"  lost       {len(account.wrong)}", flush=True)
    return account.wrong


def _crowd(folder: Path, seconds: float) -> list[str]:
    place = folder / "crowd"
    place.mkdir()
    options = ("--backend-store-uri", f"sqlite:///{place}/mlflow.db", "--artifacts-destination", f"{place}/artifacts")
    with mlflow_server(place, *options) as server:
        workflow = Workflow("crowd", server.uri)
        workflow.define(shop.write_shop(place, shop.customers(300, 1), name="crowd"))
        workflow.freeze()
        found = write_at_once(server.uri, "crowd", place, seconds)
    print(f"{WORKERS} processes write batches to one server for {seconds:g} s")
    print(f"  written    {found.written} batches, found and verified {found.found}")
    print(f"  lost       {len(found.wrong)}")
    return list(found.wrong)


if __name__ == "__main__":
    sys.exit(main())
