"""The built-in generators keep the contract, as the type checker sees it."""

from __future__ import annotations

import pytest

from synth_mlflow.generators import Generator
from synth_mlflow.generators.bayes_net import BayesNet
from synth_mlflow.generators.bootstrap_noise import BootstrapNoise
from synth_mlflow.generators.forest import Forest
from synth_mlflow.generators.gaussian_copula import GaussianCopula
from synth_mlflow.generators.smote import Smote

GENERATORS: list[Generator] = [BayesNet(), BootstrapNoise(), Forest(), GaussianCopula(), Smote()]


@pytest.mark.parametrize("generator", GENERATORS, ids=lambda generator: type(generator).__name__)
def test_summaries_fit_a_line_of_the_list(generator: Generator) -> None:
    assert len(generator.summary) <= 100
    assert ("leaky" in generator.summary) is generator.leaky
