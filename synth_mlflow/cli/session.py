"""Open the project that a verb works on; under `mlflow run`, the run that MLflow has made is taken over."""

from __future__ import annotations

import logging
import os
import tempfile
from typing import TYPE_CHECKING

from synth_mlflow.cli.options import GlobalOptions
from synth_mlflow.cli.output import Progress
from synth_mlflow.errors import UsageError

if TYPE_CHECKING:
    from synth_mlflow.tracking.project import Project
    from synth_mlflow.workflow import Workflow

READS = frozenset({"status", "check", "verify", "identify", "trace", "diff", "export", "watch"})
"""The verbs that write nothing, also not on the run that `mlflow run` has made for them."""


def open_workflow(verb: str, given: GlobalOptions, *, begins: str | None = None) -> Workflow:
    """The workflow of a verb.

    Parameters
    ----------
    verb : str
        Names the run that `mlflow run` has made.
    begins : str, optional
        The name of the project that the verb may begin; its experiment is made if it is missing. Under `mlflow run` the
        experiment that MLflow was given is the project.
    """
    say = Progress(given.quiet)
    say.wait("loading MLflow")
    quiet_mlflow()
    import synth_mlflow

    workflow_class = synth_mlflow.Workflow  # the error for a missing libgomp is raised here
    from synth_mlflow.tracking.project import Project
    from synth_mlflow.tracking.server import connect, connect_by_id, take_over_mlflow_run
    from synth_mlflow.tracking.write import adopted_as_workflow

    adopted = take_over_mlflow_run()
    if adopted is None:
        name = given.experiment or os.environ.get("MLFLOW_EXPERIMENT_NAME") or begins
        server = connect(name, given.tracking_uri, create=begins is not None, say=say)
        return workflow_class.of(_at(Project(server, say=say, count=say.count), given))
    server = connect_by_id(adopted.experiment_id, given.tracking_uri, create=begins is not None)
    if given.experiment not in (None, server.experiment):
        raise UsageError(
            f"`mlflow run` works in experiment {server.experiment!r}, and --experiment names {given.experiment!r}.",
            f"Name it to MLflow instead: `mlflow run --experiment-name {given.experiment} …`.",
        )
    if verb not in READS:
        adopted_as_workflow(server, adopted.run_id, verb)
    return workflow_class.of(_at(Project(server, workflow_run=adopted.run_id, say=say, count=say.count), given))


def quiet_mlflow() -> None:
    """Keep MLflow from printing beside a verb, and its temporary files in a room of this user."""
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")  # MLflow tells of every table that it makes
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")  # and, on stdout, of every run that ends
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")  # one bar a file; the live line says more
    logging.getLogger("mlflow.utils.environment").setLevel(logging.ERROR)  # environments made by uv hold no pip
    from synth_mlflow.data.private import private_room

    tempfile.tempdir = str(private_room())  # MLflow's own temporary files hold rows too


def _at(project: Project, given: GlobalOptions) -> Project:
    project.real_file = given.real_file
    return project
