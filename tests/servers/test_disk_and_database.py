"""A full disk, a read-only database, a database that somebody else is writing to."""

import os
import sqlite3
import subprocess
import threading

import pytest
import shop
from sqlalchemy import event
from sqlalchemy.engine import Engine

from synth_mlflow import Workflow
from synth_mlflow.errors import ServerError

pytestmark = pytest.mark.slow

LAW = {"generator": "law", "version": "1", "params": {}, "seed": 9, "slice": None, "purpose": "more", "source": "none"}


@pytest.fixture
def small_disk(tmp_path):
    """A folder on a file system of a few megabytes of its own."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", folder]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("a small file system cannot be mounted here: that takes root and CAP_SYS_ADMIN")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def write(workflow, n_rows=50):
    with workflow.batch(**LAW) as b:
        b.write(shop.customers(n_rows, 9))
    return b.batch


def test_a_full_disk_loses_nothing(small_disk, empty_store, monkeypatch):
    (small_disk / "mlflow.db").write_bytes(empty_store.read_bytes())
    monkeypatch.chdir(small_disk)
    shop.write_shop(small_disk, shop.customers(300, 1))
    workflow = Workflow("shop", f"sqlite:///{small_disk / 'mlflow.db'}")
    workflow.define(small_disk / "problem.md")
    workflow.freeze()
    filler = small_disk / "filler"
    with pytest.raises(OSError, match="No space left"), filler.open("wb") as file:
        while True:
            file.write(b"x" * 4_096)
            file.flush()
    with pytest.raises(ServerError, match=r"did not do what was asked: .*(No space left|disk is full|disk I/O error)"):
        write(workflow)
    assert workflow.project.batches() == []
    filler.unlink()
    batch = write(workflow)
    assert [found.id for found in workflow.project.batches()] == [batch.batch]
    assert workflow.verify().holds


def test_a_database_that_somebody_else_is_writing_to(frozen, tmp_path):
    """A short wait is waited for; a long one ends with one message, and nothing is half-written."""
    other = sqlite3.connect(tmp_path / "mlflow.db", check_same_thread=False, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    threading.Timer(1.0, lambda: other.execute("ROLLBACK")).start()
    batch = write(frozen)
    assert [found.id for found in frozen.project.batches()] == [batch.batch]
    other.close()


@pytest.fixture
def _impatient():
    """MLflow waits 20 seconds for a lock; a test need not."""

    def wait_less(connection, cursor, statement, parameters, context, executemany):
        return ("PRAGMA busy_timeout = 100" if "busy_timeout" in statement else statement), parameters

    event.listen(Engine, "before_cursor_execute", wait_less, retval=True)
    yield
    event.remove(Engine, "before_cursor_execute", wait_less)


@pytest.mark.usefixtures("_impatient")
def test_a_database_that_is_locked_for_good(frozen, tmp_path):
    other = sqlite3.connect(tmp_path / "mlflow.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        with pytest.raises(ServerError, match="has been locked for 60 s by another process"):
            write(frozen)
    finally:
        other.execute("ROLLBACK")
        other.close()
    assert frozen.project.batches() == []
    assert write(frozen)


def test_a_read_only_database_is_told_before_anything_is_computed(frozen, tmp_path):
    read_only = Workflow(None, f"sqlite:///file:{tmp_path / 'mlflow.db'}?mode=ro&uri=true")
    assert read_only.status().stages[1].done and read_only.verify().holds
    with pytest.raises(ServerError, match=r"`generate` writes to experiment 'shop'; .*readonly database") as told:
        read_only.generate("bootstrap_noise", rows=5, purpose="x")
    assert "writable for you" in told.value.fix
