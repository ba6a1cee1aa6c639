"""A sweep in object storage: the folder on this machine is copied there within seconds.

The folder is what the sweep writes and reads; whatever happens to the network costs a line of
warning and is made up for later. On a cluster each node keeps its trials' checkpoints there itself.
"""

import hashlib
import logging
import os
import shutil
import threading
import time
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import takewhile
from pathlib import Path
from typing import Any

from cnnlib.journal.events import read_events, segments, whole_lines
from cnnlib.storage import folder_lock
from cnnlib.storage.buckets import AT_ONCE, Bucket, below, reason
from cnnlib.storage.files import check_space, exclusive, sync
from cnnlib.storage.folder_lock import (
    NAME,
    LockedError,
    is_alive,
    parsed_lock,
    read_lock,
    refused,
    same,
)
from cnnlib.storage.training_files import is_trainings
from cnnlib.system.redaction import without_secrets
from cnnlib.system.surroundings import cache_folder

logger = logging.getLogger(__name__)

PAUSE = 2.0  # seconds between looks at what is new
CLOSING = 60.0  # seconds that the end of a sweep waits for a storage that does not answer
PATIENCE = 60.0  # seconds that a trial waits for it
PROBE = ".cnnlib-probe"
LATER = ("trials.csv", "checkpoints/", "champion/")  # what no sweep has before it has a journal

State = tuple[int, int]  # a file's size and time
Lines = Mapping[str, bytes]  # a journal: the whole lines of each segment by its name


class StorageError(OSError):
    """A node cannot read or write what its trials keep; no fault of the trial."""


class Mirror:
    """Copies a sweep's folder to `<url>/<name of the folder>`, from `start` to `close`.

    It sends nothing once another driver has taken the sweep over.
    """

    def __init__(self, url: str, folder: Path, *, nodes: bool = False) -> None:
        """`url` is s3://bucket/path or gs://bucket/path; AWS_ENDPOINT_URL names another server.

        With `nodes`, trials run on several and keep their checkpoints there themselves.
        Raises ValueError or OSError where it is none.
        """
        self.parent = url
        place = below(url, folder.name)
        self.url = without_secrets(place)  # as it may be told
        self.kept = place if nodes else None  # where nodes keep what they train
        self._folder = folder
        self._bucket = Bucket(place)
        self._sent: dict[str, State] = {}  # path -> its state when it was sent
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None
        self._reachable = True
        self._lock: dict[str, Any] | None = None  # there, as it was last sent or fetched
        self._locked = False  # whether a lock was sent
        self._looked = 0.0  # when the lock there was looked at
        self._lost: str | None = None  # who has taken the sweep over
        self._told = False  # and whether the driver knows

    def exists(self) -> bool:
        """Whether the storage holds a sweep of this name."""
        return bool(self._bucket.files("journal"))

    def try_out(self) -> None:
        """Writes a small file and deletes it again; OSError where the storage refuses."""
        self._bucket.write(PROBE, b"written by --plan, and to be deleted\n")
        self._bucket.delete(PROBE)

    def fetch(self) -> None:
        """Makes the folder here what the storage holds, where that is ahead of it.

        Nothing that is only here is lost. Raises LockedError where a driver on another machine is
        at work, ValueError where both have gone on.
        """
        files = self._bucket.files()
        if NAME in files:
            self._lock = parsed_lock(self._bucket.content(NAME), f"{self.url}/{NAME}")
            if refusal := refused(self.url, self._lock, held=self._is_held(self._lock)):
                raise LockedError(refusal)
        names = [name for name in files if name.startswith("journal/") and name.endswith(".jsonl")]
        there = {name: whole_lines(self._bucket.content(name)) for name in names}
        here = self._journal()
        wanted = [n for n in files if n not in (NAME, PROBE) and not self._of_nodes(n)]
        if not there:
            if not here and (later := [n for n in files if n.startswith(LATER)]):
                missing = f"{self.url}/journal/000001*.jsonl"
                raise ValueError(f"--resume: {missing} is missing, but {later[0]} is there")
            return
        if _begins(here, there):
            wanted = [n for n in wanted if n not in there and not (self._folder / n).exists()]
        elif not _begins(there, here):
            raise ValueError(
                f"--resume: {self._folder} and {self.url} have both gone on: {_count(here)} events "
                f"here, {_count(there)} there, {_count(_common(here, there))} in both. Nothing is "
                f"overwritten: move {self._folder} away to go on with what is there, or give "
                "another --storage to go on with what is here"
            )
        if wanted:
            self._bring({name: files[name] for name in wanted})

    def _journal(self) -> Lines:
        """The journal here."""
        found = segments(self._folder / "journal")
        return {self._name(path): whole_lines(path.read_bytes()) for path in found}

    def _bring(self, sizes: Mapping[str, int]) -> None:
        """Copies these files here: all of them, or none where that fails or ends before.

        The journal comes last, so that what is interrupted then is done again.
        """
        part = self._folder.with_name(f".{self._folder.name}.part")
        lock = hashlib.blake2b(str(part).encode(), digest_size=8).hexdigest()
        with exclusive(cache_folder() / "fetches" / lock):
            shutil.rmtree(part, ignore_errors=True)  # of one who was killed
            try:
                self._fetch_into(part, sizes)
                if folder_lock.is_locked(self._folder):
                    here = read_lock(self._folder / NAME)
                    raise LockedError(str(refused(self._folder, here, held=True)))
                for name in sorted(sizes, key=lambda name: (name.startswith("journal/"), name)):
                    sync(part / name)
                    (self._folder / name).parent.mkdir(parents=True, exist_ok=True)
                    (part / name).replace(self._folder / name)
            finally:
                shutil.rmtree(part, ignore_errors=True)

    def _fetch_into(self, part: Path, sizes: Mapping[str, int]) -> None:
        self._folder.parent.mkdir(parents=True, exist_ok=True)
        check_space(self.url, self._folder.parent, sum(sizes.values()))
        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(lambda name: self._bucket.fetch(name, part / name), sizes))
        for name, size in sizes.items():
            if (there := (part / name).stat().st_size) < size:
                raise OSError(f"{self.url}/{name} has {there:,} bytes and had {size:,}; try again")
        try:
            for _ in read_events(part):
                pass
        except ValueError as error:
            raise ValueError(str(error).replace(str(part), self.url)) from None

    def _is_held(self, there: dict[str, Any] | None) -> bool:
        """Whether a driver that has shown signs of life works in another folder than ours."""
        is_ours = same(there, read_lock(self._folder / NAME))
        return there is not None and is_alive(there) and not is_ours

    def _of_nodes(self, name: str) -> bool:
        """Whether a file is a training's, on a cluster."""
        return self.kept is not None and name.startswith(("checkpoints/", "finals/"))

    def start(self) -> None:
        self._thread = threading.Thread(target=self._work, name="storage", daemon=True)
        self._thread.start()

    def lost(self, ask: bool) -> str | None:
        """Who has taken the sweep over there, in a line, or None; with `ask` it is asked now."""
        if ask and not self._lost:
            with suppress(OSError):  # a network that is away costs a line only
                self._look()
        self._told = bool(self._lost)
        return self._lost

    def close(self) -> str | None:
        """Sends the rest; a line about what could not be sent in CLOSING seconds, else None."""
        self._ended.set()
        if self._thread:
            self._thread.join()
        deadline = time.monotonic() + CLOSING
        while not self._send():
            if time.monotonic() > deadline:
                return f"{self.url} does not answer; all is in {self._folder}: --resume sends it"
            time.sleep(PAUSE)
        return None if self._told else self._lost

    def _work(self) -> None:
        while not self._ended.wait(PAUSE) and not self._lost:
            self._send()

    def _send(self) -> bool:
        """Copies what is new or changed and deletes what was deleted; whether that worked."""
        try:
            self._copy()
        except LockedError:
            return True  # it is another driver's to send
        except Exception as error:  # whatever it is, the sweep goes on
            if self._reachable:
                text = f"{reason(error)}; the sweep goes on, and this is tried again"
                logger.warning("%s: %s", self.url, text)
            self._reachable = False
            return False
        if not self._reachable:
            logger.warning("%s: answers again, all is sent", self.url)
        self._reachable = True
        return True

    def _copy(self) -> None:
        # What was deleted was so because of an event: so the journal there tells it before.
        deleted = [n for n in self._sent if not (self._folder / n).exists()]
        # As it is now, and sent last: it tells of no weights that have not arrived.
        journal = self._grown_journal()
        for name in self._names():
            self._send_new(NAME)  # the sign of life
            self._send_new(name)
        for name, state, content in journal:
            self._may_write()
            self._bucket.write(name, content)
            self._sent[name] = state
        for name in deleted:
            if not (self._folder / name).exists():
                self._may_write()
                with suppress(FileNotFoundError):  # it was pruned here before it was sent
                    self._bucket.delete(name)
            del self._sent[name]

    def _may_write(self) -> None:
        """Raises LockedError where the sweep is another driver's now, looked at now and then."""
        if not self._lost and abs(time.time() - self._looked) > folder_lock.HEARTBEAT:
            self._look()
        if self._lost:
            raise LockedError(self._lost)

    def _look(self) -> None:
        """Takes note of a lock there that is another driver's."""
        asked = time.time()
        try:
            there = parsed_lock(self._bucket.content(NAME), f"{self.url}/{NAME}")
        except FileNotFoundError:
            there = None
        is_ours = same(there, self._lock) or same(there, read_lock(self._folder / NAME))
        is_free = not self._locked and not (there and is_alive(there))
        if there is None and not (is_ours or is_free):  # deleted, or of one who has ended since
            is_ours = {n for n in self._bucket.files("journal")} <= self._journal().keys()
            self._sent.pop(NAME, None)
        if not (is_ours or is_free):
            self._lost = folder_lock.taken_over(self.url, there)
        self._looked = asked

    def _send_new(self, name: str) -> None:
        """Sends a file where it is there, and other than when it was sent."""
        path = self._folder / name
        try:
            state = _state(path)
            if self._sent.get(name) != state:
                self._may_write()
                content = read_lock(path) if name == NAME else None
                self._bucket.send(path, name)
                self._sent[name] = state
                if name == NAME:
                    self._lock, self._locked = content, True
        except FileNotFoundError:
            if path.exists():
                raise
            # else it was pruned meanwhile

    def _grown_journal(self) -> list[tuple[str, State, bytes]]:
        """The segments that are other than when they were sent: names, states and contents."""
        found = [(self._name(p), _state(p), p) for p in segments(self._folder / "journal")]
        return [(n, state, p.read_bytes()) for n, state, p in found if self._sent.get(n) != state]

    def _names(self) -> list[str]:
        """The files that are sent but the journal's, by their paths in the folder."""
        whole = [p for p in _files(self._folder) if p.is_file() and p.suffix != ".part"]
        names = sorted(map(self._name, whole))
        return [n for n in names if not n.startswith("journal/") and not self._of_nodes(n)]

    def _name(self, path: Path) -> str:
        return path.relative_to(self._folder).as_posix()


def _begins(journal: Lines, beginning: Lines) -> bool:
    """Whether one journal holds all that another holds."""
    return all(
        journal.get(name, b"").startswith(lines) for name, lines in beginning.items() if lines
    )


def _common(one: Lines, other: Lines) -> Lines:
    """What two journals hold both."""
    both = {}
    for name, lines in one.items():
        pairs = zip(lines.splitlines(True), other.get(name, b"").splitlines(True), strict=False)
        both[name] = b"".join(ours for ours, _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
    return both


def _count(journal: Lines) -> int:
    return sum(lines.count(b"\n") for lines in journal.values())


def _files(folder: Path) -> list[Path]:
    """All files below a folder, while others make and delete some."""
    return [Path(inner, name) for inner, _, names in os.walk(folder) for name in names]


def _state(path: Path) -> State:
    stat = path.stat()
    return stat.st_size, stat.st_mtime_ns


class Remote:
    """A folder of a storage to read, also while a driver elsewhere writes it."""

    def __init__(self, url: str) -> None:
        """`url` as Mirror takes it, with the folder's name; raises ValueError where it is none."""
        self._bucket = Bucket(url, "FOLDER")
        self._fetched: dict[str, State] = {}  # path -> its size and time there

    def fetch(self, folder: Path, *, without: Collection[str] = ()) -> None:
        """Copies what is new or changed since the last call into `folder`.

        Nothing that lies below a folder of a name in `without` is copied.
        """
        for name, state in self._bucket.states().items():
            if self._fetched.get(name) == state or set(name.split("/")[:-1]) & set(without):
                continue
            self._bucket.fetch(name, folder / name)
            self._fetched[name] = state

    def send(self, folder: Path, under: str, names: Collection[str]) -> None:
        """Copies files of `folder`, by their path in it, into the storage's folder `under`."""
        for name in names:
            self._bucket.send(folder / name, f"{under}/{name}")


class Shelf:
    """A trial's files in the storage, for whichever node runs it.

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
                self._sent[name] = _state(self._folder / name)

    def send(self) -> None:
        """Copies there what is new or changed here."""
        self._patiently(self._send)

    def _send(self, bucket: Bucket) -> None:
        for path in sorted(self._folder.iterdir()):
            if path.suffix == ".part":
                continue
            state = _state(path)
            if self._sent.get(path.name) != state:
                bucket.send(path, path.name)
                self._sent[path.name] = state

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


def prune_storage(url: str, is_needed: Callable[[str, str], bool]) -> None:
    """Deletes what nodes keep and none needs any more, asked by names of folder and file.

    Files of others stay.
    """
    try:
        bucket = Bucket(url)
        for path in bucket.files():
            folder, _, name = path.partition("/")
            if is_trainings(name) and not is_needed(folder, name):
                with suppress(FileNotFoundError):
                    bucket.delete(path)
    except (OSError, ValueError) as error:
        text = "%s: %s; what is not needed stays there for now"
        logger.warning(text, without_secrets(url), reason(error))
