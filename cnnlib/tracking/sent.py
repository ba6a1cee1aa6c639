"""What W&B surely has of each trial: `<folder>/wandb/sent.jsonl`, a line for each part of a run.

Offline a run is written in `wandb/writing/`, noted, and renamed into `wandb/`. So a `wandb sync`
never meets half a run, and after a kill at any moment a part is either noted, and renamed then, or
unknown, and written again.
"""

import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

INTERRUPTED = "interrupted"  # the status of a run whose trial has not ended
BEGUN = "begun"  # online: how far, the server knows


class SentElsewhereError(ValueError):
    """Another process sends the runs of this folder."""


@dataclass(frozen=True)
class Part:
    """A trial's run up to an epoch, as a mode and, offline, a folder have it."""

    trial_id: str
    mode: str  # online or offline
    epoch: int
    status: str  # the trial's, INTERRUPTED or BEGUN
    folder: str = ""  # offline: its name below wandb/


class Sent:
    """The parts that were sent. One process at a time has it, from `open` until it ends."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "wandb"
        self.writing = self.folder / "writing"
        self._notes = self.folder / "sent.jsonl"
        self.parts: dict[str, list[Part]] = {}  # by trial
        self.project = ""
        self.sweep = ""
        self.started = ""  # when the sweep was begun, if that is known
        self.url = ""

    def open(self, *, wait: bool) -> dict[int, str]:
        """Takes the lock; the processes that were left by who had it, if that was killed.

        Raises SentElsewhereError where another process has it, unless it is waited for.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        self._lock = os.open(self.folder / "follower.json", os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            os.close(self._lock)
            raise SentElsewhereError(
                f"another process sends the runs of {self.folder.parent}; it ends by itself"
            ) from None
        try:
            left = json.loads(os.pread(self._lock, 10_000, 0) or b"{}")
        except ValueError:  # it was killed as it wrote this
            left = {}
        return {int(pid): str(began) for pid, began in left.items()}

    def note_processes(self, processes: dict[int, str]) -> None:
        """Notes the processes that go on where this one is killed."""
        content = json.dumps(processes).encode()
        os.ftruncate(self._lock, 0)
        os.pwrite(self._lock, content, 0)

    def read(self) -> Iterator[str]:
        """Reads the notes, and ends what a kill left half done; what was wrong, line by line."""
        whole = self._notes.read_bytes() if self._notes.exists() else b""
        lines, torn = whole.split(b"\n")[:-1], whole.rpartition(b"\n")[2]
        if torn:
            os.truncate(self._notes, len(whole) - len(torn))
        for number, line in enumerate(lines, 1):
            try:
                content = json.loads(line)
                if "trial_id" in content:
                    self._add(Part(**content))
                else:
                    self._apply(content)
            except (ValueError, TypeError, AttributeError):
                yield f"{self._notes}: line {number} is no note and is left out"
        for trial_id in self._finished_by_former_version():
            self.parts.setdefault(trial_id, [Part(trial_id, "", 0, "finished")])
        for part in [part for parts in self.parts.values() for part in parts if part.folder]:
            if (found := self.writing / "wandb" / part.folder).exists():
                found.rename(self.folder / part.folder)
        self.close()

    def close(self) -> None:
        """Leaves nothing that is not whole."""
        shutil.rmtree(self.writing, ignore_errors=True)

    def _finished_by_former_version(self) -> list[str]:
        path = self.folder / "finished"
        return path.read_text().split() if path.exists() else []

    def _add(self, part: Part) -> None:
        self.parts.setdefault(part.trial_id, []).append(part)

    def _apply(self, content: dict[str, Any]) -> None:
        for name in ("project", "sweep", "started", "url"):
            setattr(self, name, str(content.get(name, getattr(self, name))))

    def note_sweep(self, project: str, sweep: str, started: str) -> None:
        """Whose runs these are, where it was not noted before."""
        if not self.project:
            self._note({"project": project, "sweep": sweep, "started": started})

    def note_url(self, url: str) -> None:
        """Where the runs are, if that is new."""
        if url != self.url:
            self._note({"url": url})

    def _note(self, content: dict[str, Any]) -> None:
        self._append(content)
        self._apply(content)

    def _append(self, content: dict[str, Any]) -> None:
        """Writes a line; it is on the disk when this returns."""
        with self._notes.open("ab") as file:
            file.write(json.dumps(content).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())

    def note_part(self, part: Part) -> None:
        """A part was sent, or is whole in the folder of this name below `writing`."""
        self._append({name: value for name, value in vars(part).items() if value != ""})
        self._add(part)
        if part.folder:
            (self.writing / "wandb" / part.folder).rename(self.folder / part.folder)

    def last(self, trial_id: str) -> Part | None:
        """The last part of a trial."""
        return self.parts.get(trial_id, [None])[-1]

    def unsynced(self, identifier: str) -> list[Path]:
        """The folders of a run that no `wandb sync` has sent."""
        files = sorted(self.folder.glob(f"offline-run-*/run-{identifier}.wandb"))
        return [f.parent for f in files if not f.with_suffix(".wandb.synced").exists()]

    def synced(self, identifier: str) -> bool:
        """Whether a `wandb sync` has sent a folder of this run."""
        return any(self.folder.glob(f"offline-run-*/run-{identifier}.wandb.synced"))

    def put_aside(self, folders: list[Path]) -> None:
        """Moves folders to where no `wandb sync` looks; the journal has what they hold."""
        aside = self.folder / "put-aside"
        for folder in folders:
            aside.mkdir(exist_ok=True)
            target = aside / folder.name
            while target.exists():
                target = target.with_name(f"{target.name}-again")
            folder.rename(target)

    def num_runs(self, mode: str) -> int:
        """How many trials have a whole or interrupted run in this mode."""
        last = [parts[-1] for parts in self.parts.values()]
        return sum(part.mode == mode and part.status != BEGUN for part in last)
