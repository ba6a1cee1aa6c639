"""What a trial needs of the machine it runs on: the photographs, and a folder that outlives it."""

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from cnnlib.dataset import Dataset, find_dataset
from cnnlib.download import cache_folder, exclusive
from cnnlib.storage import Shelf, StorageError


def photographs(dataset: Dataset, data: str | None) -> Dataset:
    """A data set that was found on another machine, as this one has it.

    `data` is what it was found by there; None where there is only one machine. The first who asks
    fetches it while the others wait. Raises ValueError where other photographs are found here.
    """
    if data is None:
        return dataset
    with exclusive(cache_folder() / f"dataset-{dataset.fingerprint}"):
        if dataset.train.files[0].exists():
            return dataset
        return _found(data, dataset.fingerprint)


def wherever(data: str | Path) -> str:
    """The same data for whoever runs elsewhere on the machine, or on another."""
    path = Path(data).expanduser()
    return str(path.absolute()) if path.exists() else str(data)


@cache
def _found(data: str, fingerprint: str) -> Dataset:
    dataset = find_dataset(data)
    if dataset.fingerprint != fingerprint:
        raise ValueError(f"data: {data} holds other photographs here than where the sweep began")
    return dataset


@contextmanager
def kept(
    checkpoints: Path, trial_id: str, bucket: str | None
) -> Iterator[tuple[Path, Callable[[], None]]]:
    """A trial's folder, with what was kept of it, and what keeps it as it is now.

    It is <checkpoints>/<trial_id>; with a bucket <bucket>/<trial_id>, and a copy here that goes
    with the trial. Raises StorageError where this machine has neither.
    """
    if bucket:
        with tempfile.TemporaryDirectory(prefix="cnnlib-trial-") as scratch:
            shelf = Shelf(f"{bucket}/{trial_id}", Path(scratch))
            shelf.fetch()
            yield Path(scratch), shelf.send
        return
    if not checkpoints.parent.exists():
        raise StorageError(
            f"there is no {checkpoints.parent} on {os.uname().nodename}; give --storage "
            "s3://bucket/path, or a folder on a disk that all machines share"
        )
    yield checkpoints / trial_id, lambda: None
