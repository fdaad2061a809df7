"""The files that people fill in, and the filled-in ones of the demo."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import resources
from pathlib import Path

import numpy as np
import pandas as pd

from synth_mlflow.data.addresses import Place
from synth_mlflow.data.proposal import facts_as_text, propose
from synth_mlflow.errors import UsageError

TEMPLATES = ("problem.md", "limits.md")
MLPROJECT = "MLproject"  # its entry points call the installed command
MEASUREMENTS = (
    "mean_texture",
    "mean_smoothness",
    "mean_concavity",
    "mean_symmetry",
    "worst_area",
    "fractal_dimension_error",
)
PARTNER_ROWS = 240  # of the demo's 569; they play a partner clinic whose rows stay at home
RECENT_ROWS = 150  # they play the year in which the clinic takes every patient
LARGE_AREA = 750  # before that year, larger tumours went elsewhere
DEMO_SEED = 0


def write_templates(
    folder: Path, table: Place | None = None, target: str | None = None, say: Callable[[str], None] | None = None
) -> list[Path]:
    """Write problem.md and limits.md to be filled in, and the MLproject of `mlflow run` where there is none.

    Parameters
    ----------
    table : Path, optional
        Real rows from which the facts at the top of problem.md are filled in, as far as they show them.
    target : str, optional
        The column to predict, where it is known.
    say : callable, optional
        Takes lines that people need before they fill the files in.

    Raises
    ------
    UsageError
        If one of the first two is there already, or the folder cannot be written.
    """
    existing = [name for name in TEMPLATES if (folder / name).exists()]
    if existing:
        raise UsageError(
            f"{folder} holds {' and '.join(existing)} already; nothing was written.",
            "Name another folder, or edit them.",
        )
    texts = {name: _text(name) for name in TEMPLATES}
    if table is not None:
        texts["problem.md"] = _filled_in(texts["problem.md"], folder, table, target, say)
    with _writable(folder):
        folder.mkdir(parents=True, exist_ok=True)
        written = [_write(folder / name, text) for name, text in texts.items()]
        project = folder / MLPROJECT
        return [*written, *([] if project.exists() else [_write(project, _text(MLPROJECT))])]


def _filled_in(template: str, folder: Path, table: Place, target: str | None, say: Callable[[str], None] | None) -> str:
    """The template with the facts that the table shows; the questions to people stay."""
    proposal = propose(table, target)
    if proposal.choices and say is not None:
        commands = "\n  ".join(proposal.choices.commands(str(table), proposal.csv))
        say(f"{proposal.choices.advice}:\n  {commands}")
    facts = facts_as_text(proposal, table.name.partition(".")[0], _data_line(folder, table))
    _, _, prose = template.removeprefix("---\n").partition("\n---\n")
    return f"---\n{facts}\n---\n{prose}"


def _data_line(folder: Path, table: Place) -> str:
    """What `data` says of a table: its path from the folder, or its address.

    Raises
    ------
    UsageError
        If the address holds a secret, which would be recorded with problem.md.
    """
    if isinstance(table, Path):
        return Path(os.path.relpath(table.resolve(), folder.resolve())).as_posix()
    if not table.is_recordable:
        raise UsageError(
            f"{table} holds a password or a signature, which problem.md would record.",
            "Set a variable of the environment to the address, and name it: `--from env:VARIABLE`.",
        )
    return table.text


@contextmanager
def _writable(folder: Path) -> Iterator[None]:
    """A UsageError where the system does not let a folder be written."""
    try:
        yield
    except OSError as error:
        raise UsageError(
            f"{folder} cannot be written: {error.strerror}.", "Name a folder that is yours to write."
        ) from error


def write_demo(folder: Path) -> list[Path]:
    """Write the demo's two tables and its filled-in statement; what is there already is left alone."""
    folder.mkdir(parents=True, exist_ok=True)
    written = [_write(folder / name, _text(f"demo_{name}")) for name in TEMPLATES if not (folder / name).exists()]
    tables = {folder / f"{name}.csv": rows for name, rows in _clinics().items()}
    if not all(path.exists() for path in tables):
        for path, rows in tables.items():
            rows.to_csv(path, index=False)
            written.append(path)
    return written


def _clinics() -> dict[str, pd.DataFrame]:
    """The clinic's own rows, early years without large tumours, and the partner's, which has always had them."""
    rows = _biopsies()
    recent = rows.iloc[PARTNER_ROWS : PARTNER_ROWS + RECENT_ROWS]
    early = rows.iloc[PARTNER_ROWS + RECENT_ROWS :]
    early = early[early["worst_area"] < LARGE_AREA]
    years = np.random.default_rng(DEMO_SEED).integers(2021, 2024, len(early))
    clinic = pd.concat([early.assign(year=years), recent.assign(year=2024)], ignore_index=True)
    return {"clinic": clinic, "partner_clinic": rows.iloc[:PARTNER_ROWS].assign(year=2024)}


def _biopsies() -> pd.DataFrame:
    from sklearn.datasets import load_breast_cancer

    data = load_breast_cancer(as_frame=True)
    rows = data.frame.rename(columns=lambda name: name.replace(" ", "_"))
    rows["diagnosis"] = data.target_names[data.target]
    shuffled: pd.DataFrame = rows[[*MEASUREMENTS, "diagnosis"]].sample(frac=1, random_state=DEMO_SEED)
    return shuffled


def _text(name: str) -> str:
    return resources.files("synth_mlflow.cli").joinpath("forms").joinpath(name).read_text(encoding="utf-8")


def _write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path
