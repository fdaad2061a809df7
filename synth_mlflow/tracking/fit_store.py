"""Fits as the bytes of one file and back: numbers in NumPy's format, never pickled.

The fits of a sweep, kept on its run as they end, so that a killed sweep goes on with those that are missing.
"""

from __future__ import annotations

import io
import json
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from synth_mlflow.data.digests import canonical_json, file_digest
from synth_mlflow.data.private import private_room
from synth_mlflow.sweep.plan import Fit, FitKey
from synth_mlflow.tracking import names
from synth_mlflow.tracking.read import Reader
from synth_mlflow.tracking.server import Server, guard
from synth_mlflow.tracking.write import add_params

_RECORDS = "fits"


def pack_fits(fits: Sequence[Fit], maker: str) -> bytes:
    """Fits with what was predicted, and by what they were made.

    Parameters
    ----------
    maker : str
        A digest of everything outside of the sweep's key that the numbers depend on: versions, the user's own code.
    """
    records = canonical_json({"maker": maker, "fits": [fit.to_json() for fit in fits]})
    held: dict[str, Any] = {_RECORDS: np.frombuffer(records.encode(), dtype=np.uint8)}
    held |= {f"predictions{place}": fit.predictions for place, fit in enumerate(fits) if fit.predictions.size}
    file = io.BytesIO()
    np.savez_compressed(file, **held)
    return file.getvalue()


def unpack_fits(content: bytes, maker: str) -> list[Fit]:
    """The inverse of :func:`pack_fits`; nothing where the fits were made by something else."""
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        record = json.loads(arrays[_RECORDS].tobytes())
        if record["maker"] != maker:
            return []
        nothing = np.empty(0)
        return [
            Fit.from_json(fit, arrays[name] if (name := f"predictions{place}") in arrays.files else nothing)
            for place, fit in enumerate(record["fits"])
        ]


SECONDS_BETWEEN = 2.0  # two files, at least
COST_MAX = 0.05  # share of the time that writing may take


class FitCache:
    """Fits on one run: files of several fits each, each vouched for by a parameter that is written after it.

    Parameters
    ----------
    server : Server
    run_id : str
        The sweep's run; its key says what was swept.
    maker : str
        A digest of what else the numbers depend on; fits of another maker are not taken up.
    """

    def __init__(self, server: Server, run_id: str, maker: str) -> None:
        self.server = server
        self._run_id = run_id
        self._maker = maker
        self._waiting: list[Fit] = []
        self._written_at = time.monotonic()
        self._pause = SECONDS_BETWEEN
        reader = Reader(server)
        run = reader.run(run_id)
        self.params: dict[str, str] = {
            name: value for name, value in run.params.items() if names.vouches_for_fits(name)
        }
        """What vouches for the files, by parameter."""
        paths = [name.removeprefix(names.P_ARTIFACT_PREFIX) for name in self.params]
        packed = [reader.file(run, path).read_bytes() for path in sorted(paths)]
        self.finished: Mapping[FitKey, Fit] = {
            fit.key: fit for content in packed for fit in unpack_fits(content, self._maker)
        }
        """The fits of a sweep that was killed; an EvidenceError is raised if a file is not what was written."""

    def add(self, fit: Fit) -> None:
        """Keep one more fit, now or with the next ones."""
        self._waiting.append(fit)
        if time.monotonic() - self._written_at > self._pause:
            self.write()

    @guard
    def write(self) -> None:
        """Write what has not been written: the file first, then what makes it count."""
        if not self._waiting:
            return
        start = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="synth-mlflow-", dir=private_room()) as folder:
            path = Path(folder) / f"{len(self.params):04d}.npz"
            path.write_bytes(pack_fits(self._waiting, self._maker))
            self.server.client.log_artifact(self._run_id, str(path), names.A_FITS)
            name = f"{names.P_ARTIFACT_PREFIX}{names.A_FITS}/{path.name}"
            self.params[name] = file_digest(path)
        add_params(self.server, self._run_id, {name: self.params[name]})
        self._waiting.clear()
        self._written_at = time.monotonic()
        self._pause = max(SECONDS_BETWEEN, (self._written_at - start) / COST_MAX)
