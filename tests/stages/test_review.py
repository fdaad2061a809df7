"""People and judge models: a blind sheet is left, answered, taken back as evidence, and the gate asks for it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import shop
from stand_in_endpoint import endpoint_server

from synth_mlflow import Workflow
from synth_mlflow.errors import EvidenceError, GateError, UsageError
from synth_mlflow.review.answers import answers_csv
from synth_mlflow.review.sheet import SheetKey
from synth_mlflow.tracking import names

REVIEW = "validation: {required: [review]}"


def truth(workflow, batch, n_rows):
    frozen = workflow.project.evaluation_set()
    return SheetKey(workflow.project.batch(batch).digest, frozen.training_digest, n_rows)


def answered(workflow, batch, folder, n_rows, n_right, unsure=0):
    """A file of answers of which so many are right, in both kinds of rows alike."""
    key = truth(workflow, batch, n_rows)
    seen, values = {True: 0, False: 0}, []
    for real in key.is_real:
        seen[real] += 1
        right = seen[real] <= n_right // 2 + (real and n_right % 2)
        values.append(float(real if right else not real))
    values[:unsure] = [0.5] * unsure
    path = folder / f"{n_right}.csv"
    path.write_text(answers_csv(key.sheet_id, values))
    return path


def required(workflow, folder, more=REVIEW):
    workflow.define(shop.write_shop(folder, shop.customers(600, seed=1), more=more))


@pytest.mark.slow
def test_a_required_review_opens_the_gate_only_with_answers(workflow, batch, tmp_path):
    required(workflow, tmp_path)
    before = workflow.validate(batch)
    assert (before.verdict, before.gate_open) == ("unvalidated", False)
    assert before.reasons == (
        "not checked under the policy in force: review",
        f"nobody has answered a blind sheet: `synth-mlflow validate {batch} --review 100`",
    )
    assert workflow.status().next_command == f"synth-mlflow validate {batch} --review 100"
    sheet = workflow.review_sheet(batch, 60, output=tmp_path / "sheets")
    assert sheet.page.exists() and sheet.table.exists()
    found = workflow.review(batch, answered(workflow, batch, tmp_path, 60, 31), rater="Ada Lind")
    assert (found.verdict, found.counted, found.required) == ("pass", True, True)
    assert found.auc == pytest.approx(31 / 60)
    assert workflow.status().next_command == "synth-mlflow sweep"
    after = workflow.validate(batch)
    assert after.verdict == "pass" and [check.check for check in after.checks][-1] == "review"
    assert workflow.verify(deep=True).findings == ()


@pytest.mark.slow
def test_who_can_tell_fails_the_batch_and_one_is_enough(workflow, batch, tmp_path):
    required(workflow, tmp_path)
    workflow.validate(batch)
    workflow.review_sheet(batch, 60, output=tmp_path)
    assert workflow.review(batch, answered(workflow, batch, tmp_path, 60, 30), rater="Ada").verdict == "pass"
    found = workflow.review(batch, answered(workflow, batch, tmp_path, 60, 56), rater="Ben")
    assert found.verdict == "fail" and "of 'Ben'" in found.reasons[0]
    assert workflow.validate(batch).verdict == "fail"
    assert "Fleiss' kappa" in workflow.project.reader.finished("review")[-1].tags[names.TAG_NOTE]


def test_the_first_answers_of_a_rater_count_and_both_are_kept(workflow, batch, tmp_path):
    workflow.review_sheet(batch, 60, output=tmp_path)
    workflow.review(batch, answered(workflow, batch, tmp_path, 60, 58), rater="Ada Lind")
    again = workflow.review(batch, answered(workflow, batch, tmp_path, 60, 30), rater="ada  lind".replace("  ", " "))
    assert (again.counted, again.verdict) == (False, "fail")
    assert len(workflow.project.reader.finished("rating")) == 2
    same = workflow.review(batch, answered(workflow, batch, tmp_path, 60, 58), rater="Ada Lind")
    assert same.counted and len(workflow.project.reader.finished("rating")) == 2


@pytest.mark.slow
def test_few_rows_and_one_answer_for_all_decide_nothing(workflow, batch, tmp_path):
    workflow.review_sheet(batch, 10, output=tmp_path)
    found = workflow.review(batch, answered(workflow, batch, tmp_path, 10, 5), rater="Ada")
    assert found.verdict == "inconclusive" and "52 rows show it" in found.reasons[0]
    workflow.review_sheet(batch, 200, output=tmp_path)
    lazy = workflow.review(batch, answered(workflow, batch, tmp_path, 200, 100, unsure=200), rater="Lazy")
    assert lazy.verdict == "inconclusive" and lazy.auc == 0.5


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text, sheet: text.replace(f"{sheet},3,", f"{sheet},99,"), "has answers for rows 99; .* rows 1 to 10"),
        (lambda text, sheet: "\n".join(text.splitlines()[:-2]), "answers 8 of 10 rows; rows 9, 10 have no answer"),
        (lambda text, sheet: text.replace(sheet, "0" * 16), "was never left in this project"),
        (lambda text, sheet: text + f"{sheet},3,real\n", "answers row 3 twice"),
        (lambda text, sheet: text.replace("synthetic", "fake", 1), "answers 'fake'"),
        (lambda text, sheet: text.replace("sheet,row,answer", "row,answer"), "begins with"),
    ],
)
def test_answers_that_do_not_fit_are_refused_with_the_reason(workflow, batch, tmp_path, change, message):
    sheet = workflow.review_sheet(batch, 10, output=tmp_path)
    path = answered(workflow, batch, tmp_path, 10, 5)
    path.write_text(change(path.read_text(), sheet.sheet))
    with pytest.raises(UsageError, match=message):
        workflow.review(batch, path, rater="Ada")
    assert workflow.project.reader.finished("rating") == []


@pytest.mark.slow
def test_a_sheet_of_another_batch_is_named(workflow, batch, customers, tmp_path):
    with workflow.batch(
        generator="law", version="1", params={}, seed=3, slice=None, purpose="more", source="none"
    ) as b:
        b.write(customers(300, 3))
    other = workflow.project.batches()[1].id
    workflow.review_sheet(other, 10, output=tmp_path)
    with pytest.raises(UsageError, match=f"was left of batch {other}"):
        workflow.review(batch, answered(workflow, other, tmp_path, 10, 5), rater="Ada")
    workflow.retract(other, reason="odd")
    with pytest.raises(GateError, match="retracted"):
        workflow.review_sheet(other, 10, output=tmp_path)


@pytest.mark.slow
def test_deleted_or_changed_answers_are_found(workflow, batch, tmp_path):
    workflow.review_sheet(batch, 60, output=tmp_path)
    found = workflow.review(batch, answered(workflow, batch, tmp_path, 60, 56), rater="Ada")
    run = workflow.project.reader.run(found.run_id)
    assert workflow.verify().findings == ()
    client = workflow.project.server.client
    path = Path(run.artifact_uri.removeprefix("file://")) / names.A_RATING
    kept = path.read_text()
    path.write_text(kept.replace("real", "x").replace("synthetic", "real").replace("x", "synthetic"))
    assert any("answers.csv" in each.what for each in fresh(workflow).verify().findings)
    path.write_text(kept)
    client.delete_run(run.run_id)
    assert any(found.run_id in each.what for each in fresh(workflow).verify().findings)
    with pytest.raises(EvidenceError, match="names answers to a blind sheet"):
        workflow.review(batch, answered(workflow, batch, tmp_path, 60, 30), rater="Ben")


def fresh(workflow):
    """The project as another process reads it."""
    return Workflow("shop", workflow.project.server.tracking_uri)


@pytest.fixture
def endpoint(monkeypatch):
    with endpoint_server() as server:
        monkeypatch.setenv("OPENAI_BASE_URL", f"http://127.0.0.1:{server.server_port}/v1")
        yield server


def says(values):
    """A script that answers each row as given, from 1 on."""
    words = {1.0: "real", 0.0: "synthetic", 0.5: "cannot say"}

    def script(handler, at, body):
        numbers = [json.loads(line)["row"] for line in body["messages"][1]["content"].splitlines()[1:]]
        rows = [{"row": number, "answer": words[values[number - 1]]} for number in numbers]
        handler.complete(json.dumps({"rows": rows}))

    return script


@pytest.mark.slow
def test_a_judge_counts_only_with_its_agreement_with_people(workflow, batch, endpoint, tmp_path):
    pytest.importorskip("openai")
    workflow.review_sheet(batch, 60, output=tmp_path)
    real = truth(workflow, batch, 60).is_real
    endpoint.script = says([float(each) for each in real])
    alone = workflow.review_by_model(batch, "judge-1", params={"rows_per_request": 20})
    assert alone.verdict == "inconclusive" and "agreement not shown: no sheet" in alone.reasons[0]
    assert alone.auc == 1.0 and len(endpoint.asked) == 3
    people = workflow.review(batch, answered(workflow, batch, tmp_path, 60, 56), rater="Ada")
    assert people.verdict == "fail"
    again = workflow.review_by_model(batch, "judge-1", params={"rows_per_request": 20})
    assert again.verdict == "fail" and len(endpoint.asked) == 3  # nothing is paid for twice
    assert all("real" not in line for line in endpoint.asked[0]["body"]["messages"][1]["content"].splitlines())
    assert workflow.verify(deep=True).findings == ()


@pytest.mark.slow
def test_a_judge_that_disagrees_is_recorded_and_not_counted(workflow, batch, endpoint, tmp_path):
    pytest.importorskip("openai")
    required(workflow, tmp_path, "validation: {required: [model_review]}")
    workflow.validate(batch)
    workflow.review_sheet(batch, 60, output=tmp_path)
    workflow.review(batch, answered(workflow, batch, tmp_path, 60, 56), rater="Ada")
    endpoint.script = says([float(number % 2) for number in range(60)])
    found = workflow.review_by_model(batch, "guesser", params={"rows_per_request": 60})
    assert found.verdict == "inconclusive" and "its kappa with people is" in found.reasons[0]
    assert workflow.validate(batch).verdict == "inconclusive"


@pytest.mark.slow
def test_a_kill_costs_no_paid_answer_and_rows_left_out_are_asked_again(workflow, batch, endpoint, tmp_path):
    pytest.importorskip("openai")
    workflow.review_sheet(batch, 20, output=tmp_path)

    def script(handler, at, body):
        if at == 0:
            return handler.complete('{"rows": [{"row": 1, "answer": "real"}]}')
        if at == 1:
            return handler.send(401, "{}")
        return says([0.0] * 20)(handler, at, body)

    endpoint.script = script
    with pytest.raises(Exception, match="401"):
        workflow.review_by_model(batch, "judge-1", journal=tmp_path / "paid.jsonl")
    found = workflow.review_by_model(batch, "judge-1", journal=tmp_path / "paid.jsonl")
    assert found.rows == 20 and len(endpoint.asked) == 3
    assert json.loads(endpoint.asked[2]["body"]["messages"][1]["content"].splitlines()[1])["row"] == 2


def test_no_row_of_a_sheet_reaches_the_server(workflow, batch, tmp_path):
    """Of the whole server one parameter changes: the sheet's id with its number of rows."""
    before = {run.run_id: run for run in workflow.project.reader.runs()}
    sheet = workflow.review_sheet(batch, 10, output=tmp_path)
    after = {run.run_id: run for run in workflow.project.reader.runs()}
    changed = [run_id for run_id in after if after[run_id] != before.get(run_id)]
    assert changed == [workflow.project.batch(batch).run.run_id]
    added = set(after[changed[0]].params.items()) - set(before[changed[0]].params.items())
    assert added == {(names.P_SHEET_PREFIX + sheet.sheet, "10")}
    assert workflow.review_sheet(batch, 10, output=tmp_path) == sheet


@pytest.mark.slow
def test_real_rows_are_training_rows_of_the_slice(frozen, customers, tmp_path):
    """Of a batch for a slice; no evaluation row is shown, and no row of another slice."""
    young = customers(2000, 2).query("age < 30").reset_index(drop=True)
    law = {"generator": "law", "version": "1", "params": {}, "seed": 2, "slice": "age < 30"}
    with frozen.batch(**law, purpose="more", source="none") as b:
        b.write(young)
    frozen.review_sheet(frozen.project.batches()[0].id, 40, output=tmp_path)
    rows = pd.read_csv(next(tmp_path.glob("review-*.csv")))
    real = truth(frozen, frozen.project.batches()[0].id, 40).is_real
    known = frozen.training_rows().query("age < 30")
    shown = rows.loc[np.array(real), "since"]
    assert len(rows) == 40 and (rows["age"] < 30).all()
    assert set(shown) <= set(known["since"].dt.strftime("%Y-%m-%d"))


def test_the_commands(workflow, batch, tmp_path, call):
    uri = ("--tracking-uri", workflow.project.server.tracking_uri)
    code, out, _ = call("validate", batch, "--review", "40", "--output", str(tmp_path / "sheets"), *uri)
    assert code == 0 and "a rater lets the batch pass with at most 21 right answers of 40" in out
    path = str(answered(workflow, batch, tmp_path, 40, 40))
    code, out, _ = call("review", batch, path, "--rater", "Ada <b>Lind</b>", *uri)
    assert code == 0 and "all answers of people about" in out and "FAIL" in out
    code, out, _ = call("status", *uri)
    assert "reviewed" in out and "Ada <b>Lind</b> on 40 rows: AUC 1.000" in out
    note = fresh(workflow).project.batch(batch).run.tags[names.TAG_NOTE]
    assert "Ada &lt;b&gt;Lind" in note and "<b>Lind" not in note
    code, _, err = call("review", batch, path, *uri)
    assert code == 2 and "answers of a person need both" in err


@pytest.mark.slow
def test_handoff_and_exports_tell_of_raters_and_escape_their_names(done, tmp_path):
    batch = done.project.batches()[0].id
    done.review_sheet(batch, 20, output=tmp_path)
    done.review_sheet(batch, 40, output=tmp_path)
    done.review(batch, answered(done, batch, tmp_path, 40, 20), rater="<i>Ada</i>")
    done.report(tmp_path / "handoff.html")
    page = (tmp_path / "handoff.html").read_text()
    assert "&lt;i&gt;Ada&lt;/i&gt; on 40 rows: AUC 0.500" in page and "<i>Ada" not in page
    assert "was left and not answered" in page
    for name in ("prov-json", "openlineage", "croissant"):
        assert "<i>Ada</i> on 40 rows: AUC 0.500" in done.export(name)
    assert fresh(done).verify().findings == ()


@pytest.mark.slow
def test_rows_kept_by_reference_stay_here(defined, customers, tmp_path):
    """Neither sheet nor answers put a real row on the server; answers can be taken in where the rows are not."""
    defined.freeze(store="reference")
    law = {"generator": "law", "version": "1", "params": {}, "seed": 2, "slice": None}
    with defined.batch(**law, purpose="more", source="none") as b:
        b.write(customers(1000, 2))
    batch = defined.project.batches()[0].id
    sheet = defined.review_sheet(batch, 60, output=tmp_path / "sheets")
    rows = pd.read_csv(sheet.table)
    real = rows.loc[np.array(truth(defined, batch, 60).is_real), "income"].dropna().map(str)
    path = answered(defined, batch, tmp_path, 60, 30)
    for kept in (tmp_path / "rows.csv", *tmp_path.glob("rows.csv*key")):
        kept.rename(kept.with_name(f"away-{kept.name}"))
    found = fresh(defined).review(batch, path, rater="Ada")
    assert found.verdict == "pass"
    run = defined.project.reader.run(found.run_id)
    kept = Path(run.artifact_uri.removeprefix("file://"))
    texts = [each.read_text() for each in kept.rglob("*") if each.is_file()] + [
        *run.params.values(),
        *run.tags.values(),
    ]
    assert not any(value in text for value in real for text in texts)
