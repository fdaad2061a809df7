"""A handoff as a real project would leave it, filled by hand."""

from __future__ import annotations

import io

import pytest
from matplotlib.figure import Figure

from synth_mlflow.handoff.document import (
    Baseline,
    Batch,
    Check,
    Command,
    CurvePoint,
    Digest,
    Document,
    EarlierSweep,
    Estimate,
    EvaluationSet,
    ExpectedScore,
    Fact,
    Header,
    Limits,
    Probe,
    Problem,
    Retraction,
    Section,
    SliceScore,
    SliceSize,
    Success,
    Sweep,
    Trigger,
)


def _run(number: int) -> str:
    return f"{number:02d}" * 16


def _sha(number: int) -> str:
    return f"{number:02x}" * 32


def _picture() -> bytes:
    figure = Figure(figsize=(7, 3.6), dpi=144, layout="constrained")
    axes = figure.subplots()
    axes.errorbar([0, 25, 50, 75], [0.871, 0.889, 0.912, 0.904], yerr=0.009, marker="o", capsize=3)
    axes.set(xlabel="synthetic share of the training mix, %", ylabel="average_precision")
    stream = io.BytesIO()
    figure.savefig(stream, format="png", metadata={"Software": None})
    return stream.getvalue()


def _batch(number: int, name: str, verdict: str, **kwargs) -> Batch:
    held = verdict != "fail"
    fidelity = Check(
        "fidelity",
        _run(20 + number),
        "pass" if held else "fail",
        ("41 statistics, none both significant and large",)
        if held
        else ("ks_distance of 'tenure' is 0.31 (limit 0.1, real against real 0.024): too many short contracts",),
        (
            Probe("ks_distance", 0.031 if held else 0.31, 0.1, "low", not held, "tenure", 0.024, 0.2 if held else 1e-9),
            Probe("association_gap", 0.042, 0.15, "low", False, "tenure × region", 0.03, 0.04),
            Probe("c2st_score", 0.579, 0.7, "low", False, note="a classifier hardly tells real from synthetic"),
        ),
    )
    utility = Check("utility", _run(40 + number), "pass", ("train on synthetic reaches 97 % of train on real",))
    privacy = Check("privacy", _run(60 + number), "pass", ("no attack does better on members than on the control",))
    return Batch(
        batch=name,
        run_id=_run(10 + number),
        generator="forest",
        generator_version="1.2.0",
        parameters={"min_rows_leaf": 20, "columns": ["tenure", "region"], "smooth": True},
        seed=7 + number,
        slice="tenure < 3",
        purpose="cover customers in their first quarter",
        n_rows=5_000,
        sha256=_sha(100 + number),
        verdict=verdict,
        checks=(fidelity, utility, privacy),
        record=(
            Fact("Fitted on", f"4,800 training rows, {_sha(5)}"),
            Fact("Environment", "Python 3.11.9, lightgbm 4.7.0"),
        ),
        **{"in_model": verdict == "pass", **kwargs},
    )


def _sweep() -> Sweep:
    placebo = Estimate(0.874, 0.865, 0.883)
    points = (
        CurvePoint(0.0, _run(80), Estimate(0.871, 0.861, 0.880), None, 4_800, 0, helps=False),
        CurvePoint(
            0.25, _run(81), Estimate(0.889, 0.880, 0.897), Estimate(0.018, 0.009, 0.027), 4_800, 1_600, True, placebo
        ),
        CurvePoint(
            0.5,
            _run(82),
            Estimate(0.912, 0.904, 0.919),
            Estimate(0.041, 0.031, 0.052),
            4_800,
            4_800,
            True,
            placebo,
            Estimate(0.912, 0.906, 0.918),
        ),
        CurvePoint(
            0.75, _run(83), Estimate(0.904, 0.895, 0.912), Estimate(0.033, 0.021, 0.044), 4_800, 14_400, True, placebo
        ),
    )
    return Sweep(
        run_id=_run(79),
        metric="average_precision",
        mix="All real rows are kept and synthetic rows are added.",
        n_repeats=8,
        points=points,
        chosen=0.5,
        peak=0.5,
        plateau=(0.5, 0.75),
        shape="flat",
        rule="the smallest ratio that helps among those not distinguishable from the peak",
        fragility="The peak at 50 % is flat: a neighbour is not significantly different from it, and it would be the "
        "peak again in 71% "
        "of draws. Any ratio of the plateau will do; take a round one.",
        estimate=ExpectedScore(
            Estimate(0.909, 0.899, 0.919),
            1_200,
            rows_chose=False,
            n_earlier_uses=0,
            n_other_sweeps=1,
            words="Expected of this model on further rows: average_precision 0.909 (95 % interval 0.899 to 0.919).",
            stated_at="2026-11-22T12:10:02+00:00",
        ),
        decisions=(
            "As many duplicated real rows give +0.003; corrected for the choice the score is 0.910.",
            "Twice as many real rows would gain about as much as these synthetic ones.",
        ),
        slices=(
            SliceScore("young", 0.0, 0.61, None, 214),
            SliceScore("young", 0.5, 0.74, Estimate(0.13, 0.09, 0.17), 214),
        ),
        picture=_picture(),
        model_uri="models:/churn-cold-start/3",
        model_run_id=_run(84),
        model_sha256=_sha(84),
    )


@pytest.fixture(scope="session")
def document() -> Document:
    """Final, with a bad and a retracted batch, a flat peak and one trigger in each state."""
    return Document(
        header=Header(
            project="churn-cold-start",
            built_at="2026-11-22T12:10:03+00:00",
            built_by="Maren Okafor",
            tool="synth_mlflow 0.1.0",
            tracking_uri="https://mlflow.example.org",
            run_id=_run(90),
        ),
        success=Success("gain_at_least", 0.02, 0.039, 0.029, 0.05),
        problem=Problem(
            _run(1),
            _sha(1),
            (
                Section(
                    "What gap are we filling?",
                    "New customers churn **before** we have seen them: the table holds 61 of them, and the campaign "
                    "starts in *January*. See [the campaign's brief](https://example.org/brief).",
                ),
                Section(
                    "Why can't real data solve it?",
                    "- The product is four months old.\n- Waiting costs 3 % of the base a month.\n\n"
                    "Rows with `tenure < 3` cannot be bought.",
                ),
                Section("What metric decides success, and why?", "Average precision: calls are the cost."),
                Section("Who owns this, and who may change the evaluation set?", "Maren Okafor. Nobody, mid-project."),
            ),
            (
                Fact("Gap", "cold start"),
                Fact("Target", "churned"),
                Fact("Task", "binary"),
                Fact("Metric", "average_precision"),
                Fact("Privacy", "relevant"),
            ),
        ),
        evaluation=EvaluationSet(
            run_id=_run(2),
            sha256=_sha(2),
            how="Stratified by the target with seed 11, a quarter of all rows.",
            n_training=4_800,
            n_evaluation=1_600,
            metrics=("average_precision", "roc_auc"),
            may_change="Nobody while the project runs.",
            facts=(
                Fact("Stored", "rows on the tracking server"),
                Fact("Duplicates across the split", "14, kept in training"),
            ),
            slices=(SliceSize("young", "tenure < 3", 61, 214),),
        ),
        baseline=Baseline(_run(3), "average_precision", Estimate(0.871, 0.861, 0.880), 8),
        batches=(
            _batch(1, "forest-7f3a", "pass"),
            _batch(2, "forest-91c0", "fail"),
            _batch(
                3,
                "forest-b2d4",
                "pass",
                in_model=False,
                retracted=Retraction("the labels of March were flipped", "Ivo Lind", "2026-11-20T08:00:00+00:00"),
            ),
        ),
        sweep=_sweep(),
        limits=Limits(
            known="Only contracts signed online; the call centre's are missing.",
            when_not_to_use="Business customers.",
            next="Ask for the January rows.",
        ),
        triggers=(
            Trigger(
                "generator",
                "the generator's major version changes",
                "due",
                "forest 2.0.0 is installed, 1.2.0 made the batches",
            ),
            Trigger("task", "the statement changes", "not due", "the statement still has digest 010101010101"),
            Trigger(
                "new_real_rows",
                "new real rows reach 20 % of the 6,400 known",
                "cannot tell",
                "give the new file: `synth-mlflow check --new-data FILE`",
            ),
        ),
        commands=(
            Command("pip install synth_mlflow==0.1.0", "Install what built it."),
            Command(
                "export MLFLOW_TRACKING_URI=https://mlflow.example.org\nsynth-mlflow reproduce",
                "Rebuild batches and model from the records.",
            ),
        ),
        digests=(
            Digest("statement", _sha(1), _run(1)),
            Digest("evaluation rows", _sha(2), _run(2)),
            Digest("batch forest-7f3a", _sha(101), _run(11)),
        ),
        warnings=("1 of 3 batches was retracted after it had been made.",),
        earlier_sweeps=(
            EarlierSweep(
                _run(70), "2026-11-19T10:00:00+00:00", 0.75, Estimate(0.90, 0.89, 0.91), Estimate(0.03, 0.02, 0.04)
            ),
        ),
        links={_run(n): f"https://mlflow.example.org/#/experiments/4/runs/{_run(n)}" for n in range(100)},
    )
