"""The embedding that a statement names: whether it may run here, its version, and whether it is still the same."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from synth_mlflow.allowed_code import importable_here, load_callable, require_allowed
from synth_mlflow.data.digests import file_digest, text_digest
from synth_mlflow.data.environment import code_of
from synth_mlflow.errors import EvidenceError, SynthError, UsageError
from synth_mlflow.models.raw_embedding import MODULE, encoder, vectors_of

SAMPLES = ("A short text.", "Ein kurzer Text über drei alte Häuser", "42 of the 7 apples were red; the rest, green")
N_SHOWN = 8  # numbers of each sample's vector that are recorded
TOLERANCE = 1e-3  # of numbers of vectors of unit length: other processors round otherwise
WEIGHTS = ("*.safetensors", "*/*.safetensors")  # of model2vec, or within a folder of sentence-transformers
WHAT = "the embedding of the problem statement"
EXTRA = "synth_mlflow[embeddings]"

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Embedding:
    """An embedding that was found here."""

    target: str
    """``module:callable``, or the absolute path of a folder."""
    version: str
    """Of the distribution or the commit that its code is of, where one is known; of a folder that of model2vec."""
    sha256: str
    """Of the module's file, or of every file of the folder; empty for a module without a file."""
    n_dimensions: int
    samples: tuple[tuple[float, ...], ...]
    """The first numbers of the vectors of :data:`SAMPLES`."""

    def vectors(self, texts: pd.Series) -> Floats:
        """Vectors of unit length, of shape (n_texts, n_dimensions); a missing text is an empty one.

        Raises
        ------
        UsageError
            If the embedding raises, or gives other vectors than it should.
        """
        plain = [text if isinstance(text, str) else "" for text in texts.astype(object)]
        return _guarded(self.target, plain)

    def to_json(self) -> dict[str, Any]:
        """As JSON values; of a folder its name alone."""
        return {**asdict(self), "target": shown(self.target), "samples": [list(one) for one in self.samples]}

    @property
    def words(self) -> str:
        """Its name, version and digest in a line."""
        parts = [shown(self.target), self.version, f"sha256 {self.sha256[:12]}" if self.sha256 else ""]
        return ", ".join(part for part in parts if part)


def shown(target: str) -> str:
    """What an embedding is called in records: ``module:callable``, or the name of the folder.

    >>> shown("/data/weights/potion"), shown("my_vectors:encode")
    ('potion', 'my_vectors:encode')
    """
    return target if MODULE.fullmatch(target) else Path(target).name


def allowed_embedding(target: str) -> Embedding:
    """The embedding, after its module was found to be allowed and was imported.

    Raises
    ------
    UsageError
        If it is not allowed, is not here, or gives no vectors.
    """
    if MODULE.fullmatch(target):
        require_allowed(target, WHAT)
        version, sha256 = _of_module(target)
    else:
        version, sha256 = _of_folder(Path(target))
    samples = _guarded(target, list(SAMPLES))
    rounded = tuple(tuple(round(float(number), 5) for number in row[:N_SHOWN]) for row in samples)
    return Embedding(target, version, sha256, samples.shape[1], rounded)


def refuse_other(recorded: Mapping[str, Any], embedding: Embedding) -> None:
    """Refuse an embedding that gives other vectors than the one that the evaluation set was frozen with.

    Raises
    ------
    EvidenceError
        With both versions.
    """
    then, now = (np.array(each, dtype=np.float64) for each in (recorded["samples"], embedding.samples))
    alike = then.shape == now.shape and recorded["n_dimensions"] == embedding.n_dimensions
    if alike and np.abs(then - now).max() <= TOLERANCE:
        return
    before = ", ".join(filter(None, (recorded["version"], f"sha256 {recorded['sha256'][:12]}")))
    raise EvidenceError(
        f"{WHAT} gives other vectors here than when the evaluation set was frozen: then {before}, here "
        f"{embedding.words}.",
        "Install that version, or start a new project with `synth-mlflow define`.",
    )


def _of_module(target: str) -> tuple[str, str]:
    with importable_here():
        try:
            load_callable(target, WHAT)
        except (ImportError, AttributeError, ValueError) as error:
            raise UsageError(
                f"{WHAT}, {target!r}, is not available here: {error}.",
                "Install its package, or go to the folder that its module lies in.",
            ) from error
    code = code_of(importlib.import_module(target.partition(":")[0]))
    return ("", "") if code is None else (code.version or "", code.sha256)


def _of_folder(path: Path) -> tuple[str, str]:
    if not path.is_dir():
        raise UsageError(
            f"{WHAT} is not available here: there is no folder {path}.",
            "Put it where problem.md names it, or name a `module:callable`.",
        )
    if not any(next(path.glob(place), None) for place in WEIGHTS):  # else a statement could have any folder read whole
        raise UsageError(
            f"{WHAT} is the folder {path.name or path}, which holds no weights (`*.safetensors`) of model2vec.",
            "Name the folder that `StaticModel.save_pretrained` wrote, or a `module:callable`.",
        )
    files = sorted(each for each in path.rglob("*") if each.is_file())
    try:
        version = metadata.version("model2vec")
    except metadata.PackageNotFoundError as error:
        raise UsageError(
            f"{WHAT} is the folder {path.name}, which model2vec reads, and model2vec is not installed here.",
            f"Install it: `pip install '{EXTRA}'`.",
        ) from error
    lines = "".join(f"{each.relative_to(path).as_posix()} {file_digest(each)}\n" for each in files)
    return f"model2vec {version}", text_digest(lines)


def _guarded(target: str, texts: list[str]) -> Floats:
    """What it gives; what other people's code raises becomes one message."""
    try:
        with importable_here() if MODULE.fullmatch(target) else nullcontext():
            encoder(target)
        return vectors_of(texts, target)
    except SynthError:
        raise
    except Exception as error:  # a module of somebody else may raise anything
        raise UsageError(
            f"{WHAT}, {shown(target)!r}, cannot be used here: {type(error).__name__}: {str(error).rstrip('.')}.",
            "It is called with a list of texts and gives an array with one row for each, of numbers.",
        ) from error
