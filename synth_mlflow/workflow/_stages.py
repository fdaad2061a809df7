"""The other stages as methods: from the problem to the handoff."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from synth_mlflow.data.fit_commands import TIMEOUT_SECONDS
from synth_mlflow.errors import SynthError
from synth_mlflow.later import later
from synth_mlflow.stages.requests import FreezeRequest, NamedCommands, SweepRequest
from synth_mlflow.sweep.plan import RATIOS, Rule
from synth_mlflow.workflow._project import OpenProject, Table, as_file, as_path, as_place, batch_id, writes

if TYPE_CHECKING:
    from synth_mlflow.data.mixing import Mix
    from synth_mlflow.gate.verdicts import Verdict, Verdicts
    from synth_mlflow.handoff.draft_handoff import DraftHandoff, draft_handoff, what_may_help
    from synth_mlflow.handoff.next_steps import NextStep
    from synth_mlflow.handoff.report import Handoff, report
    from synth_mlflow.stages.define import define
    from synth_mlflow.stages.freeze import EqualRows, Store, freeze
    from synth_mlflow.stages.sweep import By, sweep
    from synth_mlflow.stages.training_data import Batch
    from synth_mlflow.stages.validate import validate
    from synth_mlflow.sweep.axes import AxisName
    from synth_mlflow.sweep.curve import Curve
    from synth_mlflow.sweep.executors import EngineName
    from synth_mlflow.tracking.stored import EvaluationSet, Problem
else:  # so that each verb loads what it uses
    draft_handoff = later("synth_mlflow.handoff.draft_handoff", "draft_handoff")
    what_may_help = later("synth_mlflow.handoff.draft_handoff", "what_may_help")
    report = later("synth_mlflow.handoff.report", "report")
    define = later("synth_mlflow.stages.define", "define")
    freeze = later("synth_mlflow.stages.freeze", "freeze")
    sweep = later("synth_mlflow.stages.sweep", "sweep")
    validate = later("synth_mlflow.stages.validate", "validate")


class StageVerbs(OpenProject):
    """The other stages as methods: from the problem to the handoff."""

    @writes("define")
    def define(self, statement: str | Path) -> Problem:
        """Stage 1: record the problem statement; see :func:`synth_mlflow.stages.define.define`.

        Parameters
        ----------
        statement : path
            problem.md; the data file that it names is read and checked against it.
        """
        return define(self.project, as_file(statement))

    @writes("freeze")
    def freeze(
        self,
        *,
        data: Table | None = None,
        group: str | None = None,
        time: str | None = None,
        equal_rows: EqualRows | None = None,
        store: Store = "rows",
        seed: int = 0,
        engine: EngineName = "local",
        scheduler: str = "",
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
        engine : {"local", "dask"}
            Where the fits of the baseline run; changes no number.
        scheduler : str
            Address of the Dask scheduler, by default what ``SYNTH_MLFLOW_SCHEDULER`` says.
        train_command, predict_command : str
            Commands that train a model and score rows, for `task: scored` alone: they measure its baseline.
        timeout_seconds : float
            Of each of their runs.
        """
        request = FreezeRequest(
            data=as_place(data),
            group=group,
            time=time,
            equal_rows=equal_rows,
            store=store,
            seed=seed,
            engine=engine,
            scheduler=scheduler,
            commands=NamedCommands(train=train_command, predict=predict_command, timeout_seconds=timeout_seconds),
        )
        return freeze(self.project, request)

    @writes("validate")
    def validate(self, batch: Batch | str | None = None, *, source: Table | None = None) -> Verdict | Verdicts:
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
            return validate(self.project, source=as_place(source))
        return validate(self.project, batch_id(batch), source=as_place(source))[0]

    def next_steps(self) -> tuple[NextStep, ...]:
        """What may open the gate of the newest batch, with lines to paste; nothing where it is open."""
        steps: tuple[NextStep, ...] = what_may_help(self.project)
        return steps

    @writes("sweep")
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
        extra_real: Table | None = None,
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
            Address of the Dask scheduler, by default what ``SYNTH_MLFLOW_SCHEDULER`` says.
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
        request = SweepRequest(
            ratios=ratios,
            repeats=repeats,
            mix=mix,
            rule=rule,
            seed=seed,
            batches=[batch_id(batch) for batch in batches],
            n_jobs=n_jobs,
            refine=refine,
            extra_real=as_place(extra_real),
            by=by,
            engine=engine,
            scheduler=scheduler,
            commands=NamedCommands(train=train_command, predict=predict_command, timeout_seconds=timeout_seconds),
            axis=axis,
            weights=weights,
            slice=slice,
            rows=rows,
        )
        return sweep(self.project, request)

    @writes("report")
    def report(
        self, output: str | Path | None = None, *, limits: str | Path | None = None, data: Table | None = None
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
            return report(self.project, output=as_path(output), limits=as_path(limits))

    @writes("report")
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
        return draft_handoff(self.project, error, as_path(output))
