"""Arrays that are computed once and kept in the cache: is one whole, and how does it come there.

Beside a whole array stands what tells that it is. One that is computed lies in a part file, with a
note of how many rows are on the disk, so that a build that was killed goes on where it was.
"""

import hashlib
import json
import logging
import os
from functools import cache
from pathlib import Path

import numpy as np

from cnnlib.storage.files import replaced

log = logging.getLogger(__name__)


def is_whole(path: Path, *, thoroughly: bool = False) -> bool:
    """Whether an array is as it was written.

    It is read if the file was touched, or to look at it `thoroughly`.
    """
    try:
        found, facts = path.stat(), json.loads(path.with_suffix(".json").read_text())
        if found.st_size != facts["bytes"]:
            raise ValueError(f"{found.st_size} bytes in place of {facts['bytes']}")
        if thoroughly or found.st_mtime_ns != facts["mtime_ns"]:
            if checksum_of(path) != facts["checksum"]:
                raise ValueError("other bytes than were written")
            describe(path, facts["checksum"])
    except FileNotFoundError:
        return False
    except (ValueError, KeyError, TypeError) as error:
        log.warning("%s is damaged (%s); decoding again", path, error)
        return False
    return True


def describe(path: Path, checksum: int) -> None:
    """Writes beside an array what tells later whether they are whole."""
    found = path.stat()
    facts = {"bytes": found.st_size, "mtime_ns": found.st_mtime_ns, "checksum": checksum}
    part = path.with_suffix(f".json.{os.getpid()}")
    part.write_text(json.dumps(facts))
    part.replace(path.with_suffix(".json"))


def checksum_of(path: Path) -> int:
    """A sum of the file's words of 64 bits, each times a number of its place.

    Words that change, or change places, change it; it takes a third of the time of a CRC.
    """
    content = np.memmap(path, np.uint8, mode="r")
    weights = _weights()
    rows = len(content) // weights.nbytes
    end = rows * weights.nbytes
    sums = content[:end].view(np.uint64).reshape(rows, len(weights)) @ weights
    digest = hashlib.blake2b(sums.tobytes(), digest_size=8)  # tells the order of the rows
    digest.update(content[end:].tobytes())
    return int.from_bytes(digest.digest())


@cache
def _weights() -> np.ndarray:
    """Odd, so that no change of one word is lost."""
    return np.random.default_rng(0).integers(0, 2**64, 1 << 13, dtype=np.uint64) | np.uint64(1)


class Part:
    """The array that is to be at `path`, (rows, ...), as far as it is computed."""

    def __init__(self, path: Path, shape: tuple[int, ...]) -> None:
        self._path, self._shape = path, shape
        self.file = path.with_suffix(".part")
        self._note = path.with_suffix(".rows")

    def rows_done(self) -> int:
        """How many rows a killed build has left; 0 where that cannot be told."""
        try:
            rows = json.loads(self._note.read_text())["rows"]
            kept = np.load(self.file, mmap_mode="r").shape
            if kept == self._shape and 0 < rows <= self._shape[0]:
                return int(rows)
        except (OSError, ValueError, KeyError, TypeError):
            pass
        return 0

    def begin(self) -> int:
        """How many rows are done; a note of another part is gone."""
        done = self.rows_done()
        if not done:
            self._note.unlink(missing_ok=True)
        return done

    def note(self, rows: int) -> None:
        """So many rows are on the disk."""
        text = json.dumps({"rows": rows})
        replaced(self._note, lambda part: part.write_text(text), lasting=False)

    def finish(self) -> None:
        """All rows are on the disk: the array takes its place."""
        checksum = checksum_of(self.file)
        self.file.replace(self._path)
        describe(self._path, checksum)
        self._note.unlink(missing_ok=True)

    def discard(self) -> None:
        """Nothing of it is kept."""
        self.file.unlink()
        self._note.unlink(missing_ok=True)
