"""problem.md and limits.md: every blank and every wrong value is named in one message."""

from importlib import resources

import pytest

from synth_mlflow.data.statement import LIMITS, MAX_BYTES, QUESTIONS, parse_statement, read_limits, read_statement
from synth_mlflow.data.task import Guardrail
from synth_mlflow.errors import StatementError, UsageError
from synth_mlflow.gate.policy import Policy, policy_of

FORMS = resources.files("synth_mlflow.cli") / "forms"
FRONT = """name: churn
data: churn.csv
target: churned
task: binary
metric: roc_auc
success: {gain_at_least: 0.02}
gap: cold start
privacy: relevant
"""
PROSE = "".join(f"## {question}\nAn answer.\n" for question in QUESTIONS)


def statement(front=FRONT, prose=PROSE):
    return parse_statement(f"---\n{front}---\n{prose}")


def changed(name, line):
    return "".join(f"{line}\n" if old.startswith(f"{name}:") else f"{old}\n" for old in FRONT.splitlines())


def test_a_complete_statement_with_its_defaults():
    facts = statement().facts
    assert (facts.evaluation.share, facts.model.estimator, facts.slices) == (0.25, "lightgbm", {})
    assert facts.rerun_when == {"new_real_rows": 0.2, "metric_drop": 0.02, "generator": "major", "task": "any"}
    assert statement().answers == dict.fromkeys(QUESTIONS, "An answer.")


def test_the_untouched_form_names_all_that_people_owe():
    with pytest.raises(StatementError, match="these need a person") as refusal:
        parse_statement((FORMS / "problem.md").read_text(encoding="utf-8"))
    for name in ("name", "data", "target", "task", "metric", "gap", "privacy"):
        assert f"- `{name}` is blank" in refusal.value.found
    assert "- `success`: needs exactly one of gain_at_least and at_least" in refusal.value.found
    for question in QUESTIONS:
        assert f"`## {question}` has no answer" in refusal.value.found


@pytest.mark.parametrize(
    "answer", ["", "  \n\n", "<!-- later -->", "(write here: which rows)", "We think\n(write here: what it would take)"]
)
def test_no_answer_is_no_answer(answer):
    with pytest.raises(StatementError, match=r"What gap are we filling.* has no answer") as refusal:
        statement(prose=PROSE.replace("An answer.", answer, 1))
    assert refusal.value.found.count("has no answer") == 1


def test_a_missing_heading_is_a_missing_answer():
    with pytest.raises(StatementError, match="has no answer"):
        statement(prose=PROSE.replace("## Who owns", "### Who owns"))


def test_the_demos_statement_is_complete():
    parse_statement((FORMS / "demo_problem.md").read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("metric:", "`metric` is blank"),
        ("metric: ''", "`metric` is blank"),
        ("metric: '  '", "`metric` is blank|`metric`: String should have at least 1 character"),
        ("metrics: roc_auc", "`metrics` is unknown. Did you mean 'metric'"),
        ("task: clustering", "`task`: Input should be 'binary', 'multiclass', 'regression' or 'scored'"),
        (
            "gap: lazy",
            "`gap`: Input should be 'coverage hole', 'class imbalance', 'cold start', 'privacy block' or 'cost target'",
        ),
        ("target: 5", "`target`: Input should be a valid string"),
        ("privacy: not relevant", '`privacy`: must be `relevant`, or `"not relevant: <why>"` with the reason'),
        ("privacy: 'not relevant:  '", "`privacy`: must be"),
        ("success: {}", "`success`: needs exactly one of"),
        ("success: {gain_at_least: 0.1, at_least: 0.4}", "`success`: needs exactly one of"),
        ("success: {at_least: .nan}", "`success.at_least`: Input should be a finite number"),
        ("success: {gain_at_least: .inf}", "`success.gain_at_least`: Input should be a finite number"),
        ("success: {gain_at_least: true}", "`success.gain_at_least`: needs a number"),
        ("success: {gains: 0.1}", "`success.gains` is unknown"),
        ("success: 0.1", "`success`: needs `{gain_at_least: 0.02}`, over real rows alone, or"),
        ("privacy: yes", "`privacy`: is no question of yes or no: for yes, write `privacy: relevant`"),
        ("privacy: no", '`privacy`: is no question of yes or no: for no, write `privacy: "not relevant'),
    ],
)
def test_wrong_facts_are_named(line, message):
    with pytest.raises(StatementError, match=message):
        statement(changed(line.partition(":")[0].removesuffix("s") if "metrics" in line else line.split(":")[0], line))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("slices: {young: 'age <'}", "`slices.young`: slice 'age <': found the end"),
        ("slices: [age]", "`slices`: Input should be a valid dictionary"),
        ("sensitive: race", "`sensitive`: Input should be a valid list"),
        ("evaluation: {share: 0}", "`evaluation.share`: Input should be greater than 0"),
        ("evaluation: {share: .nan}", "`evaluation.share`: Input should be"),
        (
            "evaluation: {stratify: true, group: g}",
            "takes `stratify` for a random split alone, found stratify and group",
        ),
        ("evaluation: {shares: 0.5}", "`evaluation.shares` is unknown"),
        ("model: {params: {rate: .nan}}", "`model.params`: .*not JSON compliant"),
        ("model: {estimator: ''}", "`model.estimator`"),
        ("colour: blue", "`colour` is unknown"),
    ],
)
def test_wrong_optional_facts_are_named(line, message):
    with pytest.raises(StatementError, match=message):
        statement(FRONT + line + "\n")


def test_wrong_facts_and_missing_answers_are_named_together():
    with pytest.raises(StatementError, match="`target` is blank") as refusal:
        statement(changed("target", "target:"), "")
    assert refusal.value.found.count("\n") == 1 + len(QUESTIONS)


@pytest.mark.parametrize(
    ("front", "message"),
    [
        ("a: &a [1]\nb: *a\n", "not plain YAML: aliases"),
        ("a: !!python/object/apply:os.system [ls]\n", "not plain YAML: could not determine a constructor"),
        ("a: !secret x\n", "not plain YAML: could not determine a constructor"),
        ("name: a\nname: b\n", "not plain YAML: keys stand twice: name"),
        ("a: [" * 3_000 + "\n", "not plain YAML"),
        ("a: 2024-99-99\n", "not plain YAML: month must be"),
        ("a: {\n", "not plain YAML"),
        ("- a\n", "no list of `key: value` lines"),
        ("", "no list of `key: value` lines"),
    ],
)
def test_front_matter_that_is_not_plain_yaml_is_refused(front, message):
    with pytest.raises(StatementError, match=message):
        statement(front)


def test_lines_that_are_not_yaml_are_counted_as_editors_do():
    with pytest.raises(StatementError, match=r"mapping values are not allowed here\n +in line 3, column 8:"):
        parse_statement(f"---\ntask: binary\nname: a: b\n---\n{PROSE}")


@pytest.mark.parametrize("text", ["", "# Problem\n", "name: churn\n---\n", "---\nname: churn\n"])
def test_a_file_without_front_matter_is_refused(text):
    with pytest.raises(StatementError, match="does not begin with its facts"):
        parse_statement(text)


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"x" * (MAX_BYTES + 1), "1,000,001 bytes; at most 1,000,000 are read"), (b"---\n\xff", "is not UTF-8 text")],
)
def test_files_that_no_person_wrote_are_refused(tmp_path, content, message):
    (tmp_path / "problem.md").write_bytes(content)
    with pytest.raises(StatementError, match=message):
        read_statement(tmp_path / "problem.md")


def test_a_missing_file_says_how_to_get_one(tmp_path):
    with pytest.raises(UsageError, match=r"there is no file .*problem.md.\n`synth-mlflow init DIR`"):
        read_statement(tmp_path / "problem.md")


def test_an_editor_may_change_line_ends_and_add_a_mark(tmp_path):
    text = f"---\n{FRONT}---\n{PROSE}"
    (tmp_path / "problem.md").write_bytes(b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode())
    assert read_statement(tmp_path / "problem.md").digest == parse_statement(text).digest


def test_only_what_may_not_change_is_in_the_task_digest():
    more_prose = statement(prose=PROSE.replace("An answer.", "Another answer."))
    assert more_prose.digest != statement().digest
    assert more_prose.task_digest == statement().task_digest
    assert statement(changed("metric", "metric: accuracy")).task_digest != statement().task_digest


def test_privacy_matters_unless_a_reason_says_otherwise():
    assert statement().privacy_matters
    assert not statement(changed("privacy", "privacy: 'not relevant: made up'")).privacy_matters


def test_limits_are_blank_where_nobody_wrote(tmp_path):
    (tmp_path / "limits.md").write_text("## Known limitations\nFew rows.\n## When not to use this model\n<!-- ? -->\n")
    assert read_limits(tmp_path / "limits.md") == dict(zip(LIMITS, ("Few rows.", "", ""), strict=True))
    (tmp_path / "limits.md").write_text((FORMS / "limits.md").read_text(encoding="utf-8"))
    assert not any(read_limits(tmp_path / "limits.md").values())


def test_constraints_in_their_three_forms():
    lines = 'constraints: ["a <= b", {column: age, min: 17, max: 90}, {fixed: [city, region]}]\n'
    declared = statement(FRONT + lines).constraints
    assert [one.text for one in declared] == ["a <= b", "age >= 17", "age <= 90", "fixed(city, region)"]


@pytest.mark.parametrize(
    ("line", "match"),
    [
        ('constraints: ["a <= b", "a <"]', r"`constraints\[1\]`: constraint 'a <': found the end, needed a number"),
        ("constraints: [{column: age}]", "`constraints`: holds texts like"),
        ("constraints: 3", "`constraints`: must be a list"),
    ],
)
def test_constraints_outside_the_grammar_are_named(line, match):
    with pytest.raises(StatementError, match=match):
        statement(FRONT + line + "\n")


def test_guardrail_is_frozen_with_the_task():
    slices = FRONT + 'slices: {young: "age < 25"}\n'
    guarded = statement(slices + "guardrail: {max_slice_drop: 0.01}\n")
    assert guarded.guardrail == Guardrail(0.01)
    assert guarded.task_digest != statement(slices).task_digest
    assert statement().guardrail is None


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("guardrail: {max_slice_drop: 0.01}", "`guardrail` watches slices, and `slices` names none"),
        ("guardrail: {max_slice_drop: -1}", r"`guardrail.max_slice_drop`: Input should be greater than or equal to 0"),
        ("guardrail: {}", "`guardrail.max_slice_drop` is blank"),
    ],
)
def test_senseless_guardrails_are_named(line, words):
    with pytest.raises(StatementError, match=words):
        statement(f"{FRONT}{line}\n")


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("{}", ["new_real_rows", "metric_drop", "generator", "task"]),
        ("{environment: minor}", ["new_real_rows", "metric_drop", "generator", "task", "environment"]),
        ("{task: off, generator: false}", ["new_real_rows", "metric_drop"]),
        ('{task: "off", metric_drop: 0.1}', ["new_real_rows", "metric_drop", "generator"]),
    ],
)
def test_rerun_conditions_stand_beside_the_defaults(text, kept):
    facts = statement(f"{FRONT}rerun_when: {text}\n").facts
    assert list(facts.rerun_when) == kept
    assert facts.rerun_when["new_real_rows"] == 0.2
    assert facts.rerun_when["metric_drop"] == (0.1 if "0.1" in text else 0.02)


def test_what_is_no_default_cannot_be_switched_off():
    with pytest.raises(StatementError, match="only a default can be switched off, and 'tusk' is none of new_real"):
        statement(f"{FRONT}rerun_when: {{tusk: off}}\n")


def test_a_password_in_data_is_refused_without_being_shown():
    with pytest.raises(StatementError, match="holds a password") as refusal:
        statement(changed("data", 'data: "postgresql://ann:topsecret@db/rows?token=othersecret"'))
    assert "topsecret" not in str(refusal.value) and "othersecret" not in str(refusal.value)


def scored(*lines):
    front = FRONT.replace("target: churned\n", "").replace("binary", "scored").replace("roc_auc", "mean_score")
    return statement(front + "".join(f"{line}\n" for line in lines))


def test_a_scored_task_has_no_target_and_no_utility():
    found = scored("benchmarks: [b.jsonl]")
    assert found.task.target == "" and not found.task.is_classification
    policy = policy_of(found)
    assert policy.required == ("contamination", "fidelity", "privacy") and policy.benchmarks == ("b.jsonl",)
    assert Policy.from_json(policy.to_json()) == policy
    assert "benchmarks" not in policy_of(statement()).to_json()


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("target: a", "`target` does not belong to `task: scored`"),
        ("evaluation: {stratify: true}", "`evaluation.stratify` does not belong"),
        ("tokenizer: words", "`tokenizer`"),
    ],
)
def test_what_does_not_belong_to_a_scored_task_is_named(line, words):
    with pytest.raises(StatementError, match=words):
        scored(line)


def test_every_other_task_needs_a_target():
    with pytest.raises(StatementError, match="`target` is blank"):
        statement(FRONT.replace("target: churned\n", ""))
