"""Saved models take whatever carries the values of the training rows: frames, JSON, CSV, gaps, other types."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest
from mlflow.exceptions import MlflowException
from mlflow.models import Model
from mlflow.pyfunc import scoring_server

from synth_mlflow.data.columns import normalise
from synth_mlflow.data.task import ModelSpec, Task
from synth_mlflow.models.base import fit
from synth_mlflow.tracking.model_files import CLOUDPICKLE, LIGHTGBM, SKOPS, save_model, without_code
from synth_mlflow.tracking.models import format_words

N_ROWS = 120


def raw_table() -> pd.DataFrame:
    """Every kind of column with odd names, as a data scientist has it in memory."""
    rng = np.random.default_rng(0)
    some = pd.Series(rng.random(N_ROWS) < 0.2)
    return pd.DataFrame(
        {
            "age": rng.integers(18, 80, N_ROWS),
            "kids, of all": pd.Series(rng.integers(0, 4, N_ROWS)).astype("Int64").mask(some),
            "inc{ome}": rng.lognormal(10, 1, N_ROWS).round(2),
            "zip": rng.choice(["02116", "00501", "90210"], N_ROWS),
            "member": rng.choice([True, False], N_ROWS),
            "flag": pd.Series(rng.choice([True, False], N_ROWS)).astype("boolean").mask(some),
            "région": rng.choice(["north", "NA", "None"], N_ROWS),
            "since": pd.Timestamp("2020-01-01", tz="Europe/Berlin")
            + pd.to_timedelta(rng.integers(0, 900, N_ROWS), "D"),
            "y": rng.choice(["no", "yes"], N_ROWS),
        }
    )


RAW = raw_table()
ROWS = normalise(RAW)
MODELS = {
    "binary": (ModelSpec("lightgbm", {"n_estimators": 5}), Task("y", "binary")),
    "multiclass": (ModelSpec("lightgbm", {"n_estimators": 5}), Task("zip", "multiclass")),
    "regression": (ModelSpec("sklearn.tree:DecisionTreeRegressor"), Task("inc{ome}", "regression")),
    "xgboost": (ModelSpec("xgboost:XGBClassifier", {"n_estimators": 5}), Task("y", "binary")),
    "catboost": (ModelSpec("catboost:CatBoostClassifier", {"n_estimators": 5}), Task("y", "binary")),
    "own": (ModelSpec("own_estimator:Doubted", {"max_iter": 500}), Task("y", "binary")),
}


SLOW = {"xgboost", "catboost", "own"}


@pytest.fixture(
    scope="module",
    params=[pytest.param(name, marks=pytest.mark.slow) if name in SLOW else name for name in MODELS],
)
def served(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A loaded model, its features, and what it says of them."""
    spec, task = MODELS[request.param]
    if request.param == "catboost":
        pytest.importorskip("catboost")
    folder = tmp_path_factory.mktemp("models") / request.param
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(Path(__file__).parent)
        model = fit(spec, task, ROWS, seed=1)
        save_model(model, ROWS.drop(columns=task.target), folder, Model())
        sys.modules.pop("own_estimator", None)
    scores = model.predict(ROWS)
    return mlflow.pyfunc.load_model(str(folder)), RAW.drop(columns=task.target), scores.reshape(N_ROWS, -1)


FORMATS = {
    "sklearn.ensemble:RandomForestClassifier": SKOPS,
    "sklearn.ensemble:HistGradientBoostingClassifier": SKOPS,
    "sklearn.linear_model:LogisticRegression": SKOPS,
    "sklearn.neighbors:KNeighborsClassifier": SKOPS,
    "xgboost:XGBClassifier": SKOPS,
    "own_estimator:Doubted": CLOUDPICKLE,
    "lightgbm": LIGHTGBM,
}


@pytest.mark.slow
@pytest.mark.parametrize(("estimator", "kept_as"), FORMATS.items())
def test_a_format_without_code_is_taken_where_there_is_one(estimator, kept_as, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(Path(__file__).parent)
    model = fit(ModelSpec(estimator), Task("y", "binary"), ROWS, seed=1)
    assert save_model(model, ROWS.drop(columns="y"), tmp_path / "model", Model()) == kept_as
    files = {path.suffix for path in (tmp_path / "model").rglob("*") if path.is_file()}
    assert (".pkl" in files) is (kept_as == CLOUDPICKLE)
    assert ("runs code that is in its file" in format_words(kept_as)) is (kept_as == CLOUDPICKLE)
    loaded = mlflow.pyfunc.load_model(str(tmp_path / "model"))
    assert np.allclose(scores_in(loaded.predict(RAW.drop(columns="y"))), model.predict(ROWS))


@pytest.mark.slow
@pytest.mark.parametrize("flavour", ["sklearn.tree:DecisionTreeClassifier", "own_estimator:Doubted"])
def test_a_type_that_nobody_knows_is_pickled(flavour, monkeypatch):
    monkeypatch.syspath_prepend(Path(__file__).parent)
    model = fit(ModelSpec(flavour), Task("y", "binary"), ROWS, seed=1)
    bare, trusted = without_code(model.pipeline)
    assert (bare is None) is flavour.startswith("own")
    monkeypatch.setattr("synth_mlflow.tracking.model_files.KNOWN_TYPES", frozenset())
    assert without_code(model.pipeline) == (None, ()) and (bare is None or trusted)


def scores_in(answer: pd.DataFrame) -> np.ndarray:
    """The probabilities of an answer, or its numbers."""
    return answer[[name for name in answer if name.startswith("probability_")] or ["prediction"]].to_numpy(np.float64)


def through_csv(frame: pd.DataFrame) -> pd.DataFrame:
    """As pandas reads it, with the empty cell alone for missing."""
    return pd.read_csv(io.StringIO(frame.to_csv(index=False)), keep_default_na=False, na_values=[""])


FRAMES: dict[str, Callable[[pd.DataFrame], pd.DataFrame]] = {
    "raw": lambda frame: frame,
    "training rows": normalise,
    "read_csv": through_csv,
    "reordered, with more": lambda frame: frame.iloc[:, ::-1].assign(more="x"),
    "categories": lambda frame: frame.astype(dict.fromkeys(frame, "category")),
    "objects": lambda frame: frame.astype(object),
    "nullable": lambda frame: frame.convert_dtypes(),
    "other widths": lambda frame: normalise(frame).astype({"age": "int32", "member": "int8"}),
    "an index": lambda frame: frame.set_axis([7] * len(frame)),
}


@pytest.mark.slow
@pytest.mark.parametrize("change", FRAMES.values(), ids=FRAMES)
def test_frames_of_the_same_values_give_the_same(served: Any, change: Callable[..., pd.DataFrame]) -> None:
    model, features, scores = served
    assert np.allclose(scores_in(model.predict(change(features))), scores)


def as_json(frame: pd.DataFrame, **options: Any) -> Any:
    """Plain JSON values."""
    return json.loads(frame.to_json(date_unit="ms", **{"date_format": "epoch", **options}))


REQUESTS: dict[str, Callable[[pd.DataFrame], tuple[str, str]]] = {
    "csv": lambda frame: (frame.to_csv(index=False), "text/csv"),
    "split": lambda frame: (json.dumps({"dataframe_split": as_json(frame, orient="split")}), "application/json"),
    "records": lambda frame: (
        json.dumps({"dataframe_records": as_json(frame, orient="records", date_format="iso")}),
        "application/json",
    ),
    "inputs": lambda frame: (
        json.dumps({"inputs": as_json(frame, orient="records", date_format="iso")}),
        "application/json",
    ),
}


def invoke(model: Any, data: str, content: str) -> pd.DataFrame:
    """What MLflow's scoring server answers."""
    schema = model.metadata.get_input_schema()
    found = scoring_server.invocations(data.encode(), content, model, schema)
    return pd.DataFrame(json.loads(found.response)["predictions"])


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:'epoch' date format")
@pytest.mark.parametrize("request_of", REQUESTS.values(), ids=REQUESTS)
def test_requests_of_the_same_values_give_the_same(served: Any, request_of: Callable[..., tuple[str, str]]) -> None:
    model, features, scores = served
    assert np.allclose(scores_in(invoke(model, *request_of(features))), scores)
    assert np.allclose(scores_in(invoke(model, *request_of(features.head(1)))), scores[:1])


@pytest.mark.filterwarnings("ignore:'epoch' date format")
def test_gaps_in_any_column_and_new_categories_are_taken(served: Any) -> None:
    model, features, _ = served
    holes = features.astype(object)
    for place, name in enumerate(holes):
        holes.loc[place, name] = None
    answers = [model.predict(holes), model.predict(through_csv(holes)), invoke(model, *REQUESTS["csv"](holes))]
    answers.append(invoke(model, *REQUESTS["split"](holes)))
    assert all(np.allclose(scores_in(one), scores_in(answers[0])) for one in answers)
    assert len(model.predict(features.assign(région="south"))) == N_ROWS


def test_what_cannot_be_read_is_refused_with_its_column(served: Any) -> None:
    model, features, _ = served
    with pytest.raises(ValueError, match=r"'member' holds 120 values like 'perhaps', true or false was needed"):
        model.predict(features.assign(member="perhaps"))
    with pytest.raises(ValueError, match=r"'since' holds 120 values like '3rd of May', dates such as"):
        model.predict(features.assign(since="3rd of May"))
    with pytest.raises(MlflowException, match=r"missing inputs.*age"):
        model.predict(features.drop(columns="age"))
    assert len(model.predict(features.drop(columns="flag"))) == N_ROWS  # it was missing in training rows, too


def test_signature_names_every_feature(served: Any) -> None:
    model, features, _ = served
    schema = model.metadata.get_input_schema()
    assert schema.input_names() == list(features)
    assert set(schema.optional_input_names()) == {"kids, of all", "flag"}
    assert model.metadata.signature.outputs.input_names()[0] == "prediction"


def test_the_files_of_a_model_know_which_category_read_csv_takes_for_missing(tmp_path):
    raw = RAW.assign(région=RAW["région"].replace("None", "south"))
    model = fit(ModelSpec("lightgbm", {"n_estimators": 5}), Task("y", "binary"), normalise(raw), seed=1)
    save_model(model, normalise(raw).drop(columns="y"), tmp_path / "model", Model())
    raw.drop(columns="y").to_csv(tmp_path / "rows.csv", index=False)
    told = mlflow.pyfunc.load_model(str(tmp_path / "model")).predict(pd.read_csv(tmp_path / "rows.csv"))
    assert np.allclose(scores_in(told), model.predict(normalise(raw)))
