"""What tests of tables elsewhere start with."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from web_site import CSV, Handler, Site, body

from synth_mlflow.data.sources.copies import one_command


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setattr("synth_mlflow.data.sources.web.PAUSE_SECONDS", 0.0)
    with Site(("127.0.0.1", 0), Handler) as server:
        server.answers, server.asked = {"/rows.csv": body(CSV)}, []
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def command() -> Iterator[None]:
    """As if one command did all that the test does."""
    with one_command():
        yield
