"""What the command line says of faults around it: bytes, folders, signals, narrow windows."""

from __future__ import annotations

import os
import platform
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from synth_mlflow.cli import output
from synth_mlflow.cli.main import _exit_code
from synth_mlflow.errors import ServerError, UsageError
from synth_mlflow.tracking import moved
from synth_mlflow.tracking.server import _reason


def test_a_purpose_that_is_no_utf_8(frozen, call):
    code, _, errors = call("generate", "forest", "--rows", "5", "--purpose", "caf\udce9")
    assert code == 2 and "the argument 'caf?' is no UTF-8 text" in errors and "Traceback" not in errors
    with pytest.raises(UsageError, match="purpose must be a text of Unicode"):
        frozen.generate("bootstrap_noise", rows=5, purpose="caf\udce9")
    assert len(frozen.batches()) == 0


def test_a_file_may_have_any_name(call, tmp_path):
    name = os.fsdecode(b"caf\xe9.parquet")
    (tmp_path / name).write_text("no table")
    _, _, errors = call("show", name)
    assert "is no UTF-8 text" not in errors and "caf?.parquet" in errors


def closed(*_, **__):
    raise PermissionError(13, "Permission denied", "there")


def test_init_where_nothing_can_be_written(call, monkeypatch):
    monkeypatch.setattr(Path, "mkdir", closed)
    code, _, errors = call("init", "there/new")
    assert code == 2 and "there/new cannot be written: Permission denied" in errors and "Traceback" not in errors


def test_a_file_that_cannot_be_written_is_no_traceback(call, monkeypatch):
    monkeypatch.setattr("synth_mlflow.cli.templates.write_templates", closed)
    code, _, errors = call("init", "new")
    assert code == 2 and "there: Permission denied." in errors and "Choose another place" in errors


def test_an_artifact_folder_that_cannot_be_written_is_told_first(frozen, monkeypatch):
    monkeypatch.setattr(moved.tempfile, "TemporaryFile", closed)
    with pytest.raises(ServerError, match=r"`sweep` keeps files in .*mlruns.*, which cannot be written: Permission"):
        frozen.sweep()
    assert frozen.status()


def test_status_of_a_deleted_experiment_says_so(frozen, call):
    server = frozen.project.server
    server.client.delete_experiment(server.experiment_id)
    code, _, errors = call("status", "--experiment", "shop", "--tracking-uri", server.tracking_uri)
    assert code == 2 and "experiment 'shop' was deleted" in errors and "Did you mean" not in errors
    assert f"mlflow experiments restore --experiment-id {server.experiment_id}" in errors


@pytest.mark.slow
def test_sigterm_says_something(tmp_path):
    code = (
        "import os, signal, sys\nfrom synth_mlflow.cli import templates\nfrom synth_mlflow.cli import main as app\n"
        "templates.write_templates = lambda *_: os.kill(os.getpid(), signal.SIGTERM) or signal.pause()\n"
        "app.run(['init', 'new'])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 128 + signal.SIGTERM
    assert "stopped by SIGTERM; open runs were marked KILLED" in done.stderr


def test_a_download_that_failed_keeps_its_reason():
    text = (
        "The following failures occurred while downloading one or more artifacts from http://host/x:\n"
        "##### File curve.json #####\nAPI request to http://host/x/curve.json failed with exception "
        "HTTPConnectionPool: too many 500 error responses"
    )
    assert _reason(OSError(text)).endswith("too many 500 error responses")
    assert _reason(OSError("one line\nand a second one")) == "one line"


@pytest.mark.parametrize("width", [40, 60, 100])
def test_a_narrow_window_cuts_no_score(monkeypatch, capsys, width):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", str(width))
    columns = ["ratio", "average_precision", "95 % interval", "gain", "placebo", ""]
    row = ["75 %", "0.8512", "0.8321 to 0.8723", "+0.0123", "0.8405", "chosen"]
    output.table(columns, [row, row])
    printed = re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out)
    assert "…" not in printed
    assert all(printed.count(word) >= 2 for cell in row for word in cell.split())
    assert all(len(line.rstrip()) <= width for line in printed.splitlines())


def test_an_interrupt_is_no_error_of_files(monkeypatch, capfd):
    monkeypatch.setattr("synth_mlflow.cli.main.cli.main", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
    assert _exit_code([]) == 130 and "stopped by Ctrl-C" in capfd.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252"])
def test_a_terminal_that_cannot_show_all_letters(frozen, encoding):
    """As in a Windows console, or where the output goes into a file there."""
    environment = {
        **os.environ,
        "PYTHONIOENCODING": encoding,
        "MLFLOW_TRACKING_URI": frozen.project.server.tracking_uri,
    }
    command = [sys.executable, "-m", "synth_mlflow", "status", "-q"]
    done = subprocess.run(command, env=environment, capture_output=True, check=False)
    assert done.returncode == 0 and b"Traceback" not in done.stderr
    assert b"next: synth-mlflow generate" in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["text", "folder"])
def test_a_tracking_file_that_is_no_database(kind, call, tmp_path):
    path = tmp_path / "other.db"
    path.mkdir() if kind == "folder" else path.write_text("hello")
    code, _, told = call("status", "--tracking-uri", f"sqlite:///{path}")
    assert code == 1 and "no database of MLflow: name another file" in told


def test_on_windows_it_says_where_it_runs(monkeypatch, capsys):
    monkeypatch.setattr(platform, "system", lambda: "Windows")
    assert _exit_code(["list"]) == 2
    assert "this is Windows; Linux or macOS was needed" in capsys.readouterr().err
