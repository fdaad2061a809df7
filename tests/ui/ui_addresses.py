"""Addresses of the demo's pages in the MLflow UI, and the sizes of windows that people have."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from started import Started

DESKTOP, PHONE = (1600, 1200), (400, 800)
ML = "workflowType=machine_learning"


@dataclass(frozen=True)
class Shown:
    """The demo's project as the UI shows it."""

    server: Started
    experiment_id: str
    runs: dict[str, str]
    """The newest run of each stage."""
    batch: str
    """The short id of its only batch."""

    def run(self, stage: str) -> str:
        """The address of a run's page."""
        return f"{self.server.uri}/#/experiments/{self.experiment_id}/runs/{self.runs[stage]}?{ML}"

    def artifact(self, stage: str, path: str) -> str:
        """The address of an artifact's page."""
        return f"{self.server.uri}/#/experiments/{self.experiment_id}/runs/{self.runs[stage]}/artifacts/{path}?{ML}"


def expect_readable(page: Any) -> None:
    """Axe finds no fault, nothing hangs over the edge, and the console tells of no error."""
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    assert page.errors == []
