"""Check a plugin against its contract, in the plugin's own tests; nothing but this package is needed.

>>> from synth_mlflow.generators.gaussian_copula import GaussianCopula
>>> check_generator(GaussianCopula())

Each function raises AssertionError with what was found and what was needed, and returns nothing if all is well.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
import math
from collections.abc import Callable, Mapping
from typing import Any, get_args

import numpy as np
import pandas as pd

from synth_mlflow import exports
from synth_mlflow.checks import (
    Check,
    CheckInput,
    CheckResult,
    Outcome,
    as_json,
    judge,
    probe_from_json,
    sanitize_metrics,
)
from synth_mlflow.data.columns import conform, normalise, schema_of
from synth_mlflow.data.slices import Slice
from synth_mlflow.data.task import Task
from synth_mlflow.errors import GeneratorError
from synth_mlflow.exports import Exporter, Provenance
from synth_mlflow.generators import ChunkedSampler, Generator, Sampler
from synth_mlflow.triggers import CurrentState, Drift, ProductionValue, RecordedState, State, Trigger, TriggerState

SUMMARY_MAX = 100
"""Characters of a plugin's ``summary``: one line of `synth-mlflow list`."""
ALPHA = 0.05
"""The false-alarm rate at which a check's verdict is derived here."""


def example_table(n_rows: int = 400, seed: int = 0) -> pd.DataFrame:
    """A table with every kind of column and with missing values, whose target ``bought`` can be learned.

    Parameters
    ----------
    n_rows : int
        At least 1.
    seed : int
        Tables of other seeds are further rows of the same distribution.
    """
    rng = np.random.default_rng(seed)
    age = np.round(rng.gamma(6.0, 7.0, n_rows), 1)
    visits = rng.poisson(3.0, n_rows)
    region = rng.choice(["north", "south", "east"], n_rows, p=[0.5, 0.3, 0.2])
    logit = 0.05 * (age - 40) + 0.4 * (visits - 3) + 0.8 * (region == "north")
    rows = pd.DataFrame(
        {
            "age": np.where(rng.random(n_rows) < 0.05, np.nan, age),
            "visits": visits,
            "region": pd.Series(region, dtype=object).mask(rng.random(n_rows) < 0.05),
            "is_member": rng.random(n_rows) < 0.4,
            "since": pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 700, n_rows), unit="D"),
            "bought": np.where(rng.random(n_rows) < 1 / (1 + np.exp(-logit)), "yes", "no"),
        }
    )
    return normalise(rows)


def example_task() -> Task:
    """The task of :func:`example_table`."""
    return Task("bought", "binary")


def check_generator(
    generator: Generator,
    *,
    members: pd.DataFrame | None = None,
    task: Task | None = None,
    slice: str = "",  # noqa: A002
) -> None:
    """Check that a generator keeps the contract.

    Columns and kinds are those of the real rows, as many rows come as were asked for, the same random state gives the
    same rows, calling again gives further ones, real rows are not changed, and every row lies in the slice.

    Parameters
    ----------
    generator : Generator
        An instance, with the parameters that are to be tested.
    members : DataFrame, optional
        Real rows to learn from; by default :func:`example_table`.
    task : Task, optional
        Needed with ``members``.
    slice : str, optional
        A condition that some of the members satisfy; by default ``visits > 2`` for the example.

    Raises
    ------
    AssertionError
        If the contract is broken: what was found, and what was needed.
    """
    _require_summary(generator)
    _require(dataclasses.is_dataclass(generator), "a generator is a dataclass: its fields are its parameters")
    _require_text(generator, "version")
    _require(isinstance(generator.leaky, bool), f"leaky is {generator.leaky!r}, True or False was needed")
    _require((members is None) == (task is None), "members and task are given together")
    if members is None or task is None:
        members, task = example_table(), example_task()
        slice = slice or "visits > 2"  # noqa: A001
    members = normalise(members)
    fit = _fitting(generator, members, task, None)
    sampler = fit(0)
    _check_rows(sampler, members)
    _check_randomness(fit, len(members))
    _check_notes(sampler)
    if slice:
        _check_slice(generator, members, task, Slice.parse(slice))


def check_check(
    check: Check, *, must_fail: pd.DataFrame | None = None, policy: Mapping[str, float] | None = None
) -> None:
    """Check that a check keeps the contract, on the rows of :func:`example_table`.

    It is deterministic, changes no table, returns finite statistics that can be recorded and read back, and does not
    fail on further real rows.

    Parameters
    ----------
    check : Check
        An object of the plugin's class.
    must_fail : DataFrame, optional
        A batch with the columns of :func:`example_table` that the check exists to refuse. Give one: a check that
        cannot fail is none.
    policy : mapping, optional
        Thresholds in place of ``check.defaults``.

    Raises
    ------
    AssertionError
        If the contract is broken: what was found, and what was needed.
    """
    _require_summary(check)
    _require_text(check, "version")
    finite = all(isinstance(value, int | float) and math.isfinite(value) for value in check.defaults.values())
    _require(finite, f"defaults are {dict(check.defaults)!r}, a finite number for each threshold was needed")
    thresholds = {**check.defaults, **(policy or {})}
    _require(thresholds.keys() == check.defaults.keys(), f"the policy has keys beyond {sorted(check.defaults)}")
    honest = _evidence(example_table(seed=2))
    copies = [table.copy(deep=True) for table in (honest.batch, honest.members, honest.control)]
    first = _checked(check, honest, thresholds)
    for name, table, copy in zip(("batch", "members", "control"), _tables(honest), copies, strict=True):
        _require(table.equals(copy), f"the {name} was changed; a check leaves its tables as they are")
    again = _checked(check, honest, thresholds)
    _require(first.probes == again.probes, "the same tables and seed gave other statistics the second time")
    verdict = judge(sanitize_metrics(first).probes, first.inconclusive, ALPHA)
    _require(verdict.verdict != "fail", f"further real rows failed: {'; '.join(verdict.reasons)}")
    if must_fail is not None:
        bad = _checked(check, _evidence(normalise(must_fail)), thresholds)
        verdict = judge(sanitize_metrics(bad).probes, bad.inconclusive, ALPHA)
        _require(
            verdict.verdict == "fail", f"the batch that must fail was judged {verdict.verdict!r}: {verdict.reasons}"
        )


def check_trigger(trigger: Trigger, threshold: Any, *, refused: Any = None) -> None:
    """Check that a trigger keeps the contract.

    Parameters
    ----------
    trigger : Trigger
        An object of the plugin's class.
    threshold : object
        A value that `rerun_when` may give it.
    refused : object, optional
        A value that makes no sense: ``condition`` and ``evaluate`` must raise ValueError with what was needed.

    Raises
    ------
    AssertionError
        If the contract is broken: what was found, and what was needed.
    """
    _require_summary(trigger)
    words = trigger.condition(threshold)
    _require(isinstance(words, str) and bool(words.strip()), f"condition gave {words!r}, words were needed")
    recorded, states = _recorded(), (CurrentState(), _present())
    for present in states:
        state = trigger.evaluate(threshold, recorded, present)
        _require(isinstance(state, TriggerState), f"evaluate gave a {type(state).__name__}, a TriggerState was needed")
        _require(state.state in get_args(State), f"the state is {state.state!r}, one of {get_args(State)} was needed")
        _require(bool(state.reason.strip()), "the state has no reason; the numbers behind it were needed")
        _require(state == trigger.evaluate(threshold, recorded, present), "asked again, it gave another state")
    if refused is not None:
        questions: dict[str, Callable[[], object]] = {
            "condition": lambda: trigger.condition(refused),
            "evaluate": lambda: trigger.evaluate(refused, recorded, CurrentState()),
        }
        for name, ask in questions.items():
            try:
                ask()
            except ValueError as error:
                _require(bool(str(error).strip()), f"{name} refused {refused!r} without a word")
            else:
                raise AssertionError(f"{name} took {refused!r}; a ValueError was needed")


def check_exporter(exporter: Exporter, *, provenance: Provenance | None = None) -> None:
    """Check that an export format keeps the contract, also where people typed markup and quotes, and where all is bare.

    Parameters
    ----------
    exporter : Exporter
        An object of the plugin's class.
    provenance : Provenance, optional
        Beside the examples.

    Raises
    ------
    AssertionError
        If the contract is broken: what was found, and what was needed.
    """
    _require_summary(exporter)
    given = (example_provenance(), _typed_by_people(), *((provenance,) if provenance is not None else ()))
    for each in given:
        text = exporter.render(each)
        _require(isinstance(text, str), f"render gave a {type(text).__name__}, a str was needed")
        _require(bool(text.strip()), "render gave nothing")
        _require(text == exporter.render(each), "the same provenance gave another text the second time")


def example_provenance() -> Provenance:
    """A project with one batch, one model and one signed handoff."""
    digest, at = "ab" * 32, "2025-03-01T12:00:00+00:00"
    sides = (
        exports.Rows("training", "1" * 32, digest, 300),
        exports.Rows("evaluation", "1" * 32, digest, 100),
    )
    batch = exports.Batch(
        id="forest-1a2b", run_id="2" * 32, address="runs:/2/batch/data.parquet", file_sha256=digest, sha256=digest,
        record_sha256=digest, n_rows=200, generator="forest", generator_version="3", parameters={"noise": 0.1}, seed=1,
        slice="visits > 2", purpose="more frequent visitors", prompts=(), learned_from="the training rows",
        learned_from_training=True, source_sha256=digest, by="ada", began=at, ended=at, verdict="pass",
    )  # fmt: skip
    model = exports.Model(
        sweep="3" * 32, run_id="4" * 32, uri="models:/shop/1", sha256=digest, ratio=0.25, metric="roc_auc", score=0.8,
        batches=(batch.id,), began=at, ended=at, by="ada",
    )  # fmt: skip
    signature = exports.Signature("6" * 32, "Ada Lind", "owner", at)
    return Provenance(
        project="shop", about="Too few frequent visitors.", tool="synth_mlflow 0.1.0", exported_at=at,
        server="http://127.0.0.1:5000", columns=dict(schema_of(example_table(20)).kinds), target="bought",
        sensitive=(), limits="", statement=exports.Statement("5" * 32, digest, "rare slice", at), real=sides,
        batches=(batch,), models=(model,),
        handoffs=(exports.Handoff("7" * 32, model.sweep, digest, at, "ada", (signature,)),),
    )  # fmt: skip


def _typed_by_people() -> Provenance:
    """The same with markup, quotes and line breaks wherever people type, and nothing where nothing is known."""
    odd, plain = "é \"q\" 'a' <script>x</script> | \\ \n {{7*7}} #/b", example_provenance()
    batch = dataclasses.replace(
        plain.batches[0],
        id=odd,
        purpose=odd,
        generator=odd,
        slice=None,
        seed=None,
        source_sha256=None,
        parameters={odd: None},
    )
    model = dataclasses.replace(plain.models[0], batches=(), ratio=0.0)
    return dataclasses.replace(
        plain, project=odd, about=odd, limits=odd, batches=(batch,), models=(model,), handoffs=()
    )


def _require(holds: bool, words: str) -> None:
    if not holds:
        raise AssertionError(words)


def _require_text(plugin: object, attribute: str) -> None:
    value = getattr(plugin, attribute, None)
    _require(isinstance(value, str) and bool(value.strip()), f"{attribute} is {value!r}, a text was needed")


def _require_summary(plugin: object) -> None:
    _require_text(plugin, "summary")
    summary = str(getattr(plugin, "summary", ""))
    fits = len(summary) <= SUMMARY_MAX and "\n" not in summary
    _require(fits, f"summary has {len(summary)} characters, one line of at most {SUMMARY_MAX} was needed")


def _fitting(generator: Generator, members: pd.DataFrame, task: Task, part: Slice | None) -> Callable[[int], Sampler]:
    def fit(seed: int) -> Sampler:
        before = members.copy(deep=True)
        sampler = generator.fit(members, task, np.random.default_rng(seed), slice=part)
        _require(members.equals(before), "fit changed the real rows; they must stay as they are")
        return sampler

    return fit


def _check_rows(sampler: Sampler, members: pd.DataFrame) -> None:
    schema = schema_of(members)
    for n_rows in (0, 1, 50):
        drawn = sampler.sample(n_rows, np.random.default_rng(1))
        _require(isinstance(drawn, pd.DataFrame), f"sample gave a {type(drawn).__name__}, a DataFrame was needed")
        _require(len(drawn) == n_rows, f"{n_rows} rows were asked for, {len(drawn)} came")
        _require(
            list(drawn.columns) == list(members.columns),
            f"the columns are {list(drawn.columns)}, those of the real rows were needed: {list(members.columns)}",
        )
        same = conform(drawn, schema)
        kinds = schema_of(normalise(drawn)).kinds if n_rows else {}
        other = [name for name in kinds if not drawn[name].isna().all() and not _alike(drawn[name], same[name])]
        _require(not other, f"the columns {other} changed their kind")
    if isinstance(sampler, ChunkedSampler):
        sizes = [len(piece) for piece in sampler.chunks(50, np.random.default_rng(1), chunk_rows=20)]
        _require(sum(sizes) == 50 and max(sizes) <= 20, f"50 rows in pieces of at most 20 came as {sizes}")


def _alike(drawn: pd.Series, conformed: pd.Series) -> bool:
    return bool(drawn.reset_index(drop=True).equals(conformed.reset_index(drop=True)))


def _check_randomness(fit: Callable[[int], Sampler], n_rows: int) -> None:
    n = min(n_rows, 200)
    frames = []
    for global_seed in (1, 2):  # only the generator's own randomness may matter
        state = np.random.get_state()  # noqa: NPY002 - what a careless generator would use
        try:
            np.random.seed(global_seed)  # noqa: NPY002
            sampler = fit(3)
            frames.append(sampler.sample(n, np.random.default_rng(4)))
        finally:
            np.random.set_state(state)  # noqa: NPY002
    _require(
        frames[0].equals(frames[1]), "the same random state gave other rows; `rng` is the only source of randomness"
    )
    rng = np.random.default_rng(4)
    first, further = sampler.sample(n, rng), sampler.sample(n, rng)
    _require(not first.equals(further), "asked again with the same rng, it gave the same rows instead of further ones")


def _check_notes(sampler: Sampler) -> None:
    try:
        json.dumps(dict(sampler.notes), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise AssertionError(f"notes are {sampler.notes!r}, JSON values were needed: {error}") from error


def _check_slice(generator: Generator, members: pd.DataFrame, task: Task, part: Slice) -> None:
    _require(bool(part.mask(members).any()), f"no real row lies in {part.text!r}: give another slice")
    try:
        drawn = _fitting(generator, members, task, part)(0).sample(50, np.random.default_rng(1))
    except GeneratorError:
        return  # a generator may say that it cannot
    outside = int((~part.mask(drawn)).sum())
    _require(
        len(drawn) == 50 and outside == 0,
        f"{outside} of {len(drawn)} rows lie outside of {part.text!r}, 50 inside were needed",
    )


def _evidence(batch: pd.DataFrame) -> CheckInput:
    return CheckInput(batch, example_table(seed=0), example_table(seed=1), example_task(), "roc_auc", seed=0)


def _tables(evidence: CheckInput) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    return evidence.batch, evidence.members, evidence.control


def _checked(check: Check, evidence: CheckInput, policy: Mapping[str, float]) -> CheckResult:
    result = check.run(evidence, policy)
    _require(isinstance(result, CheckResult), f"run gave a {type(result).__name__}, a CheckResult was needed")
    names = [(probe.name, probe.column, probe.group) for probe in result.probes]
    twice = sorted({name for name, n in ((each, names.count(each)) for each in names) if n > 1}, key=str)
    _require(not twice, f"these statistics stand twice: {twice}")
    for probe in sanitize_metrics(result).probes:
        recorded = json.loads(json.dumps(as_json(probe), allow_nan=False))
        _require(probe_from_json(recorded) == probe, f"{probe.name} is not the same after it was recorded")
    bad = [name for name, value in result.metrics.items() if not math.isfinite(value)]
    _require(not bad, f"the metrics {bad} are not finite")
    verdict = judge(sanitize_metrics(result).probes, result.inconclusive, ALPHA).verdict
    _require(verdict in get_args(Outcome), f"the verdict is {verdict!r}")
    return result


def _recorded() -> RecordedState:
    return RecordedState(
        generators={"forest": ("1.2.0",)},
        statement_digest="ab" * 32,
        n_real_rows=1_000,
        metric="roc_auc",
        expected=(0.91, 0.90, 0.92),
        n_expected_rows=250,
        schema_digest="cd" * 32,
        environment={"python": "3.11.9", "lightgbm": "4.6.0"},
    )


def _present() -> CurrentState:
    return CurrentState(
        generators={"forest": "2.0.0"},
        statement_digest="ef" * 32,
        schema_digest="cd" * 32,
        n_new_rows=5_000,
        drift=Drift(1e-6, ("age",), distances=(0.4,)),
        production=tuple(itertools.repeat(ProductionValue(0.5, 1_000), 3)),
        environment={"python": "3.12.1", "lightgbm": "5.0.0"},
    )
