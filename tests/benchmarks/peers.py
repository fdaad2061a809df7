"""Generators of other people for the generators' benchmark, each run in an environment of its own.

Run by `generators.py` as ``PYTHON peers.py NAME MEMBERS.csv OUT.csv SEED TARGET KIND``; prints CPU seconds as JSON.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

Sample = Callable[[int], pd.DataFrame]


def sdv(synthesizer: str, **options: object) -> Callable[..., Sample]:
    def fit(members: pd.DataFrame, seed: int, *_: str) -> Sample:
        import sdv.single_table
        import torch
        from sdv.metadata import Metadata

        torch.manual_seed(seed)
        np.random.seed(seed)  # noqa: NPY002 (SDV draws from the global state)
        metadata = Metadata.detect_from_dataframes({"table": members})
        for name, values in members.items():  # detection takes latitudes for personal data, and makes them up
            kind = "numerical" if pd.api.types.is_numeric_dtype(values) else "categorical"
            metadata.update_column(column_name=name, sdtype=kind, table_name="table")
        model = getattr(sdv.single_table, synthesizer)(metadata, **options)
        model.fit({"table": members})
        return lambda n_rows: model.sample(n_rows)["table"]

    return fit


def mostlyai(members: pd.DataFrame, seed: int, *_: str) -> Sample:
    from mostlyai.engine import TabularARGN

    model = TabularARGN(random_state=seed, device="cpu")
    model.fit(members)
    return lambda n_rows: model.sample(n_samples=n_rows)


def arfpy(members: pd.DataFrame, seed: int, *_: str) -> Sample:
    from arfpy import arf

    texts = members.select_dtypes(exclude="number").columns
    filled = members.assign(**{name: members[name].fillna("missing").astype("category") for name in texts})
    model = arf.arf(x=filled.fillna(filled.median(numeric_only=True)), random_state=seed, verbose=False)
    model.forde()
    return lambda n_rows: model.forge(n=n_rows).replace("missing", None)


def forest_diffusion(members: pd.DataFrame, seed: int, target: str, kind: str) -> Sample:
    from ForestDiffusion import ForestDiffusionModel

    codes = {name: pd.factorize(members[name]) for name in members.select_dtypes(exclude="number")}
    table = members.assign(**{name: found[0] for name, found in codes.items()})
    table = table[[name for name in table if name != target] + [target]]
    levels = [at for at, name in enumerate(table) if name in codes]
    whole = [at for at, name in enumerate(table) if at not in levels and (table[name] % 1 == 0).all()]
    model = ForestDiffusionModel(
        table.to_numpy(dtype=float), n_t=10, duplicate_K=10, cat_indexes=levels, int_indexes=whole, n_jobs=1, seed=seed
    )

    def sample(n_rows: int) -> pd.DataFrame:
        drawn = pd.DataFrame(model.generate(batch_size=n_rows), columns=table.columns)
        named = {
            name: pd.Series(labels)[drawn[name].round().clip(0, len(labels) - 1).astype(int)].to_numpy()
            for name, (_, labels) in codes.items()
        }
        return drawn.assign(**named)[members.columns]

    return sample


PEERS: dict[str, tuple[str, Callable[..., Sample]]] = {
    "SDV GaussianCopula": ("sdv", sdv("GaussianCopulaSynthesizer")),
    "SDV TVAE": ("sdv", sdv("TVAESynthesizer", epochs=100, enable_gpu=False)),
    "SDV CTGAN": ("sdv", sdv("CTGANSynthesizer", epochs=60, enable_gpu=False)),
    "MOSTLY AI engine": ("mostlyai", mostlyai),
    "arfpy": ("arfpy", arfpy),
    "ForestDiffusion": ("ForestDiffusion", forest_diffusion),
}
"""By the name in the table: which environment it needs, and how it is fitted. SDV's networks have fewer epochs than
their default of 300; ForestDiffusion has n_t and duplicate_K of 10."""


def main() -> None:
    name, source, out, seed, *task = sys.argv[1:]
    members = pd.read_csv(source)
    started = time.process_time()
    sample = PEERS[name][1](members, int(seed), *task)
    fitted = time.process_time()
    rows = sample(len(members))
    seconds = {"fit s": fitted - started, "sample s": time.process_time() - fitted}
    rows.to_csv(out, index=False)
    Path(out).with_suffix(".json").write_text(json.dumps(seconds))


if __name__ == "__main__":
    main()
