"""The command line as people and scripts use it: output, exit codes, errors without tracebacks."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from unittest.mock import Mock

import click
import pandas as pd
import pytest
from click.testing import CliRunner

from synth_mlflow import Workflow
from synth_mlflow.cli import output
from synth_mlflow.cli.main import cli
from synth_mlflow.cli.stage_commands import after_report


@pytest.mark.parametrize("verb", ["", *cli.commands])
def test_help_names_every_shared_option(call: Callable[..., tuple[int, str, str]], verb: str) -> None:
    code, out, err = call(*([verb] if verb else []), "-h")
    assert code == 0, err
    assert not verb or all(option in out for option in ("--experiment", "--tracking-uri", "--json", "-q", "--debug"))


def test_help_loads_nothing_heavy() -> None:
    heavy = "{'mlflow', 'pandas', 'numpy', 'rich', 'lightgbm', 'sklearn', 'pydantic'}"
    code = f"import sys, synth_mlflow.cli.main; print({heavy} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


HOSTILE = "\x1b]52;c;cHduZWQ=\x07\x1b[2J\x9b1A\u202ePASS"  # the clipboard, the screen, the direction


def in_a_table(text: str) -> None:
    output.table(["a"], [[text]])


@pytest.mark.parametrize("printed", [output.line, output.error, output.as_json, output.Progress(False), in_a_table])
def test_no_text_of_others_commands_the_terminal(
    printed: Callable[[str], None], capsys: pytest.CaptureFixture[str]
) -> None:
    printed(HOSTILE)
    told = capsys.readouterr()
    shown = told.out + told.err
    assert not set("\x1b\x07\x9b\u202e") & set(shown) and "PASS" in shown


def test_misspelt_verb(call: Callable[..., tuple[int, str, str]]) -> None:
    code, _, err = call("genrate")
    assert code == 2 and "Did you mean 'generate'?" in err


def test_stages_one_by_one(
    call: Callable[..., tuple[int, str, str]], uri: str, write_project: Callable[..., Path], tmp_path: Path,
    customers: Callable[..., pd.DataFrame],
) -> None:  # fmt: skip
    problem, at = write_project(), ("--tracking-uri", uri, "-q")
    code, out, _ = call("define", str(problem), *at)
    assert code == 0 and out.splitlines()[-1] == f"next: synth-mlflow freeze --experiment shop --tracking-uri {uri}"
    code, _, err = call("generate", "forest", "--purpose", "try", *at)
    assert code == 3 and "First: `synth-mlflow freeze`" in err
    code, out, _ = call("freeze", "--json", *at)
    told = json.loads(out)
    assert code == 0 and told["evaluation_rows"] == 301 and 0 < told["smallest_detectable_gain"] < 0.2
    code, _, err = call("freeze", *at)
    assert code == 3 and "nobody changes it mid-project" in err
    assert (
        call("define", str(problem), *at)[1].splitlines()[-1].startswith("next: synth-mlflow status --experiment shop")
    )

    customers(1000, 2).to_parquet(tmp_path / "made.parquet")
    record = "generator: law\nversion: '1'\nparams: {}\nseed: 2\nslice: null\npurpose: try\nsource: none\n"
    (tmp_path / "record.yaml").write_text(record)
    code, out, _ = call(
        "generate", "--from", str(tmp_path / "made.parquet"), "--record", str(tmp_path / "record.yaml"), "--json", *at
    )
    assert code == 0
    batch = json.loads(out)[0]["batch"]
    code, out, _ = call("validate", *at)
    assert code == 0 and f"{batch}: PASS" in out
    code, out, err = call("sweep", "--repeats", "3", "--ratios", "0,50", *at)
    assert (
        code == 0
        and "chosen" in out
        and err == ""
        and out.splitlines()[-1] == f"next: synth-mlflow report --output handoff.html --tracking-uri {uri}"
    )
    code, out, err = call("report", "--output", "handoff.md", *at)
    assert (code, err) == (0, "") and Path("handoff.md").is_file()
    code, out, _ = call("status", *at)
    assert code == 0 and out.count("✓") == 6
    assert f"    {batch}: pass" in out and "●" in out and "  not due     " in out
    found = json.loads(call("status", "--json", *at)[1])
    assert [point["ratio"] for point in found["curve"]] == [0, 0.5] and found["broken"] == []


def test_shares_given_for_percents_are_refused(call: Callable[..., tuple[int, str, str]]) -> None:
    code, _, err = call("sweep", "--ratios", "0.25,0.5")
    assert code == 2 and "for a quarter give 25, for a quarter of a percent 0.25%" in err


def test_one_door_at_a_time(call: Callable[..., tuple[int, str, str]]) -> None:
    for arguments in (["generate"], ["generate", "forest", "--from", "x.csv"], ["generate", "--from", "x.csv"]):
        assert call(*arguments)[0] == 2


def test_a_file_takes_no_option_for_making_rows(call: Callable[..., tuple[int, str, str]]) -> None:
    code, _, err = call("generate", "--from", "x.csv", "--record", "x.yaml", "--slice", "age < 25", "--seed", "0")
    assert code == 2 and "--seed, --slice: the file given with --from is made already; its record says how." in err


def test_no_rows_are_not_as_many_as_needed(call: Callable[..., tuple[int, str, str]], frozen: Workflow) -> None:
    code, _, err = call("generate", "forest", "--rows", "0", "--purpose", "x", "--tracking-uri",
                        frozen.project.server.tracking_uri)  # fmt: skip
    assert code != 0 and "a batch of 0 rows was asked for, at least 1 is needed" in err


@pytest.mark.slow
def test_a_thin_slice_is_told(call: Callable[..., tuple[int, str, str]], frozen: Workflow) -> None:
    code, out, _ = call("generate", "forest", "--rows", "20", "--slice", "age < 20", "--purpose", "x", "--tracking-uri",
                        frozen.project.server.tracking_uri)  # fmt: skip
    n_rows = int((frozen.training_rows()["age"] < 20).sum())
    assert code == 0 and f"  mind: only {n_rows} real rows lie in the slice" in out


@pytest.mark.slow
def test_a_batch_that_fails_comes_with_what_may_help(
    call: Callable[..., tuple[int, str, str]], frozen: Workflow
) -> None:
    rows = frozen.training_rows()
    with frozen.batch(generator="old", version="1", params={}, seed=None, slice=None, purpose="x") as b:
        b.write(rows.assign(age=rows["age"].max()))
    code, told, _ = call("validate", "--tracking-uri", frozen.project.server.tracking_uri)
    assert "contamination pass, fidelity fail" in told  # one age for all is broken, and no copy of evaluation rows
    step = frozen.next_steps()[0]
    assert code == 3 and f"what may help: {step}" in told
    assert told.splitlines()[-1].startswith(f"next: {step.lines[0]}" if step.where == "terminal" else "next: ")


def test_statement_with_blanks(call: Callable[..., tuple[int, str, str]], uri: str) -> None:
    code, out, _ = call("init", "mine")
    assert code == 0 and out.splitlines()[-1].startswith("next: ")
    code, _, err = call("define", "mine/problem.md", "--tracking-uri", uri)
    assert code == 2 and err.count("is blank") == 7 and err.count("has no answer") == 4 and "Traceback" not in err
    assert call("init", "mine")[0] == 2


def test_errors_as_json_and_with_traceback(call: Callable[..., tuple[int, str, str]]) -> None:
    code, out, err = call("define", "nowhere.md", "--json", "--debug")
    assert code == 2 and json.loads(out)["error"] == "UsageError" and "Traceback" in err


def test_due_trigger_has_its_exit_code(call: Callable[..., tuple[int, str, str]], demo_workflow: Workflow) -> None:
    at = ("--tracking-uri", demo_workflow.project.server.tracking_uri)
    code, out, _ = call("check", "--json", *at)
    assert code == 0 and {state["state"] for state in json.loads(out)} == {"not due", "cannot tell"}
    code, out, _ = call("check", "--generator-version", "gaussian_copula=99", *at)
    assert code == 5 and out.startswith("cannot tell") and "due         generator" in out


def test_log_production(call: Callable[..., tuple[int, str, str]], demo_workflow: Workflow) -> None:
    at = ("--tracking-uri", demo_workflow.project.server.tracking_uri)
    assert call("log-production", "--metric", "0.9", "--n", "50", *at)[0] == 0
    code, _, err = call("log-production", "--metric", "nan", *at)
    assert code == 2 and "found nan.\n" in err and "log-production --metric VALUE" in err


def test_the_next_command_is_for_the_same_project(
    call: Callable[..., tuple[int, str, str]], demo_workflow: Workflow
) -> None:
    server = demo_workflow.project.server
    at = ("--tracking-uri", server.tracking_uri, "--experiment", server.experiment)
    _, out, _ = call("log-production", "--metric", "0.9", *at)
    command = out.splitlines()[-1].removeprefix("next: synth-mlflow ")
    assert command == f"check --experiment {server.experiment} --tracking-uri {server.tracking_uri}"
    assert call(*command.split())[0] == 0


def test_the_next_command_tells_no_password() -> None:
    options = [click.Option([f"--{name}"]) for name in ("experiment", "tracking-uri")]
    verb = click.Command("verb", params=options, callback=lambda **_: output.next_command("synth-mlflow check"))
    found = CliRunner().invoke(verb, ["--experiment", "a b", "--tracking-uri", "https://me:secret@host"])
    assert found.output == "next: synth-mlflow check --experiment 'a b'\n"


def test_a_draft_is_reported_again_and_a_final_handoff_checked() -> None:
    draft, final = (Mock(owed=owed, path=Path("my report.html")) for owed in (("limits.md",), ()))
    assert after_report(draft) == "synth-mlflow report --output 'my report.html'"
    assert after_report(final) == "synth-mlflow check"


@pytest.mark.slow
def test_retract_and_verify(call: Callable[..., tuple[int, str, str]], demo_workflow: Workflow) -> None:
    server, batch = demo_workflow.project.server, demo_workflow.project.batches()[0].id
    at = ("--tracking-uri", server.tracking_uri)
    code, out, _ = call("verify", *at)
    assert code == 0 and out.startswith("checked: 16 runs (") and "everything matches" in out
    assert call("retract", batch, "--reason", " ", *at)[0] == 2
    code, out, _ = call("retract", batch, "--reason", "flipped labels", "--by", "Ann", "--json", *at)
    assert code == 0 and json.loads(out)["models"] == ["models:/demo-breast-cancer/1"]
    code, _, err = call("retract", batch, "--reason", "again", *at)
    assert code == 3 and "retracted already: by Ann" in err
    assert f"! retracted: {batch} by Ann" in call("status", *at)[1] and call("check", *at)[0] == 5
    server.client.log_metric(demo_workflow.project.batches()[0].run.run_id, "synth.rows", 1.0, step=1)
    code, out, _ = call("verify", *at)
    assert code == 4 and "a value was changed" in out and "depends on it: sweep " in out
    code, out, _ = call("verify", "--json", *at)
    assert code == 4 and len(json.loads(out)["findings"]) == 1


def test_show_reads_the_record_of_any_file(
    call: Callable[..., tuple[int, str, str]], demo_workflow: Workflow, tmp_path: Path
) -> None:
    batch = demo_workflow.project.batches()[0]
    path = demo_workflow.project.reader.file(batch.run, "batch/data.parquet")
    code, out, _ = call("show", str(path), "--json")
    assert code == 0 and json.loads(out)["batch"] == batch.id
    assert "gaussian_copula" in call("show", str(path))[1]
    pd.DataFrame({"a": [1]}).to_parquet(tmp_path / "plain.parquet")
    assert call("show", str(tmp_path / "plain.parquet"))[0] == 1
    assert call("show", "nowhere.parquet")[0] == 2


def test_list_tells_what_is_leaky(call: Callable[..., tuple[int, str, str]]) -> None:
    code, out, _ = call("list", "--json")
    leaky = {item["name"] for item in json.loads(out) if item["leaky"]}
    assert code == 0 and leaky == {"bootstrap_noise", "smote"}
    assert "LEAKY" in call("list")[1]


@pytest.mark.slow
def test_run_goes_on_where_it_stopped(
    call: Callable[..., tuple[int, str, str]], demo: tuple[Path, str], demo_workflow: Workflow
) -> None:
    folder = demo[0] / "synth-mlflow-demo"
    before = len(demo_workflow.project.reader.runs())
    code, _, err = call(
        "run", str(folder / "problem.md"), "--generator", "gaussian_copula", "--source",
        str(folder / "partner_clinic.csv"), "--output", "again.html", "--tracking-uri",
        demo_workflow.project.server.tracking_uri,
    )  # fmt: skip
    assert code == 0 and "recorded already" in err and Path("again.html").is_file()
    added = [run.stage for run in demo_workflow.project.reader.runs()][before:]
    assert set(added) <= {"workflow", "handoff"}


@pytest.mark.slow
def test_missing_libgomp_names_the_package(tmp_path: Path) -> None:
    broken = tmp_path / "lightgbm"
    broken.mkdir()
    message = "libgomp.so.1: cannot open shared object file: No such file or directory"
    (broken / "__init__.py").write_text(f"raise OSError({message!r})\n")
    code = "import sys; sys.path.insert(0, '.'); from synth_mlflow.cli.main import run; run(['demo', 'demo', '-q'])"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 1 and "apt-get install libgomp1" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.slow
def test_run_says_at_once_that_rows_will_not_suffice(call, uri, write_project) -> None:
    given = ("run", str(write_project()), "--rows", "100", "--ratios", "0,50", "--tracking-uri", uri, "-q")
    code, _, err = call(*given)
    assert code == 3 and "ratio 50 % needs 299 synthetic rows" in err and "`--rows 299`" in err
    assert Workflow("shop", uri).project.batches() == []


def test_run_refuses_a_senseless_ratio_before_anything_is_recorded(call, uri, write_project) -> None:
    code, _, err = call("run", str(write_project()), "--ratios", "0,100", "--tracking-uri", uri, "-q")
    assert code == 2 and "100 %" in err
    assert Workflow("shop", uri).project.reader.runs("problem") == []
