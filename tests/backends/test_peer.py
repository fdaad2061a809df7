"""Peers in an environment of their own: a small stand-in for SDV, installed beside another Python."""

import json
from pathlib import Path

import pytest
import shop
from click.testing import CliRunner
from stand_in_peer import STAND_IN, environment

from synth_mlflow import peers, plugins
from synth_mlflow.cli.main import cli
from synth_mlflow.data.digests import file_digest
from synth_mlflow.errors import GeneratorError, UsageError

MODEL = "sdv:BootstrapSynthesizer"


@pytest.fixture(scope="session")
def sdv_python(tmp_path_factory):
    return environment(tmp_path_factory.mktemp("sdv"), STAND_IN)


@pytest.fixture
def ask(frozen, sdv_python):
    """Asks for a batch from the stand-in."""

    def ask(generator=MODEL, **changes):
        return frozen.generate(generator, **{"rows": 30, "seed": 3, "purpose": "x", "python": sdv_python, **changes})

    return ask


@pytest.mark.slow
def test_the_record_has_the_model_its_parameters_and_its_environment(frozen, ask):
    batch = ask(params={"shift": 2.5})
    record = batch.record
    assert (record.origin.generator, record.origin.version, record.origin.door) == (MODEL, "2.0.1", "peer")
    assert (record.origin.params, record.origin.seed, batch.n_rows) == ({"shift": 2.5}, 3, 30)
    assert (record.origin.source.kind, record.origin.source.n_rows) == ("training", 299)
    there = record.environment["peer"]
    assert there["packages"]["sdv"] == "2.0.1" and {"pandas", "pyarrow", "numpy"} <= set(there["packages"])
    assert there["python"] == record.environment["python"] and there["platform"]
    columns = record.notes["peer"]["metadata"]["tables"]["rows"]["columns"]
    assert columns["region"] == {"sdtype": "categorical"} and columns["since"] == {"sdtype": "datetime"}
    adapter = Path(peers.__file__).with_name("sdv.py")
    assert record.notes["adapter"] == {"file": "sdv.py", "sha256": file_digest(adapter)}
    assert batch.batch.startswith("bootstrapsynthesizer-")


@pytest.mark.slow
def test_the_same_seed_gives_the_same_rows(ask, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", "/nowhere")
    assert ask().digest == ask(purpose="again").digest != ask(seed=4).digest


@pytest.mark.slow
def test_a_slice_is_learned_alone_and_kept(frozen, ask):
    batch = ask(slice="age < 30")
    schema = frozen.project.evaluation_set().schema
    assert frozen.project.batch_rows(frozen.project.batch(batch.batch), schema)["age"].max() < 30
    assert batch.record.notes["slice_rows"] == int((frozen.training_rows()["age"] < 30).sum())
    assert 0 < batch.record.notes["slice_acceptance"] <= 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        (
            {"python": None},
            UsageError,
            r"no Python was given for it.\nMake one: `python3 -m venv .* `--python sdv-env",
        ),
        ({"python": "no/python"}, UsageError, "there is no program 'no/python' to run sdv with"),
        ({"generator": "sdv:Bootstrp"}, UsageError, "no single-table synthesizer 'Bootstrp'; it has BootstrapSynth"),
        ({"params": {"sfift": 1}}, UsageError, "sdv cannot make what was asked for: .*unexpected keyword.*'sfift'"),
        ({"params": {"shift": -1}}, UsageError, "shift must not be negative"),
        ({"version": "3"}, UsageError, "version '3' was given"),
        ({"generator": "forest"}, UsageError, "'forest', which is no peer .*\nLeave it out, or name one of sdv:MODEL"),
        ({"timeout_seconds": -1}, UsageError, "a time limit of -1 s was given"),
        ({"slice": "age > 78"}, GeneratorError, "real rows lie in it, at least 10 are needed"),
        ({"slice": "age < 30", "params": {"wrong": "outside"}}, GeneratorError, "0 of 145 drawn rows lay in it, 30"),
        (
            {"params": {"wrong": "raises"}},
            GeneratorError,
            r"exit code 1. The last lines of .*:\n(.*\n)*.*KeyErr",
        ),
        ({"params": {"wrong": "dies"}}, GeneratorError, r"ended by signal 9. The last lines .*:\n  out of memory"),
        ({"params": {"wrong": "hangs"}, "timeout_seconds": 6}, GeneratorError, "was killed at its time limit of 6 s"),
        ({"params": {"wrong": "few"}}, GeneratorError, "returned 29 rows, 30 were asked for"),
        ({"params": {"wrong": "columns"}}, UsageError, "the batch does not have the columns .*'income' is missing"),
    ],
)
def test_what_goes_wrong_over_there_is_told_and_leaves_no_run(frozen, ask, changes, error, message):
    with pytest.raises(error, match=message):
        ask(**changes)
    assert frozen.project.reader.runs("batch") == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, "sdv is not installed for .*\nMake an environment that has all"),
        ({**STAND_IN, "sdv/__init__.py": "__version__ = '1.30'"}, "SDV 1.30 is installed there, 2 or newer is needed"),
    ],
)
def test_an_environment_without_a_fitting_sdv_is_refused(ask, tmp_path, files, message):
    with pytest.raises(UsageError, match=message):
        ask(python=environment(tmp_path / "other", {"other.py": "", **files}))


def test_every_peer_can_be_loaded_here_and_says_how_to_be_installed():
    for name, plugin in plugins.installed("peers").items():
        loaded = plugin.load()
        assert loaded.summary and loaded.packages[0] == name
        assert f"{name}-env/bin/pip install" in loaded.setup and "pyarrow" in loaded.setup
        assert callable(loaded.build) and callable(loaded.make)


def test_list_says_how_to_make_the_environment():
    told = CliRunner().invoke(cli, ["list"]).output
    assert "sdv:MODEL" in told and "an environment for sdv: python3 -m venv sdv-env && sdv-env/bin/pip" in told
    as_json = json.loads(CliRunner().invoke(cli, ["list", "--json"]).stdout)
    assert next(item for item in as_json if item["name"] == "sdv:MODEL")["setup"].startswith("python3 -m venv")


@pytest.mark.slow
def test_the_command_line_takes_the_python(frozen, sdv_python):
    words = [MODEL, "--python", sdv_python, "--rows", "9", "--purpose", "x", "--param", "shift=1", "--timeout", "60"]
    done = CliRunner().invoke(cli, ["generate", *words, "--experiment", "shop", "--json"], catch_exceptions=False)
    assert json.loads(done.stdout)[0]["rows"] == 9


@pytest.mark.slow
def test_a_handoff_makes_its_peers_rows_again(frozen, ask, sdv_python, tmp_path):
    batch = ask(rows=400).batch
    shop.hand_over(frozen)
    assert "only with `--allow-external`" in shop.made_again(frozen, batch).words
    nowhere = shop.made_again(frozen, batch, allow_external=True)
    assert nowhere.outcome == "cannot" and "no Python was given for it" in nowhere.words
    assert shop.made_again(frozen, batch, allow_external=True, python=sdv_python).outcome == "identical"
    newer = {name: text.replace("2.0.1", "2.1.0").replace("+ 0.25", "+ 0.5") for name, text in STAND_IN.items()}
    other = shop.made_again(frozen, batch, allow_external=True, python=environment(tmp_path / "newer", newer))
    assert other.outcome == "different" and "0 of 400 rows are equal; version 2.1.0 made them, not 2.0.1" in other.words
