"""Registered models: loading one changes nothing that its digest vouches for; editing one does."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import warnings
from pathlib import Path

import pandas as pd
import pytest

from synth_mlflow import Workflow
from synth_mlflow.models.raw_columns import RawColumn, RawColumns
from synth_mlflow.tracking.model_files import signature_of
from synth_mlflow.tracking.models import folder_digest

LOAD = "import sys, mlflow; mlflow.pyfunc.load_model(sys.argv[1])"


def _copy_of_model(workflow: Workflow, folder: Path) -> Path:
    client = workflow.project.server.client
    uri = client.get_model_version_download_uri("shop", "1")
    shutil.copytree(uri.removeprefix("file://"), folder / "model")
    return folder / "model"


@pytest.mark.slow
def test_a_model_that_somebody_has_loaded_is_the_same(done: Workflow, tmp_path: Path) -> None:
    model = _copy_of_model(done, tmp_path)
    before = folder_digest(model)
    known = {**os.environ, "PYTHONDONTWRITEBYTECODE": ""}
    subprocess.run([sys.executable, "-c", LOAD, str(model)], env=known, cwd=tmp_path, check=True)
    (model / "registered_model_meta").write_text("model_name: shop\nmodel_version: '1'\n")  # as by its registered name
    assert list(model.rglob("__pycache__")) != []
    assert folder_digest(model) == before


def test_an_edited_model_is_another(done: Workflow, tmp_path: Path) -> None:
    model = _copy_of_model(done, tmp_path)
    before = folder_digest(model)
    (model / "raw" / "model.txt").write_text((model / "raw" / "model.txt").read_text().replace("leaf_value=", "x=", 1))
    assert folder_digest(model) != before


def test_whole_numbers_as_labels_bring_no_hint() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        signature = signature_of(RawColumns((RawColumn("age", "integer"),)), pd.DataFrame({"prediction": [0, 1]}))
    assert "long" in repr(signature.outputs)
