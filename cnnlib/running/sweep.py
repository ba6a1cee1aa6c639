"""A sweep: Ray Tune runs the trials, and everything that happens goes into the journal."""

# ruff: noqa: E402  # what Ray asks of its surroundings when it is imported comes first
import logging
import os
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

# Ray reads these when it is imported.
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # or Ray warns of it
os.environ.setdefault("RAY_prestart_worker_first_driver", "0")  # trials cannot use such workers
os.environ.setdefault("TUNE_DISABLE_AUTO_CALLBACK_LOGGERS", "1")  # the journal is the log
os.environ.setdefault("RAY_AIR_NEW_OUTPUT", "0")  # with it Tune prints tables at any verbosity
os.environ.setdefault("TUNE_DISABLE_SIGINT_HANDLER", "1")  # Ctrl-C is ours to handle

from cnnlib.system.interruptions import interrupted_between_steps
from cnnlib.system.redaction import named, secrets_withheld
from cnnlib.system.surroundings import check_home

check_home()  # Ray's import asks for it, with a traceback

from ray.exceptions import RayError
from ray.tune.error import TuneError

from cnnlib.champion.champion import Champion, make_champion
from cnnlib.journal.bill import at_work, bill
from cnnlib.journal.events import Journal, read_events
from cnnlib.journal.finals import Finals, read_finals
from cnnlib.journal.followers import Follower, telling
from cnnlib.journal.ledger import Ledger, read_ledger
from cnnlib.journal.tables import read_results
from cnnlib.journal.worth import worth
from cnnlib.planning.make_plan import make_plan
from cnnlib.planning.plan import Plan
from cnnlib.planning.provenance import sweep_facts
from cnnlib.planning.settings import Settings
from cnnlib.running import recorder
from cnnlib.running.cluster import billed
from cnnlib.running.doctor import check_storage
from cnnlib.running.finals import hold_finals, is_due, on_ray
from cnnlib.running.progress import Progress
from cnnlib.running.tuning import session, task_of, tune_trials
from cnnlib.search.searcher import num_initial
from cnnlib.storage.buckets import below
from cnnlib.storage.folder_lock import FolderLock, LockedError
from cnnlib.storage.json_file import DamagedError, read_json, write_json
from cnnlib.storage.training_files import OtherEpochError, TrialFiles
from cnnlib.tracking import Tracking


@dataclass(frozen=True)
class SweepResult:
    """What a sweep leaves: its folder, its two tables and its champion."""

    folder: Path
    trials: pd.DataFrame
    epochs: pd.DataFrame
    champion: Champion | None  # None where no trial has a value of the metric
    interrupted: bool = False
    trouble: str | None = None  # what ended it before its time, in a line


@dataclass(frozen=True)
class Sweep(Settings):
    """A sweep of hyperparameters: `Sweep(data="photos", trials=30).run()`."""

    def plan(self) -> Plan:
        """What it will do; ValueError or OSError, in one line, for what may have been mistaken."""
        return make_plan(self)

    def run(self) -> SweepResult:
        """Plans and runs the sweep. Raises ValueError or OSError, in one line, before it starts."""
        return run(self.plan())


@secrets_withheld()
def run(plan: Plan) -> SweepResult:
    """Runs a planned sweep to its end, or to Ctrl-C: whatever was reached is in its folder.

    Raises LockedError where another driver has the folder, or has taken it over while this one
    slept, OSError where it cannot be written.
    """
    check_storage(plan)
    plan.folder.mkdir(parents=True, exist_ok=plan.settings.resume)
    lock = FolderLock(plan.folder, plan.mirror.lost if plan.mirror else None)
    try:
        return _run(plan, lock)
    finally:
        lock.release()
        if plan.mirror and (problem := plan.mirror.close()):
            logging.getLogger(__name__).warning(problem)


def _run(plan: Plan, lock: FolderLock) -> SweepResult:
    began = time.monotonic()
    journal = Journal(plan.folder, lock.driver, lock.check)
    before = list(read_events(plan.folder))
    said = sweep_facts(plan) | {"interrupted": True}  # until it ends
    if before:
        said["started"] = _started(plan.folder, before)
    write_json(plan.folder / "sweep.json", said)
    tracking = Tracking(
        plan.folder,
        mode=plan.wandb,
        project=plan.settings.wandb_project,
        sweep=plan.name,
        started=said["started"],
        check=lock.check,
    )
    progress = Progress(plan.trials, folder=plan.folder)
    followers: list[Follower] = [progress, tracking]
    copies = [plan.mirror] if plan.mirror else []  # closed last: they take the champion, too
    for follower in (*followers, *copies):
        follower.know(before)
    telling_all = telling(journal.append, (*followers, *copies))
    ledger = read_ledger(before, telling_all, plan.family)
    finals = read_finals(before, ledger)
    interrupted, trouble = False, None
    try:
        if ledger.begun:
            ledger.resume(plan.trials, plan.max_epochs)
        if not ledger.begun or ledger.unfinished or is_due(plan, finals):
            _train(plan, ledger, finals, progress, lock, began)
        _close(plan, ledger, finals, time.monotonic() - began)
        progress.note(worth(ledger, finals))
    except KeyboardInterrupt:
        interrupted = True
        if ledger.begun:
            ledger.close("interrupted")
    except (LockedError, OSError, RayError, TuneError) as error:  # the disk, the network, Ray
        if plan.settings.verbose:
            logging.getLogger(__name__).exception("the sweep ended")
        cause = _cause(error)
        if isinstance(cause, LockedError):
            raise cause from None  # and what is in the folder is the other driver's
        if not isinstance(cause, OSError | RayError | TuneError):
            raise  # a mistake of ours
        trouble = named(cause)
    finally:
        journal.close()
        for follower in followers:
            follower.close()
    lock.check()  # what is in the folder is another driver's, if it was taken over by now
    said |= {
        "seconds": at_work(before) + time.monotonic() - began,
        "slots": progress.slots,
        "interrupted": interrupted or bool(trouble),
    }
    try:
        result = _results(plan, said, finals, exported=not interrupted)
    except (OSError, DamagedError) as error:
        trouble = trouble or named(error)
        results = read_results(plan.folder)
        result = SweepResult(plan.folder, results.trials, results.epochs, None)
    if cost := bill(read_events(plan.folder)):
        progress.note(str(cost))
    progress.note(tracking.line)
    return replace(result, interrupted=interrupted, trouble=trouble)


def _train(
    plan: Plan,
    ledger: Ledger,
    finals: Finals,
    progress: Progress,
    lock: FolderLock,
    began: float,
) -> None:
    """Runs what is left of the search and of the finals, as far as the time since it began goes."""
    with session(plan.settings.verbose):
        task, share = task_of(plan, progress)
        with interrupted_between_steps() as check_interruption:

            def check() -> None:
                check_interruption()
                lock.check()

            if not ledger.begun:
                _begin(plan, ledger, progress.slots)
            ledger.machines(**billed(share, progress.slots))
            if ledger.unfinished:
                tune_trials(plan, task, share, ledger, progress, check)
            left = plan.time_budget and began + plan.time_budget - time.monotonic()
            execute = on_ray(
                task,
                share,
                bucket=plan.bucket,
                slots=progress.slots,
                retries=recorder.MAX_WORKER_LOSSES,
                seconds=left,
                check=check,
            )
            hold_finals(plan, finals, execute, progress)


def _started(folder: Path, events: list[dict[str, Any]]) -> str:
    """When the sweep began, as sweep.json says; where that was lost, its first event."""
    path = folder / "sweep.json"
    return read_json(path)["started"] if path.exists() else events[0]["time"]


def _results(plan: Plan, said: dict[str, Any], finals: Finals, *, exported: bool) -> SweepResult:
    """Writes the tables and the champion of what the journal holds."""
    results = read_results(plan.folder)
    results.write(plan.folder)
    best, champion = results.best(), None
    if best is not None:
        if plan.bucket:
            _fetch_weights(plan, plan.bucket, best["trial_id"], finals)
        try:
            champion = make_champion(
                plan.folder,
                best,
                plan.dataset,
                plan.image_size,
                finals if plan.holds_finals else None,
                family=plan.family,
                metric=results.metric,
                retrained=plan.settings.retrain,
                exported=exported,  # it takes some seconds, which Ctrl-C does not wait for
            )
        except OtherEpochError:
            if exported:
                raise
            # A worker has saved an epoch that this driver was not told any more: --resume is.
    write_json(plan.folder / "sweep.json", said)
    return SweepResult(plan.folder, results.trials, results.epochs, champion)


def _fetch_weights(plan: Plan, bucket: str, best: str, finals: Finals) -> None:
    """The weights that a champion may have, which other machines trained."""
    folders = [plan.folder / "checkpoints" / best]
    for entrant in (finals.winner, finals.reference):
        if entrant:
            taken = finals.taken(plan.folder, entrant, retrained=plan.settings.retrain)
            folders.append(taken.folder)
    for folder in folders:
        TrialFiles(below(bucket, folder.relative_to(plan.folder).as_posix()), folder).fetch()


def _close(plan: Plan, ledger: Ledger, finals: Finals, seconds: float) -> None:
    """Says why the search ended, in the journal too."""
    reason = "all trials ended"
    if ledger.hopeless:
        reason = f"ended early, most trials fail for one reason: {ledger.hopeless}"
    elif trial := ledger.reached:
        reason = f"the target {plan.terms.target:g} is reached, by trial {trial.trial_id}"
    elif ledger.in_vain and len(ledger.trials) < ledger.terms.trials:
        reason = f"ended early, it pays no more: {worth(ledger, finals)}"
    elif ledger.exhausted or len(ledger.trials) >= plan.num_points:
        reason = f"the space is exhausted: all {len(ledger.trials)} configurations were tried"
    elif plan.search_budget and ledger.unfinished and ledger.out_of_time:
        reason = "the time budget leaves no time for another trial's first rung"
    elif plan.search_budget and seconds >= plan.search_budget and ledger.unfinished:
        reason = "the time budget is spent"
    elif is_due(plan, finals):
        reason = "the time budget is spent, and the finals have not ended"
    ledger.close(reason)


def _cause(error: BaseException) -> BaseException:
    """What happened, where Tune wraps it into an error whose text is a traceback."""
    while isinstance(error, TuneError) and (inner := error.__cause__ or error.__context__):
        error = inner
    return error


def _begin(plan: Plan, ledger: Ledger, slots: int) -> None:
    ledger.begin(replace(plan.terms, num_initial=num_initial(plan.trials, slots)))
