"""The lock on a sweep's folder: one driver at a time writes its journal."""

import json
import logging
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

from cnnlib.storage.files import lock_taken, refuse_special

NAME = "claim.json"
HEARTBEAT = 10.0  # seconds between signs of life
EXPIRES = 60.0  # seconds without one after which another machine's driver counts as dead


def _is_time(value: Any) -> bool:
    return type(value) in (int, float) and 0 <= value < 1e11


FIELDS: dict[str, Callable[[Any], bool]] = {
    "host": lambda value: isinstance(value, str),
    "pid": lambda value: type(value) is int,
    "since": _is_time,
    "alive": _is_time,
}


class LockedError(ValueError):
    """Another driver has the folder."""


class FolderLock:
    """A driver's lock on a folder, from when it is made until `release` or the process's death.

    On this machine the kernel knows whether the first driver lives: its lock on the file goes with
    it. For a driver on another machine, where locks may not reach, its signs of life count. So a
    driver whose machine slept may have lost its lock meanwhile, and asks before it writes.
    """

    def __init__(
        self, folder: Path, lost_elsewhere: Callable[[bool], str | None] | None = None
    ) -> None:
        """Raises LockedError, with its host and age, where a living driver has the folder.

        `lost_elsewhere` says who has taken the sweep over where a copy of it lies, or None; its
        argument is whether to ask there now, because this machine may have slept.
        """
        self._folder = folder
        self._path = folder / NAME
        self._lost_elsewhere = lost_elsewhere or (lambda ask: None)
        self._file = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            if refusal := refused(folder, read_lock(self._path), held=not lock_taken(self._file)):
                raise LockedError(refusal)
        except LockedError:
            os.close(self._file)
            raise
        self.driver = secrets.token_hex(4)
        self._since = time.time()
        self._lost: str | None = None
        self._asking = threading.Lock()
        self._write()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="lock", daemon=True)
        self._thread.start()

    def check(self) -> None:
        """Raises LockedError where another driver has taken the sweep over; then this one ends."""
        with self._asking:
            self._lost = self._lost or self._taken_over()
        if self._lost:
            raise LockedError(self._lost)

    def _taken_over(self) -> str | None:
        here = read_lock(self._path)
        is_ours = here is not None and here.get("driver") == self.driver
        if not is_ours and self._path.exists():  # who deletes it has not taken it over
            return taken_over(self._folder, here)
        return self._lost_elsewhere(time.time() - self._alive > EXPIRES)

    def release(self) -> None:
        """Gives the folder free; the file stays, empty, unless it is another driver's by now."""
        self._ended.set()
        self._thread.join()
        try:
            self.check()
            os.ftruncate(self._file, 0)
        except LockedError as error:  # the file is the other driver's
            logging.getLogger(__name__).debug("%s", error)
        finally:
            os.close(self._file)

    def _keep(self) -> None:
        said = False
        while not self._ended.wait(HEARTBEAT):
            try:
                self.check()
                self._write()
            except LockedError:
                return  # the driver learns it when it writes
            except Exception as error:  # a full disk is the journal's matter
                if not said:
                    text = "%s: no sign of life could be given (%s); this is tried again"
                    logging.getLogger(__name__).warning(text, self._path, error)
                said = True

    def _write(self) -> None:
        self._alive = time.time()
        content = {
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "driver": self.driver,
            "since": self._since,
            "alive": self._alive,
        }
        line = json.dumps(content).encode()
        os.pwrite(self._file, line.ljust(300) + b"\n", 0)  # one length: never a torn lock


def is_locked(folder: Path) -> bool:
    """Whether a driver on this machine has the folder."""
    try:
        file = os.open(folder / NAME, os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        return not lock_taken(file)
    finally:
        os.close(file)


def read_lock(path: Path) -> dict[str, Any] | None:
    """The lock in the file, None where there is none; LockedError where it is something else."""
    refuse_special(path)
    try:
        return parsed_lock(path.read_bytes(), path)
    except FileNotFoundError:
        return None


def parsed_lock(content: bytes, place: Path | str) -> dict[str, Any] | None:
    """The lock that `place` holds, None where it is empty or torn by a power cut."""
    try:
        lock = json.loads(content.rstrip(b"\0 \n") or b"null")
    except ValueError:
        return None
    except RecursionError:
        lock = False
    if lock is None:
        return None
    if not isinstance(lock, dict) or not all(rule(lock.get(n)) for n, rule in FIELDS.items()):
        raise LockedError(
            f"{place}: line 1 is not a lock of this version; if no driver is at work on that "
            "sweep, delete the file"
        )
    return lock


def is_alive(lock: dict[str, Any]) -> bool:
    """Whether its driver has shown a sign of life lately."""
    return time.time() - lock["alive"] < EXPIRES


def same(one: dict[str, Any] | None, other: dict[str, Any] | None) -> bool:
    """Whether both locks are of one driver, or there is none in either place."""
    if one is None or other is None:
        return one is other
    return all(one.get(name) == other.get(name) for name in ("host", "pid", "since", "driver"))


def taken_over(place: Path | str, lock: dict[str, Any] | None) -> str:
    """The line with which a driver ends whose lock is another's now, or nobody's any more."""
    if lock is None:
        return f"{place} was taken over by another driver, which has ended; this one ends"
    since = datetime.fromtimestamp(lock["since"]).isoformat(" ", "seconds")
    return (
        f"{place} was taken over by {lock['host']} (process {lock['pid']}) at {since}; "
        "this one ends"
    )


def refused(folder: Path | str, lock: dict[str, Any] | None, *, held: bool) -> str | None:
    """Why a second driver may not have the folder, or None; `held` where its lock is taken."""
    if lock is None:
        return f"{folder} is being written by another driver" if held else None
    elsewhere = lock["host"] != socket.gethostname()
    silent = time.time() - lock["alive"]
    if not held and not (elsewhere and is_alive(lock)):
        return None
    age = time.time() - lock["since"]
    return (
        f"{folder} is being written by process {lock['pid']} on {lock['host']}, for "
        f"{age:.0f} s, last seen {max(silent, 0):.0f} s ago; end it, or wait until it is "
        f"silent for {EXPIRES:.0f} s"
    )
