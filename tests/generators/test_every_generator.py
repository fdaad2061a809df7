"""What every built-in generator keeps: the contract of kinds, determinism, slices and hard inputs."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from threadpoolctl import threadpool_limits

from synth_mlflow.data.columns import conform, normalise, schema_of
from synth_mlflow.data.digests import table_digest
from synth_mlflow.data.slices import Slice
from synth_mlflow.data.task import Task
from synth_mlflow.errors import GeneratorError, UsageError
from synth_mlflow.generators import Sampler
from synth_mlflow.generators._table_sampler import TableSampler
from synth_mlflow.plugins import find, installed

BUILT_IN = sorted(name for name, plugin in installed("generators").items() if plugin.origin == "built in")
SLICES = [
    'region == "east"',
    "visits > 6 and smoker == true",
    'opened >= "2024-05-01"',
    "children is missing",
    'currency == "EUR" and price < 0.5',
    "empty is missing",
]


def fit(name: str, members: pd.DataFrame, task: Task, seed: int = 0, where: str | None = None) -> TableSampler:
    generator = find("generators", name).load()()
    chosen = None if where is None else Slice.parse(where)
    sampler: TableSampler = generator.fit(members, task, np.random.default_rng(seed), slice=chosen)
    return sampler


@pytest.fixture(scope="module", params=BUILT_IN)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def sampler(name: str, mixed: pd.DataFrame, churn: Task) -> Sampler:
    return fit(name, mixed, churn)


def test_columns_and_kinds_are_those_of_the_members(sampler: Sampler, mixed: pd.DataFrame) -> None:
    drawn = sampler.sample(500, np.random.default_rng(1))
    pd.testing.assert_frame_equal(conform(drawn, schema_of(mixed)), drawn)


def test_missing_values_stay_as_frequent(sampler: Sampler, mixed: pd.DataFrame) -> None:
    drawn = sampler.sample(3_000, np.random.default_rng(1))
    assert np.abs(drawn.isna().mean() - mixed.isna().mean()).max() < 0.05


@pytest.mark.slow
def test_same_seed_same_rows_and_another_seed_others(name: str, mixed: pd.DataFrame, churn: Task) -> None:
    first, again = (fit(name, mixed, churn, seed=3).sample(50, np.random.default_rng(4)) for _ in range(2))
    pd.testing.assert_frame_equal(first, again)
    assert not first.equals(fit(name, mixed, churn, seed=3).sample(50, np.random.default_rng(5)))


@pytest.mark.slow
def test_the_thread_count_changes_nothing(name: str, mixed: pd.DataFrame, churn: Task) -> None:
    batches = []
    for n_threads in (1, 2):
        with threadpool_limits(n_threads):
            batches.append(table_digest(fit(name, mixed, churn).sample(200, np.random.default_rng(1))))
    assert batches[0] == batches[1]


def test_the_same_generator_goes_on_with_further_rows(sampler: Sampler) -> None:
    rng = np.random.default_rng(1)
    assert not sampler.sample(50, rng).equals(sampler.sample(50, rng))


def test_fitting_does_not_touch_the_members(name: str, mixed: pd.DataFrame, churn: Task) -> None:
    before = mixed.copy(deep=True)
    fit(name, mixed, churn).sample(20, np.random.default_rng(0))
    pd.testing.assert_frame_equal(mixed, before)


def test_identifiers_are_fresh_unique_and_noted(sampler: Sampler, mixed: pd.DataFrame) -> None:
    drawn = sampler.sample(2_000, np.random.default_rng(1))
    for column in ("customer_id", "uuid"):
        assert drawn[column].is_unique
        assert not drawn[column].isin(mixed[column]).any()
    assert sampler.notes["identifiers_made_afresh"] == ["customer_id", "uuid"]


def test_pieces_make_the_whole_with_unique_identifiers(name: str, mixed: pd.DataFrame, churn: Task) -> None:
    pieces = list(fit(name, mixed, churn).chunks(1_050, np.random.default_rng(0), chunk_rows=400))
    assert [len(piece) for piece in pieces] == [400, 400, 250]
    assert pd.concat(pieces)["customer_id"].is_unique


def test_no_rows_have_the_columns(sampler: Sampler, mixed: pd.DataFrame) -> None:
    nothing = sampler.sample(0, np.random.default_rng(0))
    assert list(nothing.columns) == list(mixed.columns)
    assert nothing.empty


@pytest.mark.slow
@pytest.mark.parametrize("where", SLICES)
def test_every_row_lies_in_the_slice(name: str, where: str, mixed: pd.DataFrame, churn: Task) -> None:
    sampler = fit(name, mixed, churn, where=where)
    drawn = sampler.sample(200, np.random.default_rng(1))
    chosen = Slice.parse(where)
    assert len(drawn) == 200
    assert chosen.mask(drawn).all()
    assert sampler.notes["slice_rows"] == chosen.mask(mixed).sum()


def test_a_slice_without_real_rows_is_refused_with_the_number(name: str, mixed: pd.DataFrame, churn: Task) -> None:
    with pytest.raises(GeneratorError, match="0 of 600 real rows"):
        fit(name, mixed, churn, where="visits > 1000")


def test_a_slice_on_identifiers_is_refused(name: str, mixed: pd.DataFrame, churn: Task) -> None:
    with pytest.raises(UsageError, match="identifiers and are made afresh"):
        fit(name, mixed, churn, where="customer_id < 1100")


def test_a_slice_on_an_unknown_column_names_the_nearest(name: str, mixed: pd.DataFrame, churn: Task) -> None:
    with pytest.raises(UsageError, match="Did you mean 'region'"):
        fit(name, mixed, churn, where='regio == "north"')


def test_few_rows_in_the_slice_are_said(name: str, mixed: pd.DataFrame, churn: Task) -> None:
    sampler = fit(name, mixed, churn, where="visits > 6 and smoker == true")
    assert f"only {sampler.notes['slice_rows']} real rows" in sampler.notes["slice_warning"]


def test_one_row_is_refused_with_the_number(name: str, mixed: pd.DataFrame, churn: Task) -> None:
    with pytest.raises(GeneratorError, match="1 real rows were given, at least 10"):
        fit(name, mixed.head(1), churn)


@pytest.mark.parametrize("values", [["a", "b"] * 10, list(range(20)), [1.5, None] * 10, [True, False] * 10, ["a"] * 20])
def test_one_column_works(name: str, values: list[object]) -> None:
    members = normalise(pd.DataFrame({"y": values}))
    drawn = fit(name, members, Task("y", "binary")).sample(30, np.random.default_rng(0))
    pd.testing.assert_frame_equal(conform(drawn, schema_of(members)), drawn)


@pytest.mark.parametrize("labels", [[0, 1], [0.0, None], [3, 7, 11]])
def test_class_labels_may_be_numbers(name: str, labels: list[float | None]) -> None:
    rng = np.random.default_rng(0)
    members = normalise(pd.DataFrame({"x": rng.normal(size=300), "y": [labels[i % len(labels)] for i in range(300)]}))
    drawn = fit(name, members, Task("y", "multiclass")).sample(200, np.random.default_rng(0))
    pd.testing.assert_frame_equal(conform(drawn, schema_of(members)), drawn)
    assert drawn["y"].drop_duplicates().isin(members["y"]).all()


@pytest.mark.parametrize(
    "values",
    [
        np.random.default_rng(0).standard_cauchy(300) * 1e6,
        np.random.default_rng(0).integers(2**50, 2**52, 300),
        np.where(np.arange(300) < 2, 1.5, np.nan),
        np.append(np.zeros(299), 1.0),
        pd.to_datetime(np.random.default_rng(0).integers(-5 * 10**9, 10**9, 300), unit="s"),
        pd.to_datetime(np.random.default_rng(0).integers(0, 10**15, 300), unit="us"),
    ],
    ids=["heavy tail", "large integers", "two values", "one exception", "old dates", "microseconds"],
)
@pytest.mark.filterwarnings("error")
def test_awkward_numbers_work(name: str, values: npt.ArrayLike) -> None:
    members = normalise(pd.DataFrame({"x": values, "y": np.arange(300) == 5}))
    drawn = fit(name, members, Task("y", "binary")).sample(200, np.random.default_rng(0))
    pd.testing.assert_frame_equal(conform(drawn, schema_of(members)), drawn)
    assert drawn["x"].min() >= members["x"].min()
    assert drawn["x"].max() <= members["x"].max()


def test_ten_rows_work(name: str, mixed: pd.DataFrame, churn: Task) -> None:
    members = normalise(mixed.head(10))
    drawn = fit(name, members, churn).sample(30, np.random.default_rng(0))
    pd.testing.assert_frame_equal(conform(drawn, schema_of(members)), drawn)


@pytest.mark.slow
def test_twenty_thousand_levels_work(name: str) -> None:
    rng = np.random.default_rng(0)
    members = normalise(
        pd.DataFrame({"shop": [f"s{i}" for i in rng.integers(0, 20_000, 30_000)], "y": rng.random(30_000) < 0.5})
    )
    drawn = fit(name, members, Task("y", "binary")).sample(1_000, np.random.default_rng(0))
    assert drawn["shop"].isin(members["shop"]).all()
    assert drawn["shop"].nunique() > 500


@pytest.mark.slow
def test_more_columns_than_rows_work(name: str) -> None:
    rng = np.random.default_rng(0)
    members = normalise(pd.DataFrame(rng.normal(size=(60, 80)), columns=[f"c{i}" for i in range(80)]))
    drawn = fit(name, members, Task("c0", "regression")).sample(40, np.random.default_rng(0))
    assert drawn.notna().to_numpy().all()


def test_free_text_is_refused_unless_asked_for(name: str) -> None:
    rng = np.random.default_rng(0)
    words = np.array(["please", "call", "me", "back", "about", "the", "broken", "kettle", "soon", "thanks"])
    texts = [" ".join(rng.choice(words, 9)) for _ in range(200)]
    members = normalise(pd.DataFrame({"note": texts, "y": rng.random(200) < 0.5}))
    with pytest.raises(GeneratorError, match="'note' holds free text"):
        fit(name, members, Task("y", "binary"))
    sampler = find("generators", name).load()(text="resample").fit(members, Task("y", "binary"), rng)
    assert sampler.sample(20, rng)["note"].isin(texts).all()
    assert sampler.notes["text_resampled_from_members"] == ["note"]


def test_the_class_says_what_the_list_needs(name: str) -> None:
    plugin = find("generators", name).load()
    assert plugin.summary
    assert plugin.version
    assert plugin.leaky is (name in {"bootstrap_noise", "smote"})
