"""Fixtures that every test may take, in the order of the stages; what is dear to make is made once and copied.

==================  ===========================================================================================
``customers``       makes rows of the shop: ``customers(n_rows, seed)``
``write_project``   writes the shop's statement and rows into the test's folder
``call``            runs a command line in this process: exit code, output, errors
``uri``             the tracking URI of an empty store
``defined``         a `Workflow` with a problem statement
``frozen``          ... and a frozen evaluation set
``done``            ... and a batch that passed, a sweep and a handoff
``demo``            the folder in which `synth-mlflow demo` was run, and what it printed; do not write there
``demo_workflow``   a `Workflow` on a copy of the demo's store
``shared``          the folder of real tables and oracles beside a developer's checkout; skips without it
==================  ===========================================================================================

`frozen`, `done` and `demo_workflow` copy the database alone: artifacts are shared, and never rewritten.
The package is imported by the fixtures: the process that only hands out tests to others needs seconds less.
"""

from __future__ import annotations

import io
import itertools
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import chdir, closing, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import pytest

if TYPE_CHECKING:
    import pandas as pd

    from synth_mlflow.workflow import Workflow

hypothesis.settings.register_profile(
    "suite",
    max_examples=50,
    deadline=None,  # busy machines are no failures
    database=None,  # no file stays behind
    derandomize=True,  # the same commit passes or fails each time; `--hypothesis-profile=default` looks elsewhere
)
hypothesis.settings.load_profile("suite")

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # it asks servers from threads of its own, at its own time

_FOLDERS = itertools.count()
SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All tests on the demo go to one process, so that it is run once."""
    for item in items:
        if "demo" in getattr(item, "fixturenames", ()) and item.get_closest_marker("xdist_group") is None:
            item.add_marker(pytest.mark.xdist_group("demo"))


@pytest.fixture(scope="session")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, Callable[[Path], None]], Path]:
    """Fills a folder in one process for all that run tests: ``made_once(name, fill)`` gives the folder.

    The others wait; a lock of SQLite holds on every system and ends with its process.
    """
    own = tmp_path_factory.getbasetemp()
    root = own.parent if "PYTEST_XDIST_WORKER" in os.environ else own

    def made_once(name: str, fill: Callable[[Path], None]) -> Path:
        folder, made = root / f"shared-{name}", root / f"shared-{name}.made"
        with closing(sqlite3.connect(root / f"shared-{name}.lock", timeout=600, isolation_level=None)) as lock:
            lock.execute("BEGIN EXCLUSIVE")
            if not made.exists():
                shutil.rmtree(folder, ignore_errors=True)  # of a process that was killed
                folder.mkdir()
                fill(folder)
                made.touch()
        return folder

    return made_once


@pytest.fixture(scope="session")
def customers() -> Callable[..., pd.DataFrame]:
    """Makes rows of one distribution: ``customers(n_rows, seed)``."""
    import shop

    return shop.customers


@pytest.fixture(scope="session")
def empty_store(made_once: Callable[[str, Callable[[Path], None]], Path]) -> Path:
    """A database with MLflow's tables and nothing in it: making one takes seconds, copying it none."""
    from synth_mlflow.tracking.server import connect

    def fill(folder: Path) -> None:
        connect("nobody", f"sqlite:///{folder / 'mlflow.db'}", create=True).client.delete_experiment("1")

    return made_once("empty", fill) / "mlflow.db"


@pytest.fixture(scope="session", autouse=True)
def _temporary_folder() -> Iterator[None]:
    """A temporary folder of this process and those that it starts: a killed one cannot tidy up. Its path is short."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder, pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", folder)
        patch.setattr(tempfile, "tempdir", folder)
        yield


@pytest.fixture
def tmp_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder whose name no later test gets: MLflow keeps connections to a database by its path."""
    return tmp_path_factory.mktemp(f"t{next(_FOLDERS)}", numbered=False)


@pytest.fixture(autouse=True)
def _undisturbed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No test sees another's working directory, environment or MLflow state."""
    import mlflow

    for name in [
        name for name in os.environ if name.startswith("MLFLOW_") and name != "MLFLOW_HTTP_REQUEST_MAX_RETRIES"
    ]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("synth_mlflow.allowed_code.settings_file", lambda: tmp_path / "no-settings" / "allow-code")
    yield
    mlflow.end_run()
    mlflow.set_tracking_uri(None)
    mlflow.tracking.fluent._active_experiment_id = None  # no public way to take back `mlflow.set_experiment`


@pytest.fixture
def uri(empty_store: Path, tmp_path: Path) -> str:
    """The tracking URI of a fresh store of this test alone."""
    shutil.copy(empty_store, tmp_path / "mlflow.db")
    return f"sqlite:///{tmp_path / 'mlflow.db'}"


@pytest.fixture
def write_project(tmp_path: Path) -> Callable[..., Path]:
    """Writes rows.csv, problem.md and limits.md; returns the path of problem.md."""
    import shop

    def write(rows: pd.DataFrame | None = None, *, name: str = "shop", more: str = "", **changes: str) -> Path:
        real = shop.customers(600, seed=1) if rows is None else rows
        return shop.write_shop(tmp_path, real, name=name, more=more, **changes)

    return write


@pytest.fixture
def defined(uri: str, write_project: Callable[..., Path]) -> Workflow:
    """A project with its problem statement."""
    from synth_mlflow.workflow import Workflow

    workflow = Workflow("shop", uri)
    workflow.define(write_project())
    return workflow


@pytest.fixture(scope="session")
def frozen_folder(empty_store: Path, made_once: Callable[[str, Callable[[Path], None]], Path]) -> Path:
    """A store with a frozen project, made once a session."""
    import shop

    from synth_mlflow.workflow import Workflow

    def fill(folder: Path) -> None:
        shutil.copy(empty_store, folder / "mlflow.db")
        shop.write_shop(folder, shop.customers(600, seed=1))
        with chdir(folder):  # MLflow puts artifacts under the working directory
            workflow = Workflow("shop", f"sqlite:///{folder / 'mlflow.db'}")
            workflow.define(folder / "problem.md")
            workflow.freeze()

    return made_once("frozen", fill)


@pytest.fixture
def frozen(frozen_folder: Path, tmp_path: Path) -> Workflow:
    """A project with its frozen evaluation set; a copy whose artifacts are shared and never rewritten."""
    import shop

    return shop.on_copy(frozen_folder, tmp_path)


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Runs a command line; returns its exit code, what it printed, and its errors."""
    from synth_mlflow.cli.main import run

    def call(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as leaving:
            run(arguments)
        printed = capsys.readouterr()
        return int(leaving.value.code or 0), printed.out, printed.err

    return call


@pytest.fixture(scope="session")
def done_folder(
    frozen_folder: Path,
    customers: Callable[..., pd.DataFrame],
    made_once: Callable[[str, Callable[[Path], None]], Path],
) -> Path:
    """A store whose project has a batch that passed, a sweep and a handoff."""
    import shop

    def fill(folder: Path) -> None:
        workflow = shop.on_copy(frozen_folder, folder)
        with chdir(folder):
            law = {"generator": "law", "version": "1", "params": {"rate": 3}, "seed": 2, "slice": None}
            with workflow.batch(**law, purpose="more rows", source="none") as b:
                b.write(customers(1000, 2))  # a perfect generator: further rows of the same law
            workflow.validate()
            workflow.sweep(repeats=3)
            workflow.report(folder / "handoff.html")

    return made_once("done", fill)


@pytest.fixture
def done(done_folder: Path, tmp_path: Path) -> Workflow:
    """The whole way, on a copy of its store; artifacts are shared and never rewritten."""
    import shop

    return shop.on_copy(done_folder, tmp_path)


@pytest.fixture
def shared() -> Path:
    """The folder with real tables and oracles beside a developer's checkout; users do not have it."""
    if not SHARED.is_dir():
        pytest.skip("the folder of shared tables is not on this machine")
    return SHARED


@pytest.fixture(scope="session")
def demo(empty_store: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder in which `synth-mlflow demo` was run once, in this process, and what it printed."""
    from synth_mlflow.cli.main import run

    folder, printed = tmp_path_factory.mktemp("demo"), io.StringIO()
    shutil.copy(empty_store, folder / "mlflow.db")
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(printed), pytest.raises(SystemExit) as left:
        patch.chdir(folder)
        patch.setenv("MLFLOW_TRACKING_URI", "sqlite:///mlflow.db")
        run(["demo"])
    assert left.value.code == 0, printed.getvalue()
    return folder, printed.getvalue()


@pytest.fixture
def demo_workflow(demo: tuple[Path, str], tmp_path: Path) -> Workflow:
    """The demo's project on a copy of its store."""
    from synth_mlflow.workflow import Workflow

    shutil.copy(demo[0] / "mlflow.db", tmp_path / "mlflow.db")
    return Workflow(None, f"sqlite:///{tmp_path / 'mlflow.db'}")
