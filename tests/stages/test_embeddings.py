"""An embedding of the statement through the stages: settled, recorded, used by checks, and handed over."""

import json

import numpy as np
import pandas as pd
import pytest

from synth_mlflow import Workflow
from synth_mlflow.allowed_code import allowing
from synth_mlflow.errors import EvidenceError, UsageError
from synth_mlflow.handoff.render import to_markdown
from synth_mlflow.tracking import names
from synth_mlflow.tracking.embeddings import embedding_of

CODE = """
import numpy as np

SIDES = {word: side for side, words in enumerate(("fine warm kind", "dull cold harsh")) for word in words.split()}


def encode(texts):
    found = np.zeros((len(texts), 8))
    for row, text in enumerate(texts):
        for word in text.split():
            found[row, SIDES.get(word, 2 + len(word) % 6)] += 1
    return found
"""
PLOT = np.array(["the", "a", "film", "story", "end", "actor", "scene", "plot", "music", "war", "love", "family"])
SIDES = (["fine", "warm", "kind"], ["dull", "cold", "harsh"])
OTHER = {"version": "", "sha256": "0" * 64, "n_dimensions": 3, "samples": [[1.0] * 3] * 3}


def said(n_rows, seed):
    rng = np.random.default_rng(seed)
    liked, told = rng.random(n_rows) < 0.5, rng.random(n_rows) < 0.8
    words = [[*rng.choice(PLOT, 8), rng.choice(SIDES[int(no)])] for no in liked != told]
    texts = [" ".join(rng.permutation(each)) + f" {rng.integers(10**5)}" for each in words]
    return pd.DataFrame({"said": texts, "bought": np.where(liked, "yes", "no")})


@pytest.fixture
def project(uri, write_project, tmp_path, monkeypatch):
    (tmp_path / "side_vectors.py").write_text(CODE)
    monkeypatch.syspath_prepend(tmp_path)
    more = 'columns: {said: {role: text}}\nembedding: "side_vectors:encode"\n'
    more += 'validation: {accept_inconclusive: {utility: "few rows"}}'
    problem = write_project(said(450, 0), more=more, slices="{}", model="{params: {text: linear, embedding: beside}}")
    return Workflow("shop", uri, allow_code=("side_vectors",)), problem


@pytest.mark.slow
def test_it_goes_through_all_stages(project):
    workflow, problem = project
    workflow.define(problem)
    workflow.freeze()
    with workflow.batch(
        generator="law", version="1", params={}, seed=2, slice=None, purpose="more", source="none"
    ) as b:
        b.write(said(230, 2))
    workflow.validate()
    workflow.sweep((0.0, 0.3), repeats=3, n_jobs=1)
    document = workflow.report().document
    frozen = workflow.project.evaluation_set()
    recorded = json.loads(frozen.run.params[names.P_EMBEDDING])
    assert (
        recorded["target"] == "side_vectors:encode" and recorded["n_dimensions"] == 8 and len(recorded["sha256"]) == 64
    )
    runs = workflow.project.reader.runs()
    with_it = {run.stage for run in runs if names.P_EMBEDDING in run.params}
    assert {"evaluation_set", "baseline", "contamination", "fidelity"} <= with_it
    final = next(run for run in runs if run.stage == "final")
    assert "by `side_vectors:encode`, which must be installed" in final.tags[names.TAG_NOTE]
    assert "side_vectors:encode" in to_markdown(document)
    fidelity = next(run for run in runs if run.stage == "fidelity")
    probes = json.loads(workflow.project.reader.file(fidelity, names.A_PROBES).read_text())["probes"]
    assert {"text_vectors_auc", "off_topic_vectors", "off_topic_texts"} <= {probe["name"] for probe in probes}


def test_nobody_runs_it_unasked_and_another_one_is_refused(project, uri):
    workflow, problem = project
    workflow.define(problem)
    with pytest.raises(UsageError, match=r"the embedding .* nobody has allowed"):
        Workflow("shop", uri).freeze()
    statement = workflow.project.problem().statement

    class Frozen:
        run = type("Run", (), {"params": {names.P_EMBEDDING: json.dumps(OTHER)}})

    with pytest.raises(UsageError, match="nobody has allowed"):
        embedding_of(statement)
    with allowing(["side_vectors"]), pytest.raises(EvidenceError, match="gives other vectors here"):
        embedding_of(statement, Frozen())
