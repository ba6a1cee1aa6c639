"""How settings become a plan: every mistake of the user's is found here, in one line.

Flags, sweep file and photographs are looked at before PyTorch or Ray are imported, which takes
some seconds: a mistake is told at once.
"""

import os
import re
import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from cnnlib.networks.cnn.family import CNN
from cnnlib.networks.family import Family
from cnnlib.networks.hyperparameter import nearest
from cnnlib.networks.metric import LOGGED, read_metric
from cnnlib.networks.own_code import family_asked
from cnnlib.photos.source_text import SourceText, read_by
from cnnlib.planning.make_terms import (
    ASKED,
    asked_first,
    halving_asked,
    is_beyond,
    make_terms,
    max_epochs_asked,
    num_trials,
)
from cnnlib.planning.settings import Settings, check_flags, renamed, seconds_of
from cnnlib.search.bounds import LARGEST_SEED
from cnnlib.search.default_sweep import default_sweep
from cnnlib.search.reference import read_reference
from cnnlib.search.searchers import SEARCHERS
from cnnlib.search.space import check_given, num_configurations, of_each_shape, with_set
from cnnlib.search.sweep_file import SweepFile, read_sweep_file, sweep_from_mapping
from cnnlib.storage.yaml_file import read_yaml
from cnnlib.system.redaction import secrets_withheld, without_secrets
from cnnlib.system.units import short
from cnnlib.tracking.account import resolved_mode

if TYPE_CHECKING:
    from cnnlib.journal.mirror import Mirror
    from cnnlib.planning.plan import Plan

SWEEPS = Path(str(files("cnnlib"))) / "sweeps"
IMAGE_SIZE = 224  # px, where the kind of network does not say
FINALISTS = 3
SEEDS = 3


@secrets_withheld()
def make_plan(settings: Settings) -> "Plan":
    """The sweep as it will run.

    What the user may have got wrong raises here: ValueError or OSError, in one line. So the
    photographs are decoded here too.
    """
    settings = replace(settings, data=_data(settings), columns=None, min_per_class=None)
    check_flags(settings)
    if settings.search is not None and settings.search not in SEARCHERS:
        names = " or ".join(SEARCHERS)
        raise ValueError(f"--search: {short(settings.search)} is not {names}")
    time_budget = None if settings.time_budget is None else seconds_of(settings.time_budget)
    folder = _folder(settings)
    rename = renamed(settings.rename)
    if settings.resume:
        from cnnlib.planning.resume import renamed_before

        rename = renamed_before(folder) | rename
    file = _with_metric(_sweep_file(settings, rename), settings)
    family = file.family
    image_size = settings.image_size or file.settings.get("image_size") or default_size(family)
    flags = [settings.set] if isinstance(settings.set, str) else settings.set
    space = with_set(file.space, flags, family)
    check_given(space, family)
    num_points = num_configurations(space, image_size, family)
    if not settings.resume:
        num_trials(settings, file, num_points)
        halving_asked(settings, file, max_epochs_asked(settings, file), before=None)
    reference = read_reference(settings.reference, space, image_size, family)
    asked = asked_first(settings, file, space, image_size)
    finals = {"finalists": FINALISTS, "seeds": SEEDS}
    finals = {n: _first(getattr(settings, n), file.settings.get(n), v) for n, v in finals.items()}
    if settings.seed + finals["seeds"] > LARGEST_SEED:
        raise ValueError(f"--seed: {settings.seed} leaves no room for {finals['seeds']} new seeds")
    from cnnlib.photos.sources import find_dataset

    dataset = find_dataset(settings.data)
    # From here on it takes time: W&B, storage, PyTorch, decoding.
    wandb = resolved_mode(settings.wandb)
    mirror = _mirror(settings, folder)
    _check_machine(settings)
    from cnnlib.pixels.pixels import decode_ahead
    from cnnlib.planning.plan import Plan, num_photos
    from cnnlib.planning.resume import check_compatible, read_terms

    before = read_terms(folder, family) if settings.resume else None
    terms = replace(
        make_terms(settings, file, space, image_size, num_points, before),
        fingerprint=dataset.fingerprint,
        names=file.names,
        rename=rename,
        **asked,
    )
    if terms.noise_of:
        terms = replace(terms, noise_of=num_photos(dataset, settings.seed)["val"])
    if before:
        kept = {name: getattr(before, name) for name in ASKED if name not in asked}
        terms = replace(terms, **kept)
    if before:
        check_compatible(before, terms)
    if family.digest is not None:
        from cnnlib.planning.trial_run import try_out

        sizes = {"num_classes": len(dataset.classes), "image_size": image_size}
        try_out(family, space, **sizes, metric=file.metric)
    if family.prepare:
        for config in of_each_shape(space, family):
            family.prepare(config)
    began = time.monotonic()
    decode_ahead(dataset, image_size, augmented=terms.augmented)
    plan = Plan(
        settings=settings,
        folder=folder,
        mirror=mirror,
        dataset=dataset,
        terms=terms,
        num_points=num_points,
        time_budget=time_budget,
        wandb=wandb,
        decode_seconds=time.monotonic() - began,
        reference=reference,
        notes=_notes(settings, file),
        **finals,
    )
    _ = plan.disk  # raises where a network of the space has more weights than can be counted
    return plan


def _data(settings: Settings) -> str | Path:
    """The text that names the photographs and how they are read, of an object its table's."""
    data = settings.data
    if not isinstance(data, str | Path):
        from cnnlib.photos.packed import is_dataset_object, object_table
        from cnnlib.system.surroundings import cache_folder

        if not is_dataset_object(data):
            raise ValueError(f"--data: {short(data)} is not a text nor a data set")
        data = object_table(data, cache_folder())
    return read_by(data, settings.columns, settings.min_per_class)


def _sweep_file(settings: Settings, rename: Mapping[str, str]) -> SweepFile:
    family = None if settings.network is None else family_asked(settings.network)
    if settings.sweep is None and family is not None and family is not CNN:
        base = read_yaml(_sweep_path(None, settings.data))
        return sweep_from_mapping(default_sweep(family, base), family, rename=rename)
    other = settings.metric is not None
    if settings.sweep is None or isinstance(settings.sweep, str | Path):
        path = _sweep_path(settings.sweep, settings.data)
        return read_sweep_file(path, family, rename=rename, other_metric=other)
    return sweep_from_mapping(settings.sweep, family, rename=rename, other_metric=other)


def default_size(family: Family) -> int:
    """The side of images in pixels where nobody says one."""
    return family.image_size or IMAGE_SIZE


def _with_metric(file: SweepFile, settings: Settings) -> SweepFile:
    """The file with the metric of --metric in place of its own; ValueError for one never logged."""
    field = "metric"
    if settings.metric is not None:
        field = "--metric"
        metric, notes = read_metric(settings.metric, settings.goal, field=field)
        kept = [note for note in file.notes if not note.startswith("metric: ")]
        target = file.target if metric.name == file.metric.name else None
        file = replace(file, metric=metric, target=target, notes=(*kept, *notes))
    elif settings.goal is not None:
        raise ValueError("--goal: of which metric? give its --metric too")
    # What code of the user's own logs is known when it trains.
    if (name := file.metric.name) not in LOGGED and file.family.code is None:
        near = nearest(name, LOGGED) or f"; known are {', '.join(LOGGED)}"
        raise ValueError(f"{field}: {name} is nothing that the network logs{near}")
    return file


def _notes(settings: Settings, file: SweepFile) -> tuple[str, ...]:
    """What of the sweep file is read otherwise than W&B would, and is not to be seen so."""
    shipped = settings.sweep is None or str(settings.sweep) == "wide"
    if shipped:
        return ()
    max_epochs = max_epochs_asked(settings, file)
    if is_beyond(file, max_epochs):
        rungs = (
            f"early_terminate: the first rung is at epoch {file.grace_period}, beyond the last, "
            f"{max_epochs}, so no trial is stopped"
        )
    elif not file.early_terminate or file.stopping:
        return file.notes
    else:
        rungs = "early_terminate: there is none, so W&B would stop no trial; null stops none here"
    return (*file.notes, rungs)


def _check_machine(settings: Settings) -> None:
    """Whether Ray can start and a trial fits; a cluster may grow, so there all trials do."""
    from cnnlib.system.gpus import usable_gpus
    from cnnlib.system.limits import cores
    from cnnlib.system.surroundings import check_ray, check_surroundings
    from cnnlib.training.on_machine import on_cluster

    check_surroundings()
    check_ray()
    if on_cluster():
        return
    cpus, (gpus, problem) = cores(), usable_gpus()
    if settings.cpus_per_trial > cpus:
        raise ValueError(
            f"--cpus-per-trial: {settings.cpus_per_trial} is more than the {cpus} here"
        )
    share = settings.gpus_per_trial
    if share != 0 and problem:
        raise ValueError(f"{problem}, or use the CPU by --gpus-per-trial 0")
    if share not in (None, 0) and not gpus:
        raise ValueError(f"--gpus-per-trial: {share} and no GPU here; leave it out to use the CPU")
    if not isinstance(share, str) and (share or 0) > len(gpus):
        raise ValueError(f"--gpus-per-trial: {share:g} is more than the {len(gpus)} here")


def _in_bucket(settings: Settings) -> bool:
    """Whether the storage is no folder on this machine."""
    return re.match(r"[\w+.-]+:/", str(settings.storage or "")) is not None


def _mirror(settings: Settings, folder: Path) -> "Mirror | None":
    """Where the folder is copied to; what it holds is fetched to go on with it."""
    if not _in_bucket(settings):
        return None
    from cnnlib.journal.mirror import Mirror
    from cnnlib.training.on_machine import on_cluster

    mirror = Mirror(str(settings.storage), folder, nodes=on_cluster())
    if settings.resume:
        mirror.fetch()
    elif mirror.exists():
        raise ValueError(f"{mirror.url} exists; choose another --name, or --resume")
    return mirror


def _folder(settings: Settings) -> Path:
    """The sweep's folder, which must be new and one that can be made."""
    if settings.resume and not settings.name:
        raise ValueError("--resume: which sweep? give its --name")
    name = settings.name or f"{data_name(settings.data)}-{datetime.now():%Y%m%d-%H%M%S}"
    if not re.fullmatch(r"[\w.-]+", name) or name.startswith("."):
        said = short(name)
        raise ValueError(f"--name: {said} is not made of letters, digits, '.', '_' and '-'")
    storage = _default_storage()
    if settings.storage and not _in_bucket(settings):
        try:
            storage = Path(settings.storage).expanduser()
        except RuntimeError as error:  # ~nobody/
            raise ValueError(f"--storage: {settings.storage}: {error}") from None
    folder = storage.absolute() / name
    if settings.resume:
        return folder
    if folder.exists():
        raise ValueError(
            f"{folder} exists; nothing is overwritten: choose another --name, or go on with "
            "it by --resume"
        )
    above = next(parent for parent in folder.parents if parent.exists())
    if not above.is_dir() or not os.access(above, os.W_OK | os.X_OK):
        raise PermissionError(f"--storage: no permission to write in {above}")
    return folder


def _first(*values: int | None) -> int:
    return next(value for value in values if value is not None)


def _sweep_path(asked: str | Path | None, data: str | Path) -> Path:
    """The file that is asked for, by its path or as the name of one of SWEEPS; or the default."""
    if asked is None:
        return SWEEPS / ("sample.yaml" if data == "sample" else "inaturalist.yaml")
    ours = SWEEPS / f"{asked}.yaml"
    return ours if not Path(asked).exists() and ours.is_file() else Path(asked)


def _default_storage() -> Path:
    """results/ here; in a Ray job the home folder's, because Ray deletes a job's working folder."""
    here = Path.cwd()
    return (Path.home() if "working_dir_files" in here.parts else here) / "results"


def data_name(data: str | Path) -> str:
    """A short name of a data set, for folders: nature_12K of a URL that ends in nature_12K.zip."""
    place = without_secrets(SourceText.parse(data).place).rstrip("/")
    stem = re.sub(r"\.(zip|tar|csv|tsv|parquet|jsonl)$", "", Path(place).name)
    return re.sub(r"[^\w.-]+", "_", stem).strip("._-") or "photos"
