"""Trains jobs of the finals as tasks of Ray, each with the resources of a trial."""

import time
from collections.abc import Callable, Iterator, Sequence

import ray
from ray.exceptions import NodeDiedError, OutOfMemoryError, WorkerCrashedError

from cnnlib.retraining import Answer, Execute, Job, train_job
from cnnlib.trial import Task

CHECKS = 10.0  # seconds between looks whether this driver may go on
LOST = (WorkerCrashedError, NodeDiedError, OutOfMemoryError)


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
