"""Generators named as module:callable: their contract, their parameters, and where their version comes from."""

import subprocess
import sys

import pytest
from click.testing import CliRunner

from synth_mlflow.backends import in_process
from synth_mlflow.cli.main import cli
from synth_mlflow.data.digests import file_digest
from synth_mlflow.data.environment import code_of
from synth_mlflow.errors import GeneratorError, UsageError
from synth_mlflow.handoff.rerun_commands import generate_command
from synth_mlflow.tracking import names

SOURCE = """
from dataclasses import dataclass

import pandas as pd


def shifted(members, n_rows, seed, cents=1, **more):
    rows = members.sample(n_rows, replace=True, random_state=seed, ignore_index=True)
    return rows.assign(income=rows["income"] + cents / 100)


def young(members, n_rows, seed, *, slice):
    return members.query(slice).sample(n_rows, replace=True, random_state=seed).assign(income=float(seed))


def spoils(members, n_rows, seed):
    members["income"] = 0.5
    return members.head(n_rows)


class Plain:
    version = "3"

    def __init__(self, cents=1):
        self.cents = cents
        self.notes = {"cents": cents}

    def fit(self, members, task, rng, *, slice=None):
        self.members = members
        return self

    def sample(self, n_rows, rng):
        return shifted(self.members, n_rows, int(rng.integers(1000)), self.cents)


@dataclass(frozen=True)
class Record:
    cents: int = 2
    version = "4"
    leaky = True
    notes = {}

    def fit(self, members, task, rng, *, slice=None):
        return Plain(self.cents).fit(members, task, rng)


class Nothing:
    pass


few = lambda members, n_rows, seed: members.head(n_rows - 1)
none = lambda members, n_rows, seed: None
narrow = lambda members, n_rows, seed: members.head(n_rows).drop(columns="age")
typed = lambda members, n_rows, seed: members.head(n_rows).assign(member="yes")
leaves = lambda members, n_rows, seed: exit(0)
raises = lambda members, n_rows, seed: 1 / 0
number = 3
"""


@pytest.fixture
def module(tmp_path, monkeypatch):
    """A module in the working directory, which is on no path."""
    (tmp_path / "own_rows.py").write_text(SOURCE)
    for name in ("own_rows", "own_more"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setattr(in_process, "_imported", {})
    return tmp_path / "own_rows.py"


def git(folder, *arguments):
    subprocess.run(["git", "-C", str(folder), *arguments], check=True, capture_output=True)


@pytest.fixture
def committed(module):
    """The same module in a commit."""
    git(module.parent, "init", "-q")
    git(module.parent, "add", module.name)
    git(module.parent, "-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "rows")
    return module


def test_a_function_is_recorded_with_its_parameters_and_its_version(frozen, committed):
    batch = frozen.generate("own_rows:shifted", rows=20, seed=3, purpose="x", params={"rate": 0.5})
    origin, code = batch.record.origin, batch.record.notes["code"]
    assert (origin.generator, origin.door, origin.seed) == ("own_rows:shifted", "code", 3)
    assert origin.params == {"cents": 1, "rate": 0.5}
    assert origin.source.kind == "training"
    assert origin.version == f"git:{code['commit'][:12]}+sha256:{file_digest(committed)[:12]}"
    assert batch.batch.startswith("shifted-")
    again = frozen.generate("own_rows:shifted", rows=20, seed=3, purpose="x", params={"rate": 0.5})
    assert again.run_id == batch.run_id
    assert str(committed.parent) not in sys.path


@pytest.mark.slow
def test_a_change_since_the_commit_is_flagged(frozen, committed, monkeypatch):
    committed.write_text(SOURCE + "\n")
    version = frozen.generate("own_rows:shifted", rows=5, purpose="x").record.origin.version
    assert version.endswith(f"+sha256:{file_digest(committed)[:12]}+dirty")


@pytest.mark.slow
def test_a_file_that_git_does_not_track_is_flagged(frozen, committed):
    committed.with_name("own_more.py").write_text("from own_rows import shifted\nmake = lambda *given: shifted(*given)")
    assert frozen.generate("own_more:make", rows=5, purpose="x").record.origin.version.endswith("+dirty")
    found = frozen.generate("own_more:shifted", rows=5, purpose="x").record
    assert found.notes["code"]["file"] == "own_rows.py" and not found.origin.version.endswith("+dirty")


@pytest.mark.slow
def test_without_distribution_or_commit_the_version_must_be_given(frozen, module):
    with pytest.raises(UsageError, match=r"version of 'own_rows:shifted' is not known.*\n.*`--generator-version VERSI"):
        frozen.generate("own_rows:shifted", rows=5, purpose="x")
    assert frozen.project.reader.runs("batch") == []
    record = frozen.generate("own_rows:shifted", rows=5, purpose="x", version="1.2").record
    assert (record.origin.version, record.notes["code"]["sha256"]) == ("1.2", file_digest(module))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "params", "version", "leaky"),
    [("Plain", {"cents": 1}, "3", None), ("Record", {"cents": 2}, "4", True)],
)
def test_a_class_keeps_the_contract_of_the_plugins(frozen, module, name, params, version, leaky):
    record = frozen.generate(f"own_rows:{name}", rows=5, seed=1, purpose="x").record
    assert (record.origin.params, record.notes.get("leaky")) == (params, leaky)
    assert record.origin.version == f"{version}+sha256:{file_digest(module)[:12]}"
    assert record.notes["cents"] == params["cents"]
    given = frozen.generate(f"own_rows:{name}", rows=5, seed=1, purpose="x", params={"cents": 7}).record
    assert given.origin.params == {"cents": 7}


@pytest.mark.slow
def test_a_distribution_gives_its_version_and_a_file_of_the_same_name_does_not(monkeypatch, tmp_path):
    import click

    code = code_of(click)
    assert (code.distribution, code.version) == ("click", __import__("importlib.metadata").metadata.version("click"))
    (tmp_path / "click.py").write_text("")
    monkeypatch.setattr(click, "__file__", str(tmp_path / "click.py"))
    assert code_of(click).version is None
    monkeypatch.setattr(click, "__file__", None)
    assert code_of(click) is None


@pytest.mark.slow
def test_a_file_that_changed_since_its_import_is_refused(frozen, module):
    frozen.generate("own_rows:shifted", rows=5, purpose="x", version="1")
    module.write_text(SOURCE + "\n")
    with pytest.raises(UsageError, match=r"own_rows.py was changed after this process had imported it.*\nBegin a new"):
        frozen.generate("own_rows:shifted", rows=5, purpose="y", version="1")


@pytest.mark.slow
def test_a_slice_is_handed_on_as_text_and_checked(frozen, module):
    batch = frozen.generate("own_rows:young", rows=5, slice="age < 30", purpose="x", version="1")
    assert (batch.n_rows, batch.record.origin.params) == (5, {})
    with pytest.raises(UsageError, match=r"of the 20 rows do not lie in the slice 'age < 30'"):
        frozen.generate("own_rows:shifted", rows=20, slice="age < 30", purpose="x", version="1")


def test_a_function_cannot_change_the_real_rows(frozen, module):
    before = frozen.training_rows()
    frozen.generate("own_rows:spoils", rows=5, purpose="x", version="1")
    assert frozen.training_rows().equals(before)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "asked", "error", "message"),
    [
        ("own_rows:few", {}, GeneratorError, "generator own_rows:few returned 4 rows, 5 were asked for"),
        ("own_rows:none", {}, GeneratorError, "returned a NoneType, a DataFrame was needed"),
        ("own_rows:raises", {}, GeneratorError, "generator own_rows:raises raised ZeroDivisionError: division by zero"),
        ("own_rows:leaves", {}, GeneratorError, "generator own_rows:leaves left with `sys.exit"),
        ("own_rows:narrow", {}, UsageError, "the batch does not have the columns.*'age' is missing"),
        (
            "own_rows:typed",
            {},
            UsageError,
            "'member' holds string values such as 'yes' in 5 cells, boolean",
        ),
        ("own_rows:number", {}, UsageError, "'own_rows:number' is of type int, a class or a function was needed"),
        ("own_rows:Nothing", {}, UsageError, "is a class without a method `fit`"),
        ("own_rows:missing", {}, UsageError, "cannot be loaded: AttributeError: .*'missing'"),
        ("own_missing:make", {}, UsageError, "cannot be loaded: ModuleNotFoundError: No module named 'own_missing'"),
        ("own_rows:young", {"params": {"n": 1}}, UsageError, "does not take these parameters: .*'n'"),
        ("own_rows:young", {"params": {"slice": "x"}}, UsageError, "the slice of a batch is no parameter"),
        ("own_rows:Plain", {"params": {"n": 1}}, UsageError, "does not take these parameters: .*'n'"),
        ("own_rows:shifted", {"params": {"n": {1}}}, UsageError, "cannot be recorded"),
        ("own_rows:shifted", {"purpose": " "}, UsageError, "missing: purpose"),
        ("bootstrap_noise", {}, UsageError, "version '1' was given for 'bootstrap_noise'"),
    ],
)
def test_what_breaks_the_contract_leaves_no_run(frozen, module, name, asked, error, message):
    with pytest.raises(error, match=message):
        frozen.generate(name, **{"rows": 5, "purpose": "x", "version": "1", **asked})
    assert frozen.project.reader.runs("batch") == []


def test_a_module_that_raises_is_said_to(frozen, tmp_path):
    for name in ("RuntimeError", "SystemExit"):
        (tmp_path / f"own_{name}.py").write_text(f"raise {name}('no licence')")
        with pytest.raises(UsageError, match=f"cannot be loaded: {name}: no licence"):
            frozen.generate(f"own_{name}:make", rows=5, purpose="x")


@pytest.mark.slow
def test_the_command_line_takes_it_too(frozen, module):
    given = ["generate", "--generator", "own_rows:shifted", "--rows", "5", "--purpose", "x", "--param", "cents=4"]
    at = ["--tracking-uri", frozen.project.server.tracking_uri]
    done = CliRunner().invoke(cli, [*given, "--generator-version", "2", *at], catch_exceptions=False)
    assert done.exit_code == 0 and "batch shifted-" in done.output
    run = frozen.project.batches()[0].run
    assert (run.params[names.P_INGESTION], run.params[names.P_GENERATOR_PARAMS]) == ("code", '{"cents":4}')
    made = frozen.project.batches()[0]
    command = generate_command(made, frozen.project.record(made).origin)
    assert command.startswith("synth-mlflow generate own_rows:shifted --rows 5 --seed 0 --param cents=4")
