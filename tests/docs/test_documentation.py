"""What the README and the documentation say is run here: commands, searches, quoted output, links."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from pathlib import Path

import click
import mlflow
import numpy as np
import pandas as pd
import pytest
import shop

from synth_mlflow.cli.main import cli
from synth_mlflow.data.statement import Facts
from synth_mlflow.gate.policy import load_check
from synth_mlflow.plugins import BUILT_IN, find, installed
from synth_mlflow.workflow import Workflow

ROOT = Path(__file__).resolve().parents[2]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))
README = (ROOT / "README.md").read_text(encoding="utf-8")
MAX_README_LINES = 200


def page(name: str) -> str:
    """The text of a page below ``docs/``."""
    return (ROOT / "docs" / name).read_text(encoding="utf-8")


def masked(text: str) -> list[str]:
    """Lines without what may differ between machines: numbers, digests, the ratio that is marked, spaces."""
    plain = re.sub(r"(copula|sim)-\w{4}|\b[0-9a-f]{12,}\b|[-+]?\d[\d.,]*|\bchosen\b", "#", text)
    return [" ".join(line.replace("#", "").split()) for line in plain.splitlines() if line.strip()]


def test_first_screen_holds_both_commands() -> None:
    test_command = re.search(r"## Tests\n.*?```bash\n(.*?)```", README, re.DOTALL)
    assert test_command and README.count(test_command.group(1)) == 2
    assert README.index("synth-mlflow demo") < README.index("| stage | verb |")
    assert len(README.splitlines()) <= MAX_README_LINES


@pytest.mark.parametrize("verb", sorted(cli.commands))
def test_every_verb_has_help_and_is_described(verb: str) -> None:
    assert cli.commands[verb].help
    assert re.search(rf"`{verb}`", README), f"{verb} is not in the README"


def test_quoted_output_is_what_the_demo_prints(demo: tuple[Path, str]) -> None:
    quoted = re.search(r"real output\):\n\n```text\n(.*?)```", README, re.DOTALL)
    assert quoted
    printed = masked(demo[1])
    assert [line for line in masked(quoted.group(1)) if line not in printed] == []


@pytest.mark.slow
def test_searches_find_what_they_estimate(demo_workflow: Workflow) -> None:
    server, batch = demo_workflow.project.server, demo_workflow.project.batches()[0]
    demo_workflow.generate("bootstrap_noise", params={"noise": 3}, rows=300, purpose="caught")
    demo_workflow.validate()
    demo_workflow.generate("forest", rows=300, purpose="not looked at")
    demo_workflow.sign("Ada Lind", role="owner")
    demo_workflow.approve(batch.id, name="young")
    demo_workflow.retract(batch.id, reason="a unit was wrong", by="Ada Lind")
    server.client.create_run(server.experiment_id, tags={"synth.stage": "batch"})
    expected = {
        "batches that failed their validation": 1,
        "batches that are not validated yet": 1,
        "batches whose verdict is inconclusive": 0,
        "batches that were retracted": 1,
        "batches of one generator": 1,
        "the checks of one batch": 4,
        "what one rater answered": 0,
        "runs that used a batch": 10,  # its checks, the sweep, its ratios, the final model
        "ratios at which more than half": 1,
        "final models with synthetic rows": 1,
        "complete handoffs that are in force": 0,  # its batch was retracted
        "handoffs that somebody has signed": 1,
        "approved versions of one name": 1,
        "what a killed process left open": 1,
    }
    found = {}
    for which, text in re.findall(r"^\| (.*?) \| ``(.*?)`` \|$", page("reference/names.md"), re.MULTILINE):
        for name, value in {"BATCH": batch.id, "DIGEST": batch.digest[:32]}.items():
            text = text.replace(f"'{name}'", f"'{value}'")
        name = next(words for words in expected if which.startswith(words))
        found[name] = len(server.client.search_runs([server.experiment_id], text))
    assert found == expected


def test_registered_model_takes_raw_columns(demo: tuple[Path, str]) -> None:
    mlflow.set_tracking_uri(f"sqlite:///{demo[0] / 'mlflow.db'}")
    uri = re.search(r'load_model\("(models:/.*?)"\)', page("reference/names.md"))
    assert uri
    rows = pd.read_csv(demo[0] / "synth-mlflow-demo" / "clinic.csv").drop(columns="diagnosis").head(4)
    rows.loc[0, "mean_texture"] = None
    predicted = mlflow.pyfunc.load_model(uri.group(1)).predict(rows)
    assert list(predicted.columns) == ["prediction", "probability_benign", "probability_malignant"]
    assert set(predicted["prediction"]) <= {"benign", "malignant"}


@pytest.mark.slow
def test_python_block_of_imported_batches_runs(
    frozen: object, customers: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    block = re.search(
        r"```python\n(from synth_mlflow import Workflow.*?)```", page("how-to/imported-batches.md"), re.DOTALL
    )
    assert block
    code = block.group(1).replace('Workflow("churn-cold-start")', "frozen")
    names = {"frozen": frozen, "frame": customers(300, 5)}  # type: ignore[operator]
    exec(compile(code, "imported-batches.md", "exec"), names)
    assert names["b"].batch.n_rows == 300  # type: ignore[attr-defined]


@pytest.mark.slow
def test_the_example_statement_is_complete(tmp_path: Path, uri: str) -> None:
    example = re.search(r"```markdown\n(---\nname: wine-quality.*?)```", README, re.DOTALL)
    assert example
    rng = np.random.default_rng(0)
    rows = pd.DataFrame({"alcohol": rng.uniform(8, 14, 500), "sulphates": rng.uniform(0.2, 1, 500)})
    rows.assign(quality=np.round(3 + rows["alcohol"] / 4 + rng.normal(size=500))).to_csv("wine.csv", index=False)
    (tmp_path / "problem.md").write_text(example.group(1))
    workflow = Workflow("wine-quality", uri)
    workflow.define("problem.md")
    workflow.freeze()
    assert len(workflow.evaluation_rows()) > 100


REFUSALS = re.findall(
    r"^\$ synth-mlflow (.*?)\n(.*?)(?=^\$ |\Z)",
    "".join(re.findall(r"```console\n(.*?)```", page("reference/refusals.md"), re.DOTALL)),
    re.DOTALL | re.MULTILINE,
)


@pytest.mark.slow
def test_refusals_are_worded_as_quoted(
    call: Callable[..., tuple[int, str, str]], uri: str, write_project: Callable[..., Path], tmp_path: Path
) -> None:
    at = ("--tracking-uri", uri, "-q")

    def quietly(*arguments: str) -> None:
        assert call(*arguments, *at)[0] == 0

    def change_the_batch() -> None:
        quietly("validate")
        batch = Workflow("shop", uri).project.batches()[0]
        data = next(tmp_path.glob(f"mlruns/**/{batch.run.run_id}/artifacts/batch/data.parquet"))
        shop.customers(300, 9).to_parquet(data)

    def make_files() -> None:
        shop.customers(400, 2).to_parquet("rows.parquet")
        Workflow("shop", uri).evaluation_rows().to_parquet("leaked.parquet")
        half = "generator: my-sim\nparams: {rate: 3}\npurpose: more of the young\n"
        Path("half.yaml").write_text(half)
        Path("record.yaml").write_text(f"{half}version: '1'\nseed: 1\nslice: null\nsource: none\n")

    before = {
        0: lambda: quietly("init", "my-project"),
        1: lambda: quietly("define", str(write_project())),
        2: lambda: quietly("freeze"),
        4: make_files,
        6: lambda: quietly("generate", "--from", "rows.parquet", "--record", "record.yaml"),
        7: lambda: quietly("validate"),
        8: change_the_batch,
    }
    assert len(REFUSALS) == 9
    for number, (command, quoted) in enumerate(REFUSALS):
        before.get(number, lambda: None)()
        words = shlex.split(command)
        if "--batch" in words:
            words[-1] = Workflow("shop", uri).project.batches()[0].id
        code, _, err = call(*words, *at)
        assert code in {2, 3, 4}, command
        assert [line for line in masked(quoted) if line not in masked(err)] == [], err


def test_every_cited_source_stands_where_its_formula_is() -> None:
    cited = re.findall(r"arXiv \d+\.\d+|doi:10\.[^\s;|]+", page("method/sources.md"))
    code = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "synth_mlflow").rglob("*.py"))
    assert len(cited) > 15
    assert [source for source in cited if source.removeprefix("arXiv ").rstrip(".") not in code] == []


def anchors_of(path: Path) -> set[str]:
    """The anchors of a page's headings."""
    titles = re.findall(r"^#+ (.*)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", path.read_text(encoding="utf-8")):
        name, _, anchor = target.partition("#")
        if "://" in name:
            continue
        there = path.parent / name if name else path
        assert there.exists(), target
        assert not anchor or anchor in anchors_of(there), target


def test_every_page_is_in_the_navigation() -> None:
    navigation = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    names = [str(path.relative_to(ROOT / "docs")) for path in PAGES[1:]]
    assert [name for name in names if f": {name}\n" not in navigation] == []


def test_every_key_of_a_statement_is_described() -> None:
    described = re.findall(r"^\| `(\w+)` \|", page("reference/problem-md.md"), re.MULTILINE)
    assert described == list(Facts.model_fields)


def test_every_threshold_is_described_with_its_default() -> None:
    rows = re.findall(r"^\| (\w+) \| `(\w+)` \| ([\d.]+) \|", page("reference/thresholds.md"), re.MULTILINE)
    described = {(check, name): float(value) for check, name, value in rows}
    builtin = [name for name in installed("checks") if find("checks", name).origin == BUILT_IN]
    assert described == {(name, key): value for name in builtin for key, value in load_check(name).defaults.items()}


def command_lines(page: Path) -> list[str]:
    """Every command of ours in the shell blocks of a page."""
    found = "\n".join(re.findall(r"```(?:bash|console)\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL))
    lines = found.replace("\\\n", " ").splitlines()
    return [line.removeprefix("$ ") for line in lines if line.removeprefix("$ ").startswith("synth-mlflow ")]


@pytest.mark.parametrize("line", sorted({line for page in PAGES for line in command_lines(page)}))
def test_every_command_is_one_that_there_is(line: str) -> None:
    verb, *arguments = shlex.split(re.split(r" (?:\|\||>) ", line)[0], comments=True)[1:]
    command = cli.commands[verb]
    context = click.Context(command, info_name=verb, **cli.context_settings)  # as a child of the program's own has
    command.make_parser(context).parse_args(arguments)
