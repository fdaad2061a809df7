"""Run by a peer's own Python: ``_peer_side.py FOLDER`` reads a request and real rows there, and writes rows and facts.

Nothing but the standard library, and pandas and pyarrow of that environment once rows are asked for.
"""

from __future__ import annotations

import importlib.util
import json
import platform
import random
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

WRONG_REQUEST = 64  # the exit code for a model or parameters that the peer does not know (EX_USAGE)


def main(folder: Path) -> None:
    """Answer the request in ``request.json``; without ``rows`` it asks for the environment alone."""
    request = json.loads((folder / "request.json").read_text(encoding="utf-8"))
    plugin = _adapter(request["adapter"])
    facts = {"environment": _environment(plugin.packages)}
    if "rows" in request:
        facts["notes"] = _make(plugin, request, folder)
    (folder / "facts.json").write_text(json.dumps(facts), encoding="utf-8")


def _adapter(path: str) -> Any:
    spec = importlib.util.spec_from_file_location("synth_mlflow_peer", path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is no Python file")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.plugin


def _environment(names: tuple[str, ...]) -> dict[str, Any]:
    installed = {str(package.metadata["Name"]).lower(): package.version for package in metadata.distributions()}
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": {name: installed[name] for name in (*names, "pyarrow") if name in installed},
    }


def _make(plugin: Any, request: dict[str, Any], folder: Path) -> dict[str, Any]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    members = pq.read_table(folder / "members.parquet").to_pandas(ignore_metadata=True)
    _seed(request["seed"])
    try:
        model = plugin.build(members, request)
    except (LookupError, TypeError, ValueError) as error:
        print(error.args[0] if error.args else type(error).__name__, file=sys.stderr)
        sys.exit(WRONG_REQUEST)
    frame, notes = plugin.make(model, members, request)
    for name, kind in request["kinds"].items():
        if kind == "integer" and name in frame and frame[name].dtype.kind == "f":
            frame[name] = frame[name].round()
    pq.write_table(pa.Table.from_pandas(frame, preserve_index=False), folder / "output.parquet")
    return dict(notes)


def _seed(seed: int) -> None:
    random.seed(seed)
    for name in ("numpy", "torch"):
        if importlib.util.find_spec(name) is not None:
            module: Any = importlib.import_module(name)
            module.random.seed(seed) if name == "numpy" else module.manual_seed(seed)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
