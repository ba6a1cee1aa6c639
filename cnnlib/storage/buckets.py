"""Files in object storage (s3://, gs://) by their URL; only this module knows pyarrow."""

import hashlib
import logging
import re
import shutil
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

from pyarrow import ArrowInvalid, fs

from cnnlib.storage import traffic
from cnnlib.storage.files import check_space, exclusive, replaced
from cnnlib.system.progress import Progress
from cnnlib.system.redaction import one_line, without_secrets
from cnnlib.system.units import short

SCHEMES = ("s3://", "gs://")
PIECE = 1 << 20  # bytes of a file that are held at once
AT_ONCE = 16  # files of a folder that are fetched at once
LISTINGS = 5  # times that a folder is listed which changes meanwhile
# Seconds. By its defaults pyarrow waits for minutes where a connection is taken and nothing said.
TIMEOUTS = {"connect_timeout": 5.0, "request_timeout": 10.0}
GIVING_UP = timedelta(seconds=60)  # Google's client tries for 15 minutes


class Bucket:
    """A folder in object storage. Where it does not answer, its methods raise OSError."""

    def __init__(self, url: str, flag: str = "--storage") -> None:
        """`url` is s3://bucket/path or gs://bucket/path; AWS_ENDPOINT_URL names another server.

        Raises ValueError where it is none, which begins with `flag`.
        """
        if not url.startswith(SCHEMES):
            raise ValueError(
                f"{flag}: {url} is no storage; give a folder, s3://bucket/path or gs://bucket/path"
            )
        try:
            self._remote, base = connected(url)
        except OSError as error:  # its region is asked for
            raise OSError(f"{flag}: {url} does not answer: {reason(error)}") from None
        except Exception as error:
            raise ValueError(f"{flag}: {url} is no storage: {reason(error)}") from None
        self._base = base.rstrip("/")
        self._url = without_secrets(url)  # as it may be told
        self.foreign: set[str] = set()  # names that were listed and would lead out of a folder

    def files(self, under: str = "") -> dict[str, int]:
        """All files, or those below the folder `under`, by their path in here; and their sizes."""
        return {name: size for name, (size, _) in self.states(under).items()}

    def states(self, under: str = "") -> dict[str, tuple[int, int]]:
        """Size and time of each file.

        A key that no file below a folder can have, with `..` in it, is left out with a warning.
        """
        selector = fs.FileSelector(
            f"{self._base}/{under}".rstrip("/"), recursive=True, allow_not_found=True
        )
        found = {
            info.path.removeprefix(f"{self._base}/"): (info.size, info.mtime_ns)
            for info in self._listed(selector)
            if info.type == fs.FileType.File
        }
        if strange := {name for name in found if not _stays_inside(name)} - self.foreign:
            self.foreign |= strange
            logging.getLogger(__name__).warning(
                "%s: %r is no name of a file below a folder, and is left out",
                self._url,
                min(strange),
            )
        return {name: state for name, state in found.items() if name not in self.foreign}

    def _listed(self, selector: fs.FileSelector) -> list[Any]:
        for _ in range(LISTINGS):
            try:
                with self._answered():
                    return self._remote.get_file_info(selector)
            except FileNotFoundError:  # a folder came or went meanwhile
                continue
        with self._answered():
            return self._remote.get_file_info(selector)

    def state(self, name: str) -> dict[str, tuple[int, int]]:
        """The state of one file; empty where there is none."""
        with self._answered():
            (info,) = self._remote.get_file_info([f"{self._base}/{name}"])
        return {name: (info.size, info.mtime_ns)} if info.type == fs.FileType.File else {}

    def content(self, name: str) -> bytes:
        with self._answered(), self._remote.open_input_stream(f"{self._base}/{name}") as stream:
            return bytes(stream.readall())

    def fetch(self, name: str, path: Path) -> None:
        """Copies a file from there to `path`, whole or not at all."""

        def copy(part: Path) -> None:
            with (
                self._answered(),
                self._remote.open_input_stream(f"{self._base}/{name}") as stream,
                part.open("wb") as file,
            ):
                progress = Progress(f"fetching {name}", None, "B")
                with progress:
                    while piece := stream.read(PIECE):
                        file.write(piece)
                        progress.update(len(piece))
                traffic.count("fetched", file.tell())

        replaced(path, copy, lasting=False)

    def send(self, path: Path, name: str) -> None:
        """Copies the file `path` there, whole or not at all.

        It is read and not mapped: a map of a file that another process cuts meanwhile ends us.
        """

        def copy() -> None:
            with path.open("rb") as file:
                self._write(name, iter(partial(file.read, PIECE), b""))

        _unbroken(copy)

    def write(self, name: str, content: bytes) -> None:
        """Makes this the content of a file there."""
        _unbroken(lambda: self._write(name, [content]))

    def _write(self, name: str, pieces: Iterable[bytes]) -> None:
        place = f"{self._base}/{name}"
        with self._answered():
            if not isinstance(self._remote, fs.S3FileSystem):  # buckets have no folders
                self._remote.create_dir(place.rpartition("/")[0], recursive=True)
            with self._remote.open_output_stream(place) as stream:
                size = sum(stream.write(piece) for piece in pieces)
        traffic.count("sent", size)

    @contextmanager
    def _answered(self) -> Iterator[None]:
        """Of pyarrow's errors those that are ValueErrors become OSErrors; silence says whose."""
        try:
            yield
        except ArrowInvalid as error:
            raise OSError(str(error)) from None
        except OSError as error:
            if "Timeout was reached" in str(error):
                raise TimeoutError(f"{self._url} does not answer") from error
            raise

    def delete(self, name: str) -> None:
        with self._answered():
            self._remote.delete_file(f"{self._base}/{name}")


class RemoteFolder:
    """A folder of a storage to read, also while a driver elsewhere writes it."""

    def __init__(self, url: str) -> None:
        """`url` as Bucket takes it; raises ValueError where it is none."""
        self._bucket = Bucket(url, "FOLDER")
        self._fetched: dict[str, tuple[int, int]] = {}  # path -> its size and time there

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


def below(url: str, path: str) -> str:
    """The URL of what lies at `path` in there; a query, such as ?region=, stays at its end."""
    place, mark, query = url.partition("?")
    return f"{place.rstrip('/')}/{path}{mark}{query}"


def connected(url: str) -> tuple[fs.FileSystem, str]:
    """The storage that a URL names, and the path in it; one that is silent is given up."""
    remote, base = fs.FileSystem.from_uri(url)
    make, (options,) = remote.__reduce__()  # a URL cannot say how long to wait
    patience = TIMEOUTS if isinstance(remote, fs.S3FileSystem) else {"retry_time_limit": GIVING_UP}
    return make(options | patience), base


def _stays_inside(name: str) -> bool:
    """Whether a key names a file below the folder that it is copied to."""
    return "\0" not in name and not {"", ".", ".."} & set(name.split("/"))


def _unbroken(send: Callable[[], None]) -> None:
    """Sends in a thread, where Ctrl-C does not come; whoever is interrupted waits for its end.

    pyarrow publishes what was written when an exception leaves its stream: half a file over the
    whole one. So all of it is written in one call, too.
    """
    with ThreadPoolExecutor(1) as pool:
        pool.submit(send).result()


def reason(error: BaseException) -> str:
    """What pyarrow says, in one line, without what it was about to do."""
    return short(one_line(error).rpartition(" operation: ")[2], 200)


def brought(url: str, cache: Path) -> Path:
    """The zip file or the folder that `url` names, in the cache: complete, and as it is there now.

    Raises FileNotFoundError where there is nothing, OSError where the storage does not answer.
    """
    path, mark, query = url.partition("?")
    url = path.rstrip("/") + mark + query
    place, _, name = path.rstrip("/").rpartition("/")
    bucket = Bucket(place + mark + query, "data")
    with _explained(url):
        there = bucket.states(name) or bucket.state(name)
    if not there and not bucket.foreign:
        raise FileNotFoundError(f"data: there is nothing at {url}")
    key = hashlib.blake2b(f"{url} {sorted(there.items())}".encode(), digest_size=16).hexdigest()
    shown = re.sub("[^a-zA-Z0-9_.-]", "_", name)
    target = cache / "downloads" / f"{key}-{shown}"
    with exclusive(target):
        if not target.exists():
            check_space(url, target.parent, sum(size for size, _ in there.values()))
            with _explained(url):
                _bring(bucket, name, list(there), target)
    return target


@contextmanager
def _explained(url: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise OSError(f"data: {url} cannot be fetched: {reason(error)}") from error


def _bring(bucket: Bucket, name: str, files: Sequence[str], target: Path) -> None:
    """Copies the file `name`, or the files of the folder `name`, to `target`: all or none."""
    part = target.with_name(target.name + ".part")
    shutil.rmtree(part, ignore_errors=True)  # of one who was killed
    places = [part if file == name else part / file.removeprefix(f"{name}/") for file in files]
    if bucket.foreign:
        strange = min(bucket.foreign)
        raise ValueError(f"data: {name} holds a file named {strange!r}; do not trust it")
    try:
        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(bucket.fetch, files, places))
        part.rename(target)
    finally:
        if part.is_dir():
            shutil.rmtree(part, ignore_errors=True)
        else:
            part.unlink(missing_ok=True)
