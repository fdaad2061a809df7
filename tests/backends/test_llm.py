"""Rows from prompts: a real local server that answers, and one that misbehaves in each way that servers do."""

import fcntl
import json
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import shop
from click.testing import CliRunner
from stand_in_endpoint import endpoint_server

from synth_mlflow.audit.replay import BatchReplayer
from synth_mlflow.cli.main import cli
from synth_mlflow.errors import GateError, GeneratorError, UsageError
from synth_mlflow.llm import client
from synth_mlflow.llm.parsing import as_objects
from synth_mlflow.tracking import names

KEY = "sk-very-secret-7f3a9c"
PROMPT = (
    "Write {{ rows }} customers of a shop{% if slice %} with {{ slice }}{% endif %}.\n"
    "{% for row in examples %}{{ row }}\n{% endfor %}"
)
TEACHER = {"licence": "Apache-2.0", "training_allowed": "yes: section 2 of its licence"}
QUICK = {"rows_per_request": 10, "concurrency": 2, "request_seconds": 2.0}


@pytest.fixture
def server(monkeypatch):
    with endpoint_server() as server:
        monkeypatch.setenv("OPENAI_BASE_URL", f"http://user:hidden-word@127.0.0.1:{server.server_port}/v1")
        monkeypatch.setenv("OPENAI_API_KEY", KEY)
        yield server


@pytest.fixture
def rows(customers):
    """JSON rows of the law of the real ones, others for each place."""

    def rows(at, n_rows=10):
        return as_objects(
            customers(n_rows, 1_000 + at).assign(since=lambda frame: frame["since"].astype("datetime64[us]"))
        )

    return rows


@pytest.fixture
def well(rows):
    """A script that answers well; the place is the request's own, whatever the order of arrival."""

    def script(handler, at, body):
        handler.complete(json.dumps({"rows": rows(body["seed"])}))

    return script


@pytest.fixture
def ask(frozen, server, well, tmp_path, monkeypatch):
    (tmp_path / "prompt.j2").write_text(PROMPT)
    server.script = well
    monkeypatch.setattr(client, "FIRST_PAUSE", 0.01)

    def ask(params=None, **changes):
        given = {"model": "tiny", "prompt": "prompt.j2", "rows": 25, "seed": 3, "purpose": "x", **TEACHER}
        return frozen.generate_by_llm(**{**given, **changes, "params": {**QUICK, **(params or {})}})

    return ask


@pytest.fixture
def refused(frozen, ask):
    def refused(match, error=GeneratorError, **changes):
        with pytest.raises(error, match=match) as refusal:
            ask(**changes)
        assert frozen.project.reader.runs("batch") == []
        assert KEY not in str(refusal.value)

    return refused


def made_again(workflow, batch):
    """The batch as its record alone makes it."""
    project = workflow.project
    replayer = BatchReplayer(project, project.evaluation_set(), {}, allow_external=True)
    return replayer.remake(project.batch(batch.batch))


def first(n_times, trouble, well):
    """A script whose first requests meet trouble."""
    return lambda handler, at, body: (trouble if at < n_times else well)(handler, at, body)


@pytest.mark.slow
def test_the_record_says_who_was_asked_what_and_what_came(frozen, ask, server):
    batch = ask()
    origin, told = batch.record.origin, batch.record.notes["llm"]
    assert (origin.generator, origin.version, origin.door) == ("llm:tiny", "tiny-2024-08-06", "llm")
    assert (origin.prompts, origin.seed, origin.params["temperature"]) == (("prompts:/shop-prompt-prompt/1",), 3, 1.0)
    assert told["endpoint"] == f"http://127.0.0.1:{server.server_port}/v1"
    assert (told["requests"], told["prompt_tokens"], told["completion_tokens"], told["cost"]) == (3, 300, 150, None)
    assert (told["rows_received"], told["rows_rejected"], told["real_rows_sent"]) == (25, {}, 0)
    run = frozen.project.reader.run(batch.run_id)
    assert (run.metrics[names.M_PROMPT_TOKENS], batch.n_rows) == (300, 25)
    body = server.asked[0]["body"]
    assert body["response_format"]["json_schema"]["schema"]["properties"]["rows"]["items"]["required"][0] == "age"
    assert server.asked[0]["path"] == "/v1/chat/completions"


@pytest.mark.slow
def test_prompt_and_calls_stand_in_mlflow(frozen, ask):
    batch, client = ask(), frozen.project.server.client
    prompt = client.load_prompt(batch.record.origin.prompts[0])
    assert [message["content"] for message in prompt.template][1] == PROMPT
    traces = client.search_traces(locations=[frozen.project.server.experiment_id], run_id=batch.run_id)
    assert len(traces) == 3
    (span,) = traces[0].data.spans
    assert span.inputs["model"] == "tiny" and "rows" in json.loads(span.outputs["content"])
    assert 0 < span.end_time_ns - span.start_time_ns < 60e9
    assert sum(trace.info.token_usage["total_tokens"] for trace in traces) == 450
    again = ask(seed=4)
    assert again.record.origin.prompts == batch.record.origin.prompts  # the same template is no new version
    Path("prompt.j2").write_text("Write {{ rows }} other rows.")
    assert ask(seed=5).record.origin.prompts == ("prompts:/shop-prompt-prompt/2",)


@pytest.mark.slow
def test_asking_again_costs_nothing(ask, server):
    batch = ask()
    assert len(server.asked) == 3
    assert ask().run_id == batch.run_id
    other = ask(rows=28)
    assert (len(server.asked), other.record.notes["llm"]["from_journal"]) == (3, 3)


def busy(handler, at, body):
    handler.send(429, "slow down", [("Retry-After", "0.3")])


def broken(handler, at, body):
    handler.send(503, "<html>no</html>")


def gateway_page(handler, at, body):
    handler.send(200, "<html>log in</html>")


def cut(handler, at, body):
    handler.send(200, '{"model": "tiny", "choices": [', length=5_000)
    handler.connection.close()


def silent(handler, at, body):
    time.sleep(3)
    handler.connection.close()


def dribble(handler, at, body):
    handler.send(200, "{", length=5_000)
    for _ in range(30):
        time.sleep(0.2)
        try:
            handler.wfile.write(b" ")
        except OSError:  # the client has gone
            return


@pytest.mark.slow
@pytest.mark.parametrize("trouble", [busy, broken, gateway_page, cut, silent, dribble])
def test_a_server_in_trouble_is_asked_again(ask, server, well, trouble):
    reference = ask(purpose="without trouble")
    server.asked.clear()
    server.script = first(1, trouble, well)
    batch = ask(journal="other.jsonl")
    assert (batch.digest, batch.record.notes["llm"]["retries"]) == (reference.digest, 1)
    assert len(server.asked) == 4
    if trouble is busy:  # everybody waits as long as the server says
        assert min(one["at"] for one in server.asked[2:]) - server.asked[0]["at"] >= 0.25


def error_with_200(handler, at, body):
    handler.send(200, json.dumps({"error": {"message": "overloaded", "code": "server_error"}}))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("choices", "reason"),
    [
        ([{"message": {"content": None, "refusal": "I will not."}, "finish_reason": "stop"}], "a refusal"),
        ([{"message": {"content": None, "tool_calls": [{}]}, "finish_reason": "tool_calls"}], "it calls a tool"),
        ([{"message": {"content": ""}, "finish_reason": "content_filter"}], "the server withheld it"),
        ([{"message": {"content": None}, "finish_reason": "length"}], "it was cut off"),
        ([], "it is empty"),
    ],
)
def test_a_paid_answer_without_words_is_kept_and_never_asked_for_again(ask, server, well, choices, reason):
    def wordless(handler, at, body):
        usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
        handler.send(200, json.dumps({"model": "tiny", "choices": choices, "usage": usage}))

    server.script = first(1, wordless, well)
    told = ask(rows=10, params={"concurrency": 1}).record.notes["llm"]
    assert told["rows_rejected"] == {f"an answer without a whole row: {reason}": 1}
    assert (told["requests"], told["retries"], len(server.asked)) == (2, 0, 2)
    assert ask(rows=12, params={"concurrency": 1}).record.notes["llm"]["from_journal"] == 2


@pytest.mark.slow
def test_an_answer_may_come_in_parts_and_with_half_a_character(ask, server, rows):
    def parts(handler, at, body):
        text = json.dumps({"rows": rows(body["seed"]), "note": "\ud83d"}, ensure_ascii=False)
        content = [
            {"type": "thinking", "thinking": []},
            *({"type": "text", "text": part} for part in (text[:9], text[9:])),
        ]
        choice = {"message": {"role": "assistant", "content": content}, "finish_reason": "stop"}
        handler.send(200, json.dumps({"model": None, "choices": [choice]}))

    server.script = parts
    assert ask(rows=10).n_rows == 10


def test_an_error_with_status_200_is_an_error(refused, server):
    server.script = error_with_200
    refused(r"gave no answer in 2 attempts: an error instead of an answer: overloaded \(2×\)", params={"retries": 1})
    server.script = lambda handler, at, body: handler.send(200, '{"error": {"message": "pay first", "code": 402}}')
    refused("refused with HTTP 402: .*pay first")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("status", "text", "message"),
    [
        (
            401,
            f"Incorrect API key provided: {KEY}",
            "HTTP 401: Incorrect .* <OPENAI_API_KEY>.\nCheck the key",
        ),
        (400, "unknown response_format", r"HTTP 400: unknown response_format.\nIf it knows no JSON schemas"),
        (404, "", "refused with HTTP 404: it said nothing"),
        (429, '{"error": {"code": "insufficient_quota"}}', "refused with HTTP 429: .*insufficient_quota"),
    ],
)
def test_a_refusal_is_not_repeated(refused, server, status, text, message):
    server.script = lambda handler, at, body: handler.send(status, text)
    refused(message, rows=5)
    assert len(server.asked) == 1


def test_a_server_that_stays_down_is_given_up(refused, server):
    server.script = broken
    refused(r"gave no answer in 3 attempts: HTTP 503 \(3×\)", rows=5, params={"retries": 2})


@pytest.mark.slow
def test_a_time_limit_holds_for_all_requests_together(refused, server):
    server.script = lambda handler, at, body: handler.send(429, "", [("Retry-After", "3600")])
    refused("the time limit was reached while http://127.0.0.1", rows=5, timeout_seconds=5)


def test_malformed_rows_are_repaired_or_rejected_and_counted(ask, server, rows):
    def script(handler, at, body):
        good = rows(body["seed"])
        good[0]["age"] = str(good[0]["age"])
        good[1]["age"] = "old"
        good[2]["region"] = "Atlantis"
        good[3] = good[4]
        del good[5]["bought"]
        text = json.dumps({"rows": good})
        handler.complete(f"```json\n{text[: text.rindex('{')]}")  # the last row is cut off

    server.script = script
    told = ask(rows=10, params={"concurrency": 1}).record.notes["llm"]
    assert told["rows_rejected"] == {
        "'age' is no integer": 2,
        "'bought' is missing": 2,
        "'region' is none of its levels": 2,
    }
    assert (told["rows_repaired"], told["rows_duplicate"], told["rows_received"]) == (2, 2, 18)


def test_it_stops_when_nothing_new_comes(refused, server, rows):
    server.script = lambda handler, at, body: handler.complete(json.dumps({"rows": rows(1)}))
    refused(r"4 answers gave 10 of 25 rows, and the last 3 no new valid one: 30 rows were", params={"patience": 3})


def test_an_answer_without_rows_counts_as_such(refused, server):
    server.script = lambda handler, at, body: handler.complete("I cannot do that.")
    refused(r"rejected: an answer without a whole row: a refusal \(2\)", params={"patience": 2})


@pytest.mark.slow
def test_every_row_lies_in_the_slice(frozen, ask):
    batch = ask(slice="age < 45", rows=12)
    schema = frozen.project.evaluation_set().schema
    assert frozen.project.batch_rows(frozen.project.batch(batch.batch), schema)["age"].max() < 45
    assert batch.record.notes["llm"]["rows_rejected"]["lies outside of the slice"] > 0


@pytest.mark.slow
def test_examples_are_counted_and_may_not_come_back(ask, server, well):
    def parrot(handler, at, body):
        shown = [json.loads(line) for line in body["messages"][1]["content"].splitlines()[1:] if line]
        assert len(shown) == 4
        handler.complete(json.dumps({"rows": shown})) if at == 0 else well(handler, at, body)

    server.script = parrot
    told = ask(examples=4, params={"concurrency": 1}).record.notes["llm"]
    assert told["rows_rejected"] == {"repeats a real row that was shown": 4}
    assert 4 < told["real_rows_sent"] <= 16


@pytest.mark.slow
def test_real_rows_that_may_not_be_copied_are_in_no_trace(frozen, ask, customers):
    customers(40, 8).to_csv("silo.csv", index=False)
    batch = ask(examples=2, source="silo.csv", rows=5)
    client = frozen.project.server.client
    (trace,) = client.search_traces(locations=[frozen.project.server.experiment_id], run_id=batch.run_id)
    (span,) = trace.data.spans
    assert "left out" in span.inputs["messages"] and "left out" in span.outputs["content"]
    assert names.A_ANSWERS not in frozen.project.reader.run(batch.run_id).artifacts


def test_no_secret_is_kept_anywhere(frozen, ask, server, rows, tmp_path):
    def telltale(handler, at, body):
        assert handler.headers["Authorization"] in (f"Bearer {KEY}",) or "Basic" in handler.headers["Authorization"]
        handler.complete(json.dumps({"note": KEY, "rows": rows(body["seed"])}), model=f"tiny {KEY}")

    server.script = telltale
    batch = ask()
    folder = Path(frozen.project.server.client.get_run(batch.run_id).info.artifact_uri.removeprefix("file://"))
    database = "\n".join(sqlite3.connect(tmp_path / "mlflow.db").iterdump())
    files = [path for where in (tmp_path, folder) for path in where.rglob("*") if path.is_file()]
    kept = [database, *(path.read_bytes().decode("utf-8", "replace") for path in files)]
    assert len(files) > 5 and "tiny <OPENAI_API_KEY>" in database
    for secret in (KEY, "hidden-word"):
        assert [text[:80] for text in kept if secret in text] == []


@pytest.mark.slow
def test_a_killed_process_has_paid_for_nothing_twice(frozen, ask, server, well):
    gate = threading.Event()

    def slow(handler, at, body):
        if at >= 2:
            gate.wait(20)
        well(handler, at, body)

    server.script = slow
    code = "from synth_mlflow import Workflow; import sys, json; Workflow('shop', sys.argv[1]).generate_by_llm('tiny', "
    code += f"prompt='prompt.j2', rows=25, seed=3, purpose='x', params={QUICK!r}, **{TEACHER!r})"
    child = subprocess.Popen([sys.executable, "-c", code, frozen.project.server.tracking_uri])
    journal = Path("prompt.j2.answers.jsonl")
    until = time.monotonic() + 120
    while not (journal.exists() and journal.read_text().count("\n") == 2) and time.monotonic() < until:
        time.sleep(0.1)
    child.kill()
    child.wait()
    gate.set()
    with journal.open("a") as file:
        file.write('{"request_sha256": "half a li')  # what a kill may leave
    server.asked.clear()
    batch = ask()
    assert (batch.record.notes["llm"]["from_journal"], len(server.asked)) == (2, 1)


@pytest.mark.slow
def test_one_process_at_a_time_writes_a_journal(refused):
    with Path("prompt.j2.answers.jsonl").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        refused("is in use by another process", UsageError)


@pytest.mark.slow
def test_requests_keep_to_a_rate(ask, server, monkeypatch):
    waits = []
    monkeypatch.setattr(client, "time", SimpleNamespace(monotonic=lambda: 1_000.0, time_ns=time.time_ns))
    monkeypatch.setattr(client.Caller, "_sleep", lambda _, seconds: waits.append(round(seconds, 6)))
    ask(params={"requests_per_minute": 300})
    assert len(server.asked) == 3
    assert sorted(waits) == [0.0, 0.2, 0.4]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": " "}, "no model is named"),
        ({"prompt": "none.j2"}, "the prompt none.j2 cannot be read"),
        ({"params": {"temprature": 1}}, "prompts have no parameter 'temprature'. Did you mean 'temperature'"),
        ({"params": {"patience": 0}}, "patience is 0, a whole number from 1 on"),
        ({"params": {"structured": "xml"}}, "structured is 'xml'"),
        ({"slice": "aeg < 3"}, "names column 'aeg'"),
        ({"purpose": " "}, "missing: purpose"),
        ({"rows": 0}, "a batch of 0 rows"),
        ({"examples": 3, "prompt": "plain.j2"}, "3 examples were asked for, and the prompt plain has no place"),
        ({"journal": "no/folder/j"}, "the journal no/folder/j cannot be written"),
    ],
)
def test_what_cannot_be_asked_is_refused_before_anything_is_paid(refused, server, changes, message):
    Path("plain.j2").write_text("Write {{ rows }} rows.")
    refused(message, UsageError, **changes)
    assert server.asked == []


@pytest.mark.slow
@pytest.mark.parametrize("word", ["x", "none", "EMPTY", "not-needed", "sk-no-key-required"])
def test_a_word_in_place_of_a_key_changes_no_row(word):
    endpoint = client.Endpoint("http://127.0.0.1/v1", word)
    assert endpoint.cleaned(f"an example of {word}") == f"an example of {word}"
    assert client.Endpoint("http://127.0.0.1/v1", KEY).cleaned(f"a {KEY}") == "a <OPENAI_API_KEY>"


@pytest.mark.slow
def test_an_endpoint_may_need_no_key(ask, server, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY")
    monkeypatch.setenv("OPENAI_BASE_URL", f"http://127.0.0.1:{server.server_port}/v1")
    assert ask(rows=5).n_rows == 5
    assert "authorization" not in {name.lower() for name in server.asked[0]["headers"]}


def test_without_an_endpoint_nothing_is_asked(refused, monkeypatch):
    monkeypatch.setenv("OPENAI_BASE_URL", "localhost")
    refused(r"OPENAI_BASE_URL is 'localhost'; the address .*\nSet it", UsageError)


def test_nothing_is_asked_before_the_set_is_frozen(defined):
    with pytest.raises(GateError, match="no frozen evaluation set"):
        defined.generate_by_llm("tiny", prompt="prompt.j2", rows=5, purpose="x", **TEACHER)


@pytest.mark.slow
def test_prices_give_the_cost_where_the_server_does_not(ask, server, rows):
    assert ask(params={"price_prompt": 2, "price_completion": 10}).record.notes["llm"]["cost"] == pytest.approx(0.0021)
    usage = {"prompt_tokens": 1, "completion_tokens": 2, "cost": 0.5}
    server.script = lambda handler, at, body: handler.complete(json.dumps({"rows": rows(body["seed"])}), usage=usage)
    assert ask(seed=9, rows=5).record.notes["llm"]["cost"] == 0.5


def test_the_command_line_asks(frozen, ask):
    words = ["llm:tiny", "--prompt", "prompt.j2", "--rows", "9", "--purpose", "x", "--param", "rows_per_request=10"]
    words += ["--model-licence", TEACHER["licence"], "--training-allowed", TEACHER["training_allowed"]]
    done = CliRunner().invoke(cli, ["generate", *words, "--experiment", "shop", "--json"], catch_exceptions=False)
    assert json.loads(done.stdout)[0]["rows"] == 9


@pytest.mark.slow
def test_a_handoff_asks_its_model_again_where_that_is_allowed(frozen, ask, server, rows, monkeypatch):
    batch = ask(rows=400, params={"concurrency": 4}).batch
    shop.hand_over(frozen)
    n_asked = len(server.asked)
    refused = shop.made_again(frozen, batch)
    assert refused.outcome == "cannot" and "asks a language model: only with `--allow-external`" in refused.words
    assert len(server.asked) == n_asked
    same = shop.made_again(frozen, batch, allow_external=True)
    assert (same.outcome, len(server.asked)) == ("identical", 2 * n_asked)  # the answers of before are not taken up
    bodies = [json.dumps(request["body"], sort_keys=True) for request in server.asked]
    assert sorted(bodies[:n_asked]) == sorted(bodies[n_asked:])

    def moody(handler, at, body):
        handler.complete(json.dumps({"rows": rows(5_000 + body["seed"])}))

    server.script = moody
    other = shop.made_again(frozen, batch, allow_external=True)
    assert (other.outcome, other.words) == ("different", "0 of 400 rows are equal")
    server.script = lambda handler, at, body: handler.send(401, "no")
    assert shop.made_again(frozen, batch, allow_external=True).outcome == "cannot"
    monkeypatch.delenv("OPENAI_BASE_URL")
    nowhere = shop.made_again(frozen, batch, allow_external=True)
    assert nowhere.outcome == "cannot" and "OPENAI_BASE_URL" in nowhere.words


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["llm:tiny"], "llm:MODEL and --prompt FILE go together"),
        (["forest", "--prompt", "p"], "llm:MODEL and --prompt FILE go together"),
        (["forest", "--examples", "3"], "--examples: for llm:MODEL only"),
        (["forest", "--max-cost", "3", "--relabel", "m"], "--max-cost, --relabel: for llm:MODEL only"),
    ],
)
def test_doors_are_not_mixed_up(words, message):
    done = CliRunner().invoke(cli, ["generate", *words, "--purpose", "x"])
    assert (done.exit_code, message in done.output) == (2, True)


@pytest.mark.slow
def test_what_is_known_of_the_teacher_stands_in_record_and_run(frozen, ask):
    batch = ask(licence=" Apache-2.0 ")
    assert batch.record.origin.params["licence"] == "Apache-2.0"
    assert batch.record.origin.params["training_allowed"] == TEACHER["training_allowed"]
    params = frozen.project.reader.run(batch.run_id).params
    assert params[names.P_TEACHER_LICENCE] == "Apache-2.0"
    assert params[names.P_TRAINING_ALLOWED] == TEACHER["training_allowed"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"licence": " "}, UsageError, "missing: licence.\nGive both: `--model-licence"),
        ({"licence": "", "training_allowed": ""}, UsageError, "missing: licence, training_allowed"),
        ({"training_allowed": "yes"}, UsageError, "training_allowed is 'yes'; `yes: …` or `no: …` was needed"),
        ({"training_allowed": "perhaps: it depends"}, UsageError, "`yes: …` or `no: …` was needed"),
        ({"training_allowed": "No: section 4"}, GateError, r"do not allow training on what it writes \(section 4\)"),
        ({"disagreement": "vote"}, UsageError, "disagreement is 'vote', needed reject or keep"),
        ({"budget": {"max_rows_asked": 4}}, UsageError, "one request asks for 10 rows"),
        ({"prompt": "steps.yaml"}, UsageError, "no step of the prompt steps asks for age, income"),
    ],
)
def test_what_is_not_said_of_a_model_is_refused_before_anything_is_paid(refused, server, changes, error, message):
    Path("steps.yaml").write_text("steps: [{columns: [persona], prompt: Invent people.}]")
    refused(message, error, **changes.pop("budget", {}), **changes)
    assert server.asked == []


@pytest.mark.parametrize(
    ("limit", "words"),
    [
        ({"max_rows_asked": 30}, "--max-rows-asked 30 (30 asked for)"),
        pytest.param({"max_tokens": 470}, "--max-tokens 470 (450 used)", marks=pytest.mark.slow),
        pytest.param({"max_cost": 0.35}, "--max-cost 0.35 (0.3 used)", marks=pytest.mark.slow),
    ],
)
def test_a_budget_ends_with_the_rows_until_then(frozen, ask, server, limit, words):
    said = []
    frozen.project.say = said.append
    batch = ask(rows=400, params={"price_prompt": 500, "price_completion": 1_000}, **limit)
    assert (batch.n_rows, batch.record.rows_asked, batch.record.notes["llm"]["ended_by"]) == (30, 400, words)
    assert len(server.asked) == 3
    assert any(f"{words} was reached: the batch has 30 of 400 rows; of 30 that came" in line for line in said)


def test_a_budget_that_ends_before_the_first_row_leaves_nothing(refused, server):
    server.script = lambda handler, at, body: handler.complete("I cannot do that.")
    refused(
        r"--max-rows-asked 20 \(20 asked for\) was reached before one of 25 rows was kept: .*: a refusal \(2\)",
        max_rows_asked=20,
    )


@pytest.mark.slow
def test_minutes_end_while_the_server_makes_us_wait(ask, server, well):
    def slow(handler, at, body):
        well(handler, at, body) if at == 0 else handler.send(429, "", [("Retry-After", "3600")])

    server.script = slow
    batch = ask(rows=400, params={"concurrency": 1}, max_minutes=0.05)
    assert (batch.n_rows, batch.record.notes["llm"]["ended_by"]) == (10, "--max-minutes 0.05")


STEPS = """
steps:
  - columns: [persona]
    prompt: Invent {{ rows }} people.
  - columns: [age, income, region, member, since]
    prompt: "Who are they?\\n{% for row in given %}{{ row }}\\n{% endfor %}"
  - columns: [bought]
    prompt: "Do they buy? One of {{ classes }}.\\n{% for row in given %}{{ row }}\\n{% endfor %}"
"""


@pytest.fixture
def by_steps(rows):
    """Answers each step from the rows that it was given; of the first person it forgets the label."""

    def script(handler, at, body):
        schema = body["response_format"]["json_schema"]["schema"]["properties"]["rows"]["items"]["required"]
        made = rows(body["seed"])
        if schema == ["persona"]:
            return handler.complete(json.dumps({"rows": [{"persona": f"person {n} of {at}"} for n in range(10)]}))
        given = [json.loads(line) for line in body["messages"][1]["content"].splitlines() if line.startswith("{")]
        answer = [{"row": row["row"], **{name: made[row["row"] - 1][name] for name in schema[1:]}} for row in given]
        return handler.complete(json.dumps({"rows": answer[1:] if schema[1:] == ["bought"] else answer[::-1]}))

    return script


@pytest.mark.slow
def test_each_step_is_asked_with_the_rows_of_the_steps_before(frozen, ask, server, by_steps):
    Path("people.yaml").write_text(STEPS)
    server.script = by_steps
    batch = ask(prompt="people.yaml", rows=12, params={"concurrency": 1})
    told, origin = batch.record.notes["llm"], batch.record.origin
    assert (told["requests"], told["rows_rejected"]) == (6, {"has no answer in step 3": 2})
    assert origin.params["steps"][0] == ["persona"] and "persona" not in batch.record.columns
    assert "person 1 of 0" in server.asked[1]["body"]["messages"][1]["content"]
    assert '"persona"' in server.asked[2]["body"]["messages"][1]["content"]
    assert ask(prompt="people.yaml", rows=12, params={"concurrency": 1}).run_id == batch.run_id
    assert made_again(frozen, batch).digest == batch.digest


@pytest.mark.parametrize("rule", ["reject", pytest.param("keep", marks=pytest.mark.slow)])
def test_a_second_model_labels_again(frozen, ask, server, well, rule):
    def both(handler, at, body):
        if body["model"] == "tiny":
            return well(handler, at, body)
        given = [json.loads(line) for line in body["messages"][1]["content"].splitlines()[1:] if line]
        assert all("bought" not in row for row in given)
        labels = [{"row": row["row"], "bought": "yes"} for row in given]
        return handler.complete(json.dumps({"rows": labels}))

    server.script = both
    batch = ask(rows=10, relabel="judge", disagreement=rule, params={"concurrency": 1})
    found, run = batch.record.notes["llm"], frozen.project.reader.run(batch.run_id)
    rows = frozen.project.batch_rows(frozen.project.batch(batch.batch), frozen.project.evaluation_set().schema)
    assert (
        found["relabel"]["agreed"]
        + found["rows_rejected"].get(
            "has another label from the second model", found["relabel"]["labelled"] - found["relabel"]["agreed"]
        )
        == found["relabel"]["labelled"]
    )
    assert (set(rows["bought"]) == {"yes"}) == (rule == "reject")
    assert run.metrics[names.M_AGREEMENT] == pytest.approx(found["relabel"]["share"])
    assert batch.record.origin.params["relabel"] == {"model": "judge", "disagreement": rule}
    assert (len(batch.record.origin.prompts), found["models_answered"]) == (2, ["tiny-2024-08-06"])
    assert made_again(frozen, batch).digest == batch.digest


def test_without_the_client_it_is_said_what_to_install(refused, monkeypatch):
    monkeypatch.setitem(sys.modules, "openai", None)
    refused(r"need OpenAI's client, and openai is not installed.\nInstall it: `pip install 'synth", UsageError)
