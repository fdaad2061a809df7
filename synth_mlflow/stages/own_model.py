"""The model of a problem statement, if its code may run on this machine."""

from __future__ import annotations

from synth_mlflow.allowed_code import importable_here, require_allowed
from synth_mlflow.data.task import BOOSTED, ModelSpec


def allowed_model(spec: ModelSpec) -> ModelSpec:
    """The model, after its estimator was found to be allowed and was imported; nothing of it is called.

    Raises
    ------
    UsageError
        If nobody at this machine allowed its module, or it is no estimator; see :mod:`synth_mlflow.allowed_code`.
    """
    if spec.estimator != BOOSTED:
        require_allowed(spec.estimator, "the estimator of the problem statement")
        from synth_mlflow.model.estimator import load_estimator  # takes a second to import

        with importable_here():
            load_estimator(spec.estimator)
    return spec
