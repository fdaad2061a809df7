"""First commands in a new folder: ended in their first seconds, or several at once."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

FIRST = "from synth_mlflow.tracking.server import connect; connect('shop', 'sqlite:///mlflow.db', create=True)"
SECONDS = 20.0  # that a first command has at most before it is ended, counted from when its file of tables is there


def end_first_command(folder: Path, rng: random.Random, ending: signal.Signals) -> bool:
    """Start a command, and end it at a random moment while it makes its tables; gives whether it was still at it."""
    command = start(folder)
    deadline = time.monotonic() + SECONDS
    while not any(folder.iterdir()) and command.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(rng.uniform(0, 2.0))
    was_at_it = command.poll() is None
    command.send_signal(ending)
    command.communicate()
    return was_at_it


def first_command_works(folder: Path) -> list[str]:
    """What is wrong after the command was run again."""
    command = start(folder)
    _, errors = command.communicate()
    left = sorted(path.name for path in folder.iterdir())
    wrong = [] if command.returncode == 0 else [f"a first command does not work: {errors[-300:]}"]
    return wrong if left == ["mlflow.db"] else [*wrong, f"a first command left {left}"]


def four_first_commands(folder: Path) -> list[str]:
    """What is wrong after four first commands at once."""
    commands = [start(folder) for _ in range(4)]
    answers = [command.communicate() for command in commands]
    return [errors[-300:] for command, (_, errors) in zip(commands, answers, strict=True) if command.returncode]


def start(folder: Path) -> subprocess.Popen[str]:
    """The command, in a process of its own."""
    return subprocess.Popen([sys.executable, "-c", FIRST], cwd=folder, stderr=subprocess.PIPE, text=True)
