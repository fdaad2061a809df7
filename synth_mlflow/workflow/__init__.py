"""The verbs as methods: what the command line does, from your own code."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Concatenate, ParamSpec, TypeVar

from synth_mlflow.allowed_code import allowing
from synth_mlflow.data.markup import html_table
from synth_mlflow.tracking.project import Project
from synth_mlflow.workflow._evidence import EvidenceVerbs
from synth_mlflow.workflow._generation import GenerationVerbs
from synth_mlflow.workflow._questions import QuestionVerbs
from synth_mlflow.workflow._reviews import ReviewVerbs
from synth_mlflow.workflow._stages import StageVerbs

P = ParamSpec("P")
T = TypeVar("T")


def _allows(method: Callable[Concatenate[Workflow, P], T]) -> Callable[Concatenate[Workflow, P], T]:
    """Lets the code run that this workflow was told to allow, while one of its verbs runs."""

    @functools.wraps(method)
    def allowed(workflow: Workflow, /, *args: P.args, **kwargs: P.kwargs) -> T:
        with allowing(workflow.allow_code):
            return method(workflow, *args, **kwargs)

    return allowed


def _every_verb_allows(made: type[Workflow]) -> type[Workflow]:
    for name, method in inspect.getmembers(made, inspect.isfunction):
        if not name.startswith("_"):
            setattr(made, name, _allows(method))
    return made


@_every_verb_allows
class Workflow(StageVerbs, ReviewVerbs, GenerationVerbs, EvidenceVerbs, QuestionVerbs):
    """One project on one tracking server.

    Parameters
    ----------
    experiment : str or None
        The experiment's name; None takes ``MLFLOW_EXPERIMENT_NAME``, else the only project on the server. A missing
        experiment is made by the first verb that writes.
    tracking_uri : str, optional
        By default MLflow's own setting: ``MLFLOW_TRACKING_URI``, else ``sqlite:///mlflow.db``.
    say : callable, optional
        Told of progress, a line at a time.
    allow_code : sequence of str
        Modules whose code may run here if problem.md or the server names it; see :mod:`synth_mlflow.allowed_code`.
    data : str or Path, optional
        Where real rows that are kept by reference lie now, with the key of their digests beside them.
    """

    @classmethod
    def of(cls, project: Project) -> Workflow:
        """A workflow on a project that is open already."""
        workflow = cls.__new__(cls)
        workflow._project = project
        return workflow

    def _repr_html_(self) -> str:
        """How far the project is; its name alone where nothing is recorded yet."""
        if self._project is None:
            return html_table(["project", "state"], [[self._where[0], "nothing is recorded yet"]])
        return self.status()._repr_html_()
