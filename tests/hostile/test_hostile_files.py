"""Files made to do harm: bombs, code, odd encodings, names that would become markup or paths."""

from __future__ import annotations

import ast
import dataclasses
import gzip
import re
import tracemalloc
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import shop
from started import free_port

import synth_mlflow
from synth_mlflow import Workflow
from synth_mlflow.backends.batch_writer import pilot_page
from synth_mlflow.cli.main import _exit_code
from synth_mlflow.data.markup import checked_line
from synth_mlflow.data.provenance import Origin, read_origin
from synth_mlflow.data.slices import Slice
from synth_mlflow.data.statement import PLACEHOLDER, read_statement, sections
from synth_mlflow.data.tables import read_table, refuse_larger_than_memory
from synth_mlflow.data.task import Task
from synth_mlflow.errors import EvidenceError, SynthError, UsageError
from synth_mlflow.models.lightgbm import BoostedSettings
from synth_mlflow.tracking import names

BOMB = "\n".join(["a0: &a0 lol"] + [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)])
CODE = ("__import__('os').system('id')", "age < (lambda: 1)()", "age.__class__ == 1", "exec('x')", "age < 1; import os")
LONG = "x" * 1_000_000
PICKLES = {"pickle", "cloudpickle", "dill", "marshal", "shelve"}
NASTY = (
    "<script>alert(1)</script>",
    "a|b",
    "`rm -rf`",
    '"quoted"',
    "it's",
    "line\nbreak",
    "\U0001f98a",
    "=1+1",
    "../../up",
)


def statement(tmp_path, **changes):
    return shop.write_shop(tmp_path, shop.customers(60, 1), **changes)


@pytest.mark.parametrize(
    "front", [BOMB, "x: !!python/object/apply:os.system [id]", "x: !!python/name:os.system", "a: &x {b: *x}"]
)
def test_yaml_that_expands_or_runs_is_refused(tmp_path, front):
    (tmp_path / "problem.md").write_text(f"---\n{front}\n---\n")
    (tmp_path / "record.yaml").write_text(front)
    for read, path in ((read_statement, "problem.md"), (read_origin, "record.yaml")):
        with pytest.raises(UsageError, match="not plain YAML"):
            read(tmp_path / path)


def test_a_huge_statement_or_record_is_not_read(tmp_path):
    for name, read in (("problem.md", read_statement), ("record.yaml", read_origin)):
        with (tmp_path / name).open("wb") as file:
            file.truncate(100_000_000)
        tracemalloc.start()
        with pytest.raises(UsageError, match="100,000,000 bytes"):
            read(tmp_path / name)
        assert tracemalloc.get_traced_memory()[1] < 10_000_000
        tracemalloc.stop()


@pytest.mark.parametrize("odd", ["<!--" * 200_000, "## a" + " " * 500_000 + "x", "## " + "#a" * 400_000])
def test_prose_made_to_slow_down_its_reader_is_read_at_once(odd):
    """A regular expression takes hours for each of these."""
    assert sections(f"{odd}\n## A\n<!-- {PLACEHOLDER} --> yes <!-- no\n", ("A", "B")) == {"A": "yes <!-- no", "B": ""}


@pytest.mark.parametrize("name", ['"sh\\0op"', '"two\\nlines"'])
def test_control_characters_in_a_name_are_refused(tmp_path, name):
    with pytest.raises(UsageError, match="one line without control characters"):
        read_statement(statement(tmp_path, name=name))


@pytest.mark.parametrize("text", ["a\0b", "a\ud83eb"])
def test_texts_that_not_every_server_keeps_are_refused(tmp_path, text):
    """PostgreSQL takes no NUL, and half of a surrogate pair is not UTF-8: both would end in the middle of a run."""
    with pytest.raises(UsageError, match=r"half of a surrogate pair|a text of Unicode"):
        Origin("law", "1", {}, 1, None, text)
    with pytest.raises(UsageError, match="needs a name on one line"):
        checked_line(text, 200, "a sign-off needs a name", "")
    with pytest.raises(UsageError, match="no NUL character and no half of a surrogate pair"):
        read_statement(statement(tmp_path, target='"bought\\0"'))


@pytest.mark.parametrize("text", CODE)
def test_slices_never_run_code(text):
    with pytest.raises(UsageError, match="slice"):
        Slice.parse(text).mask(pd.DataFrame({"age": [1]}))


@pytest.mark.slow
def test_nothing_in_the_package_runs_or_unpickles_what_it_reads():
    """Looked at in the source itself: no eval, exec, pickle or YAML loader with tags; NumPy files without objects."""
    root = Path(synth_mlflow.__file__).parent
    allowed = {
        root / "backends/subprocess.py",  # through pipes, to a generator in a process of its own
        root / "models/raw_columns.py",  # travels with a saved estimator, and loads it where it is served
        root / "tracking/model_files.py",  # writes that file, and never reads one
    }
    for path in root.rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, ast.Import | ast.ImportFrom):
                modules = [alias.name for alias in node.names] + [getattr(node, "module", "") or ""]
                assert path in allowed or not PICKLES & set(modules), path
            if isinstance(node, ast.Call):
                called = ast.unparse(node.func)
                assert called not in ("eval", "exec", "compile", "os.system", "joblib.load", "yaml.unsafe_load"), path
                if called in ("np.load", "numpy.load"):
                    assert "allow_pickle=False" in ast.unparse(node), path
                if called.startswith("yaml.load"):
                    assert re.search(r"Loader=(_PlainLoader|yaml\.BaseLoader)", ast.unparse(node)), path
                if called.startswith("subprocess."):
                    assert "shell=True" not in ast.unparse(node), path


def test_a_parquet_bomb_is_refused_from_its_footer(tmp_path):
    """Ten million equal values in a hundred kilobytes."""
    path = tmp_path / "bomb.parquet"
    piece = pa.table({"x": pa.DictionaryArray.from_arrays(pa.array(np.zeros(10_000_000, np.int32)), pa.array([1.5]))})
    with pq.ParquetWriter(path, piece.schema) as writer:
        writer.write_table(piece)
    assert path.stat().st_size < 200_000
    with pytest.raises(UsageError, match=r"unfolds to 80,000,000 bytes or more; this machine has 50,000,000"):
        refuse_larger_than_memory(path, room=50_000_000)


def test_a_gzip_bomb_is_refused_before_it_is_unfolded(tmp_path):
    with gzip.open(tmp_path / "bomb.csv.gz", "wb") as text:
        for _ in range(20):
            text.write(b"0" * 1_000_000)
    with pytest.raises(UsageError, match="unfolds to"):
        refuse_larger_than_memory(tmp_path / "bomb.csv.gz", room=5_000_000)
    refuse_larger_than_memory(tmp_path / "bomb.csv.gz", room=30_000_000)


@pytest.mark.slow
def test_thousands_of_columns_are_read(tmp_path):
    wide = pd.DataFrame(np.ones((3, 3_000)), columns=[f"c{n}" for n in range(3_000)])
    wide.to_csv(tmp_path / "wide.csv", index=False)
    assert read_table(tmp_path / "wide.csv").shape == (3, 3_000)


@pytest.mark.parametrize("content", [
    b"a,b\n1,\x00\n", b"\x00\x01\x02", "a,b\né,1\n".encode("latin-1"), "a,b\n1,2\n".encode("utf-16"), b'a,b\n"1,2\n',
])  # fmt: skip
def test_odd_bytes_are_a_table_or_one_message(tmp_path, content):
    (tmp_path / "odd.csv").write_bytes(content)
    try:
        assert len(read_table(tmp_path / "odd.csv"))
    except UsageError as error:
        assert "odd.csv" in str(error)


def test_formulas_stay_text(tmp_path):
    (tmp_path / "formulas.csv").write_text('name,n\n=1+1,1\n"@SUM(A1)",2\n+cmd|calc,3\n')
    assert read_table(tmp_path / "formulas.csv")["name"].tolist() == ["=1+1", "@SUM(A1)", "+cmd|calc"]


@pytest.mark.slow
def test_names_of_a_megabyte_are_refused(tmp_path, uri):
    (tmp_path / "wide.csv").write_text(f"{LONG},b\n1,2\n")
    with pytest.raises(UsageError, match="1,000,000 characters, at most 250"):
        read_table(tmp_path / "wide.csv")
    pd.DataFrame({LONG: [1]}).to_parquet(tmp_path / "wide.parquet")
    with pytest.raises(UsageError, match="1,000,000 characters, at most 250"):
        read_table(tmp_path / "wide.parquet")
    rows = shop.customers(60, 1)
    rows["bought"] = np.where(rows["bought"] == "yes", LONG[:100_000], "no")
    with pytest.raises(UsageError, match="has 100,000 characters, at most 250"):
        Workflow("shop", uri).define(shop.write_shop(tmp_path, rows))
    for changed in ({"name": LONG[:900]}, {"slices": f'{{{LONG[:900]}: "age < 30"}}'}):
        with pytest.raises(UsageError, match="200 characters"):
            read_statement(statement(tmp_path, **changed))


@pytest.mark.slow
def test_nasty_columns_and_classes_go_the_whole_way(tmp_path, uri):
    rows = shop.customers(300, 1).rename(
        columns={"income": NASTY[0], "region": "a|b `c` \U0001f98a", "member": "../../up"}
    )
    rows["bought"] = rows["bought"].map({"yes": "<b>yes</b>\n| x |", "no": "=no'\""})
    path = shop.write_shop(tmp_path, rows, more=f"sensitive: ['{NASTY[0]}']")
    workflow = Workflow("shop", uri)
    workflow.define(path)
    workflow.freeze()
    batch = workflow.generate("bootstrap_noise", rows=200, purpose="\n".join(NASTY), pilot=True)
    workflow.validate(batch)
    for html in workflow.project.server.client.list_artifacts(batch.run_id, "batch"):
        assert ".." not in html.path
    page = workflow.project.reader.file(workflow.project.batches()[0].run, names.A_PILOT).read_text()
    assert "<script>" not in page and "<b>yes" not in page
    assert workflow.verify().holds


def test_pages_of_rows_forbid_everything_but_their_style():
    page = pilot_page("x", pd.DataFrame({"a": [1]}), None)
    assert re.search(r'Content-Security-Policy" content="default-src \'none\'; style-src \'sha256-', page)


@pytest.mark.slow
@pytest.mark.parametrize("path", ["../../../etc/passwd", "/etc/passwd", "batch/../../x"])
def test_paths_from_the_server_stay_inside(frozen, path):
    run = frozen.project.evaluation_set().run
    forged = dataclasses.replace(run, params={**run.params, names.P_ARTIFACT_PREFIX + path: "0" * 64})
    with pytest.raises(EvidenceError, match="lies elsewhere"):
        frozen.project.reader.file(forged, path)


def test_a_link_in_place_of_an_artifact_is_found(frozen, tmp_path):
    run = frozen.project.evaluation_set().run
    local = frozen.project.reader.file(run, names.A_SCHEMA)
    (tmp_path / "secret").write_text("s3cret")
    local.unlink()
    local.symlink_to(tmp_path / "secret")
    with pytest.raises(EvidenceError, match="someone changed it") as told:
        frozen.project.reader.file(run, names.A_SCHEMA)
    assert "s3cret" not in str(told.value)


SECRETS = {
    "http": "http://ann:s3cret-Pass@127.0.0.1:{port}",
    "postgresql": "postgresql://ann:s3cret-Pass@127.0.0.1:{port}/x?password=s3cret-Pass",
}


@pytest.mark.parametrize("kind", SECRETS)
def test_secrets_in_uris_reach_no_output(kind, tmp_path, monkeypatch, capfd):
    shop.write_shop(tmp_path, shop.customers(60, 1))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", SECRETS[kind].format(port=free_port()))
    for debug in ([], ["--debug"]):
        assert _exit_code(["define", "problem.md", *debug]) == 1
        told = capfd.readouterr()
        assert "127.0.0.1" in told.err
        assert "s3cret" not in told.err + told.out


def test_secrets_reach_no_run(uri, tmp_path, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-s3cret-Pass")
    workflow = Workflow("shop", uri)
    shop.write_shop(tmp_path, shop.customers(300, 1))
    workflow.define(tmp_path / "problem.md")
    workflow.freeze()

    def broken() -> None:
        with workflow.batch(
            generator="law", version="1", params={}, seed=1, slice=None, purpose="x", source="none"
        ) as b:
            b.write(shop.customers(10, 1))
            raise SynthError("cannot reach postgresql://ann:s3cret-Pass@db/x?password=s3cret-Pass")

    with pytest.raises(SynthError):
        broken()
    for run in workflow.project.reader.runs():
        assert "s3cret" not in repr(run)


@pytest.mark.parametrize(
    "name", ["machines", "workers", "local_port", "fs", "save_binary", "model_output", "config_file"]
)
def test_no_parameter_of_lightgbm_opens_files_or_ports(name):
    with pytest.raises(UsageError, match=f"'{name}' of LightGBM names files or other machines"):
        BoostedSettings.read({name: "x"}, Task("bought", "binary"), ("no", "yes"), seed=1, n_threads=1)
