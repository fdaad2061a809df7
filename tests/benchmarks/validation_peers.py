"""The three checks beside the peers that install from PyPI, on the same tables in one run: prints seconds and ratios.

OMP_NUM_THREADS=2 python tests/benchmarks/validation_peers.py FOLDER [--only sdmetrics,syntheval]

FOLDER holds one virtual environment a peer, and those that are missing are made: `FOLDER/sdmetrics`,
`FOLDER/anonymeter`, `FOLDER/syntheval`, `FOLDER/mostlyai-qa`. The known-answer tables: 50,000 members and batch rows,
10,000 controls; where a peer gets fewer rows or attacks, it is printed. Imports and reading are not timed.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path

ORACLES = Path(__file__).resolve().parents[3] / "shared" / "oracles" / "validation"
TIME_LIMIT = 1_800
READ = """
import sys, time, warnings
warnings.filterwarnings("ignore")
import pandas as pd
real, holdout, batch = (pd.read_parquet(path) for path in sys.argv[1:4])
numeric = [c for c in real if pd.api.types.is_numeric_dtype(real[c])]
labels = [c for c in real if c not in numeric]
kinds = {"columns": {c: {"sdtype": "numerical" if c in numeric else "categorical"} for c in real}}
"""
START = "\nstart, used = time.perf_counter(), time.process_time()\n"
TOLD = "\nprint(time.perf_counter() - start, time.process_time() - used)\n"
PEERS = {
    "SDMetrics quality report": (
        "sdmetrics",
        """
from sdmetrics.reports.single_table import QualityReport
QualityReport().generate(real, batch, kinds, verbose=False)
""",
    ),
    "SDMetrics KS, TV, correlation": (
        "sdmetrics",
        """
from sdmetrics.column_pairs import CorrelationSimilarity
from sdmetrics.single_column import KSComplement, TVComplement
for c in numeric: KSComplement.compute(real[c], batch[c])
for c in labels: TVComplement.compute(real[c], batch[c])
for i, a in enumerate(numeric):
    for b in numeric[i + 1:]: CorrelationSimilarity.compute(real[[a, b]], batch[[a, b]])
""",
    ),
    "SDMetrics DCR, 5,000 rows": (
        "sdmetrics",
        """
from sdmetrics.single_table import DCROverfittingProtection
DCROverfittingProtection.compute_breakdown(
    {"t": real}, {"t": batch}, holdout, {"tables": {"t": kinds}}, "t", num_rows_subsample=5000)
""",
    ),
    "anonymeter, 2,000 attacks": (
        "anonymeter",
        """
from anonymeter.evaluators import InferenceEvaluator, LinkabilityEvaluator, SinglingOutEvaluator
for mode in ("univariate", "multivariate"):
    SinglingOutEvaluator(ori=real, syn=batch, control=holdout, n_attacks=2000).evaluate(mode=mode)
halves = (list(real)[:7], list(real)[7:])
LinkabilityEvaluator(ori=real, syn=batch, control=holdout, n_attacks=2000, aux_cols=halves, n_neighbors=10).evaluate()
known = [c for c in real if c != "education"]
InferenceEvaluator(ori=real, syn=batch, control=holdout, aux_cols=known, secret="education", n_attacks=2000).evaluate()
""",
    ),
    "syntheval, 10,000 rows, no gaps": (
        "syntheval",
        """
from syntheval import SynthEval
real, holdout, batch = (t.dropna().head(n) for t, n in ((real, 10_000), (holdout, 5_000), (batch, 10_000)))
SynthEval(real, holdout_dataframe=holdout, cat_cols=labels, verbose=False).evaluate(
    batch, analysis_target_var="default", presets_file="full_eval")
""",
    ),
    "mostlyai-qa report": (
        "mostlyai-qa",
        """
from mostlyai import qa
qa.report(syn_tgt_data=batch, trn_tgt_data=real, hol_tgt_data=holdout, report_path="/dev/null")
""",
    ),
}
OURS = {
    "ours: fidelity, utility, privacy": """
import io
from synth_mlflow.checks import CheckInput
from synth_mlflow.data.columns import normalise
from synth_mlflow.data.task import Task
from synth_mlflow.gate.policy import load_check
checks = [load_check(name) for name in ("fidelity", "utility", "privacy")]
real, holdout, batch = (normalise(t) for t in (real, holdout, batch))
for check in checks:
    found = check.run(CheckInput(batch, real, holdout, Task("default", "binary"), "roc_auc", 0), check.defaults)
    for figure in found.figures.values(): figure.savefig(io.BytesIO(), dpi=120)
""",
    "ours: KS, TV, correlation": """
from synth_mlflow.metrics.associations import correlation
from synth_mlflow.metrics.distances import ks_distance, tv_distance
for c in numeric: ks_distance(real[c], batch[c])
for c in labels: tv_distance(real[c], batch[c])
for i, a in enumerate(numeric):
    for b in numeric[i + 1:]: abs(correlation(real[a], real[b]) - correlation(batch[a], batch[b]))
""",
}


def main() -> None:
    """Make what is missing, run all, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", default="", help="peers by the names of their environments")
    options = parser.parse_args()
    whole, simple = (_spent(Path(sys.executable), code) for code in OURS.values())
    for name, spent in zip(OURS, (whole, simple), strict=True):
        print(f"{name:34} {_told(spent)}", flush=True)
    for name, (package, code) in PEERS.items():
        if options.only and package not in options.only.split(","):
            continue
        spent = _spent(_python(options.folder, package), code)
        base = simple if "KS" in name else whole
        ratio = "" if isinstance(spent, str) or isinstance(base, str) else f"   theirs / ours {spent[1] / base[1]:6.2f}"
        print(f"{name:34} {_told(spent)}{ratio}", flush=True)


def _python(folder: Path, package: str) -> Path:
    python = folder / package / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", folder / package], check=True)
        subprocess.run([python, "-m", "pip", "install", "-q", package, "pyarrow"], check=True)
    return python


def _spent(python: Path, code: str) -> tuple[float, float] | str:
    """Wall and CPU seconds of one snippet in an interpreter of its own, or what went wrong."""
    lines = code.strip().splitlines()
    n_imports = sum(line.startswith(("import ", "from ")) for line in lines)  # they come first
    timed = "\n".join([READ, *lines[:n_imports], START, *lines[n_imports:], TOLD])
    tables = [str(ORACLES / f"{name}.parquet") for name in ("real", "holdout", "syn_gc")]
    start = time.perf_counter()
    try:
        ran = subprocess.run([python, "-c", timed, *tables], capture_output=True, text=True, timeout=TIME_LIMIT)
    except subprocess.TimeoutExpired:
        return f"not done after {time.perf_counter() - start:.0f} s"
    if ran.returncode:
        return f"failed: {ran.stderr.strip().splitlines()[-1][:120]}"
    wall, cpu = ran.stdout.strip().splitlines()[-1].split()
    return float(wall), float(cpu)


def _told(spent: tuple[float, float] | str) -> str:
    return spent if isinstance(spent, str) else f"{spent[0]:7.1f} s wall {spent[1]:7.1f} CPU s"


if __name__ == "__main__":
    main()
