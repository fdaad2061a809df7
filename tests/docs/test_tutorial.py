"""The tutorial's notebook runs whole, and so does the tutorial's page."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib.figure
import mlflow
import pytest

DOCS = Path(__file__).resolve().parents[2] / "docs"


def notebook_code() -> str:
    """All code cells of the notebook, in order."""
    cells = json.loads((DOCS / "notebook.ipynb").read_text(encoding="utf-8"))["cells"]
    return "\n\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")


@pytest.mark.slow
def test_the_notebook_runs(uri: str, capsys: pytest.CaptureFixture[str]) -> None:
    mlflow.set_tracking_uri(uri)
    made: dict[str, Any] = {}
    exec(compile(notebook_code(), "notebook.ipynb", "exec"), made)
    printed = capsys.readouterr().out
    assert "this project has no synthetic batch" in printed and made["curve"].decision in printed
    assert made["verdict"].verdict == "pass"
    assert isinstance(made["curve"].figure(), matplotlib.figure.Figure)
    assert "<title>Handoff: demo-breast-cancer</title>" in Path("tutorial/handoff.html").read_text()  # not a draft
    assert made["run"].info.run_id in "\n".join(made["workflow"].trace(made["batch"].batch).lines())


@pytest.mark.slow
def test_the_page_runs(uri: str, call: Callable[..., tuple[int, str, str]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    page = (DOCS / "tutorial.md").read_text(encoding="utf-8")
    exec(re.findall(r"```python\n(.*?)```", page, re.DOTALL)[0], {})
    problem, limits = re.findall(r"```markdown\n(.*?)```", page, re.DOTALL)
    Path("problem.md").write_text(problem)
    Path("limits.md").write_text(limits)
    for line in re.findall(r"^synth-mlflow .*$", page, re.MULTILINE):
        assert call(*shlex.split(line)[1:])[0] == 0, line
    assert "<title>Handoff: young-customers</title>" in Path("handoff.html").read_text()  # not a draft
