"""What the statement names for texts: files of benchmarks whose texts no batch may hold, and a tokenizer."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import pandas as pd

from synth_mlflow.allowed_code import load_callable, require_allowed, require_own
from synth_mlflow.data.json_lines import open_bytes
from synth_mlflow.data.table_files import JSON_SUFFIXES
from synth_mlflow.data.tables import read_table
from synth_mlflow.errors import SynthError, UsageError
from synth_mlflow.metrics.passages import Tokenizer, tokens


def benchmark_texts(files: Sequence[str], folder: Path) -> dict[str, pd.Series]:
    """The texts of each file: of JSON lines every text in a line together, of tables those of a row, else each line.

    Parameters
    ----------
    files : sequence of str
        As the statement names them.
    folder : Path
        Where the statement lies.

    Raises
    ------
    UsageError
        If one is missing or cannot be read.
    """
    return {name: _texts(folder / name) for name in files}


def _texts(path: Path) -> pd.Series:
    if not path.is_file():
        raise UsageError(
            f"the benchmark {path} is not there.", "Put it where `benchmarks` in problem.md names it, or take it out."
        )
    if path.name.lower().endswith(JSON_SUFFIXES):
        return _of_json_lines(path)
    if path.suffix.lower() in (".txt", ".md"):
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
        return pd.Series([line for line in lines if line.strip()], dtype="str")
    rows = read_table(path)
    names = [name for name in rows if rows[name].dtype == "str"]
    return pd.Series(["\n".join(map(str, row)) for row in rows[names].fillna("").to_numpy()], dtype="str")


def _of_json_lines(path: Path) -> pd.Series:
    texts = []
    with open_bytes(path) as lines:
        for number, line in enumerate(lines, start=1):
            if line.strip():
                try:
                    texts.append("\n".join(_every_text(json.loads(line))))
                except ValueError as error:
                    raise UsageError(
                        f"the benchmark {path}: line {number} is no JSON: {error}.",
                        "Write one object in braces a line.",
                    ) from error
    return pd.Series(texts, dtype="str")


def _every_text(value: object) -> Iterator[str]:
    """The texts in a JSON value, however deep, in their order."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _every_text(each)


def tokenizer_of(target: str | None) -> Tokenizer:
    """The tokenizer that a statement names, where its module is allowed; else the built-in one.

    Raises
    ------
    UsageError
        If it is not allowed, cannot be imported, or gives no tokens.
    """
    if not target:
        return tokens
    require_allowed(target, "the tokenizer")
    try:
        tokenizer: Tokenizer = load_callable(target, "the tokenizer")
        require_own(tokenizer, target, "the tokenizer")
        n_tokens = len(tokenizer("two words"))
    except SynthError:
        raise
    except Exception as error:  # a module of somebody else may raise anything
        raise UsageError(
            f"the tokenizer {target!r} cannot be used: {type(error).__name__}: {error}.",
            "Name `module:function`, a function that takes a text and returns a list of tokens.",
        ) from error
    if not n_tokens:
        raise UsageError(f"the tokenizer {target!r} gave no token of 'two words'.", "Return a list of tokens.")
    return tokenizer
