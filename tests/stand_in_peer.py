"""A small stand-in for SDV, and a Python of its own that it is installed for."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
from pathlib import Path

STAND_IN = {
    "sdv/__init__.py": "__version__ = '2.0.1'",
    "sdv/metadata.py": """
class Metadata:
    @classmethod
    def load_from_dict(cls, told):
        made = cls()
        made.columns = told["tables"]["rows"]["columns"]
        return made
""",
    "sdv/single_table.py": """
import os, random, sys, time
import numpy as np
import pandas as pd

class BootstrapSynthesizer:
    def __init__(self, metadata, shift=0.0, wrong=None):
        if shift < 0:
            raise ValueError("shift must not be negative")
        self.metadata, self.shift, self.wrong = metadata, shift, wrong

    def fit(self, data):
        (self.rows,) = data.values()
        assert list(self.rows) == list(self.metadata.columns)
        assert "synth_mlflow" not in sys.modules and "PYTHONPATH" not in os.environ
        if self.wrong == "raises":
            raise KeyError("no such column")
        if self.wrong == "hangs":
            time.sleep(600)
        if self.wrong == "dies":
            print("out of memory", file=sys.stderr, flush=True)
            os.kill(os.getpid(), 9)

    def _set_random_state(self, seed):
        self.seed = seed

    def sample(self, num_rows):
        made = self.rows.sample(num_rows, replace=True, random_state=self.seed).reset_index(drop=True)
        made["income"] = (made["income"] + self.shift + np.random.random(num_rows) + random.random()).round(2)
        made["since"] = made["since"] + pd.to_timedelta(np.random.randint(0, 9, num_rows), unit="D")
        made["age"] = made["age"] + 0.25 + (40 if self.wrong == "outside" else 0)
        if self.wrong == "columns":
            made = made.drop(columns="income")
        return {"rows": made.head(num_rows - 1) if self.wrong == "few" else made}
""",
    "sdv-2.0.1.dist-info/METADATA": "Metadata-Version: 2.1\nName: sdv\nVersion: 2.0.1\n",
}


def environment(folder: Path, files: dict[str, str]) -> str:
    """A Python that sees these files and this one's packages, but for what only `.pth` files install."""
    for name, text in files.items():
        (folder / "packages" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "packages" / name).write_text(text)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder / "env"], check=True)
    site = next((folder / "env" / "lib").glob("python*")) / "site-packages"
    paths = [str(folder / "packages"), *{sysconfig.get_paths()[key] for key in ("purelib", "platlib")}]
    (site / "others.pth").write_text("\n".join(paths))
    return str(folder / "env" / "bin" / "python")
