"""Whatever stands in a file or an option: an answer or one of our errors, soon, and never a traceback."""

from __future__ import annotations

import json
import time

import pandas as pd
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from synth_mlflow.data.columns import schema_of
from synth_mlflow.data.constraints import parse_constraints
from synth_mlflow.data.provenance import Record, read_origin
from synth_mlflow.data.slices import Slice
from synth_mlflow.data.statement import parse_statement
from synth_mlflow.data.tables import read_known, read_table
from synth_mlflow.errors import SynthError
from synth_mlflow.masks import without_passwords
from synth_mlflow.tracking.server import public_uri

ROWS = pd.DataFrame({"age": [20, 30], "region": ["north", None], "a b": [1.5, None], "member": [True, False]})
STATEMENT = """---
name: shop
data: rows.csv
target: bought
task: binary
metric: roc_auc
success: {gain_at_least: 0.01}
gap: cold start
privacy: relevant
slices: {young: "age < 30"}
---
## What gap are we filling?
x
"""
RECORD = {
    "batch": "law-1a2b", "columns": {"age": "integer"}, "created_at": "2026-01-01T00:00:00+00:00", "created_by": "ann",
    "digest": "d", "environment": {}, "evaluation_digest": "e", "notes": {}, "rows": 1, "rows_asked": 1, "schema": 1,
    "seconds": 0.1, "statement_digest": "s",
    "origin": {"door": "file", "generator": "law", "params": {}, "prompts": [], "purpose": "x", "seed": 1,
               "slice": None, "source": {"digest": None, "kind": "none", "n_rows": None}, "version": "1"},
}  # fmt: skip
PIECES = st.sampled_from([
    "---\n", "name: ", "slices: ", "{", "}", "[", "]", "&a ", "*a", "!!python/object/apply:os.system [ls]",
    "!!binary x",
    "? ", "- ", ": ", "\n", "  ", "\t", '"', "'", "|\n", ">\n", "<<: ", "0x1", "1e999", ".nan", "2020-01-01",
    "null", "~",
    "\x00", "\ufeff", "\u2028", "\U0001f98a", "# ", "%YAML 9.9\n", "...\n", "a" * 300, "## What gap are we filling?\n",
])  # fmt: skip
TOKENS = st.sampled_from([
    "age", "region", "`a b`", "member", "nothing", "and", "or", "not", "in", "is", "missing", "true", "(", ")", ",",
    "<",
    "<=", "==", "!=", "=", "25", "-1e9", "1e999", '"north"', "'x'", '"2024-01-01"', "__import__('os')", "age.__class__",
    "{{7*7}}", "; drop table", "lambda: 0", "`", '"', "\\", "\n", "\x00", "é", "\U0001f98a",
])  # fmt: skip
CELLS = st.sampled_from([
    "1", "-2.5", "x", "", "=1+1", "@SUM(A1)", "+cmd|' /C calc'!A1", '"a', 'a"b', "a,b", "\x00", "\r", "\n",
    "NaN", "inf",
    "1e999", "9" * 400, "2024-01-01", "2024-13-77", "true", "é", "\U0001f98a", "<script>", "\ufeff", "../../etc/passwd",
])  # fmt: skip
quick = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])


def answered(act):
    """Calls it, and takes our errors for an answer."""
    began = time.process_time()
    try:
        act()
    except SynthError as error:
        assert str(error).strip()
    assert time.process_time() - began < 10  # no hang; generous, for machines under load


@quick
@given(pieces=st.lists(PIECES, max_size=30), at=st.integers(0, len(STATEMENT)))
def test_statements(pieces, at):
    answered(lambda: parse_statement(STATEMENT[:at] + "".join(pieces) + STATEMENT[at:], "problem.md"))
    answered(lambda: parse_statement("".join(pieces), "problem.md"))


@quick
@given(value=st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
), field=st.sampled_from(sorted(RECORD) + [f"origin.{name}" for name in sorted(RECORD["origin"])]))  # fmt: skip
def test_records(value, field):
    told = json.loads(json.dumps(RECORD))
    place = told["origin"] if field.startswith("origin.") else told
    place[field.removeprefix("origin.")] = value
    answered(lambda: Record.from_json(json.dumps(told)))
    answered(lambda: Record.from_json(json.dumps(value)))


@quick
@given(text=st.text(max_size=60) | st.lists(PIECES, max_size=12).map("".join))
def test_written_records(tmp_path, text):
    (tmp_path / "record.yaml").write_text(text, encoding="utf-8", errors="replace")
    answered(lambda: read_origin(tmp_path / "record.yaml"))


@quick
@given(text=st.lists(TOKENS, max_size=14).map(" ".join) | st.text(max_size=40))
def test_slices(text):
    answered(lambda: Slice.parse(text).mask(ROWS))


@quick
@given(text=st.lists(TOKENS, max_size=14).map(" ".join) | st.text(max_size=40))
def test_constraints(text):
    answered(lambda: parse_constraints([text]).problems(ROWS))


@quick
@given(rows=st.lists(st.lists(CELLS, max_size=5).map(",".join), max_size=6), end=st.sampled_from(["\n", "\r\n", "\r"]),
       code=st.sampled_from(["utf-8", "utf-16", "latin-1", "utf-8-sig", "cp037"]))  # fmt: skip
def test_tables_of_text(tmp_path, rows, end, code):
    path = tmp_path / "rows.csv"
    path.write_bytes(end.join(["age,region", *rows]).encode(code, errors="replace"))
    answered(lambda: read_table(path))
    answered(lambda: read_known(path, schema_of(ROWS)))


@quick
@given(
    content=st.binary(max_size=200), cut=st.integers(0, 3_000), ending=st.sampled_from([".csv", ".csv.gz", ".parquet"])
)
def test_tables_of_bytes(tmp_path, content, cut, ending):
    path = tmp_path / f"rows{ending}"
    whole = tmp_path / f"whole{ending}"
    if not whole.exists():
        ROWS.to_parquet(whole) if ending == ".parquet" else ROWS.to_csv(whole, index=False)
    bytes_of = whole.read_bytes()
    path.write_bytes(bytes_of[:cut] + content + bytes_of[cut + len(content) :])
    answered(lambda: read_table(path))


@given(
    user=st.text("abcXYZ-", min_size=1),
    secret=st.text("s3cr:@t%+", min_size=4),
    scheme=st.sampled_from(["http", "postgresql+psycopg"]),
)
def test_uris_are_shown_without_their_passwords(user, secret, scheme):
    uri = f"{scheme}://{user}:{secret}@host:80/x"
    assert f":{secret}@" not in public_uri(uri)
    assert f":{secret}@" not in without_passwords(f"cannot reach {uri}: refused")
    assert (
        secret not in without_passwords(f"at {scheme}://host/x?user={user}&password={secret.replace('@', '')} now")
        or "@" in secret
    )
