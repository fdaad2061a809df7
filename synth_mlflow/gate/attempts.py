"""What a search among generators has tried: each candidate with its verdict on training rows, and the best of them."""

from __future__ import annotations

import json
import math
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from synth_mlflow.data.markup import html_table
from synth_mlflow.tracking import names
from synth_mlflow.tracking.project import Project
from synth_mlflow.tracking.read import StoredRun
from synth_mlflow.tracking.stored_run import reading

AttemptOutcome = Literal["pass", "fail", "inconclusive", "error"]

ORDER: tuple[AttemptOutcome, ...] = ("pass", "inconclusive", "fail", "error")  # best first


@dataclass(frozen=True)
class Candidate:
    """A generator with the parameters that differ from its defaults, and constraints beside those of the statement."""

    generator: str
    params: Mapping[str, Any]
    constraints: tuple[str, ...] = ()
    """As texts of problem.md."""

    @property
    def words(self) -> str:
        """For people, and short.

        >>> Candidate("forest", {"privacy": 0.25}, ("fixed(city, region)",)).words
        'forest privacy=0.25 with fixed(city, region)'
        """
        settings = " ".join(f"{name}={_plain(value)}" for name, value in self.params.items())
        added = f"with {', '.join(self.constraints)}" if self.constraints else ""
        return " ".join(filter(None, (self.generator, settings, added)))

    @property
    def options(self) -> str:
        """As arguments of `synth-mlflow generate`.

        >>> Candidate("forest", {"privacy": 0.25, "text": "resample"}).options
        'forest --param privacy=0.25 --param text=resample'
        """
        settings = (f" --param {shlex.quote(f'{name}={_plain(value)}')}" for name, value in self.params.items())
        return shlex.quote(self.generator) + "".join(settings)


@dataclass(frozen=True)
class Attempt:
    """One candidate, tried on a part of the training rows."""

    candidate: Candidate
    verdict: AttemptOutcome
    checks: Mapping[str, str]
    """The verdict of each check that was run."""
    reasons: tuple[str, ...]
    """Why it did not pass; empty if it did."""
    n_near_misses: int
    """Statistics that would have failed at ten times the false-alarm rate."""
    excess: float
    """How many times beyond its limit the worst significant statistic lies; 1 where none does."""
    seconds: float
    equal_share: float = 0.0
    """Of its rows: those that equal a row that judged and none that it learned from."""

    @property
    def is_clear(self) -> bool:
        """Whether it passed with nothing near a limit: no further candidate is tried then."""
        return self.verdict == "pass" and not self.n_near_misses

    @property
    def rank(self) -> tuple[int, int, int, float]:
        """Less is better; of equal ones the first that was tried counts."""
        words = list(self.checks.values())
        return ORDER.index(self.verdict), words.count("fail"), self.n_near_misses, self.excess


@dataclass(frozen=True)
class GeneratorSearch:
    """All attempts of a search, in the order in which they were made."""

    attempts: tuple[Attempt, ...]
    n_fitted: int
    """Training rows that each candidate has learned from."""
    n_held_back: int
    """Other training rows that judged it."""
    run_id: str = ""

    @property
    def ranked(self) -> tuple[Attempt, ...]:
        """The attempts that need no constraint which the statement lacks and raised no error, best first."""
        usable = (one for one in self.attempts if one.verdict != "error" and not one.candidate.constraints)
        return tuple(sorted(usable, key=lambda one: one.rank))

    @property
    def best(self) -> Attempt | None:
        """The first of :attr:`ranked`; None if there is none."""
        return next(iter(self.ranked), None)

    @property
    def runners_up(self) -> tuple[Attempt, ...]:
        """Who may make a batch where that of the best does not pass: what has not failed its own trial, best first."""
        return tuple(one for one in self.ranked[1:] if one.verdict in ("pass", "inconclusive"))

    def maker_of(self, generator: str, params: Mapping[str, Any]) -> Attempt | None:
        """The attempt that a batch came from: of those whose parameters it has, the one that sets most."""
        fitting = [
            one
            for one in self.attempts
            if one.candidate.generator == generator
            and not one.candidate.constraints
            and all(params.get(name) == value for name, value in one.candidate.params.items())
        ]
        return max(fitting, key=lambda one: len(one.candidate.params), default=None)

    @property
    def found(self) -> Attempt | None:
        """The first attempt that passed with constraints which the statement lacks; None if there is none."""
        with_more = (one for one in self.attempts if one.candidate.constraints and one.verdict == "pass")
        return next(with_more, None)

    def rows_for(self, n_rows: int, n_evaluation: int, maker: Attempt | None = None) -> int:
        """How many rows a candidate, by default the best, should make so that ``n_rows`` are left for models.

        Rows that equal an evaluation row by chance are given to no model. Their share grows with the evaluation rows;
        it is taken at three standard errors above what the trial has shown, and where it has shown none, at the upper
        end of its 95 % interval, 3 in as many rows as were drawn (J. Hanley, A. Lippman-Hand, JAMA 249 (1983)).

        Examples
        --------
        >>> GeneratorSearch((), 900, 300).rows_for(500, 300)
        502
        """
        maker = maker or self.best
        share = 0.0 if maker is None else maker.equal_share
        upper = share + 3 * math.sqrt(share * (1 - share) / self.n_fitted) if share else 3 / self.n_fitted
        return math.ceil(n_rows / (1 - min(upper * n_evaluation / self.n_held_back, 0.5)))

    def to_json(self) -> str:
        """For the run's artifact; :meth:`from_json` reads it back."""
        return json.dumps(asdict(self), ensure_ascii=False, allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> GeneratorSearch:
        """The search that an artifact holds."""
        recorded = json.loads(text)
        return cls(
            tuple(map(_attempt, recorded["attempts"])),
            recorded["n_fitted"],
            recorded["n_held_back"],
            recorded["run_id"],
        )

    def _repr_html_(self) -> str:
        columns, rows = self.table()
        return html_table(columns, rows)

    def table(self) -> tuple[Sequence[str], Sequence[Sequence[object]]]:
        """Columns and rows for people."""
        columns = ("candidate", "verdict", "checks", "why", "seconds")
        rows = [
            (one.candidate.words, one.verdict, _checks(one.checks), "; ".join(one.reasons[:2]), round(one.seconds, 1))
            for one in self.attempts
        ]
        return columns, rows


def _attempt(recorded: Mapping[str, Any]) -> Attempt:
    candidate = recorded["candidate"]
    made = Candidate(candidate["generator"], candidate["params"], tuple(candidate["constraints"]))
    return Attempt(**{**recorded, "candidate": made, "reasons": tuple(recorded["reasons"])})


def _checks(verdicts: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {verdict}" for name, verdict in verdicts.items())


def _plain(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def finite(value: float) -> float:
    """A number that JSON holds: an excess without bound is a very large one."""
    return value if math.isfinite(value) else 1e9


def newest_search(project: Project) -> GeneratorSearch | None:
    """The search that a project has recorded last; None before one."""
    run = project.reader.latest("search")
    if run is None:
        return None
    return recorded_search(project, run)


def recorded_search(project: Project, run: StoredRun) -> GeneratorSearch:
    """The search that a run has recorded."""
    path = project.reader.file(run, names.A_ATTEMPTS)
    with reading(run, names.A_ATTEMPTS):
        return GeneratorSearch.from_json(path.read_text(encoding="utf-8"))
