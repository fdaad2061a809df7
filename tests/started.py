"""Start and stop tracking servers, databases and object stores on loopback, each on a free port of its own.

Processes are forked from one that has imported MLflow already: a server costs a second instead of ten.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any
from urllib.request import urlopen

PASSWORD = "s3cret-Pass"
ADMIN, READER = ("admin", "adm1n-Pass-word"), ("reader", "read3r-Pass-word")
PATIENCE = 180.0  # seconds; busy machines are slow
PATIENT = {"MLFLOW_HTTP_REQUEST_TIMEOUT": f"{PATIENCE:.0f}"}
"""Of many processes that ask one server at once, which may share a core with other tests."""
PRELOADED = ["mlflow.cli", "mlflow.cli.server", "mlflow.server.fastapi_app", "synth_mlflow.workflow", "uvicorn.main"]


def free_port() -> int:
    """A port that nobody listens on, below those of outgoing connections: one of these could take it in a restart."""
    for port in random.SystemRandom().sample(range(10_000, 32_768), 100):
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
    raise OSError("none of 100 ports is free")


def until(true: Callable[[], bool], what: str) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + PATIENCE
    while not true():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {PATIENCE:.0f} seconds")
        time.sleep(0.05)


def fork(target: Callable[..., Any], *arguments: Any) -> BaseProcess:
    """A process that runs a function of an importable module; killed when the caller ends."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    process = context.Process(target=target, args=arguments, daemon=True)
    process.start()
    return process


@dataclass
class Started:
    """A tracking server that runs."""

    arguments: Sequence[str]
    environment: Mapping[str, str]
    port: int
    log: Path
    process: BaseProcess

    @property
    def uri(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def stop(self) -> None:
        """End it at once, as a machine that loses its power does."""
        self.process.kill()
        self.process.join()

    def start_again(self) -> None:
        """Bring it back on its old port."""
        self.process = fork(_serve, self.arguments, self.environment, self.log)
        until(self._is_up, "the server")

    def _is_up(self) -> bool:
        if not self.process.is_alive():
            raise RuntimeError(f"the server ended: {self.log.read_text()[-2000:]}")
        with suppress(OSError), urlopen(f"{self.uri}/health", timeout=5) as answer:
            return bool(answer.status == 200)
        return False


@contextmanager
def mlflow_server(folder: Path, *options: str, environment: Mapping[str, str] | None = None) -> Iterator[Started]:
    """`mlflow server` with these options; its log goes to the folder."""
    folder.mkdir(exist_ok=True)
    port = free_port()
    arguments = ["--host", "127.0.0.1", "--port", str(port), "--workers", "1", *options]
    process = fork(_serve, arguments, environment or {}, folder / "server.log")
    server = Started(arguments, environment or {}, port, folder / "server.log", process)
    try:
        until(server._is_up, "the server")
        yield server
    finally:
        server.stop()


def _serve(arguments: Sequence[str], environment: Mapping[str, str], log: Path) -> None:
    """`mlflow server` in this process: where MLflow would start uvicorn as a program, it is called."""
    import mlflow.server
    import uvicorn
    from mlflow.cli import cli

    target = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(target, 1), os.dup2(target, 2)
    os.chdir(log.parent)
    os.environ.update({"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", **environment})

    def run_here(command: Sequence[str], *, extra_env: Mapping[str, str], **_: object) -> None:
        os.environ.update(extra_env)
        uvicorn.main(list(command[command.index("uvicorn") + 1 :]))

    mlflow.server._exec_cmd = run_here
    cli(["server", *arguments])


def postgres_programs() -> Path | None:
    """The folder with `initdb` and `pg_ctl`; None where PostgreSQL is not installed."""
    found = [*map(str, sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))), shutil.which("initdb")]
    return next((Path(program).parent for program in reversed(found) if program), None)


@contextmanager
def postgres() -> Iterator[str]:
    """A PostgreSQL of our own; gives the URI of an empty database, with a password in it."""
    programs = postgres_programs()
    assert programs is not None
    owner = {"user": "postgres", "group": "postgres"} if os.geteuid() == 0 else {}  # it refuses to run as root
    with tempfile.TemporaryDirectory(prefix="postgres-", dir="/tmp") as name:  # pytest's folders are closed to others
        folder = Path(name)
        if owner:
            shutil.chown(folder, **owner)
        (folder / "password").write_text(PASSWORD)
        folder.joinpath("password").chmod(0o644)
        port = free_port()
        quiet: dict[str, Any] = {"check": True, "stdout": subprocess.DEVNULL, "cwd": folder, **owner}
        make = ["-D", folder / "data", "-U", "ann", "--pwfile", folder / "password", "-A", "scram-sha-256"]
        subprocess.run([programs / "initdb", *make, "--no-sync", "-E", "UTF8", "--locale=C"], **quiet)
        options = f"-p {port} -h 127.0.0.1 -k {folder} -c fsync=off -c shared_buffers=16MB"
        control = [programs / "pg_ctl", "-D", folder / "data", "-w", "-t", str(int(PATIENCE)), "-l", folder / "log"]
        subprocess.run([*control, "-o", options, "start"], **quiet)
        try:
            yield f"postgresql+psycopg://ann:{PASSWORD}@127.0.0.1:{port}/postgres"
        finally:
            subprocess.run([*control, "-m", "immediate", "stop"], **quiet)


@contextmanager
def object_store() -> Iterator[str]:
    """An S3-compatible store in memory; gives its URL."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=free_port(), verbose=False)
    server.start()
    try:
        yield f"http://127.0.0.1:{server._port}"
    finally:
        server.stop()
