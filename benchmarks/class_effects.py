"""Does the report find what helps one class and hurts another, and only then?

python benchmarks/class_effects.py [--scenario NAME] [--sweeps N] [--processes N]

Simulated sweeps of 60 trials at random over the study's values, 10 classes with 32 validation
photographs each. Hyperparameters move all classes alike, classes differ in difficulty, and a trial
favours some classes by chance (3 points). "collapsing": 25% of the trials with learning rate 0.01
and no batch norm know a single class. "planted": dropout 0.3 gives one class 8 points more than
0.2 and takes 8 of another.
"""

import argparse
import sys
from functools import partial
from multiprocessing import Pool
from pathlib import Path

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from analysis.reading.folder import SweepFolder
from analysis.statistics.classes import class_effects
from analysis.statistics.comparison import compare
from cnnlib.journal.scores import wilson_interval
from cnnlib.networks.values import Choice
from cnnlib.search.sweep_file import read_sweep_file

SPACE = read_sweep_file(Path(__file__).parents[1] / "cnnlib" / "sweeps" / "inaturalist.yaml").space
VALUES = {name: v.values for name, v in SPACE.items() if isinstance(v, Choice)}
TRIALS, CLASSES, PHOTOGRAPHS = 60, 10, 32
SCENARIOS = ("nothing", "collapsing", "planted")
PLANTED = 0.08


def simulate(scenario: str, seed: int) -> SweepFolder:
    """A sweep of random search, each trial's recalls counted at its end."""
    rng = np.random.default_rng(seed)
    drawn = {n: [v[i] for i in rng.integers(0, len(v), TRIALS)] for n, v in VALUES.items()}
    trials = pd.DataFrame(drawn)
    level = 0.35 + 0.06 * (trials["learning_rate"] == 0.001) + 0.04 * trials["batch_norm"]
    level += rng.normal(0, 0.025, TRIALS)
    recalls = level.to_numpy(float)[:, None] + rng.normal(0, 0.12, CLASSES)
    recalls = recalls + rng.normal(0, 0.03, (TRIALS, CLASSES))
    if scenario == "planted":
        change = PLANTED * (trials["dropout"] == 0.3).to_numpy()
        recalls[:, 0], recalls[:, 1] = recalls[:, 0] + change, recalls[:, 1] - change
    if scenario == "collapsing":
        at_risk = (trials["learning_rate"] == 0.01) & ~trials["batch_norm"].astype(bool)
        collapsed = at_risk & (rng.random(TRIALS) < 0.25)
        recalls[collapsed] = np.eye(CLASSES)[rng.integers(0, CLASSES, int(collapsed.sum()))]
    hits = rng.binomial(PHOTOGRAPHS, recalls.clip(0, 1))
    trials.insert(0, "trial_id", [f"{number:04d}" for number in range(TRIALS)])
    trials["val_acc"] = hits.mean(axis=1) / PHOTOGRAPHS
    table = pd.DataFrame(hits / PHOTOGRAPHS, index=trials["trial_id"])
    table.columns = [f"class {number}" for number in range(CLASSES)]
    return SweepFolder(
        path=Path("simulated"),
        trials=trials,
        epochs=pd.DataFrame(columns=["trial_id", "epoch", "val_acc"]),
        hyperparameters=list(VALUES),
        class_recalls=table.melt(
            var_name="class", value_name="val_recall", ignore_index=False
        ).reset_index(),
    )


def assess(scenario: str, seed: int) -> dict[str, bool]:
    """What is said of one sweep: anything that is not so, and both classes that were planted."""
    sweep = simulate(scenario, seed)
    rows = class_effects(sweep, compare(sweep)).significant
    true = (rows["hyperparameter"] == "dropout") & rows["class"].isin(["class 0", "class 1"])
    true &= scenario == "planted"
    return {
        "any false one called": bool((~true).any()),
        "a planted one found": bool(true.any()),
        "both planted found": rows.loc[true, "class"].nunique() == 2,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scenario", choices=SCENARIOS, action="append")
    parser.add_argument("--sweeps", type=int, default=400)
    parser.add_argument("--processes", type=int, default=2)
    flags = parser.parse_args()
    for scenario in flags.scenario or SCENARIOS:
        with Pool(flags.processes) as pool:
            table = pd.DataFrame(pool.map(partial(assess, scenario), range(flags.sweeps)))
        for name in table if scenario == "planted" else ["any false one called"]:
            low, high = wilson_interval(int(table[name].sum()), len(table))
            share = f"{table[name].mean():.3f}  ({low:.3f} to {high:.3f})"
            print(f"{scenario:12} {name:24} {share}", flush=True)


if __name__ == "__main__":
    main()
