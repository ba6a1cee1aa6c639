"""`--plan`: whether a sweep would run, what it takes and what it costs, before money is spent.

Each check is a line, and each fault names its remedy. What every machine of a cluster must have is
looked at on each of them.
"""

import os
import shutil
import statistics
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from cnnlib.journal.bill import accelerator, hours, prices
from cnnlib.networks.configuration import Configuration
from cnnlib.networks.families import told
from cnnlib.networks.pretrained.features import VIEWS
from cnnlib.planning.cost import (
    costs,
    measure,
    measure_once,
    once_macs,
    seconds_an_image,
    training_bytes,
)
from cnnlib.planning.plan import GPUS_PER_TRIAL, Plan
from cnnlib.running.cluster import gpus_wanted, on_every_machine, room, slots
from cnnlib.running.machine import Machine
from cnnlib.search.space import searched
from cnnlib.system.redaction import one_line, without_secrets
from cnnlib.system.units import byte_size
from cnnlib.tracking.account import check_account
from cnnlib.tracking.names import run_name
from cnnlib.training.on_machine import on_cluster


@dataclass(frozen=True)
class Check:
    """One question of the doctor's: what was found, or what is wrong and its remedy."""

    name: str
    text: str
    ok: bool = True

    def __str__(self) -> str:
        return without_secrets(f"{'ok   ' if self.ok else 'FAULT'}  {self.name}: {self.text}")


def examine(plan: Plan) -> Iterator[Check]:
    """Every check of a planned sweep. What is written for it is deleted again."""
    source = str(plan.settings.data)
    yield storage_check(plan)
    machines = [Machine.here(source)]
    if on_cluster():
        try:
            machines = machines_of_cluster(plan, source)
        except (ConnectionError, RuntimeError) as error:
            yield Check("cluster", one_line(error), ok=False)
            return
        cores, gpus = (
            sum(machine.resources.get(kind, 0) for machine in machines) for kind in ("CPU", "GPU")
        )
        yield Check("cluster", f"{len(machines)} machines, {cores:g} cores, {gpus:g} GPUs")
    share = gpu_share(plan, machines)
    yield from machine_checks(machines, plan)
    yield from gpu_checks(machines, plan.settings.gpus_per_trial, may_grow=share > 0)
    at_once = slots(plan, [machine.resources for machine in machines], share)
    yield disk_check(plan, at_once)
    yield from speed_checks(plan, machines, share=share, at_once=at_once)
    if plan.wandb == "online":
        problem = check_account()
        yield Check("W&B", problem or "the account is known to the server", ok=not problem)


def machines_of_cluster(plan: Plan, source: str) -> list[Machine]:
    """What each machine says of itself, and Ray of what it has for trials."""
    shared = None if plan.bucket else source  # from a bucket they take the decoded photographs
    with _probe(plan) as probe:
        answers = on_every_machine(Machine.here, shared, str(probe))
    return [replace(machine, resources=resources) for machine, resources in answers]


def gpu_share(plan: Plan, machines: Sequence[Machine]) -> float:
    """GPUs of a trial, as far as they are known before the sweep."""
    asked = plan.settings.gpus_per_trial
    if not gpus_wanted(plan, [machine.resources for machine in machines]):
        return 0.0
    return GPUS_PER_TRIAL if asked in (None, "auto") else float(asked)


def storage_check(plan: Plan) -> Check:
    """Whether the sweep's folder can be written, and the bucket that it is copied to."""
    try:
        with _probe(plan):
            pass
        if plan.mirror:
            plan.mirror.try_out()
    except OSError as error:
        text = one_line(error)
        remedy = "give the right to write there, or take another --storage"
        return Check("storage", f"{text}; {remedy}", ok=False)
    where = plan.mirror.url if plan.mirror else plan.folder.parent
    return Check("storage", f"{where} can be written")


def check_storage(plan: Plan) -> None:
    """Raises OSError where a sweep could not write what it finds."""
    check = storage_check(plan)
    if not check.ok:
        raise OSError(check.text)


@contextmanager
def _probe(plan: Plan) -> Iterator[Path]:
    """A file in the storage that the machines should see; the folders made for it go with it."""
    folder = plan.folder.parent
    made = [parent for parent in (folder, *folder.parents) if not parent.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    probe = folder / f".cnnlib-probe-{os.getpid()}"
    try:
        probe.write_text("written by --plan, and to be deleted\n")
        yield probe
    finally:
        probe.unlink(missing_ok=True)
        for parent in made:
            parent.rmdir()


def machine_checks(machines: Sequence[Machine], plan: Plan) -> Iterator[Check]:
    """Whether every machine has the photographs, the storage and the same libraries."""
    for machine in machines:
        if machine.problem:
            remedy = "put the photographs there, or give a URL that each machine can fetch"
            yield Check("data", f"on {machine.name}: {machine.problem}; {remedy}", ok=False)
        elif machine.fingerprint not in (plan.dataset.fingerprint, None):
            text = (
                f"on {machine.name} other photographs than here; copy the same ones to all machines"
            )
            yield Check("data", text, ok=False)
        if machine.sees_storage is False and not plan.mirror:
            text = (
                f"{machine.name} does not see what is written in {plan.folder.parent}; give "
                "--storage a disk that all machines share, or s3://..."
            )
            yield Check("storage", text, ok=False)
    first = machines[0]
    for machine in machines[1:]:
        if machine.versions != first.versions:
            text = (
                f"{machine.name} has {machine.told_versions}, {first.name} {first.told_versions}; "
                "install the same ones: pip install -c constraints.txt -e ."
            )
            yield Check("versions", text, ok=False)
    if plan.bucket:
        yield Check("data", "the machines fetch the decoded photographs from the storage")
    elif all(machine.fingerprint == plan.dataset.fingerprint for machine in machines):
        where = "this machine" if len(machines) == 1 else f"{len(machines)} machines"
        yield Check("data", f"all photographs are on {where}")


def gpu_checks(
    machines: Sequence[Machine], gpus_per_trial: float | str | None, *, may_grow: bool
) -> Iterator[Check]:
    """Whether PyTorch can use the GPUs that are there, and whether there are any if asked for."""
    for machine in machines:
        if machine.gpu_problem:
            yield Check("GPU", f"on {machine.name}: {machine.gpu_problem}", ok=False)
    kinds = sorted({gpu for machine in machines for gpu in machine.gpus})
    if kinds:
        count = sum(len(machine.gpus) for machine in machines)
        yield Check("GPU", f"{count} x {', '.join(kinds)}")
    elif may_grow:
        yield Check("GPU", "none is up; trials wait until the cluster has started one")
    elif gpus_per_trial not in (None, 0):
        text = f"--gpus-per-trial {gpus_per_trial} and no GPU here; leave it out to use the CPU"
        yield Check("GPU", text, ok=False)
    else:
        yield Check("GPU", "none, so trials run on the CPU")


def disk_check(plan: Plan, at_once: int) -> Check:
    """Whether the weights that the sweep keeps fit."""
    trial, best = plan.disk
    needed = (at_once + plan.most_waiting) * trial + best
    folder = next(parent for parent in plan.folder.parents if parent.exists())
    free = shutil.disk_usage(folder).free
    text = f"{byte_size(needed)} at most for weights, {byte_size(free)} free in {folder}"
    if needed > free:
        remedy = "make room, take another --storage or a lower --max-concurrent"
        return Check("disk", f"{text}; {remedy}", ok=False)
    return Check("disk", text)


def speed_checks(
    plan: Plan, machines: Sequence[Machine], *, share: float, at_once: int
) -> Iterator[Check]:
    """Whether the largest network trains, and what that says of the sweep's time and cost."""
    here = next((machine for machine in machines if machine.is_here), machines[0])
    if share and not here.gpus:
        up = any(machine.gpus for machine in machines)
        why = "the GPUs are on other machines" if up else "no machine with a GPU is up yet"
        yield Check("speed", f"not known: {why}; the first trial tells")
        return
    sizes = _sizes(plan)
    cost_of = costs(plan.space, **sizes)
    rising = list(cost_of)
    biggest = max(rising, key=lambda c: training_bytes(c, **sizes))
    if faults := list(memory_faults(biggest, plan, machines, share=share, at_once=at_once)):
        yield from faults
        return
    torch.set_num_threads(plan.settings.cpus_per_trial)
    device = "cuda" if share else "cpu"
    part = gpu_part(plan, share)
    try:
        with memory_of_a_trial(part):
            middle, top = (
                measure(config, **sizes, device=device)
                for config in (rising[len(rising) // 2], rising[-1])
            )
    except torch.OutOfMemoryError:
        text = f"{_named(plan, rising[-1])} does not fit into {_told_part(part)}; {LARGE}"
        yield Check("largest network", text, ok=False)
        return
    peak = f", {byte_size(top.peak_bytes)} of the GPU" if top.peak_bytes else ""
    yield Check(
        "largest network",
        f"{_named(plan, top.config)} trains, {1 / top.seconds:,.0f} images/s{peak}; the middle "
        f"one {1 / middle.seconds:,.0f} images/s",
    )
    image_seconds = statistics.mean(
        seconds_an_image(cost, middle, top) for cost in cost_of.values()
    )
    first = once_seconds(plan, rising, device)
    yield forecast(plan, machines, image_seconds, share=share, at_once=at_once, first=first)


def _sizes(plan: Plan) -> dict[str, Any]:
    """What a network's cost depends on beside its configuration."""
    return {
        "num_classes": len(plan.dataset.classes),
        "image_size": plan.image_size,
        "family": plan.family,
    }


def once_seconds(plan: Plan, configs: Sequence[Any], device: str) -> float:
    """Seconds until the features of the space's frozen trunks are there, each computed once.

    With augmentation the photographs to train on are seen in VIEWS ways more.
    """
    sizes = _sizes(plan)
    one_each = {once_macs(config, **sizes): config for config in configs}
    one_each.pop(0.0, None)
    seconds = sum(measure_once(config, device=device, **sizes) for config in one_each.values())
    kinds = {config.augmentation for config in configs if config.use_augmentation}
    known = len(plan.dataset.train.files)
    return seconds * known * (1 + VIEWS * len(kinds))


LARGE = (
    "narrow the space by --set (fewer filters or neurons, smaller batches) or --image-size, or run "
    "fewer trials at once"
)


def memory_faults(
    config: Configuration, plan: Plan, machines: Sequence[Machine], *, share: float, at_once: int
) -> Iterator[Check]:
    """A fault for each machine whose trials at once may need more memory than it has."""
    needed = training_bytes(config, **_sizes(plan))
    part = gpu_part(plan, share)
    for machine in machines:
        there, what = machine.free_bytes, "the machine"
        if share:
            there, what = int(machine.gpu_bytes * part), _told_part(part)
        fit = room([machine.resources], plan.settings.cpus_per_trial, share)
        trials = min(fit, 1 if share else at_once)
        if needed * trials > there:
            text = (
                f"{_named(plan, config)} needs about {byte_size(needed)}, {trials} at once, and "
                f"{what} has {byte_size(there)}; {LARGE}"
            )
            yield Check("largest network", text, ok=False)


def gpu_part(plan: Plan, share: float) -> float:
    """How much of a GPU's memory a trial may take, 0 to 1; what is measured first finds its own."""
    return 1.0 if plan.settings.gpus_per_trial == "auto" else min(share, 1.0)


@contextmanager
def memory_of_a_trial(part: float) -> Iterator[None]:
    """No more of the GPU's memory than a trial has; on a CPU, and of a whole GPU, no limit."""
    if not 0 < part < 1:
        yield
        return
    torch.cuda.set_per_process_memory_fraction(part)
    try:
        yield
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)


def _told_part(part: float) -> str:
    """The remedy of a smaller share is --gpus-per-trial, so it is named."""
    return "the GPU" if part == 1 else f"its share of the GPU (--gpus-per-trial {part:g})"


def forecast(
    plan: Plan,
    machines: Sequence[Machine],
    image_seconds: float,
    *,
    share: float,
    at_once: int,
    first: float = 0.0,
) -> Check:
    """How long the sweep takes where an image takes so many seconds, and at what price.

    `first` are seconds for what is computed once, on each machine.
    """
    epochs, _ = plan.expected
    if plan.holds_finals:
        entrants = min(plan.finalists, plan.trials) + bool(plan.reference)
        epochs += entrants * plan.seeds * plan.max_epochs
    photos = plan.num_photos["train"] + plan.num_photos["val"] / 3  # forward only
    seconds = first + epochs * photos * image_seconds / at_once
    text = f"about {hours(seconds / 3600)} with {at_once} trials at once"
    gpus = [gpu for machine in machines for gpu in machine.gpus]
    if share and (price := prices().get(accelerator(gpus[0]) or "")):
        count = max(len(gpus), at_once * share)  # there may come more
        on_demand, spot = (count * seconds / 3600 * dollars for dollars in price)
        text += f", ${on_demand:,.2f} on demand or ${spot:,.2f} spot by cnnlib/journal/prices.csv"
    return Check("time", f"{text}; most networks are stopped early or are smaller, some are not")


def _named(plan: Plan, config: Configuration) -> str:
    names = searched(plan.space)
    values = {n: v for n, v in told(asdict(config), names, plan.family.name).items() if n in names}
    return run_name(values) or "the network"
