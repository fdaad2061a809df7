"""The predictor that travels with the model: same output after a round trip, readable without the package."""

import ast
import inspect

import numpy as np
import pandas as pd
import pytest

from synth_mlflow.data import value_formats
from synth_mlflow.data.columns import normalise
from synth_mlflow.data.task import ModelSpec, Task
from synth_mlflow.models import raw_columns, raw_values
from synth_mlflow.models.base import fit


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    """Every kind of column, with names that LightGBM refuses."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "a b": rng.normal(size=200),
            "a,b": rng.choice(["x", "y", None], 200),
            "flag": rng.choice([True, False, None], 200),
            "day": pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(0, 99, 200), "D"),
            "label": rng.choice(["lo", "mid", "hi"], 200),
        }
    )
    return normalise(frame)


@pytest.mark.parametrize(("target", "kind"), [("label", "multiclass"), ("flag", "binary"), ("a b", "regression")])
def test_round_trip_predicts_the_same(rows, tmp_path, target, kind):
    rows = rows.dropna(subset=[target])
    model = fit(ModelSpec(), Task(target, kind), rows, seed=1)
    model.predictor.save(tmp_path)
    loaded = raw_columns._load_pyfunc(str(tmp_path))
    assert loaded.classes == model.classes
    assert np.array_equal(loaded.scores(rows), model.predict(rows))
    output = loaded.predict(rows)
    assert list(output) == ["prediction", *(f"probability_{label}" for label in model.classes)]
    assert output.index.equals(rows.index)


def test_other_physical_types_of_the_same_values_predict_the_same(rows):
    predictor = fit(ModelSpec(), Task("label", "multiclass"), rows, seed=1).predictor
    other = rows.astype({"a,b": "category", "day": "datetime64[ns]"})
    other["flag"] = other["flag"].astype(object).where(other["flag"].notna(), None)
    other["day"] = other["day"].dt.tz_localize("UTC")
    assert np.array_equal(predictor.scores(other), predictor.scores(rows))
    texts = rows.assign(day=rows["day"].dt.strftime("%Y-%m-%d"), flag=rows["flag"].astype("Float64"))
    assert np.array_equal(predictor.scores(texts), predictor.scores(rows))


def test_lightgbm_itself_takes_categoricals_and_codes_alike(rows):
    predictor = fit(ModelSpec(), Task("label", "multiclass"), rows[["a,b", "a b", "label"]], seed=1).predictor
    frame = rows[["a,b", "a b"]].astype({"a,b": pd.CategoricalDtype(["x", "y"])})
    assert np.allclose(predictor.booster.predict(frame), predictor.scores(rows))


def test_durations_are_read_as_pandas_writes_them_to_json():
    spans = pd.Series(pd.to_timedelta([646, 93_600, None], unit="s"))
    days = value_formats.DurationText("days")
    by_json = ([646_000, 93_600_000, None], ["P0DT0H10M46S", "P1DT2H0M0S", None])  # of both date formats
    for told in (spans, spans.astype("str").where(spans.notna()), *map(pd.Series, by_json)):
        assert raw_values.numbers_of(told, days).fillna(-1).tolist() == [646, 93_600, -1]
    clock = value_formats.DurationText("clock")
    assert raw_values.numbers_of(pd.Series(["0:10:46", "PT10M46S", 646.0]), clock).tolist() == [646] * 3


def test_a_number_that_means_missing_is_missing_however_it_is_written():
    column = raw_columns.RawColumn("t", "number", words=("-999",))
    for told in ([1.5, -999.0], [1.5, -999], ["1.5", "-999.0"], ["1.5", "-999"], pd.array([1, -999], "Int64")):
        assert np.isnan(column.encode(pd.Series(told))[1])


def test_missing_column_is_named(rows):
    predictor = fit(ModelSpec(), Task("label", "multiclass"), rows, seed=1).predictor
    with pytest.raises(ValueError, match="day"):
        predictor.predict(rows.drop(columns="day"))


def test_folder_of_another_version_is_refused(rows, tmp_path):
    fit(ModelSpec(), Task("label", "multiclass"), rows, seed=1).predictor.save(tmp_path)
    record = tmp_path / raw_columns.COLUMNS_FILE
    record.write_text(record.read_text().replace(f'"schema": {raw_columns.SCHEMA_VERSION}', '"schema": 9'))
    with pytest.raises(ValueError, match="schema 9"):
        raw_columns.load(tmp_path)


@pytest.mark.parametrize("module", [raw_columns, raw_values, value_formats])
def test_files_import_nothing_of_the_package(module):
    tree = ast.parse(inspect.getsource(module))
    modules = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and not node.level}
    modules |= {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    assert not any(module.startswith("synth_mlflow") for module in modules)
    beside = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.level}
    assert beside <= {
        "raw_values",
        "raw_embedding",
        "raw_estimator",
        "data.value_formats",
        "data.json_text",
        "json_text",
        "conversation_text",
        "duration_format",
    }  # the modules that travel together


@pytest.mark.parametrize("word", sorted(raw_values.READ_AS_MISSING))
def test_a_category_that_read_csv_takes_for_missing_is_that_category(word, tmp_path):
    pd.DataFrame({"region": ["north", word]}).to_csv(tmp_path / "rows.csv", index=False)
    read = pd.read_csv(tmp_path / "rows.csv")["region"]
    assert read.isna().tolist() == [False, True]
    column = raw_columns.RawColumn("region", "string", (word, "north"), read_as_missing=(word,))
    assert column.conform(read).tolist() == ["north", word]
    (again,) = raw_columns.RawColumns.from_json(raw_columns.RawColumns((column,)).to_json())
    assert again == column


def test_several_such_categories_give_a_warning_that_says_how_to_read_the_file():
    column = raw_columns.RawColumn("region", "string", ("NA", "None"), read_as_missing=("NA", "None"))
    with pytest.warns(UserWarning, match="2 missing values.*keep_default_na=False"):
        assert column.conform(pd.Series(["NA", None, None])).isna().tolist() == [False, True, True]


def test_times_with_a_point_are_read_where_a_reader_made_numbers_of_them():
    column = raw_columns.RawColumn("at", "integer", format=value_formats.ClockText("%H.%M"))
    seconds = [8 * 3600 + 15 * 60, 20 * 3600, 0, 23 * 3600 + 59 * 60]
    for told in (["08.15", "20.00", "00.00", "23.59"], [8.15, 20.0, 0.0, 23.59], seconds):
        assert column.conform(pd.Series(told)).tolist() == seconds
    assert np.isnan(column.conform(pd.Series([8.15, None]))[1])
