"""What people write stays text in the descriptions that MLflow's pages show; passwords are shown nowhere."""

import pytest

from synth_mlflow.data.markup import as_text
from synth_mlflow.tracking import names

HOSTILE = "**PASS.** validated by <b>Ann</b> ![seal](https://evil.example/seal.png) | x |\n\n# Signed"


@pytest.mark.slow
def test_a_purpose_and_a_retraction_cannot_pose_as_a_verdict(frozen, customers):
    law = {"generator": "law", "version": "<i>1</i>", "params": {}, "seed": 2, "slice": None}
    with frozen.batch(**law, purpose=HOSTILE, source="none") as b:
        b.write(customers(60, 2))
    frozen.validate(b.batch)
    frozen.retract(b.batch, reason=HOSTILE, by="<b>Ann</b>")
    runs = [frozen.project.reader.run(b.batch.run_id), *frozen.project.reader.children(b.batch.run_id)]
    for note in (run.tags[names.TAG_NOTE] for run in runs):
        for bad in ("**PASS.** validated", "![seal]", "<b>", "<i>", "\n# Signed"):
            assert bad not in note
    assert "\\*\\*PASS.\\*\\* validated by &lt;b&gt;Ann" in runs[0].tags[names.TAG_NOTE]


def test_a_statement_stays_text(uri, write_project):
    from synth_mlflow import Workflow

    path = write_project()
    path.write_text(path.read_text().replace("They come one a day.", f"{HOSTILE}\n![x](http://a/b)"))
    workflow = Workflow("shop", uri)
    note = workflow.define(path).run.tags[names.TAG_NOTE]
    assert "![" not in note and "<b>" not in note and "**PASS" not in note


def test_code_and_words_stay_as_they_are():
    assert as_text("snake_case and `a_b *c*`, 5 % < 6") == "snake_case and `a_b *c*`, 5 % &lt; 6"
    assert as_text("- a\n- b") == "\\- a - b" and as_text("1. one") == "1\\. one"


def test_no_command_prints_a_password(call, uri):
    at = ("--tracking-uri", "postgresql://ann:topsecret@127.0.0.1:1/mlflow")
    for words in (
        ("status", *at),
        ("sweep", "--ratios", "postgresql://ann:topsecret@db/x", "--tracking-uri", uri),
        ("postgresql://ann:topsecret@db/x",),
        ("define", "postgresql://ann:topsecret@db/x", "--tracking-uri", uri),
    ):
        code, out, err = call(*words)
        assert code and "topsecret" not in out + err


@pytest.mark.slow
def test_a_looser_policy_is_named_on_the_model_and_in_the_handoff(frozen, customers, tmp_path):
    path = tmp_path / "problem.md"
    path.write_text(path.read_text().replace("slices:", "validation: {fidelity: {column_distance: 0.4}}\nslices:", 1))
    frozen.define(path)
    law = {"generator": "law", "version": "1", "params": {}, "seed": 2, "slice": None}
    with frozen.batch(**law, purpose="more rows", source="none") as b:
        b.write(customers(1000, 2))
    frozen.validate()
    frozen.sweep((0, 0.5), repeats=3)
    final = frozen.project.reader.latest("final")
    assert final.params[names.P_LOOSER] == "fidelity column_distance 0.4 (default 0.1)"
    assert "looser than the default: fidelity column_distance 0.4" in final.tags[names.TAG_NOTE]
    frozen.report(tmp_path / "handoff.md")
    assert "looser than the default" in (tmp_path / "handoff.md").read_text()
