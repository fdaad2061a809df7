"""Nothing is imported or called because a file or a server names it, unless the person at this machine allowed it."""

from __future__ import annotations

import json
import sqlite3
import sys

import pytest

from synth_mlflow import Workflow, allowed_code
from synth_mlflow.allowed_code import allowing, importable_here, load_callable, require_allowed
from synth_mlflow.audit.replay import CannotError
from synth_mlflow.data.task import ModelSpec
from synth_mlflow.errors import EvidenceError, UsageError
from synth_mlflow.models.estimator import allowed_model, load_estimator
from synth_mlflow.stages.benchmarks import tokenizer_of
from synth_mlflow.tracking import names

MINE = """from pathlib import Path
from subprocess import Popen
import pandas as pd
from pandas import read_pickle
from sklearn.linear_model import LogisticRegression
Path("imported").touch()

class Mine(LogisticRegression):
    pass

class Other:
    def __init__(self, **given):
        Path("called").touch()

class Outer:
    class Inner(LogisticRegression):
        pass

def make(**given):
    return Mine(**given)
"""
ANYWAY = ("subprocess:Popen", "os:system", "builtins:exec", "pty:spawn", "runpy:run_path", "ctypes:CDLL")


@pytest.fixture
def mine(tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text(MINE)
    monkeypatch.delitem(sys.modules, "mine", raising=False)
    return tmp_path


@pytest.fixture
def named(uri, write_project):
    """Defines a project whose statement names an estimator; its workflow allows what it is told."""

    def named(estimator, *allowed):
        workflow = Workflow("shop", uri, allow_code=allowed)
        workflow.define(write_project(model=f'{{estimator: "{estimator}", params: {{}}}}'))
        return workflow

    return named


@pytest.mark.slow
def test_an_estimator_of_ones_own_runs_only_where_it_was_allowed(mine, named, call, uri):
    workflow = named("mine:Mine")
    with pytest.raises(UsageError, match="nobody has allowed to run") as refusal:
        workflow.freeze()
    assert "--allow-code mine" in refusal.value.fix and 'allow_code=("mine",)' in refusal.value.fix
    assert not (mine / "imported").exists() and workflow.project.reader.finished("evaluation_set") == []
    at = ("--experiment", "shop", "--tracking-uri", uri)
    assert call("freeze", *at)[0] == 2 and not (mine / "imported").exists()
    assert call("freeze", "--allow-code", "mine", *at)[0] == 0 and (mine / "imported").exists()


@pytest.mark.slow
def test_a_settings_file_allows_once_and_for_all(mine, named, monkeypatch):
    path = mine / "settings" / "allow-code"
    path.parent.mkdir()
    path.write_text("# ours\nmine  # read by me\n")
    path.chmod(0o666)
    monkeypatch.setattr(allowed_code, "settings_file", lambda: path)
    with pytest.raises(UsageError, match=r"others may write to it.*\n.*chmod go-w"):
        require_allowed("mine:Mine", "the estimator")
    path.chmod(0o600)
    require_allowed("mine.deep:Mine", "the estimator")
    with pytest.raises(UsageError, match="nobody has allowed"):
        require_allowed("mine_too:Mine", "the estimator")
    assert named("mine:Mine").freeze().digest


@pytest.mark.slow
@pytest.mark.parametrize("target", ANYWAY)
def test_the_standard_library_is_refused_in_every_way(target, frozen):
    module = target.partition(":")[0]
    for attempt in (
        lambda: allowed_model(ModelSpec(target)),
        lambda: require_allowed(target, "x"),
        lambda: load_callable(target, "x"),
        lambda: load_estimator(target),
        lambda: frozen.generate(target, rows=2, purpose="x"),
        lambda: Workflow("shop", frozen.project.server.tracking_uri, allow_code=(module,)),
    ):
        with pytest.raises(UsageError, match="standard library"):
            attempt()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("estimator", "message"),
    [
        ("mine:Popen", "standard library"),
        ("mine:Path", "standard library"),
        ("mine:Other", "class without a method `fit`"),
        ("sklearn.datasets:fetch_openml", "only classes are taken"),
        ("sklearn.utils.parallel:Parallel", "class without a method `fit`"),
    ],
)
def test_what_is_no_estimator_is_never_called(estimator, message, mine, named):
    with pytest.raises(UsageError, match=message):
        named(estimator, "mine", "joblib").freeze()
    assert not (mine / "called").exists()


BORROWED = (
    ("synth_mlflow.data.tables:pd.read_pickle", "only classes are taken"),
    ("synth_mlflow.models.estimator:load_estimator", "only classes are taken"),
    ("sklearn:datasets.fetch_file", "only classes are taken"),
    ("mine:pd.read_pickle", "'pd' is of type module: nothing was called"),
    ("mine:read_pickle", "code of module 'pandas', which nobody has allowed"),
    ("mine:make.__globals__.get", "'make' is of type function: nothing was called"),
)


@pytest.mark.parametrize(("target", "message"), BORROWED)
def test_what_an_allowed_module_has_imported_is_not_allowed_with_it(target, message, mine):
    """Reading a pickle runs code: every module that holds pandas would be a way to it."""
    with allowing(["mine"]):
        for attempt in (lambda: allowed_model(ModelSpec(target)), lambda: tokenizer_of(target)):
            with importable_here(), pytest.raises(UsageError, match=message):
                attempt()


@pytest.mark.parametrize("target", ["mine:Mine", "mine:Outer.Inner", "mine:make", "mine:LogisticRegression"])
def test_classes_and_functions_of_an_allowed_module_are_taken(target, mine):
    with allowing(["mine"]):
        assert allowed_model(ModelSpec(target)).estimator == target


def test_a_name_that_is_no_module_is_refused(uri):
    with pytest.raises(UsageError, match="a module or a package was needed"):
        Workflow("shop", uri, allow_code=("../mine.py",))


def test_allowances_end_with_their_block():
    with allowing(["mine"]):
        require_allowed("mine:Mine", "x")
    with pytest.raises(UsageError, match="nobody has allowed"):
        require_allowed("mine:Mine", "x")


def test_a_baseline_that_was_edited_on_the_server_runs_nothing(done, monkeypatch, tmp_path):
    baseline = done.project.reader.finished("baseline")[-1].run_id
    settings = json.dumps({"estimator": "mine:Other", "params": {}})
    with sqlite3.connect(tmp_path / "mlflow.db") as database:
        edit = "UPDATE params SET value = ? WHERE run_uuid = ? AND key = ?"
        assert database.execute(edit, (settings, baseline, names.P_SETTINGS)).rowcount == 1
    monkeypatch.setattr(type(done.project.reader), "verify_seal", lambda reader, run: run)  # its seal was recomputed
    with allowing(["mine"]), pytest.raises(EvidenceError, match="Nothing was imported"):
        done.sweep((0, 0.5), repeats=3, seed=9)


def test_a_recorded_generator_asks_each_time(mine, frozen):
    (mine / "rows_of_mine.py").write_text("make = lambda members, n_rows, seed: members.head(n_rows)\n")
    batch = frozen.generate("rows_of_mine:make", rows=5, purpose="x", version="1")
    from synth_mlflow.audit.replay import BatchReplayer

    workshop = BatchReplayer(frozen.project, frozen.project.evaluation_set(), {}, False, None)
    with allowing(["rows_of_mine"]), pytest.raises(CannotError, match="--allow-external"):
        workshop.remake(frozen.project.batch(batch.batch))
