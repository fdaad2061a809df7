"""Generators of other people for the generators' benchmark, each run in an environment of its own.

Run by `generators.py` as ``PYTHON peers.py NAME MEMBERS.csv OUT.csv SEED TARGET KIND``; prints CPU seconds as JSON.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from unittest.mock import MagicMock

import numpy as np
import pandas as pd

Sample = Callable[[int], pd.DataFrame]

DIFFUSION_EPOCHS = 300


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

    filled = _filled(members)
    texts = filled.select_dtypes(exclude="number").columns
    table = filled.astype(dict.fromkeys(texts, "category"))
    model = arf.arf(x=table, random_state=seed, verbose=False)
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
        table.to_numpy(dtype=float), n_t=10, duplicate_K=5, cat_indexes=levels, int_indexes=whole, n_jobs=1, seed=seed
    )

    def sample(n_rows: int) -> pd.DataFrame:
        drawn = pd.DataFrame(model.generate(batch_size=n_rows), columns=table.columns)
        named = {
            name: pd.Series(labels)[drawn[name].round().clip(0, len(labels) - 1).astype(int)].to_numpy()
            for name, (_, labels) in codes.items()
        }
        return drawn.assign(**named)[members.columns]

    return sample


def tabddpm(members: pd.DataFrame, seed: int, target: str, kind: str) -> Sample:
    """Synthcity pins versions that no longer install together; what diffusion does not use is stood in for."""
    sys.meta_path.insert(0, _Unused())
    from synthcity.plugins.core.dataloader import GenericDataLoader
    from synthcity.plugins.generic.plugin_ddpm import TabDDPMPlugin

    is_classification = kind != "regression"
    classes, labels = pd.factorize(members[target])
    table = _filled(members).assign(**({target: classes} if is_classification else {}))
    model = TabDDPMPlugin(n_iter=DIFFUSION_EPOCHS, is_classification=is_classification, random_state=seed)
    model.fit(GenericDataLoader(table, target_column=target))

    def sample(n_rows: int) -> pd.DataFrame:
        drawn = model.generate(count=n_rows).dataframe().replace("missing", None)
        named = {target: np.asarray(labels)[drawn[target].astype(int)]} if is_classification else {}
        return drawn.assign(**named)

    return sample


class _Unused(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Modules that are imported and then not used."""

    names = frozenset(("torchvision", "torchtuples", "tsai", "fastai", "pycox", "pykeops", "xgbse", "fflows"))

    def find_spec(self, fullname: str, path: object, target: object = None) -> importlib.machinery.ModuleSpec | None:
        is_unused = fullname.split(".")[0] in self.names
        return importlib.machinery.ModuleSpec(fullname, self, is_package=True) if is_unused else None

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> MagicMock:
        return MagicMock(name=spec.name, __path__=[], __spec__=spec)

    def exec_module(self, module: object) -> None:
        """Nothing to run."""


def _filled(members: pd.DataFrame) -> pd.DataFrame:
    """For peers that know no missing values: a level of its own, or the median."""
    texts = members.select_dtypes(exclude="number").columns
    return members.fillna(dict.fromkeys(texts, "missing")).fillna(members.median(numeric_only=True))


PEERS: dict[str, tuple[str, Callable[..., Sample]]] = {
    "SDV GaussianCopula": ("sdv", sdv("GaussianCopulaSynthesizer")),
    "SDV TVAE": ("sdv", sdv("TVAESynthesizer", epochs=100, enable_gpu=False)),
    "SDV CTGAN": ("sdv", sdv("CTGANSynthesizer", epochs=60, enable_gpu=False)),
    "MOSTLY AI engine": ("mostlyai", mostlyai),
    "arfpy": ("arfpy", arfpy),
    "TabDDPM": ("synthcity", tabddpm),
    "ForestDiffusion": ("ForestDiffusion", forest_diffusion),
}
"""By the name in the table: which environment it needs, and how it is fitted. SDV's networks have fewer epochs than
their default of 300, TabDDPM than its 1,000; ForestDiffusion, which wants pandas < 3, has an n_t of 10 and a
duplicate_K of 5."""


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
