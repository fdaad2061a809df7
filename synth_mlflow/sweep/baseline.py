"""The real-only baseline on the frozen set, by the code that the sweep uses for ratio 0.

A baseline that asks for a second look: perfect, or no better than a constant; with the columns that do it.

What the rows of a rare class allow to decide, said before anything is generated.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats

from synth_mlflow.data.slices import Slice
from synth_mlflow.data.statement import LARGER_SHARE
from synth_mlflow.data.task import SCORED, ModelSpec, Task
from synth_mlflow.models.base import fit
from synth_mlflow.models.labels import classes_of
from synth_mlflow.models.scoring import score
from synth_mlflow.models.text import linear_grid
from synth_mlflow.models.tuning import constant_prediction
from synth_mlflow.sweep.bootstrap import resample
from synth_mlflow.sweep.evaluator import Evaluator
from synth_mlflow.sweep.executors import Engine
from synth_mlflow.sweep.holdout import halves_of
from synth_mlflow.sweep.inference import inflation, uncertainty
from synth_mlflow.sweep.learning_curve import power_law
from synth_mlflow.sweep.plan import ALL_ROWS, REPEAT_SHARE, REPEATS, FitKey, SweepPlan, baseline_keys
from synth_mlflow.sweep.runner import run_fits
from synth_mlflow.sweep.score_interval import Sizes, least_detectable, score_interval

LEARNED_SHARES = (0.25, 0.5)  # of a sample, from which the loss by it is told
FITS_A_SHARE = 2


@dataclass(frozen=True)
class Baseline:
    """The score of a model on real rows alone."""

    metric: str
    score: float
    low: float
    high: float
    """95 % interval on another draw of the training and evaluation rows."""
    model_low: float
    model_high: float
    """95 % interval of this very model on further evaluation rows."""
    repeats: tuple[float, ...]
    """Scores with 80 % of the training rows each."""
    slices: dict[str, float]
    """NaN where undefined."""
    n_real: int
    n_evaluation: int
    """Rows of the frozen set that were looked at."""
    smallest_detectable: float
    """About the gain that a sweep of three ratios on this set would find with 80 % probability."""
    difference_error: float
    """Standard error of the difference between two models of 80 % of the rows on the rows looked at."""
    halves: str
    """In words, whether the rows looked at will confirm too."""
    chance: float
    """What a constant prediction scores on these rows."""
    best: float
    """What predictions that are all right would score."""
    learning: tuple[float, ...] = ()
    """Mean scores on the shares `LEARNED_SHARES` of the rows, where they were measured."""

    @property
    def share_of_best(self) -> float:
        """How far the score lies on the way from a constant prediction to the best there is: 0 to 1."""
        reach = self.best - self.chance
        return (self.score - self.chance) / reach if reach > 0 else float("nan")


def measure_baseline(
    real: pd.DataFrame,
    evaluation: pd.DataFrame,
    task: Task,
    metric: str,
    spec: ModelSpec,
    *,
    repeats: int = REPEATS,
    seed: int = 0,
    n_jobs: int = -1,
    slices: dict[str, Slice] | None = None,
    is_sample: bool = False,
    engine: Engine | None = None,
) -> Baseline:
    """Fit on all real rows for the score, and on draws of 80 % of them for its interval.

    Parameters
    ----------
    real, evaluation : DataFrame
        Normalised tables of one schema: training rows, the frozen set.
    task : Task
    metric : str
        A scikit-learn scorer name.
    spec : ModelSpec
        The model with settled parameters.
    repeats, seed, n_jobs : int
        As in :class:`synth_mlflow.sweep.plan.SweepPlan`.
    is_sample : bool
        Whether ``real`` is a sample, so that fits on parts of it tell what more rows would give.
    engine : Engine, optional
        Where fits run; by default in threads on this machine.

    Raises
    ------
    UsageError
        If the score is undefined, or the estimator fails.
    """
    plan = SweepPlan(ratios=(0.5,), repeats=repeats, seed=seed, n_jobs=n_jobs)
    bench = Evaluator.build(real, evaluation, task, metric, spec, slices=slices)
    shares = LEARNED_SHARES if is_sample else ()
    parts = [FitKey("real", share, repeat) for share in shares for repeat in range(FITS_A_SHARE)]
    fits = run_fits(bench, plan, [*baseline_keys(repeats), *parts], [], finished={}, keep=True, engine=engine)
    learned = np.array([fits.pop(key).score for key in parts]).reshape(len(shares), FITS_A_SHARE)
    whole = fits.pop(FitKey("synthetic", 0.0, ALL_ROWS))
    repeated = [fits[key] for key in sorted(fits)]
    again = np.array([one.score for one in repeated])
    rng = np.random.default_rng([seed, 1])
    said = [one.predictions for one in (whole, *repeated)]
    draws = resample(metric, task, bench.truth, said, rng, groups=bench.groups).inside
    shared = np.array([inflation("real", 0.0, len(real), 0, plan.mix)])
    noise = np.array([[one.noise] for one in repeated])
    uncertain, alone = uncertainty(draws[:, :1], again[:, None], shared, noise if noise.size else None), np.ones(1)
    sizes, best, differ = bench.sizes(), bench.best_score, _pair_error(draws[:, 1:])
    error, freedom = uncertain.standard_error(alone), uncertain.freedom(alone)
    return Baseline(
        metric,
        whole.score,
        *score_interval(metric, whole.score, error, sizes, freedom, best),
        *score_interval(metric, whole.score, uncertain.model_error(alone), sizes, best=best),
        tuple(again.tolist()),
        whole.slices,
        len(real),
        len(bench.truth),
        _smallest_detectable(metric, sizes, differ),
        differ,
        bench.halves,
        _chance(bench, real),
        bench.best_score,
        tuple(learned.mean(axis=1).tolist()),
    )


def _pair_error(draws: npt.NDArray[np.float64]) -> float:
    """Standard error of the difference between two models, over all pairs of them.

    Parameters
    ----------
    draws : array of shape (n_draws, n_models)
        Scores on redrawn evaluation rows; the mean of the models of a draw is what any two of them share.
    """
    apart = draws - draws.mean(axis=1, keepdims=True)
    return float(np.sqrt(2 * np.nanvar(apart, axis=0, ddof=1).sum() / (draws.shape[1] - 1)))


def _chance(bench: Evaluator, real: pd.DataFrame) -> float:
    if bench.task.kind == SCORED:  # by a program of which nobody here knows what a constant scores
        return float("nan")
    said = constant_prediction(real[bench.task.target], bench.classes, len(bench.truth))
    return bench.score(said, np.ones(len(bench.truth), dtype=np.bool_))


def sample_loss(baseline: Baseline, n_whole: int) -> float:
    """How much higher the score on all rows would be than on the sample, by a power law of the sample's learning curve.

    Parameters
    ----------
    baseline : Baseline
        Measured on a sample.
    n_whole : int
        All real rows.
    """
    shares, scores = np.array([*LEARNED_SHARES, 1.0]), np.array([*baseline.learning, baseline.score])
    height, exponent = power_law(shares, scores)
    return float(height * (1 - (n_whole / baseline.n_real) ** -exponent))


def power_words(smallest: float, required_gain: float | None = None) -> str:
    """What the frozen set can show, said before anything is spent on a sweep.

    Parameters
    ----------
    smallest : float
        The gain that would be found with 80 % probability.
    required_gain : float, optional
        The gain that the statement calls a success.

    Examples
    --------
    >>> power_words(0.031)
    'A sweep would find a gain of about 0.031 here in four of five cases, and smaller ones more seldom.'
    """
    if smallest <= 0:
        return (
            "Every draw of the real rows scores the same here: how great a gain a sweep would find is unknown. "
            "More rows would help, or a metric that moves."
        )
    words = (
        f"A sweep would find a gain of about {smallest:.2g} here in four of five cases, and smaller ones more seldom"
    )
    if required_gain is None or smallest <= required_gain:
        return f"{words}."
    return (
        f"{words}: the {required_gain:.2g} that the statement asks for may go unseen. More evaluation rows "
        "before `freeze` would help."
    )


def utility_outlook(baseline: Baseline, alpha: float, detectable_share: float, share: float) -> str:
    """Whether the check of utility will be able to decide on this evaluation set; nothing where it will.

    The check compares a batch with as many real rows by models of 80 % of them, as the repeats of the baseline are,
    and takes more fits where few cannot decide. Its two sides share no row, where two repeats of the baseline share
    most of theirs.

    Parameters
    ----------
    alpha, detectable_share : float
        Thresholds of the check.
    share : float
        Of the rows that were held out.
    """
    training = 2 * float(np.var(baseline.repeats, ddof=1)) if len(baseline.repeats) > 1 else 0.0
    testing = baseline.difference_error**2 * _apart(pairs_redrawn(baseline.n_evaluation, MODELS_OF_UTILITY))
    needed = (float(stats.t.isf(alpha, MODELS_OF_UTILITY - 1)) + _POWER) * float(np.sqrt(training + testing))
    gain = baseline.score - baseline.chance
    if not gain > 0 or needed <= (1 - detectable_share) * gain:
        return ""
    times = (needed / ((1 - detectable_share) * gain)) ** 2
    seen = 1 - needed / gain
    least = f"a batch that keeps less than {seen:.0%} of what real rows teach" if seen > 0 else "no damage at all"
    options = ['accept it now in problem.md: `validation: {accept_inconclusive: {utility: "why"}}`']
    if share < LARGER_SHARE and times < LARGER_SHARE / share:
        options.insert(0, f"hold out more in a new project: `evaluation: {{share: {LARGER_SHARE}}}`")
    rows = f"{baseline.n_evaluation:,} evaluation rows and {baseline.n_real:,} training rows"
    return (
        f"Utility will probably be inconclusive for batches that are learned from these training rows ({rows}): it "
        f"could notice {least}, and the policy asks for {detectable_share:.0%}. About {times:.1f} times as many rows "
        "would decide. Bring more rows, or let generators learn from more real rows (`generate --source FILE`), or "
        f"{' or '.join(options)}."
    )


PAIRED_ROWS = 20_000  # evaluation rows times pairs of models that utility redraws
MODELS_OF_UTILITY = 18  # of each arm where six cannot decide


def pairs_redrawn(n_rows: int, n_models: int) -> int:
    """Pairs of models whose difference utility redraws: few rows need the spread of a mean over models.

    Examples
    --------
    >>> pairs_redrawn(500, 6), pairs_redrawn(10_000, 6), pairs_redrawn(50_000, 6)
    (6, 2, 1)
    """
    return int(np.clip(PAIRED_ROWS // n_rows, 1, n_models))


def _apart(n_models: int) -> float:
    """Variance of the difference of two means of so many models that learned from other rows, over that of two repeats.

    Models of one side share the rows that they have in common, and so that part of what they get wrong: repeats share
    `REPEAT_SHARE` of theirs, the two sides nothing.
    """
    return (REPEAT_SHARE + (1 - REPEAT_SHARE) / n_models) / (1 - REPEAT_SHARE)


_DUNNETT = 2.06  # one-sided 5 % critical value of three comparisons with one control, known variance
_POWER = 0.84  # normal quantile of 80 %
_MODELS_A_SIDE = 3  # whose means differ about as two ratios of a sweep do: both arms share rows, and neither all noise


def _smallest_detectable(metric: str, sizes: Sizes, error: float) -> float:
    """From fits on parts of the rows that stand for two ratios: their means differ on the rows about as such models do.

    0 where they do not differ at all: nothing is known then.
    """
    deviations = _DUNNETT + _POWER
    foretold = deviations * error / np.sqrt(_MODELS_A_SIDE)
    return max(float(foretold), least_detectable(metric, sizes, deviations)) if error > 0 else 0.0


PERFECT = 0.99995  # of the way from a constant prediction to the best score: shown as 1.0000
CHANCE_DEVIATIONS = 1.645 / 1.96  # of the half-width of a 95 % interval: one-sided at 5 %
MAX_ROWS = 5_000  # that a model of one column learns from
MAX_COLUMNS = 200
N_TOLD = 3


def baseline_warning(baseline: Baseline, real: pd.DataFrame, evaluation: pd.DataFrame, task: Task, seed: int) -> str:
    """What to look at before anything is built on this baseline; nothing where it looks as baselines do.

    Parameters
    ----------
    baseline : Baseline
    real, evaluation : DataFrame
        Training rows and the frozen set.
    """
    if task.kind == SCORED:
        return ""
    if baseline.share_of_best >= PERFECT:
        columns_text = in_words(best_columns(baseline, real, evaluation, task, seed))
        return (
            f"The baseline of {baseline.score:.4f} is the best score there is: no synthetic row can add to it, and a "
            "column may hold what is known only together with the target. Single columns alone score: "
            f"{columns_text}. Take such a column out of the table and start a new project, or make the task harder."
        )
    if baseline.score - baseline.chance > CHANCE_DEVIATIONS * (baseline.score - baseline.model_low):
        return ""
    than = "worse than" if baseline.model_high < baseline.chance else "not measurably better than"
    columns_text = in_words(best_columns(baseline, real, evaluation, task, seed))
    return (
        f"The baseline of {baseline.score:.4f} is {than} a constant prediction ({baseline.chance:.4f}): nothing was "
        f"learned that a sweep could compare with. Single columns alone score: {columns_text}. Look at the "
        "target, the columns and how rows were split, and at how many evaluation rows there are."
    )


def column_scores(
    metric: str, real: pd.DataFrame, evaluation: pd.DataFrame, task: Task, seed: int
) -> list[tuple[str, float]]:
    """The score of a model of each column alone, best first; columns with an undefined score are left out.

    LightGBM learns from each column, of free text the linear model on its words.

    Parameters
    ----------
    real, evaluation : DataFrame
        Training rows, and rows to score on.
    """
    rng = np.random.default_rng([seed, 5])
    rows = real.iloc[np.sort(rng.permutation(len(real))[:MAX_ROWS])].reset_index(drop=True)
    classes = classes_of(real, task)
    names = [name for name in real.columns if name not in {*task.no_features, task.group}][:MAX_COLUMNS]
    scores = []
    for name in names:
        own = rows[[name, task.target]]
        spec = ModelSpec(params=next(iter(linear_grid(ModelSpec(), task, own)), {}))
        model = fit(spec, task, own, seed=seed, classes=classes or None)
        said = model.predict(evaluation[[name, task.target]])
        value = score(metric, task, evaluation[task.target], said, classes)
        if np.isfinite(value):
            scores.append((str(name), value))
    return sorted(scores, key=lambda item: -item[1])


def best_columns(
    baseline: Baseline, real: pd.DataFrame, evaluation: pd.DataFrame, task: Task, seed: int
) -> list[tuple[str, float]]:
    """The columns that alone score best on the evaluation rows that choose, with their scores, best first."""
    chosen = evaluation[halves_of(evaluation, task).select].reset_index(drop=True)
    return column_scores(baseline.metric, real, chosen, task, seed)[:N_TOLD]


def in_words(scores: list[tuple[str, float]]) -> str:
    """Columns with their scores, for people."""
    return ", ".join(f"{name!r} {value:.4f}" for name, value in scores) or "none is defined"


FEW_ROWS = 20  # evaluation rows of a class; the spread of a score over fewer cannot be estimated
ALPHA = 0.005  # false alarms of the check of utility
Z_95 = float(stats.norm.isf(0.025))
HALF = 0.5  # of what real rows teach: utility must be able to see a batch that keeps no more than this
LARGEST_DEVIATION = 0.5  # of a number between 0 and 1, as what each row adds to a score between 0 and 1
SMALLEST_GAIN = 0.25  # few rows cannot show a smaller gain, so it is planned with


def few_rows(task: Task, evaluation: pd.Series) -> tuple[object, int] | None:
    """The rarest class and its number of evaluation rows, where they are too few for any spread."""
    if not task.is_classification:
        return None
    counts = evaluation.value_counts()
    label, n_rows = counts.index[-1], int(counts.iloc[-1])
    return (label, n_rows) if n_rows < FEW_ROWS else None


def rows_needed(metric: str, n_rows: int, gain: float, error: float) -> int:
    """About how many evaluation rows of a class utility needs to see a batch that keeps half of the gain.

    Scores between 0 and 1 are means over the rows of the class, of deviation 0.5 at most: few rows say less about it
    than that. For other metrics the error of the score shrinks with the square root of the number of rows.

    Parameters
    ----------
    metric : str
    n_rows : int
        Of the class, behind the error.
    gain, error : float
        Of real rows over a constant prediction; the error of that score.

    Examples
    --------
    >>> [rows_needed("average_precision", 4, gain, 0.2) for gain in (0.97, 0.5, 0.0)]
    [25, 94, 374]
    """
    is_bounded = not metric.startswith("neg_")
    deviation = LARGEST_DEVIATION if is_bounded else error * np.sqrt(n_rows)
    planned = max(gain, SMALLEST_GAIN) if is_bounded else gain
    if planned <= 0:
        return FEW_ROWS
    noticed = (float(stats.norm.isf(ALPHA)) + float(stats.norm.isf(0.2))) * np.sqrt(2) * deviation  # of two arms
    return max(int(np.ceil((noticed / (HALF * planned)) ** 2)), FEW_ROWS)


def needed_by(baseline: Baseline, metric: str, n_rows: int) -> int:
    """The same, from the real-only baseline."""
    error = max(baseline.score - baseline.low, baseline.high - baseline.score) / Z_95
    return rows_needed(metric, n_rows, baseline.score - baseline.chance, error)


def rare_class_words(label: object, n_training: int, n_rows: int, needed: int) -> str:
    """How many rows the rarest class has, what can be decided with them and what cannot."""
    return (
        f"Class {str(label)!r} has {n_training:,} training rows and {n_rows:,} evaluation rows. That is enough to "
        "compare batches with the real rows (fidelity, privacy), and too few to decide whether synthetic rows help to "
        f"predict it: utility and the sweep need about {needed:,} evaluation rows of it. Add real rows of this class, "
        "or hold out a larger share, before `freeze`."
    )
