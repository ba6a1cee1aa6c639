"""What a trial needs of the machine it runs on: the photographs, and a folder that outlives it."""

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from cnnlib.photos.dataset import Dataset
from cnnlib.photos.source_text import SourceText
from cnnlib.photos.sources import find_dataset
from cnnlib.pixels.pixels import fetch_pixels, has_pixels, pixels
from cnnlib.storage.buckets import below
from cnnlib.storage.files import exclusive
from cnnlib.storage.training_files import StorageError, TrialFiles
from cnnlib.system.redaction import without_secrets
from cnnlib.system.surroundings import cache_folder, ray_address

WAITING = "waiting"  # by this name a trial reports what it waits for


@dataclass(frozen=True)
class Source:
    """Where a machine of a cluster finds the photographs that another has found and decoded."""

    data: str  # what they were found by there
    sizes: tuple[int, ...]  # that they are needed at, in pixels
    storage: str | None = None  # where decoded ones are kept for all machines


def on_cluster() -> bool:
    """Whether Ray was started by others, perhaps on many machines: `ray job submit` says so."""
    return ray_address() is not None


def photographs(dataset: Dataset, source: Source | None, say: Callable[[str], None]) -> Dataset:
    """A data set that was found on another machine, as this one has it, and decoded.

    `source` is None where there is only one machine. The first who asks brings it, and `say` is
    told what is waited for; others on the machine wait meanwhile. Photographs that are here decoded
    need no files. Raises ValueError where other photographs are found here.
    """
    if source is None:
        return dataset
    with exclusive(cache_folder() / f"dataset-{dataset.fingerprint}"):
        missing = [side for side in source.sizes if not has_pixels(dataset, side)]
        if missing and source.storage:
            say(f"fetching the decoded photographs from {without_secrets(source.storage)}")
            missing = [s for s in missing if not fetch_pixels(dataset, s, source.storage)]
        if missing:
            say(f"finding and decoding {len(dataset.train.files):,} photographs")
            dataset = _found(source.data, dataset.fingerprint)
        for side in missing:
            pixels(dataset, "train", side)
        return dataset


def wherever(data: str | Path) -> str:
    """The same data for whoever runs elsewhere on the machine, or on another."""
    return "sample" if data == "sample" else SourceText.parse(data).absolute


@cache
def _found(data: str, fingerprint: str) -> Dataset:
    dataset = find_dataset(data)
    if dataset.fingerprint != fingerprint:
        raise ValueError(f"data: {data} holds other photographs here than where the sweep began")
    return dataset


@contextmanager
def trial_folder(
    checkpoints: Path, trial_id: str, bucket: str | None
) -> Iterator[tuple[Path, Callable[[], None]]]:
    """A trial's folder, with what was kept of it, and what keeps it as it is now.

    It is <checkpoints>/<trial_id>; with a bucket <bucket>/<trial_id>, and a copy here that goes
    with the trial. Raises StorageError where this machine has neither.
    """
    if bucket:
        with tempfile.TemporaryDirectory(prefix="cnnlib-trial-") as scratch:
            files = TrialFiles(below(bucket, trial_id), Path(scratch))
            files.fetch()
            yield Path(scratch), files.send
        return
    if not checkpoints.parent.exists():
        raise StorageError(
            f"there is no {checkpoints.parent} on {os.uname().nodename}; give --storage "
            "s3://bucket/path, or a folder on a disk that all machines share"
        )
    yield checkpoints / trial_id, lambda: None
