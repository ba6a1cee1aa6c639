"""A bucket's copy of a sweep, kept up to date: it follows the journal, whatever the network does.

The folder is what the sweep writes and reads; whatever happens to the network costs a line of
warning and is made up for later. On a cluster each machine keeps its trials' checkpoints itself.
"""

import logging
import os
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from cnnlib.journal.events import segments
from cnnlib.journal.followers import Event
from cnnlib.journal.stored import StoredSweep
from cnnlib.storage import folder_lock
from cnnlib.storage.buckets import reason
from cnnlib.storage.files import State, state
from cnnlib.storage.folder_lock import NAME, LockedError, is_alive, parsed_lock, read_lock, same

logger = logging.getLogger(__name__)

PAUSE = 2.0  # seconds between looks at what is new
CLOSING = 60.0  # seconds that the end of a sweep waits for a storage that does not answer


class Mirror(StoredSweep):
    """Copies a sweep's folder there, from when it knows the journal to `close`.

    It sends nothing once another driver has taken the sweep over.
    """

    def __init__(self, url: str, folder: Path, *, nodes: bool = False) -> None:
        super().__init__(url, folder, nodes=nodes)
        self._sent: dict[str, State] = {}  # path -> its state when it was sent
        self._news = threading.Event()
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None
        self._reachable = True
        self._locked = False  # whether a lock was sent
        self._looked = 0.0  # when the lock there was looked at
        self._lost: str | None = None  # who has taken the sweep over
        self._told = False  # and whether the driver knows

    def know(self, events: Iterable[Event]) -> None:
        """Begins: what other drivers have written is sent with the rest."""
        self._news.set()
        self._thread = threading.Thread(target=self._work, name="storage", daemon=True)
        self._thread.start()

    def see(self, event: Event) -> None:
        """There is something new to send."""
        self._news.set()

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
            if self._is_due():
                self._news.clear()
                self._send()

    def _is_due(self) -> bool:
        """Whether there is something to send: an event, a sign of life, or what failed before."""
        with suppress(FileNotFoundError):
            if self._sent.get(NAME) != state(self._folder / NAME):
                return True
        return self._news.is_set() or not self._reachable

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
        for name, when, content in journal:
            self._may_write()
            self._bucket.write(name, content)
            self._sent[name] = when
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
            now = state(path)
            if self._sent.get(name) != now:
                self._may_write()
                content = read_lock(path) if name == NAME else None
                self._bucket.send(path, name)
                self._sent[name] = now
                if name == NAME:
                    self._lock, self._locked = content, True
        except FileNotFoundError:
            if path.exists():
                raise
            # else it was pruned meanwhile

    def _grown_journal(self) -> list[tuple[str, State, bytes]]:
        """The segments that are other than when they were sent: names, states and contents."""
        found = [(self._name(p), state(p), p) for p in segments(self._folder / "journal")]
        return [(n, when, p.read_bytes()) for n, when, p in found if self._sent.get(n) != when]

    def _names(self) -> list[str]:
        """The files that are sent but the journal's, by their paths in the folder."""
        whole = [p for p in _files(self._folder) if p.is_file() and p.suffix != ".part"]
        names = sorted(map(self._name, whole))
        return [n for n in names if not n.startswith("journal/") and not self._of_machines(n)]


def _files(folder: Path) -> list[Path]:
    """All files below a folder, while others make and delete some."""
    return [Path(inner, name) for inner, _, names in os.walk(folder) for name in names]
