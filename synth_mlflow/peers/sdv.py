"""SDV's single-table synthesizers, such as ``sdv:GaussianCopulaSynthesizer``; SDV 2 or newer."""

from __future__ import annotations

from typing import Any, ClassVar

TABLE = "rows"
SDTYPES = {"integer": "numerical", "number": "numerical", "boolean": "boolean", "string": "categorical"}


class Sdv:
    """Keeps the Peer contract."""

    summary: ClassVar[str] = "SDV 2's single-table synthesizers: sdv:GaussianCopulaSynthesizer, sdv:TVAESynthesizer, …"
    setup: ClassVar[str] = "python3 -m venv sdv-env && sdv-env/bin/pip install 'sdv>=2' pyarrow"
    packages: ClassVar[tuple[str, ...]] = ("sdv", "rdt", "copulas", "ctgan", "pandas", "numpy", "scipy", "torch")

    @staticmethod
    def build(members: Any, request: dict[str, Any]) -> Any:
        """A synthesizer with metadata that is built from the kinds of the columns."""
        import sdv
        from sdv import single_table
        from sdv.metadata import Metadata

        if int(sdv.__version__.partition(".")[0]) < 2:
            raise LookupError(f"SDV {sdv.__version__} is installed there, 2 or newer is needed")
        known = sorted(name for name in dir(single_table) if name.endswith("Synthesizer"))
        if request["model"] not in known:
            raise LookupError(f"SDV has no single-table synthesizer {request['model']!r}; it has {', '.join(known)}")
        metadata = Metadata.load_from_dict(metadata_of(members, request["kinds"]))
        return getattr(single_table, request["model"])(metadata, **request["params"])

    @staticmethod
    def make(model: Any, members: Any, request: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        """Fit, and sample with the request's seed."""
        model.fit({TABLE: members})
        model._set_random_state(request["seed"])  # SDV samples every model with one fixed seed otherwise
        frame = model.sample(num_rows=request["rows"])[TABLE]
        return frame, {"metadata": metadata_of(members, request["kinds"])}


def metadata_of(members: Any, kinds: dict[str, str]) -> dict[str, Any]:
    """SDV's metadata; texts that never repeat are identifiers, others are categories."""
    columns = {name: {"sdtype": _sdtype(members[name], kinds[name])} for name in members}
    return {
        "METADATA_SPEC_VERSION": "V1",
        "tables": {TABLE: {"columns": columns}},
        "relationships": [],
    }


def _sdtype(column: Any, kind: str) -> str:
    if kind == "string" and column.nunique() == len(column) > 1:
        return "id"
    return SDTYPES.get(kind, kind)


plugin = Sdv
