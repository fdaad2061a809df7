"""Saved models take tables as their owners write them: texts that are values, identifiers, types of Parquet files."""

from __future__ import annotations

import datetime
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest
from mlflow.models import Model
from mlflow.pyfunc import scoring_server

from synth_mlflow.data.schema import ColumnRule, Wishes, present
from synth_mlflow.data.schema_inference import ReadTable, infer_table
from synth_mlflow.data.tables import raw_table
from synth_mlflow.data.task import ModelSpec, Task
from synth_mlflow.models.base import fit
from synth_mlflow.tracking.model_files import save_model

N_ROWS = 300
SPECS = {
    "lightgbm": ModelSpec("lightgbm", {"n_estimators": 8, "min_data_in_leaf": 5}),
    "tree": ModelSpec("sklearn.tree:DecisionTreeClassifier"),
}
RULES = {
    "stamp": ColumnRule(role="datetime", format="%Y%m%d"),
    "agrees": ColumnRule(role="boolean"),
    "memo": ColumnRule(role="ignored"),
    "dose": ColumnRule(missing=("n.a.",)),
}


def texts() -> pd.DataFrame:
    """Every form of texts that are values, an identifier, an ignored column."""
    rng = np.random.default_rng(0)
    moments = pd.Series(pd.Timestamp("2019-01-03") + pd.to_timedelta(rng.integers(0, 60 * 24 * 900, N_ROWS), "min"))
    money, seconds = rng.lognormal(7, 1, N_ROWS) - 500, rng.integers(0, 86_400, N_ROWS)
    return pd.DataFrame(
        {
            "number": [f"INV-{n:05d}" for n in rng.permutation(N_ROWS)],
            "money": [f"{'-' if x < 0 else ''}${abs(x):,.2f}" for x in money],
            "euro": [f"{x:,.2f} €".translate(str.maketrans(",.", ".,")) for x in money + 600],
            "ratio": [f"{x:.3f}".replace(".", ",") for x in rng.normal(size=N_ROWS)],
            "share": [f"{x:.1f}%" for x in rng.random(N_ROWS) * 100],
            "day": moments.dt.strftime("%d.%m.%Y"),
            "moment": moments.dt.strftime("%m/%d/%Y %I:%M %p"),
            "zoned": moments.dt.tz_localize("UTC").dt.tz_convert("+02:00").map(lambda moment: moment.isoformat()),
            "stamp": moments.dt.strftime("%Y%m%d"),
            "clock": [str(datetime.timedelta(seconds=int(n))).zfill(8) for n in seconds],
            "lasted": [f"{n // 3600 + 24}:{n // 60 % 60:02d}:{n % 60:02d}" for n in seconds],
            "dose": [f"{x:.1f}" if x > 0.3 else "n.a." for x in rng.random(N_ROWS) * 3],
            "agrees": rng.choice(["true", "false"], N_ROWS),
            "memo": "as agreed",
            "y": np.where(money + 300 * rng.normal(size=N_ROWS) > 600, "yes", "no"),
        }
    )


def served(table: ReadTable, folder: Path, spec: ModelSpec) -> tuple[Any, pd.DataFrame]:
    """A loaded model of a table that was read, and what it says of the rows in their own types."""
    task = Task("y", "binary", roles=table.table.roles)
    model = fit(spec, task, table.rows, seed=1)
    save_model(model, table.rows.drop(columns="y"), folder / "model", Model(), table.table.schema.forms)
    loaded = mlflow.pyfunc.load_model(str(folder / "model"))
    return loaded, loaded.predict(present(table.rows, table.table.schema))


@pytest.mark.slow
def test_files_that_pandas_reads_predict_as_the_rows_of_training(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    texts().to_csv(path, index=False)
    table = infer_table(raw_table(path), Wishes("y", rules=RULES))
    assert not table.questions
    own = present(table.rows, table.table.schema)
    for name, spec in SPECS.items():
        (tmp_path / name).mkdir()
        model, expected = served(table, tmp_path / name, spec)
        frames = [pd.read_csv(path), pd.read_csv(path, dtype=str), texts(), own, own.astype("category")]
        frames += [frame.drop(columns=["number", "memo"], errors="ignore") for frame in frames]
        for frame in frames:
            pd.testing.assert_frame_equal(model.predict(frame), expected)
        assert expected["prediction"].nunique() == 2
        schema = model.metadata.get_input_schema()
        assert not {"number", "memo", "y"} & set(schema.input_names())
        for body, content in (own.to_csv(index=False), "text/csv"), (as_json(own), "application/json"):
            answer = json.loads(scoring_server.invocations(body.encode(), content, model, schema).response)
            pd.testing.assert_frame_equal(pd.DataFrame(answer["predictions"]), expected, check_exact=False)


def as_json(frame: pd.DataFrame) -> str:
    """The body of a request."""
    return json.dumps({"dataframe_split": json.loads(frame.to_json(orient="split", index=False))})


def test_a_text_of_another_form_is_refused_with_the_form_that_was_needed(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    texts().to_csv(path, index=False)
    model, _ = served(infer_table(raw_table(path), Wishes("y", rules=RULES)), tmp_path, SPECS["lightgbm"])
    with pytest.raises(ValueError, match=r"'money' holds 300 values like 'much', numbers like \$1,234.57 were needed"):
        model.predict(texts().assign(money="much"))
    with pytest.raises(ValueError, match=r"'day' holds 300 values like '31.02.2024', dates like %d.%m.%Y were needed"):
        model.predict(texts().assign(day="31.02.2024"))


TYPES: dict[str, Callable[[pd.DataFrame], pd.DataFrame]] = {
    "as given": lambda frame: frame,
    "objects": lambda frame: frame.astype(object),
    "texts": lambda frame: frame.astype(str),
    "read_csv": lambda frame: pd.read_csv(io.StringIO(frame.to_csv(index=False))),
}


def test_types_of_parquet_files_predict_as_the_rows_of_training(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    moments = pd.Series(pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 9**6, N_ROWS), "s"))
    frame = pd.DataFrame(
        {
            "lasted": moments - pd.Timestamp("2023-12-30"),
            "day": moments.dt.date,
            "clock": moments.dt.time,
            "zoned": moments.dt.tz_localize("UTC").dt.tz_convert("Europe/Berlin"),
            "size": pd.Categorical(rng.choice(["S", "M", "L"], N_ROWS), ["S", "M", "L"], ordered=True),
            "step": pd.Categorical(rng.choice([1, 2, 5], N_ROWS)),
            "short": rng.normal(size=N_ROWS).astype("float32"),
            "y": np.where(moments.dt.hour + rng.normal(size=N_ROWS) > 11, "yes", "no"),
        }
    )
    frame.to_parquet(tmp_path / "rows.parquet")
    table = infer_table(raw_table(tmp_path / "rows.parquet"), Wishes("y"))
    model, expected = served(table, tmp_path, SPECS["lightgbm"])
    for change in TYPES.values():
        pd.testing.assert_frame_equal(model.predict(change(frame)), expected)
    pd.testing.assert_frame_equal(model.predict(present(table.rows, table.table.schema)), expected)
