"""What a text names, and what is shown and recorded of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from synth_mlflow.data.addresses import Address, data_text, place_of, recorded_place
from synth_mlflow.errors import EvidenceError, UsageError

NAMED = [
    ("rows.csv", "rows.csv"),
    ("odd:name.csv", "odd:name.csv"),
    ("https://host/rows.csv", "https://host/rows.csv"),
    ("https://ann:password@host/rows.csv", "https://ann@host/rows.csv"),
    ("https://host/rows.csv?X-Amz-Signature=ab&X-Amz-Security-Token=cd", "https://host/rows.csv?X-Amz-Signature=***&X-Amz-Security-Token=***"),
    ("https://host/rows.csv?sv=2024&sig=ab%2F", "https://host/rows.csv?sv=2024&sig=***"),
    ("https://host/rows.csv?auth=ab&jwt=cd&id=7", "https://host/rows.csv?auth=***&jwt=***&id=7"),
    ("s3://bucket/rows", "s3://bucket/rows"),
    ("dbfs:/rows", "dbfs:/rows"),
    ("sql:SHOP_DB:select 1", "sql:SHOP_DB:select 1"),
    ("env:SHOP_URL", "env:SHOP_URL"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "shown"), NAMED)
def test_a_text_names_a_place_and_no_secret_is_shown(text, shown):
    place = place_of(text)
    assert str(place) == shown
    assert text == shown or (text not in repr(place) and not place.is_recordable)


def test_a_path_that_lost_a_slash_is_the_address_that_it_was():
    assert place_of(Path("https://host/rows.csv")) == Address("https://host/rows.csv")
    assert place_of(Path("s3://bucket/rows")) == Address("s3://bucket/rows")


def test_a_file_address_is_a_path(tmp_path):
    assert place_of((tmp_path / "a b.csv").as_uri()) == tmp_path / "a b.csv"


def test_a_delta_table_is_known_by_its_log(tmp_path):
    (tmp_path / "rows" / "_delta_log").mkdir(parents=True)
    assert str(place_of("rows", tmp_path)) == f"delta:{tmp_path}/rows"
    assert str(place_of("rows@v12", tmp_path)) == f"delta:{tmp_path}/rows@v12"
    assert str(place_of("delta:rows@v12", tmp_path)) == f"delta:{tmp_path}/rows@v12"
    assert place_of("s3://bucket/rows@v12").scheme == "delta"
    (tmp_path / "rows@v12").touch()
    assert place_of("rows@v12", tmp_path) == tmp_path / "rows@v12"


REFUSED = [
    ("ftp://host/rows.csv", "addresses that begin with 'ftp' are not read"),
    ("sql:select * from rows", "is no query"),
    ("env:not a name", "names no variable"),
]


@pytest.mark.parametrize(("text", "words"), REFUSED)
def test_what_is_no_address_is_told(text, words):
    with pytest.raises(UsageError, match=words):
        place_of(text)


@pytest.mark.parametrize("given", [{"sql": "select 1"}, {"url_env": ""}, {"url_env": "A", "query": "x"}, {}])
def test_a_mapping_names_a_query_or_a_variable(given):
    with pytest.raises(ValueError, match="url_env"):
        data_text(given)
    with pytest.raises(ValueError, match="never a URL itself"):
        data_text({"sql": "select 1", "url_env": "postgresql://ann:x@db/shop"})


def test_a_recorded_address_without_its_secret_is_asked_for():
    assert recorded_place("https://host/rows.csv") == Address("https://host/rows.csv")
    with pytest.raises(EvidenceError, match="had a secret, which is not recorded"):
        recorded_place("https://host/rows.csv?sig=***")
