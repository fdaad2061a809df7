"""The environment: versions of what matters, and the state of the code where there is git."""

import subprocess

import numpy as np

from synth_mlflow.data import environment as recording
from synth_mlflow.data.digests import canonical_json
from synth_mlflow.data.environment import environment, git_state


def test_versions_are_recorded_and_what_is_not_installed_is_left_out():
    found = environment("no-such-package")
    assert found["packages"]["numpy"] == np.__version__
    assert "no-such-package" not in found["packages"]
    canonical_json(found)


def test_the_state_of_the_code(tmp_path):
    assert git_state(tmp_path) is None
    for command in ("init -q", "-c user.name=a -c user.email=a@b commit -q --allow-empty -m x"):
        subprocess.run(["git", "-C", str(tmp_path), *command.split()], check=True)
    clean = git_state(tmp_path)
    (tmp_path / "new.py").write_text("1")
    dirty = git_state(tmp_path)
    assert (len(clean["commit"]), clean["dirty"], clean["diff_sha256"]) == (40, False, None)
    assert (dirty["commit"], dirty["dirty"], len(dirty["diff_sha256"])) == (clean["commit"], True, 64)


def test_a_machine_without_git(tmp_path, monkeypatch):
    def gone(*args, **kwargs):
        raise FileNotFoundError("git")

    monkeypatch.setattr(recording.subprocess, "run", gone)
    assert git_state(tmp_path) is None
