"""The files that people fill in, and the filled-in ones of the demo."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import pandas as pd

from synth_mlflow.errors import UsageError

TEMPLATES = ("problem.md", "limits.md")
PARTNER_ROWS = 220  # of 569; few of the rest are left for training, so that the sweep has something to find
DEMO_SEED = 7
MEASUREMENTS = (
    "mean_texture",
    "mean_smoothness",
    "mean_concavity",
    "mean_symmetry",
    "worst_area",
    "fractal_dimension_error",
)


def write_templates(folder: Path) -> list[Path]:
    """Write problem.md and limits.md to be filled in; a UsageError if one is there already."""
    existing = [name for name in TEMPLATES if (folder / name).exists()]
    if existing:
        raise UsageError(
            f"{folder} holds {' and '.join(existing)} already; nothing was written.",
            "Name another folder, or edit them.",
        )
    folder.mkdir(parents=True, exist_ok=True)
    return [_write(folder / name, _text(name)) for name in TEMPLATES]


def write_demo(folder: Path) -> list[Path]:
    """Write the demo's two tables and its filled-in statement; what is there already is left alone."""
    folder.mkdir(parents=True, exist_ok=True)
    written = [_write(folder / name, _text(f"demo_{name}")) for name in TEMPLATES if not (folder / name).exists()]
    clinic, partner = folder / "clinic.csv", folder / "partner_clinic.csv"
    if not clinic.exists() or not partner.exists():
        rows = _biopsies()
        rows.iloc[:PARTNER_ROWS].to_csv(partner, index=False)
        rows.iloc[PARTNER_ROWS:].to_csv(clinic, index=False)
        written += [clinic, partner]
    return written


def _biopsies() -> pd.DataFrame:
    from sklearn.datasets import load_breast_cancer

    data = load_breast_cancer(as_frame=True)
    rows = data.frame.rename(columns=lambda name: name.replace(" ", "_"))
    rows["diagnosis"] = data.target_names[data.target]
    shuffled: pd.DataFrame = rows[[*MEASUREMENTS, "diagnosis"]].sample(frac=1, random_state=DEMO_SEED)
    return shuffled


def _text(name: str) -> str:
    return resources.files("synth_mlflow.data").joinpath("forms").joinpath(name).read_text(encoding="utf-8")


def _write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path
