"""Ray for a sweep: a session, what each training does there, and the trials through Ray Tune."""

import logging
import os
import signal
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import ray
from ray import tune

from cnnlib import pixel_store, pixels, recorder
from cnnlib.buckets import below
from cnnlib.cluster import resources
from cnnlib.ledger import Ledger
from cnnlib.limits import cores
from cnnlib.node import Source, on_cluster, wherever
from cnnlib.plan import Plan
from cnnlib.progress import Progress
from cnnlib.recorder import Recorder, Scheduler, Search
from cnnlib.surroundings import cache_folder, keep_token_private, ray_address, ray_folder
from cnnlib.trial import Task
from cnnlib.worker import ray_trial

STARTS = 10


@contextmanager
def session(verbose: bool) -> Iterator[None]:
    """A Ray of our own, or in a Ray job the cluster's; it ends with the sweep."""
    # A bare ray.init() would join any cluster that runs on the machine.
    address = ray_address() or "local"
    local = _of_our_own() if address == "local" else {}
    level = logging.INFO if verbose else logging.CRITICAL  # a lost worker has its line
    for name in ("ray", "ray.tune"):
        logging.getLogger(name).setLevel(level)
    ours = signal.getsignal(signal.SIGTERM)
    _start(address=address, log_to_driver=verbose, logging_level=level, **local)
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, ours)  # Ray has put one there that ends the process
    try:
        yield
    finally:
        ray.shutdown()


def _start(**options: Any) -> None:
    """Starts Ray, which itself waits 30 s: too short for a machine that has much else to do.

    Raises ConnectionError where it does not start, or not in STARTS times that.
    """
    for attempt in range(1, STARTS + 1):
        try:
            ray.init(**options)
            return
        except Exception as error:  # Ray has no class for it
            text = " ".join(str(error).split())
            if "timed out during startup" not in text or attempt == STARTS:
                raise ConnectionError(f"Ray does not start: {text}") from error
            ray.shutdown()


def _of_our_own() -> dict[str, Any]:
    """What ray.init is told of a Ray that begins and ends with the sweep."""
    keep_token_private()
    os.environ["CNNLIB_CACHE"] = str(cache_folder())  # a trial has a working folder of its own
    return {"include_dashboard": False, "num_cpus": cores(), "_temp_dir": ray_folder()}


def task_of(plan: Plan, progress: Progress) -> tuple[Task, dict[str, float]]:
    """What each training does, and its CPUs and GPUs; how many run at once goes to `progress`."""
    settings = plan.settings
    cpus, gpus = resources(plan, progress)
    task = Task(
        dataset=plan.dataset,
        image_size=plan.image_size,
        max_epochs=plan.max_epochs,
        patience=settings.patience,
        seed=settings.seed,
        cpus=cpus,
        accelerator="gpu" if gpus else "cpu",
        gpu_share=min(gpus, 1.0) if gpus else 1.0,
        source=_source(plan) if on_cluster() else None,
    )
    return task, {"cpu": cpus, "gpu": gpus}


def _source(plan: Plan) -> Source:
    """Where the machines find the photographs; in the bucket they are put for them, decoded."""
    sides = pixels.sides(plan.image_size, augmented=plan.terms.augmented)
    storage = plan.mirror.parent if plan.mirror else None
    if storage:
        pixel_store.offer(plan.dataset, sides, storage)
    return Source(wherever(plan.settings.data), sides, storage)


def tune_trials(
    plan: Plan,
    task: Task,
    share: dict[str, float],
    ledger: Ledger,
    progress: Progress,
    check: Callable[[], None],
) -> None:
    """Runs the trials through Ray Tune; `check` raises where this driver has to end."""
    checkpoints = plan.folder / "checkpoints"
    bucket = plan.bucket and below(plan.bucket, "checkpoints")
    noted = Recorder(ledger, progress.note, checkpoints, bucket, check)
    trainable = tune.with_parameters(ray_trial, task=task, checkpoints=checkpoints, bucket=bucket)
    with tempfile.TemporaryDirectory(prefix="cnnlib-tune-") as scratch:
        tune.Tuner(
            tune.with_resources(trainable, share),
            tune_config=tune.TuneConfig(
                search_alg=Search(noted),
                scheduler=Scheduler(noted),
                num_samples=ledger.unfinished,
                max_concurrent_trials=progress.slots,
                time_budget_s=plan.search_budget,
                reuse_actors=True,
            ),
            run_config=tune.RunConfig(
                storage_path=scratch,  # what Tune keeps there is not needed after the sweep
                callbacks=[noted],
                failure_config=tune.FailureConfig(max_failures=recorder.MAX_WORKER_LOSSES),
                verbose=2 if plan.settings.verbose else 0,
            ),
        ).fit()
