"""`--json` of every verb has the shape that the documentation says."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from synth_mlflow import Workflow
from synth_mlflow.cli.main import cli
from synth_mlflow.tracking import names

Call = Callable[..., tuple[int, str, str]]
SECTION = (Path(__file__).resolve().parents[2] / "docs" / "reference" / "json.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| (`.*?`) \| (.*?) \|$", SECTION, re.MULTILINE)
SHAPES = {verb: shape for verbs, shape in ROWS for verb in re.findall(r"`([\w-]+)`", verbs)}


def _keys(verb: str) -> set[str]:
    return set(re.findall(r"`(\w+)`", SHAPES[verb]))


def test_every_verb_is_documented() -> None:
    assert set(SHAPES) == set(cli.commands)


def _arguments(verb: str, done: Workflow, folder: Path) -> list[str]:
    batch = done.project.batches()[0]
    done.training_rows().head(5).to_csv(folder / "some.csv", index=False)
    given = {
        "define": ["problem.md"],
        "validate": [batch.id],
        "show": [str(done.project.reader.file(batch.run, names.A_BATCH))],
        "init": ["new"],
        "retract": [batch.id, "--reason", "wrong units", "--by", "Ann"],
        "identify": ["some.csv"],
        "trace": [batch.id],
        "log-production": ["--metric", "0.7"],
        "completion": ["bash"],
        "sweep": ["--repeats", "3"],
        "blame": ["--ratio", "50", "--repeats", "3"],
        "diff": ["newest"],
        "approve": [batch.id, "--as", "young"],
        "fetch": ["shop/young@approved", "--output", "x.parquet"],
        "publish": ["shop/young@approved", "--format", "parquet", "--output", "rows"],
        "watch": ["young"],
    }
    return given.get(verb, [])


APPROVED = ["approve", "fetch", "publish", "watch"]
ASKED = ["define", "validate", "sweep", "report", "status", "check", "log-production", "retract", "verify", "identify"]


@pytest.mark.slow
@pytest.mark.parametrize(
    "verb", [*ASKED, "trace", "blame", "reproduce", "diff", "show", "list", "init", "completion", *APPROVED]
)
def test_the_shape_is_what_is_printed(call: Call, done: Workflow, tmp_path: Path, verb: str) -> None:
    uri = done.project.server.tracking_uri
    if verb in ("fetch", "publish", "watch"):
        done.approve(done.project.batches()[0].id, name="young")
    _, out, _ = call(verb, "--json", "--tracking-uri", uri, *_arguments(verb, done, tmp_path))
    found = json.loads(out)
    assert isinstance(found, list) == SHAPES[verb].startswith("a list")
    assert set(found[0] if isinstance(found, list) else found) == _keys(verb)


@pytest.mark.slow
def test_stages_that_come_before(call: Call, defined: Workflow, customers: Callable[..., pd.DataFrame]) -> None:
    at = ("--json", "--tracking-uri", defined.project.server.tracking_uri)
    assert set(json.loads(call("freeze", *at)[1])) == _keys("freeze")
    made = call("generate", "bootstrap_noise", "--rows", "50", "--purpose", "try", *at)[1]
    assert set(json.loads(made)[0]) == _keys("generate")


def test_errors_have_a_shape_too(call: Call) -> None:
    code, out, _ = call("define", "nowhere.md", "--json")
    assert code == 2 and set(json.loads(out)) == set(
        re.findall(r"`(\w+)`", SECTION.partition("An error is")[2].partition("\n|")[0])
    )
