"""How often the three checks reject what a perfect generator would draw: other real rows. Run by hand, prints a table.

OMP_NUM_THREADS=1 python tests/benchmarks/validation_false_alarms.py              110 draws, three tables, several sizes
OMP_NUM_THREADS=1 python tests/benchmarks/validation_false_alarms.py --draws 3 --tables adult

Members, controls and batch are equally many rows of one table, drawn anew each time. A false alarm is a draw that any
of the three checks fails. Inconclusive is none, and is counted beside.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter

from validation_recipes import judged, world

from synth_mlflow.metrics.intervals import clopper_pearson

SIZES = {
    "oracle": (1_000, 2_000, 5_000, 10_000),
    "adult": (1_000, 2_000, 5_000, 10_000),
    "housing": (1_000, 2_000, 5_000),
}


def main() -> None:
    """Read the options, draw, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, default=10, help="for each table and size")
    parser.add_argument("--tables", default=",".join(SIZES))
    parser.add_argument("--sizes", default="", help="rows of each of the three parts, instead of the usual ones")
    parser.add_argument("--seed", type=int, default=0, help="of the first draw")
    options = parser.parse_args()
    lines, alarms, total = [], 0, 0
    for name in options.tables.split(","):
        for size in [int(one) for one in options.sizes.split(",") if one] or SIZES[name]:
            line, found = _drawn(name, size, range(options.seed, options.seed + options.draws))
            lines.append(line)
            alarms, total = alarms + found, total + options.draws
    print("\ntable    rows  draws  false alarms  inconclusive               CPU s a draw")
    print("\n".join(lines))
    low, high = clopper_pearson(alarms, total)
    print(f"together {total} draws, {alarms} false alarms of the whole battery (95 % interval {low:.1%} to {high:.1%})")


def _drawn(name: str, size: int, seeds: range) -> tuple[str, int]:
    alarms, unsure, start = 0, Counter[str](), time.process_time()
    for seed in seeds:
        real = world(name, seed, sizes=(size, size, size))
        rulings = judged(real.fresh, real, seed)
        alarms += any(ruling.verdict == "fail" for ruling in rulings.values())
        unsure.update(check for check, ruling in rulings.items() if ruling.verdict == "inconclusive")
        for check, ruling in rulings.items():
            if ruling.verdict == "fail":
                print(f"{name} {size:,} seed {seed}: {check} {ruling.reasons[0]}", flush=True)
    said = ", ".join(f"{check} {n}" for check, n in unsure.items()) or "none"
    seconds = (time.process_time() - start) / len(seeds)
    line = f"{name:8} {size:5} {len(seeds):6} {alarms:13}  {said:25} {seconds:6.1f}"
    print(line, flush=True)
    return line, alarms


if __name__ == "__main__":
    main()
