"""A workflow that lets a test or a benchmark see what it asks of MLflow."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from synth_mlflow import Workflow
from synth_mlflow.tracking.project import Project

Call = Callable[..., Any]


def watched(workflow: Workflow, around: Callable[[Call], Call]) -> Workflow:
    """The workflow with each method of its client wrapped by ``around``."""
    server = workflow.project.server
    return Workflow.of(Project(replace(server, client=_Client(server.client, around))))  # type: ignore[arg-type]


def counted(workflow: Workflow) -> tuple[Workflow, Counter[str]]:
    """The workflow, and how often it calls which method of its client."""
    asked: Counter[str] = Counter()

    def counting(method: Call) -> Call:
        def call(*args: Any, **options: Any) -> Any:
            asked[method.__name__] += 1
            return method(*args, **options)

        return call

    return watched(workflow, counting), asked


class _Client:
    def __init__(self, client: Any, around: Callable[[Call], Call]) -> None:
        self._client, self._around = client, around

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._client, name)
        return self._around(found) if callable(found) else found
