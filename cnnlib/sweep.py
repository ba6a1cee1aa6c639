"""A sweep: Ray Tune runs the trials, and everything that happens goes into the journal."""

import logging
import math
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd

# Ray reads these when it is imported.
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # or Ray warns of it
os.environ.setdefault("TUNE_DISABLE_AUTO_CALLBACK_LOGGERS", "1")  # the journal is the log
os.environ.setdefault("RAY_AIR_NEW_OUTPUT", "0")  # with it Tune prints tables at any verbosity
os.environ.setdefault("TUNE_DISABLE_SIGINT_HANDLER", "1")  # Ctrl-C is ours to handle

import ray
from ray import tune

from cnnlib.champion import Champion, crown
from cnnlib.config import TrialConfig, hyperparameters, told
from cnnlib.halving import AshaScheduler, Decision, Rungs
from cnnlib.journal import Journal
from cnnlib.plan import Plan, Settings
from cnnlib.progress import Progress, clock
from cnnlib.results import EPOCH_COLUMNS, Results, read_results, write_json
from cnnlib.space import searched
from cnnlib.tpe import Tpe
from cnnlib.tracking import Tracking, run_name
from cnnlib.trial import Task, ray_trial

GPUS_PER_TRIAL = 0.5
MAX_WORKER_LOSSES = 3  # times that a trial starts again because its worker or node died
METRICS = tuple(name for name in EPOCH_COLUMNS if name != "trial_id")
VERSIONS = ("cnnlib", "torch", "torchvision", "pytorch-lightning", "ray", "hyperopt", "wandb")


@dataclass(frozen=True)
class SweepResult:
    """What a sweep leaves: its folder, its two tables and its champion."""

    folder: Path
    trials: pd.DataFrame
    epochs: pd.DataFrame
    champion: Champion | None  # None where no trial finished an epoch
    interrupted: bool = False


@dataclass(frozen=True)
class Sweep(Settings):
    """A sweep of hyperparameters: `Sweep(data="photos", trials=30).run()`."""

    def run(self) -> SweepResult:
        """Plans and runs the sweep. Raises ValueError or OSError, in one line, before it starts."""
        return run(self.plan())


def run(plan: Plan) -> SweepResult:
    """Runs a planned sweep to its end, or to Ctrl-C: whatever was reached is in its folder."""
    began = time.monotonic()
    tracking = Tracking(
        plan.folder,
        mode=plan.wandb,
        project=plan.settings.wandb_project,
        sweep=plan.name,
    )
    plan.folder.mkdir(parents=True)
    about = _about(plan)
    write_json(plan.folder / "sweep.json", about)
    journal = Journal(plan.folder)
    progress = Progress(plan.trials)
    interrupted = False
    try:
        with _ray(plan.settings.verbose):
            _tune(plan, journal, tracking, progress)
    except KeyboardInterrupt:
        interrupted = True
    finally:
        journal.close()
        progress.close()
        tracking.close()
    results = read_results(plan.folder)
    results.write(plan.folder)
    best = results.best()
    champion = None
    if best is not None:
        champion = crown(plan.folder, best, plan.dataset, plan.image_size)
    about |= {
        "seconds": time.monotonic() - began,
        "slots": progress.slots,
        "interrupted": interrupted,
    }
    write_json(plan.folder / "sweep.json", about)
    progress.note(_time_spent(about, results))
    progress.note(tracking.line)
    return SweepResult(plan.folder, results.trials, results.epochs, champion, interrupted)


@contextmanager
def _ray(verbose: bool) -> Iterator[None]:
    """A Ray of our own, or in a Ray job the cluster's; it ends with the sweep."""
    # A bare ray.init() would join any cluster that runs on the machine.
    address = os.environ.get("RAY_ADDRESS", "local")
    local: dict[str, Any] = {"include_dashboard": False} if address == "local" else {}
    level = logging.INFO if verbose else logging.ERROR
    for name in ("ray", "ray.tune"):
        logging.getLogger(name).setLevel(level)
    ray.init(address=address, log_to_driver=verbose, logging_level=level, **local)
    try:
        yield
    finally:
        ray.shutdown()


def _tune(plan: Plan, journal: Journal, tracking: Tracking, progress: Progress) -> None:
    """Runs the trials through Ray Tune."""
    settings = plan.settings
    cpus, gpus = _resources(plan, progress)
    recorder = Recorder(journal, tracking, progress, plan)
    search = Tpe(
        plan.space,
        image_size=plan.image_size,
        # At random first: twice what runs at once, so that TPE has seen results when it begins.
        num_initial=max(2 * progress.slots, min(10, plan.trials // 2)),
        search=plan.search,
        seed=settings.seed,
        on_propose=recorder.on_propose,
    )
    task = Task(
        dataset=plan.dataset,
        image_size=plan.image_size,
        max_epochs=plan.max_epochs,
        patience=settings.patience,
        seed=settings.seed,
        cpus=cpus,
        accelerator="gpu" if gpus else "cpu",
        gpu_share=min(gpus, 1.0) if gpus else 1.0,
    )
    trainable = tune.with_parameters(ray_trial, task=task, checkpoints=plan.folder / "checkpoints")
    scheduler = AshaScheduler(Rungs(plan.halving), recorder.on_stop) if plan.halving else None
    with tempfile.TemporaryDirectory(prefix="cnnlib-tune-") as scratch:
        tune.Tuner(
            tune.with_resources(trainable, {"cpu": cpus, "gpu": gpus}),
            tune_config=tune.TuneConfig(
                search_alg=search,
                scheduler=scheduler,
                num_samples=plan.trials,
                max_concurrent_trials=progress.slots,
                time_budget_s=plan.time_budget,
                reuse_actors=True,
            ),
            run_config=tune.RunConfig(
                storage_path=scratch,  # what Tune keeps there is not needed after the sweep
                callbacks=[recorder],
                failure_config=tune.FailureConfig(max_failures=MAX_WORKER_LOSSES),
                verbose=2 if settings.verbose else 0,
            ),
        ).fit()


def _resources(plan: Plan, progress: Progress) -> tuple[int, float]:
    """CPUs and GPUs of a trial; how many trials run at once goes to `progress`."""
    settings, total = plan.settings, ray.cluster_resources()
    cpus, gpus = settings.cpus_per_trial, 0.0
    slots = int(total.get("CPU", 0.0)) // cpus
    if total.get("GPU"):
        gpus = GPUS_PER_TRIAL if settings.gpus_per_trial is None else settings.gpus_per_trial
        slots = min(slots, math.floor(total["GPU"] / gpus + 1e-9)) if gpus else slots
    progress.slots = max(1, min(slots, settings.max_concurrent or slots, plan.trials))
    device = f"{gpus:g} GPU and {cpus} CPU each" if gpus else f"{cpus} CPU each, no GPU"
    progress.note(f"{progress.slots} trials at once, {device}")
    return cpus, gpus


class Recorder(tune.Callback):
    """Writes what Ray does into the journal, and shows it on the screen and to W&B."""

    def __init__(
        self, journal: Journal, tracking: Tracking, progress: Progress, plan: Plan
    ) -> None:
        self._journal = journal
        self._tracking = tracking
        self._progress = progress
        self._searched = searched(plan.space)
        self._checkpoints = plan.folder / "checkpoints"
        self._stops: dict[str, Decision] = {}
        self._best: dict[str, tuple[float, int]] = {}  # trial_id -> best val_acc, its epoch
        self._kept: str | None = None  # the ended trial whose weights are kept

    def __getstate__(self) -> dict[str, Any]:
        """Nothing: Tune pickles its callbacks for a restore, and ours is the journal's matter."""
        return {}

    def on_propose(self, trial_id: str, config: TrialConfig) -> None:
        self._journal.append("proposed", trial_id=trial_id, config=asdict(config))

    def on_stop(self, trial_id: str, decision: Decision) -> None:
        self._stops[trial_id] = decision

    def on_trial_start(self, iteration: int, trials: list, trial: Any, **info: Any) -> None:
        trial_id, config = _config(trial)
        self._journal.append("started", trial_id=trial_id)
        self._best.pop(trial_id, None)
        short = {name: value for name, value in config.items() if name in self._searched}
        config = told(config, self._searched)
        self._tracking.start(trial_id, run_name(config), config)
        self._progress.started(trial_id, run_name(short))

    def on_trial_result(
        self, iteration: int, trials: list, trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        if "error" in result:
            return
        trial_id, _ = _config(trial)
        metrics = {name: result[name] for name in METRICS}
        self._journal.append("epoch", trial_id=trial_id, **metrics, node=result["node"])
        self._tracking.log(trial_id, metrics)
        if metrics["val_acc"] > self._best.get(trial_id, (-1.0, 0))[0]:
            self._best[trial_id] = metrics["val_acc"], metrics["epoch"]
        self._progress.epoch(trial_id, metrics["val_acc"])

    def on_trial_complete(self, iteration: int, trials: list, trial: Any, **info: Any) -> None:
        trial_id, _ = _config(trial)
        error = trial.last_result.get("error")
        if error is not None:
            self._end(trial_id, "failed", error, error=error)
        elif trial_id in self._stops:
            stop = self._stops[trial_id]
            text = f"at epoch {stop.rung}, below the cutoff {stop.cutoff:.3f}"
            self._end(trial_id, "stopped", text, rung=stop.rung, cutoff=stop.cutoff)
        else:
            self._end(trial_id, "completed", f"{trial.last_result['epoch']} epochs")

    def on_trial_recover(self, iteration: int, trials: list, trial: Any, **info: Any) -> None:
        self._progress.retried(_config(trial)[0])

    def on_trial_error(self, iteration: int, trials: list, trial: Any, **info: Any) -> None:
        last = type(trial.get_pickled_error()).__name__
        error = f"its worker was lost {MAX_WORKER_LOSSES + 1} times, the last time by {last}"
        self._end(_config(trial)[0], "failed", error, error=error)

    def _end(self, trial_id: str, status: str, text: str, **content: Any) -> None:
        event = {"completed": "finished"}.get(status, status)
        self._journal.append(event, trial_id=trial_id, **content)
        summary: dict[str, Any] = {}
        if trial_id in self._best:
            val_acc, epoch = self._best[trial_id]
            summary = {"val_acc": val_acc, "best_epoch": epoch}
            text = f"val_acc {val_acc:.3f}  {text}"
        self._tracking.finish(trial_id, status, summary)
        self._progress.ended(trial_id, status, text)
        self._prune(trial_id)

    def _prune(self, trial_id: str) -> None:
        """Of the trials that ended, the best keeps its weights."""

        def rank(trial: str) -> tuple[float, int]:
            return self._best[trial][0], -int(trial)  # of equals the first proposed, as in results

        loser: str | None = trial_id
        if trial_id in self._best and (self._kept is None or rank(trial_id) > rank(self._kept)):
            loser, self._kept = self._kept, trial_id
        if loser is not None:
            shutil.rmtree(self._checkpoints / loser, ignore_errors=True)


def _config(trial: Any) -> tuple[str, dict[str, Any]]:
    """Our id of a Ray trial, and its hyperparameters."""
    return trial.config["trial_id"], {name: trial.config[name] for name in hyperparameters()}


def _time_spent(about: dict[str, Any], results: Results) -> str:
    """Where the time went: decoding, training, and the rest."""
    seconds, slots = about["seconds"], about["slots"]
    training = results.epochs["seconds"].sum() / slots / seconds
    return (
        f"{clock(seconds)} in all: {slots} slots trained for {training:.0%} of it, the rest was "
        f"start and waiting; decoding before it took {about['decode_seconds']:.1f} s"
    )


def _about(plan: Plan) -> dict[str, Any]:
    """What sweep.json says of how the sweep was run."""
    settings, source = plan.settings, str(plan.settings.data)
    if Path(source).exists() and source != "sample":
        source = str(Path(source).absolute())
    return {
        "name": plan.name,
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": " ".join(sys.argv),
        "search": plan.search,
        "trials": plan.trials,
        "max_epochs": plan.max_epochs,
        "image_size": plan.image_size,
        "seed": settings.seed,
        "patience": settings.patience,
        "decode_seconds": plan.decode_seconds,
        "rungs": list(plan.halving.rungs) if plan.halving else [],
        "reduction_factor": plan.halving.reduction_factor if plan.halving else None,
        "space": {name: asdict(values) for name, values in plan.space.items()},
        "data": {
            "source": source,
            "fingerprint": plan.dataset.fingerprint,
            "classes": list(plan.dataset.classes),
            **plan.num_photos,
        },
        "versions": {"python": platform.python_version()} | {v: version(v) for v in VERSIONS},
        "commit": _commit(),
    }


def _commit() -> str | None:
    """The git commit of this code, None outside a checkout."""
    try:
        answer = subprocess.run(
            ["git", "rev-parse", "HEAD"],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            check=False,
        )
    except FileNotFoundError:
        return None
    return answer.stdout.strip() or None
