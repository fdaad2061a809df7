"""The stages on a table that is larger than memory: the same evidence, and samples where that is said."""

import pytest

from synth_mlflow.audit.replay import BatchReplayer
from synth_mlflow.data import large_tables, mapped
from synth_mlflow.data.columns import normalise
from synth_mlflow.data.large_tables import sampled_places
from synth_mlflow.data.provenance import LEARNED_ROWS
from synth_mlflow.data.tables import write_parquet
from synth_mlflow.stages import freeze as freezing
from synth_mlflow.stages.validate import evidence_of
from synth_mlflow.workflow import Workflow

QUICK = "{estimator: 'sklearn.linear_model:LogisticRegression', params: {}}"
N_ROWS, N_SAMPLED = 700, 300


@pytest.fixture
def frozen_by(uri, write_project, customers, monkeypatch):
    """Freezes the same Parquet table, in memory or mapped."""
    monkeypatch.setattr(freezing, "REPEATS", 3)
    rows = normalise(customers(N_ROWS, seed=5))

    def frozen_by(name, limit):
        monkeypatch.setattr(mapped, "MAPPED_BYTES", limit)
        path = write_project(rows, name=name, model=QUICK, data="rows.parquet")
        write_parquet(rows, path.parent / "rows.parquet")
        workflow = Workflow(name, uri)
        workflow.define(path)
        return workflow, workflow.freeze()

    return frozen_by


@pytest.mark.slow
def test_a_mapped_table_is_frozen_as_one_in_memory_and_a_sample_of_it_is_learned_and_judged(frozen_by, monkeypatch):
    small, in_memory = frozen_by("small", 2**40)
    large, in_files = frozen_by("large", 0)
    assert (in_files.digest, in_files.training_digest) == (in_memory.digest, in_memory.training_digest)
    assert (
        large.project.problem().run.params.items()
        >= {
            name: value for name, value in small.project.problem().run.params.items() if name.endswith("digest")
        }.items()
    )
    training = large.project.training_rows(in_files)
    monkeypatch.setattr(large_tables, "SAMPLE_CELLS", N_SAMPLED * training.shape[1])
    batch = large.generate("gaussian_copula", rows=100, purpose="a test")
    stored = large.project.batches()[-1]
    record = large.project.record(stored)
    assert record.notes[LEARNED_ROWS] == N_SAMPLED
    assert record.origin.source.n_rows == len(training)
    judged = evidence_of(large.project, in_files, stored, None)
    assert judged.members.equals(training.iloc[sampled_places(training)].reset_index(drop=True))
    assert len(judged.control) == len(judged.choosing) == min(N_SAMPLED, N_ROWS - len(training))
    assert batch.n_rows == 100


@pytest.mark.slow
def test_a_batch_is_made_again_of_the_rows_that_it_learned_from(frozen_by, monkeypatch):
    workflow, frozen = frozen_by("large", 2**40)
    workflow.generate("gaussian_copula", rows=100, purpose="before tables were mapped")
    monkeypatch.setattr(mapped, "MAPPED_BYTES", 0)
    monkeypatch.setattr(large_tables, "SAMPLE_CELLS", N_SAMPLED * len(frozen.schema))
    workflow.generate("gaussian_copula", rows=100, purpose="of a sample")
    of_all, of_sample = workflow.project.batches()
    assert of_all.digest != of_sample.digest
    replayer = BatchReplayer(workflow.project, frozen, {}, allow_external=False)
    assert [replayer.remake(batch).digest for batch in (of_all, of_sample)] == [of_all.digest, of_sample.digest]
