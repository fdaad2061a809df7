"""A sweep whose models a command fits: resumed, recorded, saved, and never run again unasked."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import mlflow
import pandas as pd
import pytest

from synth_mlflow import Workflow
from synth_mlflow.cli.run_command import Plan, _from_batch_to_handoff, _rows, _stages
from synth_mlflow.errors import GateError, UsageError
from synth_mlflow.gate.verdicts import Verdict
from synth_mlflow.models.raw_command import ALLOW, command_digest
from synth_mlflow.stages.fit_commands import command_spec
from synth_mlflow.stages.generator_search import auto_rows
from synth_mlflow.stages.requests import NamedCommands
from synth_mlflow.sweep.plan import RATIOS, SweepPlan
from synth_mlflow.tracking import names

TRAIN = f"{sys.executable} command_trainer.py fit {{train}}.csv {{validation}}.csv {{model}}"
PREDICT = f"{sys.executable} command_trainer.py predict {{model}} {{rows}}.csv {{predictions}}.csv"
COMMANDS = {"train_command": TRAIN, "predict_command": PREDICT}


@pytest.fixture
def at_hand(done: Workflow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workflow:
    """A finished project, and the trainer's script in the working directory."""
    shutil.copy(Path(__file__).parents[1] / "command_trainer.py", tmp_path)
    monkeypatch.chdir(tmp_path)
    return done


def n_fits(folder: Path) -> int:
    return len((folder / "fits.log").read_text())


@pytest.mark.slow
def test_a_command_is_swept_recorded_and_run_again_only_where_allowed(
    at_hand: Workflow,
    tmp_path: Path,
    customers: Callable[..., pd.DataFrame],
    monkeypatch: pytest.MonkeyPatch,
    call: Callable[..., tuple[int, str, str]],
) -> None:
    said: list[str] = []
    workflow = Workflow("shop", at_hand.project.server.tracking_uri, say=said.append)
    curve = workflow.sweep([0, 0.5], repeats=3, **COMMANDS)
    assert curve.points[0].score > 0.6
    assert n_fits(tmp_path) == 25  # 24 and the final model
    assert any("the other 23 take about" in text for text in said)

    sweep = workflow.project.latest_sweep()
    assert sweep is not None
    told = json.loads(sweep.run.params[names.P_COMMANDS])
    assert told["train"] == TRAIN and list(told["files"]) == ["command_trainer.py"]
    workflow.sweep([0, 0.5], repeats=3, **COMMANDS)
    assert n_fits(tmp_path) == 25  # recorded already

    document = workflow.report().document
    assert any(TRAIN in command.command for command in document.commands)
    assert {"train-command", "predict-command"} <= {fact.name for fact in document.sweep.made_with}
    assert any("fitted by commands" in warning for warning in document.warnings)
    assert workflow.verify().holds

    mlflow.set_tracking_uri(workflow.project.server.tracking_uri)
    model = mlflow.pyfunc.load_model(
        f"models:/{sweep.run.params[names.P_MODEL_NAME]}/{sweep.run.params[names.P_MODEL_VERSION]}"
    )
    rows = customers(5, 4).drop(columns="bought")
    with pytest.raises(PermissionError, match=f"export {ALLOW}={command_digest(PREDICT)}"):
        model.predict(rows)
    monkeypatch.setenv(ALLOW, command_digest(PREDICT))
    assert set(model.predict(rows)["prediction"]) <= {"yes", "no"}

    found = workflow.reproduce()
    assert found.steps[-1].outcome == "cannot" and "Nothing was run" in found.steps[-1].words
    assert n_fits(tmp_path) == 25
    assert workflow.reproduce(allow_external=True).steps[-1].outcome == "identical"
    if curve.chosen:
        with pytest.raises(UsageError, match="--allow-external"):
            workflow.blame()
    with (tmp_path / "command_trainer.py").open("a") as script:
        script.write("\n# edited\n")
    edited = workflow.reproduce(allow_external=True).steps[-1]
    assert edited.outcome == "cannot" and "another file here" in edited.words


@pytest.mark.slow
def test_fits_that_are_finished_are_not_repeated(at_hand: Workflow, tmp_path: Path) -> None:
    script = (tmp_path / "command_trainer.py").read_text()
    dying = script.replace(
        "    counts = {}\n", '    counts = {}\n    assert not Path("stop").exists(), "out of luck"\n', 1
    )
    (tmp_path / "command_trainer.py").write_text(dying)

    def stop(text: str) -> None:
        if "the other 23 take" in text:
            (tmp_path / "stop").touch()

    workflow = Workflow("shop", at_hand.project.server.tracking_uri, say=stop)
    with pytest.raises(
        UsageError,
        match=r"the train command ended with exit code 1. The last lines of its stderr:\n(.*\n)*.*out of luck",
    ):
        workflow.sweep([0, 0.5], repeats=3, **COMMANDS)
    before = n_fits(tmp_path)
    (tmp_path / "stop").unlink()
    workflow.sweep([0, 0.5], repeats=3, **COMMANDS)
    assert before >= 1
    assert n_fits(tmp_path) == 25  # whatever was finished was taken up


@pytest.mark.slow
def test_slow_fits_are_fewer_unless_a_person_says_how_many(
    at_hand: Workflow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("synth_mlflow.stages.fit_commands.SLOW_SECONDS", 0.0)
    said: list[str] = []
    workflow = Workflow("shop", at_hand.project.server.tracking_uri, say=said.append)
    workflow.sweep([0, 0.5], **COMMANDS)
    assert n_fits(tmp_path) == 25
    assert any("3 repeats, 24 fits, in place of the 48 fits of 6 repeats" in text for text in said)
    monkeypatch.setattr("synth_mlflow.stages.fit_commands.SLOW_SECONDS", 60.0)
    workflow.sweep([0, 0.5], **COMMANDS)
    assert n_fits(tmp_path) == 25  # on a faster day the recorded one is found


@pytest.mark.parametrize(("ratios", "repeats", "n_fits"), [(RATIOS, 6, 84), (RATIOS, 3, 42), ((0.0, 0.5), 3, 24)])
def test_the_page_counts_the_fits(ratios: tuple[float, ...], repeats: int, n_fits: int) -> None:
    assert len(SweepPlan(ratios, repeats).keys(100)) == n_fits == repeats * (3 * (len(ratios) - 1) + 5)


def test_both_commands_are_needed_and_hold_no_secret(monkeypatch: pytest.MonkeyPatch, frozen: Workflow) -> None:
    with pytest.raises(UsageError, match="--predict-command is missing"):
        frozen.sweep(train_command=TRAIN)
    with pytest.raises(UsageError, match="they run on this machine"):
        frozen.sweep(**COMMANDS, engine="dask")
    monkeypatch.setenv("HUB_TOKEN", "abcdefgh12345")
    with pytest.raises(UsageError, match="HUB_TOKEN"):
        command_spec("fit {train} {model} --token abcdefgh12345", PREDICT)


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (
            "raise SystemExit('no GPU')",
            r"the train command ended with exit code 1. The last lines of its stderr:\n  no GPU",
        ),
        ("import time; time.sleep(60)", r"the train command was killed at its time limit of 0.5 s"),
    ],
)
def test_a_failing_command_is_told_with_what_to_do(code: str, message: str, tmp_path: Path) -> None:
    script = tmp_path / "fit.py"
    script.write_text(code)
    spec = command_spec(f"{sys.executable} {script} {{train}} {{model}}", PREDICT, 0.5)
    assert spec.commands is not None
    with pytest.raises(UsageError, match=message) as refused:
        spec.commands.run([sys.executable, str(script)], "the train command", tmp_path)
    assert "synth-mlflow sweep" in refused.value.fix


def test_run_refuses_commands_before_anything_is_recorded(defined: Workflow, tmp_path: Path) -> None:
    plan = Plan(tmp_path / "problem.md", commands=NamedCommands(train="python fit.py {train}", predict=PREDICT))
    with pytest.raises(UsageError, match=r"has no place \{model\}"):
        _stages(defined, plan, show=False)
    assert defined.project.find_evaluation_set() is None


def test_run_counts_the_rows_that_may_still_pass(done: Workflow, monkeypatch: pytest.MonkeyPatch) -> None:
    (batch,) = done.project.batches()
    needed = auto_rows(done.project, (0, 0.9))
    plan = Plan(Path("problem.md"), "law", rows=needed - batch.n_rows, ratios=(0, 0.9))
    assert _rows(done, plan) == plan.rows
    failed = Verdict(batch.id, "fail", ("fidelity: low",), ())
    monkeypatch.setattr("synth_mlflow.gate.verdicts.recorded_verdicts", lambda *_: (failed,))
    with pytest.raises(GateError, match=rf"needs {needed:,} synthetic rows .* and 0 are there"):
        _rows(done, plan)
    monkeypatch.setattr(Workflow, "generate", lambda *_, **__: SimpleNamespace(batch=batch.id))  # made before
    with pytest.raises(GateError, match=rf"{batch.n_rows:,} are there"):
        _from_batch_to_handoff(done, replace(plan, rows=needed), show=False)


def test_run_takes_the_commands_of_a_trainer_too(done: Workflow, monkeypatch: pytest.MonkeyPatch) -> None:
    passed = Verdict("law-1", "pass", (), ())
    given: dict[str, object] = {}

    def stop(*_: object, **arguments: object) -> None:
        given.update(arguments)
        raise GateError("far enough")

    monkeypatch.setattr(Workflow, "generate", lambda *_, **__: SimpleNamespace(batch="law-1"))
    monkeypatch.setattr(Workflow, "validate", lambda *_, **__: passed)
    monkeypatch.setattr(Workflow, "sweep", stop)
    plan = Plan(
        Path("problem.md"),
        "law",
        rows=500,
        ratios=(0, 0.25),
        commands=NamedCommands(train=TRAIN, predict=PREDICT, timeout_seconds=5.0),
    )
    with pytest.raises(GateError, match="far enough"):
        _from_batch_to_handoff(done, plan, show=False)
    assert given == {"seed": 0, **COMMANDS, "timeout_seconds": 5.0}
