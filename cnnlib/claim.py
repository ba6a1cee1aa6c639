"""The claim on a sweep's folder: one driver at a time writes its journal."""

import fcntl
import json
import os
import socket
import threading
import time
from pathlib import Path
from typing import Any

NAME = "claim.json"
HEARTBEAT = 10.0  # seconds between signs of life
EXPIRES = 60.0  # seconds without one after which another machine's driver counts as dead


class ClaimedError(ValueError):
    """Another driver has the folder."""


class Claim:
    """A driver's claim on a folder, from when it is made until `release` or the process's death.

    On this machine the kernel knows whether the first driver lives: its lock on the file goes with
    it. For a driver on another machine, where locks may not reach, its signs of life count.
    """

    def __init__(self, folder: Path) -> None:
        """Raises ClaimedError, with its host and age, where a living driver has the folder."""
        self._path = folder / NAME
        self._file = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            held = False
        except BlockingIOError:
            held = True
        refusal = refused(folder, read_claim(self._path), held=held)
        if refusal:
            os.close(self._file)
            raise ClaimedError(refusal)
        self._since = time.time()
        self._beat()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="claim", daemon=True)
        self._thread.start()

    def release(self) -> None:
        """Gives the folder free; the file stays, empty."""
        self._ended.set()
        self._thread.join()
        os.ftruncate(self._file, 0)
        os.close(self._file)

    def _keep(self) -> None:
        while not self._ended.wait(HEARTBEAT):
            try:
                self._beat()
            except OSError:  # a full disk is the journal's matter
                continue

    def _beat(self) -> None:
        content = {
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "since": self._since,
            "alive": time.time(),
        }
        line = json.dumps(content).encode()
        os.pwrite(self._file, line.ljust(200) + b"\n", 0)  # one length: never a torn claim


def read_claim(path: Path) -> dict[str, Any] | None:
    """The claim in the file, None where there is none."""
    try:
        return json.loads(path.read_bytes() or b"null")
    except (FileNotFoundError, ValueError):
        return None


def is_alive(claim: dict[str, Any]) -> bool:
    """Whether its driver has shown a sign of life lately."""
    return time.time() - claim["alive"] < EXPIRES


def refused(folder: Path | str, claim: dict[str, Any] | None, *, held: bool) -> str | None:
    """Why a second driver may not have the folder, or None; `held` where its lock is taken."""
    if claim is None:
        return f"{folder} is being written by another driver" if held else None
    elsewhere = claim["host"] != socket.gethostname()
    silent = time.time() - claim["alive"]
    if not held and not (elsewhere and is_alive(claim)):
        return None
    age = time.time() - claim["since"]
    return (
        f"{folder} is being written by process {claim['pid']} on {claim['host']}, for "
        f"{age:.0f} s, last seen {max(silent, 0):.0f} s ago; end it, or wait until it is "
        f"silent for {EXPIRES:.0f} s"
    )
