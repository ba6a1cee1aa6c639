"""Files of this machine: written in one step, locked, and whether there is room for them."""

import fcntl
import hashlib
import os
import secrets
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

DIGEST_SIZE = 16  # bytes

State = tuple[int, int]  # a file's size and time


def replaced(path: Path, write: Callable[[Path], object], *, lasting: bool = True) -> None:
    """Writes a file in one step: whoever reads it finds the old content or the new.

    A `lasting` one is on the disk when this returns, and a power cut does not take it back.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # One name for each writer: a worker that was given up, here or elsewhere, may still write.
    part = path.with_name(f".{secrets.token_hex(8)}.part")
    try:
        write(part)
        if lasting:
            sync(part)
        part.replace(path)
        if lasting:
            sync(path.parent)
    finally:
        part.unlink(missing_ok=True)


def refuse_special(path: str | Path) -> None:
    """OSError where there is a pipe, a socket or a device, the reading of which may never end."""
    with suppress(FileNotFoundError):
        mode = os.stat(path).st_mode
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
            raise OSError(f"{path} is a pipe, a socket or a device; give a file")


def sync(path: Path) -> None:
    """Returns when what was written to a file, or into a folder, is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def exclusive(path: Path, *, wait: bool = True) -> Iterator[bool]:
    """One process or thread at a time in here per `path`; others wait, and death lets go.

    Yields whether it is ours: without `wait` it may be another's. The lock is on `<path>.lock`,
    which stays: deleting it would let two in.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path.with_name(path.name + ".lock"), "a") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            yield False
        else:
            yield True


def lock_taken(file: int) -> bool:
    """Takes the lock on an open file or folder; False where it is another's. Death lets go."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def check_space(source: str, folder: Path, needed: int) -> None:
    """OSError where what `source` names needs more bytes than the disk of `folder` has."""
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise OSError(
            f"{source} needs {needed / 1e6:,.1f} MB and {folder} has {free / 1e6:,.1f} MB free; "
            "make room or set CNNLIB_CACHE to a larger disk"
        )


def new_digest() -> hashlib.blake2b:
    """For bytes that come one after the other."""
    return hashlib.blake2b(digest_size=DIGEST_SIZE)


def text_digest(text: str) -> str:
    """A short name of a text, in hexadecimal digits."""
    return hashlib.blake2b(os.fsencode(text), digest_size=DIGEST_SIZE).hexdigest()


def digest(weights: Path) -> str | None:
    """What tells these weights from any other; None where there are none."""
    refuse_special(weights)
    return hashlib.sha256(weights.read_bytes()).hexdigest() if weights.exists() else None


def state(path: Path) -> State:
    """Size and time of a file: another state is other content."""
    found = path.stat()
    return found.st_size, found.st_mtime_ns
