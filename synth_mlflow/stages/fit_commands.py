"""A sweep by commands: how they are run, what is recorded about them, and the time that all fits will take."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from synth_mlflow.allowed_code import external_is_allowed
from synth_mlflow.backends.command import file_digests, refuse_secrets
from synth_mlflow.backends.subprocess import TIMEOUT_SECONDS, ending, last_lines, refuse_time_limit, run_within
from synth_mlflow.data.fit_commands import FitCommands
from synth_mlflow.data.splits import group_codes
from synth_mlflow.data.task import COMMAND, SCORED, ModelSpec
from synth_mlflow.errors import UsageError
from synth_mlflow.models.command import FIX, CommandModel, CommandTrainer
from synth_mlflow.models.labels import target_values
from synth_mlflow.models.raw_command import ALLOW, command_digest
from synth_mlflow.models.scoring import score_codes
from synth_mlflow.models.tuning import constant_prediction
from synth_mlflow.stages.requests import NamedCommands
from synth_mlflow.stages.sweep_inputs import SweepInputs
from synth_mlflow.sweep.bootstrap import resample
from synth_mlflow.sweep.evaluator import Evaluator, Failed, FitJob, RawFit
from synth_mlflow.sweep.executors import Engine
from synth_mlflow.sweep.plan import ALL_ROWS, EVERYTHING, REPEATS, Fit, FitKey
from synth_mlflow.sweep.runner import Final, SweepOutcome, run_fits
from synth_mlflow.tracking.project import Project

COSTLY_SECONDS = 600.0  # of a sweep, from which on a cheaper one is named
SLOW_SECONDS = 60.0  # of the first fit, from which on a sweep makes fewer fits unless a person says how many
FEW_REPEATS = 3  # the fewest of which a spread can be told
ONE_SIDED = 1.645  # normal quantile of 95 %

Vector = npt.NDArray[np.float64]


def command_spec(train: str, predict: str, timeout_seconds: float = TIMEOUT_SECONDS) -> ModelSpec:
    """The model that two commands fit and predict with, as a person has typed them.

    Raises
    ------
    UsageError
        If one is missing, lacks a place, or holds the value of a secret of this environment.
    """
    if not train.strip() or not predict.strip():
        missing = "--train-command" if not train.strip() else "--predict-command"
        raise UsageError(
            f"{missing} is missing: one command fits a model, the other predicts with it.",
            "--train-command 'python fit.py {train} {validation} {model}' "
            "--predict-command 'python predict.py {model} {rows} {predictions}'",
        )
    refuse_time_limit(timeout_seconds)
    commands = FitCommands(train, predict, Limited(timeout_seconds))
    words = [shlex.split(command) for command in (train, predict)]
    refuse_secrets([*words[0], *words[1]])
    # another machine has another interpreter under /usr/bin: what is installed is no part of the commands
    named = [word for each in words for at, word in enumerate(each) if at or not Path(word).is_absolute()]
    return ModelSpec(COMMAND, commands=replace(commands, files=file_digests(named)))


def named_commands(named: NamedCommands, engine: str) -> ModelSpec | None:
    """The model that commands fit; None where none are named."""
    if not named.train and not named.predict:
        return None
    on_this_machine(engine)
    return command_spec(named.train, named.predict, named.timeout_seconds)


def on_this_machine(engine: str) -> None:
    """A UsageError for commands that another engine is to run."""
    if engine != "local":
        raise UsageError(
            f"commands were given with the engine {engine!r}: they run on this machine.", "Leave `--engine` out."
        )


def recorded_spec(text: str) -> ModelSpec:
    """The model of a recorded sweep by commands.

    Raises
    ------
    UsageError
        If nobody at this machine has allowed what only a record names, or a file that they name is another one here.
    """
    recorded = json.loads(text)
    if not external_is_allowed():
        raise UsageError(
            f"the model was fitted by recorded commands: `{recorded['train']}` and `{recorded['predict']}`. "
            "Nothing was run.",
            "Read them. If they may run here, in the working directory: add `--allow-external` (in Python "
            "`allow_external=True`).",
        )
    spec = command_spec(recorded["train"], recorded["predict"])
    assert spec.commands is not None
    other = [name for name, digest in recorded["files"].items() if spec.commands.files.get(name) != digest]
    if other:
        raise UsageError(
            f"the recorded commands name {other[0]}, which is missing or another file here than when it was recorded "
            f"(sha256 {recorded['files'][other[0]][:12]}…). Nothing was run.",
            f"Restore that version of {other[0]} in the working directory.",
        )
    return spec


@dataclass(frozen=True)
class Limited:
    """Runs a command within a time limit."""

    seconds: float

    def __call__(self, words: Sequence[str], what: str, folder: Path) -> None:
        """See :class:`synth_mlflow.data.fit_commands.Runner`."""
        stderr = folder / "stderr.txt"
        bad = ending(run_within(self.seconds, words, stderr, what=what), self.seconds)
        if bad is None:
            return
        said = last_lines(stderr)
        stderr_text = f" The last lines of its stderr:\n{said}" if said else " It said nothing on stderr."
        longer = " Give it longer: `--timeout SECONDS`." if "time limit" in bad else ""
        raise UsageError(f"{what} {bad}.{stderr_text}", f"{FIX}{longer}")


def affordable(project: Project, ingredients: SweepInputs) -> tuple[SweepInputs, Fit | None]:
    """The same with fewer repeats where a fit takes long; what was begun before goes on as it was begun.

    The second is the fit that was made to find out; None where none was needed.
    """
    few = replace(ingredients, plan=replace(ingredients.plan, repeats=FEW_REPEATS))
    for each in (ingredients, few):
        if project.reader.find_by_key(each.key):
            return each, None
    first, warning = _first_fit(ingredients)
    if warning:
        project.say(warning)
    if first.seconds < SLOW_SECONDS:
        return ingredients, first
    n_extra = 0 if ingredients.extra_real is None else len(ingredients.extra_real)
    counts = [len(each.plan.keys(len(ingredients.training), n_extra)) for each in (few, ingredients)]
    project.say(few_words(first.seconds, *counts))
    return few, first


def _first_fit(ingredients: SweepInputs) -> tuple[Fit, str]:
    """On real rows alone, and what is odd about it."""
    statement, task = ingredients.problem.statement, ingredients.frozen.task_of(ingredients.problem.statement)
    tables = ingredients.training, ingredients.evaluation, task, statement.facts.metric, ingredients.spec
    bench = Evaluator.build(*tables, synthetic=ingredients.synthetic, slices=statement.slices)
    key = FitKey("synthetic", 0.0, ALL_ROWS)
    fit = run_fits(bench, ingredients.plan, [key], ingredients.origin.to_numpy(), finished={})[key]
    assert isinstance(bench.trainer, CommandTrainer)
    return fit, order_words(bench.trainer, statement.facts.metric, fit.predictions)


def order_words(trainer: CommandTrainer, metric: str, predictions: Vector) -> str:
    """That a fit on real rows alone has learned nothing that can be measured; empty where it has.

    Predictions in another order than their rows are numbers like all others, and show in this alone.
    """
    task, classes = trainer.task, trainer.classes
    if task.kind == SCORED:
        return ""
    target = trainer.evaluation[task.target]
    constant = constant_prediction(target, classes, len(target))
    truth, rng = target_values(trainer.evaluation, task, classes), np.random.default_rng(0)
    drawn = resample(metric, task, truth, [predictions, constant], rng, groups=group_codes(trainer.evaluation, task))
    spread = float(np.nanstd(drawn.inside[:, 0] - drawn.inside[:, 1]))
    score, chance = (score_codes(metric, task, truth, each) for each in (predictions, constant))
    if score - chance > ONE_SIDED * spread:
        return ""
    return (
        f"the first fit, on real rows alone, scores {score:.4g}, not measurably better than a constant prediction "
        f"({chance:.4g}). Does the predict command write its predictions in the order of {{rows}}?"
    )


@dataclass(frozen=True)
class Timed:
    """An engine that makes one fit first, and then says how long the others will take."""

    engine: Engine
    n_jobs: int
    say: Callable[[str], None]
    metric: str

    @property
    def words(self) -> str:
        """What it is, for the record."""
        return self.engine.words

    def run(self, work: FitJob, keys: Sequence[FitKey]) -> Iterator[RawFit | Failed]:
        """Do every fit; tells of each as it ends."""
        for result in self.engine.run(work, keys[:1]):
            if isinstance(result, RawFit):
                self.say(time_words(work, result, keys[1:], self.n_jobs))
                if result.key == FitKey("synthetic", 0.0, ALL_ROWS) and isinstance(work.trainer, CommandTrainer):
                    self._warn(order_words(work.trainer, self.metric, result.predictions))
            yield result
        yield from self.engine.run(work, keys[1:])

    def _warn(self, words: str) -> None:
        if words:
            self.say(words)


def time_words(work: FitJob, first: RawFit, others: Sequence[FitKey], n_jobs: int) -> str:
    """How long further fits will take, and what would be cheaper.

    Greater fits take longer by their rows; smaller ones are taken to be no faster, since programs take time to start.
    """
    n_first = first.n_real + first.n_added
    rows = [max(len(work.rows(key).all), n_first) for key in others]
    seconds = first.seconds * sum(rows) / n_first / max(n_jobs, 1)
    text = (
        f"one fit took {duration(first.seconds)} on {n_first:,} rows; the other {len(others):,} take about "
        f"{duration(seconds)}, and the final model is one more fit"
    )
    if seconds < COSTLY_SECONDS:
        return text
    return (
        f"{text}. Cheaper: `--repeats 3`, half the fits of the default; `--ratios 0,50 --repeats 3`, 24 fits. Finished "
        "fits are kept: end this sweep at any time, and begin the same one again to go on"
    )


def few_words(seconds: float, n_few: int, n_all: int) -> str:
    """That fewer fits are made, and what brings them all back.

    >>> few_words(95.0, 42, 84).partition(".")[0]
    'one fit took 2 min: 3 repeats, 42 fits, in place of the 84 fits of 6 repeats'
    """
    return (
        f"one fit took {duration(seconds)}: {FEW_REPEATS} repeats, {n_few} fits, in place of the {n_all} fits of "
        f"{REPEATS} repeats. Intervals are wider and smaller gains are missed; `--repeats {REPEATS}` makes them all"
    )


def duration(seconds: float) -> str:
    """A number of seconds for people.

    >>> duration(4.2), duration(130), duration(9000)
    ('4.2 s', '2 min', '2.5 h')
    """
    if seconds < 90:
        return f"{seconds:.2g} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.2g} h"


def fitted_by(outcome: SweepOutcome, final: Final) -> str:
    """What the page of a final model says of the commands that it is from; empty for other models."""
    trainer, model = outcome.work.trainer, final.model
    if not isinstance(trainer, CommandTrainer) or not isinstance(model, CommandModel):
        return ""
    curve = outcome.curve
    chosen = outcome.fits[FitKey("synthetic", final.ratio, ALL_ROWS, curve.source if final.ratio else EVERYTHING)]
    same = np.array_equal(model.predict(trainer.evaluation), chosen.predictions)
    allow = f" Allow that command, once it was read: `{ALLOW}={command_digest(model.commands.predict)}`."
    if same:
        return allow
    return (
        f"{allow} **Fitted again with the same rows and seed, the command gives another model**: the score of this "
        "ratio is that of the first fit, the stated score on new data is that of this model."
    )
