"""Generators of packages that cannot share our environment: run by a Python of their own, talking Parquet and JSON."""

from __future__ import annotations

import importlib.util
import json
import math
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from synth_mlflow.backends._peer_side import WRONG_REQUEST
from synth_mlflow.backends.base import GeneratedRows, GenerationRequest, GeneratorRunner
from synth_mlflow.backends.subprocess import ending, last_lines, run_within
from synth_mlflow.data.columns import Schema, conform, schema_of
from synth_mlflow.data.digests import canonical_json, file_digest
from synth_mlflow.data.private import private_room
from synth_mlflow.data.slices import Slice
from synth_mlflow.data.tables import table_pieces, write_parquet
from synth_mlflow.errors import GeneratorError, UsageError
from synth_mlflow.peers import Peer
from synth_mlflow.plugins import Plugin, find, installed

PROBE_SECONDS = 60.0  # reading the versions of what is installed takes one
MIN_SLICE_ROWS = 10
SLICE_DRAWS = 1.5  # rows drawn for each that is wanted, where some may lie outside of the slice
SLICE_MARGIN = 100
_SIDE = Path(__file__).with_name("_peer_side.py")
_START = "import runpy, sys; sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name='__main__')"


def is_peer(generator: str) -> bool:
    """Whether a generator is named as PEER:MODEL.

    Examples
    --------
    >>> is_peer("sdv:TVAESynthesizer"), is_peer("my_rows:make"), is_peer("sdv")
    (True, False, False)
    """
    name, colon, _ = generator.partition(":")
    return bool(colon) and name in installed("peers")


def peer_maker(generator: str, params: Mapping[str, Any], python: str | None, seconds: float) -> GeneratorRunner:
    """The maker of PEER:MODEL in the environment of another Python.

    Parameters
    ----------
    python : str, optional
        The path of that Python; without it the refusal says how to make one.
    seconds : float
        The time limit of fitting and sampling.

    Raises
    ------
    UsageError
        If that Python or the peer in it is not there.
    """
    name, _, model = generator.partition(":")
    side = _Side(find("peers", name), model, dict(params), _program(name, python), seconds)
    environment = side.environment()
    facts = {"adapter": {"file": side.adapter.name, "sha256": file_digest(side.adapter)}}
    version = environment["packages"][side.peer.packages[0]]
    return GeneratorRunner(version, params, "peer", facts, generator, side.make, environment={"peer": environment})


def _program(name: str, python: str | None) -> str:
    setup = find("peers", name).load(is_typed=True).setup
    if python is None:
        raise UsageError(
            f"{name} runs in an environment of its own, and no Python was given for it.",
            f"Make one: `{setup}`, and name its Python: `--python {name}-env/bin/python`.",
        )
    program = shutil.which(python)
    if program is None:
        raise UsageError(f"there is no program {python!r} to run {name} with.", f"Make an environment: `{setup}`.")
    return str(Path(program).absolute())  # not resolved: an environment's Python is a link to another's


@dataclass(frozen=True)
class _Side:
    """The other side: a peer, and the Python that runs it."""

    plugin: Plugin
    model: str
    params: dict[str, Any]
    python: str
    seconds: float

    @property
    def peer(self) -> type[Peer]:
        """The adapter, as it is on this side."""
        loaded: type[Peer] = self.plugin.load(is_typed=True)
        return loaded

    @property
    def adapter(self) -> Path:
        """The file that is run over there."""
        spec = importlib.util.find_spec(self.plugin.target.partition(":")[0])
        if spec is None or spec.origin is None:
            raise UsageError(f"peer {self.plugin.name!r} ({self.plugin.target}) is no file.", "Install it unpacked.")
        return Path(spec.origin)

    def environment(self) -> dict[str, Any]:
        """Versions of Python and of the peer's packages."""
        with tempfile.TemporaryDirectory(prefix="synth-peer-", dir=private_room()) as folder:
            environment = dict(self._ask(Path(folder), {}, PROBE_SECONDS)["environment"])
        missing = [name for name in (self.peer.packages[0], "pyarrow") if name not in environment["packages"]]
        if missing:
            raise UsageError(
                f"{' and '.join(missing)} is not installed for {self.python}.",
                f"Make an environment that has all: `{self.peer.setup}`.",
            )
        return environment

    def make(self, members: pd.DataFrame, request: GenerationRequest) -> GeneratedRows:
        """Rows of the peer's model, which learns from the real rows of the slice alone where there is one."""
        notes: dict[str, Any] = {}
        return GeneratedRows(self._frames(members, request, notes), lambda: notes)

    def _frames(
        self, members: pd.DataFrame, request: GenerationRequest, notes: dict[str, Any]
    ) -> Iterator[pd.DataFrame]:
        schema = schema_of(members)
        known = members if request.part is None else _inside(members, request.part)
        rows = request.rows if request.part is None else math.ceil(SLICE_DRAWS * request.rows) + SLICE_MARGIN
        message = {"rows": rows, "seed": request.seed, "target": request.task.target, "kinds": dict(schema.kinds)}
        with tempfile.TemporaryDirectory(prefix="synth-peer-", dir=private_room()) as name:
            folder = Path(name)
            write_parquet(known, folder / "members.parquet")
            notes["peer"] = self._ask(folder, message, self.seconds)["notes"]
            pieces = table_pieces(folder / "output.parquet")
            if request.part is None:
                yield from pieces
                return
            yield from _of_slice(pieces, request.part, request.rows, schema, notes)
        notes["slice_rows"] = len(known)

    def _ask(self, folder: Path, message: Mapping[str, Any], seconds: float) -> dict[str, Any]:
        request = {"adapter": str(self.adapter.resolve()), "model": self.model, "params": self.params, **message}
        (folder / "request.json").write_text(canonical_json(request), encoding="utf-8")
        words = [self.python, "-c", _START, str(_SIDE.resolve()), str(folder)]
        stderr = folder / "stderr.txt"
        exit_code = run_within(seconds, words, stderr, what=self.python, folder=folder, env=_environment())
        said = last_lines(stderr)
        if exit_code == WRONG_REQUEST:
            raise UsageError(f"{self.plugin.name} cannot make what was asked for: {said.strip()}.")
        bad = ending(exit_code, seconds)
        if bad is not None:
            stderr_text = f" The last lines of its stderr:\n{said}" if said else " It said nothing on stderr."
            fix = "Give it longer: `--timeout SECONDS`." if exit_code is None else "Nothing was recorded."
            raise GeneratorError(f"generator {self.plugin.name}:{self.model} {bad}.{stderr_text}", fix)
        return dict(json.loads((folder / "facts.json").read_text(encoding="utf-8")))


def _environment() -> dict[str, str]:
    """Ours without what would lead the other Python to our packages; sets are in the same order every time."""
    variables = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))}
    return {**variables, "PYTHONHASHSEED": "0", "PYTHONNOUSERSITE": "1"}


def _inside(members: pd.DataFrame, part: Slice) -> pd.DataFrame:
    known = members[part.mask(members)].reset_index(drop=True)
    if len(known) < MIN_SLICE_ROWS:
        raise GeneratorError(
            f"slice {part.text!r}: {len(known):,} of {len(members):,} real rows lie in it, at least {MIN_SLICE_ROWS} "
            "are needed to learn from.",
            "Widen the slice, or give real rows of it with `--source FILE`.",
        )
    return known


def _of_slice(
    pieces: Iterator[pd.DataFrame], part: Slice, rows: int, schema: Schema, notes: dict[str, Any]
) -> Iterator[pd.DataFrame]:
    n_drawn = n_inside = n_kept = 0
    for piece in pieces:
        table = conform(piece, schema, "the batch")
        inside = table[part.mask(table)]
        n_drawn, n_inside = n_drawn + len(table), n_inside + len(inside)
        accepted = inside.head(rows - n_kept).reset_index(drop=True)
        n_kept += len(accepted)
        if len(accepted):
            yield accepted
    notes["slice_acceptance"] = round(n_inside / n_drawn, 6)
    if n_kept < rows:
        raise GeneratorError(
            f"slice {part.text!r}: {n_inside:,} of {n_drawn:,} drawn rows lay in it, {rows:,} were needed, although "
            "the model had learned from real rows of the slice alone.",
            "Widen the slice, or use forest, which draws inside of it.",
        )
