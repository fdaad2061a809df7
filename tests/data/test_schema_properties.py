"""Any table of any schema: reading, digests, generation and what comes back, through CSV and Parquet."""

import uuid

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from synth_mlflow.data.chunks import ChunkWriter
from synth_mlflow.data.columns import Schema, conform
from synth_mlflow.data.digests import row_hashes, table_digest
from synth_mlflow.data.schema import TableSchema, Wishes, present
from synth_mlflow.data.schema_inference import infer_table
from synth_mlflow.data.table_files import read_parquet
from synth_mlflow.data.tables import raw_table, read_as, restore
from synth_mlflow.data.task import Task
from synth_mlflow.generators.forest import plugin as forest

N_ROWS = 60
NO_SHRINKING = (Phase.explicit, Phase.reuse, Phase.generate)  # a table of these says enough


def numbers(rng):
    return np.round(rng.lognormal(5, 2, N_ROWS), 2)


def moments(rng):
    seconds = rng.integers(0, 10**8, N_ROWS)
    return pd.Series(pd.Timestamp("2019-05-01") + pd.to_timedelta(seconds, unit="s"))


GERMAN = (
    "Januar", "Februar", "März", "April", "Mai", "Juni",
    "Juli", "August", "September", "Oktober", "November", "Dezember",
)  # fmt: skip
NTH = {1: "st", 2: "nd", 3: "rd", 21: "st", 22: "nd", 23: "rd", 31: "st"}


def lakhs(value: int) -> str:
    """Such as 12,34,567."""
    head, tail = str(abs(value))[:-3], str(abs(value))[-3:]
    groups = [head[max(end - 2, 0) : end] for end in range(len(head), 0, -2)]
    return "-" * (value < 0) + ",".join([*reversed(groups), tail])


TEXTS = {
    "money": lambda rng: [f"${value:,.2f}" for value in numbers(rng)],
    "comma": lambda rng: [f"{value:.2f}".replace(".", ",") for value in numbers(rng)],
    "euro": lambda rng: [f"{v:,.2f} €".translate(str.maketrans(",.", ".,")) for v in numbers(rng) * 100],
    "percent": lambda rng: [f"{value:.1f}%" for value in rng.random(N_ROWS) * 100],
    "german": lambda rng: list(moments(rng).dt.strftime("%d.%m.%Y")),
    "american": lambda rng: list(moments(rng).dt.strftime("%m/%d/%Y %I:%M %p")),
    "zoned": lambda rng: list(moments(rng).dt.strftime("%Y-%m-%dT%H:%M:%S+02:00")),
    "clock": lambda rng: list(moments(rng).dt.strftime("%H:%M:%S")),
    "duration": lambda rng: [f"{n // 3600}:{n // 60 % 60:02d}:{n % 60:02d}" for n in rng.integers(0, 10**6, N_ROWS)],
    "units": lambda rng: [f"{n // 60}h {n % 60}m" for n in rng.integers(0, 10**4, N_ROWS)],
    "worded": lambda rng: list(moments(rng).map(lambda m: f"{m.day}. {GERMAN[m.month - 1]} {m.year}")),
    "nth": lambda rng: list(moments(rng).map(lambda m: f"{m.strftime('%b')} {m.day}{NTH.get(m.day, 'th')} {m.year}")),
    "french": lambda rng: [f"{v:,.2f}\u00a0€".translate({44: "\u202f", 46: ","}) for v in numbers(rng) * 100],
    "rupees": lambda rng: [f"₹{lakhs(int(v))}" for v in numbers(rng) * 10_000],
    "chf": lambda rng: [f"CHF {value:,.2f}".replace(",", "'") for value in numbers(rng) * 100],
    "flag": lambda rng: list(rng.choice(["true", "false"], N_ROWS)),
    "same": lambda rng: ["x"] * N_ROWS,
    "uuid": lambda rng: [str(uuid.UUID(bytes=rng.bytes(16), version=4)) for _ in range(N_ROWS)],
    "prose": lambda rng: [" ".join(rng.choice(["we", "went", "home", "NA", "early"], 8)) for _ in range(N_ROWS)],
    "zip": lambda rng: [f"{n:05d}" for n in rng.integers(0, 30_000, N_ROWS)],
    "word": lambda rng: list(rng.choice(["NA", "None", "null", "north"], N_ROWS)),
    "mail": lambda rng: [f"{''.join(rng.choice(list('abcdef'), 6))}{n}@shop.example" for n in range(N_ROWS)],
}
TYPES = {
    "big": lambda rng: pd.array(rng.integers(2**60, 2**62, N_ROWS), "Int64"),
    "whole": lambda rng: pd.array(rng.integers(0, 50, N_ROWS), "Int64"),
    "small": lambda rng: rng.integers(0, 50, N_ROWS).astype("int16"),
    "single": lambda rng: rng.normal(size=N_ROWS).astype("float32"),
    "flag": lambda rng: pd.array(rng.random(N_ROWS) < 0.5, "boolean"),
    "grade": lambda rng: pd.Categorical(rng.choice(["low", "high"], N_ROWS), ["low", "high"], ordered=True),
    "here": lambda rng: moments(rng).dt.tz_localize("Europe/Berlin", ambiguous="NaT", nonexistent="NaT"),
    "lasts": lambda rng: pd.to_timedelta(rng.integers(0, 10**6, N_ROWS), unit="s"),
}


@st.composite
def tables(draw, makers):
    """A table of some of these columns, with gaps where they may have any, and a target."""
    names = draw(st.lists(st.sampled_from(sorted(makers)), min_size=1, max_size=5, unique=True))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    frame = pd.DataFrame({name: pd.Series(makers[name](rng)) for name in names})
    for name in draw(st.sets(st.sampled_from(names))) - {"small"}:
        frame.loc[rng.random(N_ROWS) < 0.2, name] = None
    return frame.assign(y=rng.choice(["yes", "no"], N_ROWS))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("tables")


def schema_and_rows(path):
    found = infer_table(raw_table(path), Wishes("y"))
    assert not found.questions
    assert TableSchema.from_json(found.table.to_json()) == found.table
    return found.table.schema, found.rows


def assert_comes_back(folder, rows: pd.DataFrame, schema: Schema) -> None:
    """From both kinds of file, with other columns first, and from a batch's file in pieces."""
    own = present(rows, schema)
    assert table_digest(conform(own, schema), schema) == table_digest(rows, schema)
    own[own.columns[::-1]].to_csv(folder / "own.csv", index=False)
    own.to_parquet(folder / "own.parquet", index=False)
    for name in ("own.csv", "own.parquet"):
        again = read_as(folder / name, schema)
        assert table_digest(again, schema) == table_digest(rows, schema), name
        assert np.array_equal(row_hashes(again), row_hashes(rows)), name
    writer = ChunkWriter(folder / "batch.parquet", schema)
    for at in range(0, len(rows), 25):
        writer.add(rows.iloc[at : at + 25])
    digest = writer.finish()
    writer.close({b"record": b"x"})
    batch = read_parquet(folder / "batch.parquet")
    assert digest == table_digest(restore(batch, schema), schema) == table_digest(rows, schema)
    pd.testing.assert_frame_equal(batch, own, check_dtype=bool(schema.forms))


@settings(max_examples=12, suppress_health_check=[HealthCheck.too_slow], phases=NO_SHRINKING)
@given(frame=tables(TEXTS))
def test_texts_that_are_values_come_back_as_they_were(folder, frame):
    frame.to_csv(folder / "given.csv", index=False)
    schema, rows = schema_and_rows(folder / "given.csv")
    own, texts = present(rows, schema).copy(), frame.astype("str")
    if "flag" in frame:
        own["flag"] = own["flag"].astype(object).map({True: "true", False: "false"}).astype("str")
    pd.testing.assert_frame_equal(own, texts)
    assert_comes_back(folder, rows, schema)


@settings(max_examples=12, suppress_health_check=[HealthCheck.too_slow], phases=NO_SHRINKING)
@given(frame=tables(TYPES))
def test_types_come_back_as_they_were(folder, frame):
    frame.to_parquet(folder / "given.parquet", index=False)
    schema, rows = schema_and_rows(folder / "given.parquet")
    pd.testing.assert_frame_equal(present(rows, schema), pd.read_parquet(folder / "given.parquet"))
    assert_comes_back(folder, rows, schema)


WRITABLE = {name: made for name, made in TEXTS.items() if name != "prose"}  # no generator of tables writes free text


@settings(max_examples=4, suppress_health_check=[HealthCheck.too_slow], phases=NO_SHRINKING)
@given(frame=st.one_of(tables(WRITABLE), tables(TYPES)))
def test_what_is_generated_has_the_forms_and_types_of_the_real_rows(folder, frame):
    frame.to_parquet(folder / "given.parquet", index=False)
    found = infer_table(raw_table(folder / "given.parquet"), Wishes("y"))
    schema, task = found.table.schema, Task("y", "binary", roles=found.table.roles)
    rng = np.random.default_rng(0)
    made = conform(forest().fit(found.rows, task, rng).sample(40, rng), schema)
    own = present(made, schema)
    assert own.dtypes.to_dict() == present(found.rows, schema).dtypes.to_dict()
    assert_comes_back(folder, made, schema)
    for name in set(frame) & {"mail"}:
        assert not set(own[name].dropna()) & set(frame[name].dropna())
