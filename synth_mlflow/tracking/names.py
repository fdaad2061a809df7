"""The public contract: every tag, parameter, metric and artifact name that this product writes.

Other people's ``search_runs`` queries depend on these names. They change only with ``SCHEMA``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final

SCHEMA: Final = "2"

STAGES: Final = (
    "workflow",
    "problem",
    "evaluation_set",
    "baseline",
    "search",
    "batch",
    "contamination",
    "fidelity",
    "utility",
    "privacy",
    "review",
    "model_review",
    "rating",
    "sweep",
    "ratio",
    "final",
    "blame",
    "handoff",
    "draft",
    "sign-off",
    "approval",
    "reproduction",
    "production",
)
"""What ``synth.stage`` says; a check of a third party adds its own name."""

CHECKING: Final = 4  # the number of the stage that checks belong to
STAGE_NUMBERS: Final[Mapping[str, int]] = {
    "workflow": 0,
    "problem": 1,
    "evaluation_set": 2,
    "baseline": 2,
    "search": 3,
    "batch": 3,
    "sweep": 5,
    "final": 5,
    "blame": 5,
    "handoff": 6,
    "draft": 6,
    "sign-off": 6,
    "reproduction": 6,
}
"""Which of the six stages a run belongs to; checks, also those of third parties, to the fourth."""

# Tags
TAG_SCHEMA: Final = "synth.schema"
TAG_STAGE: Final = "synth.stage"
TAG_KEY: Final = "synth.idempotency_key"
TAG_PROJECT: Final = "synth.project"
TAG_BATCH: Final = "synth.batch"
TAG_GENERATOR: Final = "synth.generator"
TAG_GENERATOR_VERSION: Final = "synth.generator_version"
TAG_SLICE: Final = "synth.slice"
TAG_PURPOSE: Final = "synth.purpose"
TAG_VERDICT: Final = "synth.verdict"
TAG_RETRACTED: Final = "synth.retracted"
TAG_SUPERSEDED: Final = "synth.superseded"
TAG_CHECK: Final = "synth.check"
TAG_PROMPT: Final = "synth.prompt_sha256"  # on a version in the Prompt Registry
TAG_NOTE: Final = "mlflow.note.content"  # what the UI shows as the description
TAG_NAME: Final = "mlflow.runName"
TAG_REASON: Final = "synth.reason"
TAG_BATCHES: Final = "synth.batches"
TAG_RATIO: Final = "synth.ratio"
TAG_AXIS: Final = "synth.axis"  # of a sweep over anything but the ratio: weight, slice or mix
TAG_SHARES: Final = "synth.shares"
TAG_CURVE: Final = "synth.curve"  # on a sweep and each of its ratios: the sweep's run
TAG_SWEEP: Final = "synth.sweep_run"
TAG_EVALUATION: Final = "synth.evaluation_digest"
TAG_ERROR: Final = "synth.error"
TAG_DRAFT: Final = "synth.draft"
TAG_OWNER: Final = "synth.owner"  # the process that writes the run
TAG_CLAIM: Final = "synth.claim"  # while it is undecided which of several processes does the work of a run
TAG_FORMAT: Final = "synth.model_format"  # on a registered version: lightgbm, skops, or cloudpickle, which runs code
TAG_SCORE: Final = "synth.score"  # on a registered version: what is expected on new data
TAG_HANDOFF: Final = "synth.handoff_run"  # on a registered version
TAG_SIGNED: Final = "synth.signed"
TAG_APPROVED: Final = "synth.approved"  # NAME/VERSION, on an approval and on what it approves
TAG_ROWS_DIGEST: Final = "synth.rows_digest"  # on an evaluation dataset of MLflow: of its rows
TAG_RATER: Final = "synth.rater"
TAG_SHEET: Final = "synth.sheet"  # on a trace of a review queue
TAG_SHEET_ROW: Final = "synth.sheet_row"  # its number on the sheet, from 1
TAG_WEBHOOK_PREFIX: Final = "synth.webhook/"  # NAME/HASH, on a problem statement: what is called on a retraction
TAG_DISCARDED: Final = "synth.discarded"  # put away for good: whoever restores the run does not make it count

# Parameters: evidence, write-once
P_STATEMENT: Final = "synth.statement_sha256"
P_TASK_DIGEST: Final = "synth.task_sha256"
P_SUPERSEDES: Final = "synth.supersedes"
P_STATEMENT_PATH: Final = "synth.statement_path"
P_DATA_PATH: Final = "synth.data_path"
P_DATA_SOURCE: Final = "synth.data_source"
P_KEY_PATH: Final = "synth.key_path"
P_DATA_DIGEST: Final = "synth.data_digest"
P_DATA_ROWS: Final = "synth.data_rows"
P_TABLE_SCHEMA: Final = "synth.table_schema_sha256"
P_TARGET: Final = "synth.target"
P_TASK: Final = "synth.task"
P_METRIC: Final = "synth.metric"
P_SUCCESS: Final = "synth.success"
P_GAP: Final = "synth.gap"
P_PRIVACY: Final = "synth.privacy"
P_EVALUATION_DIGEST: Final = "synth.evaluation_digest"
P_EVALUATION_ROWS: Final = "synth.evaluation_rows"
P_TRAINING_DIGEST: Final = "synth.training_digest"
P_TRAINING_ROWS: Final = "synth.training_rows"
P_DUPLICATES: Final = "synth.duplicate_rows"
P_SETTINGS: Final = "synth.model_settings"
P_EMBEDDING: Final = "synth.embedding"  # of texts: name, version, digest, and the first numbers of three vectors
P_COMMANDS: Final = "synth.model_commands"  # of a sweep whose models commands have fitted
P_SPLIT_METHOD: Final = "synth.split_method"
P_SPLIT_PARAMS: Final = "synth.split_params"
P_BALANCE: Final = "synth.class_balance"
P_SHARED_ROWS: Final = "synth.shared_rows"  # evaluation rows that equal a training row
P_WARNING: Final = "synth.warning"
P_ROW_STORAGE: Final = "synth.row_storage"
P_RARE: Final = "synth.rare_class"  # what its rows allow to decide; only where they are few
P_RARE_NEEDED: Final = "synth.rare_class_rows_needed"  # evaluation rows of it, about
P_OUTLOOK: Final = "synth.utility_outlook"  # only where utility will probably not decide
P_PANEL: Final = "synth.panel"  # which generators cannot make the table; only where it is a panel
P_CHOICES: Final = "synth.choice_sets"  # what was found and the commands that help; only where a table has them
P_SALT: Final = "synth.salt"  # of row digests; not where real rows are kept by reference
P_KEY_FINGERPRINT: Final = "synth.key_fingerprint"  # of the key that stays with rows kept by reference
P_SEED: Final = "synth.seed"
P_BATCH: Final = "synth.batch"
P_BATCH_DIGEST: Final = "synth.batch_digest"
P_BATCH_FILE: Final = "synth.batch_file_sha256"  # of a check: the file whose rows it has judged
P_PANDAS_DIGEST: Final = "synth.pandas_digest"  # MLflow's own, of the same rows
P_RECORD: Final = "synth.record_sha256"
P_GENERATOR: Final = "synth.generator"
P_GENERATOR_VERSION: Final = "synth.generator_version"
P_GENERATOR_PARAMS: Final = "synth.generator_params"
P_SEARCH: Final = "synth.search_run"  # of a batch whose generator a search has chosen
P_SLICE: Final = "synth.slice"
P_PURPOSE: Final = "synth.purpose"
P_TEACHER_LICENCE: Final = "synth.teacher_licence"  # of the language model that wrote the rows
P_TRAINING_ALLOWED: Final = "synth.teacher_training_allowed"  # whether its terms allow training, and where they say so
P_INGESTION: Final = "synth.ingestion"
P_PILOT: Final = "synth.pilot"
P_SOURCE: Final = "synth.source"
P_ROWS: Final = "synth.rows"
P_CHECK: Final = "synth.check"
P_CHECK_VERSION: Final = "synth.check_version"
P_POLICY: Final = "synth.policy_sha256"
P_VERDICT: Final = "synth.verdict"
P_THRESHOLDS: Final = "synth.thresholds"
P_ACCEPTED_AFTER: Final = "synth.accepted_after"  # ISO time of an acceptance that came after the verdict
P_ALPHA: Final = "synth.alpha"
P_RATIO: Final = "synth.ratio"
P_SCORE: Final = "synth.score"
P_RATIOS: Final = "synth.ratios"
P_REPEATS: Final = "synth.repeats"
P_MIX: Final = "synth.mix"
P_RULE: Final = "synth.rule"
P_BATCHES: Final = "synth.batches"
P_BATCH_DIGESTS: Final = "synth.batch_digests"
P_HOLDOUT_ESTIMATE: Final = "synth.holdout_estimate"  # on a final model, stated at the first handoff of its sweep
P_HOLDOUT_SCORE: Final = "synth.holdout_score"
P_ESTIMATE_TEXT: Final = "synth.holdout_estimate_text"
P_PRIOR_USES: Final = "synth.prior_holdout_uses"
P_FIT_ROWS: Final = "synth.fit_rows"  # real rows that fits took, where they took a sample
P_FIT_LOSS: Final = "synth.fit_loss"  # of a baseline on a sample: about how much higher the score on all rows would be
P_MODEL_SCORE: Final = "synth.model_score"  # of a final model on all rows, where the curve's fits took a sample
P_LEFT_OUT: Final = "synth.evaluation_rows_left_out"
P_CHOSEN: Final = "synth.chosen_ratio"
P_AXIS: Final = "synth.axis"  # of a sweep over anything but the ratio: weight, slice or mix
P_AXIS_VALUE: Final = "synth.axis_value"  # the weight, or the ratio within the slice
P_AXIS_VALUES: Final = "synth.axis_values"
P_AXIS_ROWS: Final = "synth.axis_rows"  # synthetic rows that every weight takes
P_AXIS_SLICE: Final = "synth.axis_slice"
P_SHARES: Final = "synth.shares"  # each batch's part of the synthetic rows, where a mix of them was swept
P_ANSWERS: Final = "synth.answers"  # between how many mixes a sweep of several sources decided
P_CHOSEN_SCORE: Final = "synth.chosen_score"
P_GUARDRAIL: Final = "synth.guardrail"
P_CHOSEN_SOURCE: Final = "synth.chosen_source"
P_ENGINE: Final = "synth.engine"
P_FAILED: Final = "synth.failed_ratios"
P_PEAK: Final = "synth.peak_ratio"
P_FRAGILITY: Final = "synth.fragility"
P_MODEL_NAME: Final = "synth.model_name"
P_MODEL_URI: Final = "synth.model_uri"
P_MODEL_VERSION: Final = "synth.model_version"
P_MODEL_SHA256: Final = "synth.model_sha256"
P_SWEEP: Final = "synth.sweep_run"
P_DOCUMENT: Final = "synth.document_sha256"
P_ENVIRONMENT: Final = "synth.environment"
P_CREATED_AT: Final = "synth.created_at"
P_CREATED_BY: Final = "synth.created_by"
P_DECIDING: Final = "synth.deciding_metrics"
P_LIMITS: Final = "synth.limits_sha256"
P_RETRACTION: Final = "synth.retraction"
P_PREDICTIONS: Final = "synth.predictions_sha256"  # of the final model, on the whole evaluation set
P_OUTCOME: Final = "synth.outcome"
P_PLUGINS: Final = "synth.plugins"  # of other packages, by kind and name: distribution and version
P_HARMFUL: Final = "synth.harmful_batches"
P_EVALUATION_RUN: Final = "synth.evaluation_run"  # on a problem statement: the one set that was frozen under it
P_HANDOFF: Final = "synth.handoff_run"
P_SIGNED_BY: Final = "synth.signed_by"
P_ROLE: Final = "synth.role"
P_APPROVED_NAME: Final = "synth.approved_name"
P_APPROVED_VERSION: Final = "synth.approved_version"
P_APPROVED_RUN: Final = "synth.approved_run"  # the batch or the sweep
P_APPROVED_DIGEST: Final = "synth.approved_digest"  # of the rows that are handed out
P_SHEET: Final = "synth.sheet"  # the id of a blind sheet
P_RATER: Final = "synth.rater"
P_RATER_KIND: Final = "synth.rater_kind"  # person or model
P_RATINGS: Final = "synth.ratings"  # of a check of answers: the runs of all answers that it looked at
P_LOOSER: Final = "synth.looser_than_default"
P_RECHECKED: Final = "synth.rechecked"
P_CHAMPION: Final = "synth.champion"
P_KEY: Final = "synth.idempotency_key"  # the tag of this name helps to find runs; this is what is believed
P_SEAL: Final = "synth.seal"  # digest of the other parameters and of all metrics
P_ARTIFACT_PREFIX: Final = "synth.sha256/"
P_SIGN_OFF_PREFIX: Final = "synth.sign_off/"  # and the run id of the sign-off; the value is that run's seal
P_APPROVAL_PREFIX: Final = "synth.approval/"  # and the run id of the approval; the value is that run's seal
P_APPROVED_PREFIX: Final = "synth.approved/"  # NAME/VERSION, on a problem statement: the run id of the approval
P_SHEET_PREFIX: Final = "synth.review_sheet/"  # and the id of a sheet, on a batch; the value is its number of rows
P_RATING_PREFIX: Final = "synth.rating/"  # and the run id of a rating, on a batch; the value is that run's seal
P_SUMMARY_PREFIX: Final = (
    "synth.verdict_summary/"  # and 1, 2, …; on a batch: what its checks said, for those who read many
)

CHAMPION: Final = "champion"  # the alias of the registered version that a sign-off has let into production

# Metrics
M_STAGE: Final = "synth.stage_number"  # 1 to 6, and 0 for one pass through all: the order of the rows in the UI
M_RATIO: Final = "synth.ratio"
M_AXIS_VALUE: Final = "synth.axis_value"
M_SCORE: Final = "synth.score"
M_SCORE_LOW: Final = "synth.score_low"
M_SCORE_HIGH: Final = "synth.score_high"
M_GAIN: Final = "synth.gain"
M_GAIN_LOW: Final = "synth.gain_low"
M_GAIN_HIGH: Final = "synth.gain_high"
M_PLACEBO: Final = "synth.placebo_score"
M_CURVE_SCORE: Final = "synth.curve_score"  # on a sweep, with the ratio in percent as the step; so are these three
M_CURVE_LOW: Final = "synth.curve_score_low"
M_CURVE_HIGH: Final = "synth.curve_score_high"
M_CURVE_GAIN: Final = "synth.curve_gain"
M_CURVE_PLACEBO: Final = "synth.curve_placebo_score"
M_SMALLEST_GAIN: Final = "synth.smallest_detectable_gain"
M_REPEAT_SCORE: Final = "synth.repeat_score"
M_ROWS: Final = "synth.rows"
M_SHARE: Final = "synth.evaluation_share"
M_REAL_ROWS: Final = "synth.real_rows"
M_SYNTHETIC_ROWS: Final = "synth.synthetic_rows"
M_ATTEMPTS: Final = "synth.attempts"  # candidates that a search has tried
M_SECONDS: Final = "synth.seconds"
M_EQUAL_ROWS: Final = "synth.rows_equal_to_evaluation_rows"
M_CHOSEN: Final = "synth.chosen_ratio"
M_PROMPT_TOKENS: Final = "synth.prompt_tokens"
M_COMPLETION_TOKENS: Final = "synth.completion_tokens"
M_COST: Final = "synth.cost"
M_BASELINE: Final = "synth.baseline_score"  # on a workflow; so are these two
M_BATCHES: Final = "synth.batches_made"
M_PASSED: Final = "synth.batches_passed"
M_RECEIVED: Final = "synth.rows_received"  # of a language model
M_REJECTED: Final = "synth.rows_rejected"  # of them; also by reason, behind a slash
M_AGREEMENT: Final = "synth.relabel_agreement"  # share of rows to which a second model gives the same label
M_RATER_AUC: Final = "synth.rater_auc"  # how well a rater tells real rows from synthetic ones; 0.5 by guessing
M_RATER_LOW: Final = "synth.rater_auc_low"
M_RATER_HIGH: Final = "synth.rater_auc_high"
M_PREFIX: Final = "synth."

# Artifacts
A_STATEMENT: Final = "problem.md"
A_EVALUATION: Final = "evaluation.parquet"
A_TRAINING: Final = "training.parquet"
A_SPLIT: Final = "split.parquet"
A_ROW_DIGESTS: Final = "row_digests.npz"
UNUSED: Final = "unused"  # in both: the rows of neither side
A_SCHEMA: Final = "schema.json"
A_COLUMNS: Final = "columns.json"
A_SLICES: Final = "slices.json"
A_BATCH: Final = "batch/data.parquet"
A_RECORD: Final = "batch/record.json"
A_ANSWERS: Final = "batch/answers.jsonl"
A_REJECTED: Final = "batch/rejected.jsonl"  # rows of a language model that were not kept; not where real rows stay away
A_PREVIEW: Final = "batch/preview.json"
A_PILOT: Final = "batch/pilot.html"
A_ATTEMPTS: Final = "search/attempts.json"
A_ATTEMPTS_TABLE: Final = "search/attempts_table.json"
A_RATING: Final = "review/answers.csv"
A_RESPONSES: Final = "review/responses.jsonl"  # what a judge model said, word for word
A_POLICY: Final = "policy.json"
A_PROBES: Final = "evidence.json"
A_MIX: Final = "mix.parquet"
A_PREDICTIONS: Final = "predictions.npz"
A_FITS: Final = "fits"  # a folder
A_CURVE: Final = "curve.json"
A_CURVE_TABLE: Final = "curve_table.json"
A_CURVE_PICTURE: Final = "curve.png"
A_SOURCES_PICTURE: Final = "curve_by_generator.png"
A_BLAME: Final = "blame.json"
A_BLAME_TABLE: Final = "blame_table.json"
A_REPRODUCTION: Final = "reproduction.json"
A_REPRODUCTION_TABLE: Final = "reproduction_table.json"
A_LIMITS: Final = "limits.md"
A_APPROVED: Final = "approved/evidence.zip"
A_HANDOFF_HTML: Final = "report/handoff.html"
A_HANDOFF_MARKDOWN: Final = "report/handoff.md"
A_HANDOFF_JSON: Final = "report/handoff.json"

# Contexts of dataset inputs
CONTEXT_REAL: Final = "real"
CONTEXT_SYNTHETIC: Final = "synthetic"
CONTEXT_EVALUATION: Final = "evaluation"
CONTEXT_TRAINING: Final = "training"  # a mix of real and synthetic rows

SOURCE_TYPE: Final = "synth_mlflow_batch"  # of a synthetic batch as a dataset input
DATASET_DIGEST_LENGTH: Final = 32  # MLflow refuses dataset digests of more than 36 characters

REQUIRED: Final[Mapping[str, tuple[str, ...]]] = {
    "problem": (P_STATEMENT, P_DATA_DIGEST),
    "evaluation_set": (P_EVALUATION_DIGEST, P_TRAINING_DIGEST, P_ROW_STORAGE),
    "baseline": (P_SETTINGS,),
    "batch": (P_BATCH, P_BATCH_DIGEST, P_GENERATOR),
    "sweep": (P_CHOSEN,),
    "final": (P_CHOSEN,),
    "handoff": (P_SWEEP,),
    "rating": (P_SHEET, P_RATER, P_BATCH_DIGEST),
    "sign-off": (P_HANDOFF,),
    "approval": (P_APPROVED_NAME, P_APPROVED_VERSION, P_APPROVED_RUN, P_APPROVED_DIGEST),
}
"""What a run of a stage states at least, by stage; a run that lacks it and has no seal is somebody else's."""


_ADDED_PREFIXES = (
    P_SIGN_OFF_PREFIX,
    P_SUMMARY_PREFIX,
    P_APPROVAL_PREFIX,
    P_APPROVED_PREFIX,
    P_SHEET_PREFIX,
    P_RATING_PREFIX,
)


def is_added_later(param: str) -> bool:
    """Whether a run may gain this parameter after it was written to its end: its seal does not cover it.

    >>> is_added_later("synth.retraction"), is_added_later("synth.sign_off/0a1b"), is_added_later("synth.rows")
    (True, True, False)
    """
    added = (P_RETRACTION, P_EVALUATION_RUN, P_HOLDOUT_ESTIMATE)
    return param in added or param.startswith(_ADDED_PREFIXES)


def vouches_for_fits(param: str) -> bool:
    """Whether a parameter is the digest of a file of fits, written while the sweep goes on."""
    return param.startswith(f"{P_ARTIFACT_PREFIX}{A_FITS}/")


def axis_value(metrics: Mapping[str, float]) -> float:
    """Where on its axis the run of a point stands: its ratio, or its weight.

    >>> axis_value({"synth.ratio": 0.75}), axis_value({"synth.ratio": 0.75, "synth.axis_value": 0.1})
    (0.75, 0.1)
    """
    return metrics[M_AXIS_VALUE] if M_AXIS_VALUE in metrics else metrics[M_RATIO]


def swept_source(params: Mapping[str, str]) -> str:
    """Whose synthetic rows the run of a point took: a generator, the shares of batches, or '' for all together."""
    return params.get(P_SHARES) or params.get(P_GENERATOR, "")


def slice_metric(slice_name: str) -> str:
    """The metric that follows the score on one slice; characters that MLflow refuses become underscores.

    >>> slice_metric("young (under 25)")
    'synth.slice_score/young _under 25_'
    """
    return f"synth.slice_score/{_plain(slice_name)}"


def rejection_metric(reason: str) -> str:
    """The metric that counts the rows of a language model that were not kept for one reason.

    >>> rejection_metric("'review' is off topic")
    'synth.rows_rejected/_review_ is off topic'
    """
    return f"{M_REJECTED}/{_plain(reason)}"


def class_metric(label: str) -> str:
    """The metric that holds the share of a class that is predicted as such."""
    return f"synth.recall/{_plain(label)}"


def source_metric(source: str) -> str:
    """The metric that holds the curve of one source, where generators were swept one by one."""
    return f"{M_CURVE_SCORE}/{_plain(source)}"


def own_name(metric: str) -> str:
    """The metric under which people look for a score: the scorer's own name, in letters that MLflow takes.

    >>> own_name("roc_auc"), own_name("my_scores:lift@10")
    ('roc_auc', 'my_scores:lift_10')
    """
    return _plain(metric)


def effect_metric(batch: str) -> str:
    """The metric that keeps what one batch did to the score; below 0 it harms.

    >>> effect_metric("forest-1a2b")
    'synth.effect/forest-1a2b'
    """
    return f"synth.effect/{_plain(batch)}"


def unique_metric_names(name_of: Callable[[str], str], whose: Iterable[str]) -> dict[str, str]:
    """The metric of each of several slices or classes; those that would share one are numbered.

    >>> unique_metric_names(class_metric, ["<5", ">5", "5"])
    {'<5': 'synth.recall/_5', '>5': 'synth.recall/_5:2', '5': 'synth.recall/5'}
    """
    taken: dict[str, str] = {}
    for each in whose:
        name, number = name_of(each), 2
        while name in taken.values():
            name, number = f"{name_of(each)}:{number}", number + 1
        taken[each] = name
    return taken


def _plain(name: str) -> str:
    """The name in letters that MLflow takes; parts between slashes that no path has are spelt out."""
    plain = "".join(letter if letter.isalnum() or letter in "_-. /:" else "_" for letter in name)
    return "/".join("_" * max(len(part), 1) if part in ("", ".", "..") else part for part in plain.split("/"))
