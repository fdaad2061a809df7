"""A project whose rows are elsewhere: every stage finds them again, and no secret of their address is kept."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing

import pytest
from web_site import body

from synth_mlflow.errors import EvidenceError, StatementError, UsageError
from synth_mlflow.workflow import Workflow

SIGNATURE = "c2lnbmF0dXJl"


def naming(problem, data):
    problem.write_text(problem.read_text().replace("data: rows.csv", f"data: {data}"))
    return problem


@pytest.mark.slow
def test_a_signed_address_is_read_by_every_stage_and_kept_by_none(
    site, customers, uri, write_project, tmp_path, monkeypatch
):
    rows = customers(600, seed=1)
    site.answers["/people.csv"] = body(rows.to_csv(index=False).encode(), ETag='"one"')
    monkeypatch.setenv("SHOP_URL", f"{site.url}/people.csv?X-Amz-Signature={SIGNATURE}")
    workflow = Workflow("shop", uri)
    params = workflow.define(naming(write_project(rows), "{url_env: SHOP_URL}")).run.params
    assert params["synth.data_path"] == "env:SHOP_URL"
    assert '"etag":"\\"one\\""' in params["synth.data_source"]
    assert f"{site.url}/people.csv?X-Amz-Signature=***" in params["synth.data_source"]
    workflow.freeze(store="reference")
    n_asked = len(site.asked)
    assert len(workflow.training_rows()) > 200
    assert len(site.asked) == n_asked + 1
    kept = [path for path in tmp_path.rglob("*") if path.is_file() and SIGNATURE.encode() in path.read_bytes()]
    assert not kept
    site.answers["/people.csv"] = body(rows.iloc[1:].to_csv(index=False).encode())
    with pytest.raises(EvidenceError, match="599 rows, the frozen record says 600"):
        workflow.training_rows()
    monkeypatch.delenv("SHOP_URL")
    with pytest.raises(EvidenceError, match="the variable SHOP_URL is not set"):
        workflow.training_rows()


@pytest.mark.slow
def test_rows_of_a_query_are_kept_by_reference(customers, uri, write_project, tmp_path, monkeypatch):
    rows = customers(600, seed=1)
    with closing(sqlite3.connect(tmp_path / "people.db")) as database:
        rows.to_sql("people", database, index=False)
    monkeypatch.setenv("SHOP_DB", f"sqlite:///{tmp_path / 'people.db'}")
    workflow = Workflow("shop", uri)
    workflow.define(naming(write_project(rows), '{sql: "select * from people", url_env: SHOP_DB}'))
    workflow.freeze(store="reference")
    assert len(workflow.training_rows()) + len(workflow.evaluation_rows()) == 600
    with closing(sqlite3.connect(tmp_path / "people.db")) as database:
        database.execute("delete from people where rowid = 1")
        database.commit()
    with pytest.raises(EvidenceError, match="599 rows, the frozen record says 600"):
        workflow.training_rows()


@pytest.mark.slow
def test_a_query_that_only_the_server_names_is_not_run(customers, uri, write_project, tmp_path, monkeypatch):
    """It would run with the rights of a reader: problem.md on this machine, or `--data`, has to name it."""
    with closing(sqlite3.connect(tmp_path / "people.db")) as database:
        customers(600, seed=1).to_sql("people", database, index=False)
    monkeypatch.setenv("SHOP_DB", f"sqlite:///{tmp_path / 'people.db'}")
    query = "sql:SHOP_DB:select * from people"
    workflow = Workflow("shop", uri)
    path = naming(write_project(customers(600, seed=1)), '{sql: "select * from people", url_env: SHOP_DB}')
    workflow.define(path)
    path.rename(tmp_path / "elsewhere.md")
    refused = r"only the server names: sql:SHOP_DB:select \* from people\. Nothing was run\.\n.*`--data 'sql:SHOP_DB:"
    with pytest.raises(EvidenceError, match=refused):
        workflow.freeze(store="reference")
    workflow.freeze(data=query, store="reference")
    with pytest.raises(EvidenceError, match=refused):
        Workflow("shop", uri).training_rows()
    assert len(Workflow("shop", uri, data=query).training_rows())
    (tmp_path / "elsewhere.md").rename(path)
    assert len(Workflow("shop", uri).training_rows())


def test_what_changed_since_define_is_told_with_what_to_do(site, customers, uri, write_project):
    rows = customers(600, seed=1)
    site.answers["/people.csv"] = body(rows.to_csv(index=False).encode())
    workflow = Workflow("shop", uri)
    workflow.define(naming(write_project(rows), f"{site.url}/people.csv"))
    site.answers["/people.csv"] = body(rows.iloc[::-1].to_csv(index=False).encode())
    with pytest.raises(EvidenceError, match=r"the data changed since\.\n.*`synth-mlflow define` again with the rows"):
        workflow.freeze()
    with pytest.raises(UsageError, match="rows were given in memory, and `reference` keeps where rows lie"):
        workflow.freeze(data=rows, store="reference")


def test_a_secret_in_the_statement_is_refused(uri, write_project):
    problem = naming(write_project(), "https://host/people.csv?sig=" + SIGNATURE)
    with pytest.raises(StatementError, match="holds a password or a signature") as refused:
        Workflow("shop", uri).define(problem)
    assert SIGNATURE not in str(refused.value)


def test_a_first_statement_is_written_from_an_address(site, call, customers, tmp_path):
    site.answers["/people.csv"] = body(customers(600, seed=1).to_csv(index=False).encode())
    code, _, said = call("init", "--from", f"{site.url}/people.csv")
    assert code == 0, said
    assert f"data: {site.url}/people.csv" in (tmp_path / "people" / "problem.md").read_text().replace('"', "")
    code, _, said = call("init", "other", "--from", f"{site.url}/people.csv?token={SIGNATURE}")
    assert code == 2
    assert re.search(r"holds a password or a signature.*--from env:VARIABLE", said, re.DOTALL)


def test_a_query_with_missing_targets_is_mended_in_the_query(customers, uri, write_project, tmp_path, monkeypatch):
    rows = customers(600, seed=1)
    target = re.search(r"^target: (\w+)", write_project(rows).read_text(), re.MULTILINE)[1]
    with closing(sqlite3.connect(tmp_path / "people.db")) as database:
        rows.to_sql("people", database, index=False)
        database.execute(f"update people set {target} = null where rowid < 5")
        database.commit()
    monkeypatch.setenv("SHOP_DB", f"sqlite:///{tmp_path / 'people.db'}")
    problem = naming(write_project(rows), '{sql: "select * from people", url_env: SHOP_DB}')
    with pytest.raises(StatementError, match=f'in a query: `where "{target}" is not null`'):
        Workflow("shop", uri).define(problem)
