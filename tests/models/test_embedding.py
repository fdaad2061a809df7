"""Embeddings that a statement names: who may run, what is refused, and models that read their vectors when served."""

import json
import sys

import mlflow
import numpy as np
import pandas as pd
import pytest
from mlflow.models import Model

from synth_mlflow.allowed_code import allowing
from synth_mlflow.data.columns import normalise
from synth_mlflow.data.task import ModelSpec, Task
from synth_mlflow.errors import EvidenceError, UsageError
from synth_mlflow.models.base import fit
from synth_mlflow.models.embedding import allowed_embedding, refuse_other, shown
from synth_mlflow.models.estimator import allowed_model
from synth_mlflow.models.raw_embedding import vectors_of
from synth_mlflow.models.text import EMBEDDED_GRID, GRID, linear_grid
from synth_mlflow.tracking.model_files import SKOPS, save_model

TASK = Task("liked", "binary", roles={"said": "text"})
CODE = """
import numpy as np

SYNONYMS = {"fine": 0, "warm": 0, "dull": 1, "cold": 1}


def encode(texts):
    found = np.zeros((len(texts), 3))
    for row, text in enumerate(texts):
        for word in text.split():
            found[row, SYNONYMS.get(word, 2)] += 1
    return found


def flat(texts):
    return np.zeros(len(texts))


def short(texts):
    return np.zeros((1, 3))


def endless(texts):
    return np.full((len(texts), 3), np.inf)
"""


@pytest.fixture(scope="module")
def module(tmp_path_factory):
    folder = tmp_path_factory.mktemp("embedding")
    (folder / "synonym_vectors.py").write_text(CODE)
    sys.path.insert(0, str(folder))
    yield "synonym_vectors"
    sys.path.remove(str(folder))


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A folder as model2vec saves it."""
    model2vec, tokenizers = pytest.importorskip("model2vec"), pytest.importorskip("tokenizers")
    words = ["[UNK]", "[PAD]", "fine", "warm", "dull", "cold", "film"]
    tokenizer = tokenizers.Tokenizer(tokenizers.models.WordLevel({word: n for n, word in enumerate(words)}, "[UNK]"))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    vectors = np.array([[0, 0, 0.1], [0, 0, 0], [1, 0, 0], [1, 0, 0.1], [0, 1, 0], [0, 1, 0.1], [0, 0, 1]])
    folder = tmp_path_factory.mktemp("weights") / "small"
    model2vec.StaticModel(vectors.astype(np.float32), tokenizer).save_pretrained(str(folder))
    return str(folder)


def texts(n_rows, seed, good=("fine", "warm"), bad=("dull", "cold")):
    rng = np.random.default_rng(seed)
    liked = rng.random(n_rows) < 0.5
    said = [f"film {rng.choice(good if yes else bad)} film {rng.integers(10**6)}" for yes in liked]
    return normalise(pd.DataFrame({"said": said, "liked": np.where(liked, "yes", "no")}))


@pytest.mark.parametrize(
    ("name", "words"),
    [("flat", "shape (3,)"), ("short", "shape (1, 3)"), ("endless", "infinite"), ("missing", "not available here")],
)
def test_what_gives_no_vectors_is_refused(module, name, words):
    with pytest.raises(UsageError, match="nobody has allowed"):
        allowed_embedding(f"{module}:{name}")
    with allowing([module]), pytest.raises(UsageError) as caught:
        allowed_embedding(f"{module}:{name}")
    assert words in str(caught.value).replace("shape (1,)", "shape (3,)")


def test_a_folder_of_other_files_is_not_read(tmp_path, monkeypatch):
    """A statement that somebody has written on the server could name any: `/`, or one with secrets."""
    (tmp_path / "id_rsa").write_text("secret")
    monkeypatch.setattr("synth_mlflow.models.embedding.file_digest", lambda _: pytest.fail("a file was read"))
    for folder in (tmp_path, "/"):
        with pytest.raises(UsageError, match="holds no weights"):
            allowed_embedding(str(folder))


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(UsageError, match=r"no folder .*potion"):
        allowed_embedding(str(tmp_path / "potion"))


def test_vectors_have_unit_length_and_a_missing_text_is_empty(module):
    with allowing([module]):
        found = allowed_embedding(f"{module}:encode")
    assert found.n_dimensions == 3 and len(found.sha256) == 64
    vectors = found.vectors(pd.Series(["fine film", None]))
    assert vectors == pytest.approx(np.array([[0.5**0.5, 0, 0.5**0.5], [0, 0, 0]]), abs=1e-6)


def test_another_version_is_refused_by_its_vectors_and_not_by_its_file(module):
    with allowing([module]):
        found = allowed_embedding(f"{module}:encode")
    recorded = json.loads(json.dumps(found.to_json()))
    refuse_other({**recorded, "sha256": "0" * 64}, found)
    with pytest.raises(EvidenceError, match="gives other vectors"):
        refuse_other({**recorded, "samples": [[0.5] * 3] * 3}, found)


def test_cross_validation_tries_vectors_only_with_an_embedding(module):
    rows = texts(20, 0)
    assert linear_grid(ModelSpec(), TASK, rows) == GRID
    assert linear_grid(ModelSpec(embedding=f"{module}:encode"), TASK, rows) == (*GRID, *EMBEDDED_GRID)


@pytest.mark.parametrize(
    ("params", "embedding", "words"),
    [
        ({"text": "linear", "embedding": "both"}, "m:f", "'both', beside or instead was needed"),
        ({"text": "linear", "embedding": "beside"}, None, "the problem statement names none"),
    ],
)
def test_unusable_settings_are_refused(params, embedding, words):
    with pytest.raises(UsageError, match=words):
        fit(ModelSpec(params=params, embedding=embedding), TASK, texts(20, 0), seed=0)


@pytest.mark.parametrize(
    ("kind", "way"),
    [
        ("module", "beside"),
        pytest.param("module", "instead", marks=pytest.mark.slow),
        pytest.param("folder", "beside", marks=pytest.mark.slow),
        pytest.param("folder", "instead", marks=pytest.mark.slow),
    ],
)
def test_a_served_model_reads_vectors(way, kind, module, weights, tmp_path):
    """Words that were never seen beside a label are understood by their vectors alone."""
    target = f"{module}:encode" if kind == "module" else weights
    spec = ModelSpec(params={"text": "linear", "embedding": way, "C": 64.0}, embedding=target)
    with allowing([module]):
        allowed_model(spec)
    model = fit(spec, TASK, texts(200, 0, good=("fine",), bad=("dull",)), seed=0)
    fresh, folder, meta = texts(50, 1, good=("warm",), bad=("cold",)), tmp_path / "model", Model()
    if way == "instead":
        assert (model.predict(fresh).argmax(axis=1) == (fresh["liked"] == "yes")).all()
    assert save_model(model, fresh.drop(columns="liked"), folder, meta) == SKOPS
    served = mlflow.pyfunc.load_model(str(folder)).predict(fresh.drop(columns="liked"))
    assert served["probability_yes"].to_numpy() == pytest.approx(model.predict(fresh)[:, 1])
    needs = (folder / "requirements.txt").read_text()
    assert ("model2vec" in needs) == (kind == "folder")
    record = json.loads((folder / "raw" / "columns.json").read_text())
    assert record["embedded"]["embedding"] == (target if kind == "module" else "embedding")
    assert (folder / "raw" / "embedding").is_dir() == (kind == "folder")


def test_a_folder_is_read_by_model2vec(weights):
    found = allowed_embedding(weights)
    assert shown(weights) == found.to_json()["target"] == "small" and found.version.startswith("model2vec ")
    alike, unlike = vectors_of(["fine", "warm", "dull"], weights) @ vectors_of(["fine"], weights)[0], 0.9
    assert alike[1] > unlike > alike[2]
