"""SQLite files: several first commands at once, commands that are ended in their first seconds, other writers."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
import textwrap

import pytest
from mlflow.exceptions import MlflowException

from synth_mlflow.errors import ServerError
from synth_mlflow.tracking import database_file
from synth_mlflow.tracking.database_file import prepare, wait_until_free, writers
from synth_mlflow.tracking.server import connect, guarded

FIRST = "from synth_mlflow.tracking.server import connect; print(connect('shop', 'sqlite:///mlflow.db', create=True))"


def first_command(folder, code=FIRST):
    return subprocess.Popen([sys.executable, "-c", code], cwd=folder, stderr=subprocess.PIPE, text=True)


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.slow
def test_four_first_commands_at_once_all_work(tmp_path):
    for command in [first_command(tmp_path) for _ in range(4)]:
        _, errors = command.communicate(timeout=300)
        assert command.returncode == 0, errors
    assert names_in(tmp_path) == ["mlflow.db"]
    assert connect("shop", f"sqlite:///{tmp_path}/mlflow.db").experiment_id == "1"


@pytest.mark.slow
@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGINT])
@pytest.mark.parametrize("statements", [1, 40, 120])
def test_a_first_command_that_is_ended_leaves_nothing_in_the_way(tmp_path, ending, statements):
    """After so many statements of the migration, at the latest when the last table is made."""
    code = textwrap.dedent(f"""
        import itertools, os, signal, time
        from sqlalchemy import event
        from sqlalchemy.engine import Engine
        count = itertools.count(1)
        def stop(*_):
            if next(count) == {statements}:
                os.kill(os.getpid(), {int(ending)})
                time.sleep(1)
        event.listen(Engine, "before_cursor_execute", stop)
        {FIRST}
    """)
    command = first_command(tmp_path, code)
    _, errors = command.communicate(timeout=300)
    assert command.returncode != 0, errors
    assert "mlflow.db" not in names_in(tmp_path)
    assert connect("shop", f"sqlite:///{tmp_path}/mlflow.db", create=True).experiment_id == "1"
    assert names_in(tmp_path) == ["mlflow.db"]


def test_an_empty_file_is_as_good_as_none(tmp_path, monkeypatch):
    made = []
    monkeypatch.setattr(database_file, "_migrate", lambda path: made.append(path.write_text("tables")))
    monkeypatch.setattr(database_file, "_wait", lambda *_: None)
    (tmp_path / "mlflow.db").touch()
    for _ in range(2):
        prepare(f"sqlite:///{tmp_path}/mlflow.db", print)
    assert len(made) == 1 and (tmp_path / "mlflow.db").read_text() == "tables"
    assert names_in(tmp_path) == ["mlflow.db"]


def test_somebody_who_was_first_is_not_replaced(tmp_path, monkeypatch):
    place = tmp_path / "mlflow.db"

    def migrate(path):
        path.write_text("ours")
        place.write_text("theirs")

    monkeypatch.setattr(database_file, "_migrate", migrate)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(place), "is_file", lambda path: False)
        database_file._make(place)
    assert place.read_text() == "theirs" and names_in(tmp_path) == ["mlflow.db"]


def half(path, n_runs):
    """A file whose migration was interrupted: its tables are there, their version is that of the step before."""
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '451aebb31d03'")
        connection.execute("DROP TABLE trace_info")
        for number in range(n_runs):
            connection.execute("INSERT INTO runs (run_uuid, experiment_id) VALUES (?, 1)", (str(number),))


def test_a_half_made_file_is_named_with_its_cure(uri, tmp_path, empty_store):
    half(tmp_path / "mlflow.db", 0)
    with pytest.raises(ServerError, match=r"mlflow.db was left half made by a command that was ended") as told:
        connect("shop", f"sqlite:///{tmp_path}/mlflow.db", create=True)
    assert told.value.fix.endswith(f"run the same command again: `mv {tmp_path}/mlflow.db {tmp_path}/mlflow.db.half`.")


def test_a_half_migrated_file_with_runs_is_never_put_away(uri, tmp_path):
    half(tmp_path / "mlflow.db", 3)
    with pytest.raises(ServerError, match=r"mlflow.db, which holds 3 runs, are not those of this version") as told:
        connect("shop", f"sqlite:///{tmp_path}/mlflow.db", create=True)
    assert "mlflow db upgrade" in told.value.fix and "Put the copy back" in told.value.fix


@pytest.fixture
def writer(uri, tmp_path):
    """Another process that writes to the database, until it is told to end."""
    code = "import sqlite3, sys; sqlite3.connect('mlflow.db').execute('BEGIN EXCLUSIVE'); print(flush=True); input()"
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, cwd=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        other.stdout.readline()
        yield other


def test_another_writer_is_named_and_waited_for(writer, uri, tmp_path, monkeypatch):
    monkeypatch.setattr(database_file, "SECONDS_UNSAID", 0.0)
    told = []

    def say(text):
        told.append(text)
        writer.communicate(b"\n")

    assert connect("nobody else", uri, create=True, say=say).experiment == "nobody else"
    if sys.platform == "linux":
        assert f"mlflow.db is being written by process {writer.pid} (" in told[0]
    assert len(told) == 1


def test_a_writer_who_never_ends_is_named(writer, uri, tmp_path, monkeypatch):
    monkeypatch.setattr(database_file, "SECONDS_WAITING", 0.2)
    with pytest.raises(ServerError, match=r"mlflow.db has been locked for 0 s by .*\nLet it come to its end"):
        connect("shop", uri)
    with pytest.raises(ServerError, match=r"has been locked"):
        wait_until_free(uri, print)
    writer.communicate(b"\n")
    wait_until_free(uri, print)
    assert writers(tmp_path / "mlflow.db") == "another process"


def test_a_server_whose_database_is_locked_is_not_said_to_be_down():
    with pytest.raises(ServerError, match=r"database is locked") as told, guarded("http://host"):
        raise MlflowException("(sqlite3.OperationalError) database is locked")
    assert "PostgreSQL" in told.value.fix and "Check that the server runs" not in told.value.fix
