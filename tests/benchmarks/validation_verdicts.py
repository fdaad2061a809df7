"""Verdicts on fresh draws of every kind of batch with a known answer, on real tables: run by hand, prints a table.

OMP_NUM_THREADS=2 python tests/benchmarks/validation_verdicts.py                       all recipes on all tables
OMP_NUM_THREADS=2 python tests/benchmarks/validation_verdicts.py --tables adult --recipes cart,smote --seed 4

Ends with 1 if a verdict is not as it must be.
"""

from __future__ import annotations

import argparse
import sys
import time

from validation_recipes import RECIPES, WORLDS, batch, judged, world


def main() -> None:
    """Read the options, judge, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", default=",".join(WORLDS))
    parser.add_argument("--recipes", default=",".join(RECIPES))
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    wrong = 0
    for name in options.tables.split(","):
        real = world(name, options.seed)
        for kind in options.recipes.split(","):
            start = time.process_time()
            rulings = judged(batch(RECIPES[kind], real, options.seed), real, options.seed)
            verdicts = {check: ruling.verdict for check, ruling in rulings.items()}
            mistake = RECIPES[kind].wrong(verdicts)
            wrong += bool(mistake)
            shown = "  ".join(f"{verdict:12}" for verdict in verdicts.values())
            print(f"{name:13} {kind:9} {shown} {time.process_time() - start:5.1f} CPU s  {mistake}", flush=True)
            for check, ruling in rulings.items():
                if ruling.verdict != "pass":
                    print(f"{'':24}{check}: {ruling.reasons[0][:150]}", flush=True)
    print(f"{wrong} verdicts are not as they must be")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
