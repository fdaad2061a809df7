"""What every row of a project must keep, as its statement declares it and its real rows show it."""

from __future__ import annotations

import pandas as pd

from synth_mlflow.data.constraints import Constraints, Fixed
from synth_mlflow.tracking.project import Project
from synth_mlflow.tracking.stored import EvaluationSet


def kept_constraints(project: Project, frozen: EvaluationSet, learned_from: pd.DataFrame | None) -> Constraints:
    """The statement's constraints; combinations are those of the project's real rows and of ``learned_from``.

    Raises
    ------
    UsageError
        If these rows break a constraint themselves, with the number.
    """
    declared = project.problem().statement.constraints
    if not any(isinstance(one, Fixed) for one in declared):
        return declared
    real = [project.training_rows(frozen), project.evaluation_rows(frozen)]
    return declared.seen_in(pd.concat(real if learned_from is None else [*real, learned_from], ignore_index=True))
