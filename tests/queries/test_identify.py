"""`identify`: which rows of a table are synthetic, real or unknown."""

import json

import numpy as np
import pandas as pd
import pytest

from synth_mlflow.cli.main import run
from synth_mlflow.data.digests import row_digests
from synth_mlflow.data.schema import Wishes
from synth_mlflow.data.schema_inference import infer_table
from synth_mlflow.data.tables import raw_table, read_known
from synth_mlflow.errors import EvidenceError, GateError, UsageError
from synth_mlflow.queries.identify import KnownColumns, RecordedSet, known_columns, with_guesses
from synth_mlflow.tracking import names

RECORD = {"version": "1", "params": {}, "seed": 2, "slice": None, "purpose": "more rows"}


@pytest.fixture
def batch(frozen, customers):
    with frozen.batch(generator="law", **RECORD) as b:
        b.write(customers(80, seed=2))
    return b.batch


@pytest.fixture
def mixed(frozen, batch, customers):
    """Five rows of each origin."""
    parts = [frozen.training_rows(), frozen.evaluation_rows(), customers(80, seed=2), customers(50, seed=9)]
    return pd.concat([part.head(5) for part in parts], ignore_index=True)


EXPECTED = ["training"] * 5 + ["evaluation"] * 5 + ["synthetic"] * 5 + ["unknown"] * 5


def kinds(found):
    return [origin.partition(":")[0] for origin in found.rows]


def test_rows_of_a_frame(frozen, batch, mixed):
    found = frozen.identify(mixed)
    assert kinds(found) == EXPECTED
    assert found.counts == {"synthetic": 5, "training": 5, "evaluation": 5, "ambiguous": 0, "unknown": 5}
    assert found.rows[10] == f"synthetic: {batch.batch}"
    assert [(each.name, each.n_rows, each.n_only_here) for each in found.found_in] == [
        ("training", 5, 5), ("evaluation", 5, 5), (batch.batch, 5, 5)
    ]  # fmt: skip
    assert "training" in found._repr_html_()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["again.csv", "again.csv.gz", "again.parquet"])
def test_rows_that_were_saved_again_in_another_order_with_more_columns(frozen, mixed, tmp_path, name):
    again = mixed.assign(comment="seen").sample(frac=1, random_state=3)[["comment", *mixed.columns[::-1]]]
    again.to_parquet(tmp_path / name) if name.endswith("parquet") else again.to_csv(tmp_path / name)
    found = frozen.identify(tmp_path / name)
    assert kinds(found) == [EXPECTED[at] for at in again.index]
    assert "comment" in found.extra_columns and found.record is None


def test_a_file_with_its_record_names_its_batch(frozen, batch):
    path = frozen.project.reader.file(frozen.project.batch(batch.batch).run, names.A_BATCH)
    found = frozen.identify(path)
    assert found.record == batch.batch and found.counts["synthetic"] == 80


def test_a_changed_value_makes_a_row_unknown(frozen, mixed):
    mixed["age"] = mixed["age"].astype(object)
    mixed.loc[10, "age"] = 17
    mixed.loc[11, "age"] = "old"
    found = frozen.identify(mixed)
    assert kinds(found)[10:13] == ["unknown", "unknown", "synthetic"]
    assert found.n_unreadable == 1


@pytest.mark.slow
def test_a_row_on_two_sides_is_ambiguous(frozen, batch, customers):
    with frozen.batch(generator="copier", **RECORD) as b:
        b.write(pd.concat([frozen.training_rows().head(3), customers(80, seed=2).head(4)]))
    found = frozen.identify(pd.concat([frozen.training_rows().head(4), customers(80, seed=2).head(5)]))
    assert found.counts["ambiguous"] == 3 and found.n_ambiguous_evaluation == 0
    assert list(found.rows[2:4]) == [f"ambiguous: training or {b.batch.batch}", "training"]
    assert list(found.rows[7:9]) == [f"synthetic: {batch.batch} or {b.batch.batch}", f"synthetic: {batch.batch}"]
    assert {each.name: each.n_only_here for each in found.found_in}[batch.batch] == 1


@pytest.mark.slow
def test_many_batches_that_share_a_row_are_not_all_named(frozen, customers):
    rows = customers(40, seed=2)
    for n_rows in range(30, 35):
        with frozen.batch(generator="law", **RECORD) as b:
            b.write(rows.head(n_rows))
    first, second, third, *_ = (batch.id for batch in frozen.project.batches())
    found = frozen.identify(rows.iloc[[0, 33]])
    assert list(found.rows) == [
        f"synthetic: {first} or {second} or {third} or 2 more batches", f"synthetic: {b.batch.batch}"
    ]  # fmt: skip
    assert [each.n_rows for each in found.found_in] == [0, 0, 1, 1, 1, 1, 2]


def test_coarse_rows_are_said_to_be_possible_chance(frozen, customers):
    twice = pd.concat([customers(20, seed=2)] * 2)
    with frozen.batch(generator="law", **RECORD) as b:
        b.write(twice)
    assert frozen.identify(twice.head(7)).n_coarse == 7
    assert b.batch.n_rows == 40


@pytest.mark.slow
def test_missing_columns_are_answered_with_the_reason(frozen, mixed, tmp_path):
    mixed.drop(columns=["age", "bought"]).to_csv(tmp_path / "narrow.csv", index=False)
    with pytest.raises(UsageError, match=r"cannot tell .*narrow.csv.*'age', 'bought' of the 6 columns .* one digest"):
        frozen.identify(tmp_path / "narrow.csv")


def test_refusals(defined, frozen, mixed, tmp_path):
    with pytest.raises(UsageError, match="no rows"):
        frozen.identify(mixed.head(0))
    with pytest.raises(UsageError, match="no file"):
        frozen.identify(tmp_path / "nowhere.csv")


def test_nothing_is_known_before_freeze(defined, tmp_path):
    with pytest.raises(GateError, match="no frozen evaluation set"):
        defined.identify(pd.DataFrame({"age": [1]}))


def test_changed_digests_are_no_evidence(frozen, batch, mixed, monkeypatch, tmp_path):
    run_id = frozen.project.batch(batch.batch).run.run_id
    path = tmp_path / "row_digests.npz"
    path.write_bytes(b"changed")
    frozen.project.server.client.log_artifact(run_id, str(path))
    with pytest.raises(EvidenceError, match="someone changed it"):
        frozen.identify(mixed)


def call(capsys, *arguments):
    with pytest.raises(SystemExit) as leaving:
        run(arguments)
    printed = capsys.readouterr()
    return int(leaving.value.code or 0), printed.out, printed.err


def test_command_line_is_loud_about_evaluation_rows(frozen, mixed, tmp_path, capsys):
    at = ("--tracking-uri", frozen.project.server.tracking_uri)
    mixed.assign(comment="seen").to_csv(tmp_path / "mixed.csv", index=False)
    code, out, err = call(capsys, "identify", "mixed.csv", "--rows-to", "origins.csv", *at)
    assert code == 4 and "5 of the 20 rows of mixed.csv ARE EVALUATION ROWS" in err
    assert "comment" in out and "synthetic" in out
    written = pd.read_csv("origins.csv")
    assert list(written.columns) == ["row", "origin"] and written["origin"].value_counts()["training"] == 5
    mixed.drop(index=range(5, 10)).to_csv(tmp_path / "clean.csv", index=False)
    code, out, err = call(capsys, "identify", "clean.csv", "--json", *at)
    assert code == 0 and json.loads(out)["counts"]["unknown"] == 5 and "rows" not in json.loads(out)


def test_command_line_refuses_before_it_reads(frozen, capsys):
    code, _, err = call(capsys, "identify", "x.csv", "--rows-to", "nowhere/origins.csv")
    assert code == 2 and "no folder" in err


def test_codes_of_several_lengths_and_words_that_pandas_takes_for_missing_are_known_again(tmp_path):
    rng = np.random.default_rng(0)
    rows = pd.DataFrame(
        {
            "x": rng.normal(size=200).round(3),
            "article": [
                f"{n:0{width}d}"
                for n, width in zip(rng.choice([12, 345, 7], 200), rng.choice([4, 6], 200), strict=True)
            ],
            "region": rng.choice(["NA", "EU", "None"], 200),
            "y": rng.choice(["yes", "no"], 200),
        }
    )
    rows.to_csv(tmp_path / "rows.csv", index=False)
    found = infer_table(raw_table(tmp_path / "rows.csv"), Wishes("y"))
    schema, salt = found.table.schema, "00" * 16
    sets = [RecordedSet("training", "r", row_digests(found.rows, salt), np.empty(0, dtype=np.uint64))]
    pd.read_csv(tmp_path / "rows.csv").to_csv(tmp_path / "again.csv", index=False)
    known = known_columns(read_known(tmp_path / "again.csv", schema)[0], schema)
    assert np.isin(row_digests(known.rows, salt), sets[0].distinctive).sum() < 100
    assert np.isin(with_guesses(known, schema, salt, sets), sets[0].distinctive).all()
    other = known.rows.assign(x=rng.normal(size=200))
    assert not np.isin(with_guesses(KnownColumns(other, known.readable), schema, salt, sets), sets[0].distinctive).any()
