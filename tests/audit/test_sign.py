"""`report --sign`: names over a document's digest, several of them, and the champion that they let in."""

from __future__ import annotations

import json

import pytest

from synth_mlflow import Workflow
from synth_mlflow.cli.main import run as run_command
from synth_mlflow.errors import GateError, UsageError
from synth_mlflow.handoff.document import twin_digest
from synth_mlflow.handoff.schema import document_of
from synth_mlflow.tracking import names


def champion(workflow: Workflow) -> str | None:
    found = workflow.project.server.client.get_registered_model("shop").aliases.get(names.CHAMPION)
    return None if found is None else str(found)


def test_several_people_sign_one_document(done: Workflow, tmp_path) -> None:
    one = done.sign("Ada Lind", role="model owner")
    two = done.sign("Ben | <b>Ochs</b>", role="risk", output=tmp_path / "signed.html")
    assert one.sha256 == two.sha256 and two.others == ("Ada Lind (model owner)",)
    assert "signed by Ada Lind (model owner), Ben | <b>Ochs</b> (risk)" in done.status().stages[-1].words
    page = (tmp_path / "signed.html").read_text()
    assert "Ada Lind, model owner" in page and "Ben | &lt;b&gt;Ochs&lt;/b&gt;" in page and "another state" not in page
    assert done.project.reader.run(one.handoff).tags[names.TAG_SIGNED] == "true"
    kept = done.project.reader.file(done.project.reader.run(two.run_id), names.A_HANDOFF_JSON)
    twin = json.loads(kept.read_text())
    assert twin_digest(twin) == two.sha256 and [s["name"] for s in twin["sign_offs"]] == [one.name, two.name]
    assert champion(done) is None


def test_a_document_survives_its_twin(done: Workflow) -> None:
    run = done.project.reader.latest("handoff")
    twin = json.loads(done.project.reader.file(run, names.A_HANDOFF_JSON).read_text())
    assert document_of(twin).to_json() == twin


def test_signing_twice_is_signing_once(done: Workflow) -> None:
    assert done.sign("Ada", role="owner").run_id == done.sign("Ada", role="owner").run_id
    assert len(done.project.reader.finished("sign-off")) == 1
    assert done.sign("Ada", role="reviewer").others == ("Ada (owner)",)


def test_what_a_killed_process_left_is_completed(done: Workflow, monkeypatch) -> None:
    def killed(*args: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("synth_mlflow.audit.sign.add_params", killed)
        with pytest.raises(KeyboardInterrupt):
            done.sign("Ada", role="owner", champion=True)
    assert "not signed" in done.status().stages[-1].words and champion(done) is None
    done.sign("Ada", role="owner", champion=True)
    assert len(done.project.reader.finished("sign-off")) == 1 and champion(done) == "1"


@pytest.mark.slow
def test_only_a_sign_off_makes_a_champion_and_the_newest_one_holds(done: Workflow) -> None:
    first = done.report().run_id
    done.sweep(ratios=(0, 0.3), repeats=3)
    second = done.report().run_id
    assert champion(done) is None
    for handoff, version in ((first, "1"), (second, "2"), (first, "1")):
        assert done.sign("Ada", role="owner", handoff=handoff, champion=True).champion == f"models:/shop/{version}"
        assert champion(done) == version
        assert not [finding for finding in done.verify().findings if "alias" in finding.what]
    assert len(done.project.reader.finished("sign-off")) == 3


@pytest.mark.slow
def test_later_documents_tell_what_was_signed_before(done: Workflow) -> None:
    signed = done.sign("Ada", role="owner")
    document = done.report().document
    assert [(s.name, s.sha256) for s in document.earlier_sign_offs] == [("Ada", signed.sha256)]
    assert document.sign_offs == () and "not signed" in done.status().stages[-1].words


@pytest.mark.parametrize("name", ["", " ", "x" * 201, "two\nlines", " Ada"])
def test_blank_or_odd_names_are_refused(done: Workflow, name: str) -> None:
    with pytest.raises(UsageError, match="on one line, of 1 to 200 characters"):
        done.sign(name, role="owner")
    with pytest.raises(UsageError, match="needs a role"):
        done.sign("Ada", role=name)


def test_what_cannot_be_signed(frozen: Workflow) -> None:
    with pytest.raises(GateError, match="no handoff to sign"):
        frozen.sign("Ada", role="owner")


@pytest.mark.slow
def test_drafts_and_superseded_documents_are_not_signed(done: Workflow, tmp_path) -> None:
    with pytest.raises(UsageError, match="no handoff 'nowhere'"):
        done.sign("Ada", role="owner", handoff="nowhere")
    (tmp_path / "empty.md").write_text("## Known limitations\n\n## When not to use this model\n\n")
    done.report(limits=tmp_path / "empty.md")
    with pytest.raises(GateError, match=r"is a draft: limits\.md"):
        done.sign("Ada", role="owner")
    handoff = done.project.reader.finished("handoff")[0].run_id
    done.retract(done.project.batches()[0].id, reason="flipped labels", by="Ann")
    with pytest.raises(GateError, match="is superseded"):
        done.sign("Ada", role="owner", handoff=handoff)


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (["--sign", "Ada", "--role", "owner", "--champion", "--json"], 0),
        (["--sign", "Ada"], 2),
        (["--role", "owner"], 2),
        (["--champion"], 2),
        (["--sign", "Ada", "--role", "owner", "--limits", "limits.md"], 2),
    ],
)
def test_the_command(done: Workflow, capsys, options, code) -> None:
    with pytest.raises(SystemExit) as left:
        run_command(["report", "--tracking-uri", done.project.server.tracking_uri, *options])
    assert left.value.code == code
    if not code:
        assert json.loads(capsys.readouterr().out)["champion"] == "models:/shop/1"
