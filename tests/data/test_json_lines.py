"""Conversations in JSON lines: read, held in one form, written back as they were, and refused where they are none."""

import gzip
import json

import pandas as pd
import pytest

from synth_mlflow.data.columns import conform
from synth_mlflow.data.conversation_text import canonical, spoken, turns_of
from synth_mlflow.data.digests import table_digest
from synth_mlflow.data.json_lines import json_forms
from synth_mlflow.data.json_text import write_json_lines
from synth_mlflow.data.schema import ColumnRule, TableSchema, Wishes, present
from synth_mlflow.data.schema_inference import infer_table
from synth_mlflow.data.tables import raw_table, read_real
from synth_mlflow.errors import UsageError


def chat(at, *more):
    return [
        {"role": "user", "content": f"What is {at} and 1/2, Zoë?"},
        {"role": "assistant", "content": f'It is "{at + 0.5}".\n'},
        *more,
    ]


ROWS = [{"messages": chat(at), "source": "abc"[at % 3], "n": at, "good": at % 2 == 0} for at in range(60)]
SHARE_GPT = [
    {
        "id": f"c{at}",
        "conversations": [{"value": turn["content"], "from": turn["role"]} for turn in row["messages"]],
        "score": None if at % 4 else at / 7,
    }
    for at, row in enumerate(ROWS)
]
TOOLS = [
    {"role": "assistant", "content": None, "tool_calls": [{"id": "1", "function": {"name": "f", "arguments": "{}"}}]},
    {"role": "tool", "tool_call_id": "1", "content": [{"type": "text", "text": "3"}, {"type": "image_url"}]},
]
MIXED = [
    {"messages": [{"role": "system", "content": "Be kind."}, *chat(at, *TOOLS)]}
    | ({"tools": [{"a": 1.5}]} if at % 3 else {})
    for at in range(60)
]
PROMPTS = [{"prompt": f"{at}?", "completion": f" {at * at}, as far as I know"} for at in range(60)]


def compact(row):
    return json.dumps(row, separators=(",", ":"), ensure_ascii=False)


def as_pandas_writes(rows):
    return pd.DataFrame(rows).to_json(orient="records", lines=True)


def lines(rows, dump=json.dumps):
    return "".join(f"{dump(row)}\n" for row in rows)


FILES = {
    "python": lines(ROWS),
    "javascript": lines(ROWS, compact),
    "pandas": as_pandas_writes(ROWS),
    "sharegpt": lines(SHARE_GPT),
    "parts, calls and gaps": lines(MIXED, compact),
    "prompts": lines(PROMPTS),
}


def read(path, **columns):
    rules = {name: ColumnRule(role=role) for name, role in columns.items()}
    return infer_table(raw_table(path), Wishes(rules=rules))


@pytest.mark.parametrize("name", FILES)
def test_what_is_read_is_written_back_byte_by_byte(name, tmp_path):
    (tmp_path / "a.jsonl").write_text(FILES[name], encoding="utf-8")
    found = read(tmp_path / "a.jsonl")
    table = TableSchema.from_json(json.loads(found.table.text()))
    assert table == found.table
    again = read_real(tmp_path / "a.jsonl", table)
    assert table_digest(again, table.schema) == table_digest(found.rows, table.schema)
    write_json_lines(present(again, table.schema), tmp_path / "b.jsonl", json_forms(table.schema), table.lines)
    assert (tmp_path / "b.jsonl").read_bytes() == (tmp_path / "a.jsonl").read_bytes()


@pytest.mark.parametrize(
    ("name", "column"), [("python", "messages"), ("sharegpt", "conversations"), ("parts, calls and gaps", "messages")]
)
def test_a_conversation_is_a_role(name, column, tmp_path):
    (tmp_path / "a.jsonl").write_text(FILES[name], encoding="utf-8")
    table = read(tmp_path / "a.jsonl").table
    assert table.roles[column] == "conversation"
    assert "turns" in next(each.detail for each in table.columns if each.name == column)


def test_short_prompts_and_answers_are_texts(tmp_path):
    (tmp_path / "a.jsonl").write_text(FILES["prompts"])
    assert set(read(tmp_path / "a.jsonl").table.roles.values()) == {"text"}


def test_equal_conversations_are_equal_however_they_are_written(tmp_path):
    (tmp_path / "a.jsonl").write_text(lines(ROWS))
    (tmp_path / "b.jsonl.gz").write_bytes(gzip.compress(lines(ROWS, compact).encode()))
    pd.DataFrame(ROWS).to_parquet(tmp_path / "c.parquet")
    pd.DataFrame(ROWS).assign(messages=[json.dumps(row["messages"]) for row in ROWS]).to_csv(
        tmp_path / "d.csv", index=False
    )
    digests = set()
    for name in ("a.jsonl", "b.jsonl.gz", "c.parquet", "d.csv"):
        found = read(tmp_path / name)
        assert found.table.roles["messages"] == "conversation", name
        digests.add(table_digest(found.rows))
    assert len(digests) == 1
    schema = read(tmp_path / "a.jsonl").table.schema
    assert table_digest(conform(pd.DataFrame(ROWS), schema), schema) in digests  # lists of Python


def test_a_role_that_a_person_gives_holds(tmp_path):
    (tmp_path / "a.jsonl").write_text(lines(ROWS))
    assert read(tmp_path / "a.jsonl", messages="text").table.roles["messages"] == "text"
    pd.DataFrame({"said": ["[1]", "no"] * 30}).to_csv(tmp_path / "a.csv", index=False)
    with pytest.raises(UsageError, match="'said' is a conversation, and 60 of its 60 cells are none: the first turn 1"):
        read(tmp_path / "a.csv", said="conversation")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('{"messages": [', "line 2 is no JSON"),
        ("[1]", "line 2 holds no object in braces"),
        ('{"messages": [{"role": "user", "role": "a", "content": "b"}]}', "the key 'role' stands twice"),
        ('{"messages": [{"role": "user", "content": "\\ud800"}]}', "line 2 holds half a character"),
        ('{"text": "none"}', "line 2: it has no 'messages'"),
        ('{"messages": null}', "line 2: it has no 'messages'"),
        ('{"messages": "Hello"}', "line 2: 'messages' is no list of turns"),
        ('{"messages": []}', "line 2: 'messages' is an empty list"),
        ('{"messages": {"role": "user"}}', "line 2: 'messages' is an object, a list of turns was needed"),
        ('{"messages": ["Hello"]}', "line 2: 'messages' turn 1 is a text"),
        ('{"messages": [{"content": "Hello"}]}', "turn 1 has no 'role'"),
        ('{"messages": [{"role": "user"}]}', "turn 1 has no 'content'"),
        ('{"messages": [{"role": "user", "content": 3}]}', "turn 1 has a number as 'content'"),
        ('{"messages": [{"role": "user", "content": [3]}]}', "turn 1 has a list with a number"),
        ('{"messages": [{"role": null, "content": "a"}]}', "turn 1 has null as 'role'"),
    ],
)
def test_lines_that_are_no_conversations_are_named(line, words, tmp_path):
    (tmp_path / "a.jsonl").write_text(f"{compact(ROWS[0])}\n{line}\n")
    with pytest.raises(UsageError) as error:
        read(tmp_path / "a.jsonl")
    assert words in error.value.found and error.value.fix


def test_lists_without_conversations_stay_refused(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"tags": [1, 2], "y": 1}\n')
    with pytest.raises(UsageError, match=r"column 'tags' holds lists or objects"):
        read(tmp_path / "a.jsonl")


def test_cells_of_a_batch_that_are_no_conversations_are_named(tmp_path):
    (tmp_path / "a.jsonl").write_text(lines(ROWS))
    schema = read(tmp_path / "a.jsonl").table.schema
    bad = pd.DataFrame(ROWS[:2]).assign(messages=[[{"role": "user"}], "Hello"])
    with pytest.raises(
        UsageError, match="'messages' holds 2 cells that are no conversation; that of row 1 turn 1 has no"
    ):
        conform(bad, schema)


def test_turns_say_who_speaks_and_what():
    turns = turns_of(canonical(MIXED[0]["messages"]))
    assert [turn.role for turn in turns] == ["system", "user", "assistant", "assistant", "tool"]
    assert turns[3].text == "" and '"name":"f"' in turns[3].said and turns[4].text == "3\n[image_url]"
    assert spoken(pd.Series([None, canonical(chat(1))])).tolist()[1].startswith("What is 1")
