"""Trains again what the search found: the finals, and then champion and reference on everything."""

import errno
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cnnlib import traffic
from cnnlib.buckets import below
from cnnlib.checkpoints import BEST, LAST, prune
from cnnlib.config import TrialConfig
from cnnlib.finals import Finals, Retrained, final_folder, retrained_folder
from cnnlib.halving import diverged, divergence
from cnnlib.node import kept, photographs
from cnnlib.plan import Plan
from cnnlib.progress import Progress
from cnnlib.standings import Final
from cnnlib.storage import prune_storage
from cnnlib.traffic import MOVED
from cnnlib.trial import Task, train
from cnnlib.worker import failure


@dataclass(frozen=True)
class Job:
    """One training: a final, or on all photographs for a number of epochs."""

    trial_id: str
    config: TrialConfig
    seed: int
    folder: Path  # of its weights, below the sweep's
    epochs: int | None = None

    def __str__(self) -> str:
        how = f"on seed {self.seed}"
        if self.epochs is not None:
            how = f"on all photographs for {self.epochs} epoch{'s' if self.epochs > 1 else ''}"
        name = self.trial_id if not self.trial_id.isdigit() else f"trial {self.trial_id}"
        return f"{name} {how}"


Answer = dict[str, Any]  # "rows", the epochs; "error" where it raised; "disk" where that is full
# Trains jobs, some at once, and yields each with its answer when it has ended; calls its second
# argument with those that start. It may end before all are trained: then the time is over.
Execute = Callable[[Sequence[Job], Callable[[Job], None]], Iterator[tuple[Job, Answer]]]


def train_job(task: Task, job: Job, bucket: str | None) -> Answer:
    """Trains from the job's last state. Its own seed is that of weights and order alone.

    The photographs that validate stay those of the search: so a score differs from the search's by
    its luck only, and no network is measured on what it has learnt from.
    """
    rows: list[dict[str, Any]] = []
    task = replace(task, seed=job.seed, split_seed=task.seed)
    if job.epochs is not None:
        task = replace(task, val_split=0.0, stop_after=job.epochs)
    try:
        where = bucket and below(bucket, "finals")
        with kept(job.folder.parent, job.folder.name, where) as (folder, keep):

            def note(row: dict[str, Any]) -> None:
                keep()
                rows.append(row)

            dataset = photographs(task.dataset, task.source, logging.getLogger(__name__).info)
            task = replace(task, dataset=dataset)
            train(job.config, task, on_epoch=note, weights=folder / BEST, last=folder / LAST)
    except Exception as error:
        return {"rows": rows, **_moved(), **failure(error, str(job))}
    return {"rows": rows, **_moved()}


def _moved() -> dict[str, Any]:
    return {"node": os.uname().nodename, MOVED: traffic.since()}


def is_due(plan: Plan, finals: Finals) -> bool:
    """Whether anything of the finals is left to train, if the search is over."""
    drawn = finals.next_draw(plan.finalists, plan.seeds, plan.reference)
    if drawn is None:
        return False
    return drawn != finals.draw or bool(_finals_left(plan, finals) or _retrainings(plan, finals))


def hold_finals(plan: Plan, finals: Finals, execute: Execute, progress: Progress) -> None:
    """Holds the finals, chooses the champion and retrains it, as far as `execute` has the time."""
    drawn = finals.next_draw(plan.finalists, plan.seeds, plan.reference)
    if drawn is None:
        return
    bucket = plan.bucket
    stale = finals.stale(drawn)
    _prune(plan.folder, bucket, lambda folder, name: folder.split("-")[0] not in stale)
    finals.begin(drawn)
    prune_finals(plan.folder, finals, bucket)  # a kill may have come before
    if jobs := _finals_left(plan, finals):
        also = " and the reference" if len(drawn.entrants) > len(drawn.finalists) else ""
        progress.note(
            f"finals: the best {len(drawn.finalists)} trials{also} again, on "
            f"{len(drawn.seeds)} new seeds each: {len(jobs)} trainings"
        )
    _train(jobs, finals, execute, progress, bucket)
    finals.choose()
    winner = finals.winner
    if winner is None:
        return progress.note("finals: no seed was finished by all, so they decide nothing")
    progress.note(
        f"finals: trial {winner.trial_id} has the highest mean, {winner.mean:.3f} on "
        f"{len(winner.scores)} new seeds; in the search it had {winner.search_acc:.3f}"
    )
    _train(_retrainings(plan, finals), finals, execute, progress, bucket)


def _finals_left(plan: Plan, finals: Finals) -> list[Job]:
    return [
        Job(trial_id, finals.config(trial_id), seed, final_folder(plan.folder, trial_id, seed))
        for trial_id, seed in finals.unfinished
    ]


def _retrainings(plan: Plan, finals: Finals) -> list[Job]:
    """Champion and reference on all photographs, with the seed of the search."""
    if not plan.settings.retrain or finals.unfinished:
        return []
    return [
        Job(
            one.trial_id,
            finals.config(one.trial_id),
            plan.settings.seed,
            retrained_folder(plan.folder, one.trial_id, one.epochs),
            one.epochs,
        )
        for one in finals.unretrained
    ]


def _train(
    jobs: list[Job], finals: Finals, execute: Execute, progress: Progress, bucket: str | None
) -> None:
    if not jobs:
        return
    progress.finals(0, len(jobs))
    answers = execute(jobs, lambda job: finals.start(job.trial_id, job.seed, job.epochs))
    for done, (job, answer) in enumerate(answers, 1):
        if answer.get("disk"):
            raise OSError(errno.ENOSPC, f"{job} cannot write: {answer['error']}")
        if moved := answer.get(MOVED):
            finals.ledger.moved(answer["node"], moved)
        training = ended(job, answer)
        finals.end(training)
        prune_finals(job.folder.parent.parent, finals, bucket)
        progress.finals(done, len(jobs))
        progress.note(f"{job}: {_said(training)}")


def _said(training: Final | Retrained) -> str:
    if training.error:
        instead = "" if isinstance(training, Final) else "; the weights of its best seed are taken"
        return f"{training.error}{instead}"
    if isinstance(training, Final):
        at = f"at epoch {training.best_epoch} of {training.epochs}"
        return f"val_acc {training.val_acc:.3f} {at}"
    return f"train_acc {training.train_acc:.3f}"


def ended(job: Job, answer: Answer) -> Final | Retrained:
    """What the journal keeps of a training."""
    rows, error = answer["rows"], answer.get("error")
    if rows and diverged(rows[-1]):
        error = error or divergence(rows[-1]["epoch"])
    seconds = sum(row["seconds"] for row in rows)
    if job.epochs is not None:
        train_acc = rows[-1]["train_acc"] if rows and not error else None
        return Retrained(job.trial_id, job.seed, job.epochs, train_acc, seconds, error)
    final = Final(job.trial_id, job.seed, epochs=len(rows), seconds=seconds, error=error)
    if error or not rows:
        return final
    best = max(rows, key=lambda row: row["val_acc"])
    return replace(
        final, best_epoch=best["epoch"], val_acc=best["val_acc"], val_loss=best["val_loss"]
    )


def prune_finals(sweep: Path, finals: Finals, bucket: str | None) -> None:
    """Deletes all but the weights of each entrant's best final and its last retraining.

    What has not ended keeps its state, to go on from.
    """
    ended = {
        final_folder(sweep, f.trial_id, f.seed).name: f == finals.best(f.trial_id)
        for f in finals.ended.values()
    }
    done = {retrained_folder(sweep, t, r.epochs).name for t, r in finals.retrained.items()}
    due = {retrained_folder(sweep, s.trial_id, s.epochs).name for s in finals.unretrained}

    def is_needed(folder: str, name: str) -> bool:
        if "-all-" in folder:
            return folder in due or (folder in done and name != LAST)
        return ended.get(folder, True) and not (folder in ended and name == LAST)

    _prune(sweep, bucket, is_needed)


def _prune(sweep: Path, bucket: str | None, is_needed: Callable[[str, str], bool]) -> None:
    prune(sweep / "finals", is_needed)
    if bucket:
        prune_storage(below(bucket, "finals"), is_needed)
