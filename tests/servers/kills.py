"""Kill a project's whole way at random moments, run it again, and look at what is left."""

from __future__ import annotations

import os
import random
import shutil
import time
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess
from pathlib import Path

import shop
from started import fork, until

from synth_mlflow import Workflow
from synth_mlflow.queries.status import Status
from synth_mlflow.sweep.holdout import HoldoutEstimate
from synth_mlflow.tracking import names
from synth_mlflow.tracking.sign_offs import estimate_of

OPEN = ("RUNNING", "SCHEDULED")
LAST_WORDS = "stderr.txt"  # of the process that was started last
STAGES = ("define", "freeze", "generate", "validate", "sweep", "report")
PATIENCE = 0.5  # of the time that an undisturbed way takes: the longest that a start is left alone at first
FASTER = 0.9  # a machine that has become quicker since would leave nothing to kill
WIDER = 1.5  # the next one is left alone for longer, as often as a start has got no further than the one before


@dataclass
class Account:
    """What came of the kills."""

    kills: int = 0
    ways: int = 0
    """How often the whole way was gone to its end."""
    open_runs: int = 0
    """Left RUNNING or SCHEDULED by the dead, and marked KILLED by `repair`."""
    at: dict[str, int] = field(default_factory=dict)
    """How many kills fell into each stage."""
    wrong: list[str] = field(default_factory=list)
    """Every estimate that did not hold."""


@dataclass(frozen=True)
class Result:
    """What must be the same, whatever happened on the way."""

    evaluation: str
    training: str
    batches: tuple[tuple[str, str], ...]
    verdicts: tuple[str, ...]
    curve: str
    chosen: float
    model: str
    estimate: HoldoutEstimate


def go(uri: str, folder: str) -> None:
    """The whole way in a process of its own."""
    os.chdir(folder)
    os.environ.update({"OMP_NUM_THREADS": "1", "MLFLOW_LOGGING_LEVEL": "ERROR"})
    os.dup2(os.open(LAST_WORDS, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 2)
    shop.go_whole_way(uri, Path(folder))


def result_of(workflow: Workflow) -> Result:
    """What the whole way has come to."""
    frozen, curve = workflow.project.evaluation_set(), workflow.latest_curve()
    final = workflow.project.reader.finished("final")[-1]
    stated = estimate_of(final)
    assert stated is not None, "a handoff without a estimate"
    return Result(
        evaluation=frozen.digest,
        training=frozen.training_digest,
        batches=tuple((batch.id, batch.digest) for batch in workflow.project.batches()),
        verdicts=tuple(workflow.checks()["verdict"]),
        curve=repr(curve.to_json()),
        chosen=curve.chosen,
        model=_model_bytes(workflow, final.params[names.P_MODEL_NAME], final.params[names.P_MODEL_VERSION]),
        estimate=stated.estimate,
    )


def kill_at_random(empty: Path, folder: Path, n_kills: int, seed: int, *, seconds: float = float("inf")) -> Account:
    """Kill, look, go on; new projects are begun until there were enough kills.

    Parameters
    ----------
    empty : Path
        A database with MLflow's tables and nothing in it.
    folder : Path
        For the projects.
    n_kills : int
    seed : int
        Of the moments.
    seconds : float
        No new project is begun after so long, however few kills there were.
    """
    rng, account = random.Random(seed), Account()
    fork(time.monotonic).join()  # the first one waits for the imports
    began = time.monotonic()
    expected = _gone(empty, folder / "undisturbed")
    longest = time.monotonic() - began
    while account.kills < n_kills and time.monotonic() - began < seconds:
        place = _project(empty, folder / f"way-{account.ways}")
        if not account.ways:
            _kill_in_each_stage(place, rng, longest, account)
        _kill_on_the_way(place, rng, longest, n_kills, account)
        _finish(place, expected, account)
        account.ways += 1
        longest *= FASTER
    return account


def _project(empty: Path, folder: Path) -> Path:
    folder.mkdir()
    shutil.copy(empty, folder / "mlflow.db")
    shop.write_shop(folder, shop.customers(300, 1))
    return folder


def _uri(folder: Path) -> str:
    return f"sqlite:///{folder / 'mlflow.db'}"


def _gone(empty: Path, folder: Path) -> Result:
    place = _project(empty, folder)
    process = fork(go, _uri(place), str(place))
    process.join()
    assert process.exitcode == 0, f"the undisturbed way failed: {_last_words(place)}"
    return result_of(_open(place))


def _kill_in_each_stage(place: Path, rng: random.Random, longest: float, account: Account) -> None:
    """Start the way, wait until a stage is the first that is not done, and kill it a moment later; for every stage."""
    for stage in STAGES:
        process = fork(go, _uri(place), str(place))
        workflow = _open(place)
        until(lambda: _stage(workflow.status()) == stage or not process.is_alive(), f"stage {stage}")  # noqa: B023 - at once
        if _killed(place, process, rng.uniform(0, 0.02 * longest), account):
            _look(place, account)


def _kill_on_the_way(place: Path, rng: random.Random, longest: float, n_kills: int, account: Account) -> None:
    """Start the way again and again, and kill each at a random moment, until one comes to its end."""
    patience, runs = PATIENCE * longest, 0
    while account.kills < n_kills:
        if not _killed(place, fork(go, _uri(place), str(place)), rng.uniform(0, patience), account):
            return
        before, runs = runs, _look(place, account)
        patience = patience * WIDER if runs == before else PATIENCE * longest


def _open(place: Path) -> Workflow:
    """The project, whose experiment is made if its first command was killed before that."""
    return Workflow.of(Workflow("shop", _uri(place)).project)


def _killed(place: Path, process: BaseProcess, seconds: float, account: Account) -> bool:
    """Whether the process was still on its way after so long; it is dead then."""
    process.join(timeout=seconds)
    if process.exitcode is not None:
        if process.exitcode != 0:
            account.wrong.append(f"a rerun failed with exit code {process.exitcode}: {_last_words(place)}")
        return False
    process.kill()
    process.join()  # is woken by files that are closed a moment before the process is dead
    until(lambda: not _lives(process), "the kill")
    account.kills += 1
    return True


def _last_words(place: Path) -> str:
    """The end of what the process that was started last has said."""
    return (place / LAST_WORDS).read_text(errors="replace").strip()[-1_000:]


def _lives(process: BaseProcess) -> bool:
    try:
        return Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def _stage(status: Status) -> str:
    """The first stage that is not done."""
    return next((stage.stage for stage in status.stages if not stage.done), "after report")


def _look(place: Path, account: Account) -> int:
    """What must hold at every moment, however the writer died; gives how many runs are finished for good."""
    workflow = _open(place)
    status, runs = workflow.status(), workflow.project.reader.runs()
    stage = _stage(status)
    account.at[stage] = account.at.get(stage, 0) + 1
    findings = workflow.verify().findings
    account.wrong += [f"after a kill in {stage}: {finding.run_name}: {finding.what}" for finding in findings]
    for batch in workflow.project.batches():
        workflow.project.batch_rows(batch, workflow.project.evaluation_set().schema)  # raises if anything is missing
    still_open = [run for run in runs if run.status in OPEN]
    if any(run.run_id in {batch.run.run_id for batch in workflow.project.batches()} for run in still_open):
        account.wrong.append("an open run is counted as a batch")
    told = " ".join(status.unfinished)
    account.wrong += [f"status is silent about open run {run.name}" for run in still_open if run.run_id not in told]
    repaired = workflow.repair()
    account.open_runs += len(repaired.killed)
    if repaired.left:
        account.wrong.append(f"repair took {len(repaired.left)} runs of the dead for alive")
    return sum(run.counts for run in runs)


def _finish(place: Path, expected: Result, account: Account) -> None:
    process = fork(go, _uri(place), str(place))
    process.join()
    workflow = _open(place)
    if process.exitcode != 0 or not all(stage.done for stage in workflow.status().stages):
        account.wrong.append(f"the last rerun did not complete (exit code {process.exitcode}): {_last_words(place)}")
        return
    found = result_of(workflow)
    for name in Result.__dataclass_fields__:
        if getattr(found, name) != getattr(expected, name):
            account.wrong.append(f"{name} differs from the undisturbed way's")
    account.wrong += [f"at the end: {finding.run_name}: {finding.what}" for finding in workflow.verify().findings]
    finished = [run for run in workflow.project.reader.runs() if run.counts]
    finals = {run.run_id for run in finished if run.stage == "final"}
    account.wrong += [
        f"version {version.version} of the model is in force, and its run is not"
        for version in workflow.project.server.client.search_model_versions("name='shop'")
        if version.run_id not in finals and version.current_stage != "Archived"
    ]
    for stage, n in (("evaluation_set", 1), ("batch", 1), ("sweep", 1)):
        if sum(run.stage == stage for run in finished) != n:
            account.wrong.append(f"{stage}: {sum(run.stage == stage for run in finished)} runs count, {n} should")


def _model_bytes(workflow: Workflow, name: str, version: str) -> str:
    """The trees of the registered model; the files around them say when they were made."""
    source = str(workflow.project.server.client.get_model_version(name, version).source)
    return Path(source.removeprefix("file://"), "model.lgb").read_text()
