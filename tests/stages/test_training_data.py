"""The gated mix for models that people train themselves."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import mlflow
import pandas as pd
import pytest
import xgboost
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from synth_mlflow import GateError, UsageError, Workflow
from synth_mlflow.tracking import names


@pytest.fixture
def run_id(done: Workflow) -> Iterator[str]:
    """A run of the user's own, in an experiment of their own."""
    mlflow.set_tracking_uri(done.project.server.tracking_uri)
    mlflow.set_experiment("our own models")
    with mlflow.start_run() as run:
        yield run.info.run_id


def _numbers(frame: pd.DataFrame) -> pd.DataFrame:
    return frame[["age", "income", "member"]].astype(float).fillna(0)


@pytest.mark.slow
@pytest.mark.parametrize(
    "model",
    [
        make_pipeline(StandardScaler(), LogisticRegression()),
        HistGradientBoostingClassifier(max_iter=20),
        xgboost.XGBClassifier(n_estimators=20, n_jobs=1),
    ],
    ids=["logistic", "histogram", "xgboost"],
)
def test_a_model_of_ones_own_is_traced_to_its_batches(done: Workflow, run_id: str, model: object) -> None:
    data = done.training_data(0.5)
    model.fit(_numbers(data.X), data.y == "yes")
    evaluation = done.evaluation_rows()
    score = roc_auc_score(evaluation["bought"] == "yes", model.predict_proba(_numbers(evaluation))[:, 1])
    mlflow.log_metric("auc", score)
    assert score > 0.6
    assert run_id in "\n".join(done.trace(data.batches[0]).lines())
    assert data.batches[0] in "\n".join(done.trace(run_id).lines())


def test_every_row_says_where_it_is_from(done: Workflow, run_id: str) -> None:
    data = done.training_data(0.25)
    n_real = len(done.training_rows())
    counts = data.origin.value_counts()
    assert counts["real"] == n_real
    assert counts[data.batches[0]] == round(n_real / 3)
    assert len(data.rows) == counts.sum()
    assert data.run_id == run_id


def test_without_a_ratio_it_is_what_the_final_model_was_fitted_on(done: Workflow, run_id: str) -> None:
    final = done.project.reader.latest("final")
    mix = pd.read_parquet(done.project.reader.file(final, names.A_MIX))
    data = done.training_data()
    assert data.ratio == done.latest_curve().chosen
    assert list(data.origin) == list(mix["from"])


def test_lineage_stands_on_the_run(done: Workflow, run_id: str) -> None:
    data = done.training_data(0.25)
    run = mlflow.get_run(run_id)
    contexts = {item.dataset.name: item.tags[0].value for item in run.inputs.dataset_inputs}
    assert contexts == {"real training rows": "real", f"batch {data.batches[0]}": "synthetic"}
    assert run.data.tags[names.TAG_BATCHES] == data.batches[0]
    assert run.data.tags[names.TAG_RATIO] == "0.25"


def test_ratio_zero_is_real_rows_alone(done: Workflow, run_id: str) -> None:
    data = done.training_data(0)
    assert set(data.origin) == {"real"}
    assert data.batches == ()


def test_a_retracted_batch_is_not_handed_out(done: Workflow, run_id: str) -> None:
    batch = done.batches()["batch"][0]
    done.retract(batch, reason="wrong units", by="Ann")
    with pytest.raises(GateError, match="retracted"):
        done.training_data(0.25)


def test_more_than_passed_is_refused(done: Workflow, run_id: str) -> None:
    with pytest.raises(GateError, match=r"ratio 95 % needs .* passed the gate"):
        done.training_data(0.95)
    with pytest.raises(UsageError, match=r"ratio 1 \(100 %\) lies outside \[0, 1\)"):
        done.training_data(1)


@pytest.mark.slow
def test_a_run_must_be_there_to_carry_the_lineage(done: Workflow) -> None:
    with pytest.raises(UsageError, match="no MLflow run is active"):
        done.training_data(0.25)


def test_a_run_on_another_server_is_refused(done: Workflow, empty_store: Path) -> None:
    shutil.copy(empty_store, "other.db")
    mlflow.set_tracking_uri("sqlite:///other.db")
    with mlflow.start_run(), pytest.raises(UsageError, match="the active run is on sqlite:"):
        done.training_data(0.25)


def test_without_a_sweep_a_ratio_must_be_given(frozen: Workflow) -> None:
    mlflow.set_tracking_uri(frozen.project.server.tracking_uri)
    with mlflow.start_run(), pytest.raises(GateError, match="no sweep has chosen one"):
        frozen.training_data()
