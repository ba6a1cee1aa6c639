"""A sweep in object storage: the folder on this machine is copied there within seconds.

The folder is what the sweep writes and reads; whatever happens to the network costs a line of
warning and is made up for later. On a cluster each node keeps its trials' checkpoints there itself.
"""

import json
import logging
import shutil
import threading
import time
from collections.abc import Callable, Collection
from contextlib import suppress
from pathlib import Path
from typing import Any

from cnnlib.buckets import Bucket, one_line
from cnnlib.claim import NAME, ClaimedError, is_alive, read_claim, refused
from cnnlib.redaction import without_secrets

logger = logging.getLogger(__name__)

PAUSE = 2.0  # seconds between looks at what is new
CLOSING = 60.0  # seconds that the end of a sweep waits for a storage that does not answer
PATIENCE = 60.0  # seconds that a trial waits for it
PROBE = ".cnnlib-probe"

State = tuple[int, int]  # a file's size and time


class StorageError(OSError):
    """A node cannot read or write what its trials keep; no fault of the trial."""


class Mirror:
    """Copies a sweep's folder to `<url>/<name of the folder>`, from `start` to `close`."""

    def __init__(self, url: str, folder: Path, *, nodes: bool = False) -> None:
        """`url` is s3://bucket/path or gs://bucket/path; AWS_ENDPOINT_URL names another server.

        With `nodes`, trials run on several and keep their checkpoints there themselves.
        Raises ValueError or OSError where it is none.
        """
        self.parent = url.rstrip("/")
        place = f"{self.parent}/{folder.name}"
        self.url = without_secrets(place)  # as it may be told
        self.kept = place if nodes else None  # where nodes keep what they train
        self._folder = folder
        self._bucket = Bucket(place)
        self._sent: dict[str, State] = {}  # path -> its state when it was sent
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None
        self._reachable = True

    def exists(self) -> bool:
        """Whether the storage holds a sweep of this name."""
        return bool(self._bucket.files("journal"))

    def try_out(self) -> None:
        """Writes a small file and deletes it again; OSError where the storage refuses."""
        self._bucket.write(PROBE, b"written by --plan, and to be deleted\n")
        self._bucket.delete(PROBE)

    def fetch(self) -> None:
        """Makes the folder here what the storage holds, where that is ahead of it.

        Raises ClaimedError where a driver on another machine is at work.
        """
        files = self._bucket.files()
        if NAME in files:
            claim = json.loads(self._bucket.content(NAME) or b"null")
            if refusal := refused(self.url, claim, held=self._is_held(claim)):
                raise ClaimedError(refusal)
        segments = [name for name in files if name.startswith("journal/")]
        if all(self._begins_with(name, self._bucket.content(name)) for name in segments):
            return  # what is here begins with all that is there
        shutil.rmtree(self._folder / "journal", ignore_errors=True)
        for name in files:
            if not self._of_nodes(name):
                self._bucket.fetch(name, self._folder / name)

    def _is_held(self, claim: dict[str, Any] | None) -> bool:
        """Whether a driver that has shown signs of life works in another folder than ours."""
        here = read_claim(self._folder / NAME)
        is_ours = bool(claim and here and claim["since"] == here["since"])
        return bool(claim and is_alive(claim) and not is_ours)

    def _of_nodes(self, name: str) -> bool:
        """Whether a file is a training's, on a cluster."""
        return self.kept is not None and name.startswith(("checkpoints/", "finals/"))

    def start(self) -> None:
        self._thread = threading.Thread(target=self._work, name="storage", daemon=True)
        self._thread.start()

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
        return None

    def _work(self) -> None:
        while not self._ended.wait(PAUSE):
            self._send()

    def _send(self) -> bool:
        """Copies what is new or changed and deletes what was deleted; whether that worked."""
        try:
            # As it is now, and sent last: it tells of no weights that have not arrived.
            journal = self._grown_journal()
            for name in self._names():
                self._send_new(NAME)  # the sign of life
                self._send_new(name)
            for name, state, content in journal:
                self._bucket.write(name, content)
                self._sent[name] = state
            for name in [n for n in self._sent if not (self._folder / n).exists()]:
                with suppress(FileNotFoundError):  # it was pruned here before it was sent
                    self._bucket.delete(name)
                del self._sent[name]
        except OSError as error:
            if self._reachable:
                text = f"{one_line(error)}; the sweep goes on, and this is tried again"
                logger.warning("%s: %s", self.url, text)
            self._reachable = False
            return False
        if not self._reachable:
            logger.warning("%s: answers again, all is sent", self.url)
        self._reachable = True
        return True

    def _send_new(self, name: str) -> None:
        """Sends a file where it is there, and other than when it was sent."""
        path = self._folder / name
        try:
            state = _state(path)
            if self._sent.get(name) != state:
                self._bucket.send(path, name)
                self._sent[name] = state
        except FileNotFoundError:
            if path.exists():
                raise
            # else it was pruned meanwhile

    def _grown_journal(self) -> list[tuple[str, State, bytes]]:
        """The segments that are other than when they were sent: names, states and contents."""
        segments = sorted(self._folder.glob("journal/*"))
        found = [(self._name(path), _state(path), path) for path in segments]
        return [(n, state, p.read_bytes()) for n, state, p in found if self._sent.get(n) != state]

    def _names(self) -> list[str]:
        """The files that are sent but the journal's, by their paths in the folder."""
        whole = [p for p in self._folder.rglob("*") if p.is_file() and p.suffix != ".part"]
        names = sorted(map(self._name, whole))
        return [n for n in names if not n.startswith("journal/") and not self._of_nodes(n)]

    def _name(self, path: Path) -> str:
        return path.relative_to(self._folder).as_posix()

    def _begins_with(self, name: str, content: bytes) -> bool:
        """Whether a file here does."""
        path = self._folder / name
        return path.is_file() and path.read_bytes().startswith(content)


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
            if self._fetched.get(name) == state or set(name.split("/")[:-1]) & {*without, ".."}:
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
            bucket.fetch(name, self._folder / name.rpartition("/")[2])

    def send(self) -> None:
        """Copies there what is new or changed here."""
        self._patiently(self._send)

    def _send(self, bucket: Bucket) -> None:
        for path in self._folder.iterdir():
            state = _state(path)
            if path.suffix != ".part" and self._sent.get(path.name) != state:
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
                    raise StorageError(f"{place} does not answer: {one_line(error)}") from error
                time.sleep(PAUSE)


def prune_storage(url: str, is_needed: Callable[[str, str], bool]) -> None:
    """Deletes what nodes keep and none needs any more, asked by names of folder and file."""
    try:
        bucket = Bucket(url)
        for path in bucket.files():
            folder, name = path.split("/")
            if not is_needed(folder, name):
                bucket.delete(path)
    except OSError as error:
        place = without_secrets(url)
        logger.warning("%s: %s; what is not needed stays there for now", place, error)
