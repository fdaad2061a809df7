"""The files that people fill in, and the filled-in ones of the demo."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from synth_mlflow.errors import UsageError

TEMPLATES = ("problem.md", "limits.md")


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
    """Write the demo's table and filled-in statement; what is there already is left alone."""
    from sklearn.datasets import load_breast_cancer

    folder.mkdir(parents=True, exist_ok=True)
    written = [_write(folder / name, _text(f"demo_{name}")) for name in TEMPLATES if not (folder / name).exists()]
    table = folder / "breast_cancer.csv"
    if not table.exists():
        data = load_breast_cancer(as_frame=True)
        frame = data.frame.rename(columns=lambda name: name.replace(" ", "_"))
        frame["target"] = data.target_names[data.target]
        frame.rename(columns={"target": "diagnosis"}).to_csv(table, index=False)
        written.append(table)
    return written


def _text(name: str) -> str:
    return resources.files("synth_mlflow.data").joinpath("forms").joinpath(name).read_text(encoding="utf-8")


def _write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path
