"""The command line, called as a shell would."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from synth_mlflow.cli.app import run


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Runs a command line; returns its exit code, what it printed, and its errors."""

    def call(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as leaving:
            run(arguments)
        printed = capsys.readouterr()
        return int(leaving.value.code or 0), printed.out, printed.err

    return call
