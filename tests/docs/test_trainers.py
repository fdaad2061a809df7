"""The trainers of the how-to page are fitted as they stand there."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from synth_mlflow.data.columns import normalise
from synth_mlflow.data.mixing import FitRows
from synth_mlflow.data.task import ModelSpec, Task
from synth_mlflow.models.base import fit
from synth_mlflow.models.scoring import score
from synth_mlflow.stages.fit_commands import command_spec
from synth_mlflow.sweep.evaluator import Evaluator

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "how-to" / "trainers.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^## (.*?)\n(.*?)(?=^## |\Z)", PAGE, re.DOTALL | re.MULTILINE))


def block(section: str, language: str) -> str:
    """The first block of a section in a language."""
    return re.findall(rf"```{language}[^\n]*\n(.*?)```", SECTIONS[section], re.DOTALL)[0]


@pytest.mark.parametrize("section", ["A scikit-learn pipeline", "XGBoost", "CatBoost"])
def test_trainers_of_the_page_learn(
    section: str, customers: Callable[..., pd.DataFrame], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model: dict[str, Any] = yaml.safe_load(block(section, "yaml"))["model"]
    if "pipeline" in section:
        (tmp_path / "my_models.py").write_text(block(section, "python"), encoding="utf-8")
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.delitem(sys.modules, "my_models", raising=False)
    else:
        pytest.importorskip(model["estimator"].partition(":")[0])
    rows = normalise(customers(400, 1))
    said = fit(ModelSpec(**model), Task("bought", "binary"), rows, seed=1).predict(normalise(customers(200, 2)))
    assert np.unique(said[:, 1]).size > 20


@pytest.mark.slow
def test_commands_of_the_page_fit_and_predict(
    customers: Callable[..., pd.DataFrame], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scripts = re.findall(r'```python title="(\w+\.py)"\n(.*?)```', SECTIONS["Commands"], re.DOTALL)
    for name, code in scripts:
        (tmp_path / name).write_text(code, encoding="utf-8")
    typed = re.findall(r"-command '(.*?)'", SECTIONS["Commands"])
    monkeypatch.chdir(tmp_path)
    spec = command_spec(*(command.replace("python", sys.executable) for command in typed))
    bench = Evaluator.build(
        normalise(customers(300, 1)), normalise(customers(200, 2)), Task("bought", "binary"), "roc_auc", spec
    )
    said = bench.trainer.predictions(FitRows(np.arange(300), np.empty(0, dtype=np.int64)), 1)
    assert score("roc_auc", bench.task, np.array(["no", "yes"])[bench.truth.astype(int)], said, bench.classes) > 0.7
