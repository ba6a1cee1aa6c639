"""The machines of a Ray cluster: how many trials run at once on those there are and those that may
come, and what they answer when they are asked.
"""

import logging
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import ray
import yaml
from ray.autoscaler.sdk import request_resources
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from cnnlib.journal.bill import accelerator
from cnnlib.planning.cost import shared_gpu
from cnnlib.planning.plan import GPUS_PER_TRIAL, Plan
from cnnlib.running.progress import Progress
from cnnlib.system.surroundings import knock
from cnnlib.system.units import clock
from cnnlib.training.on_machine import on_cluster

WAITING = 120.0  # seconds between lines about a machine that does not come
PATIENCE = 300  # seconds that a machine may take: it may have to fetch the photographs
LAUNCHED = Path("~/ray_bootstrap_config.yaml")  # `ray up` leaves what it knows on the head

Resources = Mapping[str, float]


def resources(plan: Plan, progress: Progress) -> tuple[int, float]:
    """CPUs and GPUs of a trial; how many trials run at once goes to `progress`.

    On a cluster that grows these are as many as fit when it has grown, because it grows only while
    trials wait. Where that is not known, it is what the user says.
    """
    cpus, gpus = plan.settings.cpus_per_trial, 0.0
    if gpus_wanted(plan, _machines()):
        gpus = _gpu_share(plan, progress)
    machines = _machines()
    now, progress.slots = room(machines, cpus, gpus), slots(plan, machines, gpus)
    device = f"{gpus:g} GPU and {cpus} CPU each" if gpus else f"{cpus} CPU each, no GPU"
    growing = f"; {now} fit on the cluster now, all when it has grown"
    progress.note(
        f"{progress.slots} trials at once, {device}{growing if progress.slots > now else ''}"
    )
    if not now and on_cluster():
        _await_machine(cpus, gpus, progress)
    return cpus, gpus


def gpus_wanted(plan: Plan, machines: Iterable[Resources]) -> bool:
    """Whether trials have GPUs: where one is up or may come. If nobody knows, the user says it."""
    coming = _coming()
    if on_cluster() and not coming and plan.settings.gpus_per_trial:
        return True
    return any(machine.get("GPU") for machine in (*machines, *coming))


def slots(plan: Plan, machines: Iterable[Resources], gpus: float) -> int:
    """Trials at once, each with so many GPUs: on these machines, or when the cluster has grown."""
    settings, coming = plan.settings, _coming()
    most = max(room(there, settings.cpus_per_trial, gpus) for there in (machines, coming))
    if on_cluster() and not coming and settings.max_concurrent:
        most = settings.max_concurrent
    return max(1, min(settings.max_concurrent or most, most, plan.trials))


def _gpu_share(plan: Plan, progress: Progress) -> float:
    """GPUs of a trial, as asked for, or measured."""
    asked = plan.settings.gpus_per_trial
    if asked != "auto":
        return GPUS_PER_TRIAL if asked is None else float(asked)
    if not any(machine.get("GPU") for machine in _machines()):
        _await_machine(plan.settings.cpus_per_trial, 1.0, progress)
    share, why = on_a_gpu(
        shared_gpu,
        plan.space,
        num_classes=len(plan.dataset.classes),
        image_size=plan.image_size,
        family=plan.family,
    )
    progress.note(f"--gpus-per-trial {share:g}: {why}")
    return share


def _machines() -> list[Resources]:
    return [node["Resources"] for node in ray.nodes() if node["Alive"]]


def _coming() -> list[Resources]:
    return may_become() if on_cluster() else []


def _await_machine(cpus: int, gpus: float, progress: Progress) -> None:
    """Waits until a trial fits on the cluster; asks for all the machines that are wanted by now."""
    wanted = {"CPU": cpus, "GPU": gpus} if gpus else {"CPU": cpus}
    request_resources(bundles=[wanted] * progress.slots)
    began = said = time.monotonic()
    progress.note("waiting for the first machine; a cloud takes some minutes to start one")
    while not room(_machines(), cpus, gpus):
        time.sleep(1)
        if time.monotonic() - said > WAITING:
            said = time.monotonic()
            progress.note(
                f"still no machine after {clock(said - began)}; `ray status` on the head says why"
            )
    request_resources(bundles=[])  # the trials ask for themselves


def room(machines: Iterable[Resources], cpus: int, gpus: float) -> int:
    """How many trials run at once on these machines. One of unknown size counts as one."""
    return sum(_room(machine, cpus, gpus) for machine in machines)


def _room(machine: Resources, cpus: int, gpus: float) -> int:
    if not machine:
        return 1
    slots = int(machine.get("CPU", 0)) // cpus
    if not gpus:
        return slots
    num_gpus = int(machine.get("GPU", 0))
    if gpus < 1:  # no trial has parts of two GPUs
        return min(slots, num_gpus * int(1 / gpus + 1e-9))
    return min(slots, int(num_gpus // gpus))


def may_become(launched: Path = LAUNCHED) -> list[Resources]:
    """The machines of the largest cluster that Ray's launcher may make; none without a launcher."""
    path = launched.expanduser()
    return list(_largest(yaml.safe_load(path.read_text()))) if path.is_file() else []


def _largest(config: Mapping[str, Any]) -> Iterator[Resources]:
    types = dict(config["available_node_types"])
    head = types[config["head_node_type"]]
    if head["resources"]:  # else it is there, and Ray knows its size
        yield head["resources"]
    left = config["max_workers"]
    largest_first = sorted(
        types.values(),
        key=lambda t: (t["resources"].get("GPU", 0), t["resources"].get("CPU", 0)),
        reverse=True,
    )
    for node_type in largest_first:
        count = min(node_type.get("max_workers", left), left)
        yield from [node_type["resources"]] * count
        left -= count


def billed(share: Mapping[str, float], slots: int) -> dict[str, Any]:
    """What the sweep runs on, for its bill: GPUs, or CPU cores where there is none."""
    cpus, gpus = share["cpu"], share["gpu"]
    if not gpus:
        return {"unit": "CPU core", "units": slots * cpus, "units_per_trial": cpus}
    there = ray.cluster_resources()
    kinds = [name.partition(":")[2] for name in there if name.startswith("accelerator_type:")]
    return {
        "unit": "GPU",
        "units": max(there.get("GPU", 0.0), slots * gpus),
        "units_per_trial": gpus,
        "accelerator": next(filter(None, map(accelerator, kinds)), None),
    }


def on_every_machine(
    question: Callable[..., Any], *arguments: Any
) -> list[tuple[Any, dict[str, float]]]:
    """The answers, one a machine, from a process on each, and what Ray has there for trials.

    Raises ConnectionError where there is no cluster or it refuses, RuntimeError where a machine
    does not answer.
    """
    address = os.environ["RAY_ADDRESS"]
    began = not ray.is_initialized()
    try:
        if began:
            knock(address)  # ray.init tries for minutes
            ray.init(address=address, log_to_driver=False, logging_level=logging.CRITICAL)
    except Exception as error:  # no cluster there, or another token, or other versions
        raise ConnectionError(
            f"{address} does not take us: {error}; is it up (ray status), is RAY_AUTH_MODE=token "
            "set and the token the cluster's?"
        ) from error
    try:
        alive = [node for node in ray.nodes() if node["Alive"]]
        ask = ray.remote(num_cpus=0)(_asked)
        asked = [
            ask.options(
                scheduling_strategy=NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
            ).remote(question, arguments)
            for node in alive
        ]
        return [
            (_answer(node["NodeManagerHostname"], reference), node["Resources"])
            for node, reference in zip(alive, asked, strict=True)
        ]
    finally:
        if began:
            ray.shutdown()


def _asked(question: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
    return question(*arguments)


def on_a_gpu(question: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
    """The answer of a process that has a whole GPU, where one is free or can be started."""
    return ray.get(ray.remote(num_gpus=1, num_cpus=1)(question).remote(*arguments, **named))


def _answer(name: str, reference: Any) -> Any:
    try:
        return ray.get(reference, timeout=PATIENCE)
    except Exception as error:
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise RuntimeError(
            f"{name} does not answer ({lines[-1]}); is cnnlib installed there, and can it reach "
            "the photographs?"
        ) from error
