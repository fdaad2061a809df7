"""Temporary rows: nobody else can read them, and the next process removes what a killed one has left."""

import os
import shutil
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from synth_mlflow.data import private as rooms
from synth_mlflow.errors import UsageError

ROWS = (
    "from synth_mlflow.data.private import private_room; r = private_room(); (r / 'rows').touch(); print(r, flush=True)"
)


def started(code, folder):
    process = subprocess.Popen(
        [sys.executable, "-c", code], env={**os.environ, "TMPDIR": str(folder)}, stdout=subprocess.PIPE, text=True
    )
    return process, Path(process.stdout.readline().strip())


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="locks and modes of POSIX")
def test_what_a_killed_process_left_is_removed_by_the_next_and_a_living_one_keeps_its_room(tmp_path):
    killed, left = started(f"{ROWS}; import time; time.sleep(600)", tmp_path)
    living, kept = started(f"{ROWS}; import time; time.sleep(600)", tmp_path)
    try:
        assert stat.S_IMODE(left.parent.stat().st_mode) == 0o700 and left.parent == kept.parent
        killed.send_signal(signal.SIGKILL)
        killed.wait()
        assert (left / "rows").exists()
        after, own = started(ROWS, tmp_path)
        after.wait()
        assert not left.exists() and (kept / "rows").exists() and not own.exists()
    finally:
        living.kill()
        living.wait()


@pytest.mark.skipif(os.name != "posix", reason="modes of POSIX")
def test_a_folder_that_others_can_read_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    house = rooms._house()
    house.chmod(0o755)
    with pytest.raises(UsageError, match=r"others own it or may read it\.\n.*chmod 700"):
        rooms._house()
    house.rmdir()
    house.symlink_to(tmp_path)
    with pytest.raises(UsageError, match="others own it"):
        rooms._house()


def test_without_locks_only_what_is_a_day_old_is_left_behind(tmp_path, monkeypatch):
    monkeypatch.setattr(rooms, "fcntl", None)
    old, new = tmp_path / "old", tmp_path / "new"
    for room in (old, new):
        room.mkdir()
    os.utime(old, (time.time() - 2 * rooms.UNLOCKED_SECONDS,) * 2)
    for room in (old, new):
        rooms._clear_if_left(room)
    assert not old.exists() and new.exists()


@pytest.fixture
def empty_house(tmp_path, monkeypatch):
    """A folder of rooms of its own, without the room that this process already has."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    rooms._room.cache_clear()
    yield rooms._house()
    rooms._room.cache_clear()


@pytest.mark.skipif(os.name != "posix", reason="locks of POSIX")
def test_a_room_that_is_being_made_is_never_taken_for_one_left_behind(empty_house, monkeypatch):
    flock, seen = rooms.fcntl.flock, []

    def while_others_start(lock, how):
        """Another process clears what it finds before and after the lock is taken."""
        for after in (False, True):
            if after:
                flock(lock, how)
            with monkeypatch.context() as others:
                others.setattr(rooms.fcntl, "flock", flock)
                for room in empty_house.iterdir():
                    rooms._clear_if_left(room)
                    seen.append(room.exists())

    with monkeypatch.context() as crowd:
        crowd.setattr(rooms.fcntl, "flock", while_others_start)
        assert rooms.private_room().is_dir() and seen == [True, True]
    rooms._clear_if_left(rooms.private_room())
    assert (rooms.private_room() / rooms.LOCK).is_file()


def test_a_room_that_others_removed_is_made_again(empty_house):
    room = rooms.private_room()
    assert rooms.private_room() == room
    shutil.rmtree(room)
    assert rooms.private_room().is_dir() and rooms.private_room() != room


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks of POSIX")
def test_a_fork_has_a_room_of_its_own(empty_house):
    room = rooms.private_room()
    read, write = os.pipe()
    if (child := os.fork()) == 0:
        os.write(write, str(rooms.private_room()).encode())
        os._exit(0)
    os.waitpid(child, 0)
    assert os.read(read, 4096).decode() not in {"", str(room)} and room.is_dir()
