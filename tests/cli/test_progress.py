"""Progress on terminals and in logs."""

from __future__ import annotations

import io
from pathlib import Path
from types import SimpleNamespace

import pytest

from synth_mlflow import Workflow
from synth_mlflow.cli import output
from synth_mlflow.cli.output import Progress, Step


class Terminal(io.StringIO):
    """A stream that says it is one."""

    def isatty(self) -> bool:
        return True


def test_a_log_gets_plain_lines_and_no_counts(capsys: pytest.CaptureFixture[str]) -> None:
    say = Progress(quiet=False)
    say.wait("loading")
    say("sweeping")
    say.count(1, 8, "fits")
    found = capsys.readouterr()
    assert found.out == ""
    assert found.err == "[  0.0 s] sweeping\n"


def test_a_long_count_in_a_log_is_told_now_and_then(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(output, "SECONDS_BETWEEN", 0.0)
    say = Progress(quiet=False)
    say("sweeping")
    say.count(2, 8, "fits")
    assert "2 of 8 fits, 0 s, about 0 s left" in capsys.readouterr().err


def test_quiet_is_quiet(capsys: pytest.CaptureFixture[str]) -> None:
    say = Progress(quiet=True)
    say("sweeping")
    say.count(2, 8, "fits")
    assert capsys.readouterr().err == ""


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> float:
    """A clock that stands still: a busy machine may pause for seconds."""
    monkeypatch.setattr(output, "time", SimpleNamespace(monotonic=lambda: 1_000.0))
    return 1_000.0


def test_what_is_left_is_reckoned_from_what_was_done(now: float) -> None:
    step = Step("sweeping", done=10, total=40, unit="fits", begun=now - 20)
    assert step.state() == "10 of 40 fits, 20 s, about 1 min 0 s left"


@pytest.mark.parametrize(("seconds", "shown"), [(0, ""), (5, "… 5 s")])
def test_the_live_line_waits_until_a_step_is_long(now: float, seconds: float, shown: str) -> None:
    assert Step("sweeping", begun=now - seconds).__rich__().plain.strip() == shown


def test_a_terminal_has_a_live_line_that_is_taken_away(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.delenv("NO_COLOR", raising=False)
    say = Progress(quiet=False)
    say("sweeping")
    assert len(output._live) == 1
    output.hide()
    assert output._live == []
    assert "\x1b[?25h" in terminal.getvalue()  # the cursor is shown again


def test_no_color_means_no_live_line_either(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.setenv("NO_COLOR", "1")
    Progress(quiet=False)("sweeping")
    assert output._live == []
    assert "\x1b" not in terminal.getvalue()


def test_long_verbs_tell_how_far_they_are(frozen: Workflow, tmp_path: Path) -> None:
    told: list[tuple[int, int, str]] = []
    frozen.project.count = lambda done, total, unit: told.append((done, total, unit))
    batch = frozen.generate("forest", rows=60, purpose="x")
    frozen.identify(tmp_path / "rows.csv")
    n_runs = sum(frozen.verify().runs.values())
    assert told[0] == (60, 60, "rows") and (1, 1, "batches") in told
    assert told[-1] == (n_runs, n_runs, "runs") and batch.n_rows == 60
