"""Stage 3: a batch enters with its complete record or not at all, through each of the three doors."""

import dataclasses
import json
import weakref
from importlib import resources

import pandas as pd
import pytest
import yaml
from jsonschema import Draft202012Validator

from synth_mlflow import plugins
from synth_mlflow.backends import base
from synth_mlflow.backends.batch_writer import BatchBuffer
from synth_mlflow.data.provenance import record_in_file
from synth_mlflow.data.splits import Panel
from synth_mlflow.data.tables import read_table
from synth_mlflow.errors import EvidenceError, GateError, GeneratorError, UsageError
from synth_mlflow.tracking import names

RECORD = {"generator": "law", "version": "1", "params": {"rate": 3}, "seed": 2, "slice": None, "purpose": "more rows"}


@pytest.fixture
def write(frozen):
    """Writes a batch through the door of the Python API."""

    def write(frame, **changes):
        with frozen.batch(**{**RECORD, **changes}) as b:
            b.write(frame)
        return b.batch

    return write


@pytest.fixture
def refused(frozen, write):
    """Writes a batch that must be refused and leave no run."""

    def refused(match, frame, error=UsageError, **changes):
        with pytest.raises(error, match=match):
            write(frame, **changes)
        assert frozen.project.reader.runs("batch") == []

    return refused


def test_a_batch_is_one_run_with_its_record_in_three_places(frozen, write, customers):
    batch = write(customers(50, seed=2), prompts=["Write a row."])
    stored = frozen.project.batch(batch.batch)
    run = stored.run
    assert (run.stage, run.tags[names.TAG_VERDICT], run.tags[names.TAG_RETRACTED]) == ("batch", "unvalidated", "false")
    assert run.params[names.P_RECORD] == batch.record.sha256
    assert record_in_file(frozen.project.reader.file(run, names.A_BATCH)) == batch.record
    assert json.loads(frozen.project.reader.file(run, names.A_RECORD).read_text())["origin"]["purpose"] == "more rows"
    assert batch.record.origin.prompts == ("Write a row.",)
    schema = resources.files("synth_mlflow.data").joinpath("record.schema.json").read_text()
    Draft202012Validator(json.loads(schema)).validate(json.loads(batch.record.to_json()))
    assert (batch.n_rows, batch.record.evaluation_digest) == (50, frozen.project.evaluation_set().digest)
    assert run.params[names.P_SOURCE] == '{"digest":null,"kind":"not declared","n_rows":null}'
    rows = frozen.project.batch_rows(stored, frozen.project.evaluation_set().schema)
    pd.testing.assert_frame_equal(rows, customers(50, seed=2), check_dtype=False)
    assert frozen.batches().loc[0, "seed"] == 2


def test_rows_may_come_in_pieces(frozen, customers):
    rows = customers(50, seed=2)
    with frozen.batch(**RECORD) as b:
        b.write(rows.head(20))
        b.write(rows.tail(30))
    assert b.batch.n_rows == 50


@pytest.mark.slow
def test_an_equal_batch_is_recorded_once(frozen, write, customers):
    first, again = (write(customers(50, seed=2)) for _ in range(2))
    assert first.run_id == again.run_id
    other = write(customers(50, seed=2), purpose="another purpose")
    assert (other.digest == first.digest, other.batch != first.batch) == (True, True)
    assert len(frozen.batches()) == 2


@pytest.mark.slow
def test_the_same_rows_under_many_records_keep_ids_apart(write, customers):
    ids = {write(customers(5, seed=2), purpose=f"purpose {n}").batch for n in range(6)}
    assert len(ids) == 6


def test_nothing_enters_before_the_set_is_frozen(defined, customers):
    for attempt in (
        lambda: defined.batch(**RECORD).__enter__(),
        lambda: defined.generate("bootstrap_noise", rows=5, purpose="x"),
        lambda: defined.adopt_file("rows.csv", "record.yaml"),
    ):
        with pytest.raises(
            GateError, match=r"no frozen evaluation set; nothing is generated before.\nFirst: `synth-mlf"
        ):
            attempt()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"purpose": "  "}, "missing: purpose"),
        ({"generator": "", "version": "", "purpose": ""}, "missing: generator, version, purpose"),
        ({"seed": "two"}, "seed must be a whole number or null"),
        ({"version": 1}, "version must be a text"),
        ({"params": {"x": float("nan")}}, "cannot be recorded"),
        ({"slice": "age <"}, "slice 'age <'"),
        ({"slice": "aeg < 3"}, "names column 'aeg'"),
        ({"slice": "age < 30"}, r"of the 50 rows do not lie in the slice 'age < 30' that the record of 'law' names"),
        ({"source": "silo.csv"}, "there is no file silo.csv"),
    ],
)
def test_incomplete_or_untrue_records_are_refused(refused, customers, changes, message):
    refused(message, customers(50, seed=2), **changes)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f.drop(columns="income"), "'income' is missing"),
        (lambda f: f.assign(incme=1), "'incme' is unknown. Did you mean 'income'"),
        (lambda f: f.assign(age=f["age"] + 0.5), "'age' holds 50 values with a fraction, whole numbers were needed"),
        (
            lambda f: f.assign(member="yes"),
            "'member' holds string values such as 'yes' in 50 cells, boolean",
        ),
        (lambda f: f.assign(income=float("inf")), "'income' holds 50 infinite values"),
        (lambda f: f.head(0), "the batch holds no rows: nothing was written"),
    ],
)
def test_rows_that_are_not_like_the_real_ones_are_refused(refused, customers, change, message):
    refused(message, change(customers(50, seed=2)))


def test_a_block_that_writes_nothing_or_raises_leaves_nothing(frozen):
    with pytest.raises(UsageError, match="the batch holds no rows: nothing was written"), frozen.batch(**RECORD):
        pass
    with pytest.raises(ZeroDivisionError, match="division"), frozen.batch(**RECORD) as b:
        b.write(pd.DataFrame({"age": [1 / 0]}))
    assert frozen.project.reader.runs("batch") == []


def test_copies_of_evaluation_rows_are_refused(frozen, refused, customers):
    held_out = frozen.evaluation_rows()
    told = held_out[held_out["income"].notna()].head(5)
    refused(
        r"5 of the 55 rows of the batch are rows of the frozen evaluation set", pd.concat([customers(50, seed=2), told])
    )


@pytest.mark.parametrize("rows", ["twice", "beside a variant"])
def test_copies_of_evaluation_rows_are_refused_however_they_stand(frozen, refused, customers, rows):
    told = frozen.evaluation_rows().head(5)
    more = told if rows == "twice" else told.assign(age=told["age"] + 1)
    refused("rows of the batch are rows of the frozen evaluation set", pd.concat([customers(50, seed=2), told, more]))


@pytest.mark.slow
def test_a_source_with_changed_evaluation_rows_is_refused(frozen, customers, tmp_path):
    changed = frozen.evaluation_rows().head(30).assign(age=30)
    pd.concat([customers(200, seed=8), changed]).to_csv(tmp_path / "silo.csv", index=False)
    with pytest.raises(UsageError, match=r"silo.csv holds something of the frozen evaluation set: .* evaluation rows"):
        frozen.generate("bootstrap_noise", rows=5, purpose="x", source="silo.csv")


def test_a_row_that_equals_an_evaluation_row_is_told_and_never_fitted_on(frozen, write, customers, tmp_path):
    told: list[str] = []
    frozen.project.say = told.append
    batch = frozen.project.batch(write(pd.concat([customers(50, seed=2), frozen.evaluation_rows().head(1)])).batch)
    assert any("1 of the 51 rows of the batch equal an evaluation row" in line for line in told)
    assert batch.run.metrics[names.M_EQUAL_ROWS] == 1
    assert len(frozen.project.rows_to_fit(batch, frozen.project.evaluation_set())) == 50
    assert len(frozen.write_jsonl(batch.id, tmp_path / "batch.jsonl").read_text().splitlines()) == 50


@pytest.fixture
def file(tmp_path, customers):
    """A file made elsewhere and the record that its maker wrote."""

    def write(name="made.csv", **changes):
        rows = customers(50, seed=2)
        rows.to_csv(tmp_path / name, index=False) if name.endswith(".csv") else rows.to_parquet(tmp_path / name)
        (tmp_path / "record.yaml").write_text(yaml.safe_dump({**RECORD, **changes}))
        return tmp_path / name, tmp_path / "record.yaml"

    return write


@pytest.mark.slow
@pytest.mark.parametrize("name", ["made.csv", "made.parquet"])
def test_the_file_door_writes_what_the_python_door_writes(frozen, file, write, customers, name):
    batch = frozen.adopt_file(*file(name))
    assert (batch.record.origin.generator, batch.digest) == ("law", write(customers(50, seed=2)).digest)


def test_a_file_without_its_record_is_refused(frozen, file):
    path, record = file(purpose=None)
    with pytest.raises(UsageError, match=r"record.yaml cannot be written without its provenance; missing: purpose"):
        frozen.adopt_file(path, record)
    record.unlink()
    with pytest.raises(UsageError, match="there is no record file"):
        frozen.adopt_file(path, record)
    assert frozen.project.reader.runs("batch") == []


def test_a_batch_is_not_adopted_twice_under_another_record(frozen, write, customers, file):
    batch = write(customers(50, seed=2))
    path = frozen.project.reader.file(frozen.project.batch(batch.batch).run, names.A_BATCH)
    with pytest.raises(UsageError, match="carries the record of a batch already"):
        frozen.adopt_file(path, file()[1])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("source", "kind"), [("training", "training"), ("none", "none"), ("silo.csv", "file"), (None, "not declared")]
)
def test_the_source_is_declared_and_checked(frozen, file, tmp_path, customers, source, kind):
    customers(30, seed=8).to_csv(tmp_path / "silo.csv", index=False)
    found = frozen.adopt_file(*file(source=source)).record.origin.source
    expected = {"training": frozen.project.evaluation_set().training_digest}.get(kind, found.digest)
    assert (found.kind, found.digest) == (kind, expected)
    assert found.n_rows == {"training": len(frozen.training_rows()), "file": 30}.get(kind)


def test_a_source_that_holds_evaluation_rows_is_refused(frozen, file, tmp_path):
    frozen.evaluation_rows().head(7).to_csv(tmp_path / "silo.csv", index=False)
    for attempt in (
        lambda: frozen.adopt_file(*file(source="silo.csv")),
        lambda: frozen.generate("bootstrap_noise", rows=5, purpose="x", source="silo.csv"),
    ):
        with pytest.raises(UsageError, match=r"7 of the 7 rows of .*silo.csv are rows of the frozen evaluation set"):
            attempt()


def test_a_synthetic_source_is_refused(frozen, write, customers, tmp_path):
    write(customers(50, seed=2))
    customers(50, seed=2).to_csv(tmp_path / "silo.csv", index=False)
    with pytest.raises(
        UsageError, match=r"silo.csv is not strictly real: 50 of its 50 rows are rows of synthetic batch"
    ):
        frozen.generate("bootstrap_noise", rows=5, purpose="recursion", source="silo.csv")


@pytest.mark.slow
def test_the_same_seed_gives_the_same_batch_once_and_another_seed_another(frozen):
    first, again = (frozen.generate("bootstrap_noise", rows=40, seed=7, purpose="x") for _ in range(2))
    assert (first.run_id, first.digest) == (again.run_id, again.digest)
    assert frozen.generate("bootstrap_noise", rows=40, seed=8, purpose="x").digest != first.digest
    assert first.record.origin.params == {"noise": 0.1, "text": "refuse"}
    assert (first.record.rows_asked, first.record.notes["leaky"]) == (40, True)


def test_a_slice_holds_for_every_row(frozen):
    batch = frozen.generate("bootstrap_noise", rows=30, slice="age < 30", purpose="cover the young")
    schema = frozen.project.evaluation_set().schema
    assert frozen.project.batch_rows(frozen.project.batch(batch.batch), schema)["age"].max() < 30


@pytest.mark.slow
@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"generator": "forst"}, "no generator is called 'forst'. Did you mean 'forest'"),
        ({"rows": 0}, "a batch of 0 rows was asked for"),
        ({"seed": -1}, "seed -1 was given"),
        ({"purpose": ""}, "missing: purpose"),
        ({"params": {"nois": 1}}, "'bootstrap_noise' has no parameter 'nois'. Did you mean 'noise'"),
        ({"params": {"noise": "much"}}, "noise is 'much', needed a number of at least 0"),
        ({"params": {"text": "Refuse"}}, "text is 'Refuse', needed 'refuse' or 'resample'"),
        ({"generator": "smote", "params": {"neighbours": 2.5}}, "neighbours is 2.5, needed a whole number"),
        ({"generator": "forest", "params": {"privacy": "low"}}, "privacy is 'low', needed a number"),
        ({"generator": "bayes_net", "params": {"epsilon": "low"}}, "epsilon is 'low', needed a number"),
        ({"params": {"noise": -1}}, "noise is -1"),
        ({"slice": "age <"}, "slice 'age <'"),
        ({"source": "missing.csv"}, "there is no file missing.csv"),
    ],
)
def test_what_cannot_be_generated_is_refused(frozen, asked, message):
    with pytest.raises(UsageError, match=message):
        frozen.generate(**{"generator": "bootstrap_noise", "rows": 5, "seed": 1, "purpose": "x", **asked})
    assert frozen.project.reader.runs("batch") == []


@dataclasses.dataclass(frozen=True)
class Odd:
    """A generator of somebody else that samples what its class says."""

    version = "1"
    leaky = False
    notes = {}  # noqa: RUF012 - as third parties write it
    returns = staticmethod(lambda members: members)

    def fit(self, members, task, rng, **of_slice):
        object.__setattr__(self, "members", members)
        return self

    def sample(self, n_rows, rng):
        return type(self).returns(self.members)


def odd(returns):
    return type("Odd", (Odd,), {"returns": staticmethod(returns)})


@pytest.mark.parametrize(
    ("returns", "error", "message"),
    [
        (lambda m: 1 / 0, GeneratorError, "generator Odd raised ZeroDivisionError: division by zero"),
        (lambda m: m.head(3), GeneratorError, "generator Odd returned 3 rows, 5 were asked for"),
        (lambda m: None, GeneratorError, "generator Odd returned a NoneType, a DataFrame was needed"),
        (lambda m: m.head(5).drop(columns="age"), UsageError, "the batch does not have the columns.*'age' is missing"),
    ],
)
def test_a_generator_that_breaks_its_contract_leaves_no_run(frozen, monkeypatch, returns, error, message):
    monkeypatch.setattr(plugins.Plugin, "load", lambda self, **_: odd(returns))
    with pytest.raises(error, match=message):
        frozen.generate("forest", rows=5, purpose="x")
    assert frozen.project.reader.runs("batch") == []


@pytest.mark.slow
def test_many_rows_are_made_a_chunk_at_a_time(frozen, monkeypatch):
    """Counted, not timed: whatever the number of rows, no piece is larger than a chunk, and none is kept."""
    monkeypatch.setattr(base, "CHUNK_ROWS", 100)
    sizes, alive = [], []

    def add(spool, frame):
        taken.append(frame)
        sizes.append(len(frame))
        alive.append(sum(ref() is not None for ref in refs))
        refs.append(weakref.ref(frame))
        original(spool, taken.pop())

    taken, refs, original = [], [], BatchBuffer.add
    monkeypatch.setattr(BatchBuffer, "add", add)
    batch = frozen.generate("bootstrap_noise", rows=1_050, purpose="x")
    assert sizes == [100] * 10 + [50]
    assert max(alive) <= 1  # the one before, which the generator's loop still holds
    assert (batch.n_rows, batch.record.rows_asked) == (1_050, 1_050)
    stored = frozen.project.batch(batch.batch)
    assert len(frozen.project.batch_rows(stored, frozen.project.evaluation_set().schema)) == 1_050


def test_a_generator_without_chunks_is_asked_again(frozen, monkeypatch):
    monkeypatch.setattr(base, "CHUNK_ROWS", 2)
    monkeypatch.setattr(plugins.Plugin, "load", lambda self, **_: odd(lambda members: members.head(2)))
    assert frozen.generate("forest", rows=6, purpose="x").n_rows == 6


@pytest.mark.slow
def test_a_generator_that_needs_too_much_memory_says_so(frozen, monkeypatch):
    monkeypatch.setattr(plugins.Plugin, "load", lambda self, **_: odd(lambda members: bytearray(10**15)))
    with pytest.raises(GeneratorError, match=r"generator Odd needs more memory than there is: .*\nAsk for fewer rows"):
        frozen.generate("forest", rows=5, purpose="x")
    assert frozen.project.reader.runs("batch") == []


def test_changed_rows_and_records_are_detected(frozen, write, customers):
    batch = frozen.project.batch(write(customers(50, seed=2)).batch)
    schema = frozen.project.evaluation_set().schema
    folder = frozen.project.server.client.get_run(batch.run.run_id).info.artifact_uri.removeprefix("file://")
    read_table(frozen.project.reader.file(batch.run, names.A_BATCH)).head(10).to_parquet(f"{folder}/{names.A_BATCH}")
    fresh = type(frozen.project)(frozen.project.server)
    with pytest.raises(EvidenceError, match=r"batch/data.parquet of run .* someone changed it"):
        fresh.batch_rows(batch, schema)
    with pytest.raises(UsageError, match=f"there is no batch '{batch.id}x'. Did you mean '{batch.id}'"):
        fresh.batch(f"{batch.id}x")


def test_a_panel_without_a_named_group_key_is_refused_with_the_lines_to_paste(frozen, monkeypatch):
    monkeypatch.setattr("synth_mlflow.stages.generate.panel_of", lambda *_: Panel("who", "since", ("sex",)))
    with pytest.raises(UsageError, match=r"'who' and 'since', and 'sex' never change within one") as refusal:
        frozen.generate("forest", rows=50, purpose="more")
    assert '  columns:\n    "who": {role: ignored}\n' in refusal.value.fix
    assert frozen.project.reader.runs("batch") == []
