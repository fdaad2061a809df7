"""Fits by a command: rows as files in a private folder, and predictions read back and checked."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from synth_mlflow.data.fit_commands import FitCommands
from synth_mlflow.data.mixing import FitRows, Places
from synth_mlflow.data.private import private_room
from synth_mlflow.data.task import Task
from synth_mlflow.errors import UsageError
from synth_mlflow.models.class_weights import column_weights, weighed
from synth_mlflow.models.labels import Labels, certain_of, target_values
from synth_mlflow.models.raw_command import FOLDER, command_words, file_ending, read_predictions, write_table
from synth_mlflow.models.stopping_rows import Aside, stopping_rows

TRAIN, PREDICT = "the train command", "the predict command"

Vector = npt.NDArray[np.float64]


@dataclass(frozen=True)
class CommandModel:
    """A model that a command has fitted and another one predicts with."""

    commands: FitCommands
    task: Task
    features: tuple[str, ...]
    classes: Labels
    unseen: Labels
    """Those of them that no row of the fit had."""
    folder: Path
    """What the train command wrote; it lies in a private room, which this process clears when it ends."""

    def predict(self, rows: pd.DataFrame) -> Vector:
        """Numbers of shape (n_rows,) for regression, else probabilities of shape (n_rows, n_classes).

        Raises
        ------
        UsageError
            If the command fails, or writes what are no predictions of these rows.
        """
        with _folder() as name:
            folder = Path(name)
            command = self.commands.predict
            paths = {place: folder / f"{place}{file_ending(command, place)}" for place in ("rows", "predictions")}
            write_table(rows[list(self.features)], paths["rows"])
            values = {**settings_of(self.task), **{place: str(path) for place, path in paths.items()}}
            self.commands.run(command_words(command, {**values, "model": str(self.folder)}), PREDICT, folder)
            if not paths["predictions"].is_file():
                raise UsageError(
                    f"{PREDICT} wrote no file in place of {{predictions}}, a path ending in "
                    f"{paths['predictions'].suffix}.",
                    FIX,
                )
            try:
                return read_predictions(paths["predictions"], len(rows), self.classes, self.unseen)
            except ValueError as error:
                raise UsageError(f"{PREDICT} {error}.", FIX) from error


FIX = "Correct the command or its script, and sweep again: `synth-mlflow sweep` with the same options."


@dataclass(frozen=True)
class CommandTrainer:
    """Fits on a pool by commands; several at a time only where the person says so."""

    commands: FitCommands
    task: Task
    pool: pd.DataFrame
    evaluation: pd.DataFrame
    classes: Labels
    groups: Places | None
    """The group of each real row."""

    def model(self, rows: FitRows, seed: int) -> CommandModel:
        """The fitted model, whose folder stays until this process ends."""
        return self._fitted(rows, seed, Path(tempfile.mkdtemp(prefix="synth-model-", dir=private_room())))

    def predictions(self, rows: FitRows, seed: int) -> Vector:
        """What the model says on the evaluation rows; nothing of it is kept."""
        target = target_values(self.pool.iloc[rows.all], self.task, self.classes)
        certain = certain_of(target, len(self.classes), len(self.evaluation))
        if certain is not None:
            return certain
        with _folder() as name:
            return self._fitted(rows, seed, Path(name)).predict(self.evaluation)

    def _fitted(self, rows: FitRows, seed: int, folder: Path) -> CommandModel:
        by_place = np.argsort(rows.all, kind="stable")
        order = rows.all[by_place]
        taken = self.pool.iloc[order].reset_index(drop=True)
        features = tuple(str(name) for name in taken if name not in self.task.no_features)
        column_weights(taken, self.task.weight)  # refuses what weighs nothing
        taken, task = weighed(taken, self.task, None if rows.weight is None else rows.column[by_place])
        columns = [name for name in taken if name in (*features, task.target, task.weight)]
        target = target_values(taken, self.task, self.classes)
        tables = {"train": taken[columns]}
        if self.commands.takes_validation:
            aside = self._aside(order, np.sort(rows.real), target, seed)
            tables = {"train": taken[columns][aside.fitting], "validation": taken[columns][aside.stopping]}
        model = folder / FOLDER
        model.mkdir()
        with _folder() as name:
            values = {**settings_of(self.task), "model": str(model), "seed": str(seed)}
            for place, table in tables.items():
                path = Path(name) / f"{place}{file_ending(self.commands.train, place)}"
                write_table(table, path)
                values[place] = str(path)
            self.commands.run(command_words(self.commands.train, values), TRAIN, Path(name))
        if not any(model.iterdir()):
            raise UsageError(f"{TRAIN} wrote nothing into {{model}}, which is an empty folder.", FIX)
        unseen = tuple(label for code, label in enumerate(self.classes) if code not in target)
        return CommandModel(self.commands, self.task, features, self.classes, unseen, model)

    def _aside(self, order: Places, real: Places, target: Vector, seed: int) -> Aside:
        groups = None if self.groups is None else self.groups[real]
        known = target[np.searchsorted(order, real)]
        held = stopping_rows(real, known, seed, classes=self.task.is_classification, groups=groups)
        return Aside.among(order, held)


def settings_of(task: Task) -> Mapping[str, str]:
    """What both commands may ask for."""
    return {"target": task.target, "task": task.kind}


def _folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="synth-fit-", dir=private_room())
