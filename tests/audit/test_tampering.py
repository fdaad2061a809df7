"""What somebody changes behind the tool's back is found by the stage that would use it, not only by `verify`."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import shop
from copied_project import whole_copy

from synth_mlflow import Workflow
from synth_mlflow.data.provenance import METADATA_KEY, Record
from synth_mlflow.errors import EvidenceError, GateError, SynthError
from synth_mlflow.tracking import names

SET_PARAM = "UPDATE params SET value = ? WHERE run_uuid = ? AND key = ?"


class Intruder:
    """Somebody who may write to the database and the artifact store of a project."""

    def __init__(self, workflow: Workflow, folder: Path) -> None:
        self.workflow, self.folder = workflow, folder
        self.client = workflow.project.server.client

    def run(self, stage: str, at: int = -1) -> str:
        return self.workflow.project.reader.finished(stage)[at].run_id

    def path(self, stage: str, artifact: str) -> Path:
        uri = self.client.get_run(self.run(stage)).info.artifact_uri
        return Path(uri.removeprefix("file://")) / artifact

    def append(self, stage: str, artifact: str) -> None:
        path = self.path(stage, artifact)
        path.write_bytes(path.read_bytes() + b" ")

    def swap(self, one: Path, other: Path) -> None:
        kept = one.read_bytes()
        shutil.copy(other, one)
        other.write_bytes(kept)

    def sql(self, statement: str, *values: object) -> None:
        with sqlite3.connect(self.folder / "mlflow.db") as database:
            assert database.execute(statement, values).rowcount > 0

    def param(self, stage: str, name: str, value: str) -> None:
        self.sql(SET_PARAM, value, self.run(stage), name)

    def tag(self, stage: str, name: str, value: str) -> None:
        self.client.set_tag(self.run(stage), name, value)

    def metric(self, stage: str, name: str, value: float, step: int = 0) -> None:
        self.client.log_metric(self.run(stage), name, value, step=step)


@pytest.fixture(scope="module")
def whole(empty_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project that has gone the whole way, with files of its own."""
    folder = tmp_path_factory.mktemp("whole")
    shutil.copy(empty_store, folder / "mlflow.db")
    shop.write_shop(folder, shop.customers(300, 1))
    before = Path.cwd()
    os.chdir(folder)
    try:
        shop.go_whole_way(f"sqlite:///{folder / 'mlflow.db'}", folder)
    finally:
        os.chdir(before)
    return folder


@pytest.fixture
def intruder(whole: Path, tmp_path: Path) -> Intruder:
    """On a whole copy of the project."""
    folder = tmp_path / "own"
    return Intruder(whole_copy(whole, folder), folder)


def generate(workflow: Workflow) -> object:
    return workflow.generate("bootstrap_noise", rows=20, purpose="more")


def validate_again(workflow: Workflow) -> object:
    return workflow.validate(workflow.project.batches()[0].id)


def validate_another(workflow: Workflow) -> object:
    """Validate the batch under another policy, so that it is looked at again."""
    path = Path(workflow.project.server.tracking_uri.removeprefix("sqlite:///")).with_name("problem.md")
    text = path.read_text().replace("gap: cold start", "gap: cold start\nvalidation: {fidelity: {pair_distance: 0.3}}")
    path.write_text(text)
    workflow.define(path)
    return workflow.validate()


def sweep(workflow: Workflow) -> object:
    return workflow.sweep((0.0, 0.5), repeats=3, n_jobs=1, seed=5)


def report(workflow: Workflow) -> object:
    return workflow.report()


def check(workflow: Workflow) -> object:
    return workflow.check()


def sign(workflow: Workflow) -> object:
    return workflow.sign("Ann", role="owner")


def reupload(intruder: Intruder) -> None:
    path = intruder.path("evaluation_set", names.A_EVALUATION)
    pd.read_parquet(path).assign(bought="yes").to_parquet(path)


def claim_another_generator(intruder: Intruder) -> None:
    for path in (intruder.path("batch", names.A_RECORD),):
        told = json.loads(path.read_text())
        told["origin"]["generator"] = "better-generator"
        path.write_text(json.dumps(told))


def claim_another_generator_everywhere(intruder: Intruder) -> None:
    """In the record, in the file, on the run: everything but the seal, which the intruder forgets."""
    import pyarrow.parquet as pq

    from synth_mlflow.data.digests import file_digest

    told = json.loads(intruder.path("batch", names.A_RECORD).read_text())
    told["origin"]["generator"] = "better-generator"
    record = Record.from_json(json.dumps(told))
    intruder.path("batch", names.A_RECORD).write_text(record.to_json())
    data = intruder.path("batch", names.A_BATCH)
    table = pq.read_table(data)
    pq.write_table(
        table.replace_schema_metadata({**table.schema.metadata, METADATA_KEY: record.to_json().encode()}), data
    )
    intruder.param("batch", names.P_GENERATOR, "better-generator")
    intruder.param("batch", names.P_RECORD, record.sha256)
    for artifact in (names.A_RECORD, names.A_BATCH):
        intruder.param("batch", names.P_ARTIFACT_PREFIX + artifact, file_digest(intruder.path("batch", artifact)))


def swap_probes(intruder: Intruder) -> None:
    intruder.swap(intruder.path("fidelity", names.A_PROBES), intruder.path("utility", names.A_PROBES))


def swap_sides(intruder: Intruder) -> None:
    intruder.swap(
        intruder.path("evaluation_set", names.A_EVALUATION), intruder.path("evaluation_set", names.A_TRAINING)
    )


def double_a_baseline(intruder: Intruder) -> None:
    """As if somebody had restored the one that a killed freeze had left and its rerun had deleted."""
    told = intruder.client.get_run(intruder.run("baseline"))
    made = intruder.client.create_run(told.info.experiment_id, tags=dict(told.data.tags))
    for name, value in told.data.params.items():
        intruder.client.log_param(made.info.run_id, name, value)
    intruder.client.set_terminated(made.info.run_id)


def damage_the_model(intruder: Intruder) -> None:
    version = intruder.client.get_model_version("shop", "1")
    path = Path(str(version.source).removeprefix("file://")) / "model.lgb"
    path.write_text(path.read_text().replace("leaf_value=", "leaf_value=-"))


def delete(stage: str) -> Callable[[Intruder], None]:
    return lambda intruder: intruder.client.delete_run(intruder.run(stage))


def append(stage: str, artifact: str) -> Callable[[Intruder], None]:
    return lambda intruder: intruder.append(stage, artifact)


def param(stage: str, name: str, value: str) -> Callable[[Intruder], None]:
    return lambda intruder: intruder.param(stage, name, value)


def metric(stage: str, name: str, value: float) -> Callable[[Intruder], None]:
    return lambda intruder: intruder.metric(stage, name, value, step=900)


def raise_the_estimate(intruder: Intruder) -> None:
    told = json.loads(intruder.client.get_run(intruder.run("final")).data.params[names.P_HOLDOUT_ESTIMATE])
    intruder.param("final", names.P_HOLDOUT_ESTIMATE, json.dumps({**told, "low": told["score"]}))


CASES = (
    # changed bytes
    ("statement changed", append("problem", names.A_STATEMENT), generate, EvidenceError, "someone changed it"),
    (
        "evaluation rows changed",
        append("evaluation_set", names.A_EVALUATION),
        sweep,
        EvidenceError,
        "someone changed it",
    ),
    ("evaluation set re-uploaded", reupload, sweep, EvidenceError, "someone changed it"),
    ("evaluation set re-uploaded, to validate", reupload, validate_another, EvidenceError, "someone changed it"),
    (
        "row digests changed",
        append("evaluation_set", names.A_ROW_DIGESTS),
        generate,
        EvidenceError,
        "someone changed it",
    ),
    ("batch changed", append("batch", names.A_BATCH), sweep, EvidenceError, "someone changed it"),
    ("batch changed, to validate", append("batch", names.A_BATCH), validate_another, EvidenceError, "changed it"),
    ("probes changed", append("utility", names.A_PROBES), sweep, EvidenceError, "someone changed it"),
    ("curve changed", append("sweep", names.A_CURVE), report, EvidenceError, "someone changed it"),
    ("model changed", damage_the_model, report, EvidenceError, "someone changed the model"),
    ("handoff changed", append("handoff", names.A_HANDOFF_JSON), sign, EvidenceError, "someone changed it"),
    # swapped
    ("probes swapped between checks", swap_probes, sweep, EvidenceError, "someone changed it"),
    ("sides of the split swapped", swap_sides, sweep, EvidenceError, "someone changed it"),
    # records
    ("a record claims another generator", claim_another_generator, validate_another, EvidenceError, "changed it"),
    ("… and file, run and digests too", claim_another_generator_everywhere, sweep, EvidenceError, "seal"),
    # parameters and metrics
    ("verdict changed", param("utility", names.P_VERDICT, "fail"), sweep, EvidenceError, "seal"),
    (
        "evaluation digest changed",
        param("evaluation_set", names.P_EVALUATION_DIGEST, "0" * 64),
        sweep,
        EvidenceError,
        "seal",
    ),
    ("settings changed", param("baseline", names.P_SETTINGS, "{}"), sweep, EvidenceError, "seal"),
    ("choice changed", param("sweep", names.P_CHOSEN, "0.5000"), report, EvidenceError, "seal"),
    ("score of the model changed", metric("final", names.M_SCORE, 0.999), check, EvidenceError, "seal"),
    ("estimate changed", raise_the_estimate, check, EvidenceError, "expected score .* someone changed it"),
    ("estimate changed, to report", raise_the_estimate, report, EvidenceError, "expected score .* someone changed it"),
    (
        "estimate made up",
        param("final", names.P_HOLDOUT_ESTIMATE, '{"score": 1}'),
        report,
        EvidenceError,
        "expected score",
    ),
    ("metric appended to a check", metric("utility", "synth.extra", 0.999), sweep, EvidenceError, "seal"),
    ("metric appended to the baseline", metric("baseline", names.M_SCORE, 0.1), report, EvidenceError, "seal"),
    ("metric appended to a ratio", metric("ratio", names.M_SCORE, 0.999), report, EvidenceError, "seal"),
    # deleted and restored
    ("statement deleted", delete("problem"), generate, SynthError, "no problem statement"),
    ("evaluation set deleted", delete("evaluation_set"), generate, EvidenceError, "was deleted"),
    ("evaluation set deleted, to freeze", delete("evaluation_set"), Workflow.freeze, EvidenceError, "was deleted"),
    ("baseline deleted", delete("baseline"), sweep, EvidenceError, "baseline of evaluation set .* is gone"),
    ("baseline doubled", double_a_baseline, sweep, EvidenceError, "2 baselines"),
    ("batch deleted", delete("batch"), report, EvidenceError, "whose run is gone"),
    ("check deleted", delete("utility"), sweep, GateError, "not checked under the policy in force: utility"),
    ("ratio deleted", delete("ratio"), report, EvidenceError, "ratio .* is gone"),
)


@pytest.mark.parametrize(
    ("change", "stage", "error", "match"),
    [pytest.param(*c[1:], id=c[0], marks=[pytest.mark.slow] if n % 4 else []) for n, c in enumerate(CASES)],
)  # every fourth stands for all in the quick run
def test_the_stage_that_would_use_it_finds_it(intruder, change, stage, error, match):
    change(intruder)
    workflow = Workflow(None, intruder.workflow.project.server.tracking_uri)
    before = {run.run_id for run in workflow.project.reader.runs() if run.counts}
    with pytest.raises(error, match=match):
        stage(workflow)
    after = {run.run_id for run in workflow.project.reader.runs() if run.counts and run.stage != "problem"}
    assert after <= before  # nothing was written on broken evidence


@pytest.mark.slow
def test_edited_tags_open_nothing_and_change_no_answer(intruder):
    workflow = intruder.workflow
    failed = generate(workflow)
    for tag, value in ((names.TAG_VERDICT, "pass"), (names.TAG_RETRACTED, "false"), (names.TAG_REASON, "fine")):
        intruder.client.set_tag(failed.run_id, tag, value)
    with pytest.raises(GateError, match="the gate is closed for 1 of 1"):
        workflow.sweep((0.0, 0.5), repeats=3, batches=[failed])
    intruder.tag("utility", "mlflow.parentRunId", failed.run_id)  # a verdict that belongs to another batch
    with pytest.raises(GateError, match="the gate is closed"):
        workflow.sweep((0.0, 0.5), repeats=3, batches=[failed])


@pytest.mark.slow
def test_a_key_in_a_tag_is_not_believed(intruder):
    """The key of one sweep on the run of another would answer with the wrong curve."""
    workflow, sweeps = intruder.workflow, []
    for seed in (5, 6):
        workflow.sweep((0.0, 0.5), repeats=3, n_jobs=1, seed=seed)
        sweeps.append(workflow.project.reader.finished("sweep")[-1])
    intruder.client.set_tag(sweeps[1].run_id, names.TAG_KEY, sweeps[0].tags[names.TAG_KEY])
    intruder.client.set_tag(sweeps[0].run_id, names.TAG_KEY, "elsewhere")
    assert workflow.sweep((0.0, 0.5), repeats=3, n_jobs=1, seed=5).seed == 5


@pytest.mark.slow
def test_a_restored_batch_is_what_it_was(intruder):
    """MLflow does not say that a run was deleted for a while; its evidence is judged as it stands."""
    run_id = intruder.run("batch")
    intruder.client.delete_run(run_id)
    intruder.client.restore_run(run_id)
    assert sweep(Workflow(None, intruder.workflow.project.server.tracking_uri)) is not None
