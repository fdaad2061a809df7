"""The document's twin: plain, valid against its published schema, and fixed by one digest."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from importlib import resources

import pytest
from jsonschema import Draft202012Validator, ValidationError

from synth_mlflow.handoff.document import Estimate, SignOff, twin_digest
from synth_mlflow.handoff.schema import handoff_json_schema

PUBLISHED = json.loads(resources.files("synth_mlflow.handoff").joinpath("handoff.schema.json").read_text())
VALIDATOR = Draft202012Validator(PUBLISHED)


def test_published_schema_is_the_one_that_the_dataclasses_give():
    assert handoff_json_schema() == PUBLISHED


def test_schema_is_a_schema():
    Draft202012Validator.check_schema(PUBLISHED)


def test_twin_is_valid_also_after_a_file(document):
    VALIDATOR.validate(json.loads(json.dumps(document.to_json())))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("sweep", "chosen"), 1.0),
        (("sweep", "points", 0, "ratio"), "25 %"),
        (("sweep", "points", 0, "score"), None),
        (("problem", "sha256"), "9c1e"),
        (("header", "built_at"), "yesterday"),
        (("batches", 0, "verdict"), "maybe"),
        (("batches", 0, "n_rows"), -1),
        (("batches", 0, "n_rows"), 5000.5),
        (("triggers", 0, "state"), "soon"),
        (("schema",), 2),
        (("header", "colour"), "blue"),
        (("sweep", "picture"), [1, 2]),
    ],
)
def test_damaged_twin_is_refused(document, path, value):
    twin = copy.deepcopy(document.to_json())
    place = twin
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    with pytest.raises(ValidationError):
        VALIDATOR.validate(twin)


def test_every_key_is_required(document):
    twin = document.to_json()
    for key in twin:
        assert not VALIDATOR.is_valid({k: v for k, v in twin.items() if k != key}), key


def test_digest_survives_a_file_and_notices_an_edit(document):
    twin = json.loads(json.dumps(document.to_json()))
    assert twin_digest(twin) == twin["sha256"] == document.sha256
    twin["sweep"]["chosen"] = 0.25
    assert twin_digest(twin) != document.sha256


def test_signing_does_not_change_what_is_signed(document):
    signed = replace(document, sign_offs=(SignOff("Ada", "owner", "2026-11-22T13:00:00Z", document.sha256, "ab" * 16),))
    assert signed.sha256 == document.sha256
    VALIDATOR.validate(signed.to_json())


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_numbers_that_are_none_are_refused(document, value):
    broken = replace(document, baseline=replace(document.baseline, score=Estimate(value, 0.0, 1.0)))
    with pytest.raises(ValueError, match="not JSON compliant"):
        broken.to_json()


def test_objects_that_are_not_plain_are_refused(document):
    broken = replace(document, batches=(replace(document.batches[0], parameters={"model": object()}),))
    with pytest.raises(TypeError, match="no place in a handoff"):
        broken.to_json()


def test_passwords_never_reach_the_document(document):
    header = replace(document.header, tracking_uri="https://me:hunter2@mlflow.example.org/?token=hunter2")
    open_book = replace(document, header=header, links={"a": "https://me:hunter2@mlflow.example.org/#/runs/a"})
    assert "hunter2" not in json.dumps(open_book.to_json())
    assert open_book.links["a"] == "https://mlflow.example.org/#/runs/a"


def test_a_choice_that_is_not_on_the_curve_is_noticed(document):
    with pytest.raises(ValueError, match=r"0\.3 is not on the curve: \[0\.0, 0\.25"):
        document.sweep.at(0.3)
