"""What early stopping costs and saves in real sweeps, whose trials all ran to their end.

python benchmarks/stopping.py FOLDER_OF_SWEEPS [--orders 300]

Each sweep's trials come one after another in random orders, and ASHA stops them at the rungs of a
sweep file that does not speak of it. Theirs stops nothing. Points are of the best val_acc that any
epoch of a sweep had; "after 25%" is when a quarter of all its epochs are trained. Sweeps of fewer
than ten trials or eight epochs are left out.
"""

import argparse
import random
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
import pandas as pd

from cnnlib.journal.tables import read_results
from cnnlib.search.halving import Halving, Rungs

FACTOR = 3.0
BUDGETS = (0.15, 0.25, 0.4, 0.6)
COLUMNS = ["epochs", "best kept", "points lost", *(f"after {x:.0%}" for x in BUDGETS)]


def curves(folder: Path) -> dict[str, np.ndarray]:
    """The best val_acc so far after each epoch, by trial; of the length that most trials have."""
    epochs = read_results(folder).epochs.dropna(subset=["val_acc"]).sort_values("epoch")
    best = {trial: np.maximum.accumulate(g["val_acc"]) for trial, g in epochs.groupby("trial_id")}
    lengths = pd.Series([len(curve) for curve in best.values()])
    planned = int(
        lengths.max() if (lengths == lengths.max()).mean() > 0.3 else lengths.mode().max()
    )
    return {str(trial): curve.to_numpy()[:planned] for trial, curve in best.items()}


def replay(found: dict[str, np.ndarray], plan: Halving | None, seed: int) -> list[float]:
    """One order of the trials, as COLUMNS."""
    order = sorted(found)
    random.Random(seed).shuffle(order)
    rungs, seen = Rungs(plan) if plan else None, []
    for trial in order:
        curve = found[trial]
        trained = len(curve)
        for rung in [r for r in (plan.rungs if plan else ()) if r < len(curve)]:
            decision = rungs.decide(trial, rung, curve[rung - 1])
            rungs.add(trial, decision, curve[rung - 1])
            if decision.stop:
                trained = rung
                break
        seen.append(curve[:trained])
    reached = np.maximum.accumulate(np.concatenate(seen))
    total = sum(map(len, found.values()))
    best = max(curve[-1] for curve in found.values())
    lost = [best - reached[min(int(x * total), len(reached)) - 1] for x in (*BUDGETS, 1.0)]
    return [len(reached) / total, lost[-1] <= 0, *(100 * x for x in (lost[-1], *lost[:-1]))]


def main() -> None:
    flags = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    flags.add_argument("folder", type=Path)
    flags.add_argument("--orders", type=int, default=300)
    asked, rows = flags.parse_args(), {}
    for path in sorted(asked.folder.iterdir()):
        if not (path / "trials.csv").is_file():
            continue
        found = curves(path)
        length = max(map(len, found.values()))
        if len(found) < 10 or length < 8:
            continue
        for name, plan in (
            ("theirs", None),
            ("ours", Halving.by_default(length, FACTOR)),
        ):
            many = [replay(found, plan, seed) for seed in range(asked.orders)]
            rows[path.name, len(found), length, name] = np.mean(many, axis=0)
    table = pd.DataFrame.from_dict(rows, orient="index", columns=COLUMNS)
    table.index = pd.MultiIndex.from_tuples(table.index, names=["sweep", "n", "longest", "which"])
    print(table.round(2).to_string())
    print(table.groupby("which").mean().round(3).to_string())


if __name__ == "__main__":
    main()
