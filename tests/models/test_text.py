"""The default model reads free text, beside other columns, and is served without the package."""

import pickle

import mlflow
import numpy as np
import pandas as pd
import pytest
from mlflow.models import Model
from scipy import sparse
from sklearn.feature_extraction.text import HashingVectorizer
from sklearn.feature_selection import VarianceThreshold
from sklearn.metrics import r2_score, roc_auc_score

from synth_mlflow.data.columns import normalise
from synth_mlflow.data.task import ModelSpec, Task
from synth_mlflow.errors import UsageError
from synth_mlflow.models.base import fit
from synth_mlflow.models.text import GRID, Counts, Seen
from synth_mlflow.models.tuning import GRID as BOOSTED_GRID
from synth_mlflow.models.tuning import ROUNDS, settle
from synth_mlflow.sweep.evaluator import Evaluator
from synth_mlflow.tracking.model_files import SKOPS, save_model

ROLES = {"said": "text"}
TASK = Task("liked", "binary", roles=ROLES)
LINEAR = ModelSpec(params={"text": "linear", "C": 4.0})
PLOT = [
    "the",
    "a",
    "film",
    "story",
    "end",
    "actor",
    "scene",
    "plot",
    "music",
    "war",
    "love",
    "family",
    "camera",
    "long",
    "short",
    "again",
]


def made(n_rows: int, seed: int) -> pd.DataFrame:
    """Texts of which no two are equal and whose words say the label, beside a number, a category and gaps."""
    rng = np.random.default_rng(seed)
    liked = rng.random(n_rows) < 0.5
    words = [[*rng.choice(PLOT, 8), rng.choice(["fine", "warm"] if yes else ["dull", "cold"])] for yes in liked]
    rows = pd.DataFrame({"said": [" ".join(rng.permutation(each)) for each in words]})
    rows["year"] = rng.normal(1990, 10, n_rows)
    rows["place"] = rng.choice(["north", "south", None], n_rows)
    rows["liked"] = np.where(liked, "yes", "no")
    rows["stars"] = 2.0 * liked + rng.normal(0, 0.1, n_rows)
    rows.loc[:3, ["said", "year"]] = None
    return normalise(rows)


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    return made(300, 0)


def auc(rows: pd.DataFrame, predictions: np.ndarray) -> float:
    return roc_auc_score(rows["liked"] == "yes", predictions[:, 1])


@pytest.mark.slow
def test_texts_beside_other_columns_are_read(rows):
    table, fresh = rows.drop(columns="stars"), made(300, 1)
    assert auc(fresh, fit(LINEAR, TASK, table, seed=0).predict(fresh)) > 0.95


def test_a_number_is_predicted_from_texts(rows):
    task, fresh = Task("stars", "regression", roles=ROLES), made(300, 1)
    model = fit(LINEAR, task, rows.drop(columns="liked"), seed=0)
    assert r2_score(fresh["stars"], model.predict(fresh)) > 0.7


@pytest.mark.slow
def test_cross_validation_chooses_the_linear_model_where_texts_say_the_label(rows):
    settings = settle(ModelSpec(), TASK, "roc_auc", rows[["said", "liked"]], n_jobs=1)
    assert settings.spec.params["text"] == "linear"
    assert len(settings.trials) == len(BOOSTED_GRID) * len(ROUNDS) + len(GRID)
    assert "text linear" in settings.words


def test_the_linear_model_is_not_tried_without_a_text(rows):
    settings = settle(ModelSpec(), Task("liked", "binary"), "roc_auc", rows[["year", "place", "liked"]], n_jobs=1)
    assert len(settings.trials) == len(BOOSTED_GRID) * len(ROUNDS)


def test_sweeps_fit_what_was_settled(rows):
    table, fresh = rows.drop(columns="stars"), made(200, 1).drop(columns="stars")
    bench = Evaluator.build(table, fresh, TASK, "roc_auc", LINEAR)
    assert type(bench.trainer).__name__ == "_EstimatorTrainer"


@pytest.mark.slow
def test_it_is_served_by_plain_mlflow_and_keeps_no_text(rows, tmp_path):
    table, folder = rows.drop(columns="stars"), tmp_path / "model"
    model = fit(LINEAR, TASK, table, seed=0)
    assert save_model(model, table.drop(columns="liked"), folder, Model()) == SKOPS
    served = mlflow.pyfunc.load_model(str(folder)).predict(table.drop(columns="liked"))
    assert served["probability_yes"].to_numpy() == pytest.approx(model.predict(table)[:, 1])
    a_text = table["said"].iloc[10].encode()
    assert not any(a_text in path.read_bytes() for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize(
    ("params", "task", "message"),
    [
        ({"text": "deep"}, TASK, "'linear' was needed"),
        ({"text": "linear"}, Task("liked", "binary"), "needs a feature of the role `text`"),
        ({"text": "linear", "num_leaves": 4}, TASK, "does not take the parameters"),
    ],
)
def test_unusable_settings_are_refused(rows, params, task, message):
    with pytest.raises(UsageError, match=message):
        fit(ModelSpec(params=params), task, rows.drop(columns="stars"), seed=0)


def test_texts_counted_once_give_what_scikit_learn_gives():
    ways = {"norm": None, "alternate_sign": False, "ngram_range": (1, 2), "n_features": 2**10}
    counts, plain = Counts(**ways), HashingVectorizer(**ways)
    for texts in (["a b b", "", "c"], ["c", "a b b", "c d"], np.array(["c d"], dtype=object)):
        assert (counts.transform(texts) != plain.transform(texts)).nnz == 0
    other = Counts(**{**ways, "ngram_range": (1, 1)})
    assert other.transform(["a b b", "dd ee"]).nnz == 2


def test_nothing_is_lost_with_places_that_no_text_has():
    table = sparse.csr_matrix(np.array([[0.0, 2.0, 0.0, 1.0], [0.0, 2.0, 0.0, 0.0]]))
    seen = Seen().fit(table)
    assert seen.get_support().tolist() == [False, True, False, True]
    assert Seen().fit(sparse.csr_matrix((3, 4))).get_support().all()
    again = pickle.loads(pickle.dumps(seen))
    assert type(pickle.loads(pickle.dumps(Counts()))) is HashingVectorizer
    assert type(again) is VarianceThreshold and (again.transform(table) != seen.transform(table)).nnz == 0


@pytest.mark.parametrize("said", [["x"] * 40, [None] * 40, ["a b a c a", "a c a b a"] * 20])
def test_texts_that_do_not_differ_teach_nothing(said):
    rows = normalise(pd.DataFrame({"said": said, "liked": ["yes", "no", "no", "yes"] * 10}))
    found = fit(LINEAR, TASK, rows, seed=0).predict(rows)
    assert np.ptp(found[:, 0]) == pytest.approx(0, abs=1e-6)
