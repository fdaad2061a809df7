"""What libraries beside scikit-learn expect of a fit: XGBoost, CatBoost and LightGBM's own classes."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from sklearn.pipeline import Pipeline

from synth_mlflow.errors import UsageError

if TYPE_CHECKING:
    import pandas as pd

    from synth_mlflow.model.stopping_rows import Aside

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
        found, heads, tail = aside(), _heads(pipeline), last_step(pipeline)
        keep, stop = found.fitting, found.stopping
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
        found = inspect.signature(estimator.fit).parameters.values()
    except (TypeError, ValueError):  # written in C, without a signature
        return {"**"}
    return {"**" if each.kind is inspect.Parameter.VAR_KEYWORD else each.name for each in found}


def _is_known(base: type) -> bool:
    return base.__module__.partition(".")[0] in FRAME_READERS
