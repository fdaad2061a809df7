"""`freeze --store reference`: the key stays with the rows, and no value of a real row is found on the server."""

from __future__ import annotations

import io
import itertools
import re
import stat
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
import pytest
import shop

from synth_mlflow import Workflow
from synth_mlflow.data.digests import fingerprint, key_path, make_key, row_digests
from synth_mlflow.data.private import as_missing, rare_labels, renamed
from synth_mlflow.data.task import Task
from synth_mlflow.errors import EvidenceError, GateError, SynthError, UsageError
from synth_mlflow.review.answers import answers_csv
from synth_mlflow.review.sheet import SheetKey
from synth_mlflow.tracking import names

BATCH_FILES = {"data.parquet", "preview.json"}
"""What a generator made is kept as it is, labels that it learned from few rows too."""


def planted() -> pd.DataFrame:
    """Rows whose numbers, rare labels, identifiers and texts cannot be mistaken for anything else."""
    rng = np.random.default_rng(1)
    n = 300
    amount = np.round(rng.uniform(30_000, 90_000, n), 4)
    amount[:2] = 12_345.6781, 98_765.4321  # the least and the greatest
    town = rng.choice(np.array(["north", "south", "east"], dtype=object), n)
    town[[5, 70, 140, 6, 71]] = ["qzArcadia", "qzBeulah", "qzCamelot", "qzDilmun", "qzDilmun"]
    return pd.DataFrame(
        {
            "amount": amount,
            "born": pd.Timestamp("1931-03-07") + pd.to_timedelta(rng.integers(0, 20_000, n), unit="D"),
            "town": town,
            "customer": [rng.bytes(12).hex() for _ in range(n)],
            "note": [f"row {at} told us {rng.integers(10**9)} and will never tell us that again" for at in range(n)],
            "bought": np.where(amount + rng.normal(0, 9_000, n) > 60_000, "yes", "no"),
        }
    )


def unpacked(name: str, data: bytes) -> Iterator[tuple[str, bytes]]:
    """The bytes of a file, and whatever is packed in them, as text too."""
    yield name, data
    if data[:2] == b"PK":
        with zipfile.ZipFile(io.BytesIO(data)) as packed:
            for inner in packed.namelist():
                yield from unpacked(f"{name}/{inner}", packed.read(inner))
    elif data[:4] == b"PAR1":
        yield f"{name} as text", pd.read_parquet(io.BytesIO(data)).to_csv().encode()
    elif data[:6] == b"\x93NUMPY":
        yield f"{name} as text", " ".join(map(repr, np.load(io.BytesIO(data)).ravel().tolist())).encode()
    elif data[:8] == b"\x89PNG\r\n\x1a\n":
        yield from ((f"{name} text", zlib.decompress(text)) for text in compressed_texts(data))


def compressed_texts(png: bytes) -> Iterator[bytes]:
    at = 8
    while at < len(png):
        size, kind = int.from_bytes(png[at : at + 4], "big"), png[at + 4 : at + 8]
        if kind == b"zTXt":
            yield png[at + 8 : at + 8 + size].partition(b"\0")[2][1:]
        at += size + 12


def found_in(folder: Path, values: list[str]) -> set[tuple[str, str]]:
    """Every planted value with the file in which it stands."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    pieces = [(path.name, text) for path in files for _, text in unpacked(path.name, path.read_bytes())]
    return {(value, name) for name, text in pieces for value in values if value.encode() in text}


@pytest.mark.slow
def test_no_value_of_a_real_row_is_on_the_server(
    uri: str, write_project: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[str] = []
    note_pictures(monkeypatch, drawn)
    rows = planted()
    path = write_project(rows, more="columns: {note: {role: ignored}}", slices='{rich: "amount > 60000"}')
    (tmp_path / "rows.csv").rename(tmp_path.parent / f"{tmp_path.name}.csv")
    data = tmp_path.parent / f"{tmp_path.name}.csv"
    path.write_text(path.read_text().replace("data: rows.csv", f"data: {data}"))
    workflow = Workflow("shop", uri)
    workflow.define(path)
    frozen = workflow.freeze(store="reference")
    workflow.generate("gaussian_copula", rows=300, purpose="more rows", seed=1)
    record = {"version": "1", "params": {}, "seed": 2, "slice": None, "source": "none"}
    with workflow.batch(generator="damaged", **record, purpose="each check has something to say") as b:
        shuffled = rows.drop(columns="note").assign(town="qzCamelot", born=pd.Timestamp("1999-09-09"))
        b.write(shuffled.assign(amount=np.linspace(1, 2, 300), customer=[f"{at:024x}" for at in range(300)]))
    verdicts = {verdict.verdict for verdict in workflow.validate()}
    assert "fail" in verdicts and "pass" in verdicts
    workflow.sweep((0.0, 0.5), repeats=3, n_jobs=1)
    workflow.report()
    for run_of in workflow.project.reader.finished("evaluation_set") + workflow.project.reader.finished("batch"):
        assert names.P_SALT not in run_of.params and names.P_KEY_FINGERPRINT in run_of.params
    key = key_path(data).read_text().strip()
    assert frozen.run.params[names.P_KEY_FINGERPRINT] == fingerprint(key)
    labels = ["qzArcadia", "qzBeulah", "qzCamelot", "qzDilmun"]
    numbers = [text for value in rows["amount"] for text in (repr(float(value)), f"{value:,.4f}")]
    never = [key, *rows["customer"], *rows["note"], *numbers]
    assert found_in(tmp_path, never) == set()
    assert {place for place in found_in(tmp_path, labels) if place[1] not in BATCH_FILES} == set()
    assert not [text for text in drawn if any(value in text for value in labels + never)]
    assert found_in(tmp_path, ["north"])  # the search finds what may be there


@pytest.mark.slow
def test_no_value_of_a_real_row_is_on_the_server_after_later_verbs(
    uri: str, write_project: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Searches, blind sheets and answers, drafts and retractions; with a column of texts."""
    drawn: list[str] = []
    note_pictures(monkeypatch, drawn)
    rows, elsewhere = planted(), tmp_path.parent / f"{tmp_path.name}-elsewhere"
    elsewhere.mkdir()
    path = shop.write_shop(elsewhere, rows, more="columns: {note: {role: text}}", slices='{rich: "amount > 60000"}')
    workflow = Workflow("shop", uri)
    workflow.define(path)
    workflow.freeze(store="reference")
    with pytest.raises(SynthError, match=r"(?s)free text.*text=resample"):
        workflow.generate("auto", purpose="real texts are handed out only to who asks for it")
    record = {"generator": "law", "version": "1", "params": {}, "seed": 2, "slice": None, "source": "none"}
    made = rows.assign(amount=rows["amount"].round(-2) + 7, born=pd.Timestamp("1955-01-01"), town="north")
    made = made.assign(customer=[f"{at:024x}" for at in range(300)], note=[f"made {at} up" for at in range(300)])
    with workflow.batch(**record, purpose="further rows") as b:
        b.write(made)
    batch = b.batch.batch
    workflow.review_sheet(batch, 60, output=elsewhere / "sheets")
    key = SheetKey(workflow.project.batch(batch).digest, workflow.project.evaluation_set().training_digest, 60)
    (elsewhere / "answers.csv").write_text(answers_csv(key.sheet_id, [float(real) for real in key.is_real]))
    workflow.review(batch, elsewhere / "answers.csv", rater="Ada")
    assert workflow.validate(batch).verdict == "fail"
    workflow.draft_handoff(GateError("no batch passed", ""), elsewhere / "draft.html")
    workflow.verify(deep=True), workflow.status(), workflow.export("prov-json"), workflow.export("croissant")
    workflow.retract(batch, reason="made up", by="Ada")
    numbers = [text for value in rows["amount"] for text in (repr(float(value)), f"{value:,.4f}")]
    labels = ["qzArcadia", "qzBeulah", "qzCamelot", "qzDilmun"]
    never = [key_path(elsewhere / "rows.csv").read_text().strip(), *rows["customer"], *rows["note"], *numbers, *labels]
    assert found_in(tmp_path, never) == set()
    assert not [text for text in drawn if any(value in text for value in never)]
    assert found_in(tmp_path, ["made 7 up"])  # the search finds what may be there


def coarse(n_rows: int, seed: int) -> pd.DataFrame:
    """Rows of which there are few: all of them can be guessed."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({"age": rng.integers(20, 40, n_rows), "sex": rng.choice(["f", "m"], n_rows)})
    bought = rng.random(n_rows) < 0.2 + 0.6 * (frame["age"] > 30)
    return frame.assign(region=rng.choice(["north", "south", "east"], n_rows), bought=np.where(bought, "yes", "no"))


def all_coarse_rows() -> pd.DataFrame:
    values = itertools.product(range(20, 40), ["f", "m"], ["north", "south", "east"], ["no", "yes"])
    return pd.DataFrame(values, columns=["age", "sex", "region", "bought"])


def matched_guesses(workflow: Workflow, folder: Path, guesses: pd.DataFrame) -> set[str]:
    """The files of the server with a digest of a guessed row, under any text of the server as salt.

    A run's texts are its parameters and tags: all that somebody has who may read the project.
    """
    runs = workflow.project.reader.runs()
    texts = {text for run in runs for text in (*run.params.values(), *run.tags.values())}
    salts = {text for text in texts if re.fullmatch("(?:[0-9a-f]{2})+", text)} | {"", "00"}
    guessed = np.concatenate([row_digests(guesses, salt) for salt in sorted(salts)])
    found = set()
    for path in folder.rglob("*.npz"):
        with np.load(path, allow_pickle=False) as arrays:
            numbers = [arrays[name] for name in arrays.files if arrays[name].dtype.kind in "ui"]
        if any(np.isin(guessed, each).any() for each in numbers):
            found.add(path.name)
    return found


@pytest.mark.slow
@pytest.mark.parametrize("store", ["reference", "rows"])
def test_no_row_can_be_guessed_from_a_digest(
    uri: str, write_project: Callable[..., Path], tmp_path: Path, store: Literal["reference", "rows"]
) -> None:
    workflow = Workflow("shop", uri)
    workflow.define(write_project(coarse(600, 1), slices='{old: "age > 30"}'))
    workflow.freeze(store=store)
    record = {"generator": "law", "version": "1", "params": {}, "seed": 2, "slice": None, "source": "none"}
    with workflow.batch(**record, purpose="more rows") as b:
        b.write(coarse(600, 2))
    expected = set() if store == "reference" else {"row_digests.npz"}  # where rows are kept, their digests may be
    assert matched_guesses(workflow, tmp_path, all_coarse_rows()) == expected
    if store == "reference":
        key = key_path(tmp_path / "rows.csv").read_text().strip()
        assert key not in "".join(path.read_text(errors="replace") for path in tmp_path.rglob("*.db"))


def note_pictures(monkeypatch: pytest.MonkeyPatch, drawn: list[str]) -> None:
    """Every text of every picture, before it becomes points."""
    from matplotlib.text import Text

    draw = Text.draw

    def noted(self: Text, renderer: object) -> None:
        drawn.append(self.get_text())
        draw(self, renderer)

    monkeypatch.setattr(Text, "draw", noted)


@pytest.fixture
def by_reference(uri: str, write_project: Callable[..., Path]) -> Workflow:
    workflow = Workflow("shop", uri)
    workflow.define(write_project())
    workflow.freeze(store="reference")
    return workflow


@pytest.mark.slow
def test_the_key_is_its_users_alone_and_found_beside_renamed_data(by_reference: Workflow, tmp_path: Path) -> None:
    path = key_path(tmp_path / "rows.csv")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    rows = by_reference.training_rows().head(3)
    assert by_reference.identify(rows).counts["training"] == 3
    (tmp_path / "there").mkdir()
    (tmp_path / "rows.csv").rename(tmp_path / "there" / "moved.csv")
    asked = str(tmp_path / "there" / "moved.csv")
    assert Workflow("shop", by_reference.project.server.tracking_uri, data=asked).identify(rows).counts["training"] == 3
    path.unlink()
    make_key(tmp_path / "other.csv")
    with pytest.raises(
        EvidenceError, match=r"(?s)key of their row digests .* is not in .*\nCopy rows.csv.synth-mlflow"
    ):
        Workflow("shop", by_reference.project.server.tracking_uri, data=asked).identify(rows)


@pytest.mark.slow
def test_without_the_rows_one_error_says_what_to_do(
    by_reference: Workflow, tmp_path: Path, call: Callable[..., tuple[int, str, str]]
) -> None:
    again = by_reference.training_rows().head(3)
    again.to_csv(tmp_path / "again.csv", index=False)
    (tmp_path / "rows.csv").rename(tmp_path / "moved.csv")
    at = ("--tracking-uri", by_reference.project.server.tracking_uri, "-q")
    code, _, told = call("identify", str(tmp_path / "again.csv"), *at)
    assert code == 4 and "name it with `--data FILE`; its key stands beside it" in told
    code, out, _ = call("identify", str(tmp_path / "again.csv"), "--data", str(tmp_path / "moved.csv"), *at)
    assert code == 0 and "training" in out


def test_a_file_that_is_no_key_and_a_folder_that_takes_none(tmp_path: Path) -> None:
    key_path(tmp_path / "rows.csv").write_text("mine")
    with pytest.raises(UsageError, match="is no key of row digests"):
        make_key(tmp_path / "rows.csv")
    with pytest.raises(UsageError, match="cannot be written to"):
        make_key(tmp_path / "missing" / "rows.csv")
    assert make_key(tmp_path / "a.csv") == make_key(tmp_path / "a.csv") != make_key(tmp_path / "b.csv")


def test_rare_labels_are_counted_over_all_real_rows() -> None:
    sides = [pd.DataFrame({"town": [*["Bonn"] * 6, "Ulm", None]}), pd.DataFrame({"town": [*["Bonn"] * 6, "Trier"]})]
    rare = rare_labels(sides, Task("sold", "binary"), "slices: {old: 'town == \"Trier\"'}")
    assert rare == {"town": ("Ulm",)}
    assert renamed(sides[0], rare)["town"].dropna().tolist() == [*["Bonn"] * 6, "rare label 1"]
    assert as_missing(sides[0], rare)["town"].isna().tolist() == [False] * 6 + [True] * 2
    for task in (
        Task("town", "binary"),
        Task("sold", "binary", "town"),
        Task("sold", "binary", None, {"town": "text"}),
    ):
        assert rare_labels(sides, task, "") == {}
