"""LightGBM on raw rows, deterministic, with early stopping that never sees the evaluation set."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import numpy.typing as npt
import pandas as pd

from synth_mlflow.data.columns import schema_of
from synth_mlflow.data.mixing import FitRows
from synth_mlflow.data.private import private_room
from synth_mlflow.data.task import Task
from synth_mlflow.errors import UsageError, closest
from synth_mlflow.models.class_weights import column_weights, product, row_weights, weights_by_code
from synth_mlflow.models.encoded_rows import EncodedRows, as_of_matrix
from synth_mlflow.models.labels import Labels, target_values
from synth_mlflow.models.raw_columns import RawColumn, RawColumns, RawPredictor

ROUNDS = 100
STOPPING_SHARE = 0.2  # of the rows fitted on, held out to decide when to stop
_ROUNDS_NAMES = ("num_iterations", "num_boost_round", "n_estimators", "num_rounds", "num_trees", "n_iter", "max_iter")
_STOPPING_NAMES = ("early_stopping_round", "early_stopping_rounds", "early_stopping", "n_iter_no_change")
_OUTSIDE = (
    "machines", "machine_list_filename", "num_machines", "local_listen_port", "config", "data", "valid", "input_model",
    "output_model", "output_result", "convert_model", "save_binary", "snapshot_freq", "parser_config_file",
    "forcedsplits_filename", "forcedbins_filename", "initscore_filename", "valid_data_initscores",
)  # fmt: skip
"""Parameters by which LightGBM reads and writes files, and listens and talks to other machines."""
_OBJECTIVE_NAMES = ("objective", "objective_type", "app", "application", "loss")

Vector = npt.NDArray[np.float64]


@dataclass(frozen=True)
class BoostedModel:
    """A fitted LightGBM model that takes raw rows."""

    predictor: RawPredictor

    @property
    def classes(self) -> Labels:
        """Class labels in the order of the probabilities; empty for regression."""
        return self.predictor.classes

    def predict(self, rows: pd.DataFrame) -> Vector:
        """Numbers of shape (n_rows,) for regression, else probabilities of shape (n_rows, n_classes)."""
        return self.predictor.scores(rows)


@dataclass(frozen=True)
class BoostedSettings:
    """The parameters of a statement, sorted into what LightGBM takes in different places."""

    params: Mapping[str, Any]
    n_rounds: int
    stopping_rounds: int
    class_weight: Any

    @classmethod
    def read(
        cls, given: Mapping[str, Any], task: Task, classes: Labels, *, seed: int, n_threads: int
    ) -> BoostedSettings:
        """Complete what a statement gives with what makes fits deterministic and silent.

        Raises
        ------
        UsageError
            If LightGBM knows no parameter of some name, which it would pass over in silence, or class weights name no
            class of the task.

        Examples
        --------
        >>> task = Task("churned", "binary")
        >>> BoostedSettings.read({"n_estimators": 50}, task, ("no", "yes"), seed=1, n_threads=1).n_rounds
        50
        """
        _check_names(given)
        params = dict(given)
        n_rounds = int(_take(params, _ROUNDS_NAMES, ROUNDS))
        stopping = int(_take(params, _STOPPING_NAMES, 0))
        weight = weights_by_code(params.pop("class_weight", None), classes)
        params["objective"] = _take(params, _OBJECTIVE_NAMES, task.kind)  # LightGBM calls the three kinds as we do
        if task.kind == "multiclass":
            params["num_class"] = len(classes)
        if params.get("use_quantized_grad"):
            n_threads = 1  # each thread rounds by random numbers of its own
        fixed = {"deterministic": True, "force_row_wise": True, "verbosity": -1, "feature_pre_filter": False}
        return cls({"seed": seed, **params, **fixed, "num_threads": n_threads}, n_rounds, stopping, weight)


@dataclass(frozen=True)
class FreshTrainer:
    """Fits on a pool and bins the rows of every fit anew, as whoever trains on just these rows would.

    On small tables the bins matter: with 86 real rows, bins that 258 synthetic ones had helped to draw moved the
    balanced accuracy of real rows alone from 0.87 to 0.79.
    """

    settings: BoostedSettings
    task: Task
    classes: Labels
    pool: pd.DataFrame
    evaluation: pd.DataFrame

    def model(self, rows: FitRows, seed: int) -> BoostedModel:
        """The fitted model, which takes raw rows."""
        places = np.unique(rows.all)
        taken = self.pool.iloc[places].reset_index(drop=True)
        columns = columns_of(taken, self.task)
        chosen, real = np.searchsorted(places, rows.all), np.searchsorted(places, rows.real)
        target = target_values(taken, self.task, self.classes)
        weight, counts = column_weights(taken, self.task.weight), rows.weights
        balance = target[chosen]
        data = dataset(columns, taken, target, self.settings, balance=balance, weight=weight, counts=counts)
        booster = train(self.settings, data, chosen, real, seed, counts)
        return BoostedModel(predictor(booster, columns, self.classes))

    def predictions(self, rows: FitRows, seed: int) -> Vector:
        """What that model says on the evaluation rows."""
        return self.model(rows, seed).predict(self.evaluation)


@dataclass(frozen=True)
class BoostedTrainer:
    """Fits on one pool that was binned once; safe to use from several threads at a time."""

    settings: BoostedSettings
    columns: RawColumns
    classes: Labels
    data: lightgbm.Dataset
    evaluation: Vector

    def __reduce__(self) -> tuple[Any, ...]:
        """To travel to another process the bins are written as LightGBM writes them: a byte or so a value."""
        return _arrived, (self.settings, self.columns, self.classes, _binned(self.data), self.evaluation)

    @classmethod
    def build(
        cls,
        given: Mapping[str, Any],
        task: Task,
        parts: Sequence[pd.DataFrame],
        evaluation: pd.DataFrame,
        classes: Labels,
    ) -> BoostedTrainer:
        """Encode and bin the pool, a block of a table after the other so that they are never copied into one.

        The bins are those of one matrix of all rows, which would be eight times as large as they are.
        """
        settings = BoostedSettings.read(given, task, classes, seed=0, n_threads=1)
        columns = columns_of(parts[0], task, *parts[1:])
        matrix: list[lightgbm.Sequence] = [EncodedRows(columns, part) for part in parts if len(part)]
        target = np.concatenate([target_values(part, task, classes) for part in parts])
        weights = [each for part in parts if (each := column_weights(part, task.weight)) is not None]
        weight = np.concatenate(weights) if weights else None
        data = _bin(columns, matrix, target, settings, target, weight)
        return cls(settings, columns, classes, data, columns.matrix(evaluation))

    def model(self, rows: FitRows, seed: int) -> BoostedModel:
        """The fitted model, which takes raw rows."""
        booster = train(self.settings, self.data, rows.all, rows.real, seed, rows.weights)
        return BoostedModel(predictor(booster, self.columns, self.classes))

    def predictions(self, rows: FitRows, seed: int) -> Vector:
        """What that model says on the evaluation rows."""
        return self.model(rows, seed).predictor.scores_of_matrix(self.evaluation)

    def for_models(self) -> BoostedTrainer:
        """The same without the evaluation rows, for who asks for models and no predictions."""
        return replace(self, evaluation=self.evaluation[:0].copy())


def fit_boosted(
    given: Mapping[str, Any],
    task: Task,
    rows: pd.DataFrame,
    classes: Labels,
    *,
    seed: int,
    n_threads: int,
) -> BoostedModel:
    """Fit LightGBM; see :func:`synth_mlflow.models.base.fit`."""
    settings = BoostedSettings.read(given, task, classes, seed=seed, n_threads=n_threads)
    columns = columns_of(rows, task)
    weight = column_weights(rows, task.weight)
    data = dataset(columns, rows, target_values(rows, task, classes), settings, weight=weight)
    booster = train(settings, data, np.arange(len(rows)), np.arange(len(rows)), seed)
    return BoostedModel(predictor(booster, columns, classes))


def columns_of(rows: pd.DataFrame, task: Task, *more: pd.DataFrame) -> RawColumns:
    """The features of normalised tables of one schema, text with the values seen in any of them.

    Raises
    ------
    UsageError
        If the table has no column but the target.
    """
    kinds = {name: kind for name, kind in schema_of(rows).kinds.items() if name not in task.no_features}
    if not kinds:
        raise UsageError(f"the table has no column but the target {task.target!r}.", "Give at least one feature.")
    return RawColumns(
        tuple(
            RawColumn(name, kind, _categories([part[name] for part in (rows, *more)], kind))
            for name, kind in kinds.items()
        )
    )


def dataset(
    columns: RawColumns,
    rows: pd.DataFrame,
    target: Vector,
    settings: BoostedSettings,
    *,
    balance: Vector | None = None,
    weight: Vector | None = None,
    counts: Vector | None = None,
) -> lightgbm.Dataset:
    """Rows binned once; fits take subsets of it by row number.

    Parameters
    ----------
    balance : array, optional
        The targets that ``class_weight: balanced`` is to balance, by default those of ``rows``.
    weight : array of shape (n_rows,), optional
        Of each row, beside that of its class.
    counts : array, optional
        What each of the rows to balance counts; :func:`train` takes them too.
    """
    balance = target if balance is None else balance
    return _bin(columns, columns.matrix(rows), target, settings, balance, weight, counts)


def _bin(
    columns: RawColumns,
    matrix: Vector | list[lightgbm.Sequence],
    target: Vector,
    settings: BoostedSettings,
    balance: Vector,
    weight: Vector | None,
    counts: Vector | None = None,
) -> lightgbm.Dataset:
    params = as_of_matrix(settings.params) if isinstance(matrix, list) else dict(settings.params)
    with _refusals(len(target), settings):
        data = lightgbm.Dataset(
            matrix,
            target,
            weight=product(weight, row_weights(target, settings.class_weight, balance, counts)),
            feature_name=columns.feature_names,
            categorical_feature=columns.categorical,
            params=params,
        ).construct()
    data.params = dict(settings.params)  # fits take what is theirs from it
    return data


def train(
    settings: BoostedSettings,
    data: lightgbm.Dataset,
    chosen: npt.NDArray[np.int64],
    real: npt.NDArray[np.int64],
    seed: int,
    weights: Vector | None = None,
) -> lightgbm.Booster:
    """Fit on the rows ``chosen`` of ``data``; where early stopping is asked for, some ``real`` ones decide on it.

    ``weights``, of shape (n_chosen,), come on top of those that ``data`` has.
    """
    with _refusals(len(chosen), settings):
        return _train(settings, data, chosen, real, seed, weights)


def _train(
    settings: BoostedSettings,
    data: lightgbm.Dataset,
    chosen: npt.NDArray[np.int64],
    real: npt.NDArray[np.int64],
    seed: int,
    weights: Vector | None,
) -> lightgbm.Booster:
    params = {**settings.params, "seed": seed}
    if not settings.stopping_rounds:
        return lightgbm.train(params, _subset(data, chosen, weights), settings.n_rounds)
    held_out = np.random.default_rng(seed).permutation(real)[: max(1, int(len(real) * STOPPING_SHARE))]
    left = ~np.isin(chosen, held_out)
    fitted = _subset(data, chosen[left], None if weights is None else weights[left])
    stop = lightgbm.early_stopping(settings.stopping_rounds, verbose=False)
    return lightgbm.train(params, fitted, settings.n_rounds, valid_sets=[_subset(data, held_out)], callbacks=[stop])


def predictor(booster: lightgbm.Booster, columns: RawColumns, classes: Labels) -> RawPredictor:
    """The booster with what it needs to read raw columns.

    LightGBM is told the text values too, so that it also takes frames whose text columns are pandas categoricals.
    """
    booster.pandas_categorical = [list(column.categories) for column in columns if column.kind == "string"]
    return RawPredictor(booster, columns, classes)


@contextmanager
def _refusals(n_rows: int, settings: BoostedSettings) -> Iterator[None]:
    try:
        yield
    except lightgbm.basic.LightGBMError as error:
        raise UsageError(
            f"LightGBM refuses {n_rows:,} rows with {dict(settings.params)}: {error}",
            "Correct `model` in the problem statement.",
        ) from error


def _binned(data: lightgbm.Dataset) -> bytes:
    with tempfile.TemporaryDirectory(prefix="synth-mlflow-", dir=private_room()) as folder:
        path = Path(folder) / "bins"
        data.subset([0]).construct()  # LightGBM is silent only in threads that have read its parameters
        data.save_binary(path)
        return path.read_bytes()


def _arrived(
    settings: BoostedSettings, columns: RawColumns, classes: Labels, binned: bytes, evaluation: Vector
) -> BoostedTrainer:
    """A trainer in the process that it travelled to."""
    with tempfile.TemporaryDirectory(prefix="synth-mlflow-", dir=private_room()) as folder:
        path = Path(folder) / "bins"
        path.write_bytes(binned)
        data = lightgbm.Dataset(path, params=dict(settings.params)).construct()
    return BoostedTrainer(settings, columns, classes, data, evaluation)


def _check_names(given: Mapping[str, Any]) -> None:
    aliases = lightgbm.basic._ConfigAliases._get_all_param_aliases()  # the only list of all names
    known = {
        "class_weight",
        *_ROUNDS_NAMES,
        *_STOPPING_NAMES,
        *aliases,
        *(a for names in aliases.values() for a in names),
    }
    unknown = [name for name in given if name not in known]
    if unknown:
        raise UsageError(
            f"LightGBM has no parameter {unknown[0]!r}. {closest(unknown[0], known)}",
            "Correct `model: params:` in the problem statement.",
        )
    outside = {name for known_as in _OUTSIDE for name in (known_as, *aliases.get(known_as, ()))}
    refused = [name for name in given if name in outside]
    if refused:
        raise UsageError(
            f"the parameter {refused[0]!r} of LightGBM names files or other machines; no statement opens these.",
            "Take it out of `model: params:` in the problem statement.",
        )


def _take(params: dict[str, Any], names: tuple[str, ...], default: Any) -> Any:
    values = [params.pop(name) for name in names if name in params]
    return values[0] if values else default


def _categories(parts: Sequence[pd.Series], kind: str) -> tuple[str, ...]:
    if kind != "string":
        return ()
    return tuple(sorted({value for values in parts for value in values.dropna().unique()}))


def _subset(data: lightgbm.Dataset, chosen: npt.NDArray[np.int64], weights: Vector | None = None) -> lightgbm.Dataset:
    """Ascending, since LightGBM copies rows in one pass; a row that stands twice counts twice."""
    part = data.subset([0])
    indices: Any = np.sort(chosen.astype(np.int32))  # as the list that LightGBM asks for it is larger than the bins
    part.used_indices = indices
    if weights is not None:
        order = np.argsort(chosen, kind="stable")
        of_class: Any = part.construct().get_weight()
        part.set_weight(weights[order] if of_class is None else weights[order] * of_class)
    return part
