"""Sign-offs are told by `trace`, and every later edit of one, or of what it signs, by `verify`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from synth_mlflow import Workflow
from synth_mlflow.data.digests import file_digest
from synth_mlflow.tracking import names

Change = Callable[..., None]
MODEL = "models:/demo-breast-cancer/1"
SET_PARAM = "UPDATE params SET value = ? WHERE run_uuid = ? AND key = ?"


def partner(workflow: Workflow) -> Path:
    """The rows that the demo's batch was learned from."""
    folder = Path(workflow.project.server.tracking_uri.removeprefix("sqlite:///")).parent
    return folder / "synth-mlflow-demo" / "partner_clinic.csv"


def said(workflow: Workflow) -> str:
    return "\n".join(f.what for f in Workflow(None, workflow.project.server.tracking_uri).verify().findings)


@pytest.mark.slow
def test_a_sign_off_breaks_no_seal(own: Workflow, signed: str) -> None:
    found = own.verify()
    assert found.findings == () and found.runs["sign-off"] == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("param", "value", "what"),
    [
        (names.P_SIGNED_BY, "Bob", "the document that it keeps is not the one that it signs"),
        (names.P_ROLE, "boss", "seal"),
        (names.P_DOCUMENT, "0" * 64, f"{names.P_DOCUMENT} says 0000"),
        (names.P_CHAMPION, "models:/demo-breast-cancer/2", "no sign-off in force says so"),
        (names.P_SEAL, "0" * 64, "has another seal now"),
        (names.P_HANDOFF, "nowhere", "seal"),
    ],
)
def test_an_edited_sign_off_is_found(own: Workflow, signed: str, change: Change, param, value, what) -> None:
    change(SET_PARAM, value, signed, param)
    assert what in said(own)


@pytest.mark.slow
def test_a_deleted_sign_off_is_missed_by_its_handoff(own: Workflow, signed: str) -> None:
    own.project.server.client.delete_run(signed)
    assert f"its sign-off run {signed} is gone" in said(own)


@pytest.mark.slow
def test_a_sign_off_that_no_handoff_names_does_not_count(own: Workflow, signed: str, change: Change) -> None:
    change("DELETE FROM params WHERE key = ?", names.P_SIGN_OFF_PREFIX + signed)
    assert "does not name it: it does not count" in said(own)
    assert "not signed" in own.status().stages[-1].words


@pytest.mark.slow
def test_a_document_that_was_edited_and_rehashed_is_still_missed_by_who_signed_it(
    own: Workflow, signed: str, change: Change, path_of
) -> None:
    handoff, path = own.project.reader.latest("handoff"), path_of("handoff", names.A_HANDOFF_JSON)
    twin = json.loads(path.read_text())
    twin["limits"]["known"] = "None at all."
    path.write_text(json.dumps(twin))
    change(SET_PARAM, file_digest(path), handoff.run_id, names.P_ARTIFACT_PREFIX + names.A_HANDOFF_JSON)
    change(SET_PARAM, "1" * 64, handoff.run_id, names.P_DOCUMENT)
    assert f"parameter {names.P_DOCUMENT} says" in said(own)
    affected = {a for f in own.verify().findings for a in f.affects if f.run_id == handoff.run_id}
    assert affected == {"sign-off of Ada Lind"}


@pytest.mark.slow
def test_an_alias_that_somebody_set_or_took_by_hand_is_found(own: Workflow) -> None:
    client = own.project.server.client
    client.set_registered_model_alias("demo-breast-cancer", names.CHAMPION, "1")
    assert "has the alias champion, and no sign-off in force says so" in said(own)
    own.sign("Ada Lind", role="owner", champion=True, sources=[partner(own)])
    assert said(own) == ""
    client.delete_registered_model_alias("demo-breast-cancer", names.CHAMPION)
    assert "has lost the alias champion that Ada Lind (owner) gave it" in said(own)


@pytest.mark.slow
def test_trace_tells_who_has_signed(own: Workflow, signed: str) -> None:
    root = own.trace(f"models:/demo-breast-cancer@{names.CHAMPION}").root
    handoff = root.children[-1]
    assert handoff.kind == "handoff"
    assert [(child.kind, child.name, child.facts["champion"]) for child in handoff.children] == [
        ("sign-off", "Ada Lind (owner)", MODEL)
    ]
    assert own.trace(signed).root.run_id == handoff.run_id
