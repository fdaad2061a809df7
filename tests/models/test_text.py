"""The default model reads free text, beside other columns, and is served without the package."""

import pickle

import mlflow
import numpy as np
import pandas as pd
import pytest
from mlflow.models import Model
from scipy import sparse
from sklearn.compose import ColumnTransformer
from sklearn.feature_extraction.text import HashingVectorizer, TfidfTransformer
from sklearn.feature_selection import VarianceThreshold
from sklearn.metrics import r2_score, roc_auc_score
from sklearn.pipeline import Pipeline

from synth_mlflow.data.columns import normalise
from synth_mlflow.data.task import ModelSpec, Task
from synth_mlflow.errors import UsageError
from synth_mlflow.models import estimator, text
from synth_mlflow.models.base import fit
from synth_mlflow.models.matrix_room import MatrixRoom
from synth_mlflow.models.text import GRID, Counts, Seen, text_encoder
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


@pytest.fixture
def few_at_once(monkeypatch):
    """How many rows each call of TfidfTransformer sees, with a matrix that is filled few places at a time."""
    n_rows, whole = [], TfidfTransformer.transform

    def counted(self, X, copy=True):
        n_rows.append(X.shape[0])
        return whole(self, X, copy)

    monkeypatch.setattr(text, "PLACES_AT_ONCE", 200)
    monkeypatch.setattr(TfidfTransformer, "transform", counted)
    return n_rows


def test_a_matrix_filled_in_parts_is_that_of_scikit_learn(rows, few_at_once):
    encoder = text_encoder(rows[["said"]], TASK)
    ours = encoder.fit_transform(rows[["said"]])
    assert max(few_at_once) < 10
    plain = pickle.loads(pickle.dumps(encoder))
    assert type(plain[-1]) is ColumnTransformer and type(plain[-1].transformers_[0][1]) is Pipeline
    for theirs in (plain.transform(rows[["said"]]), encoder.transform(rows[["said"]])):
        for part in ("data", "indices", "indptr"):
            np.testing.assert_array_equal(getattr(ours, part), getattr(theirs, part))
        assert ours.shape == theirs.shape and ours.has_sorted_indices


def test_weights_of_words_are_those_of_scikit_learn(rows, few_at_once):
    encoder = text_encoder(rows[["said"]], TASK)
    encoder.fit(rows[["said"]])
    for _, part in encoder[-1].transformers_[0][1]["featureunion"].transformer_list:
        plain = HashingVectorizer(**part[0].get_params())
        counts = plain.transform(rows["said"].fillna(""))
        np.testing.assert_array_equal(part[1].idf_, TfidfTransformer(sublinear_tf=True).fit(counts).idf_)


def test_a_single_text_is_not_copied_beside_nothing(rows):
    beside = text_encoder(rows[["said"]], TASK).fit(rows[["said"]])[-1]
    matrix = sparse.csr_matrix(np.eye(3))
    assert beside._hstack([matrix], n_samples=3) is matrix
    assert beside._hstack([matrix, matrix], n_samples=3).shape == (3, 6)


def test_a_fit_on_texts_asks_for_room_of_its_matrix(rows, monkeypatch):
    class Asked(MatrixRoom):
        def taken(self, n_bytes):
            asked.append(n_bytes)
            return super().taken(n_bytes)

    asked = []
    monkeypatch.setattr(estimator, "ROOM", Asked(10))
    fit(LINEAR, TASK, rows[["said", "liked"]], seed=0)
    matrix = text_encoder(rows[["said"]], TASK).fit_transform(rows[["said"]])
    assert asked[0] >= matrix.data.nbytes + matrix.indices.nbytes


def test_a_large_matrix_waits_for_room_and_is_alone(monkeypatch):
    room, may_start = MatrixRoom(100), []
    monkeypatch.setattr(room._changed, "wait_for", lambda is_free: may_start.append(is_free()))
    with room.taken(60), room.taken(41):
        pass
    with room.taken(1_000):
        pass
    assert may_start == [True, False, True]


def test_texts_are_predicted_some_after_others(rows, monkeypatch):
    table = rows.drop(columns="stars")
    model = fit(LINEAR, TASK, table, seed=0)
    at_once, sizes, scores = model.predict(table), [], estimator.pipeline_scores
    monkeypatch.setattr(estimator, "LETTERS_AT_ONCE", 1_000)
    monkeypatch.setattr(
        estimator, "pipeline_scores", lambda by, some, codes: sizes.append(len(some)) or scores(by, some, codes)
    )
    np.testing.assert_array_equal(model.predict(table), at_once)
    assert max(sizes) < 50 and sum(sizes) == len(table)


def test_memory_is_given_back_before_and_after_a_large_matrix(rows, monkeypatch):
    encoder, times, give_back = text_encoder(rows[["said"]], TASK), [], text.give_back_memory
    monkeypatch.setattr(text, "give_back_memory", lambda: times.append(give_back()))
    small = encoder.fit_transform(rows[["said"]])
    assert times == []
    monkeypatch.setattr(text, "LARGE_BYTES", small.nnz)
    assert (encoder.fit_transform(rows[["said"]]) != small).nnz == 0 and len(times) == 2
