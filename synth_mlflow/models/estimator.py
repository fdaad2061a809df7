"""Fit an estimator by its import path on raw rows: scikit-learn, XGBoost, CatBoost, or the user's own.

What libraries beside scikit-learn expect of a fit: XGBoost, CatBoost and LightGBM's own classes.

Any estimator with scikit-learn's interface by its import path, on raw rows.

The model of a problem statement, if its code may run on this machine.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

from synth_mlflow.allowed_code import importable_here, load_callable, require_allowed, require_own
from synth_mlflow.data.columns import schema_of
from synth_mlflow.data.hashed_counts import parts
from synth_mlflow.data.kept_counts import LETTERS_AT_ONCE
from synth_mlflow.data.task import BESIDE, BOOSTED, COMMAND, TEXTS, VECTORS, Columns, ModelSpec, Task
from synth_mlflow.errors import SynthError, UsageError
from synth_mlflow.models.class_weights import column_weights, product, row_weights, weights_by_code
from synth_mlflow.models.embedding import allowed_embedding
from synth_mlflow.models.labels import Labels, target_values
from synth_mlflow.models.matrix_room import ROOM, letters_of, matrix_bytes
from synth_mlflow.models.raw_columns import pipeline_scores
from synth_mlflow.models.raw_estimator import gives_probabilities, named
from synth_mlflow.models.raw_values import plain
from synth_mlflow.models.scoring import needs_probabilities
from synth_mlflow.models.stopping_rows import Aside
from synth_mlflow.models.text import text_encoder, text_features

if TYPE_CHECKING:
    import pandas as pd

    from synth_mlflow.models.stopping_rows import Aside


FRAME_READERS = ("xgboost", "catboost", "lightgbm")  # take pandas categories, and no moments
_STOPPING = ("early_stopping_rounds", "early_stopping_round", "od_wait", "od_type", "use_best_model")
_SPEAKS = ("verbose", "silent", "logging_level", "verbose_eval", "metric_period")

Vector = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Habits:
    """How one estimator, the last step of a pipeline, is fitted."""

    estimator: Any
    library: str

    @property
    def reads_frames(self) -> bool:
        """Whether it takes a DataFrame of numbers and pandas categories."""
        return self.library in FRAME_READERS

    @property
    def refuses_missing_categories(self) -> bool:
        """Whether missing categories need a category of their own."""
        return self.library == "catboost"

    @property
    def stops_early(self) -> bool:
        """Whether its parameters ask for early stopping on rows that it is given."""
        params, takes = self.estimator.get_params(), _fit_parameters(self.estimator)
        if "X_val" in takes:  # scikit-learn's histogram gradient boosting
            return params.get("early_stopping") is True
        return "eval_set" in takes and any(params.get(name) for name in _STOPPING)

    def tell_categories(self, estimator: Any, categories: Sequence[str]) -> None:
        """Say which columns hold categories, where the library asks and the user has not said it."""
        if self.library == "xgboost" and categories:
            estimator.set_params(enable_categorical=True)
        if self.library == "catboost" and categories and "cat_features" not in estimator.get_params():
            estimator.set_params(cat_features=list(categories))

    def fit(
        self,
        pipeline: Pipeline,
        features: pd.DataFrame,
        target: npt.NDArray[Any],
        weight: Vector | None,
        aside: Callable[[], Aside],
    ) -> None:
        """Fit a pipeline whose last step this is.

        Raises
        ------
        UsageError
            If rows are weighed and the estimator does not take weights.
        """
        takes = _fit_parameters(self.estimator)
        if weight is not None and not takes_weights(self.estimator):
            raise UsageError(
                f"rows are weighed (by a column of the role `weight`, or by class), and "
                f"{type(self.estimator).__name__}.fit takes no `sample_weight`.",
                "Give the column the role `ignored` in `columns:`, leave class weights out, or take another estimator.",
            )
        if not self.stops_early:
            routed = {} if weight is None else {f"{_path_of_last(pipeline)}__sample_weight": weight}
            pipeline.fit(features, target, **routed)
            return
        side, heads, tail = aside(), _heads(pipeline), last_step(pipeline)
        keep, stop = side.fitting, side.stopping
        if hasattr(tail, "predict_proba") or hasattr(tail, "decision_function"):
            lost = stop & ~np.isin(target, np.unique(target[keep]))  # whole groups may take a class with them
            keep, stop = keep | lost, stop & ~lost
        if not stop.any():
            raise UsageError(
                f"{len(target):,} rows leave none that could decide when to stop.",
                "Give a number of rounds in `model: params:` instead of early stopping.",
            )
        fitted, held = features[keep], features[stop]
        for head in heads:
            fitted, held = head.fit_transform(fitted, target[keep]), head.transform(held)
        weights = (None, None) if weight is None else (weight[keep], weight[stop])
        given = {} if weights[0] is None else {"sample_weight": weights[0]}
        tail.fit(fitted, target[keep], **given, **self._evaluation(takes, held, target[stop], weights[1]))

    def _evaluation(
        self, takes: set[str], held: Any, target: npt.NDArray[Any], weight: Vector | None
    ) -> Mapping[str, Any]:
        """The rows that decide, as the library takes them."""
        if "X_val" in takes:
            return {"X_val": held, "y_val": target} | ({} if weight is None else {"sample_weight_val": weight})
        if self.library == "catboost":
            from catboost import Pool

            names = self.estimator.get_params().get("cat_features")
            return {"eval_set": Pool(held, target, cat_features=names, weight=weight)}
        newer = {"eval_X": (held,), "eval_y": (target,)}  # of LightGBM, which calls `eval_set` deprecated since
        given: dict[str, Any] = newer if "eval_X" in takes else {"eval_set": [(held, target)]}
        if weight is not None:
            given |= {name: [weight] for name in ("sample_weight_eval_set", "eval_sample_weight") if name in takes}
        return given | ({"verbose": False} if self.library == "xgboost" else {})


def habits_of(estimator: Any, *, seed: int, n_threads: int) -> Habits:
    """How an estimator is fitted; sets what the user has left open: its seed, its threads, and that it is silent."""
    library = next((base.__module__.partition(".")[0] for base in type(estimator).__mro__ if _is_known(base)), "")
    params = estimator.get_params() if hasattr(estimator, "get_params") else {}
    if library == "catboost":
        own: dict[str, Any] = {"allow_writing_files": False, "thread_count": n_threads}
        own |= {} if any(name in params for name in ("random_seed", "random_state")) else {"random_seed": seed}
        own |= {} if any(name in params for name in _SPEAKS) else {"verbose": False}
        estimator.set_params(**{name: value for name, value in own.items() if name not in params})
    if library in ("xgboost", "lightgbm") and params.get("n_jobs") is None:
        estimator.set_params(n_jobs=n_threads)  # it would take every core for each of several fits at a time
    if library == "lightgbm" and not any(name in params for name in ("verbose", "verbosity")):
        estimator.set_params(verbosity=-1)
    return Habits(estimator, library)


def takes_weights(estimator: Any) -> bool:
    """Whether `fit` takes a weight for each row."""
    return bool(_fit_parameters(estimator) & {"sample_weight", "**"})


def last_step(estimator: Any) -> Any:
    """The estimator itself, or the last step of a pipeline, however deep."""
    while isinstance(estimator, Pipeline):
        estimator = estimator.steps[-1][1]
    return estimator


def _heads(pipeline: Pipeline) -> list[Any]:
    """What stands in front of the last step, in order."""
    heads = [step for _, step in pipeline.steps[:-1] if step not in (None, "passthrough")]
    inner = pipeline.steps[-1][1]
    return [*heads, *_heads(inner)] if isinstance(inner, Pipeline) else heads


def _path_of_last(pipeline: Pipeline) -> str:
    name, step = pipeline.steps[-1]
    return f"{name}__{_path_of_last(step)}" if isinstance(step, Pipeline) else str(name)


def _fit_parameters(estimator: Any) -> set[str]:
    """The names that `fit` takes; ``**`` where it takes any."""
    try:
        parameters = inspect.signature(estimator.fit).parameters.values()
    except (TypeError, ValueError):  # written in C, without a signature
        return {"**"}
    return {"**" if each.kind is inspect.Parameter.VAR_KEYWORD else each.name for each in parameters}


def _is_known(base: type) -> bool:
    return base.__module__.partition(".")[0] in FRAME_READERS


MAX_CATEGORIES = 100  # of a text column; rarer values share one indicator
READ_TEXTS: tuple[Columns, ...] = (TEXTS, BESIDE, VECTORS)  # ways of the built-in linear model
WEIGHTS = ("class_weight", "class_weights")  # the second is what CatBoost calls it
FIX = "Correct `model` in the problem statement."


@dataclass(frozen=True)
class EstimatorModel:
    """A fitted scikit-learn pipeline that takes raw rows."""

    pipeline: Pipeline
    features: tuple[str, ...]
    classes: Labels
    codes: tuple[int, ...] = ()
    """Places in ``classes`` of those that the pipeline has seen; empty for regression."""
    texts: tuple[str, ...] = ()
    """Columns that it reads word by word; what is kept of the model holds none of their values."""

    @property
    def known_classes(self) -> Labels:
        """The labels that the pipeline has seen, in the order of its answers."""
        return tuple(self.classes[code] for code in self.codes)

    def predict(self, rows: pd.DataFrame) -> Vector:
        """Numbers of shape (n_rows,) for regression, else probabilities of shape (n_rows, n_classes).

        Where the estimator has `decision_function` alone, its decisions stand in their place, mapped into [0, 1].

        Raises
        ------
        UsageError
            If the estimator raises, or gives missing or infinite values or another number of them.
        """
        features = rows[list(self.features)]
        predictions: Vector = _guarded(self.pipeline, "predict", lambda: self._scores(features))
        if not self.codes:
            return predictions
        scores = np.zeros((len(rows), len(self.classes)))
        scores[:, list(self.codes)] = predictions
        return scores

    def _scores(self, features: pd.DataFrame) -> Vector:
        """What the pipeline says; of texts it sees some rows after others, since they become a large matrix."""
        runs = list(parts(letters_of(features[list(self.texts)]), LETTERS_AT_ONCE)) if self.texts else []
        if len(runs) < 2:
            return pipeline_scores(self.pipeline, features, self.codes)
        each = [pipeline_scores(self.pipeline, features.iloc[start:stop], self.codes) for start, stop in runs]
        return np.concatenate(each)

    def refuse_metric(self, metric: str, task: Task) -> None:
        """A UsageError for a metric of probabilities where the estimator has none."""
        if task.is_classification and not gives_probabilities(self.pipeline) and needs_probabilities(metric, task):
            name = type(last_step(self.pipeline)).__name__
            raise UsageError(
                f"metric {metric!r} needs probabilities of each class, and {name} has `decision_function` alone.",
                "Take a metric of the order or of the labels, such as roc_auc (two classes) or balanced_accuracy; or "
                "an estimator with `predict_proba`, for example inside `sklearn.calibration:CalibratedClassifierCV`.",
            )


def fit_estimator(
    spec: ModelSpec,
    task: Task,
    rows: pd.DataFrame,
    classes: Labels,
    *,
    seed: int,
    n_threads: int,
    aside: Callable[[], Aside],
) -> EstimatorModel:
    """Fit an estimator; see :func:`synth_mlflow.models.base.fit`.

    Parameters
    ----------
    aside : callable
        Gives the rows that decide when to stop; called only where the parameters ask for early stopping.
    """
    target = target_values(rows, task, classes)
    codes = tuple(np.unique(target).astype(int).tolist()) if task.is_classification else ()
    params, weights = _class_weights(spec, classes, codes)
    estimator = made(spec, params, task)
    features = rows.drop(columns=[name for name in rows if name in task.no_features])
    columns = spec.columns or suitable_columns(estimator)
    habits = habits_of(last_step(estimator), seed=seed, n_threads=n_threads)
    pipeline = _with_front(estimator, features, task, columns, habits, spec.embedding)
    pipeline.set_params(**_unset(pipeline, "random_state", seed))
    if n_threads != 1:
        pipeline.set_params(**_unset(pipeline, "n_jobs", n_threads))
    if codes:  # XGBoost takes no codes with gaps, as a part of the rows may have them
        target = np.searchsorted(codes, target).astype(np.float64)
    weight = product(column_weights(rows, task.weight), row_weights(target, weights, target))
    shown = target.astype(np.int64) if codes else target
    texts = tuple(text_features(rows, task)) if columns in READ_TEXTS else ()
    with ROOM.taken(matrix_bytes(features[list(texts)])):
        _guarded(pipeline, "fit", lambda: habits.fit(pipeline, features, shown, weight, aside))
    return EstimatorModel(pipeline, tuple(features.columns), classes, codes, texts)


def made(spec: ModelSpec, params: Mapping[str, Any], task: Task) -> Any:
    """A new estimator of a statement.

    Raises
    ------
    UsageError
        If it does not take the parameters, or lacks a method that the task needs.
    """
    needed = "predict_proba|decision_function" if task.is_classification else "predict"
    make = load_estimator(spec.estimator, needed)
    try:
        estimator = make(**params)
    except SynthError:
        raise
    except Exception as error:  # other people's code may raise anything
        raise UsageError(
            f"{spec.estimator!r} does not take the parameters {dict(params)}: {type(error).__name__}: {error}.",
            "Correct `model: params:` in the problem statement.",
        ) from error
    lacking = [name for name in ("fit", needed) if not any(hasattr(estimator, each) for each in name.split("|"))]
    if lacking:
        name = lacking[0].replace("|", "` or `")
        raise UsageError(
            f"{spec.estimator!r} gave a {type(estimator).__name__}, which has no `{name}`.",
            f"A {task.kind} task needs an estimator with `fit` and `{needed.replace('|', '` or `')}`.",
        )
    if not hasattr(estimator, "get_params"):
        raise UsageError(
            f"{spec.estimator!r} gave a {type(estimator).__name__} without `get_params`.",
            "Derive the class from `sklearn.base.BaseEstimator`.",
        )
    return estimator if inspect.isclass(make) else clone(estimator)  # a function may give one object each time


def check_weights(spec: ModelSpec) -> None:
    """Refuse an estimator that cannot weigh rows, before anything is fitted.

    Raises
    ------
    UsageError
        If its ``fit`` takes no ``sample_weight``; of a pipeline, that of its last step.
    """
    if spec.estimator in (BOOSTED, COMMAND):
        return
    last = last_step(load_estimator(spec.estimator)(**spec.params))
    if not takes_weights(last):
        raise UsageError(
            f"`fit` of {type(last).__name__} ({spec.estimator!r}) takes no `sample_weight`: its rows all count alike.",
            "Sweep the ratio, `synth-mlflow sweep`, or name an estimator that weighs rows in the problem statement.",
        )


def load_estimator(path: str, needed: str = "predict|predict_proba") -> Callable[..., Any]:
    """The callable that ``module:callable`` names; whoever passes it on has asked whether it may be imported.

    Raises
    ------
    UsageError
        If it cannot be imported, is of the standard library, or a class without ``fit`` and what is needed.
    """
    try:
        cls: Callable[..., Any] = load_callable(path, "the estimator", methods=("fit", needed))
    except (ImportError, AttributeError, ValueError) as error:
        raise UsageError(
            f"estimator {path!r} cannot be loaded: {error}.",
            'Write "lightgbm" or "module:callable", for example "sklearn.ensemble:RandomForestClassifier".',
        ) from error
    return cls


def suitable_columns(estimator: Any) -> Columns:
    """How an estimator is shown the features, unless a statement says it.

    scikit-learn's own estimators, and classes derived from them, take numbers; what holds a pipeline or a
    ColumnTransformer chooses columns by name, and so does everything else, XGBoost and CatBoost among it.
    """
    held = [estimator, *estimator.get_params().values()]
    if any(isinstance(each, Pipeline | ColumnTransformer) for each in held):
        return "named"
    own = [base for base in type(estimator).__mro__ if base.__module__.startswith("sklearn.") and "fit" in vars(base)]
    return "encoded" if own else "named"


def encoder(features: pd.DataFrame) -> Pipeline:
    """Text to indicators, the rest to scaled numbers with missing values filled by the median and marked."""
    text = schema_of(features).of_kind("string")
    rest = [name for name in features.columns if name not in text]
    numbers = make_pipeline(SimpleImputer(add_indicator=True, keep_empty_features=True), StandardScaler())
    indicators = OneHotEncoder(handle_unknown="infrequent_if_exist", max_categories=MAX_CATEGORIES, sparse_output=False)
    return make_pipeline(
        FunctionTransformer(plain), ColumnTransformer([("numbers", numbers, rest), ("text", indicators, text)])
    )


def _with_front(
    estimator: Any, features: pd.DataFrame, task: Task, columns: Columns, habits: Habits, embedding: str | None
) -> Pipeline:
    """The estimator behind what makes its input of raw columns."""
    if columns in READ_TEXTS:
        return make_pipeline(text_encoder(features, task, columns, embedding), estimator)
    if columns == "encoded":
        return make_pipeline(encoder(features), estimator)
    text = schema_of(features).of_kind("string")
    if not habits.reads_frames:
        text = [name for name in text if name not in task.texts]
    categories = {name: tuple(sorted(features[name].dropna().unique())) for name in text}
    ways = {"as_numbers": habits.reads_frames, "name_missing": habits.refuses_missing_categories}
    front = FunctionTransformer(named, kw_args={"categories": categories, **ways})
    if not isinstance(estimator, Pipeline):
        habits.tell_categories(estimator, list(categories))
    return make_pipeline(front, estimator)


def _class_weights(spec: ModelSpec, classes: Labels, codes: tuple[int, ...]) -> tuple[dict[str, Any], Any]:
    """The parameters that the estimator itself takes, and class weights that it does not, by place in ``codes``."""
    params = dict(spec.params)
    given = [name for name in WEIGHTS if isinstance(params.get(name), Mapping | str)]
    if not given:
        return params, None
    takes_them = given[0] in _parameters(load_estimator(spec.estimator))
    if isinstance(params[given[0]], str) and takes_them:
        return params, None  # in words of its own
    weights = weights_by_code(params.pop(given[0]), classes)
    if isinstance(weights, Mapping):
        weights = {place: weights.get(code, 1.0) for place, code in enumerate(codes)}  # CatBoost wants every class
    return ({**params, given[0]: weights}, None) if takes_them else (params, weights)


def _parameters(make: Callable[..., Any]) -> set[str]:
    try:
        return set(inspect.signature(make).parameters)
    except (TypeError, ValueError):  # written in C, without a signature
        return set()


def _unset(pipeline: Pipeline, name: str, value: int) -> dict[str, int]:
    """Every parameter of that name, at any depth, that the user has left open."""
    return {
        key: value
        for key, setting in pipeline.get_params().items()
        if setting is None and (key == name or key.endswith(f"__{name}"))
    }


def _guarded(pipeline: Pipeline, method: str, do: Callable[[], Any]) -> Any:
    """What it gives; what an estimator raises becomes one message."""
    try:
        return do()
    except SynthError:
        raise
    except Exception as error:  # other people's estimators may raise anything
        name = type(last_step(pipeline)).__name__
        message = str(error).rstrip(".")
        raise UsageError(f"{type(error).__name__}: {message} (in {name}.{method})", FIX) from error


def allowed_model(spec: ModelSpec) -> ModelSpec:
    """The model, after its estimator and its embedding were found to be allowed and were imported.

    Nothing of the estimator is called; the embedding is, with three short texts.

    Raises
    ------
    UsageError
        If nobody at this machine allowed its module, or it is no estimator; see :mod:`synth_mlflow.allowed_code`.
    """
    if spec.embedding is not None:
        allowed_embedding(spec.embedding)
    if spec.estimator != BOOSTED:
        require_allowed(spec.estimator, "the estimator of the problem statement")
        with importable_here():
            cls = load_estimator(spec.estimator)
            require_own(cls, spec.estimator, "the estimator of the problem statement")
    return spec
