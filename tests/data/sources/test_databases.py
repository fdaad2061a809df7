"""Rows of a query: typed, in an order of their own, and read only."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pyarrow.parquet as pq
import pytest
from started import postgres, postgres_programs

from synth_mlflow.data.addresses import place_of
from synth_mlflow.data.digests import table_digest
from synth_mlflow.data.sources.copies import copy_of
from synth_mlflow.data.sources.databases import refuse_writing
from synth_mlflow.data.tables import read_table
from synth_mlflow.errors import UsageError

ROWS = [(at, f"town {at % 3}" if at % 4 else None, at / 4, "50% off") for at in range(40)]


@pytest.fixture
def shop(tmp_path, monkeypatch):
    with closing(sqlite3.connect(tmp_path / "shop.db")) as database:
        database.execute("create table rows (age integer, town text, price real, note text)")
        database.executemany("insert into rows values (?, ?, ?, ?)", ROWS)
        database.commit()
    monkeypatch.setenv("SHOP_DB", f"sqlite:///{tmp_path / 'shop.db'}")
    return tmp_path / "shop.db"


def test_the_rows_of_a_query_have_types_and_one_order(shop, command):
    rows = read_table(place_of("sql:SHOP_DB:select * from rows where note like '%off'"))
    assert rows.shape == (40, 4)
    assert rows["age"].dtype == "int64"
    assert rows["price"].dtype == "float64"
    assert rows["town"].isna().sum() == 10
    backwards = read_table(place_of("sql:SHOP_DB:select * from rows where note like '%off' order by age desc;"))
    assert table_digest(rows) == table_digest(backwards)
    assert copy_of(place_of("sql:SHOP_DB:select age from rows")).facts == {"database": "sqlite", "rows": 40}


def test_a_column_of_nothing_but_null_is_a_text(shop, command):
    copy = copy_of(place_of("sql:SHOP_DB:select age, null as empty from rows"))
    assert str(pq.read_schema(copy.path).field("empty").type) == "string"


WRITES = [
    "delete from rows",
    "select 1; drop table rows",
    "insert into rows values (1, '', 1, '')",
    "with gone as (delete from rows returning *) select * from gone",
    "select * into other from rows",
    "select * from rows for update",
    "update rows set age = 1",
    "",
    "-- nothing",
]


@pytest.mark.parametrize("query", WRITES)
def test_what_is_no_single_select_is_refused(query):
    with pytest.raises(UsageError, match=r"SELECT was needed|that only reads was needed"):
        refuse_writing(query)


@pytest.mark.parametrize(
    "query",
    [
        "select \"update\", replace(town, 'into', 'delete') from rows -- drop table rows",
        "(select age from rows) union all (select 1)",
        "select count(*) filter (where age > 3), max(created_at) over (order by age) from rows",
        "WITH a AS (SELECT 1 AS n) SELECT * FROM a",
        "/* insert */ select 1",
    ],
)
def test_what_only_reads_is_taken(query):
    refuse_writing(query)


REFUSED = [
    ("select age, age from rows", "more than one column of the name 'age'"),
    ("select * from rows where age < 0", "holds no rows"),
    ("select * from missing", r"the database of SHOP_DB \(sqlite\) refuses: no such table: missing"),
    ("select case when age = 1 then 'x' else age end as mixed from rows", "column 'mixed' mixes types"),
]


@pytest.mark.parametrize(("query", "words"), REFUSED)
def test_a_query_without_a_table_is_told(shop, query, words):
    with pytest.raises(UsageError, match=words):
        read_table(place_of(f"sql:SHOP_DB:{query}"))


URLS = [
    ("", "the variable SHOP_DB is not set"),
    ("sqlite:////tmp/no-such-folder/shop.db", "there is no database file"),
    ("postgresql+psycopg://ann:p4ssw0rd@127.0.0.1:9/shop", r"\(postgresql\) refuses: "),
    ("no url p4ssw0rd", "SHOP_DB holds no URL of a database"),
    ("nodatabase://ann:p4ssw0rd@host/shop", "needs nodatabase, which is not installed here"),
]


@pytest.mark.parametrize(("url", "words"), URLS)
def test_a_database_that_cannot_be_opened_is_told_without_its_password(monkeypatch, url, words):
    monkeypatch.setenv("SHOP_DB", url)
    with pytest.raises(UsageError, match=words) as refused:
        read_table(place_of("sql:SHOP_DB:select 1"))
    assert "p4ssw0rd" not in str(refused.value)


def test_the_database_itself_refuses_to_write(shop):
    """A function that writes is no statement that does: the transaction only reads."""
    import sqlalchemy

    from synth_mlflow.data.sources.databases import READ_ONLY

    engine = sqlalchemy.create_engine(f"sqlite:///{shop}")
    with engine.connect() as connection:
        connection.exec_driver_sql(READ_ONLY["sqlite"])
        with pytest.raises(sqlalchemy.exc.OperationalError, match="readonly"):
            connection.exec_driver_sql("delete from rows")


TYPES = """
select 1.50::numeric(12,2) as price, 12345678901234567::numeric(18,0) as account, true as late, null::text as town,
    '2024-03-31 01:30:00+01'::timestamptz as at, '2024-03-31 01:30'::timestamp as here, date '2024-02-29' as day,
    '{"a": [1]}'::jsonb as facts, '6f1c7d0e-7f2a-4d9e-9c43-0d6c3b1f0a11'::uuid as id, 'x%y' as note
union all select null, null, null, 'Ulm', null, null, null, null, null, '%s'
"""


def grown(url):
    """Make a function that writes when a row is selected."""
    import sqlalchemy

    engine = sqlalchemy.create_engine(url)
    with engine.begin() as connection:
        connection.exec_driver_sql("create table written (n integer)")
        connection.exec_driver_sql(
            "create function grown() returns integer language sql as 'insert into written values (1) returning n'"
        )
    engine.dispose()


@pytest.mark.slow
def test_types_of_postgresql_are_kept_and_nothing_is_written(monkeypatch, command):
    if postgres_programs() is None:
        pytest.skip("PostgreSQL is not installed here (Debian: `apt-get install postgresql`)")
    with postgres() as url:
        monkeypatch.setenv("SHOP_DB", url)
        schema = pq.read_schema(copy_of(place_of(f"sql:SHOP_DB:{TYPES}")).path)
        types = {field.name: str(field.type) for field in schema}
        assert types | {"price": "decimal128(3, 2)", "at": "timestamp[us, tz=UTC]", "here": "timestamp[us]"} == types
        assert types | {"account": "int64", "late": "bool", "day": "date32[day]"} == types
        assert types | {"facts": "string", "id": "string", "town": "string"} == types
        rows = read_table(place_of(f"sql:SHOP_DB:{TYPES}"))
        assert rows["account"].max() == 12345678901234567
        assert rows["town"].isna().sum() == 1
        with pytest.raises(UsageError, match="read-only transaction"):
            grown(url)
            read_table(place_of("sql:SHOP_DB:select grown() as n"))
        with pytest.raises(UsageError, match="password authentication failed"):
            monkeypatch.setenv("SHOP_DB", url.replace("ann:", "ann:wrong"))
            read_table(place_of("sql:SHOP_DB:select 1 as n"))
