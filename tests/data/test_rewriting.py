"""Commands that messages offer write what they say, with every cell as it was."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from synth_mlflow import StatementError, UsageError, Workflow
from synth_mlflow.data.csv_format import CsvFormat
from synth_mlflow.data.proposal import propose
from synth_mlflow.data.rewriting import Rewriting, rows_with, without_columns
from synth_mlflow.data.table_files import read_typed
from tests import shop


def run(rewriting: Rewriting, folder: Path) -> Path:
    command = shlex.split(rewriting.command)
    subprocess.run([sys.executable, *command[1:]], cwd=folder, check=True)
    return folder / rewriting.path


def test_cells_of_texts_stay_as_they_are(tmp_path: Path) -> None:
    (tmp_path / "it's.csv").write_text('zip;my "pay"\n007;1,50\n008;\n009;n.a.\n', encoding="cp1252")
    form = CsvFormat(";", "cp1252")
    written = run(rows_with('my "pay"', "it's.csv", missing=["n.a."], form=form), tmp_path)
    assert written.read_text() == 'zip,"my ""pay"""\n007,"1,50"\n'


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".parquet", ".feather", ".jsonl", ".tsv"])
def test_rows_and_columns_are_left_out_of_every_kind_of_file(tmp_path: Path, suffix: str) -> None:
    rows = pd.DataFrame({"a": [1.5, None, 2.5], "b": ["x", "y", "z"], "c": ["2", "3", "4"]})
    path = str(tmp_path / f"rows{suffix}")
    write = {
        ".parquet": rows.to_parquet,
        ".feather": rows.to_feather,
        ".jsonl": lambda to: rows.to_json(to, orient="records", lines=True),
        ".tsv": lambda to: rows.to_csv(to, sep="\t", index=False),
    }
    write[suffix](path)
    kept, fewer = run(rows_with("a", path), tmp_path), run(without_columns(["b", "a"], path), tmp_path)
    read = pd.read_csv if suffix == ".tsv" else read_typed
    assert read(kept)["b"].tolist() == ["x", "z"]
    assert [*read(fewer).columns] == ["c"]


def test_a_class_of_one_row_is_refused_with_the_command_that_leaves_it_out(tmp_path: Path, uri: str) -> None:
    rows = shop.customers(80, 1)
    rows["bought"] = ["maybe", *[None] * 4, *["yes", "no", "later"] * 25]
    statement = shop.write_shop(tmp_path, rows)
    statement.write_text(
        statement.read_text().replace("task: binary", "task: multiclass").replace("roc_auc", "accuracy")
    )
    with pytest.raises(StatementError, match=r"missing in 4 of 80 rows") as refused:
        Workflow("shop", uri).define(statement)
    command, data = refused.value.fix.splitlines()[-1].strip(), refused.value.fix.split("`data: ")[1].split("`")[0]
    assert len(pd.read_csv(run(Rewriting(command, data), tmp_path))) == 75
    with pytest.raises(UsageError, match=r"class 'maybe' .* has one row; .*, and the target is missing in 4 rows"):
        propose(statement.parent / "rows.csv", "bought")


def test_rows_without_a_target_are_refused_with_the_command_that_leaves_them_out(tmp_path: Path, uri: str) -> None:
    rows = shop.customers(80, 1)
    rows.loc[:4, "bought"] = None
    statement = shop.write_shop(tmp_path, rows)
    with pytest.raises(StatementError, match=r"missing in 5 of 80 rows.*\n.*\n?.*python -c") as refused:
        Workflow("shop", uri).define(statement)
    command, data = refused.value.fix.splitlines()[-1].strip(), refused.value.fix.split("`data: ")[1].split("`")[0]
    assert len(pd.read_csv(run(Rewriting(command, data), tmp_path))) == 75
    with pytest.raises(UsageError, match="neither train nor judge"):
        propose(tmp_path / "rows.csv", "bought")
