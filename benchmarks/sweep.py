"""A whole sweep of the study's space: ours against the same trials one after another, as published.

python benchmarks/sweep.py [--data ZIP_OR_FOLDER] [--trials N] [--max-epochs N] [--their-minutes M]

Both are timed until they have reached the best val_acc of the slower one. Ours is `jobs/tune.py`,
with Ray's start and the report left out; theirs (published.py) trains the configurations that ours
proposed, each to the end with early stopping after 5 epochs, and ends when it has reached ours.
`--their-minutes` ends it earlier; what it has reached by then is what both are timed to.
"""

import argparse
import json
import sys
import tempfile
import time
import warnings
from datetime import datetime
from pathlib import Path

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
from cnnlib.training.trial import Task, quiet_libraries

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


def main() -> None:
    flags = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    flags.add_argument("--data", default="sample")
    flags.add_argument("--image-size", type=int, default=32)
    flags.add_argument("--trials", type=int, default=24)
    flags.add_argument("--max-epochs", type=int, default=12)
    flags.add_argument("--their-minutes", type=float, default=float("inf"))
    asked = flags.parse_args()
    quiet_libraries()
    warnings.filterwarnings("ignore")
    with tempfile.TemporaryDirectory() as folder:
        plan = make_plan(Settings(
            data=asked.data, sweep=SWEEPS / "inaturalist.yaml", trials=asked.trials,
            max_epochs=asked.max_epochs, image_size=asked.image_size, storage=folder, wandb="off",
            finalists=0,
        ))  # fmt: skip
        fast, configs = ours(plan)
    best = max(val_acc for _, val_acc in fast)
    print(f"ours: {len(configs)} trials, {fast[-1][0]:.0f} s, best {best:.3f}", flush=True)
    slow = theirs(plan, configs, best, 60 * asked.their_minutes)
    target = min(best, max(val_acc for _, val_acc in slow))
    print(json.dumps({"ours": fast, "theirs": slow}))
    our_seconds, their_seconds = seconds_to(fast, target), seconds_to(slow, target)
    print(HEAD)
    show(
        __file__,
        f"{asked.trials} trials, up to {asked.max_epochs} epochs, {asked.image_size} px, "
        f"until val_acc {target:.3f}",
        theirs=f"published, one after another: {their_seconds:,.0f} s",
        ours=f"{our_seconds:,.0f} s (whole sweep {fast[-1][0]:,.0f} s, {best:.3f})",
        ratio=f"{their_seconds / our_seconds:.1f}x",
    )


if __name__ == "__main__":
    main()
