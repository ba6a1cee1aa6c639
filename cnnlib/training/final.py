"""Trains again what the search found: the finals, and then champion and reference on everything."""

import logging
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cnnlib.journal.finals import Retrained
from cnnlib.journal.scores import OWN, Final
from cnnlib.networks.configuration import Configuration
from cnnlib.networks.metric import Metric
from cnnlib.search.decision import divergence
from cnnlib.storage import traffic
from cnnlib.storage.buckets import below
from cnnlib.storage.traffic import MOVED
from cnnlib.storage.training_files import BEST, LAST
from cnnlib.training.on_machine import photographs, trial_folder
from cnnlib.training.trial import Task, best_epoch, failure, train


@dataclass(frozen=True)
class Job:
    """One training: a final, or on all photographs for a number of epochs."""

    trial_id: str
    config: Configuration
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
        with trial_folder(job.folder.parent, job.folder.name, where) as (folder, keep):

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


def ended(job: Job, answer: Answer, metric: Metric) -> Final | Retrained:
    """What the journal keeps of a training."""
    rows, error = answer["rows"], answer.get("error")
    if rows and metric.diverged(rows[-1]):
        error = error or divergence(rows[-1]["epoch"])
    seconds = sum(row["seconds"] for row in rows)
    if job.epochs is not None:
        train_acc = rows[-1].get("train_acc") if rows and not error else None
        return Retrained(job.trial_id, job.seed, job.epochs, train_acc, seconds, error)
    final = Final(job.trial_id, job.seed, epochs=len(rows), seconds=seconds, error=error)
    if error or not rows:
        return final
    best = rows[best_epoch(rows, metric) - 1]
    return replace(
        final,
        best_epoch=best["epoch"],
        val_acc=best.get("val_acc"),
        val_loss=best.get("val_loss"),
        value=None if metric.name in OWN else best[metric.name],
    )
