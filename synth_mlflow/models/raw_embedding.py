"""Texts as vectors by an embedding that a statement names; copied into the saved model's code folder.

Like ``raw_columns`` it imports nothing else of the package. An embedding is ``module:callable``, which takes a list of
texts and gives an array of shape (n_texts, n_dimensions), or a folder in which model2vec has saved one.
"""

from __future__ import annotations

import functools
import importlib
import re
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

MODULE = re.compile(r"[^\W\d]\w*(?:\.[^\W\d]\w*)*:[^\W\d]\w*(?:\.[^\W\d]\w*)*")
MAX_KEPT = 2**24  # numbers that are kept between calls: 64 MB
BLOCK = 4_096  # texts that an embedding is given at a time

Vectors = npt.NDArray[np.float32]
Encode = Callable[[list[str]], Any]


def with_vectors(features: pd.DataFrame, columns: Sequence[str], embedding: str) -> pd.DataFrame:
    """Features, and behind them the vectors of some columns of text; a missing text is an empty one.

    Examples
    --------
    >>> vector_names("said", 2)
    ['vector 0 of said', 'vector 1 of said']
    """
    tables = [features]
    for name in columns:
        texts = [text if isinstance(text, str) else "" for text in features[name].astype(object)]
        vectors = vectors_of(texts, embedding)
        tables.append(pd.DataFrame(vectors, features.index, vector_names(name, vectors.shape[1])))
    return pd.concat(tables, axis=1)


def vector_names(column: str, n_dimensions: int) -> list[str]:
    """What the columns of vectors are called."""
    return [f"vector {place} of {column}" for place in range(n_dimensions)]


def vectors_of(texts: Sequence[str], embedding: str) -> Vectors:
    """Vectors of unit length, of shape (n_texts, n_dimensions); of zeros where an embedding gives zeros.

    Each text is embedded once, and as many are kept in memory as :data:`MAX_KEPT` says.

    Raises
    ------
    ValueError
        If the embedding gives another number of vectors, vectors of different lengths, or numbers that are not finite.
    """
    return _cache_of(embedding).of(texts)


@functools.cache
def _cache_of(embedding: str) -> _VectorCache:
    return _VectorCache(encoder(embedding))


@functools.cache
def encoder(embedding: str) -> Encode:
    """What turns texts into vectors.

    Raises
    ------
    ImportError, AttributeError, OSError
        If its module, model2vec or the folder is not there.
    """
    if not MODULE.fullmatch(embedding):
        if not Path(embedding).is_dir():
            raise FileNotFoundError(f"there is no folder {embedding}")
        saved = importlib.import_module("model2vec").StaticModel.from_pretrained(embedding)
        return saved.encode  # type: ignore[no-any-return]
    module, _, path = embedding.partition(":")
    module_object: Any = importlib.import_module(module)
    for part in path.split("."):
        module_object = getattr(module_object, part)
    return module_object  # type: ignore[no-any-return]


class _VectorCache:
    """An embedding with the vectors that it has given."""

    def __init__(self, encode: Encode) -> None:
        self._encode = encode
        self._vectors: dict[str, Vectors] = {}
        self._n_dimensions = len(self._computed([""])[0])
        self._lock = threading.Lock()  # fits run in threads, and not every embedding may be called by two of them

    def of(self, texts: Sequence[str]) -> Vectors:
        vectors = np.empty((len(texts), self._n_dimensions), dtype=np.float32)
        for start in range(0, len(texts), BLOCK):
            block = texts[start : start + BLOCK]
            with self._lock:
                self._learn([text for text in dict.fromkeys(block) if text not in self._vectors])
                for place, text in enumerate(block, start=start):
                    vectors[place] = self._vectors[text]
                if len(self._vectors) * self._n_dimensions > MAX_KEPT:
                    self._vectors.clear()
        return vectors

    def _learn(self, texts: list[str]) -> None:
        if texts:
            self._vectors.update(zip(texts, self._computed(texts), strict=True))

    def _computed(self, texts: list[str]) -> Vectors:
        vectors = np.asarray(self._encode(texts), dtype=np.float32)
        if vectors.ndim != 2 or len(vectors) != len(texts):
            raise ValueError(f"gave an array of shape {vectors.shape} for {len(texts)} texts, one row each was needed")
        if not np.isfinite(vectors).all():
            raise ValueError("gave numbers that are missing or infinite")
        length = np.linalg.norm(vectors, axis=1, keepdims=True)
        return (vectors / np.where(length > 0, length, 1)).astype(np.float32)
