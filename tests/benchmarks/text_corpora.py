"""Labelled real texts that the benchmarks use: a file that is given, or what Python packages and Debian bring.

Every corpus is a table with the columns ``text`` and ``label``. The label is taken out of the text, so that a model has
to learn it: the subject of a docstring's package, whether a change closes a bug, whether a paragraph is a licence's.
"""

from __future__ import annotations

import ast
import gzip
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd

LETTERS = (30, 800)  # of a text that is taken
MAX_FILES = 250  # of a package
NUMERICAL = ("scipy", "sklearn", "pandas", "networkx")
OTHER = ("mlflow", "sqlalchemy", "selenium", "openai", "botocore", "django", "playwright")
DOCUMENTS = Path("/usr/share/doc")
ENTRY = re.compile(r"^  \* (.*?)(?=^  \* |^  \[|^ -- |^\S|\Z)", re.DOTALL | re.MULTILINE)
CLOSES = re.compile(r"\(?\b(?:closes|lp|fixes)\b:?[^)\n]*\)?\.?", re.IGNORECASE)
LICENCE = re.compile(r"^(?:Licen[cs]e|Files|Copyright|Comment|Source|Format|Upstream-\w+):.*", re.MULTILINE)


def docstrings() -> pd.DataFrame:
    """First paragraphs of docstrings of installed packages; whether the package is a numerical one."""
    folder = Path(next(path for path in sys.path if path.endswith(("site-packages", "dist-packages"))))
    return _table((text, name in NUMERICAL) for name in (*NUMERICAL, *OTHER) for text in _docstrings(folder / name))


def _docstrings(folder: Path) -> Iterator[str]:
    kinds = (ast.FunctionDef, ast.ClassDef)
    for path in sorted(folder.rglob("*.py"))[:MAX_FILES]:
        for node in ast.walk(ast.parse(path.read_bytes())):
            said = ast.get_docstring(node) if isinstance(node, kinds) else None
            if said:
                yield said.partition("\n\n")[0]


def changes() -> pd.DataFrame:
    """Entries of the changelogs of Debian packages; whether one closes a bug, which is cut out of the text."""
    files = sorted(DOCUMENTS.glob("*/changelog.Debian*.gz"))
    told = (gzip.decompress(path.read_bytes()).decode(errors="replace") for path in files)
    entries = (each for text in told for each in ENTRY.findall(text))
    return _table((CLOSES.sub("", each), bool(CLOSES.search(each))) for each in entries)


def licences() -> pd.DataFrame:
    """Paragraphs of the copyright files of Debian packages, which repeat by nature; whether a field stands in one."""
    texts = (path.read_text(errors="replace") for path in sorted(DOCUMENTS.glob("*/copyright")))
    parts = (part for text in texts for part in re.split(r"\n\s*\n", text))
    return _table((LICENCE.sub("", part), bool(LICENCE.search(part))) for part in parts)


def _table(found: Iterator[tuple[str, bool]]) -> pd.DataFrame:
    rows = [(" ".join(text.split()), label) for text, label in found]
    table = pd.DataFrame(rows, columns=["text", "label"])
    sizes = table["text"].str.len()
    return table[sizes.between(*LETTERS)].drop_duplicates("text").reset_index(drop=True)


def given(path: Path) -> pd.DataFrame:
    """Texts of a CSV file with the columns ``text`` and ``label``, of two labels."""
    table = pd.read_csv(path)[["text", "label"]].dropna().drop_duplicates("text").reset_index(drop=True)
    first = sorted(table["label"].unique())[0]
    return table.assign(label=table["label"] == first)


BY_NAME: dict[str, Callable[[], pd.DataFrame]] = {"docstrings": docstrings, "changes": changes, "licences": licences}


def balanced(table: pd.DataFrame, seed: int = 0) -> pd.DataFrame:
    """As many rows of both labels, in a random order."""
    n = int(table["label"].value_counts().min())
    rng = np.random.default_rng(seed)
    places = [rng.permutation(np.flatnonzero(table["label"] == label))[:n] for label in (False, True)]
    return table.iloc[rng.permutation(np.concatenate(places))].reset_index(drop=True)
