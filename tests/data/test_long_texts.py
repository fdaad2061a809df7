"""Long files of texts, which are read in blocks, are the tables that they are when they are read at once."""

import gzip
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from synth_mlflow.data import csv_format, json_lines, mapped, tables
from synth_mlflow.data.digests import table_digest
from synth_mlflow.data.schema import Wishes
from synth_mlflow.data.schema_inference import infer_table
from synth_mlflow.data.tables import raw_table, read_real, refuse_larger_than_memory
from synth_mlflow.errors import UsageError

N = 120
CSV = {
    "plain": "".join(f"{at},{at * 0.5},city {at % 7},{at % 2 == 0}\n" for at in range(N)),
    "gaps": "".join(f"{'' if at % 3 else at},,{'' if at % 5 else 'x'},2024-01-{at % 28 + 1:02d}\n" for at in range(N)),
    "late number": "".join(f"{at},{'1.5' if at == N - 1 else at},a,b\n" for at in range(N)),
    "late text": "".join(f"{at},{'soon' if at == N - 1 else at},a,b\n" for at in range(N)),
    "late gap": "".join(f"{at},{'' if at == N - 1 else at},NA,b\n" for at in range(N)),
    "quoted": "".join(f'{at},"1,{at:03d}.5","say ""no""","two\nlines {at}"\n' for at in range(N)),
    "codes": "".join(f"{at:05d},+{at},0{at},1e{at % 5}\n" for at in range(N)),
    "long cell": "".join(f"{at},{at},{'word ' * (300 if at == 50 else 1)},b\n" for at in range(N)),
    "german": "".join(f"{at};{at},5;Größe {at % 4};{at % 28 + 1:02d}.01.2024\n" for at in range(N)),
    "short rows": "".join(f"{at},1,2,3\n" if at != 70 else "70,1\n" for at in range(N)),
    "long row": "".join(f"{at},1,2,3\n" if at != 70 else "70,1,2,3,4\n" for at in range(N)),
    "blank lines": "".join(f"{at},1,2,x\n\n" for at in range(N)),
    "nothing": "",
}


@pytest.fixture
def tiny_blocks(monkeypatch):
    monkeypatch.setattr(csv_format, "BLOCK_BYTES", 128)
    monkeypatch.setattr(csv_format, "PIECE_ROWS", 7)
    monkeypatch.setattr(json_lines, "PIECE_BYTES", 200)


def found_in(path):
    """What a file is read as, or why it is not."""
    try:
        found = infer_table(raw_table(path), Wishes())
    except UsageError as refusal:
        return refusal.found, refusal.fix
    again = read_real(path, found.table) if not found.questions else found.rows
    digests = table_digest(found.rows, found.table.schema), table_digest(again, found.table.schema)
    return found.table.to_json(), digests, found.questions


def both_ways(path, monkeypatch, limit=0):
    at_once = found_in(path)
    monkeypatch.setattr(json_lines, "LONG_BYTES", -1)
    monkeypatch.setattr(mapped, "MAPPED_BYTES", limit)
    return at_once, found_in(path)


@pytest.mark.parametrize(
    "encoding", ["utf-8", *(pytest.param(name, marks=pytest.mark.slow) for name in ("utf-8-sig", "utf-16", "cp1252"))]
)
@pytest.mark.parametrize("name", CSV)
def test_a_csv_file_in_blocks_is_the_same_table(tmp_path, monkeypatch, tiny_blocks, name, encoding):
    separator = ";" if name == "german" else ","
    text = separator.join(["a", "b", "größe", "d"]) + "\n" + CSV[name]
    (tmp_path / "a.csv").write_bytes(text.encode(encoding))
    at_once, in_blocks = both_ways(tmp_path / "a.csv", monkeypatch)
    assert in_blocks == at_once


LINES = {
    "plain": [{"a": at, "b": at / 2, "c": f"city {at % 7}", "d": at % 2 == 0} for at in range(N)],
    "late names": [{"a": at, **({"z": "x"} if at > 100 else {}), **({"y": 1} if at == 3 else {})} for at in range(N)],
    "late float": [{"a": at if at != 110 else 0.5} for at in range(N)],
    "early float, late large": [{"a": 0.5 if at == 1 else at if at != 110 else 2**60} for at in range(N)],
    "late mixture": [{"b": 1, "a": at if at != 110 else "many"} for at in range(N)],
    "too large": [{"a": at if at != 110 else 2**70} for at in range(N)],
    "gaps": [{"a": None if at < 60 else at, "b": float("nan") if at % 2 else 7, "c": None} for at in range(N)],
    "lists": [{"a": at, "b": [at] if at == 110 else None} for at in range(N)],
    "conversations": [
        {"messages": [{"role": "user", "content": f"why {at}?"}, {"role": "assistant", "content": "so"}], "n": at}
        for at in range(N)
    ],
    "conversations, some are none": [
        {"messages": [{"role": "user", "content": "why?"}] if at % 9 else ["no"] if at % 2 else None, "n": at}
        for at in range(N)
    ],
    "a list beside a number": [
        {"messages": [{"role": "user", "content": "y"}] if at else 3, "n": at} for at in range(N)
    ],
}


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("name", LINES)
def test_json_lines_in_blocks_are_the_same_table(tmp_path, monkeypatch, tiny_blocks, name, packed):
    text = "\n".join(map(json.dumps, LINES[name])).encode()
    path = tmp_path / ("a.jsonl.gz" if packed else "a.jsonl")
    path.write_bytes(gzip.compress(text) if packed else text)
    at_once, in_blocks = both_ways(path, monkeypatch)
    assert in_blocks == at_once


def test_few_lines_of_a_long_file_are_objects_at_a_time(tmp_path, tiny_blocks, monkeypatch):
    path = tmp_path / "a.jsonl"
    path.write_text("\n".join(json.dumps({"a": "x" * at}) for at in range(100)))
    assert [len(rows) for rows in json_lines._blocks(path)] == [100]
    monkeypatch.setattr(json_lines, "LONG_BYTES", -1)
    blocks = list(json_lines._blocks(path))
    assert max(map(len, blocks)) <= 20 and [number for rows in blocks for number, _ in rows] == list(range(1, 101))


CELLS = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**65), 2**65), st.integers(-9, 9), st.floats(), st.text(max_size=3)
)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(values=st.lists(st.one_of(CELLS, st.integers(-9, 9), st.floats(-9, 9)), min_size=8, max_size=30))
def test_any_column_of_json_lines_has_the_type_of_all_its_values(tmp_path, values):
    path = tmp_path / "a.jsonl"
    path.write_text("\n".join(json.dumps({"n": at, "a": value}) for at, value in enumerate(values)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_lines, "PIECE_BYTES", 60)
        outcomes = []
        for limit in (2**40, -1):
            patch.setattr(json_lines, "LONG_BYTES", limit)
            try:
                table = json_lines.json_lines(path)
                outcomes.append((table.schema, table.combine_chunks().to_pydict()))
            except UsageError as refusal:
                outcomes.append(refusal.found)
    assert outcomes[0] == outcomes[1]


def test_a_long_file_is_refused_by_the_room_for_its_texts_and_for_its_rows(tmp_path, monkeypatch):
    monkeypatch.setattr(json_lines, "LONG_BYTES", -1)
    monkeypatch.setattr(mapped, "MAPPED_BYTES", 0)
    path = tmp_path / "a.csv"
    path.write_text("a,b\n" + "1,x\n" * 1_000)
    refuse_larger_than_memory(path, disk=20_000)
    with pytest.raises(UsageError, match="holds 4,004 bytes of text or more: its cells take about"):
        refuse_larger_than_memory(path, disk=10_000)
    monkeypatch.setattr(tables, "memory", lambda: 400 * 2**20)
    with pytest.raises(UsageError, match="1,000 rows of 2 columns: they take about"):
        raw_table(path)
