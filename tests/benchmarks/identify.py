"""How long `identify` takes to look rows up, on made-up digests: run by hand, prints seconds and memory.

OMP_NUM_THREADS=1 python tests/benchmarks/identify.py                              1,000,000 rows, 50 batches
OMP_NUM_THREADS=1 python tests/benchmarks/identify.py --rows 100000 --batches 500 --batch-rows 20000
"""

from __future__ import annotations

import argparse
import resource
import time

import numpy as np
import pandas as pd

from synth_mlflow.data.digests import Hashes, row_digests
from synth_mlflow.queries.identify import Lookup, RecordedSet

SALT = "00" * 16
NUMBER_COLUMNS, TEXT_COLUMNS = 8, 4


def main() -> None:
    """Read the options, make digests up, and time both halves of the work."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--batches", type=int, default=50)
    parser.add_argument("--batch-rows", type=int, default=100_000)
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    sets = made_up(rng, options.batches, options.batch_rows)
    rows = asked(rng, sets, options.rows)
    start = time.perf_counter()
    found = Lookup("made up", (), None, np.ones(len(rows), dtype=np.bool_)).of(rows, sets)
    seconds = time.perf_counter() - start
    print(f"{options.rows:,} rows against {options.batches} batches of {options.batch_rows:,} rows")
    print(f"looked up in   {seconds:6.2f} s   {found.counts}")
    table = frame(rng, options.rows)
    start = time.perf_counter()
    row_digests(table, SALT)
    print(f"digests made in {time.perf_counter() - start:5.2f} s   of {table.shape[1]} columns")
    print(f"at most {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6:.1f} GB of memory")


def made_up(rng: np.random.Generator, n_batches: int, n_rows: int) -> list[RecordedSet]:
    """Real rows on two sides, and batches of which every second shares a tenth of its rows with the one before."""
    nothing = np.empty(0, dtype=np.uint64)
    sets = [RecordedSet(side, "run", drawn(rng, n_rows), nothing) for side in ("training", "evaluation")]
    for at in range(n_batches):
        digests = drawn(rng, n_rows)
        if at % 2:
            digests[: n_rows // 10] = sets[-1].distinctive[: n_rows // 10]
        sets.append(RecordedSet(f"batch-{at}", "run", digests[: n_rows // 2], digests[n_rows // 2 :]))
    return sets


def asked(rng: np.random.Generator, sets: list[RecordedSet], n_rows: int) -> Hashes:
    """Half of the rows from the recorded sets, half unknown."""
    known = np.concatenate([each.distinctive for each in sets])
    return np.concatenate([rng.choice(known, n_rows // 2), drawn(rng, n_rows - n_rows // 2)])


def drawn(rng: np.random.Generator, n_rows: int) -> Hashes:
    """Made-up digests."""
    return rng.integers(0, 2**64, n_rows, dtype=np.uint64)


def frame(rng: np.random.Generator, n_rows: int) -> pd.DataFrame:
    """A normalised table of numbers and texts."""
    numbers = {f"x{at}": rng.normal(size=n_rows) for at in range(NUMBER_COLUMNS)}
    texts = {f"t{at}": pd.Series(rng.choice(list("abcdefgh"), n_rows), dtype="str") for at in range(TEXT_COLUMNS)}
    return pd.DataFrame({**numbers, **texts})


if __name__ == "__main__":
    main()
