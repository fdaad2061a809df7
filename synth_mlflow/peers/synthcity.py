"""synthcity's generic plugins, such as ``synthcity:tvae`` or ``synthcity:bayesian_network``."""

from __future__ import annotations

from typing import Any, ClassVar


class Synthcity:
    """Keeps the Peer contract.

    Some of its plugins take no notice of the seed (``marginal_distributions`` gave other rows in each process).
    """

    summary: ClassVar[str] = "synthcity's generic plugins: synthcity:tvae, synthcity:bayesian_network, …"
    setup: ClassVar[str] = (
        "python3.11 -m venv synthcity-env && synthcity-env/bin/pip install synthcity 'opacus<1.5.3' 'pyarrow<20'"
    )
    packages: ClassVar[tuple[str, ...]] = ("synthcity", "opacus", "pandas", "numpy", "scikit-learn", "torch")

    @staticmethod
    def build(members: Any, request: dict[str, Any]) -> Any:
        """A plugin by its name; those that need whole time series or images are not for tables."""
        from synthcity.plugins import Plugins

        known = Plugins(categories=["generic", "privacy"])
        if request["model"] not in known.list():
            raise LookupError(f"synthcity has no plugin {request['model']!r}; it has {', '.join(sorted(known.list()))}")
        return known.get(request["model"], **{"random_state": request["seed"], **request["params"]})

    @staticmethod
    def make(model: Any, members: Any, request: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        """Fit on a loader that knows the target, and sample with the request's seed."""
        from synthcity.plugins.core.dataloader import GenericDataLoader

        model.fit(GenericDataLoader(members, target_column=request["target"]))
        return model.generate(count=request["rows"], random_state=request["seed"]).dataframe(), {}


plugin = Synthcity
