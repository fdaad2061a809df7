"""Train one model over the workers of a Dask cluster, and compare it with one process.

python tests/benchmarks/dask_training.py 1000000
"""

from __future__ import annotations

import sys
import time

import dask.array as da
import lightgbm
import numpy as np
from distributed import Client, LocalCluster
from sklearn.metrics import roc_auc_score

N_COLUMNS = 30
PARAMS = {"n_estimators": 50, "num_leaves": 31, "max_bin": 63, "verbosity": -1, "deterministic": True}


def rows(n_rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Numbers whose first ten columns decide the label, as single precision."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_rows, N_COLUMNS)).astype(np.float32)
    hidden = X[:, :10].sum(axis=1) + X[:, 0] * X[:, 1] + rng.normal(scale=2, size=n_rows)
    return X, (hidden > 0).astype(int)


def block(seed: int, n_rows: int, part: int) -> np.ndarray:
    """One piece, made where it is used."""
    return rows(n_rows, seed)[part]


def main(n_rows: int, n_pieces: int = 8) -> None:
    """Print the time and the AUC of both."""
    size = n_rows // n_pieces
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address="127.0.0.1:0") as cluster,
        Client(cluster) as client,
    ):
        pieces = [
            (client.submit(block, seed, size, 0), client.submit(block, seed, size, 1)) for seed in range(n_pieces)
        ]
        X = da.concatenate([da.from_delayed(x, (size, N_COLUMNS), np.float32) for x, _ in pieces])
        y = da.concatenate([da.from_delayed(y, (size,), int) for _, y in pieces])
        X, y = client.persist([X, y])
        start = time.perf_counter()
        spread = lightgbm.DaskLGBMClassifier(client=client, **PARAMS).fit(X, y).to_local()
        seconds = time.perf_counter() - start
    whole = [rows(size, seed) for seed in range(n_pieces)]
    X_here, y_here = np.concatenate([x for x, _ in whole]), np.concatenate([y for _, y in whole])
    start = time.perf_counter()
    alone = lightgbm.LGBMClassifier(num_threads=2, **PARAMS).fit(X_here, y_here)
    alone_seconds = time.perf_counter() - start
    X_new, y_new = rows(50_000, 10_000)
    for name, model, taken in (("two workers", spread, seconds), ("one process, 2 threads", alone, alone_seconds)):
        score = roc_auc_score(y_new, model.predict_proba(X_new)[:, 1])
        print(f"{n_rows:,} x {N_COLUMNS}, {name}: {taken:.1f} s, AUC {score:.4f}")


if __name__ == "__main__":
    main(int(sys.argv[1]))
