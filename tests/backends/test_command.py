"""Batches from a command: what it is given, what is recorded, and how it may fail."""

import shlex
import sys
import time
from pathlib import Path

import pytest
import shop
from click.testing import CliRunner

from synth_mlflow.cli.main import cli
from synth_mlflow.data.digests import file_digest, text_digest
from synth_mlflow.data.provenance import record_in_file
from synth_mlflow.errors import GateError, GeneratorError, UsageError
from synth_mlflow.handoff.rerun_commands import generate_command
from synth_mlflow.tracking import names

PYTHON = shlex.quote(sys.executable)
MAKE = """
import os, sys
import pandas as pd
what, out, rows, seed = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
made = pd.read_csv("rows.csv", parse_dates=["since"]) if len(sys.argv) < 6 else pd.read_parquet(sys.argv[5])
made = made.sample(rows, replace=True, random_state=seed).assign(income=float(seed))
print("noise on stdout")
made.to_csv(out, index=False) if out.endswith(".csv") else made.to_parquet(out)
"""
CALL = f"{PYTHON} make.py x {{output}} {{rows}} {{seed}}"


@pytest.fixture
def ask(frozen, tmp_path):
    """Asks for a batch from a command."""
    (tmp_path / "make.py").write_text(MAKE)

    def ask(command=CALL, **changes):
        given = {"generator": "simulator", "version": "1.2", "rows": 7, "seed": 3, "purpose": "x"}
        return frozen.generate_by_command(command, **{**given, **changes})

    return ask


@pytest.fixture
def refused(frozen, ask):
    """Asks for what must be refused and leave no run."""

    def refused(match, command=CALL, error=GeneratorError, **changes):
        with pytest.raises(error, match=match):
            ask(command, **changes)
        assert frozen.project.reader.runs("batch") == []

    return refused


def python(code: str, rest: str = "{output}") -> str:
    """A command that runs a line of Python."""
    return f"{PYTHON} -c {shlex.quote(code)} {rest}"


@pytest.mark.slow
def test_the_record_has_the_command_and_how_it_went(frozen, ask, tmp_path):
    batch = ask()
    origin, notes = batch.record.origin, batch.record.notes["command"]
    assert (origin.generator, origin.version, origin.door, origin.seed) == ("simulator", "1.2", "command", 3)
    assert origin.params == {"command": CALL} and origin.source.kind == "not declared"
    assert notes["line"] == f"{PYTHON} make.py x '{{output}}' 7 3"
    assert (notes["sha256"], notes["exit_code"], notes["seconds"]) == (text_digest(CALL), 0, batch.record.seconds)
    assert notes["files"]["make.py"] == file_digest(tmp_path / "make.py")
    assert (batch.n_rows, batch.record.rows_asked) == (7, 7)
    assert ask().run_id == batch.run_id


@pytest.mark.slow
@pytest.mark.parametrize("ending", [".csv", ".parquet"])
def test_the_ending_chooses_the_kind_of_file(ask, ending):
    assert ask(CALL.replace("{output}", f"{{output}}{ending}")).digest == ask().digest


@pytest.mark.slow
@pytest.mark.parametrize(("source", "kind", "n_rows"), [(None, "training", 299), ("silo.csv", "file", 40)])
def test_members_are_the_training_rows_or_the_source(ask, customers, source, kind, n_rows):
    customers(40, 8).to_csv("silo.csv", index=False)
    found = ask(f"{CALL} {{members}}", source=source).record.origin.source
    assert (found.kind, found.n_rows) == (kind, n_rows)


@pytest.mark.slow
@pytest.mark.parametrize("source", ["none", "training"])
def test_without_members_the_source_is_declared(ask, source):
    assert ask(source=source).record.origin.source.kind == source


@pytest.mark.slow
def test_a_seed_that_the_command_does_not_take_is_not_recorded(ask):
    assert ask(CALL.replace("{seed}", "5")).record.origin.seed is None


@pytest.mark.slow
def test_parameters_have_their_places(ask):
    assert ask(CALL.replace(" x ", " {why} "), params={"why": "a b"}).record.origin.params["why"] == "a b"


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (
            "import sys; sys.exit('no licence')",
            r"ended with exit code 1. The last lines of its stderr:\n  no licence\n",
        ),
        ("pass", r"wrote no file in place of \{output\}, .* It said nothing on stderr"),
        ("import os; os.kill(os.getpid(), 9)", "was ended by signal 9"),
        ("import sys; open(sys.argv[1], 'w').write('rows')", "wrote what cannot be read as a table: .* cannot be read"),
        ("import sys; [print(n, file=sys.stderr) for n in range(99)]; sys.exit(3)", r"stderr:\n  89\n(.*\n)*  98\n"),
    ],
)
def test_a_command_that_fails_leaves_no_run(refused, code, message):
    refused(message, python(code))


@pytest.mark.slow
def test_another_number_of_rows_is_refused(refused):
    refused("wrote 6 rows, 7 were asked for", CALL.replace("{rows}", "6"))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"generator": ""}, r"generator and version are not known.\n.*--generator NAME --generator-version"),
        ({"version": " "}, "generator and version are not known"),
        ({"purpose": ""}, "missing: purpose"),
        ({"rows": 0}, "a batch of 0 rows was asked for"),
        ({"seed": -1}, "seed -1 was given"),
        ({"slice": "aeg < 3"}, "names column 'aeg'"),
        ({"slice": "age < 30"}, "of the 7 rows do not lie in the slice"),
        ({"timeout_seconds": 0}, "a time limit of 0 s was given"),
        ({"source": "missing.csv"}, "there is no file missing.csv"),
        ({"command": "no-such-program {output}"}, "cannot be started: .*'no-such-program'"),
    ],
)
def test_what_cannot_be_asked_is_refused(refused, changes, message):
    refused(message, error=UsageError, **changes)


def test_other_columns_are_refused(refused):
    code = "import sys, pandas; pandas.DataFrame({'a': range(7)}).to_parquet(sys.argv[1])"
    refused("the batch does not have the columns of the real table: .*'age' is missing", python(code), error=UsageError)


@pytest.mark.slow
def test_rows_that_are_a_batch_already_are_refused(frozen, ask):
    path = frozen.project.reader.file(frozen.project.batch(ask().batch).run, names.A_BATCH)
    assert record_in_file(path) is not None
    with pytest.raises(GeneratorError, match="carries the record of a batch already"):
        ask(f"cp {shlex.quote(str(path))} {{output}}")


@pytest.mark.slow
def test_at_its_time_limit_all_that_it_started_is_killed(refused, tmp_path):
    code = (
        "import subprocess, sys, time; child = subprocess.Popen(['sleep', '600']);"
        "open('child', 'w').write(str(child.pid)); print('waiting', file=sys.stderr, flush=True); time.sleep(600)"
    )
    refused(
        r"was killed at its time limit of 3 s. The last lines of its stderr:\n  waiting",
        python(code),
        timeout_seconds=3,
    )
    assert is_gone(int((tmp_path / "child").read_text()))


def is_gone(pid: int) -> bool:
    """Whether a process ends within ten seconds; a killed orphan may wait for its new parent as a zombie."""
    for _ in range(100):
        status = Path(f"/proc/{pid}/stat")
        if not status.exists() or status.read_text().rpartition(")")[2].split()[0] == "Z":
            return True
        time.sleep(0.1)
    return False


@pytest.mark.slow
def test_nothing_stays_in_the_temporary_folder(ask, tmp_path, monkeypatch):
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    ask(f"{CALL} {{members}}")
    assert list((tmp_path / "tmp").glob("synth-command-*")) == []


@pytest.mark.slow
def test_secrets_of_the_environment_are_never_recorded(frozen, ask, refused, monkeypatch, tmp_path):
    monkeypatch.setenv("MAKER_API_KEY", "sk-12345678")
    refused("holds the value of the environment variable MAKER_API_KEY", f"{CALL} sk-12345678", error=UsageError)
    leak = "import os, sys; sys.exit(os.environ['MAKER_API_KEY'])"
    refused(r"stderr:\n  <MAKER_API_KEY>\n", python(leak))
    (tmp_path / "make.py").write_text(MAKE + "assert os.environ['MAKER_API_KEY'] == 'sk-12345678'")
    batch = ask()
    assert "12345678" not in batch.record.to_json()
    assert "12345678" not in str(frozen.project.batch(batch.batch).run)


def test_nothing_runs_before_the_set_is_frozen(defined):
    with pytest.raises(GateError, match="no frozen evaluation set"):
        defined.generate_by_command("touch ran {output}", generator="x", version="1", rows=3, purpose="x")
    assert not Path("ran").exists()


@pytest.mark.slow
def test_the_command_line_makes_it_and_the_handoff_tells_how(frozen, ask, tmp_path):
    at = ["--tracking-uri", frozen.project.server.tracking_uri, "--purpose", "x", "--rows", "7", "--batches", "2"]
    given = ["generate", "--command", CALL, "--generator", "simulator", "--generator-version", "1.2", "--timeout", "60"]
    done = CliRunner().invoke(cli, [*given, *at], catch_exceptions=False)
    assert done.exit_code == 0 and done.output.count("batch simulator-") == 2
    made = frozen.project.batches()[0]
    told = shlex.split(generate_command(made, frozen.project.record(made).origin))
    assert told[told.index("--command") + 1] == CALL
    assert told[told.index("--generator-version") + 1] == "1.2"
    before = len(frozen.batches())
    again = CliRunner().invoke(cli, [*told[1:], *at[:2]], catch_exceptions=False)
    assert again.exit_code == 0 and len(frozen.batches()) == before


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["--from", "a.csv", "--record", "r.yaml", "--timeout", "3"], "--purpose, --timeout: the file given"),
        (["--command", "x {output}", "--python", "p"], "--python is for a peer"),
        (["--command", "x {output}", "--from", "a", "--record", "b"], "found two of them"),
        (["forest", "--generator", "forest"], "say the same"),
    ],
)
def test_doors_are_not_mixed(given, message):
    done = CliRunner().invoke(cli, ["generate", *given, "--purpose", "x"])
    assert done.exit_code == 2 and message in done.output


@pytest.mark.slow
def test_a_handoff_runs_its_command_again_where_that_is_allowed(frozen, tmp_path):
    (tmp_path / "simulate.py").write_text(
        "import sys; sys.path.insert(0, sys.argv[4]); from shop import customers\n"
        "customers(int(sys.argv[2]), 100 + int(sys.argv[3])).to_parquet(sys.argv[1])"
    )
    tests = shlex.quote(str(Path(shop.__file__).parent))
    command = f"{PYTHON} simulate.py {{output}} {{rows}} {{seed}} {tests}"
    about = {"generator": "simulator", "version": "1.2", "rows": 400, "seed": 3, "purpose": "x", "source": "none"}
    batch = frozen.generate_by_command(command, **about).batch
    shop.hand_over(frozen)
    refused = shop.made_again(frozen, batch)
    assert refused.outcome == "cannot" and "runs a command: only with `--allow-external`" in refused.words
    assert shop.made_again(frozen, batch, allow_external=True).outcome == "identical"
    changed = (tmp_path / "simulate.py").read_text().replace("100 +", "200 +")
    (tmp_path / "simulate.py").write_text(changed)
    other = shop.made_again(frozen, batch, allow_external=True)
    assert (other.outcome, other.words) == ("different", "0 of 400 rows are equal")
    (tmp_path / "simulate.py").unlink()
    gone = shop.made_again(frozen, batch, allow_external=True)
    assert gone.outcome == "cannot" and "exit code 2" in gone.words
