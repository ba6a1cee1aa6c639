"""A live view of a running sweep: its report on loopback, made again as the journal grows.

The main thread makes the page, so that Ctrl-C ends it and figures are drawn where they always are;
requests are answered by threads of their own. Nothing is written into the sweep's folder.
"""

import json
import logging
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from analysis.page.live import live, waiting_page
from analysis.reading.place import Place
from cnnlib.journal.events import JournalTail, journal_exists
from cnnlib.journal.followers import Event, Follower
from cnnlib.storage.folder_lock import EXPIRES, NAME, read_lock
from cnnlib.system.redaction import one_line
from cnnlib.system.units import counted

logger = logging.getLogger(__name__)

HOST = "127.0.0.1"
PAUSE = 3.0  # seconds between looks at the folder
SHARE = 4  # after a page that took t seconds comes a pause of SHARE * t: trials need the cores
DRIVING = {"sweep", "resumed", "proposed", "started", "epoch", "closed"}  # events of a driver
WATCHED = ("journal/*.jsonl", "trials.csv", "epochs.csv", "sweep.json", "champion/*")

Stamp = frozenset[tuple[str, int, int]]


@dataclass(frozen=True)
class View:
    """What a browser is shown; another version is another page."""

    page: str
    version: str
    made: str = ""
    """When; empty as long as there is nothing to show."""
    note: str = ""


def stamp_of(folder: Path) -> Stamp:
    """Name, size and time of the files that a page is made of: it differs when one has grown."""
    states = set()
    for pattern in WATCHED:
        for path in folder.glob(pattern):
            try:
                stat = path.stat()
            except FileNotFoundError:  # replaced right now
                continue
            states.add((str(path), stat.st_size, stat.st_mtime_ns))
    return frozenset(states)


class State:
    """How far a sweep is: a follower of its journal."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._last: Event = {}  # of the events of a driver
        self._waiting: set[str] = set()  # trials that are paused

    def know(self, events: Iterable[Event]) -> None:
        """Where it was before."""
        for event in events:
            self.see(event)

    def see(self, event: Event) -> None:
        """Takes note of what a driver did."""
        if event["event"] in DRIVING:
            self._last = event
        if event["event"] == "paused":
            self._waiting.add(event["trial_id"])
        elif event["event"] in ("promoted", "stopped", "failed"):
            self._waiting.discard(event["trial_id"])

    def close(self) -> None:
        """Nothing: who watches is never told the end."""

    def __str__(self) -> str:
        """How far it is now, in a sentence."""
        if self._last.get("event") == "closed":
            reason = self._last["reason"]
            return f"The sweep has ended ({reason}): this page changes only if it goes on."
        lock = read_lock(self._folder / NAME)
        silent = time.time() - lock["alive"] if lock else 0.0
        if silent > EXPIRES:
            return (
                f"No sign of life of the sweep for {silent / 60:.0f} min; --resume goes on with it."
            )
        if not self._waiting:
            return "The sweep is running."
        return f"The sweep is running, and {counted(len(self._waiting), 'trial')} paused."


class Watch:
    """The latest view of a sweep, made by `look`."""

    def __init__(self, place: Place, build: Callable[[Path], Path]) -> None:
        """`build` writes a report into the folder it is given and returns the path of its page."""
        self._place = place
        self._build = build
        self._tail = JournalTail(place.folder)
        self._state: Follower = State(place.folder)
        self._stamp: Stamp | None = None
        self._failure = ""  # why there is no page of that stamp
        self.view = View(*live(waiting_page(place.folder.name)))

    def look(self) -> None:
        """Makes the page again if what it shows has grown; its note says where that failed."""
        note = "Waiting."
        try:
            self._place.refresh()
            stamp = stamp_of(self._place.folder)
            if stamp and stamp != self._stamp:
                self._stamp = stamp  # a page that fails is not tried again before something grows
                self._failure = self._make()
            if self._failure:
                note = self._failure
            elif self.view.made:
                note = f"{self.how_far()} As of {self.view.made}."
        except Exception as error:  # the next look may do
            note = _failure(error)
        self.view = replace(self.view, note=note)

    def how_far(self) -> str:
        """The state of the sweep. Raises ValueError for a line of its journal that is no event."""
        if not journal_exists(self._place.folder):
            return "Tables without a journal: the page follows them when they change."
        for event in self._tail.new():  # what it has grown by since the look before
            self._state.see(event)
        return str(self._state)

    def _make(self) -> str:
        """Makes the page; why it could not, or nothing."""
        try:
            with tempfile.TemporaryDirectory(prefix="cnnlib-watch-") as scratch:
                page, version = live(self._build(Path(scratch)).read_text("utf-8"))
        except Exception as error:  # of a state that lasts a second: the next one may do
            return _failure(error)
        self.view = View(page, version, time.strftime("%H:%M:%S"))
        return ""


def _failure(error: Exception) -> str:
    logger.debug("no page", exc_info=True)
    return f"Not up to date: {one_line(error)}"


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, port: int, watch: Watch) -> None:
        self.watch = watch
        super().__init__((HOST, port), _Answer)

    def handle_error(self, request: Any, client_address: Any) -> None:
        logger.debug("a browser went away", exc_info=True)


class _Answer(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        view, path = self.server.watch.view, self.path.partition("?")[0]
        host = self.headers.get("Host", "").partition(":")[0]
        if host not in (HOST, "localhost"):  # a page elsewhere whose name was pointed at loopback
            self.send_error(403)
        elif path == "/":
            self._send("text/html; charset=utf-8", view.page.encode())
        elif path == "/version":
            content = {"version": view.version, "note": view.note}
            self._send("application/json", json.dumps(content).encode())
        else:
            self.send_error(404)

    def _send(self, kind: str, content: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *arguments: object) -> None:
        pass


def watch(place: Place, build: Callable[[Path], Path], *, port: int) -> int:
    """Serves the sweep's page until Ctrl-C, which is how this ends; the exit code 0.

    Raises ValueError where the folder is a file or the port is taken.
    """
    if place.folder.exists() and not place.folder.is_dir():
        raise ValueError(f"{place.folder} is not a folder")
    view = Watch(place, build)
    try:
        server = _Server(port, view)
    except (OSError, OverflowError) as error:
        raise ValueError(f"--port: {port} cannot be served on {HOST}: {error}") from None
    threading.Thread(target=server.serve_forever, name="watch", daemon=True).start()
    try:
        print(f"watching {place.folder} at http://{HOST}:{server.server_port}/ (Ctrl-C ends it)")
        sys.stdout.flush()
        while True:
            began = time.monotonic()
            view.look()
            time.sleep(max(PAUSE, SHARE * (time.monotonic() - began)))
    except KeyboardInterrupt:
        return 0  # the server's threads end with the process
