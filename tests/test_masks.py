"""Secrets of URIs are shown nowhere, whatever characters they have; ordinary text stays as it is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synth_mlflow.errors import SynthError
from synth_mlflow.masks import holds_password, without_passwords
from synth_mlflow.tracking.server import public_uri

ODD = (
    "s3 cret", "s3@cret", "s3/cret", "s3#cret", "s3?cret", "s3'cret", 's3"cret', "s3%40cret", "s3:cret", "s3`cret",
    "s3\\cret", "s3;cret", "s3&cret", "s3=cret", "s3,cret", "s3(cret)", "s3[cret]", "s3{cret}", "s3<cret>", "s3|cret",
    "s3 @cret", "s3@ cret", "s3 c3 r3 t3", "s3/@#? 'cret", "s3\u00a0cret", "s3\tcret", "@@s3cret@@", "//s3cret//",
    "s3.cret/x@y.z/w", "3cret",
)  # fmt: skip
SCHEMES = ("postgresql+psycopg", "mysql", "mongodb+srv", "redis", "http", "https", "s3", "jdbc:postgresql")
TEXTS = (
    "{uri}", "cannot reach {uri}: refused", "no file '{uri}'.", '{{"uri": "{uri}", "n": 1}}', "(see {uri})",
    "no file '/home/ann/{swallowed}'",
)  # fmt: skip


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("password", ODD)
def test_no_part_of_an_odd_password_is_shown(password, text):
    for scheme in SCHEMES:
        for user, host in (("ann", "h"), ("", "h.example.com"), ("ann@srv", "localhost:5432/x")):
            uri = f"{scheme}://{user}:{password}@{host}"
            shown = without_passwords(text.format(uri=uri, swallowed=uri.replace("://", ":/")))
            assert not any(part in shown.replace("s3:/", "") for part in ("s3", "cret", "c3", "r3", "t3"))
            assert host.partition(":")[0] in shown


@given(password=st.text("s3cr:@t%+ /?#'\"\t;&", min_size=1).filter(str.strip), user=st.sampled_from(["ann", ""]))
def test_no_password_of_a_whole_uri_is_shown(password, user):
    uri = f"postgresql://{user}:X{password}X@host:80/x"
    assert without_passwords(uri, is_uri=True) == public_uri(uri) == f"postgresql://{user}@host:80/x"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("x password='s3 cret' y", "x password=*** y"),
        ("http://h/x?password=s3 cret&n=1 y", "http://h/x?password=***&n=1 y"),
        ("DRIVER=x;PWD={s3;cret};N=1", "DRIVER=x;PWD=***;N=1"),
        ("DRIVER=x;UID=a;PWD=s3 cret;N=1", "DRIVER=x;UID=a;PWD=***;N=1"),
        ("http://h/x?token=s3'cret&n=1", "http://h/x?token=***&n=1"),
        ("'http://h/x?token=s3cret' fails", "'http://h/x?token=***' fails"),
        ("url=postgresql%3A%2F%2Fu%3As3%40cret%40h%2Fx", "url=postgresql%3A%2F%2Fu%3A***%40h%2Fx"),
        ("jdbc:oracle:thin:scott/tiger@//h:1521/x", "jdbc:oracle:thin:scott/***@//h:1521/x"),
        ("mysql://a:s3@h: denied for 'a'@'h'", "mysql://a@h: denied for 'a'@'h'"),
        ("postgresql://a:s3 cret@h/x, mail ann@x.org", "postgresql://a@h/x, mail ann@x.org"),
        ("https://s3cret@h:5000/x@y", "https://***@h:5000/x@y"),
    ],
)
def test_what_stands_around_a_secret_is_shown(text, shown):
    assert without_passwords(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "http://host:5000 and mail ann@x.org", "http://host: ask ann@x.org", "http://host:5000, or write to ann@x.org",
        "see https://host/@scope/x", "https://host/a:b@c", "models:/name:x@champion", "file:///C:/data/a@b.csv",
        "hf://datasets/org/name@rev", "s3://bucket/rows@v12", "at 12:30 ann@x.org", "C:/Users/ann: x@y", "C:/ann:x@y",
        "`postgresql+psycopg://USER:PASSWORD@HOST/NAME`", "http://[::1]:5000/ and a@b", "http://host:5000/x@y",
        "postgresql://db:5432/x?user=a@b", "postgresql://ann@db:5432/x and mail a@b.c", "postgresql://db:5432 (a@b.c)",
        "sqlite:////tmp/a:b@c.db", "'http://h:5000' by 'a@b'", "mlflow-artifacts:/1/abc: by a@b",
        "http%3A%2F%2Fhost%3A5000%2Fx%40y", "http://h/x?y=1&z=a@b", "the key: password, or a token; a=b",
    ],
)  # fmt: skip
def test_ordinary_text_stays(text):
    assert without_passwords(text) == SynthError(text).found == text


@pytest.mark.parametrize(
    "piece",
    [
        "a:/b:",
        "a:/b:x@",
        "?",
        "a.",
        "password='",
        " ab:/c:d e@",
        "%3A%2F%2F",
        "@",
        "'ab:/c:d",
        "jdbc:oracle:x:",
        "?key=",
    ],
)
def test_a_text_made_to_slow_down_its_reader_is_read_at_once(piece):
    """A regular expression of the usual kind takes minutes for each of these."""
    assert without_passwords(piece * (300_000 // len(piece)))


@pytest.mark.parametrize("text", ["https://h/x?sig=abc", "see https://h/?a=1&access_key=abc", "redis://:s3cret@h"])
def test_texts_of_people_with_a_secret_are_found(text):
    assert holds_password(f"rows of {text}, of last year")


@pytest.mark.parametrize(
    "text",
    [
        "postgresql://ann:${DB_PASSWORD}@h", "postgresql://ann:<password>@h", "https://h/?token=***&n=1", "password=x",
        "https://h/x?sort_key=a&author=b#key=c", "https://h/@scope/x:y@z", "write to ann@x.org", "https://h/?token=$TOKEN",
        "https://h/?signature_date=1",
    ],
)  # fmt: skip
def test_ordinary_texts_of_people_are_taken(text):
    assert not holds_password(text)
