"""Approved data on a server over HTTP: how often it is asked, and what a mix and a retraction change about that."""

from __future__ import annotations

import mlflow
import pytest
import requests
import shop

from synth_mlflow import Workflow, load_batch
from synth_mlflow.stages.approved_data import load_approved

pytestmark = [pytest.mark.xdist_group("servers"), pytest.mark.slow]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every request that this process sends."""
    sent: list[str] = []
    plain = requests.Session.request

    def request(self: requests.Session, method: str, url: str, *args: object, **kwargs: object) -> object:
        sent.append(f"{method} {url}")
        return plain(self, method, url, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(requests.Session, "request", request)
    return sent


def test_five_requests(site, asked: list[str]) -> None:
    workflow = Workflow("shop", site.uri)
    batch = workflow.project.batches()[0]
    name = workflow.approve(batch.id, name="young").address
    mlflow.set_tracking_uri(site.uri)
    mlflow.set_experiment("somebody else's")
    with mlflow.start_run() as run:
        asked.clear()
        found = load_batch("shop/young@approved")
        assert len([one for one in asked if one.split()[1].startswith(site.uri)]) <= 5, "\n".join(asked)
    assert found.version.logged_on == run.info.run_id and found.to_pandas().shape == (400, 6)
    assert [one.run_id for one in workflow.watch("young").versions[0].read_by] == [run.info.run_id]
    law = {"generator": "law", "version": "1", "params": {"rate": 3}, "seed": 8, "slice": None}
    with workflow.batch(**law, purpose="more rows", source="none") as b:
        b.write(shop.customers(400, 8))
    assert b.batch is not None
    workflow.retract(b.batch, reason="x", by="Ann")
    asked.clear()
    assert load_approved(name).record.batch == batch.id  # type: ignore[union-attr]
    assert len(asked) <= 6, "\n".join(asked)  # the digests of the real rows, and of the rows that were retracted
