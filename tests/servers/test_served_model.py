"""A saved model served by MLflow in a fresh environment that holds its own requirements and nothing of this package."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from mlflow.models import Model

from synth_mlflow.data.columns import normalise
from synth_mlflow.data.task import ModelSpec, Task
from synth_mlflow.models.base import fit
from synth_mlflow.tracking.model_files import save_model

START_SECONDS = 120


def rows_of_shop() -> pd.DataFrame:
    """Whole numbers, gaps, codes with zeros in front, booleans, and dates with a zone."""
    rng = np.random.default_rng(0)
    code = rng.choice(["02116", "00501", "NA"], 150)
    return pd.DataFrame(
        {
            "age": rng.integers(18, 80, 150),
            "kids": np.where(rng.random(150) < 0.2, np.nan, rng.integers(0, 4, 150)),
            "zip": code,
            "member": rng.choice([True, False, None], 150),
            "since": pd.Timestamp("2020-01-01", tz="UTC") + pd.to_timedelta(rng.integers(0, 900, 150), "D"),
            "bought": np.where((code == "NA") ^ (rng.random(150) < 0.1), "yes", "no"),
        }
    )


@pytest.mark.slow
def test_a_fresh_environment_serves_the_models(tmp_path: Path) -> None:
    raw = rows_of_shop()
    rows, features = normalise(raw), raw.drop(columns="bought")
    models = {
        "boosted": fit(ModelSpec("lightgbm"), Task("bought", "binary"), rows, seed=1),
        "estimator": fit(ModelSpec("sklearn.linear_model:LogisticRegression"), Task("bought", "binary"), rows, seed=1),
    }
    for name, model in models.items():
        save_model(model, rows.drop(columns="bought"), tmp_path / name, Model())
    python = fresh_environment(tmp_path / "fresh", [tmp_path / name / "requirements.txt" for name in models])
    split = features.to_json(orient="split", date_format="iso")
    for name, model in models.items():
        with serving(python, tmp_path / name) as address:
            answers = [
                ask(address, features.to_csv(index=False), "text/csv"),
                ask(address, f'{{"dataframe_split": {split}}}', "application/json"),
            ]
            is_na = (features["zip"] == "NA").to_numpy()
            one = features[is_na].head(1)
            record = one.to_json(orient="records", date_format="iso")
            as_category = [
                ask(address, one.to_csv(index=False), "text/csv"),
                ask(address, f'{{"dataframe_records": {record}}}', "application/json"),
            ]
        for answer in answers:
            assert np.allclose(answer[["probability_no", "probability_yes"]], model.predict(rows))
        assert '"zip":"NA"' in record and ",NA," in one.to_csv(index=False)
        for answer in as_category:  # of the category, which says yes, not of a missing value
            assert np.allclose(answer[["probability_no", "probability_yes"]], model.predict(rows)[is_na][:1])
            assert answer["probability_yes"].iloc[0] > 0.5


def fresh_environment(folder: Path, requirements: list[Path]) -> Path:
    """The Python of a new environment with what the models ask for."""
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    python = folder / "bin" / "python"
    found = subprocess.run(
        [python, "-m", "pip", "install", "-q", *(f"--requirement={path}" for path in requirements)],
        capture_output=True,
        text=True,
        env=outside(),
    )
    if "Failed to establish a new connection" in found.stderr:
        pytest.skip("no package index can be reached")
    assert found.returncode == 0, found.stderr
    assert subprocess.run([python, "-c", "import synth_mlflow"], capture_output=True, env=outside()).returncode
    return python


@contextmanager
def serving(python: Path, model: Path) -> Iterator[str]:
    """The address of `mlflow models serve`."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = ["--env-manager", "local", "--host", "127.0.0.1", "--port", str(port)]
    path = f"{python.parent}{os.pathsep}{os.environ['PATH']}"
    command = [python.parent / "mlflow", "models", "serve", "-m", model, *options]
    server = subprocess.Popen(command, env=outside() | {"PATH": path}, cwd=model.parent, start_new_session=True)
    try:
        wait_for(f"http://127.0.0.1:{port}/ping", server)
        yield f"http://127.0.0.1:{port}/invocations"
    finally:
        os.killpg(server.pid, 15)
        server.wait(timeout=30)


def wait_for(address: str, server: subprocess.Popen[bytes]) -> None:
    """Until the server answers."""
    end = time.monotonic() + START_SECONDS
    while True:
        try:
            urllib.request.urlopen(address, timeout=5).close()
        except (urllib.error.URLError, OSError):
            assert server.poll() is None and time.monotonic() < end, "the server did not start"
            time.sleep(0.3)
        else:
            return


def ask(address: str, data: str, content: str) -> pd.DataFrame:
    """What the served model says."""
    request = urllib.request.Request(address, data.encode(), {"Content-Type": content})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return pd.DataFrame(json.loads(answer.read())["predictions"])


def outside() -> dict[str, str]:
    """The environment variables without the path to this package."""
    return {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "VIRTUAL_ENV"}}
