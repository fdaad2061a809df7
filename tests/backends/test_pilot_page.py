"""A pilot: rows to be read beside real ones, judged at once, and kept out of training."""

import json
import re

import pandas as pd
import pytest
from click.testing import CliRunner

from synth_mlflow.backends.batch_writer import pilot_page
from synth_mlflow.cli.main import cli
from synth_mlflow.errors import GateError
from synth_mlflow.stages.sweep_inputs import open_batches
from synth_mlflow.tracking import names


def page_of(workflow, batch):
    return workflow.project.reader.file(workflow.project.batch(batch.batch).run, names.A_PILOT).read_text()


def ages_of(page):
    """The first column of each table."""
    return [[int(row) for row in re.findall(r"<tr>\s*<td>(\d+)</td>", table)] for table in page.split("<h2>Real</h2>")]


def test_nothing_in_the_rows_becomes_markup():
    hostile = pd.DataFrame({"<b>": ["<script>alert(1)</script>"] * 40})
    page = pilot_page("<i>", hostile, hostile)
    assert "<script" not in page and "<b>" not in page and "<i>" not in page
    assert page.count("&lt;script&gt;") == 50


@pytest.mark.slow
def test_a_page_of_25_beside_25(frozen):
    batch = frozen.generate("bootstrap_noise", rows=40, seed=1, purpose="x", pilot=True)
    synthetic, real = ages_of(page_of(frozen, batch))
    assert (len(synthetic), len(real)) == (25, 25) and set(real) <= set(frozen.training_rows()["age"])
    assert batch.record.notes["pilot"] is True
    assert frozen.generate("bootstrap_noise", rows=40, seed=1, purpose="x").run_id != batch.run_id


def test_real_rows_lie_in_the_slice(frozen):
    batch = frozen.generate("bootstrap_noise", rows=30, slice="age < 30", purpose="x", pilot=True)
    assert all(ages and max(ages) < 30 for ages in ages_of(page_of(frozen, batch)))


@pytest.mark.slow
def test_real_rows_of_a_silo_are_not_copied(frozen, customers):
    customers(100, 8).to_csv("silo.csv", index=False)
    page = page_of(frozen, frozen.generate("bootstrap_noise", rows=30, purpose="x", source="silo.csv", pilot=True))
    assert "learned from real rows elsewhere, which are not copied" in page and page.count("<table") == 1


@pytest.mark.slow
def test_a_pilot_is_judged_at_once_and_not_swept(frozen):
    at = ["--tracking-uri", frozen.project.server.tracking_uri]
    asked = ["generate", "bootstrap_noise", "--pilot", "--purpose", "x", "--json", "-q"]
    done = CliRunner().invoke(cli, [*asked, *at], catch_exceptions=False)
    (verdict,) = json.loads(done.stdout)
    assert done.exit_code == 0 and {check["check"] for check in verdict["checks"]} >= {"fidelity", "utility"}
    assert frozen.project.batch(verdict["batch"]).n_rows == 200
    with pytest.raises(GateError, match="no synthetic batch but pilots"):
        open_batches(frozen.project)


def test_a_pilot_has_its_own_size():
    done = CliRunner().invoke(cli, ["generate", "forest", "--pilot", "--rows", "9", "--purpose", "x"])
    assert done.exit_code == 2 and "a pilot makes 200 rows" in done.output
