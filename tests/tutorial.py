"""The six stages in a notebook: a script in cells (``# %%``), for Jupyter, VS Code or PyCharm; a test runs it whole."""

# %% [markdown]
# A clinic's own rows hold hardly any large tumours. A partner has such rows, which may not leave the house. Synthetic
# rows learned from them may, if they pass. The tables ship with scikit-learn; all is written below the working folder.

# %%
from pathlib import Path

import mlflow
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import balanced_accuracy_score

from synth_mlflow import GateError, Workflow
from synth_mlflow.data.templates import write_demo

folder = Path("tutorial")
write_demo(folder)
workflow = Workflow("demo-breast-cancer", say=print)

# %% [markdown]
# ## 1. Define: people write down the gap, the metric and the threshold
# A blank is refused. `(folder / "problem.md").read_text()` shows what was written.

# %%
workflow.define(folder / "problem.md")

# %% [markdown]
# ## 2. Freeze: real rows that no generator ever sees, and what real rows alone reach on them

# %%
workflow.freeze()

# %% [markdown]
# Nothing is swept before something has passed:

# %%
try:
    workflow.sweep()
except GateError as refusal:
    print(refusal)

# %% [markdown]
# ## 3. Generate: no batch without its record

# %%
partner = folder / "partner_clinic.csv"
batch = workflow.generate("gaussian_copula", rows=288, seed=0, purpose="large tumours", source=partner)
batch

# %% [markdown]
# ## 4. Validate: what fails never enters training

# %%
verdict = workflow.validate(batch, source=partner)
workflow.checks()[["check", "verdict", "reason"]]

# %% [markdown]
# ## 5. Sweep: the whole curve, and a choice by a stated rule

# %%
curve = workflow.sweep(repeats=4)
print(curve.decision)
curve.figure()

# %%
workflow.curve()[["ratio", "score", "low", "high", "gain", "placebo"]]

# %% [markdown]
# ## 6. Report: what the next engineer reads

# %%
workflow.report(folder / "handoff.html")
workflow.status()

# %% [markdown]
# ## A model of your own on the same rows
# Its lineage stands on its run before it holds a row, so that it is found when a batch turns out bad.

# %%
with mlflow.start_run(run_name="our own model") as run:
    data = workflow.training_data(0.5)
    model = HistGradientBoostingClassifier(max_iter=50).fit(data.X, data.y)
    held_out = workflow.evaluation_rows()
    score = balanced_accuracy_score(held_out[data.target], model.predict(held_out[data.X.columns]))
    mlflow.log_metric("balanced_accuracy", score)

print(f"{score:.3f}")
workflow.trace(batch.batch)
