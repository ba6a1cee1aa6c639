"""Files in object storage (s3://, gs://) by their URL; only this module knows pyarrow."""

import hashlib
import re
import shutil
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pyarrow import fs

from cnnlib import traffic
from cnnlib.download import check_space, exclusive
from cnnlib.redaction import without_secrets

AT_ONCE = 16  # files of a folder that are fetched at once


class Bucket:
    """A folder in object storage. Where it does not answer, its methods raise OSError."""

    def __init__(self, url: str, flag: str = "--storage") -> None:
        """`url` is s3://bucket/path or gs://bucket/path; AWS_ENDPOINT_URL names another server.

        Raises ValueError where it is none, which begins with `flag`.
        """
        try:
            self._remote, self._base = fs.FileSystem.from_uri(url)
        except OSError as error:  # its region is asked for
            raise OSError(f"{flag}: {url} does not answer: {one_line(error)}") from None
        except Exception as error:
            raise ValueError(f"{flag}: {url} is no storage: {one_line(error)}") from None

    def files(self, under: str = "") -> dict[str, int]:
        """All files, or those below the folder `under`, by their path in here; and their sizes."""
        return {name: size for name, (size, _) in self.states(under).items()}

    def states(self, under: str = "") -> dict[str, tuple[int, int]]:
        """Size and time of each file."""
        place = f"{self._base}/{under}".rstrip("/")
        found = self._remote.get_file_info(
            fs.FileSelector(place, recursive=True, allow_not_found=True)
        )
        return {
            info.path.removeprefix(f"{self._base}/"): (info.size, info.mtime_ns)
            for info in found
            if info.type == fs.FileType.File
        }

    def state(self, name: str) -> dict[str, tuple[int, int]]:
        """The state of one file; empty where there is none."""
        (info,) = self._remote.get_file_info([f"{self._base}/{name}"])
        return {name: (info.size, info.mtime_ns)} if info.type == fs.FileType.File else {}

    def content(self, name: str) -> bytes:
        with self._remote.open_input_stream(f"{self._base}/{name}") as stream:
            return bytes(stream.readall())

    def fetch(self, name: str, path: Path) -> None:
        """Copies a file from there to `path`."""
        path.parent.mkdir(parents=True, exist_ok=True)
        with (
            self._remote.open_input_stream(f"{self._base}/{name}") as stream,
            path.open("wb") as file,
        ):
            shutil.copyfileobj(stream, file, 1 << 20)
            traffic.count("fetched", file.tell())

    def send(self, path: Path, name: str) -> None:
        """Copies the file `path` there."""
        with path.open("rb") as file, self._written(name) as stream:
            shutil.copyfileobj(file, stream, 1 << 20)
            traffic.count("sent", file.tell())

    def write(self, name: str, content: bytes) -> None:
        with self._written(name) as stream:
            stream.write(content)
        traffic.count("sent", len(content))

    def _written(self, name: str) -> Any:
        place = f"{self._base}/{name}"
        if not isinstance(self._remote, fs.S3FileSystem):  # buckets have no folders
            self._remote.create_dir(place.rpartition("/")[0], recursive=True)
        return self._remote.open_output_stream(place)

    def delete(self, name: str) -> None:
        self._remote.delete_file(f"{self._base}/{name}")


def one_line(error: BaseException) -> str:
    """What pyarrow says, without what it was about to do."""
    return without_secrets(" ".join(str(error).split())).rpartition(" operation: ")[2][:200]


def brought(url: str, cache: Path) -> Path:
    """The zip file or the folder that `url` names, in the cache: complete, and as it is there now.

    Raises FileNotFoundError where there is nothing, OSError where the storage does not answer.
    """
    url = url.rstrip("/")
    place, _, name = url.rpartition("/")
    bucket = Bucket(place, "data")
    with _explained(url):
        there = bucket.states(name) or bucket.state(name)
    if not there:
        raise FileNotFoundError(f"data: there is nothing at {url}")
    key = hashlib.blake2b(f"{url} {sorted(there.items())}".encode(), digest_size=16).hexdigest()
    shown = re.sub("[^a-zA-Z0-9_.-]", "_", without_secrets(url).rpartition("/")[2])
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
        raise OSError(f"data: {url} cannot be fetched: {one_line(error)}") from error


def _bring(bucket: Bucket, name: str, files: Sequence[str], target: Path) -> None:
    """Copies the file `name`, or the files of the folder `name`, to `target`: all or none."""
    part = target.with_name(target.name + ".part")
    shutil.rmtree(part, ignore_errors=True)  # of one who was killed
    places = [part if file == name else part / file.removeprefix(f"{name}/") for file in files]
    if any(".." in file.split("/") for file in files):
        raise ValueError(f"data: {name} holds names with '..'; do not trust it")
    try:
        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(bucket.fetch, files, places))
        part.rename(target)
    finally:
        if part.is_dir():
            shutil.rmtree(part, ignore_errors=True)
        else:
            part.unlink(missing_ok=True)
