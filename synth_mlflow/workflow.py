"""The verbs as methods: what the command line does, from your own code."""

from __future__ import annotations

import functools
import inspect
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

import numpy as np
import pandas as pd

from synth_mlflow.allowed_code import allowing
from synth_mlflow.data.fit_commands import TIMEOUT_SECONDS
from synth_mlflow.data.markup import html_table
from synth_mlflow.data.provenance import Origin
from synth_mlflow.data.schema import present
from synth_mlflow.errors import GateError, SynthError, UsageError
from synth_mlflow.later import later
from synth_mlflow.sweep.plan import BLAME_REPEATS, RATIOS, Rule
from synth_mlflow.tracking.caller import undisturbed
from synth_mlflow.tracking.moved import refuse_closed, refuse_moved
from synth_mlflow.tracking.project import Project
from synth_mlflow.tracking.server import connect, exists, refuse_read_only

if TYPE_CHECKING:
    from synth_mlflow.audit.blame import Blame, blame
    from synth_mlflow.audit.reproduce import Reproduction, reproduce
    from synth_mlflow.audit.retract import Retraction, retract
    from synth_mlflow.audit.sign import SignedOff, SignRequest, sign
    from synth_mlflow.audit.verify import Verification, verify
    from synth_mlflow.backends.batch_writer import BatchDraft, spooling, user_name, write_spooled
    from synth_mlflow.backends.command import generate_by_command
    from synth_mlflow.backends.llm import generate_by_llm
    from synth_mlflow.backends.real_rows import declared_source
    from synth_mlflow.data.chunks import as_pandas
    from synth_mlflow.data.mixing import Mix
    from synth_mlflow.gate.attempts import GeneratorSearch
    from synth_mlflow.gate.in_force import kept_constraints
    from synth_mlflow.gate.verdicts import Verdict, Verdicts
    from synth_mlflow.handoff.diff import Difference, diff
    from synth_mlflow.handoff.draft_handoff import DraftHandoff, draft_handoff
    from synth_mlflow.handoff.report import Handoff, report
    from synth_mlflow.llm.budget import Budget
    from synth_mlflow.llm.relabel import Disagreement
    from synth_mlflow.queries.export import export
    from synth_mlflow.queries.identify import Identified, identify
    from synth_mlflow.queries.rerun_check import GivenState
    from synth_mlflow.queries.rerun_check import check as check_triggers
    from synth_mlflow.queries.rerun_check import log_production as record_production
    from synth_mlflow.queries.status import Repaired, Status, batches_table, checks_table, repair
    from synth_mlflow.queries.status import status as read_status
    from synth_mlflow.queries.trace import Trace, trace
    from synth_mlflow.queries.watch import Watched, watch
    from synth_mlflow.stages.approve import Approved, ApproveRequest, approve
    from synth_mlflow.stages.define import define
    from synth_mlflow.stages.freeze import EqualRows, Store, freeze
    from synth_mlflow.stages.generate import adopt_file, generate
    from synth_mlflow.stages.generator_search import search_generators
    from synth_mlflow.stages.sweep import By, sweep
    from synth_mlflow.stages.training_data import Batch as Batch
    from synth_mlflow.stages.training_data import BatchWriter, TrainingData, training_data, write_jsonl
    from synth_mlflow.stages.validate import validate
    from synth_mlflow.sweep.axes import AxisName
    from synth_mlflow.sweep.curve import Curve
    from synth_mlflow.sweep.executors import EngineName
    from synth_mlflow.tracking.stored import EvaluationSet, Problem, StoredBatch
    from synth_mlflow.tracking.webhooks import subscribe, unsubscribe
    from synth_mlflow.triggers import TriggerStates
else:  # so that each verb loads what it uses
    blame = later("synth_mlflow.audit.blame", "blame")
    reproduce = later("synth_mlflow.audit.reproduce", "reproduce")
    retract = later("synth_mlflow.audit.retract", "retract")
    SignRequest = later("synth_mlflow.audit.sign", "SignRequest")
    sign = later("synth_mlflow.audit.sign", "sign")
    verify = later("synth_mlflow.audit.verify", "verify")
    BatchDraft = later("synth_mlflow.backends.batch_writer", "BatchDraft")
    spooling = later("synth_mlflow.backends.batch_writer", "spooling")
    user_name = later("synth_mlflow.backends.batch_writer", "user_name")
    write_spooled = later("synth_mlflow.backends.batch_writer", "write_spooled")
    generate_by_command = later("synth_mlflow.backends.command", "generate_by_command")
    generate_by_llm = later("synth_mlflow.backends.llm", "generate_by_llm")
    declared_source = later("synth_mlflow.backends.real_rows", "declared_source")
    as_pandas = later("synth_mlflow.data.chunks", "as_pandas")
    kept_constraints = later("synth_mlflow.gate.in_force", "kept_constraints")
    diff = later("synth_mlflow.handoff.diff", "diff")
    draft_handoff = later("synth_mlflow.handoff.draft_handoff", "draft_handoff")
    report = later("synth_mlflow.handoff.report", "report")
    Budget = later("synth_mlflow.llm.budget", "Budget")
    export = later("synth_mlflow.queries.export", "export")
    identify = later("synth_mlflow.queries.identify", "identify")
    GivenState = later("synth_mlflow.queries.rerun_check", "GivenState")
    check_triggers = later("synth_mlflow.queries.rerun_check", "check")
    record_production = later("synth_mlflow.queries.rerun_check", "log_production")
    batches_table = later("synth_mlflow.queries.status", "batches_table")
    checks_table = later("synth_mlflow.queries.status", "checks_table")
    repair = later("synth_mlflow.queries.status", "repair")
    read_status = later("synth_mlflow.queries.status", "status")
    trace = later("synth_mlflow.queries.trace", "trace")
    watch = later("synth_mlflow.queries.watch", "watch")
    ApproveRequest = later("synth_mlflow.stages.approve", "ApproveRequest")
    approve = later("synth_mlflow.stages.approve", "approve")
    define = later("synth_mlflow.stages.define", "define")
    freeze = later("synth_mlflow.stages.freeze", "freeze")
    adopt_file = later("synth_mlflow.stages.generate", "adopt_file")
    generate = later("synth_mlflow.stages.generate", "generate")
    search_generators = later("synth_mlflow.stages.generator_search", "search_generators")
    sweep = later("synth_mlflow.stages.sweep", "sweep")
    BatchWriter = later("synth_mlflow.stages.training_data", "BatchWriter")
    training_data = later("synth_mlflow.stages.training_data", "training_data")
    validate = later("synth_mlflow.stages.validate", "validate")
    write_jsonl = later("synth_mlflow.stages.training_data", "write_jsonl")
    subscribe = later("synth_mlflow.tracking.webhooks", "subscribe")
    unsubscribe = later("synth_mlflow.tracking.webhooks", "unsubscribe")

SETTLES = "status --repair"  # the one verb that may write to a project which was moved

P = ParamSpec("P")
T = TypeVar("T")


def _reads(method: Callable[Concatenate[Workflow, P], T]) -> Callable[Concatenate[Workflow, P], T]:
    """For verbs that write nothing: not even the experiment, where it is missing."""

    @functools.wraps(method)
    def checked(workflow: Workflow, /, *args: P.args, **kwargs: P.kwargs) -> T:
        with undisturbed():
            workflow._open(create=False)
            return method(workflow, *args, **kwargs)

    return checked


def _writes(verb: str) -> Callable[[Callable[Concatenate[Workflow, P], T]], Callable[Concatenate[Workflow, P], T]]:
    """For verbs that write: somebody who may only read is told so before anything is computed."""

    def decorate(method: Callable[Concatenate[Workflow, P], T]) -> Callable[Concatenate[Workflow, P], T]:
        @functools.wraps(method)
        def checked(workflow: Workflow, /, *args: P.args, **kwargs: P.kwargs) -> T:
            with undisturbed():
                refuse_read_only(workflow.project.server, verb, workflow.project.say)
                if verb != SETTLES:
                    refuse_moved(workflow.project.server)
                    refuse_closed(workflow.project.server, verb)
                return method(workflow, *args, **kwargs)

        return checked

    return decorate


def _allows(method: Callable[Concatenate[Workflow, P], T]) -> Callable[Concatenate[Workflow, P], T]:
    """Lets the code run that this workflow was told to allow, while one of its verbs runs."""

    @functools.wraps(method)
    def allowed(workflow: Workflow, /, *args: P.args, **kwargs: P.kwargs) -> T:
        with allowing(workflow.allow_code):
            return method(workflow, *args, **kwargs)

    return allowed


def _every_verb_allows(made: type[Workflow]) -> type[Workflow]:
    for name, method in list(vars(made).items()):
        if not name.startswith("_") and inspect.isfunction(method):
            setattr(made, name, _allows(method))
    return made


@_every_verb_allows
class Workflow:
    """One project on one tracking server.

    Parameters
    ----------
    experiment : str or None
        The experiment's name; None takes ``MLFLOW_EXPERIMENT_NAME``, else the only project on the server. A missing
        experiment is made by the first verb that writes.
    tracking_uri : str, optional
        By default MLflow's own setting: ``MLFLOW_TRACKING_URI``, else ``sqlite:///mlflow.db``.
    say : callable, optional
        Told of progress, a line at a time.
    allow_code : sequence of str
        Modules whose code may run here if problem.md or the server names it; see :mod:`synth_mlflow.allowed_code`.
    data : str or Path, optional
        Where real rows that are kept by reference lie now, with the key of their digests beside them.
    """

    allow_code: Sequence[str] = ()

    def __init__(
        self,
        experiment: str | None,
        tracking_uri: str | None = None,
        *,
        say: Callable[[str], None] | None = None,
        allow_code: Sequence[str] = (),
        data: str | Path | None = None,
    ) -> None:
        with allowing(allow_code):  # a name that is no module's is refused at once
            self.allow_code = tuple(allow_code)
        self._where = (experiment, tracking_uri)
        self._say = say
        self._data = _path(data)
        self._project: Project | None = None
        if experiment is None or exists(experiment, tracking_uri):
            self._open(create=False)

    @classmethod
    def of(cls, project: Project) -> Workflow:
        """A workflow on a project that is open already."""
        workflow = cls.__new__(cls)
        workflow._project = project
        return workflow

    def _repr_html_(self) -> str:
        """How far the project is; its name alone where nothing is recorded yet."""
        if self._project is None:
            return html_table(["project", "state"], [[self._where[0], "nothing is recorded yet"]])
        return self.status()._repr_html_()

    @property
    def project(self) -> Project:
        """What the project has recorded; its experiment is made if it is missing."""
        return self._open(create=True)

    def _open(self, *, create: bool) -> Project:
        if self._project is None:
            self._project = Project(connect(*self._where, create=create, say=self._say), say=self._say)
            self._project.real_file = self._data
        return self._project

    @_writes("define")
    def define(self, statement: str | Path) -> Problem:
        """Stage 1: record the problem statement; see :func:`synth_mlflow.stages.define.define`.

        Parameters
        ----------
        statement : path
            problem.md; the data file that it names is read and checked against it.
        """
        return define(self.project, _file(statement))

    @_writes("freeze")
    def freeze(
        self,
        *,
        data: str | Path | None = None,
        group: str | None = None,
        time: str | None = None,
        equal_rows: EqualRows | None = None,
        store: Store = "rows",
        seed: int = 0,
        train_command: str = "",
        predict_command: str = "",
        timeout_seconds: float = TIMEOUT_SECONDS,
    ) -> EvaluationSet:
        """Stage 2: freeze the evaluation set; see :func:`synth_mlflow.stages.freeze.freeze`.

        Parameters
        ----------
        data : Path, optional
            Where the real rows are now, if not where `define` found them.
        group, time : str, optional
            Split by whole groups of a column, hold out the latest rows, or both: evaluation rows are then of other
            groups and later than all training rows. Instead of what the statement says.
        equal_rows : {"together", "both-sides"}, optional
            Of a random split: whether equal rows stay on one side, or are split as all others are.
        store : {"rows", "reference"}
            Keep the rows on the server, or only digests, positions and the path where rows must not be uploaded.
        seed : int
            Of the random cut.
        train_command, predict_command : str
            Commands that train a model and score rows, for `task: scored` alone: they measure its baseline.
        timeout_seconds : float
            Of each of their runs.
        """
        return freeze(
            self.project,
            data=_path(data),
            group=group,
            time=time,
            equal_rows=equal_rows,
            store=store,
            seed=seed,
            train_command=train_command,
            predict_command=predict_command,
            timeout_seconds=timeout_seconds,
        )

    @_writes("generate")
    def search_generators(
        self,
        *,
        seed: int = 0,
        slice: str | None = None,  # noqa: A002 - the word that users know
        source: str | Path | None = None,
    ) -> GeneratorSearch:
        """Before stage 3: which generator fits; see :func:`~synth_mlflow.stages.generator_search.search_generators`.

        Parameters
        ----------
        seed : int
            Of the division of the rows, the fits and the draws.
        slice : str, optional
            What the batch is to be made for.
        source : Path, optional
            Real rows to learn from instead of the training rows.
        """
        return search_generators(self.project, seed=seed, slice=slice, source=_path(source))

    @_writes("generate")
    def generate(
        self,
        generator: str,
        *,
        rows: int,
        purpose: str,
        seed: int = 0,
        slice: str | None = None,  # noqa: A002 - the word that users know
        params: Mapping[str, Any] | None = None,
        source: str | Path | None = None,
        version: str | None = None,
        python: str | Path | None = None,
        timeout_seconds: float | None = None,
        pilot: bool = False,
    ) -> Batch:
        """Stage 3: make a batch with an installed generator, ``auto``, ``module:callable``, or a ``peer:Model``.

        See :func:`synth_mlflow.stages.generate.generate`, :mod:`synth_mlflow.backends.in_process` for the contract
        of your own code, and :mod:`synth_mlflow.peers`.

        Parameters
        ----------
        generator : str
            ``auto`` for what fits best (see :meth:`search_generators`), the name of an installed generator,
            ``module:callable`` (see :mod:`synth_mlflow.backends.in_process`), or ``peer:Model`` (see
            :mod:`synth_mlflow.peers`), such as ``sdv:GaussianCopulaSynthesizer``.
        rows : int
            How many rows to make.
        purpose : str
            Why this batch is made, in words.
        seed : int
            The same seed and inputs give the same rows.
        slice : str, optional
            The condition that every row must satisfy.
        params : mapping, optional
            The generator's parameters; those not given keep their defaults.
        source : Path, optional
            Real rows to learn from instead of the project's training rows, such as rows that may not leave their silo;
            recorded by digest.
        version : str, optional
            Of ``module:callable``, where it cannot be measured.
        python : str, optional
            The Python of the environment that a peer is installed in.
        timeout_seconds : float, optional
            After so long the generator is killed, with all that it started. By default an hour for a peer, and none for
            others: those run in this process, and with a limit in one of their own.
        pilot : bool
            Also write a page of rows beside real ones, and keep the batch out of sweeps that do not name it.
        """
        found = generate(
            self.project,
            generator,
            rows=rows,
            seed=seed,
            purpose=purpose,
            slice=slice,
            params=params,
            source=_path(source),
            version=version,
            python=None if python is None else str(python),
            timeout_seconds=timeout_seconds,
            pilot=pilot,
        )
        return self._batch(found)

    @_writes("generate")
    def generate_by_command(
        self,
        command: str,
        *,
        generator: str,
        version: str,
        rows: int,
        purpose: str,
        seed: int = 0,
        slice: str | None = None,  # noqa: A002 - the word that users know
        params: Mapping[str, Any] | None = None,
        source: str | Path | None = None,
        timeout_seconds: float = TIMEOUT_SECONDS,
        pilot: bool = False,
    ) -> Batch:
        """Stage 3: run a command that makes a batch; see :func:`synth_mlflow.backends.command.generate_by_command`.

        Parameters
        ----------
        command : str
            Its words, with ``{output}`` where it takes the path to write (``{output}.csv`` for CSV), and where it wants
            them ``{rows}``, ``{seed}``, ``{slice}``, ``{members}`` (a Parquet file of the real rows to learn from) and
            ``{NAME}`` for each parameter. It runs in the working directory, with this process's environment, without a
            shell.
        generator, version : str
            What is to be recorded as the generator; nobody can measure it.
        seed : int
            Recorded as none where the command has no place for it.
        source : Path, optional
            Real rows to learn from instead of the project's training rows. Where the command has no place for
            ``{members}``, it declares what the command learned from, also as ``training`` or ``none``.
        timeout_seconds : float
            After so long the command and all that it started are killed.
        pilot : bool
            As in `generate`.
        rows : int
            How many rows to make.
        purpose : str
            Why this batch is made, in words.
        slice : str, optional
            The condition that every row must satisfy.
        params : mapping, optional
            What the record says of how the rows are made.
        """
        found = generate_by_command(
            self.project,
            command,
            generator=generator,
            version=version,
            rows=rows,
            seed=seed,
            purpose=purpose,
            slice=slice,
            params=params,
            source=_path(source),
            timeout_seconds=timeout_seconds,
            pilot=pilot,
        )
        return self._batch(found)

    @_writes("generate")
    def generate_by_llm(
        self,
        model: str,
        *,
        prompt: str | Path,
        rows: int,
        purpose: str,
        licence: str,
        training_allowed: str,
        seed: int = 0,
        slice: str | None = None,  # noqa: A002 - the word that users know
        examples: int = 0,
        relabel: str | None = None,
        disagreement: Disagreement = "reject",
        max_rows_asked: int | None = None,
        max_tokens: int | None = None,
        max_cost: float | None = None,
        max_minutes: float | None = None,
        params: Mapping[str, Any] | None = None,
        source: str | Path | None = None,
        journal: str | Path | None = None,
        timeout_seconds: float = TIMEOUT_SECONDS,
        pilot: bool = False,
    ) -> Batch:
        """Stage 3: ask a language model for rows; see :func:`synth_mlflow.backends.llm.generate_by_llm`.

        Parameters
        ----------
        model : str
            As the endpoint knows it.
        prompt : Path
            A Jinja2 template of the user's message; it may name ``rows`` (how many to write), ``columns``,
            ``examples``, ``schema``, ``slice``, ``purpose``, ``target`` and ``classes``. Or YAML with ``steps``, each
            with its ``columns`` and a ``prompt`` that names ``given``, the rows of the steps before.
        licence, training_allowed : str
            Of the model; whether its terms allow training on what it writes, as ``yes: where they say so``.
        examples : int
            Real rows shown in each request, drawn anew for each: they are sent to the endpoint, and are counted in the
            record.
        relabel : str, optional
            A second model that labels the rows again; the one that the prompt file names by default.
        disagreement : {"reject", "keep"}
            What becomes of rows to which it gives another label.
        max_rows_asked, max_tokens : int, optional
            The budget; where a part of it ends, the batch has the rows that were kept until then.
        max_cost, max_minutes : float, optional
            Further parts of it: the cost in the unit of the prices in ``params``, and the time.
        params : mapping, optional
            Settings of the model and of the requests; see :class:`synth_mlflow.backends.llm.Settings`.
        journal : Path, optional
            Where answers are kept as they come, so that nothing is paid for twice; beside the prompt by default.
        timeout_seconds : float
            Of all requests together.
        rows : int
            How many rows to make.
        purpose : str
            Why this batch is made, in words.
        seed : int
            Of the examples, and of the model where its endpoint takes one.
        slice : str, optional
            The condition that every row must satisfy.
        source : path, optional
            Real rows that examples are taken from instead of the project's training rows.
        pilot : bool
            Also write a page of rows beside real ones, and keep the batch out of sweeps that do not name it.
        """
        found = generate_by_llm(
            self.project,
            model,
            prompt=_file(prompt),
            rows=rows,
            purpose=purpose,
            licence=licence,
            training_allowed=training_allowed,
            seed=seed,
            slice=slice,
            examples=examples,
            relabel=relabel,
            disagreement=disagreement,
            budget=Budget(max_rows_asked, max_tokens, max_cost, max_minutes),
            params=params,
            source=_path(source),
            journal=_path(journal),
            timeout_seconds=timeout_seconds,
            pilot=pilot,
        )
        return self._batch(found)

    @_writes("generate")
    @contextmanager
    def batch(
        self,
        *,
        generator: str,
        version: str,
        params: Mapping[str, Any],
        seed: int | None,
        slice: str | None,  # noqa: A002 - the word that users know
        purpose: str,
        prompts: Sequence[str] = (),
        source: str | None = None,
    ) -> Iterator[BatchWriter]:
        """Stage 3: take in rows that your own code makes.

        Every argument of the record must be given; ``seed=None`` and ``slice=None`` say that there is none.

        Parameters
        ----------
        generator, version : str
            What made the rows, as it is to be recorded.
        params : mapping
            Its parameters.
        seed : int or None
            Its seed.
        slice : str or None
            The condition that every row satisfies.
        purpose : str
            Why this batch is made, in words.
        prompts : sequence of str
            What a language model was asked, where one made the rows.
        source : str, optional
            What the rows were learned from: ``"training"``, ``"none"`` or the path of a file of real rows. Left out,
            the record says that it was not declared.

        Raises
        ------
        GateError
            Before `freeze`.
        UsageError
            If the record is incomplete, or the rows do not fit the real table; then nothing is written.
        """
        members, declared = declared_source(self.project, source)
        origin = Origin(generator, version, dict(params), seed, slice, purpose, tuple(prompts), "python", declared)
        frozen = self.project.evaluation_set()
        with spooling(frozen, origin, kept_constraints(self.project, frozen, members)) as spool:
            writer = BatchWriter(spool)
            yield writer
            if not spool.n_rows:
                raise UsageError(
                    "the batch holds no rows: nothing was written.", "Call `b.write(frame)` inside the block."
                )
            writer.batch = self._batch(write_spooled(self.project, spool, BatchDraft(spool.n_rows, origin)))

    @_writes("generate --from")
    def adopt_file(self, path: str | Path, record: str | Path) -> Batch:
        """Stage 3: take in a file made elsewhere; see :func:`synth_mlflow.stages.generate.adopt_file`.

        Parameters
        ----------
        path : path
            The file with the rows.
        record : path
            Its provenance, as YAML.
        """
        return self._batch(adopt_file(self.project, _file(path), _file(record)))

    @_writes("validate")
    def validate(self, batch: Batch | str | None = None, *, source: str | Path | None = None) -> Verdict | Verdicts:
        """Stage 4: judge one batch, or all that are unvalidated; see :func:`synth_mlflow.stages.validate.validate`.

        Parameters
        ----------
        source : Path, optional
            The real rows that a batch was learned from, where they are not the project's own: rows that stay in their
            silo are recorded by digest only, and are needed again to judge privacy.
        batch : Batch or str
            The batch, or its short id or run id.
        """
        if batch is None:
            return validate(self.project, source=_path(source))
        return validate(self.project, _batch_id(batch), source=_path(source))[0]

    @_writes("sweep")
    def sweep(
        self,
        ratios: Sequence[float] = RATIOS,
        repeats: int | None = None,
        *,
        mix: Mix = "augment",
        rule: Rule = "highest",
        seed: int = 0,
        batches: Sequence[Batch | str] = (),
        n_jobs: int = -1,
        refine: bool = False,
        extra_real: str | Path | None = None,
        by: By | None = None,
        engine: EngineName = "local",
        scheduler: str = "",
        train_command: str = "",
        predict_command: str = "",
        timeout_seconds: float = TIMEOUT_SECONDS,
        axis: AxisName = "ratio",
        weights: Sequence[float] | None = None,
        slice: str | None = None,  # noqa: A002 - the option's name
        rows: int | None = None,
    ) -> Curve:
        """Stage 5: sweep the ratio, choose, fit the model; see :func:`synth_mlflow.stages.sweep.sweep`.

        Parameters
        ----------
        ratios : sequence of float
            Shares of synthetic rows in the mix, each in [0, 1).
        repeats : int, optional
            Fits on all real rows at every ratio, each with another draw of the synthetic rows and another seed; and as
            many on parts of the real rows, for what other rows would give. By default 6, or 3 where the first fit of a
            command takes a minute or more.
        mix : {"augment", "replace"}
            Keep all real rows and add synthetic ones, or keep the total.
        rule : {"highest", "plateau", "peak", "one-standard-error", "least"}
            How the ratio is chosen.
        seed : int
            Of the draws of rows and the fits.
        batches : sequence of Batch or str
            Short ids; by default every batch whose gate is open.
        n_jobs : int
            Fits at a time; -1 takes every core.
        refine : bool
            Sweep the midpoints around the peak of a first pass as well; its fits are kept.
        extra_real : Path, optional
            Real rows that were held back: an arm that shows what they would have done in place of the synthetic ones.
        by : {"generator"}, optional
            Sweep the batches of each generator on their own as well as all together, decide over all of them, and take
            the final model from the one that wins.
        engine : {"local", "dask"}
            Where the fits run; changes no number.
        scheduler : str
            Address of the Dask scheduler.
        train_command, predict_command : str
            Programs that fit and predict in place of the statement's model; see ``docs/how-to/trainers.md``. What a
            record names is never run by this.
        timeout_seconds : float
            After so long a command and all that it started are killed.
        axis : {"ratio", "weight", "slice", "mix"}
            What is swept: the share of synthetic rows, how much each of them counts, their share in one slice, or the
            share together with each batch's part.
        weights : sequence of float, optional
            Of the axis ``weight``: how much a synthetic row counts beside a real one; 0, .1, .25, .5 and 1 by default.
        slice : str, optional
            Of the axis ``slice``: its name in the problem statement.
        rows : int, optional
            Of the axis ``weight``: the synthetic rows that every weight takes; by default all, at most three for each
            real one.
        """
        wanted = [_batch_id(batch) for batch in batches]
        return sweep(
            self.project,
            ratios=ratios,
            repeats=repeats,
            mix=mix,
            rule=rule,
            seed=seed,
            batches=wanted,
            n_jobs=n_jobs,
            refine=refine,
            extra_real=_path(extra_real),
            by=by,
            engine=engine,
            scheduler=scheduler,
            train_command=train_command,
            predict_command=predict_command,
            timeout_seconds=timeout_seconds,
            axis=axis,
            weights=weights,
            slice=slice,
            rows=rows,
        )

    @_writes("approve")
    def approve(
        self,
        what: Batch | str | None = None,
        *,
        name: str,
        mix: bool = False,
        by: str | None = None,
        role: str = "approver",
        webhook: str | None = None,
    ) -> Approved:
        """Approve a batch, or the mix of a sweep, as a version that others load by name.

        See :func:`synth_mlflow.stages.approve.approve`, :func:`synth_mlflow.load_batch` and
        :func:`synth_mlflow.load_mix`.

        Parameters
        ----------
        what : Batch or str, optional
            A batch, or the run id of a sweep; left out with ``mix=True`` for the newest sweep.
        mix : bool
            Whether the mix that the newest sweep has chosen is meant.
        name : str
            Under which others load it, as ``project/NAME@approved``.
        by, role : str
            Who approves, by default your user name, and as what.
        webhook : str, optional
            A URL, or ``env:VARIABLE``, that is called when a batch of any version of the name is retracted.
        """
        wanted = None if what is None else _batch_id(what)
        return approve(self.project, ApproveRequest(name, wanted, mix, by, role, webhook))

    @_writes("report")
    def report(
        self, output: str | Path | None = None, *, limits: str | Path | None = None, data: str | Path | None = None
    ) -> Handoff:
        """Stage 6: write the handoff document; see :func:`synth_mlflow.handoff.report.report`.

        Parameters
        ----------
        output : Path, optional
            A file to write as well; its ending chooses the format: .html, .md or .json.
        limits : Path, optional
            limits.md; by default the one beside the problem statement, else the one of the newest handoff.
        data : path, optional
            Where real rows that are kept by reference lie now.
        """
        with self._real_rows_in(data):
            return report(self.project, output=_path(output), limits=_path(limits))

    @_writes("report")
    def draft_handoff(self, error: SynthError, output: str | Path | None = None) -> DraftHandoff:
        """Instead of stage 6, where an error has stopped the work: what was tried, why, and what to do next.

        See :func:`synth_mlflow.handoff.draft_handoff.draft_handoff`.

        Parameters
        ----------
        error : SynthError
            What has stopped the run.
        output : Path, optional
            A file to write as well: .html, .md or .json.
        """
        return draft_handoff(self.project, error, _path(output))

    @_writes("sign")
    def sign(
        self,
        name: str,
        *,
        role: str,
        handoff: str | None = None,
        champion: bool = False,
        output: str | Path | None = None,
        sources: Sequence[str | Path] = (),
    ) -> SignedOff:
        """Stage 6: sign a handoff, by default the newest; see :func:`synth_mlflow.audit.sign.sign`.

        Parameters
        ----------
        name, role : str
            Who signs, and as what.
        handoff : str, optional
            The run id of the handoff.
        champion : bool
            Whether the model may go into production: its registered version gets the alias ``champion``.
        output : path, optional
            Where to write the document with everybody's signature: .html, .md or .json.
        sources : sequence of path
            Real rows that batches were learned from, where they are not the project's: before a champion every check
            is run again.
        """
        return sign(self.project, SignRequest(name, role, handoff, champion, _path(output), tuple(map(_file, sources))))

    @_writes(SETTLES)
    def repair(self) -> Repaired:
        """Mark runs of dead processes as KILLED, and let the database of a moved project name the files beside it.

        See :func:`synth_mlflow.queries.status.repair`.
        """
        return repair(self.project)

    @_reads
    def status(self) -> Status:
        """How far the project is, and the next command."""
        return read_status(self.project)

    @_reads
    def check(
        self,
        *,
        new_data: str | Path | None = None,
        generators: Mapping[str, str] | None = None,
        statement: str | Path | None = None,
    ) -> TriggerStates:
        """The conditions that force a rerun; see :func:`synth_mlflow.queries.rerun_check.check`.

        Parameters
        ----------
        new_data : path, optional
            A file with the real rows of today, known ones included or not.
        generators : mapping, optional
            Generator name to its present version; by default what is installed.
        statement : path, optional
            problem.md as it stands today.
        """
        return check_triggers(self.project, GivenState(_path(new_data), generators, _path(statement)))

    @_writes("log-production")
    def log_production(self, value: float, n_rows: int | None = None) -> str:
        """Record a value of the metric measured in production; returns the run's id.

        Parameters
        ----------
        value : float
            Of the metric that the statement names; greater is better.
        n_rows : int, optional
            How many rows it was measured on.
        """
        return record_production(self.project, value, n_rows).run_id

    @_writes("retract")
    def retract(self, batch: Batch | str, *, reason: str, by: str | None = None) -> Retraction:
        """Take a batch back for good, by default in your user name; see
        :func:`synth_mlflow.audit.retract.retract`.

        Parameters
        ----------
        reason, by : str
            Why, and who says so; both are kept on the batch as a write-once parameter.
        batch : Batch or str
            The batch, or its short id or run id.
        """
        batch_id = _batch_id(batch)
        return retract(self.project, batch_id, reason=reason, by=user_name() if by is None else by)

    @_reads
    def watch(self, name: str) -> Watched:
        """Who has loaded the versions of an approved name; see :func:`synth_mlflow.queries.watch.watch`.

        Parameters
        ----------
        name : str
            Of approved data, without the project.
        """
        return watch(self.project, name)

    @_writes("watch --webhook")
    def add_webhook(self, name: str, webhook: str) -> Watched:
        """Have a URL, or ``env:VARIABLE``, called when a batch of an approved name is retracted.

        See :mod:`synth_mlflow.tracking.webhooks`.

        Parameters
        ----------
        name : str
            Of approved data, without the project.
        webhook : str
            A URL, or ``env:VARIABLE`` for one that stays out of the server.
        """
        watch(self.project, name)  # refuses a name of nothing
        subscribe(self.project.server, self.project.problems()[0].run_id, name, webhook)
        return watch(self.project, name)

    @_writes("watch --no-webhook")
    def remove_webhook(self, name: str, webhook: str) -> Watched:
        """Call a URL no longer.

        Parameters
        ----------
        name : str
            Of approved data, without the project.
        webhook : str
            As it was given.
        """
        unsubscribe(self.project.server, self.project.problems(), name, webhook)
        return watch(self.project, name)

    @_writes("blame")
    def blame(
        self,
        model: str | None = None,
        *,
        ratio: float | None = None,
        batches: Sequence[Batch | str] = (),
        repeats: int = BLAME_REPEATS,
        data: str | Path | None = None,
        n_jobs: int = -1,
        allow_external: bool = False,
    ) -> Blame:
        """Which batch made a model worse; see :func:`synth_mlflow.audit.blame.blame`.

        Parameters
        ----------
        model : str, optional
            Its address, or the run of its sweep or handoff; by default the newest.
        ratio : float, optional
            The share of synthetic rows to look at; by default the model's own.
        batches : sequence of Batch or str
            The batches to leave out, each in turn; by default every one. Fewer suspects have more power.
        repeats : int
            Draws of the rows, the first of which are those of the sweep; more distinguish smaller harm from noise.
        n_jobs : int
            Fits at a time; -1 takes every core.
        allow_external : bool
            Whether the commands may run that the record of the model names.
        data : path, optional
            Where real rows that are kept by reference lie now.
        """
        wanted = [_batch_id(batch) for batch in batches]
        with self._real_rows_in(data):
            return blame(
                self.project,
                model,
                ratio=ratio,
                batches=wanted,
                repeats=repeats,
                n_jobs=n_jobs,
                allow_external=allow_external,
            )

    @_reads
    def diff(self, before: str | Path, after: str | Path = "newest") -> Difference:
        """What changed between two handoffs, by run id, age or file; see :func:`synth_mlflow.handoff.diff.diff`.

        Parameters
        ----------
        before, after : str
            Each the run id of a handoff, also of another project on the server; ``newest`` or ``previous``; or a file
            with a document's JSON twin.
        """
        return diff(self.project, str(before), str(after))

    @_writes("reproduce")
    def reproduce(
        self,
        handoff: str = "newest",
        *,
        sources: Sequence[str | Path] = (),
        data: str | Path | None = None,
        allow_external: bool = False,
        python: str | Path | None = None,
        sweep: bool = False,
    ) -> Reproduction:
        """Make a handoff's batches and model again; see :func:`synth_mlflow.audit.reproduce.reproduce`.

        Parameters
        ----------
        handoff : str
            Its run id, ``newest`` or ``previous``.
        sources : sequence of path
            Real rows that batches were learned from and that the server does not hold; recognised by their digests.
        allow_external : bool
            Whether commands may run, services be called, and code be loaded that only a record names.
        python : path, optional
            The Python of the environment in which peers are installed.
        sweep : bool
            Whether the whole curve is measured again too.
        data : path, optional
            Where real rows that are kept by reference lie now.
        """
        files = [_file(source) for source in sources]
        with self._real_rows_in(data):
            return reproduce(
                self.project,
                handoff,
                sources=files,
                allow_external=allow_external,
                python=None if python is None else str(python),
                sweep=sweep,
            )

    @_reads
    def verify(
        self, run_id: str | None = None, *, deep: bool = False, sources: Sequence[str | Path] = ()
    ) -> Verification:
        """Recompute every digest and verdict; see :func:`synth_mlflow.audit.verify.verify`.

        Parameters
        ----------
        run_id : str, optional
            One run, with everything under it; by default the whole project.
        deep : bool
            Run every check again.
        sources : sequence of Path
            Real rows that batches were learned from and that the server does not hold.
        """
        files = [_file(source) for source in sources]
        return verify(self.project, run_id, rng=np.random.default_rng(), deep=deep, sources=files)

    @_reads
    def identify(self, table: Any) -> Identified:
        """Where each row of a table, given as a file or in memory, comes from.

        See :func:`synth_mlflow.queries.identify.identify`; any table that
        :func:`~synth_mlflow.data.chunks.as_pandas` takes.

        Parameters
        ----------
        table : Path or DataFrame
            CSV, gzipped CSV or Parquet; columns in any order, further columns are left out.
        """
        return identify(self.project, Path(table) if isinstance(table, str | Path) else as_pandas(table))

    @_reads
    def trace(self, what: str) -> Trace:
        """What a model, run or batch is made of or went into; see :func:`synth_mlflow.queries.trace.trace`.

        Parameters
        ----------
        what : str
            ``models:/name/version``, ``models:/name@alias``, a batch's short id, or the id of any run: also of one that
            another tool wrote and that logged rows of this project as a dataset.
        """
        return trace(self.project, what)

    @_reads
    def export(self, format_name: str, output: str | Path | None = None) -> str:
        """Provenance in the format of another tool; see :func:`synth_mlflow.queries.export.export`.

        Parameters
        ----------
        format_name : str
            The name of an installed export: ``croissant``, ``prov-json``, ``openlineage``, or somebody else's.
        output : Path, optional
            Where to write it as well.
        """
        return export(self.project, format_name, _path(output))

    @_reads
    def batches(self) -> pd.DataFrame:
        """Every batch, one a row."""
        return batches_table(self.project)

    @_reads
    def checks(self) -> pd.DataFrame:
        """The newest run of each check of each batch, one a row."""
        return checks_table(self.project)

    @_reads
    def curve(self) -> pd.DataFrame:
        """The newest curve, one ratio a row: ratio, score, low, high, gain, gain_low, gain_high, and more."""
        return self.latest_curve().frame()

    @_reads
    def latest_curve(self) -> Curve:
        """The newest curve; a GateError before `sweep`."""
        sweep = self.project.latest_sweep()
        if sweep is None:
            raise GateError("this project has no sweep.", "First: `synth-mlflow sweep`.")
        return sweep.curve

    @_reads
    def training_data(
        self,
        ratio: float | None = None,
        *,
        batches: Sequence[Batch | str] = (),
        mix: Mix | None = None,
        seed: int | None = None,
        run_id: str | None = None,
    ) -> TrainingData:
        """The gated mix for a model of your own, its lineage logged on the active run.

        See :func:`synth_mlflow.stages.training_data.training_data`.

        Parameters
        ----------
        ratio : float, optional
            The share of synthetic rows, in [0, 1). By default what the newest sweep chose, with that sweep's batches,
            mix and seed: the rows of its final model.
        batches : sequence of str
            Short ids; by default those of that sweep, else every batch whose gate is open.
        mix : {"augment", "replace"}, optional
            Keep all real rows and add synthetic ones, or keep the total; by default as in that sweep, else ``augment``.
        seed : int, optional
            Which synthetic rows are drawn; by default that of the sweep, else 0.
        run_id : str, optional
            The run that trains; by default MLflow's active run. The real rows and each batch become its dataset inputs,
            so that `trace` finds it.
        """
        wanted = [_batch_id(batch) for batch in batches]
        return training_data(self.project, ratio, batches=wanted, mix=mix, seed=seed, run_id=run_id)

    @_reads
    def training_rows(self) -> pd.DataFrame:
        """The real rows that generators and models may learn from, in the form and the types that they came in."""
        frozen = self.project.evaluation_set()
        return present(self.project.training_rows(frozen), frozen.schema)

    @_reads
    def evaluation_rows(self) -> pd.DataFrame:
        """The frozen evaluation rows, in the form and the types that they came in."""
        frozen = self.project.evaluation_set()
        return present(self.project.evaluation_rows(frozen), frozen.schema)

    @_reads
    def write_jsonl(self, rows: pd.DataFrame | TrainingData | Batch | str, path: str | Path) -> Path:
        """Write rows as JSON lines, in the style of the project's data: conversations as lists of turns.

        Parameters
        ----------
        rows : DataFrame, TrainingData, Batch or str
            What `training_data`, `training_rows` or `evaluation_rows` gave, or a batch or its short id.
        path : str or Path
            Is replaced where it is there.

        Raises
        ------
        UsageError
            If the columns are not those of the project's rows.
        """
        return write_jsonl(self.project, rows, Path(path))

    @contextmanager
    def _real_rows_in(self, data: str | Path | None) -> Iterator[None]:
        before = self.project.real_file
        self.project.real_file = _path(data) or before
        try:
            yield
        finally:
            self.project.real_file = before

    def _batch(self, found: StoredBatch) -> Batch:
        from synth_mlflow.stages.training_data import Batch

        return Batch.of(self.project, found)


def _path(given: str | Path | None) -> Path | None:
    return None if given is None else _file(given)


def _file(given: str | Path) -> Path:
    """A path; a UsageError for a table, which only some verbs take."""
    if not isinstance(given, str | os.PathLike):
        kind = type(given)
        raise UsageError(
            f"a file was needed, and a {kind.__module__}.{kind.__qualname__} was given.",
            "Give the path of a CSV or Parquet file; write a table to one first.",
        )
    return Path(given)


def _batch_id(batch: Batch | str) -> str:
    return batch if isinstance(batch, str) else batch.batch
