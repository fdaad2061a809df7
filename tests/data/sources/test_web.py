"""Tables behind a web server: whole or not at all, and no secret of an address in what is said."""

from __future__ import annotations

import gzip

import pandas as pd
import pytest
from web_site import CSV, body, status, until_closed

from synth_mlflow.data.addresses import place_of
from synth_mlflow.data.private import private_room
from synth_mlflow.data.sources.copies import copy_of, one_command, opened
from synth_mlflow.data.tables import read_table
from synth_mlflow.errors import UsageError

TYPE = "Content_Type"


def cut(handler):
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(CSV)))
    handler.end_headers()
    handler.wfile.write(CSV[:200])


def cut_chunk(handler):
    handler.send_response(200)
    handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()
    handler.wfile.write(b"%x\r\n%s\r\n" % (200, CSV[:200]))


def copies_left():
    return list(private_room().glob("source-*"))


def test_a_file_is_read_once_a_command_and_removed_at_its_end(site):
    with one_command():
        assert read_table(place_of(f"{site.url}/rows.csv")).shape == (60, 2)
        assert read_table(place_of(f"{site.url}/rows.csv")).shape == (60, 2)
        assert site.asked == ["/rows.csv"]
        assert len(copies_left()) == 1
    assert not copies_left()


def test_what_the_server_says_of_the_file_is_known(site, command):
    site.answers["/rows.csv"] = body(CSV, ETag='"7f"', Last_Modified="Mon, 01 Jan 2024 00:00:00 GMT")
    facts = copy_of(place_of(f"{site.url}/rows.csv")).facts
    assert facts["etag"] == '"7f"'
    assert facts["modified"].startswith("Mon, 01 Jan 2024")
    assert facts["bytes"] == len(CSV)


NAMED = [
    ("/rows.csv.gz", gzip.compress(CSV), {}),
    ("/rows.csv.gz", gzip.compress(CSV), {"Content_Encoding": "gzip"}),
    ("/rows.csv", gzip.compress(CSV), {"Content_Encoding": "gzip"}),
    ("/download", CSV, {TYPE: "text/csv; charset=utf-8"}),
    ("/download", CSV, {"Content_Disposition": 'attachment; filename="../../rows of May.csv"'}),
    ("/rows.csv", CSV.decode().replace("Ulm", "Köln").encode("cp1252"), {}),
    ("/rows.csv", CSV.decode().replace("Ulm", "Köln").encode("utf-16"), {}),
]


@pytest.mark.parametrize(("path", "content", "headers"), NAMED, ids=range(len(NAMED)))
def test_the_kind_of_table_is_found(site, path, content, headers):
    site.answers[path] = body(content, **headers)
    rows = read_table(place_of(f"{site.url}{path}"))
    assert rows.shape == (60, 2)
    assert set(rows["town"]) in ({"Ulm", "Bonn"}, {"Köln", "Bonn"})


def test_parquet_and_a_redirect(site, tmp_path):
    pd.DataFrame({"age": [1, 2]}).to_parquet(tmp_path / "a.parquet")
    site.answers["/a.parquet"] = status(302, Location="/signed?token=abc")
    site.answers["/signed"] = body((tmp_path / "a.parquet").read_bytes())
    assert read_table(place_of(f"{site.url}/a.parquet"))["age"].tolist() == [1, 2]


PAGE = b"<!DOCTYPE html><html><body>Please log in</body></html>"
REFUSED = [
    (status(404), "is not there; the server answers 404", 1),
    (status(403), "access is denied; the server answers 403", 1),
    (status(401), "access is denied", 1),
    (status(503), r"the server answers 503 .*; it was asked 3 times", 3),
    (cut, "the connection ended before the whole file had come; it was asked 3 times", 3),
    (cut_chunk, "the connection ended before the whole file had come; it was asked 3 times", 3),
    (body(PAGE, Content_Type="text/html"), "gives a web page in place of a table", 1),
    (body(b"\n <?xml version='1.0'?><Error/>"), "gives a web page in place of a table", 1),
    (body(b""), "cannot be read|holds no rows", 1),
    (status(302, Location="/rows.csv?sig=s3cr3t"), "it redirects without end", 31),
]


@pytest.mark.parametrize(("answer", "words", "n_asked"), REFUSED)
def test_what_is_no_whole_table_is_refused_and_nothing_is_kept(site, command, answer, words, n_asked):
    site.answers["/rows.csv"] = answer
    with pytest.raises(UsageError, match=words) as refused:
        read_table(place_of(f"{site.url}/rows.csv?sig=s3cr3t&page=2"))
    assert len(site.asked) == n_asked
    assert "s3cr3t" not in str(refused.value)
    assert "page=2" in str(refused.value)
    if "cannot be read|" not in words:
        assert not copies_left()


def test_a_passing_failure_is_asked_again(site, command):
    answers = iter([status(503), cut, body(CSV)])
    site.answers["/rows.csv"] = lambda handler: next(answers)(handler)
    assert read_table(place_of(f"{site.url}/rows.csv")).shape == (60, 2)


def test_a_server_that_says_no_length_is_asked_twice(site, command):
    site.answers["/rows.csv"] = until_closed(iter([CSV, CSV]))
    assert read_table(place_of(f"{site.url}/rows.csv")).shape == (60, 2)
    site.answers["/other.csv"] = until_closed(iter([CSV, CSV[:200], CSV[:300], CSV, CSV[:100], CSV]))
    with pytest.raises(UsageError, match="two downloads of it differ"):
        read_table(place_of(f"{site.url}/other.csv"))


def test_no_host_and_no_server_are_told(site):
    port = site.server_port
    with pytest.raises(UsageError, match=r"no host of this name is known here|network is down"):
        read_table(place_of("https://ann:password@no-such-host.invalid/rows.csv"))
    with pytest.raises(UsageError, match="is a pattern, and a web server lists no files"):
        read_table(place_of(f"http://127.0.0.1:{port}/*.csv"))
    with pytest.raises(UsageError, match="is not a kind of table that is read here"):
        site.answers["/rows.xlsx"] = body(b"PK")
        read_table(place_of(f"{site.url}/rows.xlsx"))


def test_an_address_in_the_environment_keeps_its_secret_to_itself(site, command, monkeypatch):
    monkeypatch.setenv("SHOP_URL", f"{site.url}/rows.csv?X-Amz-Signature=abc&X-Amz-Credential=def")
    address = place_of("env:SHOP_URL")
    assert read_table(address).shape == (60, 2)
    told = copy_of(address).facts["address"]
    assert told == f"{site.url}/rows.csv?X-Amz-Signature=***&X-Amz-Credential=***"
    monkeypatch.delenv("SHOP_URL")
    with one_command(), pytest.raises(UsageError, match="the variable OTHER is not set"):
        read_table(place_of("env:OTHER"))


def test_what_is_said_of_a_table_names_its_address(site, command):
    site.answers["/rows.csv"] = body(b"a,a\n1,2\n")
    with pytest.raises(UsageError, match=rf"^{site.url}/rows.csv: column names must be unique"):
        read_table(place_of(f"{site.url}/rows.csv"))
    with opened(place_of(f"{site.url}/rows.csv")) as path:
        assert path.name == "rows.csv"
