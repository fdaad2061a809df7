"""Which experiment is meant, and which experiments are projects."""

from __future__ import annotations

import shlex

from mlflow.entities import Experiment
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from synth_mlflow.errors import UsageError, closest
from synth_mlflow.tracking import names


def find(client: MlflowClient, name: str | None) -> Experiment:
    """The experiment of this name; without one, the only project; a UsageError where there is none."""
    if name is not None:
        found = client.get_experiment_by_name(name)
        if found is not None and found.lifecycle_stage != "active":
            raise _deleted(found)
        if found is None:
            known = [experiment.name for experiment in client.search_experiments()]
            raise UsageError(
                f"there is no experiment {name!r}. {closest(name, known)}", "Begin with `synth-mlflow init`."
            )
        refuse_other_schema(found)
        return found
    known_projects = projects(client)
    if len(known_projects) != 1:
        listed = ", ".join(repr(project.name) for project in known_projects) or "none"
        raise UsageError(
            f"{len(known_projects)} projects are on this server ({listed}); one had to be named.",
            "Give `--experiment NAME`.",
        )
    return known_projects[0]


def projects(client: MlflowClient) -> list[Experiment]:
    """The experiments that are projects; of several, those in which somebody has defined a problem."""
    marked = list(client.search_experiments(filter_string=f"tags.`{names.TAG_SCHEMA}` = '{names.SCHEMA}'"))
    if len(marked) < 2:
        return marked
    begun = f"tags.`{names.TAG_STAGE}` = 'problem'"
    return [each for each in marked if client.search_runs([each.experiment_id], begun, max_results=1)] or marked


def _deleted(experiment: Experiment) -> UsageError:
    return UsageError(
        f"experiment {experiment.name!r} was deleted.",
        "Restore it, or give the project another name. To restore: "
        f"`mlflow experiments restore --experiment-id {experiment.experiment_id}`.",
    )


def make(client: MlflowClient, name: str) -> Experiment:
    """The experiment of this name, made if it is missing, and marked as a project."""
    found = client.get_experiment_by_name(name)
    if found is not None and found.lifecycle_stage != "active":
        raise _deleted(found)
    if found is None:
        try:
            found = client.get_experiment(client.create_experiment(name))
        except MlflowException:  # somebody else made it in this moment
            found = client.get_experiment_by_name(name)
            if found is None:
                raise
    mark(client, found)
    return found


def refuse_other_schema(experiment: Experiment) -> None:
    """A UsageError for a project whose tags, parameters and metrics have the names of another version."""
    found = experiment.tags.get(names.TAG_SCHEMA, names.SCHEMA)
    if found != names.SCHEMA:
        raise UsageError(
            f"project {experiment.name!r} was written with the names of schema {found} (tag `{names.TAG_SCHEMA}`), "
            f"this version reads and writes schema {names.SCHEMA}.",
            f"Go on with the version that wrote it, or begin anew: `synth-mlflow define problem.md --experiment "
            f"{shlex.quote(f'{experiment.name}-{names.SCHEMA}')}`.",
        )


def mark(client: MlflowClient, experiment: Experiment) -> None:
    """Mark an experiment as a project; a UsageError if it is one of another schema."""
    refuse_other_schema(experiment)
    if experiment.tags.get(names.TAG_SCHEMA) != names.SCHEMA:
        client.set_experiment_tag(experiment.experiment_id, names.TAG_SCHEMA, names.SCHEMA)
        client.set_experiment_tag(experiment.experiment_id, "mlflow.experimentKind", "custom_model_development")
