"""Whole sweeps of the study's space: ours against trials one after another, as published.

python benchmarks/sweep.py [--data ZIP_OR_FOLDER] [--search NAME] [--trials N] [--max-epochs N]
    [--seeds N] [--their-minutes M]

Ours is `jobs/tune.py` on each seed, which is that of the split too, with Ray's start and the report
left out. Theirs (published.py) trains, once, the configurations that ours proposed on the first
seed, each to the end with early stopping after 5 epochs, and ends when it has reached the best of
ours. `--their-minutes` ends it earlier. A ratio is of the times to the best val_acc that both have
reached, ours on that seed; what counts is their median.
"""

import argparse
import json
import sys
import tempfile
import time
import warnings
from datetime import datetime
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import published
import torch
from rows import HEAD, show

from cnnlib.journal.events import read_events
from cnnlib.networks.cnn.family import TrialConfig
from cnnlib.planning.make_plan import SWEEPS, make_plan
from cnnlib.planning.plan import Plan
from cnnlib.planning.settings import Settings
from cnnlib.running.sweep import run
from cnnlib.search.searchers import SEARCHERS
from cnnlib.training.trial import Task, quiet_libraries

STUDY_SEED = 42  # the default of --seed, and the first of ours
Curve = list[tuple[float, float]]  # seconds since the start, val_acc


class EnoughError(Exception):
    """Theirs has reached what ours reached, or its time is over."""


def ours(plan: Plan) -> tuple[Curve, list[TrialConfig]]:
    """When which val_acc was reached, and the configurations in the order of their proposal."""
    began = time.time()
    run(plan)
    events = list(read_events(plan.folder))
    curve = [
        (datetime.fromisoformat(event["time"]).timestamp() - began, event["val_acc"])
        for event in events
        if event["event"] == "epoch"
    ]
    proposed = [event["config"] for event in events if event["event"] == "proposed"]
    return curve, [TrialConfig.from_mapping(config) for config in proposed]


def theirs(plan: Plan, configs: list[TrialConfig], target: float, seconds: float) -> Curve:
    curve: Curve = []
    began = time.time()

    def on_val_acc(val_acc: float) -> None:
        curve.append((time.time() - began, val_acc))
        if val_acc >= target or curve[-1][0] > seconds:
            raise EnoughError

    task = Task(
        plan.dataset, plan.image_size, plan.max_epochs, plan.settings.patience,
        plan.settings.seed, torch.get_num_threads(),
    )  # fmt: skip
    try:
        for number, config in enumerate(configs, 1):
            published.train(config, task, on_val_acc)
            print(f"theirs: {number} of {len(configs)} trials, {curve[-1][0]:.0f} s", flush=True)
    except EnoughError:
        pass
    return curve


def seconds_to(curve: Curve, target: float) -> float:
    return min(seconds for seconds, val_acc in curve if val_acc >= target)


def best(curve: Curve) -> float:
    return max(val_acc for _, val_acc in curve)


def main() -> None:
    flags = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    flags.add_argument("--data", default="sample")
    flags.add_argument("--search", choices=tuple(SEARCHERS), default=None)
    flags.add_argument("--image-size", type=int, default=32)
    flags.add_argument("--trials", type=int, default=24)
    flags.add_argument("--max-epochs", type=int, default=12)
    flags.add_argument("--seeds", type=int, default=1)
    flags.add_argument("--their-minutes", type=float, default=float("inf"))
    asked = flags.parse_args()
    quiet_libraries()
    warnings.filterwarnings("ignore")
    plans, sweeps = [], []
    for seed in range(STUDY_SEED, STUDY_SEED + asked.seeds):
        with tempfile.TemporaryDirectory() as folder:
            plan = make_plan(Settings(
                data=asked.data, sweep=SWEEPS / "inaturalist.yaml", trials=asked.trials,
                max_epochs=asked.max_epochs, image_size=asked.image_size, storage=folder,
                search=asked.search, seed=seed, wandb="off", finalists=0,
            ))  # fmt: skip
            plans.append(plan)
            sweeps.append(ours(plan))
        fast = sweeps[-1][0]
        print(f"ours, seed {seed}: {fast[-1][0]:.0f} s, best {best(fast):.3f}", flush=True)
    curves = [fast for fast, _ in sweeps]
    slow = theirs(plans[0], sweeps[0][1], max(map(best, curves)), 60 * asked.their_minutes)
    print(json.dumps({"ours": curves, "theirs": slow}))
    print(HEAD)
    ratios = []
    for seed, fast in enumerate(curves, STUDY_SEED):
        target = min(best(fast), best(slow))
        our_seconds, their_seconds = seconds_to(fast, target), seconds_to(slow, target)
        ratios.append(their_seconds / our_seconds)
        show(
            __file__,
            f"{asked.trials} trials, up to {asked.max_epochs} epochs, {asked.image_size} px, "
            f"seed {seed}, until val_acc {target:.3f}",
            theirs=f"published, one after another: {their_seconds:,.0f} s",
            ours=f"{our_seconds:,.0f} s (whole sweep {fast[-1][0]:,.0f} s, {best(fast):.3f})",
            ratio=f"{ratios[-1]:.1f}x",
        )
    print(f"median of {len(ratios)}: {median(ratios):.1f}x")


if __name__ == "__main__":
    main()
