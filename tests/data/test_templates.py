"""The files that people fill in: written once, never over what they wrote."""

import pytest

from synth_mlflow.cli.templates import write_demo, write_templates
from synth_mlflow.data.statement import read_limits, read_statement
from synth_mlflow.data.tables import read_table
from synth_mlflow.errors import UsageError


def test_templates_are_written_once(tmp_path):
    written = write_templates(tmp_path / "new project")
    assert [path.name for path in written] == ["problem.md", "limits.md", "MLproject"]
    with pytest.raises(UsageError, match=r"holds problem.md and limits.md already; nothing was written"):
        write_templates(tmp_path / "new project")


def test_nothing_is_written_beside_what_is_there(tmp_path):
    (tmp_path / "limits.md").write_text("mine")
    with pytest.raises(UsageError, match=r"holds limits.md already"):
        write_templates(tmp_path)
    assert ((tmp_path / "limits.md").read_text(), (tmp_path / "problem.md").exists()) == ("mine", False)


def test_the_demo_is_filled_in_and_leaves_what_is_there_alone(tmp_path):
    write_demo(tmp_path)
    facts = read_statement(tmp_path / "problem.md").facts
    assert facts.target in read_table(tmp_path / facts.data)
    assert all(read_limits(tmp_path / "limits.md").values())
    (tmp_path / "limits.md").write_text("mine")
    assert write_demo(tmp_path) == []
    assert (tmp_path / "limits.md").read_text() == "mine"
