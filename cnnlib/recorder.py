"""What Ray Tune asks of a sweep and tells it: thin shells around the ledger."""

import errno
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ray import tune
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher

from cnnlib.checkpoints import BEST, prune
from cnnlib.config import hyperparameters, told
from cnnlib.ledger import Ledger, Trial
from cnnlib.node import WAITING
from cnnlib.progress import Progress
from cnnlib.results import CLASS_COUNTS, EPOCH_COLUMNS
from cnnlib.space import searched
from cnnlib.storage import prune_storage
from cnnlib.tracking import Tracked, Tracking
from cnnlib.traffic import MOVED
from cnnlib.wandb_names import run_name

METRICS = tuple(name for name in EPOCH_COLUMNS if name != "trial_id")
CHECKS = 2.0  # seconds between looks whether this driver may go on
MAX_WORKER_LOSSES = 3  # times that a trial goes on because its worker or node died


class Recorder(tune.Callback):
    """Writes what Ray does into the journal, and shows it on the screen and to W&B."""

    def __init__(
        self,
        ledger: Ledger,
        tracking: Tracking,
        progress: Progress,
        checkpoints: Path,
        bucket: str | None = None,
        check: Callable[[], None] = lambda: None,
    ) -> None:
        """Checkpoints are pruned in a folder, and in a bucket where the nodes keep them there.

        `check` raises where this driver has to end; it is asked now and then.
        """
        self._check = check
        self._checked = time.monotonic()
        self._ledger = ledger
        self._tracking = tracking
        self._progress = progress
        self._searched = searched(ledger.terms.space)
        self._checkpoints = checkpoints
        self._bucket = bucket
        self._prune()

    def __getstate__(self) -> dict[str, Any]:
        """Nothing: Tune pickles its callbacks for a restore, and ours is the journal's matter."""
        return {}

    def on_step_begin(self, iteration: int, trials: list, **info: Any) -> None:
        if time.monotonic() - self._checked > CHECKS:
            self._check()
            self._checked = time.monotonic()

    def next_config(self) -> dict[str, Any] | None:
        """The configuration of the next trial for Ray; None when there is none."""
        trial = self._ledger.next_trial()
        if trial is None:
            return None
        config = asdict(trial.config)
        own = {"max_epochs": trial.max_epochs, "after_epoch": trial.epoch}
        return {"trial_id": trial.trial_id, "name": self._short_name(config), **own, **config}

    def _short_name(self, config: dict[str, Any]) -> str:
        """A trial's name by the hyperparameters that are searched."""
        return run_name({name: value for name, value in config.items() if name in self._searched})

    def goes_on(self, trial_id: str, result: dict[str, Any]) -> bool:
        """Takes note of what a trial reports, and whether it trains on."""
        if result.get("disk"):
            raise OSError(errno.ENOSPC, f"trial {trial_id} cannot write: {result['error']}")
        if WAITING in result:
            self._progress.note(f"trial {trial_id} waits      {result['node']}: {result[WAITING]}")
            return True
        if moved := _inner(result, MOVED):
            self._ledger.moved(result["node"], moved)
        if "error" in result or result["epoch"] <= self._ledger.trials[trial_id].epoch:
            return True  # a failure, which ends by itself, or what a trial repeats
        metrics = {name: result[name] for name in METRICS}
        more = {"node": result["node"]} if "node" in result else {}
        if counts := _inner(result, CLASS_COUNTS):
            more[CLASS_COUNTS] = counts
        decision = self._ledger.epoch(trial_id, metrics | more)
        self._tracking.log(trial_id, metrics)
        self._progress.epoch(trial_id, metrics["val_acc"])
        if decision and decision.audited:
            self._progress.audited(trial_id, f"{decision.why}, goes on all the same")
        if self._ledger.trials[trial_id].diverged:
            return False
        return decision is None or not decision.stop

    def on_trial_start(self, iteration: int, trials: list, trial: Any, **info: Any) -> None:
        trial_id, config = _config(trial)
        after = self._ledger.trials[trial_id].epoch
        self._ledger.start(trial_id)
        self._progress.started(trial_id, self._short_name(config), after)
        config = told(config, self._searched)
        self._tracking.start(trial_id, run_name(config), config)

    def on_trial_complete(self, iteration: int, trials: list, trial: Any, **info: Any) -> None:
        last = trial.last_result or {}
        self._end(_config(trial)[0], last.get("error"), last.get("traceback"))

    def on_trial_recover(self, iteration: int, trials: list, trial: Any, **info: Any) -> None:
        trial_id, error = _config(trial)[0], trial.get_pickled_error()
        preempted = bool(getattr(error, "preempted", False))  # Ray does not count these
        self._ledger.lost(trial_id, error=_lost_by(error), preempted=preempted)
        self._progress.lost(trial_id, self._ledger.trials[trial_id].epoch)

    def on_trial_error(self, iteration: int, trials: list, trial: Any, **info: Any) -> None:
        last = _lost_by(trial.get_pickled_error())
        error = f"its worker was lost {MAX_WORKER_LOSSES + 1} times, the last time by {last}"
        self._end(_config(trial)[0], error)

    def _end(self, trial_id: str, error: str | None, traceback: str | None = None) -> None:
        status = self._ledger.end(trial_id, error, traceback)
        trial = self._ledger.trials[trial_id]
        text = trial.diverged or f"{trial.epoch} epochs"
        if error:
            folder = self._checkpoints.parent
            text = f"{error}; its log: python -m cnnlib.journal {folder} --trial {trial_id}"
        if status == "stopped" and trial.stop:
            text = trial.stop.why
        if trial.best_epoch:
            text = f"val_acc {trial.best:.3f}  {text}"
        self._tracking.finish(trial_id, status, _summary(trial))
        self._progress.ended(trial_id, status, text)
        self._prune()

    def _prune(self) -> None:
        best = self._ledger.best
        running = {t.trial_id for t in self._ledger.trials.values() if t.status == "running"}

        def is_needed(trial_id: str, name: str) -> bool:
            """Running ones need all, the best that ended its best weights."""
            return trial_id in running or bool(best and (trial_id, name) == (best.trial_id, BEST))

        prune(self._checkpoints, is_needed)
        if self._bucket:
            prune_storage(self._bucket, is_needed)


def _inner(result: Mapping[str, Any], name: str) -> dict[str, Any]:
    """A dictionary in what a trial reported; Tune has made it keys of their own, name/key."""
    start = f"{name}/"
    return {key.removeprefix(start): v for key, v in result.items() if key.startswith(start)}


def _lost_by(error: Exception | None) -> str:
    """What a worker was lost by; Ray knows no error where its whole machine is gone."""
    return "the death of its machine" if error is None else type(error).__name__


def _summary(trial: Trial) -> dict[str, Any]:
    return {"val_acc": trial.best, "best_epoch": trial.best_epoch} if trial.best_epoch else {}


def tracked(ledger: Ledger, events: Iterable[Mapping[str, Any]]) -> list[Tracked]:
    """The trials that were started, as the journal knows them, for W&B."""
    rows: dict[str, list[dict[str, Any]]] = {}
    for event in events:
        if event["event"] == "started":
            rows.setdefault(event["trial_id"], [])
        elif event["event"] == "epoch":
            rows[event["trial_id"]].append({name: event.get(name) for name in METRICS})
    names = searched(ledger.terms.space)
    configs = {
        trial_id: told(asdict(trial.config), names) for trial_id, trial in ledger.trials.items()
    }
    return [
        Tracked(
            trial_id, run_name(configs[trial_id]), configs[trial_id], rows[trial_id],
            trial.status, _summary(trial),
        )
        for trial_id, trial in ledger.trials.items()
        if trial_id in rows
    ]  # fmt: skip


def silent(events: Sequence[Mapping[str, Any]]) -> float:
    """Seconds since the last event."""
    last = datetime.fromisoformat(events[-1]["time"])
    return (datetime.now(UTC) - last).total_seconds()


def _config(trial: Any) -> tuple[str, dict[str, Any]]:
    """Our id of a Ray trial, and its hyperparameters."""
    return trial.config["trial_id"], {name: trial.config[name] for name in hyperparameters()}


class Search(Searcher):
    """Asks the recorder for the next trial."""

    def __init__(self, recorder: Recorder) -> None:
        super().__init__()
        self._recorder = recorder

    def suggest(self, trial_id: str) -> dict[str, Any] | str:  # type: ignore[override]
        return self._recorder.next_config() or Searcher.FINISHED

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Nothing: the recorder has been told."""

    def save(self, checkpoint_path: str) -> None:
        """Nothing: the journal is the memory of a sweep."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing: the journal is the memory of a sweep."""


class Scheduler(FIFOScheduler):
    """Tells the recorder each report, before anyone else hears of it, and stops as it says."""

    def __init__(self, recorder: Recorder) -> None:
        super().__init__()
        self._recorder = recorder

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        goes_on = self._recorder.goes_on(trial.config["trial_id"], result)
        return TrialScheduler.CONTINUE if goes_on else TrialScheduler.STOP
