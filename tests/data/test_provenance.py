"""The provenance record: what is missing is named at once, and it travels unchanged."""

import json
import math
from dataclasses import replace
from importlib import resources

import pandas as pd
import pytest
from jsonschema import Draft202012Validator, ValidationError

from synth_mlflow.data.provenance import (
    METADATA_KEY,
    DeclaredConstraints,
    Origin,
    Record,
    Source,
    read_origin,
    record_in_file,
    record_schema,
)
from synth_mlflow.data.tables import write_parquet
from synth_mlflow.errors import UsageError

ORIGIN = Origin("my-sim", "1.10", {"rate": 3, "names": ["ü"]}, 7, "age < 25", "cover the young", ("Write a row.",))
RECORD = Record(
    batch="my-sim-7f3a",
    origin=replace(ORIGIN, source=Source("file", "ab" * 32, 90)),
    rows_asked=10,
    rows=9,
    columns={"age": "integer"},
    digest="cd" * 32,
    statement_digest="ef" * 32,
    evaluation_digest="01" * 32,
    environment={"python": "3.11"},
    created_by="ann",
    created_at="2024-01-01T00:00:00+00:00",
    seconds=0.5,
    constraints=DeclaredConstraints(("age >= 18",), 0.97),
    notes={"leaky": False},
)
YAML = """
generator: my-sim
version: 1.10
params: {rate: 3}
seed: null
slice: null
purpose: cover the young
"""


def test_a_record_survives_json_and_parquet(tmp_path):
    assert Record.from_json(RECORD.to_json()) == RECORD
    text = RECORD.to_json().encode()
    write_parquet(pd.DataFrame({"age": [1]}), tmp_path / "a.parquet", {METADATA_KEY: text})
    found = record_in_file(tmp_path / "a.parquet")
    assert found == RECORD
    assert found.sha256 == RECORD.sha256


PUBLISHED = json.loads(resources.files("synth_mlflow.data").joinpath("record.schema.json").read_text())


def test_the_published_schema_is_the_one_that_the_dataclasses_give():
    Draft202012Validator.check_schema(PUBLISHED)
    assert record_schema() == PUBLISHED
    Draft202012Validator(PUBLISHED).validate(json.loads(RECORD.to_json()))


@pytest.mark.parametrize(
    "change",
    [{"digest": "ab"}, {"schema": 2}, {"rows": 0}, {"created_at": "now"}, {"colour": 1}, {"columns": {"a": "colour"}}],
)
def test_the_schema_refuses_what_is_no_record(change):
    with pytest.raises(ValidationError):
        Draft202012Validator(PUBLISHED).validate({**json.loads(RECORD.to_json()), **change})


def test_the_schema_misses_every_field():
    told = json.loads(RECORD.to_json())
    for name in told:
        with pytest.raises(ValidationError, match=f"'{name}' is a required property"):
            Draft202012Validator(PUBLISHED).validate({key: value for key, value in told.items() if key != name})


def test_files_without_a_record_have_none(tmp_path):
    write_parquet(pd.DataFrame({"age": [1]}), tmp_path / "a.parquet")
    (tmp_path / "a.csv").write_text("age\n1\n")
    assert record_in_file(tmp_path / "a.parquet") is record_in_file(tmp_path / "a.csv") is None


@pytest.mark.parametrize(
    "change", [{"rows": 10}, {"notes": {"leaky": True}}, {"origin": replace(RECORD.origin, seed=8)}, {"created_by": ""}]
)
def test_every_field_counts_in_the_digest(change):
    assert replace(RECORD, **change).sha256 != RECORD.sha256


def _with(**changes):
    return json.dumps({**json.loads(RECORD.to_json()), **changes})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no provenance record"),
        ("[1]", "no provenance record"),
        ("{}", "no provenance record: KeyError\\('schema'\\)"),
        (_with(schema=2), "has schema 2, this version reads 1.\nInstall the version"),
        (_with(origin={}), "no provenance record"),
        (_with(surprise=1), "no provenance record"),
        (_with(origin={**json.loads(RECORD.to_json())["origin"], "purpose": " "}), "missing: purpose"),
    ],
)
def test_a_damaged_record_is_refused(text, message):
    with pytest.raises(UsageError, match=message):
        Record.from_json(text)


def test_everything_that_is_blank_is_named_at_once():
    with pytest.raises(UsageError, match="missing: generator, version, purpose") as refusal:
        Origin("", "  ", {}, None, None, "\n")
    assert "`seed: null`" in refusal.value.fix


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seed": "7"}, "seed must be a whole number or null"),
        ({"seed": True}, "seed must be a whole number or null"),
        ({"seed": 1.5}, "seed must be a whole number or null"),
        ({"version": 2}, "version must be a text"),
        ({"params": ["rate"]}, "params must be a mapping"),
        ({"slice": 3}, "slice must be a text or null"),
        ({"prompts": "Write a row."}, "prompts must be a list of texts"),
        ({"params": {"rate": math.nan}}, "parameters of generator 'my-sim' cannot be recorded"),
        ({"params": {"model": object()}}, "not JSON serializable.\nGive numbers, texts"),
        ({"params": {1: 2, "b": 3}}, "cannot be recorded"),
    ],
)
def test_fields_of_another_type_are_refused(change, message):
    with pytest.raises(UsageError, match=message):
        replace(ORIGIN, **change)


@pytest.fixture
def origin_of(tmp_path):
    def read(text):
        (tmp_path / "record.yaml").write_bytes(text if isinstance(text, bytes) else text.encode())
        return read_origin(tmp_path / "record.yaml")

    return read


def test_a_record_written_by_a_person(origin_of):
    assert origin_of(YAML) == (Origin("my-sim", "1.10", {"rate": 3}, None, None, "cover the young"), None)
    origin, source = origin_of(YAML + "prompts: [Write a row.]\nsource: silo.csv\n")
    assert (origin.prompts, origin.source.kind, source) == (("Write a row.",), "not declared", "silo.csv")


def test_a_version_is_kept_as_it_is_written(origin_of):
    for written in ("1.10", "2024-11-01", "0x10", "yes", "'1.10'"):
        assert origin_of(YAML.replace("1.10", written))[0].version == written.strip("'")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{}", "missing: generator, version, params, seed, slice, purpose"),
        ("version:\nparams:\nseed: 1\nslice:\npurpose: ''\n", "missing: generator, version, params, purpose"),
        (YAML + "sede: 3\n", "unknown field 'sede'. Did you mean 'seed'"),
        (YAML + "7: 3\n", "unknown field 7"),
        (YAML + "seed: 8\n", "keys stand twice: seed"),
        (YAML + "prompts: Write a row.\n", "prompts must be a list of texts"),
        (YAML + "source: [a.csv]\n", "source must be `training`, `none` or a path, found"),
        (YAML.replace("seed: null", "seed: seven"), "seed must be a whole number or null"),
        (YAML.replace("{rate: 3}", "{when: 2024-01-01}"), "cannot be recorded"),
        (YAML.replace("{rate: 3}", "{rate: .nan}"), "cannot be recorded"),
        (YAML.replace("{rate: 3}", "!!python/object/apply:os.getcwd []"), "not plain YAML: could not determine"),
        (YAML.replace("{rate: 3}", "{a: &a [1], b: *a}"), r"aliases \(`\*name`\) are not read here"),
        (YAML.replace("{rate: 3}", "{when: 2024-99-99}"), "not plain YAML: month must be in"),
        (YAML.replace("{rate: 3}", "[" * 5_000), "not plain YAML"),
        ("generator: [", "not plain YAML"),
        ("- generator", "holds no mapping"),
        ("", "holds no mapping"),
        (b"\xff\xfe\x00", "not plain YAML: 'utf-8' codec"),
    ],
)
def test_a_record_that_cannot_be_used_is_refused(origin_of, text, message):
    with pytest.raises(UsageError, match=message):
        origin_of(text)


def test_a_record_that_is_not_there_says_what_to_write(tmp_path):
    with pytest.raises(UsageError, match="Write one with the fields generator, version, params, seed, slice, purpose"):
        read_origin(tmp_path / "record.yaml")
