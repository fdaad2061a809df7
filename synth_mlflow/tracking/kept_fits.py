"""The fits of a sweep, kept on its run as they end, so that a killed sweep goes on with those that are missing."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from synth_mlflow.data.digests import file_digest
from synth_mlflow.data.private_room import private_room
from synth_mlflow.model.fit_file import pack_fits, unpack_fits
from synth_mlflow.model.plan import Fit, FitKey
from synth_mlflow.tracking import names
from synth_mlflow.tracking.read import Reader
from synth_mlflow.tracking.server import Server, guard
from synth_mlflow.tracking.write import add_params

SECONDS_BETWEEN = 2.0  # two files, at least
COST_MAX = 0.05  # share of the time that writing may take


class KeptFits:
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
