"""Connections: what goes wrong with a tracking server is one message that names it, and never a password."""

import shutil
import socket
import time
from pathlib import Path

import mlflow
import pytest

from synth_mlflow.errors import ServerError, UsageError
from synth_mlflow.tracking import names, server
from synth_mlflow.tracking.server import Server, connect, connect_by_id, guard, guarded, public_uri
from synth_mlflow.tracking.ui import artifact_url, run_url, runs_url
from synth_mlflow.tracking.write import NewRun, create_run


@pytest.fixture
def port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        yield listener.getsockname()[1]


def test_nobody_listens(port):
    began = time.monotonic()
    with pytest.raises(
        ServerError, match=f"the tracking server http://127.0.0.1:{port} did not do.*refused"
    ) as refusal:
        connect("shop", f"http://127.0.0.1:{port}")
    assert "Check that the server runs" in refusal.value.fix
    assert time.monotonic() - began < 120  # MLflow's own patience is four minutes


def test_somebody_listens_and_never_answers(monkeypatch):
    assert server.SECONDS_TO_CONNECT + server.SECONDS_TO_ANSWER < 15
    monkeypatch.setattr(server, "SECONDS_TO_ANSWER", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        uri = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(ServerError, match=f"{uri} did not do what was asked: .*Read timed out"):
            connect("shop", uri)


@pytest.mark.parametrize("password", ["secret", "s:e:c@ret", "%40secret"])
@pytest.mark.parametrize("uri", ["http://ann:{}@127.0.0.1:{}", "http://:{}@127.0.0.1:{}/proxy"])
def test_passwords_are_never_shown(port, uri, password):
    with pytest.raises(ServerError, match=r"127.0.0.1") as refusal:
        connect("shop", uri.format(password, port))
    assert "cret" not in str(refusal.value)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("API request to http://ann:s@e:cret@host/api failed", "API request to http://***@host/api failed"),
        ("cannot reach postgresql://:secret@db/x", "cannot reach postgresql://@db/x"),
        ("cannot reach mysql+pymysql://ann:12/34@db:3306/x", "cannot reach mysql+pymysql://ann@db:3306/x"),
        ("at postgresql://db:5432/x?application=b@c", "at postgresql://db:5432/x?application=b@c"),
        ("at http://host:5000/@scope/b", "at http://host:5000/@scope/b"),
        ("at http://host:5000/a?to=b@c", "at http://host:5000/a?to=b@c"),
        ("\n\nfirst line.\nTraceback", "first line"),
        ("", "OSError"),
    ],
)
def test_reasons_are_one_line_without_passwords(text, shown):
    with pytest.raises(ServerError, match="did not do what was asked") as refusal, guarded("sqlite:///x.db"):
        raise OSError(text)
    assert refusal.value.found.endswith(f"asked: {shown}.")


def test_a_missing_driver_is_named():
    with pytest.raises(ServerError, match=r"mssql://ann@db/x needs a driver: No module named .*\nInstall it: `pip"):
        connect("shop", "mssql://ann:secret@db/x")


@pytest.mark.parametrize(
    ("uri", "public"),
    [
        ("sqlite:///mlflow.db", "sqlite:///mlflow.db"),
        ("http://ann:p@ss@host:5000/x", "http://host:5000/x"),
        ("http://:token@host", "http://host"),
        ("https://token@host", "https://host"),
    ],
)
def test_public_uris(uri, public):
    assert public_uri(uri) == public


@pytest.fixture
def read_only(uri, tmp_path):
    connect("shop", uri, create=True)
    return f"sqlite:///file:{tmp_path / 'mlflow.db'}?mode=ro&uri=true"


def test_a_database_that_is_read_only(read_only):
    with pytest.raises(ServerError, match=r"attempt to write a readonly database.\nMake the database and the artifact"):
        connect("another shop", read_only, create=True)
    project = connect("shop", read_only)
    with pytest.raises(ServerError, match="readonly database"):
        create_run(project, NewRun("problem", "problem", "key"))


def test_a_file_that_is_no_database(tmp_path):
    (tmp_path / "notes.db").write_text("hello " * 100)
    with pytest.raises(ServerError, match=r"notes.db did not do what was asked: .*not a database"):
        connect("shop", f"sqlite:///{tmp_path / 'notes.db'}")


def test_a_scheme_that_mlflow_does_not_know():
    with pytest.raises(ServerError, match=r"the tracking server gopher://x did not do what was asked: .*unsupported"):
        connect("shop", "gopher://x")


def test_an_unknown_experiment_names_the_closest(uri):
    connect("shop", uri, create=True)
    with pytest.raises(UsageError, match=r"there is no experiment 'shp'. Did you mean 'shop'"):
        connect("shp", uri)


@pytest.mark.parametrize("name", ["shöp 店", "a b/c: d", "x" * 400])
def test_names_may_be_any_text(uri, name):
    made = connect(name, uri, create=True)
    assert (
        connect(name, uri)
        == connect(name, uri, create=True).__class__(connect(name, uri).client, uri, made.experiment_id, name)
        or connect(name, uri).experiment_id == made.experiment_id
    )


def test_the_only_project_needs_no_name(uri):
    with pytest.raises(UsageError, match="there is no project on this server yet"):
        connect(None, uri)
    shop = connect("shop", uri, create=True)
    assert connect(None, uri).experiment_id == shop.experiment_id
    connect("mill", uri, create=True)
    with pytest.raises(UsageError, match=r"2 projects are on this server \('mill', 'shop'\); one had to be named"):
        connect(None, uri)
    create_run(shop, NewRun("problem", "problem", "key"))  # an experiment that was only marked is none
    assert connect(None, uri).experiment_id == shop.experiment_id


def test_a_deleted_experiment_is_not_reused(uri):
    shop = connect("shop", uri, create=True)
    shop.client.delete_experiment(shop.experiment_id)
    for create in (True, False):
        with pytest.raises(
            UsageError, match=rf"experiment 'shop' was deleted.\nRestore it, .*-id {shop.experiment_id}`"
        ):
            connect("shop", uri, create=create)


def test_an_experiment_that_somebody_else_made_is_marked_as_a_project(uri):
    made = connect("shop", uri, create=True)
    bare = made.client.create_experiment("bare")
    with pytest.raises(UsageError, match=r"experiment 'bare' is no project; those on this server: 'shop'"):
        connect_by_id(bare, uri)
    assert names.TAG_SCHEMA not in made.client.get_experiment(bare).tags
    opened = connect_by_id(bare, uri, create=True)
    assert opened.experiment == "bare"
    assert opened.client.get_experiment(bare).tags[names.TAG_SCHEMA] == names.SCHEMA
    with pytest.raises(ServerError, match="No Experiment with id=77 exists"):
        connect_by_id("77", uri)


def test_without_a_uri_mlflows_own_setting_holds(uri, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    assert connect("shop", create=True).tracking_uri == uri


def test_without_a_name_mlflows_own_setting_holds(uri, monkeypatch):
    connect("mill", uri, create=True)
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "shop")
    with pytest.raises(UsageError, match="there is no experiment 'shop'"):
        connect(None, uri)
    assert connect(None, uri, create=True).experiment == connect(None, uri).experiment == "shop"
    assert connect("mill", uri).experiment == "mill"


def test_mistakes_of_ours_are_not_blamed_on_the_server():
    @guard
    def broken(project):
        return {}["x"]

    with pytest.raises(KeyError, match="x"):
        broken(Server(None, "sqlite:///x.db", "1", "shop"))


def test_links_land_in_the_ui_and_carry_no_password():
    web = Server(None, "https://ann:secret@host/ml/", "7", "shop")
    assert run_url(web, "ab") == "https://host/ml/#/experiments/7/runs/ab?workflowType=machine_learning"
    assert "runs?workflowType=machine_learning&viewStateShareKey=synth-start-here" in runs_url(web, web.web)
    assert artifact_url(web, web.web, "ab", "a ü.json").endswith(
        "/runs/ab/artifacts/a%20%C3%BC.json?workflowType=machine_learning"
    )
    assert run_url(Server(None, "sqlite:///x.db", "7", "shop"), "ab") is None


def test_a_project_of_another_schema_is_refused_with_the_way_on(empty_store: Path, tmp_path: Path) -> None:
    uri = f"sqlite:///{shutil.copy(empty_store, tmp_path / 'mlflow.db')}"
    client = mlflow.MlflowClient(uri)
    made = client.create_experiment("old shop", tags={names.TAG_SCHEMA: "1"})
    message = r"'old shop' was written with the names of schema 1"
    for create in (False, True):
        with pytest.raises(UsageError, match=message) as refused:
            connect("old shop", uri, create=create)
        assert "--experiment 'old shop-2'" in refused.value.fix
        with pytest.raises(UsageError, match=message):
            connect_by_id(made, uri, create=create)
    assert client.get_experiment(made).tags[names.TAG_SCHEMA] == "1"
