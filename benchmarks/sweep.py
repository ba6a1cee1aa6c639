"""Whole sweeps of the study's space: ours against trials one after another, as published.

python benchmarks/sweep.py [--data ZIP_OR_FOLDER] [--search NAME] [--trials N] [--max-epochs N]
    [--seeds N] [--same-trials] [--their-minutes M]

Ours is `jobs/tune.py` on each seed, which is that of the split too, with Ray's start and the report
left out. Theirs (published.py) trains, once, what W&B's own search proposes for the same sweep file
(`method: bayes`, by its package `sweeps`: pip install sweeps), with --same-trials the
configurations that ours proposed on the first seed; each to the end with early stopping after 5
epochs. It ends after as many trials, or when it has reached the best of ours; `--their-minutes`
ends it earlier. A ratio is of the times to the best val_acc that both have reached, ours on that
seed; what counts is their median.
"""

import argparse
import json
import sys
import tempfile
import time
import warnings
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
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
from cnnlib.storage.yaml_file import read_yaml
from cnnlib.training.trial import Task, quiet_libraries

STUDY = SWEEPS / "inaturalist.yaml"
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


class Bayes:
    """W&B's search: a Gaussian process over what was tried, told every epoch as W&B is."""

    def __init__(self, content: dict, seed: int) -> None:
        import sweeps

        self._sweeps, self._content, self._seed = sweeps, content, seed
        self._runs: list[Any] = []

    def propose(self) -> TrialConfig:
        np.random.seed(self._seed + len(self._runs))
        run = self._sweeps.next_run(self._content, self._runs)
        self._runs.append(run)
        return TrialConfig.from_mapping({n: each["value"] for n, each in run.config.items()})

    def tell(self, accuracies: list[float]) -> None:
        run = self._runs[-1]
        run.state = self._sweeps.RunState.finished
        run.history = [{"val_acc": val_acc} for val_acc in accuracies]
        run.summary_metrics = run.history[-1]


class InOrder:
    """Configurations of somebody else's."""

    def __init__(self, configs: list[TrialConfig]) -> None:
        self._configs = iter(configs)

    def propose(self) -> TrialConfig | None:
        return next(self._configs, None)

    def tell(self, accuracies: list[float]) -> None:
        pass


def theirs(plan: Plan, search: Bayes | InOrder, target: float, seconds: float) -> Curve:
    curve: Curve = []
    accuracies: list[float] = []
    began = time.time()

    def on_val_acc(val_acc: float) -> None:
        accuracies.append(val_acc)
        curve.append((time.time() - began, val_acc))
        if val_acc >= target or curve[-1][0] > seconds:
            raise EnoughError

    task = Task(
        plan.dataset, plan.image_size, plan.max_epochs, plan.settings.patience,
        plan.settings.seed, torch.get_num_threads(),
    )  # fmt: skip
    try:
        for number in range(1, plan.trials + 1):
            accuracies.clear()
            if (config := search.propose()) is None:
                break
            published.train(config, task, on_val_acc)
            search.tell(accuracies)
            reached = f"{max(accuracies):.3f} after {curve[-1][0]:.0f} s"
            print(f"theirs: {number} of {plan.trials} trials, this {reached}", flush=True)
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
    flags.add_argument("--same-trials", action="store_true")
    flags.add_argument("--their-minutes", type=float, default=float("inf"))
    asked = flags.parse_args()
    if not asked.same_trials and not find_spec("sweeps"):
        flags.error("W&B's search is not installed: pip install sweeps, or --same-trials")
    quiet_libraries()
    warnings.filterwarnings("ignore")
    plans, sweeps = [], []
    for seed in range(STUDY_SEED, STUDY_SEED + asked.seeds):
        with tempfile.TemporaryDirectory() as folder:
            plan = make_plan(Settings(
                data=asked.data, sweep=STUDY, trials=asked.trials,
                max_epochs=asked.max_epochs, image_size=asked.image_size, storage=folder,
                search=asked.search, seed=seed, wandb="off", finalists=0,
            ))  # fmt: skip
            plans.append(plan)
            sweeps.append(ours(plan))
        fast = sweeps[-1][0]
        print(f"ours, seed {seed}: {fast[-1][0]:.0f} s, best {best(fast):.3f}", flush=True)
    curves = [fast for fast, _ in sweeps]
    same = asked.same_trials
    search = InOrder(sweeps[0][1]) if same else Bayes(read_yaml(STUDY), STUDY_SEED)
    slow = theirs(plans[0], search, max(map(best, curves)), 60 * asked.their_minutes)
    print(json.dumps({"ours": curves, "theirs": slow}))
    print(HEAD)
    who = "ours one after another" if same else "W&B's bayes"
    ratios = []
    for seed, fast in enumerate(curves, STUDY_SEED):
        target = min(best(fast), best(slow))
        our_seconds, their_seconds = seconds_to(fast, target), seconds_to(slow, target)
        ratios.append(their_seconds / our_seconds)
        show(
            __file__,
            f"{asked.trials} trials, up to {asked.max_epochs} epochs, {asked.image_size} px, "
            f"seed {seed}, until val_acc {target:.3f}",
            theirs=f"published, {who}: {their_seconds:,.0f} s (best {best(slow):.3f})",
            ours=f"{our_seconds:,.0f} s (whole sweep {fast[-1][0]:,.0f} s, {best(fast):.3f})",
            ratio=f"{ratios[-1]:.1f}x",
        )
    print(f"median of {len(ratios)}: {median(ratios):.1f}x")


if __name__ == "__main__":
    main()
