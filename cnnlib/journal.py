"""The truth of a sweep: an append-only file of JSON lines, one event a line."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO

SEGMENT = "000001.jsonl"


class Journal:
    """The one writer of a sweep's journal. Events are on disk when `append` returns."""

    def __init__(self, folder: Path) -> None:
        """Opens folder/journal for appending; FileExistsError where it holds a sweep already."""
        (folder / "journal").mkdir(parents=True)
        path = folder / "journal" / SEGMENT
        self._file: TextIO = path.open("x", encoding="utf-8")

    def append(self, event: str, **content: object) -> None:
        """Writes one line: the kind of event, the time (UTC, ISO) and its content."""
        time = datetime.now(UTC).isoformat(timespec="milliseconds")
        self._file.write(json.dumps({"event": event, "time": time, **content}) + "\n")
        self._file.flush()

    def close(self) -> None:
        self._file.close()


def journal_exists(folder: Path) -> bool:
    """Whether the folder holds a sweep's journal."""
    return (folder / "journal").is_dir()


def read_events(folder: Path) -> Iterator[dict[str, Any]]:
    """The events in the order of writing. A torn last line, left by a kill, is not an event."""
    for segment in sorted((folder / "journal").glob("*.jsonl")):
        lines = segment.read_text(encoding="utf-8").split("\n")
        yield from (json.loads(line) for line in lines[:-1])
