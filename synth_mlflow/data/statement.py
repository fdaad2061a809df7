"""problem.md and limits.md: what people write, and the few facts that machines need.

The front matter is YAML without aliases and tags; unknown keys are refused. The prose stands under fixed headings, and
neither a blank answer nor an untouched template counts as one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    FiniteFloat,
    StringConstraints,
    ValidationError,
    field_validator,
    model_validator,
)

from synth_mlflow.data.addresses import data_text
from synth_mlflow.data.column_facts import ColumnFacts, CsvFacts
from synth_mlflow.data.constraints import Constraints, as_texts, parse_constraints
from synth_mlflow.data.digests import canonical_json, json_digest, text_digest
from synth_mlflow.data.markup import is_storable, read_plain, refuse_passwords
from synth_mlflow.data.schema import TableSchema, Wishes
from synth_mlflow.data.slices import Slice
from synth_mlflow.data.task import SCORED, Guardrail, ModelSpec, Task, TaskKind
from synth_mlflow.errors import StatementError, UsageError, closest
from synth_mlflow.masks import without_passwords

QUESTIONS = (
    "What gap are we filling?",
    "Why can't real data solve it?",
    "What metric decides success, and why?",
    "Who owns this, and who may change the evaluation set?",
)
LIMITS = ("Known limitations", "When not to use this model", "What we would try next")
MAX_BYTES = 1_000_000  # a statement is written by people
BOTH_SIDES: Literal["both-sides"] = "both-sides"  # of a split: where equal rows may stand
PLACEHOLDER = "(write here:"  # how every untouched answer of the templates begins

RERUN_WHEN = {"new_real_rows": 0.2, "metric_drop": 0.02, "generator": "major", "task": "any"}
OFF = ("off", False)  # which is how YAML reads it


def _storable(value: str) -> str:
    if not is_storable(value):
        raise ValueError("must hold no NUL character and no half of a surrogate pair")
    return value


Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1), AfterValidator(_storable)]


def _on_one_line(value: str) -> str:
    """No list shows a line break."""
    if re.search(r"[\x00-\x1f\x7f]", value):
        raise ValueError(f"must be one line without control characters, found {value!r}")
    return value


Name = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=200),  # what servers keep whole
    AfterValidator(_on_one_line),
]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Success(_Strict):
    """What decides success: a gain over the real-only baseline, or a score."""

    gain_at_least: FiniteFloat | None = None
    at_least: FiniteFloat | None = None

    @field_validator("gain_at_least", "at_least", mode="before")
    @classmethod
    def _no_truth_value(cls, value: object) -> object:
        if isinstance(value, bool):
            raise ValueError("needs a number")  # noqa: TRY004 (pydantic reports ValueErrors alone)
        return value

    @model_validator(mode="before")
    @classmethod
    def _says_which(cls, value: object) -> object:
        if isinstance(value, dict | Success):
            return value
        raise ValueError("needs `{gain_at_least: 0.02}`, over real rows alone, or `{at_least: 0.45}`")

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.gain_at_least is None) == (self.at_least is None):
            raise ValueError("needs exactly one of gain_at_least and at_least")
        return self


class GuardrailFacts(_Strict):
    """How far the score may fall on any slice; why slices too small to show it may pass."""

    max_slice_drop: Annotated[FiniteFloat, Field(ge=0)]
    accept_inconclusive: Text | None = None


FEW_EVALUATION_ROWS = 500  # an AUC of .75 then has an interval of about ± .04
LARGER_SHARE = 0.4


def larger_share(n_rows: int, share: float) -> float | None:
    """The share to hold out where ``share`` of so many rows would decide little; None where it will do.

    >>> larger_share(300, 0.25), larger_share(300, 0.5), larger_share(5_000, 0.25)
    (0.4, None, None)
    """
    return LARGER_SHARE if round(n_rows * share) < FEW_EVALUATION_ROWS and share < LARGER_SHARE else None


class Evaluation(_Strict):
    """How the evaluation set is cut off the real rows."""

    share: Annotated[float, Field(gt=0, lt=1)] = 0.25
    stratify: bool | None = None
    group: Text | None = None
    time: Text | None = None
    equal_rows: Literal["together", "both-sides"] | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if self.equal_rows and (self.group or self.time):
            raise ValueError("takes `equal_rows` for a random split alone: groups and times decide where equal rows go")
        ways = [name for name in ("stratify", "group", "time") if getattr(self, name)]
        if self.stratify and len(ways) > 1:
            raise ValueError(f"takes `stratify` for a random split alone, found {' and '.join(ways)}")
        return self


class Model(_Strict):
    """The model that every score is measured with."""

    estimator: Text = "lightgbm"
    params: dict[str, Any] = {}
    columns: Literal["named", "encoded"] | None = None

    @field_validator("params")
    @classmethod
    def _recordable(cls, value: dict[str, Any]) -> dict[str, Any]:
        canonical_json(value)
        return value

    @model_validator(mode="after")
    def _columns_of_an_estimator(self) -> Self:
        if self.columns is not None and self.estimator == "lightgbm":
            raise ValueError("takes `columns` for an estimator alone: LightGBM reads categories as they are")
        return self


CALLABLE = r"^[\w.]+:[\w.]+$"  # module:callable


class Facts(_Strict):
    """The front matter of problem.md."""

    name: Name
    data: Text
    target: Text | None = None
    task: TaskKind
    metric: Text
    success: Success
    gap: Literal["coverage hole", "class imbalance", "cold start", "privacy block", "cost target"]
    privacy: Text
    slices: dict[Name, Text] = {}
    guardrail: GuardrailFacts | None = None
    sensitive: list[Text] = []
    constraints: list[Text] = []
    benchmarks: list[Text] = []
    tokenizer: Annotated[str, StringConstraints(strip_whitespace=True, pattern=CALLABLE)] | None = None
    embedding: Text | None = None
    columns: dict[str, ColumnFacts] | None = None
    csv: CsvFacts | None = None
    evaluation: Evaluation = Evaluation()
    model: Model = Model()
    validation: dict[str, Any] = {}
    rerun_when: dict[str, Any] = RERUN_WHEN

    @field_validator("data", mode="before")
    @classmethod
    def _as_address(cls, value: object) -> object:
        return data_text(value)

    @field_validator("data")
    @classmethod
    def _no_password(cls, value: str) -> str:
        if without_passwords(value, is_uri=True) != value:
            raise ValueError(
                "holds a password or a signature, which would be recorded: set a variable of the environment to the "
                "address, and write `{url_env: VARIABLE}`"
            )
        return value

    @field_validator("constraints", mode="before")
    @classmethod
    def _as_texts(cls, value: object) -> list[str]:
        if not isinstance(value, list):
            raise ValueError("must be a list")  # noqa: TRY004 (pydantic reports ValueErrors alone)
        return [text for item in value for text in as_texts(item)]

    @field_validator("rerun_when")
    @classmethod
    def _with_defaults(cls, value: dict[str, Any]) -> dict[str, Any]:
        """What is named stands beside the defaults or in their place; ``off`` leaves one out."""
        idle = [name for name, threshold in value.items() if threshold in OFF and name not in RERUN_WHEN]
        if idle:
            raise ValueError(f"only a default can be switched off, and {idle[0]!r} is none of {', '.join(RERUN_WHEN)}")
        return {name: threshold for name, threshold in {**RERUN_WHEN, **value}.items() if threshold not in OFF}

    @field_validator("privacy", mode="before")
    @classmethod
    def _no_yes_or_no(cls, value: object) -> object:
        said = {"true": "yes", "yes": "yes", "false": "no", "no": "no"}.get(str(value).strip().lower())
        if said is None:
            return value
        line = "privacy: relevant" if said == "yes" else 'privacy: "not relevant: <why>"'
        raise ValueError(f"is no question of yes or no: for {said}, write `{line}`")

    @field_validator("privacy")
    @classmethod
    def _reason(cls, value: str) -> str:
        if value != "relevant" and not re.fullmatch(r"not relevant:\s*\S.*", value, re.DOTALL):
            raise ValueError('must be `relevant`, or `"not relevant: <why>"` with the reason')
        return value


FROZEN_FACTS = (
    "name",
    "target",
    "task",
    "metric",
    "success",
    "slices",
    "guardrail",
    "evaluation",
    "model",
    "columns",
    "csv",
    "embedding",
)


@dataclass(frozen=True)
class Statement:
    """A complete problem statement."""

    facts: Facts
    answers: Mapping[str, str]
    text: str
    table: TableSchema | None = None
    """What each column is, as `define` or `freeze` recorded it; None where nobody has."""
    folder: Path | None = None
    """The folder that the file lies in; None where only its text is known."""

    @property
    def digest(self) -> str:
        """SHA-256 of the file's text."""
        return text_digest(self.text)

    @property
    def task_digest(self) -> str:
        """SHA-256 of the facts that may not change once the evaluation set is frozen."""
        facts = self.facts.model_dump(mode="json")
        if facts["evaluation"]["equal_rows"] is None:  # a key that older statements do not know
            del facts["evaluation"]["equal_rows"]
        if facts["model"]["columns"] is None:  # likewise
            del facts["model"]["columns"]
        frozen = {name: facts[name] for name in FROZEN_FACTS}
        return json_digest({name: fact for name, fact in frozen.items() if fact is not None})

    @property
    def task(self) -> Task:
        """The learning task."""
        facts, table = self.facts, self.table
        if table is None:
            return Task(facts.target or "", facts.task)
        return Task(facts.target or "", facts.task, table.group, table.roles, table.time)

    @property
    def wishes(self) -> Wishes:
        """What the schema of the table depends on."""
        facts = self.facts
        rules = {name: column.rule for name, column in (facts.columns or {}).items()}
        cut = facts.evaluation
        return Wishes(facts.target, self.task.is_classification, cut.group, cut.time, rules)

    @property
    def model(self) -> ModelSpec:
        """The model that every score is measured with."""
        model = self.facts.model
        return ModelSpec(model.estimator, model.params, model.columns, embedding=self.embedding)

    @property
    def embedding(self) -> str | None:
        """What turns texts into vectors: ``module:callable``, or a folder, seen from that of the statement."""
        named = self.facts.embedding
        if named is None or re.fullmatch(CALLABLE, named) or self.folder is None:
            return named
        return str((self.folder / named).resolve())

    @property
    def guardrail(self) -> Guardrail | None:
        """What no ratio may do to a slice."""
        guardrail = self.facts.guardrail
        return None if guardrail is None else Guardrail(guardrail.max_slice_drop, guardrail.accept_inconclusive or "")

    @property
    def slices(self) -> dict[str, Slice]:
        """The slices that the score is followed on, by name."""
        return {name: Slice.parse(text) for name, text in self.facts.slices.items()}

    @property
    def constraints(self) -> Constraints:
        """What every row must keep."""
        return parse_constraints(self.facts.constraints)

    @property
    def privacy_matters(self) -> bool:
        """Whether the privacy check is required."""
        return self.facts.privacy == "relevant"


def read_statement(path: Path) -> Statement:
    """Read problem.md.

    Raises
    ------
    StatementError
        If anything is blank, untouched, unknown or wrong; every one of them is named in one message.
    """
    text = _read(path)
    statement = parse_statement(text, str(path))
    refuse_passwords([text], str(path))
    return replace(statement, folder=path.resolve().parent)


def parse_statement(text: str, what: str = "problem.md") -> Statement:
    """Read a problem statement from its text; see :func:`read_statement`."""
    front, prose = _split(text, what)
    given = _yaml(front, what)
    facts, problems = _facts(given)
    if given.get("target") is None and given.get("task") != SCORED:
        problems.append("`target` is blank")
    answers = sections(prose, QUESTIONS)
    problems += [f"`## {question}` has no answer" for question in QUESTIONS if not answers[question]]
    if facts is not None:
        problems += _target_problems(facts) + _slice_problems(facts) + _constraint_problems(facts)
    if problems or facts is None:
        shown = "\n".join(f"  - {problem}" for problem in problems)
        raise StatementError(
            f"{what} is not complete; these need a person:\n{shown}", f"Fill them in: `synth-mlflow define {what}`."
        )
    return Statement(facts, answers, text)


def read_limits(path: Path) -> dict[str, str]:
    """Read limits.md: the three headings and what people wrote under each, blank where nobody did."""
    text = _read(path)
    refuse_passwords([text], str(path))
    return sections(text, LIMITS)


def sections(prose: str, headings: tuple[str, ...]) -> dict[str, str]:
    """What stands under each heading; an untouched template or a comment counts as nothing."""
    by_title: dict[str, list[str]] = {}
    under: list[str] = []
    for line in prose.split("\n"):  # no regular expression: an odd text must not take minutes
        heading = _heading(line)
        if heading:
            under = by_title[heading] = []
        else:
            under.append(line)
    return {heading: _answer("\n".join(by_title.get(heading, ()))) for heading in headings}


def _heading(line: str) -> str:
    """The words of a Markdown heading of the second level; empty if the line is none."""
    if not line.startswith(("## ", "##\t")):
        return ""
    words = line[2:].strip()
    return words.rstrip("#").rstrip() or words


def _answer(text: str) -> str:
    words = _without_comments(text).strip()
    return "" if PLACEHOLDER in words else words


def _without_comments(text: str) -> str:
    """The text between HTML comments; one that is not closed is text."""
    parts, at = [], 0
    while (start := text.find("<!--", at)) >= 0 and (end := text.find("-->", start + 4)) >= 0:
        parts.append(text[at:start])
        at = end + 3
    return "".join([*parts, text[at:]])


def _read(path: Path) -> str:
    if path.is_dir():
        inside = path / "problem.md"
        fix = f"Name the file: {inside}." if inside.is_file() else f"`synth-mlflow init {path}` writes a file in it."
        raise UsageError(f"{path} is a folder, and a file was needed.", fix)
    if not path.is_file():
        raise UsageError(f"there is no file {path}.", "`synth-mlflow init DIR` writes one to fill in.")
    if path.stat().st_size > MAX_BYTES:
        raise StatementError(f"{path} has {path.stat().st_size:,} bytes; at most {MAX_BYTES:,} are read.")
    try:
        return path.read_text(encoding="utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise StatementError(f"{path} is not UTF-8 text: {error}.", "Save it as UTF-8.") from error


def _split(text: str, what: str) -> tuple[str, str]:
    match = re.match(r"---[ \t]*\n(.*?)^---[ \t]*$(.*)", text, re.DOTALL | re.MULTILINE)
    if match is None:
        raise StatementError(
            f"{what} does not begin with its facts between two lines of `---`.",
            "`synth-mlflow init DIR` writes a file that shows how.",
        )
    return match.group(1), match.group(2)


def _yaml(front: str, what: str) -> dict[str, Any]:
    try:
        value = read_plain(f"\n{front}")  # so that lines count as an editor shows them
    except ValueError as error:
        raise StatementError(
            f"the facts at the top of {what} are not plain YAML: {error}",
            "Correct what stands there; texts that hold `: ` or begin with a special character need quotes.",
        ) from error
    if not isinstance(value, dict):
        raise StatementError(f"the facts at the top of {what} are no list of `key: value` lines.")
    return value


def _facts(value: dict[str, Any]) -> tuple[Facts | None, list[str]]:
    try:
        return Facts.model_validate(value), []
    except ValidationError as error:
        return None, [_problem(detail, value) for detail in error.errors(include_url=False)]


def _problem(detail: Any, value: dict[str, Any]) -> str:
    where = ".".join(str(part) for part in detail["loc"])
    top = detail["loc"][0] if detail["loc"] else None
    if detail["type"] == "extra_forbidden":
        known = Facts.model_fields if len(detail["loc"]) == 1 else ()
        return f"`{where}` is unknown. {closest(str(top), known) if known else ''}".strip()
    if detail["type"] == "missing" or (len(detail["loc"]) == 1 and value.get(str(top)) in (None, "")):
        return f"`{where}` is blank"
    return (
        f"`{where}`: {detail['msg'].removeprefix('Value error, ')} (found {without_passwords(repr(detail['input']))})"
    )


def _target_problems(facts: Facts) -> list[str]:
    if facts.task != SCORED:
        return []
    columns = {"target": facts.target, "evaluation.stratify": facts.evaluation.stratify}
    return [f"`{name}` does not belong to `task: {SCORED}`, which has no target" for name in columns if columns[name]]


def _slice_problems(facts: Facts) -> list[str]:
    problems = []
    for name, text in facts.slices.items():
        try:
            Slice.parse(text)
        except UsageError as error:
            problems.append(f"`slices.{name}`: {error.found}")
    if facts.guardrail is not None and not facts.slices:
        problems.append("`guardrail` watches slices, and `slices` names none")
    return problems


def _constraint_problems(facts: Facts) -> list[str]:
    problems = []
    for at, text in enumerate(facts.constraints):
        try:
            parse_constraints([text])
        except UsageError as error:
            problems.append(f"`constraints[{at}]`: {error.found}")
    return problems


def success_in_words(statement: Statement) -> str:
    """The success threshold as a person would say it."""
    success = statement.facts.success
    if success.gain_at_least is not None:
        return f"a gain of at least {success.gain_at_least:g} over the real-only baseline"
    return f"a score of at least {success.at_least:g}"
