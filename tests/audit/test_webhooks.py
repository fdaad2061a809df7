"""What is called on a retraction: it is told, never asked, and never in the way."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import mlflow
import pytest

from synth_mlflow import GateError, UsageError, Workflow, load_batch
from synth_mlflow.tracking.webhooks import call, checked_webhook, shown


class Ear(BaseHTTPRequestHandler):
    """Keeps what it is told; a path with `no` in it is refused, one with `away` leads elsewhere."""

    heard: list[tuple[str, dict[str, str], Any]]

    def do_POST(self) -> None:
        content = self.rfile.read(int(self.headers["Content-Length"]))
        self.heard.append((self.path, dict(self.headers), json.loads(content)))
        self.send_response(503 if "no" in self.path else 302 if "away" in self.path else 200)
        self.send_header("Location", "/landed")
        self.end_headers()

    def log_message(self, *args: object) -> None:
        """Say nothing on stderr."""


@pytest.fixture
def ear() -> Iterator[tuple[str, list[tuple[str, dict[str, str], Any]]]]:
    """The address of a listener, and what it has heard."""
    heard: list[tuple[str, dict[str, str], Any]] = []
    server = HTTPServer(("127.0.0.1", 0), type("MyEar", (Ear,), {"heard": heard}))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", heard
    server.shutdown()
    server.server_close()


@pytest.mark.slow
def test_a_retraction_is_told_to_those_who_asked(done: Workflow, ear, monkeypatch: pytest.MonkeyPatch) -> None:
    address, heard = ear
    uri, batch = done.project.server.tracking_uri, done.project.batches()[0]
    mlflow.set_tracking_uri(uri)
    monkeypatch.setenv("TEAM_HOOK", f"{address}/team")
    done.approve(batch.id, name="young", webhook=f"{address}/hooks/s3cret")
    for hook in ("env:TEAM_HOOK", f"{address}/no", "http://127.0.0.1:9/gone", "env:NOWHERE"):
        done.add_webhook("young", hook)
    with pytest.raises(UsageError, match="is no webhook of 'young'"):
        done.remove_webhook("young", f"{address}/other")
    with mlflow.start_run() as run:
        load_batch("shop/young@approved")
    assert "s3cret" not in str(done.watch("young"))
    told = done.retract(batch.id, reason="wrong units", by="Ann")
    assert {each.webhook: each.delivered for each in told.webhooks} == {
        f"{address}/…": False, "env:TEAM_HOOK": True, "http://127.0.0.1:9/…": False, "env:NOWHERE": False,
    }  # fmt: skip
    assert [path for path, *_ in heard] == ["/hooks/s3cret", "/team", "/no"]
    facts = heard[0][2]
    assert (facts["event"], facts["batch"], facts["by"]) == ("retraction", batch.id, "Ann")
    assert facts["approved"] == ["shop/young/1"] and [each["run_id"] for each in facts["read_by"]] == [run.info.run_id]
    assert [each.run_id for each in told.read_by] == [run.info.run_id]
    (version,) = done.watch("young").versions
    assert "wrong units" in version.retracted and version.read_by[0].run_id == run.info.run_id
    done.remove_webhook("young", f"{address}/no")
    with pytest.raises(GateError, match="was retracted already"):  # whoever was killed tells it again
        done.retract(batch.id, reason="again", by="Ben")
    assert [path for path, *_ in heard[3:]] == ["/hooks/s3cret", "/team"] and heard[3][2]["by"] == "Ann"


def test_nothing_of_this_machine_goes_along(ear, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    address, heard = ear
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login ann password s3cret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    assert call(f"{address}/away", {"event": "x"}).delivered is False  # a redirect is not followed
    ((path, headers, told),) = heard
    assert path == "/away" and told == {"event": "x"} and "Authorization" not in headers


@pytest.mark.parametrize(
    "hook",
    ["ftp://host/x", "file:///etc/passwd", "//host", "https://", "https://ann:pw@host/x", "http://169.254.169.254/x",
     "http://[fe80::1]/x", "env:", "env:A-B", "https://host/x y", "javascript:alert(1)", "https://h/" + "x" * 2000],
)  # fmt: skip
def test_what_is_no_webhook(hook: str) -> None:
    with pytest.raises(UsageError, match="cannot be a webhook"):
        checked_webhook(hook)
    assert "pw" not in shown(hook)


def test_a_variable_that_holds_no_url_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOOK", "s3cret")
    told = call("env:HOOK", {})
    assert not told.delivered and "s3cret" not in str(told)


def test_a_name_of_nothing_has_no_webhook(done: Workflow) -> None:
    with pytest.raises(GateError, match="nothing was approved as 'young'"):
        done.add_webhook("young", "https://host/x")
    with pytest.raises(GateError, match="nothing was approved as 'young'"):
        done.watch("young")
