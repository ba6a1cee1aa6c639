"""Ray for a sweep: a session, the trials through Ray Tune, and what its workers run.

Ray's dashboard shows a trial's name, and its epochs as metrics. These are at each node's Prometheus
address, and in Grafana where the cluster has one: ray_cnnlib_val_acc and so on, by trial.
"""

import logging
import math
import os
import re
import signal
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import ray
import torch
from ray import _raylet, tune
from ray.air._internal import usage
from ray.tune.execution import class_cache
from ray.util.metrics import Gauge

from cnnlib.journal.columns import CLASS_COUNTS, EPOCH_COLUMNS
from cnnlib.journal.ledger import Ledger
from cnnlib.journal.tables import LOGGED
from cnnlib.networks.hyperparameter import hyperparameters
from cnnlib.pixels.pixels import send_pixels, sizes_of
from cnnlib.planning.cost import macs
from cnnlib.planning.plan import Plan
from cnnlib.running import recorder
from cnnlib.running.cluster import resources
from cnnlib.running.pace import Pace
from cnnlib.running.progress import Progress
from cnnlib.running.recorder import Recorder, Scheduler, Search
from cnnlib.storage import traffic
from cnnlib.storage.buckets import below
from cnnlib.storage.traffic import MOVED
from cnnlib.storage.training_files import BEST, LAST
from cnnlib.system.limits import cores
from cnnlib.system.processes import children, end
from cnnlib.system.redaction import one_line
from cnnlib.system.surroundings import cache_folder, keep_token_private, ray_address, ray_folder
from cnnlib.training.on_machine import (
    WAITING,
    Source,
    on_cluster,
    photographs,
    trial_folder,
    wherever,
)
from cnnlib.training.trial import Task, failure, train

logger = logging.getLogger(__name__)

STARTS = 10
SHOWN = ("epoch", "train_loss", "train_acc", "val_loss", "val_acc", "images_per_second")
# Tune would give its workers these by their runtime environment, which Ray writes into a log that
# everybody may read. A Ray of our own has them from this process, a cluster's machines their own.
class_cache.ENV_VARS_TO_PROPAGATE -= {
    "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SECURITY_TOKEN", "AWS_SESSION_TOKEN",
}  # fmt: skip
# Tune counts callbacks for Ray's usage statistics, which are off, and loads wandb for it: a second.
usage.tag_callbacks = lambda callbacks: False


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
    try:
        _start(address=address, log_to_driver=verbose, logging_level=level, **local)
    except SystemExit as error:
        if error.code != signal.SIGTERM:  # which the handler says that Ray puts there
            raise
        raise KeyboardInterrupt from None
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, ours)
    try:
        yield
    finally:
        ray.shutdown()


def _start(**options: Any) -> None:
    """Starts Ray, which itself waits 30 s: too short for a machine that has much else to do.

    What a vain attempt has started would run on and slow down the next, so it is ended. Raises
    ConnectionError where Ray does not start, or not in STARTS times that.
    """
    for attempt in range(1, STARTS + 1):
        before = children()
        try:
            ray.init(**options)
            return
        except BaseException as error:  # Ray has no class for it, and Ctrl-C may be one
            ray.shutdown()
            end({pid: began for pid, began in children().items() if pid not in before})
            if not isinstance(error, Exception):
                signal.alarm(0)  # Ray's core has set one, to abort whom SIGTERM does not end
                raise
            text = one_line(error)
            if "timed out during startup" not in text or attempt == STARTS:
                raise ConnectionError(f"Ray does not start: {text}") from error


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
        metric=plan.terms.metric,
        seed=settings.seed,
        cpus=cpus,
        accelerator="gpu" if gpus else "cpu",
        gpu_share=min(gpus, 1.0) if gpus else 1.0,
        source=_source(plan) if on_cluster() else None,
        family=plan.family,
    )
    return task, {"cpu": cpus, "gpu": gpus}


def _source(plan: Plan) -> Source:
    """Where the machines find the photographs; in the bucket they are put for them, decoded."""
    sizes = sizes_of(plan.image_size, augmented=plan.terms.augmented)
    storage = plan.mirror.parent if plan.mirror else None
    if storage:
        send_pixels(plan.dataset, sizes, storage)
    return Source(wherever(plan.settings.data), sizes, storage)


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
    noted = Recorder(
        ledger,
        progress.note,
        checkpoints,
        bucket,
        check,
        seconds=plan.search_budget or math.inf,
        cost=Pace(ledger.trials.values, partial(_macs, plan)),
    )
    trainable = tune.with_parameters(ray_trial, task=task, checkpoints=checkpoints, bucket=bucket)
    with tempfile.TemporaryDirectory(prefix="cnnlib-tune-") as scratch:
        tune.Tuner(
            tune.with_resources(trainable, share),
            tune_config=tune.TuneConfig(
                search_alg=Search(noted),
                scheduler=Scheduler(noted),
                num_samples=-1,  # a trial that pauses and goes on is another to Ray
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


def _macs(plan: Plan, config: Any) -> float:
    sizes = {"num_classes": len(plan.dataset.classes), "image_size": plan.image_size}
    return macs(config, **sizes, family=plan.family)


def as_reported(row: dict[str, Any]) -> dict[str, Any]:
    """An epoch for Tune: what else a network logs stands apart, as it may be called like Tune's."""
    more = {n: v for n, v in row.items() if n not in EPOCH_COLUMNS and n != CLASS_COUNTS}
    return {n: v for n, v in row.items() if n not in more} | {LOGGED: more}


def ray_trial(
    config: dict[str, Any], task: Task, checkpoints: Path, bucket: str | None = None
) -> None:
    """What Ray Tune runs; <checkpoints>/<trial_id>/ holds its best weights and its last state.

    With a `bucket` it is <bucket>/<trial_id>/, which every node sees. Epochs up to
    config["after_epoch"] are known. A trial that raises reports the reason and ends, so that Ray
    starts lost workers again only; a fault of the disk or the storage is not the trial's. One that
    breaks the GPU for its process takes the process with it.
    """
    node, name = os.uname().nodename, f"{config['trial_id']} {config['name']}"
    values = {name: config[name] for name in hyperparameters(task.family.config)}

    try:
        with trial_folder(checkpoints, config["trial_id"], bucket) as (folder, keep):

            def report(row: dict[str, Any]) -> None:
                keep()
                if row["epoch"] > config["after_epoch"]:
                    tune.report({**as_reported(row), "node": node, MOVED: traffic.since()})
                    _name_process(name)
                    _show_epoch(name, row)

            dataset = photographs(
                task.dataset,
                task.source,
                lambda text: tune.report({WAITING: text, "node": node}),
            )
            _name_process(name)
            train(
                task.family.configuration(values),
                replace(task, max_epochs=config["max_epochs"], dataset=dataset),
                on_epoch=report,
                weights=folder / BEST,
                last=folder / LAST,
            )
    except torch.AcceleratorError:  # CUDA fails from now on in this process, which Ray would reuse
        logger.exception("trial %s ends its process", config["trial_id"])
        os._exit(1)
    except Exception as error:
        tune.report(failure(error, f"trial {config['trial_id']}"))


def _name_process(trial: str) -> None:
    """Names this worker after its trial; Ray names it anew whenever it asks for a result."""
    printable = re.sub(r"[^ -~]", "?", trial)
    # Ray has no public way. The dashboard shows processes whose name begins so.
    _raylet.setproctitle(f"ray::trial {printable}")  # type: ignore[attr-defined]


@cache
def _gauge(name: str) -> Gauge:
    text = f"{name} of a trial after its last epoch"
    return Gauge(f"cnnlib_{name}", text, tag_keys=("trial",))


def _show_epoch(trial: str, row: Mapping[str, Any]) -> None:
    """Sets the metrics to those of a trial's epoch."""
    for name in SHOWN:
        if name in row:
            _gauge(name).set(float(row[name]), tags={"trial": trial})
