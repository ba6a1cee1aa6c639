"""A sweep in object storage: the folder on this machine is copied there within seconds.

The folder is what the sweep writes and reads; whatever happens to the network costs a line of
warning and is made up for later. Only this module knows pyarrow's file systems.
"""

import json
import logging
import shutil
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from pyarrow import fs

from cnnlib.claim import NAME, ClaimedError, refused

logger = logging.getLogger(__name__)

PAUSE = 2.0  # seconds between looks at what is new
CLOSING = 60.0  # seconds that the end of a sweep waits for a storage that does not answer


class Mirror:
    """Copies a sweep's folder to `<url>/<name of the folder>`, from `start` to `close`."""

    def __init__(self, url: str, folder: Path) -> None:
        """`url` is s3://bucket/path or gs://bucket/path; AWS_ENDPOINT_URL names another server.

        Raises ValueError or OSError where it is none.
        """
        self.url = f"{url.rstrip('/')}/{folder.name}"
        self._folder = folder
        self._remote, self._base = _opened(self.url)
        self._sent: dict[str, tuple[int, int]] = {}  # path -> its size and time when it was sent
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None
        self._reachable = True

    def exists(self) -> bool:
        """Whether the storage holds a sweep of this name."""
        return bool(self._files("journal"))

    def fetch(self) -> None:
        """Makes the folder here what the storage holds, where that is ahead of it.

        Raises ClaimedError where a driver on another machine is at work.
        """
        files = self._files()
        if NAME in files:
            claim = json.loads(self._content(NAME) or b"null")
            if refusal := refused(self.url, claim, held=False):
                raise ClaimedError(refusal)
        segments = [name for name in files if name.startswith("journal/")]
        if all(self._content(name) == self._here(name, files[name]) for name in segments):
            return  # what is here begins with all that is there
        shutil.rmtree(self._folder / "journal", ignore_errors=True)
        for name in files:
            path = self._folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            fs.copy_files(
                f"{self._base}/{name}",
                str(path),
                source_filesystem=self._remote,
                destination_filesystem=fs.LocalFileSystem(),
            )

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
            here = self._states()
            for name, state in here.items():
                if self._sent.get(name) != state:
                    self._copy(name)
                    self._sent[name] = state
            for name in self._sent.keys() - here.keys():
                with suppress(FileNotFoundError):  # it was pruned here before it was sent
                    self._remote.delete_file(f"{self._base}/{name}")
                del self._sent[name]
        except OSError as error:
            if self._reachable:
                # pyarrow's text begins with what it was about to do
                text = " ".join(str(error).split()).rpartition(" operation: ")[2][:200]
                logger.warning("%s: %s; the sweep goes on, and this is tried again", self.url, text)
            self._reachable = False
            return False
        if not self._reachable:
            logger.warning("%s: answers again, all is sent", self.url)
        self._reachable = True
        return True

    def _copy(self, name: str) -> None:
        path = f"{self._base}/{name}"
        if not isinstance(self._remote, fs.S3FileSystem):  # buckets have no folders
            self._remote.create_dir(path.rpartition("/")[0], recursive=True)
        try:
            content = (self._folder / name).open("rb")
        except FileNotFoundError:
            return  # pruned meanwhile
        with content, self._remote.open_output_stream(path) as stream:
            shutil.copyfileobj(content, stream, 1 << 20)

    def _states(self) -> dict[str, tuple[int, int]]:
        """Size and time of each file here, the journal first."""
        states = {}
        for path in sorted(self._folder.rglob("*"), key=lambda p: (p.parent.name != "journal", p)):
            try:
                if path.is_file() and path.suffix != ".part":
                    stat = path.stat()
                    name = path.relative_to(self._folder).as_posix()
                    states[name] = (stat.st_size, stat.st_mtime_ns)
            except FileNotFoundError:
                continue
        return states

    def _files(self, under: str = "") -> dict[str, int]:
        """The files of the storage, by their path in the folder, and their sizes."""
        selector = fs.FileSelector(
            f"{self._base}/{under}".rstrip("/"), recursive=True, allow_not_found=True
        )
        return {
            info.path.removeprefix(f"{self._base}/"): info.size
            for info in self._remote.get_file_info(selector)
            if info.type == fs.FileType.File
        }

    def _content(self, name: str) -> bytes:
        with self._remote.open_input_stream(f"{self._base}/{name}") as stream:
            return stream.readall()

    def _here(self, name: str, size: int) -> bytes | None:
        """The first bytes of a file here."""
        path = self._folder / name
        return path.read_bytes()[:size] if path.is_file() else None


def _opened(url: str) -> tuple[Any, str]:
    try:
        return fs.FileSystem.from_uri(url)
    except Exception as error:
        text = " ".join(str(error).split())
        raise ValueError(f"--storage: {url} is no storage: {text}") from None
