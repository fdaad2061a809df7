"""`diff`: handoffs named by run id, by age, or as files with or without a server."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from synth_mlflow import Workflow
from synth_mlflow.errors import EvidenceError, GateError, UsageError


def test_by_age_run_and_file(done: Workflow, tmp_path: Path) -> None:
    first = done.project.reader.finished("handoff")[-1].run_id
    with pytest.raises(GateError, match="has 1 handoffs, none of which is the previous one"):
        done.diff("previous")
    (tmp_path / "limits.md").write_text("## Known limitations\nNone in August.\n")
    second = done.report(tmp_path / "second.json", limits=tmp_path / "limits.md").run_id
    found = done.diff("previous", "newest")
    assert [change.part for change in found.changes] == ["limits"] * 3 and found.comparable
    assert found.changes[0].after == "None in August."
    assert done.diff(first, second) == done.diff(first) == done.diff(first, tmp_path / "second.json") == found


def test_what_is_no_handoff(done: Workflow, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"'newst' is no handoff\. Did you mean 'newest'\?"):
        done.diff("newst")
    with pytest.raises(UsageError, match="is no handoff"):
        done.diff(done.project.batches()[0].run.run_id)
    with pytest.raises(UsageError, match=r"handoff\.html is no JSON twin"):
        (tmp_path / "handoff.html").write_text("<html>")
        done.diff(tmp_path / "handoff.html")
    done.report(tmp_path / "edited.json")
    twin = json.loads((tmp_path / "edited.json").read_text())
    twin["sweep"]["chosen"] = 0.75 if twin["sweep"]["chosen"] != 0.75 else 0.5
    (tmp_path / "edited.json").write_text(json.dumps(twin))
    with pytest.raises(EvidenceError, match=r"edited\.json: .* does not give the digest"):
        done.diff(tmp_path / "edited.json")


def test_two_files_need_no_server(
    done: Workflow, call: Callable[..., tuple[int, str, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done.report(tmp_path / "one.json")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    code, out, _ = call("diff", "one.json", "one.json")
    assert code == 0 and "Nothing changed" in out and "the same: statement, data" in out
    code, out, _ = call("diff", "one.json", "one.json", "--json")
    assert code == 0 and json.loads(out)["changes"] == []
