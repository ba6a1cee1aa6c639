"""What Ray Tune asks of a sweep and tells it: thin shells around the ledger."""

import errno
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ray import tune
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher

from cnnlib.journal.columns import CLASS_COUNTS, EPOCH_COLUMNS
from cnnlib.journal.event_shapes import OWN_FIELDS
from cnnlib.journal.ledger import Cost, Ledger
from cnnlib.journal.requests import requests
from cnnlib.journal.tables import LOGGED
from cnnlib.search.space import searched
from cnnlib.storage.traffic import MOVED
from cnnlib.storage.training_files import BEST, prune, prune_bucket
from cnnlib.tracking.names import run_name
from cnnlib.training.on_machine import WAITING

METRICS = tuple(name for name in EPOCH_COLUMNS if name != "trial_id")
CHECKS = 2.0  # seconds between looks for what a person asks
MAX_WORKER_LOSSES = 3  # times that a trial goes on because its worker or node died


class Recorder(tune.Callback):
    """Writes what Ray does into the journal."""

    def __init__(
        self,
        ledger: Ledger,
        note: Callable[[str], None],
        checkpoints: Path,
        bucket: str | None = None,
        check: Callable[[], None] = lambda: None,
        *,
        seconds: float = math.inf,
        cost: Cost | None = None,
    ) -> None:
        """Checkpoints are pruned in a folder, and in a bucket where the nodes keep them there.

        `note` is told in a line what a trial waits for, which is no event. `check` raises where
        this driver has to end; it is asked at each step. Nothing begins that does not get far
        enough in the `seconds` of the search by its `cost`.
        """
        self._check = check
        self._ends = time.monotonic() + seconds
        self._cost = cost
        self._checked = time.monotonic()
        self._ledger = ledger
        self._note = note
        self._searched = searched(ledger.terms.space)
        self._checkpoints = checkpoints
        self._bucket = bucket
        self._prune()

    def __getstate__(self) -> dict[str, Any]:
        """Nothing: Tune pickles its callbacks for a restore, and ours is the journal's matter."""
        return {}

    def on_step_begin(self, iteration: int, trials: list, **info: Any) -> None:
        self._check()
        if time.monotonic() - self._checked > CHECKS:
            self._take_requests()
            self._checked = time.monotonic()

    def _take_requests(self) -> None:
        """Does what a person has asked for from another shell, and notes it."""
        for request in requests(self._checkpoints.parent):
            trial = self._ledger.trials.get(request.trial_id)
            if request.name not in self._ledger.requests:
                if trial is None or trial.has_ended:
                    self._note(f"trial {request.trial_id} is not there any more to {request.hand}")
                else:
                    self._ledger.ask(trial.trial_id, request.hand, request.name)
                    self._prune()
            request.done()

    @property
    def waits(self) -> bool:
        """Whether there may be a next trial later, where there is none now."""
        return self._ledger.waits

    def next_config(self) -> dict[str, Any] | None:
        """The configuration of the next trial for Ray, which may be one that waits and goes on;
        None when there is none.
        """
        trial = self._ledger.next_trial(self._ends - time.monotonic(), self._cost)
        if trial is None:
            return None
        config = asdict(trial.config)
        own = {"max_epochs": trial.max_epochs, "after_epoch": trial.epoch}
        name = run_name({name: v for name, v in config.items() if name in self._searched})
        return {"trial_id": trial.trial_id, "name": name, **own, **config}

    def goes_on(self, trial_id: str, result: dict[str, Any]) -> bool:
        """Takes note of what a trial reports, and whether it trains on."""
        if result.get("disk"):
            raise OSError(errno.ENOSPC, f"trial {trial_id} cannot write: {result['error']}")
        if WAITING in result:
            self._note(f"trial {trial_id} waits      {result['node']}: {result[WAITING]}")
            return True
        if moved := _inner(result, MOVED):
            self._ledger.moved(result["node"], moved)
        if "error" in result or result["epoch"] <= self._ledger.trials[trial_id].epoch:
            return True  # a failure, which ends by itself, or what a trial repeats
        metrics = {name: result[name] for name in METRICS if name in result}
        logged = _inner(result, LOGGED)
        metrics |= {name: value for name, value in logged.items() if name not in OWN_FIELDS}
        more = {"node": result["node"]} if "node" in result else {}
        if counts := _inner(result, CLASS_COUNTS):
            more[CLASS_COUNTS] = counts
        decision = self._ledger.epoch(trial_id, metrics | more)
        if self._ledger.trials[trial_id].diverged:
            return False
        return decision is None or decision.goes_on

    def on_trial_start(self, iteration: int, trials: list, trial: Any, **info: Any) -> None:
        self._ledger.start(trial.config["trial_id"])

    def on_trial_complete(self, iteration: int, trials: list, trial: Any, **info: Any) -> None:
        last = trial.last_result or {}
        self._end(trial.config["trial_id"], last.get("error"), last.get("traceback"))

    def on_trial_recover(self, iteration: int, trials: list, trial: Any, **info: Any) -> None:
        error = trial.get_pickled_error()
        preempted = bool(getattr(error, "preempted", False))  # Ray does not count these
        lost_by = _lost_by(error)
        self._ledger.lost(trial.config["trial_id"], error=lost_by, preempted=preempted)

    def on_trial_error(self, iteration: int, trials: list, trial: Any, **info: Any) -> None:
        last = _lost_by(trial.get_pickled_error())
        error = f"its worker was lost {MAX_WORKER_LOSSES + 1} times, the last time by {last}"
        self._end(trial.config["trial_id"], error)

    def _end(self, trial_id: str, error: str | None, traceback: str | None = None) -> None:
        self._ledger.end(trial_id, error, traceback)
        self._prune()

    def _prune(self) -> None:
        best = self._ledger.best
        left = {t.trial_id for t in self._ledger.trials.values() if not t.has_ended}

        def is_needed(trial_id: str, name: str) -> bool:
            """Those that run or wait need all, the best that ended its best weights."""
            return trial_id in left or bool(best and (trial_id, name) == (best.trial_id, BEST))

        prune(self._checkpoints, is_needed)
        if self._bucket:
            prune_bucket(self._bucket, is_needed)


def _inner(result: Mapping[str, Any], name: str) -> dict[str, Any]:
    """A dictionary in what a trial reported; Tune has made it keys of their own, name/key."""
    start = f"{name}/"
    return {key.removeprefix(start): v for key, v in result.items() if key.startswith(start)}


def _lost_by(error: Exception | None) -> str:
    """What a worker was lost by; Ray knows no error where its whole machine is gone."""
    return "the death of its machine" if error is None else type(error).__name__


class Search(Searcher):
    """Asks the recorder for the next trial.

    One that pauses is at its end for Ray, and one that goes on is new to it: Ray's own pause would
    count it as running, and would wait for it without end.
    """

    def __init__(self, recorder: Recorder) -> None:
        super().__init__()
        self._recorder = recorder

    def suggest(self, trial_id: str) -> dict[str, Any] | str:  # type: ignore[override]
        config = self._recorder.next_config()
        if config is None and self._recorder.waits:
            return None  # type: ignore[return-value]  # asked again after the next report
        return config or Searcher.FINISHED

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
