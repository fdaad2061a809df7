"""Stage 3 as methods: rows from generators, commands, language models and your own code."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from synth_mlflow.backends.batch_request import FromCommand, FromGenerator, FromLanguageModel
from synth_mlflow.data.fit_commands import TIMEOUT_SECONDS
from synth_mlflow.data.provenance import Origin
from synth_mlflow.errors import UsageError
from synth_mlflow.later import later
from synth_mlflow.workflow._project import OpenProject, Table, as_file, as_path, as_place, required_place, writes

if TYPE_CHECKING:
    from synth_mlflow.backends.batch_writer import BatchDraft, spooling, write_spooled
    from synth_mlflow.backends.command import generate_by_command
    from synth_mlflow.backends.llm import generate_by_llm
    from synth_mlflow.backends.real_rows import declared_source
    from synth_mlflow.gate.attempts import GeneratorSearch
    from synth_mlflow.gate.in_force import kept_constraints
    from synth_mlflow.llm.budget import Budget
    from synth_mlflow.llm.relabel import Disagreement
    from synth_mlflow.stages.freeze import freeze
    from synth_mlflow.stages.generate import adopt_file, generate
    from synth_mlflow.stages.generator_search import auto_rows, search_generators
    from synth_mlflow.stages.training_data import Batch, BatchWriter
else:  # so that each verb loads what it uses
    BatchDraft = later("synth_mlflow.backends.batch_writer", "BatchDraft")
    spooling = later("synth_mlflow.backends.batch_writer", "spooling")
    write_spooled = later("synth_mlflow.backends.batch_writer", "write_spooled")
    generate_by_command = later("synth_mlflow.backends.command", "generate_by_command")
    generate_by_llm = later("synth_mlflow.backends.llm", "generate_by_llm")
    declared_source = later("synth_mlflow.backends.real_rows", "declared_source")
    kept_constraints = later("synth_mlflow.gate.in_force", "kept_constraints")
    Budget = later("synth_mlflow.llm.budget", "Budget")
    freeze = later("synth_mlflow.stages.freeze", "freeze")
    adopt_file = later("synth_mlflow.stages.generate", "adopt_file")
    generate = later("synth_mlflow.stages.generate", "generate")
    auto_rows = later("synth_mlflow.stages.generator_search", "auto_rows")
    search_generators = later("synth_mlflow.stages.generator_search", "search_generators")
    BatchWriter = later("synth_mlflow.stages.training_data", "BatchWriter")


class GenerationVerbs(OpenProject):
    """Stage 3 as methods: rows from generators, commands, language models and your own code."""

    @writes("generate")
    def search_generators(
        self,
        *,
        seed: int = 0,
        slice: str | None = None,  # noqa: A002 - the word that users know
        source: Table | None = None,
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
        return search_generators(self.project, seed=seed, slice=slice, source=as_place(source))

    @writes("generate")
    def generate(
        self,
        generator: str,
        *,
        rows: int | Literal["auto"] = "auto",
        purpose: str,
        seed: int = 0,
        slice: str | None = None,  # noqa: A002 - the word that users know
        params: Mapping[str, Any] | None = None,
        source: Table | None = None,
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
        rows : int or "auto"
            How many rows to make; `auto` makes as many as the greatest ratio of a sweep needs.
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
        n_rows = rows
        if n_rows == "auto":
            n_rows = auto_rows(
                self.project, generator=generator, seed=seed, part=slice, source=as_place(source), params=params
            )
        request = FromGenerator(
            generator=generator,
            rows=n_rows,
            seed=seed,
            purpose=purpose,
            slice=slice,
            params=params,
            source=as_place(source),
            version=version,
            python=None if python is None else str(python),
            timeout_seconds=timeout_seconds,
            pilot=pilot,
        )
        return self._made_batch(generate(self.project, request))

    @writes("generate")
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
        source: Table | None = None,
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
        request = FromCommand(
            command=command,
            generator=generator,
            version=version,
            rows=rows,
            seed=seed,
            purpose=purpose,
            slice=slice,
            params=params,
            source=as_place(source),
            timeout_seconds=timeout_seconds,
            pilot=pilot,
        )
        return self._made_batch(generate_by_command(self.project, request))

    @writes("generate")
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
        source: Table | None = None,
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
        request = FromLanguageModel(
            model=model,
            prompt=as_file(prompt),
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
            source=as_place(source),
            journal=as_path(journal),
            timeout_seconds=timeout_seconds,
            pilot=pilot,
        )
        return self._made_batch(generate_by_llm(self.project, request))

    @writes("generate")
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
            writer.batch = self._made_batch(write_spooled(self.project, spool, BatchDraft(spool.n_rows, origin)))

    @writes("generate --from")
    def adopt_file(self, path: Table, record: str | Path) -> Batch:
        """Stage 3: take in a file made elsewhere; see :func:`synth_mlflow.stages.generate.adopt_file`.

        Parameters
        ----------
        path : path
            The file with the rows.
        record : path
            Its provenance, as YAML.
        """
        return self._made_batch(adopt_file(self.project, required_place(path), as_file(record)))
