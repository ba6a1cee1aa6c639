"""The finals of a sweep: who trains again, as tasks of Ray, and then champion and reference."""

import errno
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import ray
from ray.exceptions import NodeDiedError, OutOfMemoryError, WorkerCrashedError

from cnnlib.journal.finals import Finals, Retrained, final_folder, retrained_folder
from cnnlib.journal.scores import Final
from cnnlib.networks.metric import Metric
from cnnlib.planning.plan import Plan
from cnnlib.running.progress import Progress
from cnnlib.storage.buckets import below
from cnnlib.storage.traffic import MOVED
from cnnlib.storage.training_files import BEST, prune, prune_bucket
from cnnlib.system.units import counted
from cnnlib.training.final import Answer, Job, ended, train_job
from cnnlib.training.trial import Task

CHECKS = 0.5  # seconds between looks whether this driver may go on
LOST = (WorkerCrashedError, NodeDiedError, OutOfMemoryError)
# Trains jobs, some at once, and yields each with its answer when it has ended; calls its second
# argument with those that start. It may end before all are trained: then the time is over.
Execute = Callable[[Sequence[Job], Callable[[Job], None]], Iterator[tuple[Job, Answer]]]


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
            f"{counted(len(drawn.seeds), 'new seed')} each: {counted(len(jobs), 'training')}"
        )
    _train(jobs, finals, execute, progress, bucket)
    finals.choose()
    winner = finals.winner
    if winner is None:
        return progress.note("finals: no seed was finished by all, so they decide nothing")
    progress.note(
        f"finals: trial {winner.trial_id} has the {winner.metric.best} mean, {winner.mean:.3f} on "
        f"{counted(len(winner.values), 'new seed')}; in the search it had {winner.search:.3f}"
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
        training = ended(job, answer, finals.ledger.terms.metric)
        finals.end(training)
        prune_finals(job.folder.parent.parent, finals, bucket)
        progress.finals(done, len(jobs))
        progress.note(f"{job}: {_said(training, finals.ledger.terms.metric)}")


def _said(training: Final | Retrained, metric: Metric) -> str:
    if training.error:
        instead = "" if isinstance(training, Final) else "; the weights of its best seed are taken"
        return f"{training.error}{instead}"
    if isinstance(training, Final):
        at = f"at epoch {training.best_epoch} of {training.epochs}"
        return f"{metric.said} {training.by(metric):.3f} {at}"
    return "trained" if training.train_acc is None else f"train_acc {training.train_acc:.3f}"


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
            return folder in due or (folder in done and name == BEST)
        return folder not in ended or (ended[folder] and name == BEST)

    _prune(sweep, bucket, is_needed)


def _prune(sweep: Path, bucket: str | None, is_needed: Callable[[str, str], bool]) -> None:
    prune(sweep / "finals", is_needed)
    if bucket:
        prune_bucket(below(bucket, "finals"), is_needed)


def on_ray(
    task: Task,
    resources: dict[str, float],
    *,
    bucket: str | None,
    slots: int,
    retries: int,
    seconds: float | None,
    check: Callable[[], None] = lambda: None,
) -> Execute:
    """Trains `slots` jobs at once, each again from its last epoch where its worker or node dies.

    What still runs after so many seconds is ended, and can go on later. `check` raises where this
    driver has to end; it is asked now and then.
    """
    deadline = None if seconds is None else time.monotonic() + seconds

    def execute(
        jobs: Sequence[Job], started: Callable[[Job], None]
    ) -> Iterator[tuple[Job, Answer]]:
        # On a GPU Ray gives each task a process of its own, which may see another GPU.
        train = ray.remote(
            num_cpus=resources["cpu"], num_gpus=resources["gpu"], max_retries=retries
        )(train_job)
        shared, waiting = ray.put(task), list(jobs)
        running: dict[ray.ObjectRef, Job] = {}
        try:
            while waiting or running:
                left = None if deadline is None else deadline - time.monotonic()
                if left is not None and left <= 0:
                    return
                while waiting and len(running) < slots:
                    job = waiting.pop(0)
                    running[train.remote(shared, job, bucket)] = job
                    started(job)
                done, _ = ray.wait(list(running), timeout=min(left or CHECKS, CHECKS))
                check()
                if not done:
                    continue
                yield running.pop(done[0]), _answer(done[0])
        finally:
            for reference in running:
                ray.cancel(reference, force=True)

    return execute


def _answer(reference: ray.ObjectRef) -> Answer:
    try:
        return ray.get(reference)
    except LOST as error:
        last = type(error).__name__
        return {"rows": [], "error": f"its workers were lost, the last one by {last}"}
