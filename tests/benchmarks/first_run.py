"""The first hour on tables of others: `init --from`, the answers of a person, `run`; what it ends in, and CPU seconds.

The tables are in packages of PyPI, which are installed for this benchmark alone and imported by nothing else::

    pip install scikit-learn statsmodels
    python tests/benchmarks/first_run.py [TABLE ...]
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from functools import partial
from importlib import import_module
from pathlib import Path

import pandas as pd
from sklearn import datasets

SECONDS = 900
OF_MODELS = {"anes96": "vote", "fair": "affairs", "modechoice": "choice", "randhie": "mdvis", "star98": "NABOVE"}


def _of_scikit_learn(load: Callable[..., object]) -> pd.DataFrame:
    frame: pd.DataFrame = load(as_frame=True).frame  # type: ignore[attr-defined]
    return frame


def _of_statsmodels(name: str) -> pd.DataFrame:
    found: pd.DataFrame = import_module(f"statsmodels.datasets.{name}").load_pandas().data
    return found


TABLES: Mapping[str, tuple[Callable[[], pd.DataFrame], str]] = {
    "breast_cancer": (lambda: _of_scikit_learn(datasets.load_breast_cancer), "target"),
    "diabetes": (lambda: _of_scikit_learn(datasets.load_diabetes), "target"),
    "wine": (lambda: _of_scikit_learn(datasets.load_wine), "target"),
    "digits": (lambda: _of_scikit_learn(datasets.load_digits), "target"),
    **{name: (partial(_of_statsmodels, name), target) for name, target in OF_MODELS.items()},
}


def answered(text: str) -> str:
    """What a person writes into the proposal: the goal, the gap, privacy, four answers."""
    text = text.replace("gain_at_least: }", "gain_at_least: 0.001}").replace("gap:  #", "gap: cost target  #")
    text = text.replace("privacy:  #", 'privacy: "not relevant: published rows"  #')
    return text.replace("(write here:", "(so far:").replace("# evaluation: {", "evaluation: {")


def measured(name: str, folder: Path) -> tuple[str, float, str]:
    """What it ends in, CPU seconds, and the last line that a person reads."""
    load, target = TABLES[name]
    table = folder / f"{name}.csv"
    load().to_csv(table, index=False)
    init = _call(folder, "init", "--from", str(table), "--target", target)
    problem = folder / name / "problem.md"
    if init.returncode:
        return "refused", _cpu(), init.stderr.strip()
    problem.write_text(answered(problem.read_text(encoding="utf-8")), encoding="utf-8")
    begun = _cpu()
    run = _call(folder, "run", str(problem))
    handoff = folder / "handoff.html"
    kind = "refused" if not handoff.exists() else "draft" if "has no model" in handoff.read_text("utf-8") else "handoff"
    return f"{kind} (exit {run.returncode})", _cpu() - begun, (run.stderr if run.returncode else run.stdout).strip()


def _call(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "synth_mlflow", *arguments]
    environment = {**os.environ, "MLFLOW_TRACKING_URI": f"sqlite:///{folder / 'mlflow.db'}"}
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=SECONDS, check=False
    )


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main(wanted: list[str]) -> None:
    """Measure some tables, or all."""
    for name in wanted or TABLES:
        with tempfile.TemporaryDirectory() as folder:
            outcome, seconds, words = measured(name, Path(folder))
        print(f"{name:<14} {outcome:<18} {seconds:6.1f} CPU s\n{words}\n", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
