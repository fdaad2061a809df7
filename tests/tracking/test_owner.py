"""A run says who writes it, and whoever asks later can tell the dead from the living."""

import subprocess
import sys
import time

import pytest

from synth_mlflow.tracking import draft
from synth_mlflow.tracking.draft import HOURS_OF_SILENCE, is_gone, this_process

NOW = int(time.time() * 1000)
LONG_AGO = NOW - (HOURS_OF_SILENCE * 3600 + 60) * 1000
SAY = "from synth_mlflow.tracking.draft import this_process; print(this_process(), flush=True); input()"


@pytest.mark.slow
def test_a_process_of_this_machine_is_asked():
    with subprocess.Popen(
        [sys.executable, "-c", SAY], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        told = other.stdout.readline().strip()
        assert not is_gone(told, NOW) and not is_gone(told, LONG_AGO)
        other.kill()
        other.wait()
        assert is_gone(told, NOW)
    machine, process, birth = told.rsplit(" ", 2)
    assert is_gone(f"{machine} {process} {int(birth) + 1}", NOW)  # another process has its number now


def test_elsewhere_than_on_linux_psutil_is_asked(monkeypatch):
    monkeypatch.setattr(draft, "_birth", draft._birth_by_psutil)
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        birth = draft._birth(other.pid)
        owner = f"{this_process().rsplit(' ', 2)[0]} {other.pid} {birth}"
        assert float(birth) > 0 and not is_gone(owner, LONG_AGO)
        other.kill()
        other.wait()
    assert is_gone(owner, NOW)


def test_a_process_elsewhere_has_a_day():
    assert not is_gone("far/away/1 77 123", NOW)
    assert is_gone("far/away/1 77 123", LONG_AGO)


def test_nobodys_runs_and_ones_own_may_be_taken_over():
    assert is_gone("", NOW) and is_gone(this_process(), NOW)
