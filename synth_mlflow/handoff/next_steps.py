"""What to do where no batch has passed: lines to paste that name checks, columns, constraints and parameters."""

from __future__ import annotations

import json
import math
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from synth_mlflow.checks import FEWER_COLUMNS
from synth_mlflow.data.addresses import is_rewritable
from synth_mlflow.data.csv_format import CsvFormat
from synth_mlflow.data.rewriting import only_columns, without_columns
from synth_mlflow.data.statement import LARGER_SHARE
from synth_mlflow.gate.attempts import Attempt, GeneratorSearch
from synth_mlflow.gate.verdicts import CheckVerdict, Verdict

N_OTHERS = 2  # candidates of the search that are offered beside the one that was judged
N_COLUMNS = 3
LEAST_SHARE = 0.5  # of what real rows teach, below which a batch is of no use beside them
FAR = 0.75  # of the range of `privacy` of `forest`


@dataclass(frozen=True)
class NextStep:
    """One thing that may help."""

    why: str
    """In words, as a sentence."""
    where: str
    """What the lines are for: ``terminal``, or ``problem.md``, between its two lines of ``---``."""
    lines: tuple[str, ...]

    def __str__(self) -> str:
        where = "" if self.where == "terminal" else f" (in {self.where})"
        return "\n".join([f"{self.why}{where}", *(f"  {line}" for line in self.lines)])


@dataclass(frozen=True)
class Stopped:
    """Where a run has stopped, and what is known by then."""

    experiment: str
    statement: str
    """The path of problem.md."""
    data: str
    """The path of the real rows."""
    form: CsvFormat
    """Of that file, where it is one of texts."""
    facts: Mapping[str, Any]
    """Of the statement: its constraints and its validation, as they stand there."""
    verdicts: Sequence[Verdict]
    """Of the batches that may still enter training, oldest first."""
    made: Sequence[Mapping[str, Any]]
    """Generator and parameters of each batch, oldest first."""
    search: GeneratorSearch | None
    n_evaluation: int
    share: float
    """Of the rows that were held out."""
    found: str
    fix: str
    """Of the error that has stopped the run."""
    handoff: str = ""
    """The run of the newest handoff; empty before one."""
    choices: str = ""
    """What `define` has recorded of choice sets, as JSON; empty where there are none."""

    @property
    def run(self) -> str:
        """The command that goes on."""
        return f"synth-mlflow run {shlex.quote(self.statement)}"


def next_steps(stopped: Stopped) -> tuple[NextStep, ...]:
    """What may help, most promising first; at least one step."""
    newest = stopped.verdicts[-1] if stopped.verdicts else None
    if newest is None:
        return (*_choices(stopped), _as_the_error_says(stopped))
    if newest.gate_open:
        return (_as_the_error_says(stopped),)
    failed = [check for check in newest.checks if check.verdict == "fail"]
    open_doubts = [check for check in newest.checks if check.verdict == "inconclusive" and not check.accepted]
    steps = [
        *_choices(stopped),
        *_constraints(stopped),
        *_contaminated(failed),
        *_fewer_columns(failed, stopped),
        *_privacy(failed, stopped),
        *_others(failed, stopped),
    ]
    steps += [*_columns(failed, stopped), *_doubts(open_doubts, failed, stopped), *_utility(failed, stopped)]
    return tuple(steps) or (_as_the_error_says(stopped),)


def _choices(stopped: Stopped) -> Iterator[NextStep]:
    """One row for each group of which exactly one row is chosen."""
    if stopped.choices:
        choices = json.loads(stopped.choices)
        yield NextStep(f"{choices['words']}.", "terminal", tuple(choices["lines"]))


def _constraints(stopped: Stopped) -> Iterator[NextStep]:
    """What the search has found to help, beside what the statement declares."""
    constraints = None if stopped.search is None else stopped.search.found
    if constraints is None:
        return
    texts = [*stopped.facts.get("constraints", ()), *constraints.candidate.constraints]
    yield NextStep(
        f"With {' and '.join(constraints.candidate.constraints)} the same generator passed its trial: these "
        "columns keep the combinations that real rows have.",
        "problem.md",
        (f"constraints: {json.dumps(texts, ensure_ascii=False)}",),
    )
    yield NextStep("Then go on.", "terminal", (stopped.run,))


def _contaminated(failed: Sequence[CheckVerdict]) -> Iterator[NextStep]:
    if any(check.check == "contamination" for check in failed):
        yield NextStep(
            "The batch holds evaluation rows, or was learned from them. Which rows these are:",
            "terminal",
            ("synth-mlflow verify --deep",),
        )


def _privacy(failed: Sequence[CheckVerdict], stopped: Stopped) -> Iterator[NextStep]:
    """Farther from the members than any setting that was judged."""
    privacy = [check for check in failed if check.check == "privacy"]
    levels = [made["params"].get("privacy", 0) for made in stopped.made if made["generator"] == "forest"]
    if privacy and levels and max(levels) < 1 and not _by_many_columns(failed):
        level = FAR if max(levels) < FAR else 1
        yield NextStep(
            f"Attacks find training rows in the batch ({privacy[0].reasons[0]}). "
            "A greater `privacy` keeps rows farther from them.",
            "terminal",
            (f"{stopped.run} --generator forest --param privacy={level}",),
        )


def _fewer_columns(failed: Sequence[CheckVerdict], stopped: Stopped) -> Iterator[NextStep]:
    """Where attacks know training rows by many columns together: one column less leads to the same failure."""
    if not _by_many_columns(failed):
        return
    why = (
        "Attacks find training rows by many columns together, and leaving out a few of them does not help. A table of "
        "far fewer columns does. Begin a new project, with another `name` in problem.md"
    )
    if is_rewritable(stopped.data):
        copy = only_columns(["FIRST", "SECOND", stopped.facts["target"]], stopped.data, stopped.form)
        why += f" and `data: {copy.path}`. Write the columns that the model needs in place of FIRST and SECOND:"
        yield NextStep(why, "terminal", (copy.command,))
    else:
        why += ", and select the columns that the model needs where the table is made:"
        yield NextStep(why, "terminal", (stopped.run,))
    yield NextStep(
        "Or, only where nobody is harmed when it is known which rows the generator has learned from, such as rows that "
        "are published: say so in place of the line that begins with `privacy`. Every document quotes the reason.",
        "problem.md",
        ('privacy: "not relevant: WRITE WHY"',),
    )


def _by_many_columns(failed: Sequence[CheckVerdict]) -> bool:
    """Whether privacy has failed by more columns than a reason names, and not by copies of rows."""
    reasons = [reason for check in failed if check.check == "privacy" for reason in check.reasons]
    is_copied = any(re.match(r"(near|exact)_copies\b", reason) for reason in reasons)
    return not is_copied and any(FEWER_COLUMNS in reason for reason in reasons)


def _others(failed: Sequence[CheckVerdict], stopped: Stopped) -> Iterator[NextStep]:
    """Candidates that did well in the trial and have made no batch yet."""
    if not failed or stopped.search is None:
        return
    left = [one for one in stopped.search.attempts if _is_offered(one, stopped.search, stopped)]
    for one in sorted(left, key=lambda one: one.rank)[:N_OTHERS]:
        yield NextStep(
            f"{one.candidate.words} was next best in its trial ({one.verdict}).",
            "terminal",
            (f"{stopped.run} --generator {one.candidate.options}",),
        )


def _is_offered(one: Attempt, search: GeneratorSearch, stopped: Stopped) -> bool:
    """Whether a candidate did well, needs no further constraint and has made no batch."""
    is_made = any(search.maker_of(made["generator"], made["params"]) == one for made in stopped.made)
    return one.verdict in ("pass", "inconclusive") and not (is_made or one.candidate.constraints)


def _columns(failed: Sequence[CheckVerdict], stopped: Stopped) -> Iterator[NextStep]:
    """Columns that the failing statistics name, where the model can do without them."""
    checks = ("fidelity",) if _by_many_columns(failed) else ("fidelity", "privacy")
    reasons = [reason for check in failed if check.check in checks for reason in check.reasons]
    named = re.findall(r"^\w+ of '(.+?)' is ", "\n".join(reasons), flags=re.MULTILINE)
    columns = [name for name in dict.fromkeys(named) if name != stopped.facts["target"]][:N_COLUMNS]
    if columns and not is_rewritable(stopped.data):
        columns_rule = {**stopped.facts.get("columns", {}), **{name: {"role": "ignored"} for name in columns}}
        yield NextStep(
            f"The generator does not reproduce {', '.join(columns)}. If the model can do without, begin a new project "
            "that ignores them: give problem.md another `name`.",
            "problem.md",
            (f"columns: {json.dumps(columns_rule, ensure_ascii=False)}",),
        )
    elif columns:
        copy = without_columns(columns, stopped.data, stopped.form)
        yield NextStep(
            f"The generator does not reproduce {', '.join(columns)}. If the model can do without, begin a new "
            f"project with a table that lacks them. This writes it; give problem.md another `name`, and the new table "
            f"as `data: {copy.path}`.",
            "terminal",
            (copy.command,),
        )


def _utility(failed: Sequence[CheckVerdict], stopped: Stopped) -> Iterator[NextStep]:
    """Where a batch fails for its utility alone: a lower limit if it teaches half, else further rows to learn from."""
    if [check.check for check in failed] != ["utility"]:
        return
    matches = [re.match(r"(gain_share)\b.* is (-?[\d.]+) \(limit ([\d.]+)", reason) for reason in failed[0].reasons]
    shares = [float(one[2]) for one in matches if one is not None]
    if not shares or len(shares) != len(matches):
        return
    gained = f"A model that learns from the batch alone gains {max(min(shares), 0.0):.0%} of what real rows teach"
    if min(shares) < LEAST_SHARE:
        yield NextStep(
            f"{gained}: the generator has learned too little from these rows. It may learn from further real rows, "
            "also from such that the model must not be trained on; name them in place of FILE. If there are none, real "
            "rows alone are the answer, and this draft says so.",
            "terminal",
            (f"{stopped.run} --source FILE",),
        )
        return
    validation = {**stopped.facts.get("validation", {})}
    validation["utility"] = {**validation.get("utility", {}), "gain_share": math.floor(10 * min(shares)) / 10}
    yield NextStep(
        f"{gained}, and the limit is higher. Beside real rows that may be enough: the sweep judges it again, on "
        "evaluation rows. If so, lower the limit; every document names it. If not, real rows alone are the answer, and "
        "this draft says so.",
        "problem.md",
        (f"validation: {json.dumps(validation, ensure_ascii=False)}",),
    )
    yield NextStep("Then go on.", "terminal", (stopped.run,))


def _doubts(doubts: Sequence[CheckVerdict], failed: Sequence[CheckVerdict], stopped: Stopped) -> Iterator[NextStep]:
    """More rows, or an acceptance with the reason of a person; the second only where nothing has failed."""
    if not doubts:
        return
    names = " and ".join(check.check for check in doubts)
    if not failed:
        accepted = {**stopped.facts.get("validation", {}).get("accept_inconclusive", {})}
        accepted |= {check.check: "WRITE WHY" for check in doubts}
        validation = {**stopped.facts.get("validation", {}), "accept_inconclusive": accepted}
        yield NextStep(
            f"{names} cannot decide with these rows. If that is acceptable, say why; every later document quotes the "
            "reason.",
            "problem.md",
            (f"validation: {json.dumps(validation, ensure_ascii=False)}",),
        )
        yield NextStep("Then go on.", "terminal", (stopped.run,))
    if stopped.share < LARGER_SHARE:
        evaluation = {**stopped.facts.get("evaluation", {}), "share": LARGER_SHARE}
        yield NextStep(
            f"Or hold out more than the present {stopped.n_evaluation:,} rows, in a new project: the evaluation set "
            "of this one is frozen.",
            "problem.md",
            (
                f"name: {json.dumps(stopped.facts['name'] + '-larger-evaluation', ensure_ascii=False)}",
                f"evaluation: {json.dumps(evaluation, ensure_ascii=False)}",
            ),
        )


def _as_the_error_says(stopped: Stopped) -> NextStep:
    commands = tuple(command for command in re.findall(r"`(synth-mlflow [^`]+)`", stopped.fix))
    return NextStep(stopped.fix or stopped.found, "terminal", commands or (stopped.run,))
