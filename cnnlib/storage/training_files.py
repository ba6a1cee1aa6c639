"""The weights that a sweep keeps: the best and the last of each trial that may still need them.

They lie on a disk, or on a cluster in the bucket, where every machine sees them.
"""

import contextlib
import logging
import os
import time
from collections.abc import Callable
from pathlib import Path

from safetensors import safe_open

from cnnlib.storage.buckets import Bucket, reason
from cnnlib.storage.files import State, refuse_special, state
from cnnlib.system.redaction import without_secrets

BEST = "best.safetensors"
LAST = "last.pt"
PAUSE = 2.0  # seconds between tries
PATIENCE = 60.0  # seconds that a trial waits for a storage that does not answer


def epoch_of(weights: Path) -> int | None:
    """The epoch after which these weights were kept; None where an older version kept them.

    Raises OSError where the file is no whole safetensors file.
    """
    refuse_special(weights)
    try:
        with safe_open(weights, framework="np") as content:
            epoch = (content.metadata() or {}).get("epoch")
    except FileNotFoundError:
        raise
    except Exception as error:  # SafetensorError is an Exception only
        raise OSError(f"{weights} is torn or holds no weights: {error}") from None
    return int(epoch) if epoch and epoch.isdecimal() else None


class OtherEpochError(OSError):
    """Weights are whole, but of another epoch than the best that the journal knows."""


def check_epoch(weights: Path, epoch: int) -> None:
    """Raises OtherEpochError where these are not the weights of that epoch, if they can say it."""
    kept = epoch_of(weights)
    if kept not in (None, epoch):
        raise OtherEpochError(
            f"{weights} holds the weights of epoch {kept}, but the best epoch was {epoch}: another "
            "worker or driver has written over them"
        )


def is_trainings(name: str) -> bool:
    """Whether a file of this name is one that a training keeps, or has begun to write."""
    return name in (BEST, LAST) or name.endswith(".part")


def prune(folder: Path, is_needed: Callable[[str, str], bool]) -> None:
    """Deletes what trainings kept and nothing needs, asked by names of sub-folder and file.

    Files of others stay.
    """
    for inner in _names(folder):
        for name in _names(folder / inner):
            if is_trainings(name) and not is_needed(inner, name):
                with contextlib.suppress(OSError):
                    (folder / inner / name).unlink()
        with contextlib.suppress(OSError):  # it is not empty yet
            (folder / inner).rmdir()


def _names(folder: Path) -> list[str]:
    """What is in a folder; nothing where it is none, or goes or comes meanwhile."""
    try:
        return sorted(os.listdir(folder))
    except (FileNotFoundError, NotADirectoryError):
        return []


class StorageError(OSError):
    """A machine cannot read or write what its trials keep; no fault of the trial."""


class TrialFiles:
    """A trial's files in the bucket, for whichever machine runs it.

    Raises StorageError where the storage does not answer for PATIENCE seconds.
    """

    def __init__(self, url: str, folder: Path) -> None:
        """`url` is where the files of `folder` are kept."""
        self._url = url
        self._folder = folder
        self._sent: dict[str, State] = {}
        self._bucket: Bucket | None = None

    def fetch(self) -> None:
        """Makes the files here those of the storage."""
        self._patiently(self._fetch)

    def _fetch(self, bucket: Bucket) -> None:
        for name in bucket.files():
            if is_trainings(name):
                bucket.fetch(name, self._folder / name)
                self._sent[name] = state(self._folder / name)

    def send(self) -> None:
        """Copies there what is new or changed here."""
        self._patiently(self._send)

    def _send(self, bucket: Bucket) -> None:
        for path in sorted(self._folder.iterdir()):
            if path.suffix == ".part":
                continue
            now = state(path)
            if self._sent.get(path.name) != now:
                bucket.send(path, path.name)
                self._sent[path.name] = now

    def _patiently(self, act: Callable[[Bucket], None]) -> None:
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                self._bucket = self._bucket or Bucket(self._url)
                return act(self._bucket)
            except (OSError, ValueError) as error:
                if time.monotonic() > deadline:
                    place = without_secrets(self._url)
                    raise StorageError(f"{place} does not answer: {reason(error)}") from error
                time.sleep(PAUSE)


def prune_bucket(url: str, is_needed: Callable[[str, str], bool]) -> None:
    """Deletes what machines keep there and none needs any more, asked by names of folder and file.

    Files of others stay.
    """
    try:
        bucket = Bucket(url)
        for path in bucket.files():
            folder, _, name = path.partition("/")
            if is_trainings(name) and not is_needed(folder, name):
                with contextlib.suppress(FileNotFoundError):
                    bucket.delete(path)
    except (OSError, ValueError) as error:
        place = without_secrets(url)
        logging.getLogger(__name__).warning(
            "%s: %s; what is not needed stays there for now", place, error
        )
