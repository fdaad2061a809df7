"""Declared constraints through every door: kept by generators, and rows that break them refused with their number."""

import pandas as pd
import pytest
import yaml

from synth_mlflow.errors import GeneratorError, UsageError
from synth_mlflow.workflow import Workflow

DECLARED = 'constraints: ["age >= 18", "age < income", {fixed: [region, member]}]'
RECORD = {"generator": "law", "version": "1", "params": {}, "seed": 2, "slice": None, "purpose": "more rows"}


@pytest.fixture
def shop(uri, write_project):
    """A frozen project with constraints."""
    workflow = Workflow("shop", uri)
    workflow.define(write_project(more=DECLARED))
    workflow.freeze()
    return workflow


@pytest.mark.slow
def test_a_generator_keeps_them_and_the_record_says_how(shop):
    batch = shop.generate("gaussian_copula", rows=200, seed=1, purpose="more rows", slice='region == "north"')
    notes = batch.record.notes["constraints"]
    assert notes["declared"] == ["age >= 18", "age < income", "fixed(region, member)"]
    assert notes["kept_by_construction"] == ["age < income"]
    assert (notes["rows_kept"] >= 200, 0.3 < notes["acceptance_rate"] <= 1.0) == (True, True)


@pytest.fixture
def bad(customers):
    rows = customers(50, seed=2)
    rows.loc[:2, "age"] = 17
    rows.loc[0, "income"] = 1.0
    return rows


MATCH = r"'age >= 18' by 3; 'age < income' by 1 of 50 rows"


@pytest.mark.slow
def test_rows_of_ones_own_are_looked_at_and_counted_over_all_pieces(shop, bad):
    with pytest.raises(UsageError, match=MATCH), shop.batch(**RECORD) as b:
        b.write(bad.head(2))
        b.write(bad.tail(48))
    assert len(shop.batches()) == 0


@pytest.mark.slow
def test_so_are_files(shop, bad, tmp_path):
    bad.to_parquet(tmp_path / "made.parquet")
    (tmp_path / "record.yaml").write_text(yaml.safe_dump({**RECORD, "source": "none"}))
    with pytest.raises(UsageError, match=MATCH):
        shop.adopt_file(tmp_path / "made.parquet", tmp_path / "record.yaml")


@pytest.mark.slow
def test_so_are_functions_and_classes_may_try_again(shop, bad, tmp_path):
    bad.to_csv(tmp_path / "bad.csv", index=False)
    (tmp_path / "mine.py").write_text(
        "import pandas as pd\n"
        "def make(members, n_rows, seed):\n"
        "    return pd.read_csv('bad.csv', parse_dates=['since']).head(n_rows)\n"
        "class Mine:\n"
        "    notes = {}\n"
        "    def fit(self, members, task, rng, *, slice=None):\n"
        "        return self\n"
        "    def sample(self, n_rows, rng):\n"
        "        rows = pd.read_csv('bad.csv', parse_dates=['since'])\n"
        "        return rows.sample(n_rows, replace=True, random_state=rng.integers(99)).reset_index(drop=True)\n"
    )
    with pytest.raises(UsageError, match=MATCH):
        shop.generate("mine:make", rows=50, seed=1, purpose="x", version="1")
    notes = shop.generate("mine:Mine", rows=60, seed=1, purpose="x", version="1").record.notes
    assert notes["constraints"]["kept_by_construction"] == []
    assert notes["constraints"]["acceptance_rate"] < 1.0


@pytest.mark.slow
def test_what_is_never_drawn_is_an_error_and_no_run(shop, tmp_path):
    (tmp_path / "stuck.py").write_text(
        "class Stuck:\n"
        "    notes = {}\n"
        "    def fit(self, members, task, rng, *, slice=None):\n"
        "        self.rows = members.assign(age=3)\n"
        "        return self\n"
        "    def sample(self, n_rows, rng):\n"
        "        return self.rows.sample(n_rows, replace=True, random_state=1).reset_index(drop=True)\n"
    )
    with pytest.raises(GeneratorError, match=r"0 of 20,000 drawn rows keep all constraints"):
        shop.generate("stuck:Stuck", rows=60, seed=1, purpose="x", version="1")
    assert len(shop.batches()) == 0


@pytest.mark.slow
def test_combinations_of_a_silo_count_as_real(shop, customers, tmp_path):
    silo = customers(300, seed=5).assign(region="west")
    silo.to_csv(tmp_path / "silo.csv", index=False)
    batch = shop.generate("forest", rows=50, seed=1, purpose="the west", source=tmp_path / "silo.csv")
    assert batch.n_rows == 50
    with pytest.raises(UsageError, match=r"'fixed\(region, member\)' by 50 of 50 rows"), shop.batch(**RECORD) as b:
        b.write(customers(50, seed=6).assign(region="west"))


@pytest.mark.slow
def test_silo_rows_that_break_one_are_counted(shop, customers, tmp_path):
    silo = customers(300, seed=5)
    silo.loc[:4, "age"] = pd.Series([3, 4, 5, 6, 7])
    silo.to_csv(tmp_path / "silo.csv", index=False)
    with pytest.raises(UsageError, match="'age >= 18' is broken by 5 of"):
        shop.generate("forest", rows=50, seed=1, purpose="more rows", source=tmp_path / "silo.csv")
