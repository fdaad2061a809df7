"""A time limit for generators of this process's own kind: they run in another process, and are killed in it."""

import time
from pathlib import Path

import pytest

from synth_mlflow.errors import GeneratorError, UsageError

CODE = """
import os, subprocess, sys, time
def make(members, n_rows, seed, what="copy"):
    print("noise on stdout")
    if what == "hang":
        subprocess.Popen(["sleep", "612"])
        time.sleep(600)
    if what == "die":
        os.kill(os.getpid(), 9)
    if what == "raise":
        raise KeyError("colour")
    if what == "pieces":
        for at in range(n_rows):
            yield members.iloc[at : at + 1]
        return
    yield members.sample(n_rows, random_state=seed)
"""


@pytest.fixture
def ask(frozen, tmp_path):
    (tmp_path / "hanging.py").write_text(CODE)

    def ask(generator="hanging:make", **changes):
        given = {"rows": 20, "seed": 3, "purpose": "x", "timeout_seconds": 60}
        return frozen.generate(generator, **{**given, "version": "1", **changes})

    return ask


@pytest.mark.slow
@pytest.mark.parametrize(("generator", "version"), [("hanging:make", "1"), ("bootstrap_noise", None)])
def test_a_limit_changes_no_row(frozen, ask, generator, version):
    made = ask(generator, version=version)
    again = ask(generator, version=version, timeout_seconds=None)
    assert (made.digest, made.run_id) == (again.digest, again.run_id)
    assert made.record.notes == again.record.notes


@pytest.mark.slow
def test_pieces_come_one_by_one(ask):
    assert ask(params={"what": "pieces"}).n_rows == 20


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"params": {"what": "raise"}}, GeneratorError, "generator hanging:make raised KeyError: 'colour'"),
        ({"params": {"what": "die"}}, GeneratorError, r"was ended by signal 9. The last lines .*\n  noise on stdout"),
        ({"generator": "forst", "version": None}, UsageError, "no generator is called 'forst'"),
    ],
)
def test_errors_are_those_that_it_raises_without_a_limit(frozen, ask, changes, error, message):
    with pytest.raises(error, match=message):
        ask(**changes)
    assert frozen.project.reader.runs("batch") == []


@pytest.mark.slow
def test_what_hangs_is_killed_with_all_that_it_started(frozen, ask):
    begun = time.monotonic()
    with pytest.raises(GeneratorError, match=r"was killed at its time limit of 8 s(.*\n)*Give it longer: `--timeout"):
        ask(params={"what": "hang"}, timeout_seconds=8)
    assert time.monotonic() - begun < 100
    assert frozen.project.reader.runs("batch") == []
    commands = [path.read_bytes() for path in _commands()]
    assert b"sleep\x00612\x00" not in commands


def _commands():
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            path.read_bytes()
        except OSError:  # ended meanwhile
            continue
        yield path
