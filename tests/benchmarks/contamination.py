"""How often `contamination` finds evaluation rows, and accuses honest batches. Run by hand, prints what was found.

OMP_NUM_THREADS=1 python tests/benchmarks/contamination.py                         1, 5 and 25 %, five draws of each
OMP_NUM_THREADS=1 python tests/benchmarks/contamination.py --draws 20 --tables cancer,wine --shares 5
OMP_NUM_THREADS=1 python tests/benchmarks/contamination.py --packages FOLDER --rows 1200,4000 --only accused

`--rows` are the sizes to which each table is cut; a table with fewer rows is left as it is. Half of the rows are
training rows, a quarter evaluation rows, a quarter neither; equal training and evaluation rows stay on one side, as
`freeze` keeps them. A batch has as many rows as that last quarter. Each draw splits anew; generators are fitted once
for ten draws, which then share their split. `--peers sdv=PYTHON` adds the generators of other people that an
environment holds (`peers.py`). `real_tables.py` says where tables come from.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import pandas as pd
from known_alteration import is_possible
from peers import PEERS
from real_tables import tables
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from synth_mlflow.backends.real_rows import ALPHA
from synth_mlflow.checks import CheckInput, judge
from synth_mlflow.checks.contamination import N_PROBES, Contamination
from synth_mlflow.data.columns import conform, schema_of
from synth_mlflow.data.digests import row_hashes
from synth_mlflow.data.task import Task
from synth_mlflow.metrics.intervals import Sizes, clopper_pearson
from synth_mlflow.metrics.shared_keys import KeyCounts
from synth_mlflow.plugins import find

plugin = Contamination()

MANY_VALUES = 12  # a number with fewer is left as it is


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


BUILT_IN = ("forest", "gaussian_copula", "bayes_net")
DRAWS_A_FIT = 10

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


def one_value(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows with the greatest value of the column of most values in each of them: a generator that is broken."""
    name = max(rows.columns[:-1], key=lambda name: rows[name].nunique())
    return rows.assign(**{str(name): rows[name].dropna().sort_values().iloc[-1]})


HONEST: dict[str, Made] = {
    "other real rows": lambda w, _: w.further,
    "a constant column": lambda w, _: one_value(w.further),
    "columns drawn apart": lambda w, rng: w.further.apply(lambda column: rng.permutation(column)),
    "few rows repeated": lambda w, rng: w.further.head(50).sample(w.n_rows, replace=True, random_state=1),
    "memorising trees": lambda w, rng: trees(w.training, w.n_rows, rng, 5),
    "smooth trees": lambda w, rng: trees(w.training, w.n_rows, rng, max(50, w.n_rows // 40)),
    "natural twins": lambda w, rng: twins(w.training, w.further, w.n_rows, rng),
    **{name: (lambda w, rng, name=name: built_in(name, w, rng).sample(w.n_rows, rng)) for name in BUILT_IN},
}


def twins(known: pd.DataFrame, rows: pd.DataFrame, n_rows: int, rng: np.random.Generator) -> pd.DataFrame:
    """Other real rows, each beside a copy of itself that differs in one value."""
    some = rows.iloc[rng.permutation(len(rows))[: n_rows // 2]].reset_index(drop=True)
    return pd.concat([some, one_changed(some, known, rng)], ignore_index=True)


class Fitted(Protocol):
    """What a generator's fit gives."""

    def sample(self, n_rows: int, rng: np.random.Generator) -> pd.DataFrame:
        """Draw rows."""
        ...


def built_in(name: str, world: World, rng: np.random.Generator) -> Fitted:
    """A generator of this package, fitted on training rows."""
    target = world.training.columns[-1]
    kind = "regression" if is_number(world.training[target]) else "multiclass"
    made: Fitted = find("generators", name).load()().fit(world.training, Task(target, kind), rng)
    return made


class Drawn:
    """Rows of a peer, drawn once in an environment of its own: each draw takes some of them."""

    def __init__(self, name: str, python: str, world: World, seed: int) -> None:
        with tempfile.TemporaryDirectory() as folder:
            source, out = Path(folder, "members.csv"), Path(folder, "drawn.csv")
            world.training.to_csv(source, index=False)
            script = Path(__file__).with_name("peers.py").resolve()
            target = str(world.training.columns[-1])
            subprocess.run([python, script, name, source, out, str(seed), target, ""], check=True, cwd=folder)
            self.rows = _in_types_of(world.training, pd.read_csv(out))

    def sample(self, n_rows: int, rng: np.random.Generator) -> pd.DataFrame:
        """Draw rows without replacement."""
        return self.rows.iloc[rng.permutation(len(self.rows))[:n_rows]].reset_index(drop=True)


def _in_types_of(training: pd.DataFrame, drawn: pd.DataFrame) -> pd.DataFrame:
    whole = training.select_dtypes("integer").columns
    return drawn[list(training.columns)].assign(**{name: drawn[name].round() for name in whole}).astype(training.dtypes)


def originals(world: World, share: float, rng: np.random.Generator) -> pd.DataFrame:
    """The evaluation rows behind a batch."""
    n_bad = max(1, min(int(share * world.n_rows), len(world.evaluation)))
    return world.evaluation.iloc[rng.permutation(len(world.evaluation))[:n_bad]].reset_index(drop=True)


def planted(kind: str, world: World, share: float, rng: np.random.Generator) -> pd.DataFrame:
    """Other real rows, with something made of evaluation rows among them."""
    rows = PLANTED[kind](world, originals(world, share, rng), rng)
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


LIMIT_ALPHA = plugin.defaults["alpha"] / N_PROBES
LIMITED = ("moved by 0.001", "moved by 0.01", "moved by 0.05", "one value changed", "half a row")

Cell = tuple[str, int]
"""A table, and how many of its rows."""
Counts = dict[tuple[object, ...], list[bool]]


def main() -> None:
    """Read the options, draw, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, default=5, help="of each table, size, kind and share")
    parser.add_argument("--shares", default="1,5,25", help="percent of the batch")
    parser.add_argument("--kinds", default="", help="names; all by default")
    parser.add_argument("--tables", default="", help="names; all that are here by default")
    parser.add_argument("--packages", type=Path, help="the site-packages that hold the packages with tables")
    parser.add_argument("--rows", default="4000", help="sizes to which tables are cut")
    parser.add_argument("--seed", type=int, default=0, help="of the first draw")
    parser.add_argument("--limits", action="store_true", help="also what a test that knew the alteration could find")
    parser.add_argument("--only", choices=("found", "accused"), help="one of the two questions")
    parser.add_argument("--peers", nargs="*", default=[], metavar="ENVIRONMENT=PYTHON")
    options = parser.parse_args()
    pythons = dict(pair.split("=", 1) for pair in options.peers)
    peers = {name: pythons[home] for name, (home, _) in PEERS.items() if home in pythons}
    cells: dict[Cell, pd.DataFrame] = {}
    for n_rows in map(int, options.rows.split(",")):
        for name, rows in tables(options.packages, options.tables, n_rows).items():
            cells[name, len(rows)] = rows
    seeds = range(options.seed, options.seed + options.draws)
    wanted = options.kinds.split(",") if options.kinds else [*PLANTED, *LEARNED, *HONEST]
    if options.only != "accused":
        shares = [float(one) / 100 for one in options.shares.split(",")]
        _print_found(_found(cells, [one for one in wanted if one not in HONEST], shares, seeds))
        if options.limits:
            _print_limits(cells, [one for one in wanted if one in LIMITED], shares, seeds)
    if options.only != "found":
        _print_accused(cells, [one for one in [*wanted, *peers] if one in {*HONEST, *peers}], seeds, peers)


def _found(cells: dict[Cell, pd.DataFrame], kinds: list[str], shares: list[float], seeds: range) -> Counts:
    counts: Counts = {}
    for (name, n_rows), rows in cells.items():
        for seed in seeds:
            world = split(rows, seed)
            for kind in kinds:
                for share in shares if kind in PLANTED else [1.0]:
                    rng = np.random.default_rng([seed, 11])
                    made = LEARNED.get(kind)
                    batch = made(world, rng) if made else planted(kind, world, share, rng)
                    caught = not passes(world, batch, seed)
                    counts.setdefault((kind, share, name, n_rows), []).append(caught)
    return counts


def _possible(kind: str, cells: dict[Cell, pd.DataFrame], share: float, seeds: range) -> list[bool]:
    """Of the same draws, those in which a test that knew the kind of alteration could be significant."""
    found = []
    for rows in cells.values():
        for seed in seeds:
            world, rng = split(rows, seed), np.random.default_rng([seed, 11])
            bad = originals(world, share, rng)
            real = pd.concat([world.training, world.evaluation], ignore_index=True).astype(world.training.dtypes)
            altered = PLANTED[kind](world, bad, rng)[: len(bad)].astype(real.dtypes)
            found.append(is_possible(altered, bad, real, world.n_rows, len(world.evaluation), LIMIT_ALPHA))
    return found


def _print_found(counts: Counts) -> None:
    kinds = list(dict.fromkeys(key[:2] for key in counts))
    cells = list(dict.fromkeys(key[2:] for key in counts))
    print("found, by table and its rows; n is the number of evaluation rows behind the batch")
    print(f"{'kind':22} {'share':>5}  " + " ".join(f"{f'{name}/{n_rows}':>16}" for name, n_rows in cells) + "   all")
    for kind, share in kinds:
        shown = []
        for name, n_rows in cells:
            found = counts[kind, share, name, n_rows]
            planted_rows = f" n={max(int(share * n_rows / 4), 1)}" if share < 1 else ""
            shown.append(f"{sum(found)}/{len(found)}{planted_rows}")
        every = [one for cell in cells for one in counts[(kind, share, *cell)]]
        print(f"{kind:22} {share:5.0%}  " + " ".join(f"{one:>16}" for one in shown) + f"   {_share(every)}", flush=True)


def _print_limits(cells: dict[Cell, pd.DataFrame], kinds: list[str], shares: list[float], seeds: range) -> None:
    print("\nsignificant for a test that knows how rows were altered")
    for kind in kinds:
        for share in shares:
            by_cell = [_possible(kind, {cell: rows}, share, seeds) for cell, rows in cells.items()]
            shown = " ".join(f"{f'{sum(found)}/{len(found)}':>16}" for found in by_cell)
            every = [one for found in by_cell for one in found]
            print(f"{kind:22} {share:5.0%}  {shown}   {_share(every)}", flush=True)


def _share(found: list[bool]) -> str:
    low, high = clopper_pearson(sum(found), len(found))
    return f"{sum(found)}/{len(found)} ({low:.0%} to {high:.0%})"


def _print_accused(cells: dict[Cell, pd.DataFrame], kinds: list[str], seeds: range, peers: Mapping[str, str]) -> None:
    print("\nhonest batches that do not pass\n" + f"{'batch':22} {'accused':>7} {'batches':>8}  where")
    start, every = time.process_time(), []
    for kind in kinds:
        found, where = [], []
        for (name, n_rows), rows in cells.items():
            for at, batch in enumerate(_honest(kind, rows, seeds, peers)):
                accused = not passes(*batch)
                found.append(accused)
                where += [f"{name}/{n_rows} seed {seeds[at]}"] if accused else []
        every += found
        print(f"{kind:22} {sum(found):7} {len(found):8}  {', '.join(where)}", flush=True)
    low, high = clopper_pearson(sum(every), len(every))
    seconds = (time.process_time() - start) / len(every)
    print(f"together {sum(every)} of {len(every)} ({low:.2%} to {high:.2%}), {seconds:.1f} CPU seconds a batch")


def _honest(
    kind: str, rows: pd.DataFrame, seeds: range, peers: Mapping[str, str]
) -> Iterator[tuple[World, pd.DataFrame, int]]:
    """Batches of one kind: generators are fitted once for `DRAWS_A_FIT` draws, real rows are split anew for each."""
    fitted: dict[int, tuple[World, Fitted]] = {}
    for seed in seeds:
        rng = np.random.default_rng([seed, 13])
        if kind not in (*BUILT_IN, *peers):
            world = split(rows, seed)
            yield world, HONEST[kind](world, rng), seed
            continue
        key = seed // DRAWS_A_FIT
        if key not in fitted:
            world = split(rows, key * DRAWS_A_FIT)
            generator = Drawn(kind, peers[kind], world, seed) if kind in peers else built_in(kind, world, rng)
            fitted[key] = world, generator
        world, generator = fitted[key]
        yield world, generator.sample(world.n_rows, rng), seed


if __name__ == "__main__":
    main()
