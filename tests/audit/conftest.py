"""The demo's project with files of its own, so that tests may change everything behind the tool's back."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from copied_project import whole_copy

from synth_mlflow import Workflow


@pytest.fixture(scope="session")
def signed_demo(demo: tuple[Path, str], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A folder with the demo's project, signed with its champion, and the run of the sign-off.

    Checks are run again for a champion, which takes seconds.
    """
    folder = tmp_path_factory.mktemp("signed") / "demo"
    rows = folder / "synth-mlflow-demo" / "partner_clinic.csv"  # the demo's batch was learned from them
    signed = whole_copy(demo[0], folder).sign("Ada Lind", role="owner", champion=True, sources=[rows])
    return folder, signed.run_id


@pytest.fixture
def own(request: pytest.FixtureRequest, demo: tuple[Path, str], tmp_path: Path) -> Workflow:
    """A whole copy of the demo's project; signed where the test takes `signed`."""
    source = request.getfixturevalue("signed_demo")[0] if "signed" in request.fixturenames else demo[0]
    return whole_copy(source, tmp_path / "own")


@pytest.fixture
def signed(signed_demo: tuple[Path, str]) -> str:
    """The run of the sign-off, in the project `own`."""
    return signed_demo[1]


@pytest.fixture
def change(own: Workflow) -> Callable[..., None]:
    """Runs one statement on the database behind the server."""

    def change(statement: str, *values: object) -> None:
        with sqlite3.connect(own.project.server.tracking_uri.removeprefix("sqlite:///")) as database:
            assert database.execute(statement, values).rowcount > 0

    return change


@pytest.fixture
def path_of(own: Workflow) -> Callable[[str, str], Path]:
    """Where an artifact of the newest run of a stage lies."""

    def path_of(stage: str, artifact: str) -> Path:
        run = own.project.reader.finished(stage)[-1]
        uri = own.project.server.client.get_run(run.run_id).info.artifact_uri
        return Path(uri.removeprefix("file://")) / artifact

    return path_of
