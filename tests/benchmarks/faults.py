"""The fault tests at a size of your choice: kills, first commands, lost answers, other writers; by hand.

    .venv/bin/python tests/benchmarks/faults.py [--kills 200] [--seconds 60] [--minutes 120] [--seed 1] [--only first]

200 kills and a minute of writers take an hour on two idle cores.

What it prints is what SECURITY.md shows.
"""

from __future__ import annotations

# ruff: noqa: E402 - the tests' own modules are found first
import argparse
import os
import random
import shutil
import signal
import sqlite3
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS), str(TESTS / "servers")]

import shop
from crowd import WORKERS, write_at_once
from first_commands import end_first_command, first_command_works, four_first_commands
from kills import kill_at_random
from misbehaving import Mood, misbehaving
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
    options.add_argument("--only", default=",".join(PARTS), help="some of the parts, separated by commas")
    given = options.parse_args()
    os.environ.update({"OMP_NUM_THREADS": "1", "MLFLOW_LOGGING_LEVEL": "ERROR"})
    os.environ["MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT"] = "true"
    os.environ["MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"] = "false"
    with tempfile.TemporaryDirectory(prefix="faults-") as name:
        os.chdir(name)
        folder = Path(name)
        found = [_told(PARTS[part](folder, given)) for part in given.only.split(",")]
    return 1 if any(found) else 0


def _told(wrong: list[str]) -> list[str]:
    """What a part found, said at once: a later part may be stopped."""
    for what in wrong:
        print(f"WRONG: {what}", flush=True)
    return wrong


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


def _first(folder: Path, given: argparse.Namespace) -> list[str]:
    """First commands in new folders: some killed, some interrupted by Ctrl-C, each run again; and four at once."""
    rng, wrong, ended = random.Random(given.seed), [], 0
    n_ends = max(4, given.kills // 4)
    for number in range(n_ends):
        place = folder / f"first-{number}"
        place.mkdir()
        ended += end_first_command(place, rng, signal.SIGINT if number % 3 == 2 else signal.SIGKILL)
        wrong += first_command_works(place)
    place = folder / "four"
    place.mkdir()
    wrong += four_first_commands(place)
    print("first commands in new folders")
    print(
        f"  injected   {ended} of {n_ends} ended in their first seconds (each third by Ctrl-C), 4 at once in one folder"
    )
    print(f"  lost       {len(wrong)}", flush=True)
    return wrong


def _answers(folder: Path, given: argparse.Namespace) -> list[str]:
    """The whole way to a server that does what is asked and answers one write in ten with an error; report thrice."""
    place = folder / "answers"
    place.mkdir()
    shop.write_shop(place, shop.customers(300, 1))
    rng = random.Random(given.seed)
    options = ("--backend-store-uri", f"sqlite:///{place}/mlflow.db", "--artifacts-destination", f"{place}/artifacts")
    with mlflow_server(place, *options) as server, misbehaving(server.port) as proxy:

        def decide(method: str, path: str) -> Mood:
            writes = method != "GET" and not path.endswith("/search")
            return "done, 500" if writes and rng.random() < 0.1 else "answer"

        proxy.decide = decide
        workflow = shop.go_whole_way(proxy.uri, place)
        for _ in range(2):
            workflow.report()
        proxy.decide = lambda method, path: "answer"
        wrong = [f"{finding.run_name}: {finding.what}" for finding in workflow.verify().findings]
        counts = Counter(run.stage for run in workflow.project.reader.runs() if run.counts)
        wrong += [f"{counts[stage]} runs of {stage} count" for stage in ("evaluation_set", "batch", "sweep", "handoff")
                  if counts[stage] != 1]  # fmt: skip
        versions = workflow.project.server.client.search_model_versions("name='shop'")
        wrong += [f"{len(versions)} versions of the model"] if len(versions) != 1 else []
    lost = sum(mood != "answer" for *_, mood in proxy.asked)
    print("a server that does what it is asked and answers with an error")
    print(f"  injected   {lost} of {len(proxy.asked)} requests of a whole way and three reports")
    print(f"  lost       {len(wrong)}", flush=True)
    return wrong


def _writer(folder: Path, _: argparse.Namespace) -> list[str]:
    """Somebody else who keeps a database to themselves for 30 s while a verb works; then a copy of all of it, moved."""
    place, told = folder / "writer", list[str]()
    place.mkdir()
    os.chdir(place)
    shop.write_shop(place, shop.customers(300, 1))
    shop.go_whole_way(f"sqlite:///{place}/mlflow.db", place)
    other = sqlite3.connect(place / "mlflow.db", check_same_thread=False, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    threading.Timer(30, lambda: other.execute("ROLLBACK")).start()
    Workflow("shop", f"sqlite:///{place}/mlflow.db", say=told.append).log_production(0.9)
    os.chdir(folder)
    shutil.copytree(place, folder / "copy")
    shutil.rmtree(place / "mlruns")
    moved = Workflow("shop", f"sqlite:///{folder}/copy/mlflow.db")
    wrong = [f"{finding.run_name}: {finding.what}" for finding in moved.verify().findings]
    n_paths = moved.repair().n_paths
    experiment = moved.project.server.experiment_id
    moved.project.server.client.delete_experiment(experiment)
    moved.project.server.client.restore_experiment(experiment)
    if moved.report().run_id != moved.report().run_id:
        wrong.append("the restored project writes one handoff twice")
    wrong += [f"restored: {finding.what}" for finding in moved.verify().findings]
    print("a database locked for 30 s, copied to another folder, its experiment deleted and restored")
    print(f"  injected   1 of each; {n_paths} paths repaired")
    print(f"  lost       {len(wrong)}", flush=True)
    return wrong


def _crowd(folder: Path, given: argparse.Namespace) -> list[str]:
    seconds = given.seconds
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


PARTS = {"kills": _kills, "first": _first, "answers": _answers, "writer": _writer, "crowd": _crowd}


if __name__ == "__main__":
    sys.exit(main())
