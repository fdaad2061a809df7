"""The files of a saved model that a command has fitted: its folder, and the command that predicts with it."""

from __future__ import annotations

import shutil
import tempfile
import warnings
from collections.abc import Mapping
from pathlib import Path

import mlflow.pyfunc
import pandas as pd
from mlflow.models import Model

from synth_mlflow.data.text_forms import Form
from synth_mlflow.models.command import CommandModel, settings_of
from synth_mlflow.models.raw_command import FOLDER, write_command
from synth_mlflow.models.raw_estimator import answer
from synth_mlflow.tracking.model_files import (
    EXAMPLE_ROWS,
    PACKAGE,
    RAW,
    as_given,
    columns_of,
    requirements,
    signature_of,
    travelling_code,
)

COMMAND = "command"  # the format of such a model
LOADER = f"{PACKAGE}.models.raw_command"


def save_command(
    model: CommandModel, features: pd.DataFrame, folder: Path, meta: Model, forms: Mapping[str, Form] | None = None
) -> str:
    """Write the folder that the train command wrote as a Python function that runs the predict command where allowed.

    Parameters
    ----------
    model : CommandModel
    features, folder, meta, forms
        As in :func:`synth_mlflow.tracking.model_files.save_model`.

    Returns
    -------
    str
        The format, ``command``.
    """
    shown = features[list(model.features)]
    columns = as_given(columns_of(shown), features, forms or {})
    few = shown.head(EXAMPLE_ROWS)
    output = answer(model.predict(few), model.classes, few.index)
    with travelling_code() as code, tempfile.TemporaryDirectory(prefix="synth-mlflow-") as parent:
        data = Path(parent) / RAW
        shutil.copytree(model.folder, data / FOLDER)
        write_command(data, columns, model.classes, model.commands.predict, settings_of(model.task))
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*input example was not provided")  # it would hold real rows
            mlflow.pyfunc.save_model(
                folder,
                mlflow_model=meta,
                loader_module=LOADER,
                data_path=str(data),
                signature=signature_of(columns, output),
                pip_requirements=requirements(["pandas", "numpy", "pyarrow"]),
                code_paths=[code],
            )
    return COMMAND
