"""Which rows a generator may see: real training rows, and none of the evaluation set.

Rows on their way in that hold something of the frozen evaluation set: refused, or counted and told.

Which real rows a generator may learn from, and the refusal of rows as real that are rows of a known batch.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

from synth_mlflow.checks import CheckInput, judge, sanitize_metrics
from synth_mlflow.data.addresses import Place, place_of
from synth_mlflow.data.chunks import distinctive_rows
from synth_mlflow.data.columns import normalise, schema_of
from synth_mlflow.data.digests import Hashes, are_among, keyed, row_digests, row_hashes, table_digest
from synth_mlflow.data.provenance import Source, record_in_file
from synth_mlflow.data.tables import read_as
from synth_mlflow.errors import EvidenceError, ServerError, SynthError, UsageError
from synth_mlflow.gate.policy import load_check, policy_of
from synth_mlflow.metrics.intervals import Sizes
from synth_mlflow.metrics.row_pairs import are_mostly_of
from synth_mlflow.metrics.shared_keys import KeyCounts
from synth_mlflow.tracking import names
from synth_mlflow.tracking.project import Project
from synth_mlflow.tracking.read import StoredRun
from synth_mlflow.tracking.stored import EvaluationSet

CHECK = "contamination"
ALPHA = 0.0025  # how seldom rows that equal evaluation rows by chance alone may be refused


def equal_rows(project: Project, frozen: EvaluationSet, digests: Hashes, what: str, fix: str) -> int:
    """How many rows equal an evaluation row, every row looked at; a UsageError where they are more than by chance.

    Rows of coarse tables repeat. How often is measured on training and evaluation rows, and on the training rows that
    the same rows equal.
    """
    real = project.row_digests(frozen.run)
    n_equal = int(are_among(digests, real["evaluation"]).sum())
    if not n_equal:
        return 0
    sizes = Sizes(len(digests), len(real["training"]), len(real["evaluation"]))
    matches = KeyCounts.of(np.concatenate([real["training"], real["evaluation"], digests]), sizes).matches()
    if matches.beyond_chance(ALPHA):
        raise UsageError(
            f"{n_equal:,} of the {len(digests):,} rows of {what} are rows of the frozen evaluation set, about "
            f"{max(matches.expected, matches.expected_from_training):,.1f} would be by chance: nobody may "
            "learn from them.",
            fix,
        )
    n_shared = int((are_among(digests, real["evaluation"]) & are_among(digests, real["training"])).sum())
    but = f" but on the {n_shared:,} that equal a training row as well" if n_shared else ""
    project.say(
        f"{n_equal:,} of the {len(digests):,} rows of {what} equal an evaluation row, no more than by chance: no model "
        f"is fitted on them{but}"
    )
    return n_equal


def without_evaluation_rows(project: Project, frozen: EvaluationSet, rows: pd.DataFrame, what: str) -> pd.DataFrame:
    """Real rows from elsewhere that may be learned from; a UsageError where they hold something of the evaluation set.

    The check that every batch must pass judges them, so that changed evaluation rows do not come in either.
    """
    fix = "Take the evaluation rows, and what was made from them, out of the file."
    equal_rows(project, frozen, row_digests(rows, frozen.salt), what, fix)
    rows = project.without_evaluation_rows(rows, frozen)
    if not len(rows):
        raise UsageError(f"every row of {what} equals an evaluation row; none may be learned from.", fix)
    try:
        training = project.training_rows(frozen)
    except EvidenceError:
        if frozen.run.params[names.P_ROW_STORAGE] == "rows":
            raise
        project.say(f"the training rows are not here, so {what} is held against evaluation rows by equal rows alone")
        return rows
    _judge(project, frozen, rows, training, what, fix)
    return rows


def _judge(
    project: Project, frozen: EvaluationSet, rows: pd.DataFrame, training: pd.DataFrame, what: str, fix: str
) -> None:
    statement = project.problem().statement
    thresholds = policy_of(statement).thresholds[CHECK]
    control = project.evaluation_rows(frozen)
    evidence = CheckInput(rows, training, control, statement.task, statement.facts.metric, seed=0)
    result = sanitize_metrics(load_check(CHECK).run(replace(evidence, training=training), thresholds))
    ruling = judge(result.probes, result.inconclusive, thresholds["alpha"])
    if ruling.verdict == "fail":
        raise UsageError(f"{what} holds something of the frozen evaluation set: {ruling.reasons[0]}.", fix)


_NONE = np.array([], dtype=np.uint64)
CHANCE = 1e-6  # how rarely a file of real rows may be refused for rows that it shares with a batch by chance


def refuse_synthetic(project: Project, path: Place, rows: pd.DataFrame) -> None:
    """Refuse a file that says it is synthetic, or rows that stand in a batch of any project on the server.

    Rows are compared by their salted digests; where a table has other columns than the batch, by the values of the
    columns that both have. A row that is the same by chance is no proof: on tables of few coarse columns some real rows
    equal synthetic ones. So what counts is rows with at least two values that occur nowhere else in their batch, or
    more shared rows than the batch shares with its own project's evaluation set, which no generator has seen
    (conditional test of two Poisson rates, Przyborowski & Wilenski, Biometrika 31 (1940), doi:10.2307/2332612).

    Raises
    ------
    UsageError
        With the batch and the number of rows.
    """
    record = record_in_file(path)
    if record is not None:
        raise UsageError(
            f"{path} is no real data: it carries the record of synthetic batch {record.batch} "
            f"({record.origin.generator} {record.origin.version}).",
            "Give the real rows.",
        )
    known = _ClaimedRows(
        project, rows, {run.params[names.P_EVALUATION_DIGEST]: run for run in _evaluation_sets(project)}
    )
    for batch in project.reader.ever_finished("batch"):
        shared = 0
        with _skipping(project, batch):
            shared = known.shared_with(batch)
        if shared:
            raise UsageError(
                f"{path} is not strictly real: {shared:,} of its {len(rows):,} rows are rows of synthetic batch "
                f"{batch.params.get(names.P_BATCH)} (project {batch.tags.get(names.TAG_PROJECT)!r}, run "
                f"{batch.run_id}{', which was deleted' if batch.deleted else ''}).",
                "Give the real rows only.",
            )


@contextmanager
def _skipping(project: Project, batch: StoredRun) -> Iterator[None]:
    """Go on, and say so, where the evidence of another project or of a deleted run is broken or its files are gone."""
    try:
        yield
    except (EvidenceError, ServerError, KeyError, ValueError) as error:
        if batch.experiment_id == project.server.experiment_id and not batch.deleted:
            raise
        other = project.reader.experiment_names().get(batch.experiment_id, batch.experiment_id)
        reason = error.found if isinstance(error, SynthError) else repr(error)
        project.say(f"not compared with batch run {batch.run_id} of experiment {other!r}, which is broken: {reason}")


def _evaluation_sets(project: Project) -> list[StoredRun]:
    return [run for run in project.reader.ever_finished("evaluation_set") if names.P_EVALUATION_DIGEST in run.params]


@dataclass(frozen=True)
class _ClaimedRows:
    """Rows that are said to be real, to be held against each known batch."""

    project: Project
    rows: pd.DataFrame
    evaluation_sets: Mapping[str, StoredRun]
    """By their digest; those that were deleted too."""

    @functools.cached_property
    def _hashes(self) -> Hashes:
        return row_hashes(self.rows)

    @functools.cached_property
    def _digests(self) -> dict[str, Hashes]:
        return {}

    @functools.cached_property
    def _common_hashes(self) -> dict[tuple[str, ...], Hashes]:
        return {}

    @functools.cached_property
    def _real_hashes(self) -> dict[tuple[str, tuple[str, ...]], Hashes]:
        return {}

    def shared_with(self, batch: StoredRun) -> int:
        """How many rows are those of a batch; 0 where they are equal by chance."""
        frozen = self.evaluation_sets.get(batch.params.get(names.P_EVALUATION_DIGEST, ""))
        salt = batch.params.get(names.P_SALT) or (self._salt_of(frozen) if frozen else None)
        try:
            made = self.project.row_digests(batch) if salt else None
        except EvidenceError:
            made = None
        if frozen is not None and (common := self._common_columns(frozen)):
            return self._by_common_columns(batch, frozen, common)
        if salt is None or made is None:
            return self._by_content(batch)
        if salt not in self._digests:
            self._digests[salt] = keyed(self._hashes, salt)
        return self._by_digests(self._digests[salt], made, frozen)

    def _salt_of(self, frozen: StoredRun) -> str | None:
        """None where it is gone, or stays with rows that are elsewhere."""
        try:
            return self.project.evaluation_set_of(frozen).salt
        except (EvidenceError, KeyError):
            return None

    def _common_columns(self, frozen: StoredRun) -> tuple[str, ...]:
        """The columns that these rows share with those of a set; none where they are the same, or fewer than two."""
        try:
            theirs = self.project.evaluation_set_of(frozen).schema.kinds
        except (EvidenceError, KeyError):
            return ()
        common = tuple(sorted(set(self.rows.columns) & set(theirs)))
        return common if 2 <= len(common) < max(len(theirs), self.rows.shape[1]) else ()

    def _by_common_columns(self, batch: StoredRun, frozen: StoredRun, common: tuple[str, ...]) -> int:
        """How many rows are those of a batch in the columns of both, real rows of its project apart; 0 if by chance.

        Either table may be a part of the other, so one of them has to be mostly rows of the other.
        """
        columns = list(common)
        path = self.project.reader.file(batch, names.A_BATCH)
        made, real = row_hashes(normalise(pd.read_parquet(path, columns=columns))), self._real(frozen, common)
        if common not in self._common_hashes:
            self._common_hashes[common] = row_hashes(self.rows[columns])
        rows = self._common_hashes[common]
        rows, made = rows[~are_among(rows, real)], made[~are_among(made, real)]
        is_batch = are_mostly_of(rows, made) or are_mostly_of(made, rows)
        return int(are_among(rows, made).sum()) if is_batch else 0

    def _real(self, frozen: StoredRun, common: tuple[str, ...]) -> Hashes:
        """Real rows of a set by some of their columns; none where they are not here."""
        key = (frozen.run_id, common)
        if key not in self._real_hashes:
            evaluation_set = self.project.evaluation_set_of(frozen)
            try:
                sides = [self.project.training_rows(evaluation_set), self.project.evaluation_rows(evaluation_set)]
            except SynthError:
                sides = []
            self._real_hashes[key] = np.concatenate([_NONE, *(row_hashes(side[list(common)]) for side in sides)])
        return self._real_hashes[key]

    def _by_digests(self, rows: Hashes, made: Mapping[str, Hashes], frozen: StoredRun | None) -> int:
        everything = np.concatenate([made["distinctive"], made["common"]])
        try:
            real = self.project.row_digests(frozen) if frozen else {}
        except EvidenceError:  # deleted with its files: the batch's own digests have to do
            real = {}
        unknown = rows[~are_among(rows, np.concatenate([*real.values(), _NONE]))]
        shared = int(are_among(unknown, everything).sum())
        if are_among(unknown, made["distinctive"]).any():
            return shared
        if not real:
            return shared if are_mostly_of(rows, everything) else 0
        by_chance = int(are_among(real["evaluation"], everything).sum())
        return shared if _more_than_chance(shared, len(unknown), by_chance, len(real["evaluation"])) else 0

    def _by_content(self, batch: StoredRun) -> int:
        """From the rows themselves, where their digests are gone, or the salt with the evaluation set."""
        path = self.project.reader.file(batch, names.A_BATCH)
        table = normalise(pd.read_parquet(path))
        if set(table.columns) != set(self.rows.columns):
            return 0
        made, rows = row_hashes(table), self._hashes
        alone = distinctive_rows(path, schema_of(table))
        return self._by_digests(rows, {"distinctive": made[alone], "common": made[~alone]}, None)


def _more_than_chance(shared: int, n_rows: int, by_chance: int, n_evaluation: int) -> bool:
    if not shared:
        return False
    return bool(stats.binom.sf(shared - 1, shared + by_chance, n_rows / (n_rows + n_evaluation)) < CHANCE)


def declared_source(
    project: Project, source: str | None, *, beside: Path = Path()
) -> tuple[pd.DataFrame | None, Source]:
    """What a maker says about the real rows behind a batch (``training``, ``none``, a file, or nothing at all), and
    the rows that only a file has.
    """
    frozen = project.evaluation_set()
    if source is None:
        return None, Source("not declared")
    if source == "none":
        return None, Source("none")
    if source == "training":
        n_rows = int(frozen.run.params[names.P_TRAINING_ROWS])
        return None, Source("training", frozen.training_digest, n_rows)
    return read_source(project, frozen, place_of(source, beside))


def real_members(project: Project, frozen: EvaluationSet, source: Place | None) -> tuple[pd.DataFrame, Source]:
    """The real rows that a generator may learn from: the training rows, or another source."""
    if source is not None:
        return read_source(project, frozen, source)
    members = project.training_rows(frozen)
    return members, Source("training", frozen.training_digest, len(members))


def read_source(project: Project, frozen: EvaluationSet, path: Place) -> tuple[pd.DataFrame, Source]:
    """Real rows from another file; a UsageError if any are synthetic, or they hold something of the evaluation set.

    Rows that equal an evaluation row by chance are left out; the digest is that of the whole file.
    """
    rows = read_as(path, frozen.schema)
    refuse_synthetic(project, path, rows)
    allowed = without_evaluation_rows(project, frozen, rows, str(path))
    return allowed, Source("file", table_digest(rows, frozen.schema), len(rows))
