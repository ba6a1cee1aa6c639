"""The truth of a sweep: append-only JSON lines in numbered segments, one event a line.

A segment is called 000002-<driver>.jsonl: so two drivers of one sweep, of which one did not know of
the other, never write into one file. Older ones are called 000002.jsonl.

`python -m cnnlib.journal FOLDER` prints the events of a sweep, `--trial ID` that of one trial with
the log of its failure; `--replay` derives every decision again and exits 1 at a difference.
"""

import io
import json
import os
import re
import secrets
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

from cnnlib.journal.event_shapes import EventOrder
from cnnlib.storage.files import refuse_special

SEGMENT_BYTES = 256 * 1024  # then a new one: object storage takes whole files, again and again


class Journal:
    """The one writer of a sweep's journal. Events are on the disk when `append` returns.

    Each writer begins a segment of its own, so that what a killed one left is never written to.
    """

    def __init__(
        self, folder: Path, driver: str | None = None, check: Callable[[], None] | None = None
    ) -> None:
        """Opens folder/journal for appending; OSError where nothing can be written.

        `driver` is this writer's name, and `check` raises where it may write no more.
        """
        self._folder = folder / "journal"
        self._driver = driver or secrets.token_hex(4)
        self._check = check or (lambda: None)
        self._folder.mkdir(parents=True, exist_ok=True)
        self._file = self._next_segment()
        self._failed = False

    def append(self, event: str, **content: object) -> dict[str, Any]:
        """Writes one line and returns it: the kind of event, the time (UTC, ISO), its content.

        Raises OSError where it cannot be written, and from then on: after a line that may be torn
        nothing may follow. What `check` raises comes before anything is written.
        """
        self._check()
        if self._failed:
            raise OSError(f"the journal in {self._folder} could not be written before")
        time = datetime.now(UTC).isoformat(timespec="milliseconds")
        entry = {"event": event, "time": time, **content}
        line = (json.dumps(entry) + "\n").encode()
        try:
            if self._file.tell() and self._file.tell() + len(line) > SEGMENT_BYTES:
                self._file.close()
                self._file = self._next_segment()
            while line:  # a disk that fills takes a part first
                line = line[self._file.write(line) :]
            os.fsync(self._file.fileno())
        except OSError:
            self._failed = True
            raise
        return entry

    def close(self) -> None:
        self._file.close()

    def _next_segment(self) -> BinaryIO:
        number = max((number_of(path) for path in segments(self._folder)), default=0) + 1
        # Unbuffered: a write that fails must not be tried again when the file is closed.
        path = self._folder / f"{number:06d}-{self._driver}.jsonl"
        file = path.open("xb", buffering=0)
        folder = os.open(self._folder, os.O_RDONLY)
        os.fsync(folder)  # or a power cut may forget the new file
        os.close(folder)
        return file  # type: ignore[return-value]  # FileIO has what is needed of BinaryIO


def number_of(segment: Path) -> int:
    return int(segment.name[:6])


def segments(journal: Path) -> list[Path]:
    """The segments in a sweep's folder `journal`, in the order of writing."""
    return sorted(p for p in journal.glob("*.jsonl") if re.match(r"\d{6}[-.]", p.name))


def whole_lines(content: bytes) -> bytes:
    """A segment without its last line, where a kill has torn that."""
    return content[: content.rfind(b"\n") + 1]


def journal_exists(folder: Path) -> bool:
    """Whether the folder holds a sweep's journal."""
    return (folder / "journal").is_dir()


def read_events(folder: Path) -> Iterator[dict[str, Any]]:
    """The events in the order of writing, each as this version or an older one writes it.

    A torn last line of a segment, left by a kill, is not an event. An event of a kind that is not
    known here is one of a later version, and is kept. Raises ValueError for any other line, and for
    a segment that is missing or there twice.
    """
    order = EventOrder()
    for segment, content in read_segments(folder / "journal"):
        for number, line in enumerate(io.BytesIO(content), 1):
            try:
                event = json.loads(line)
            except (ValueError, RecursionError):
                raise ValueError(f"{segment}: line {number} is not an event") from None
            if fault := order.fault(event):
                raise ValueError(
                    f"{segment}: line {number} is not an event of this version: {fault}"
                )
            yield event


def read_segments(journal: Path) -> Iterator[tuple[Path, bytes]]:
    """The segments with their whole lines; ValueError where one is missing, or there twice."""
    found: dict[int, dict[Path, bytes]] = {}
    for segment in segments(journal):
        refuse_special(segment)
        found.setdefault(number_of(segment), {})[segment] = whole_lines(segment.read_bytes())
    for expected, (number, copies) in enumerate(found.items(), 1):
        if number != expected:
            missing = f"{expected:06d}"
            raise ValueError(
                f"{journal}: {missing}.jsonl (or {missing}-<driver>.jsonl) is missing, before "
                f"{min(copies).name}; bring it back from where it was moved or copied to"
            )
        # A driver that ended before it wrote anything has left an empty one.
        written = {segment: content for segment, content in copies.items() if content}
        if len(written) > 1:
            names = " and ".join(segment.name for segment in written)
            raise ValueError(
                f"{journal}: {names} were written by two drivers that did not know of each other; "
                "move one of them, and those that its driver wrote after it, out of that folder"
            )
        yield from written.items()


class JournalTail:
    """The events of a journal as they come: each call of `new` reads only what grew since."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "journal"
        self._read: dict[str, int] = {}  # segment -> bytes of it that were read

    def new(self) -> list[dict[str, Any]]:
        """The events since the last call, in the order of writing; a line that is not whole waits.

        Raises ValueError for a whole line that is no event.
        """
        events: list[dict[str, Any]] = []
        for segment in segments(self._folder):
            begin = self._read.get(segment.name, 0)
            with segment.open("rb") as file:
                file.seek(begin)
                lines = file.read().split(b"\n")[:-1]
            for line in lines:
                try:
                    events.append(json.loads(line))
                    _ = events[-1]["event"]
                except (ValueError, RecursionError, TypeError, LookupError):
                    raise ValueError(f"{segment}: a line after byte {begin} is no event") from None
            self._read[segment.name] = begin + sum(len(line) + 1 for line in lines)
        return events
