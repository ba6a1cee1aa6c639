"""Brings data into the cache folder once, by downloads that resume."""

import json
import logging
import re
import time
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

import requests

from cnnlib.storage import traffic
from cnnlib.storage.files import check_space, exclusive, text_digest
from cnnlib.system.progress import Progress
from cnnlib.system.redaction import without_secrets

logger = logging.getLogger(__name__)

RETRY_PAUSES = (0.5, 1.0, 2.0, 4.0, 8.0)  # seconds
_TIMEOUT = (10.0, 60.0)  # seconds to connect, and between two reads
_ASKED_TO_WAIT = (408, 425, 429)  # request timeout, too early, too many requests
_LONGEST_WAIT = 60  # seconds, whatever the server asks for
_CHUNK = 1 << 16  # bytes; what a broken connection loses at most


class _BrokenTransferError(Exception):
    """A transfer that ended too early and may be tried again, not before `wait` seconds."""

    def __init__(self, text: str, *, wait: int = 0) -> None:
        super().__init__(text)
        self.wait = wait


_RETRIED = (
    _BrokenTransferError,
    requests.ConnectionError,
    requests.Timeout,
    requests.exceptions.ChunkedEncodingError,
)


def download(url: str, *, cache: Path, pauses: Sequence[float] = RETRY_PAUSES) -> Path:
    """The file behind `url` in the cache, complete; it is asked for only while it is not there.

    A broken connection is tried again after each of `pauses` (seconds), and a later call goes on
    from the bytes that are there, if the server names its version of the file (ETag or date).
    """
    target = kept(url, cache=cache)
    with exclusive(target):
        if target.exists():
            return target
        part = target.with_name(target.name + ".part")
        for pause in (*pauses, None):
            try:
                _transfer(url, part)
                break
            except requests.exceptions.InvalidURL:  # it may quote a part of a password
                raise ValueError(f"{url} is not the address of a file; check it") from None
            except _RETRIED as error:
                if pause is None:
                    raise ConnectionError(
                        f"{url}: the connection broke {len(pauses) + 1} times, last by: {error}; "
                        "run the same command again to go on from there"
                    ) from error
                pause = max(pause, getattr(error, "wait", 0))
                problem = without_secrets(f"{url}: {error}")
                logger.info("%s; trying again in %s s", problem, pause)
                time.sleep(pause)
        part.rename(target)
        _state_file(part).unlink(missing_ok=True)
    return target


def kept(url: str, *, cache: Path) -> Path:
    """Where the file behind `url` is, once it is in the cache."""
    return cache / "downloads" / f"{text_digest(url)}-{_base_name(url)}"


def _transfer(url: str, part: Path) -> None:
    """Appends to `part` what it lacks of `url`."""
    done, headers = _resume_point(part)
    with requests.get(url, headers=headers, stream=True, timeout=_TIMEOUT) as response:
        status = response.status_code
        total = _total_size(response)
        if status == 416 and done == total:
            return
        if status == 416 or (status == 206 and _range_start(response) != done):
            part.unlink(missing_ok=True)
            raise _BrokenTransferError("the server offers another part than the missing one")
        if status >= 500 or status in _ASKED_TO_WAIT:
            pause = response.headers.get("Retry-After", "")
            wait = min(int(pause), _LONGEST_WAIT) if pause.isdecimal() else 0
            raise _BrokenTransferError(f"HTTP {status} {response.reason}", wait=wait)
        if status not in (200, 206):
            raise ValueError(f"{url}: HTTP {status} {response.reason}; check the address")
        if status == 200:
            done = 0
            part.write_bytes(b"")  # first, so that no state describes other bytes
            state = json.dumps({"validator": _validator(response)})
            _state_file(part).write_text(state, encoding="utf-8")
        if total is not None:
            check_space(url, part.parent, total - done)
        _append(response, part, total=total)
    size = part.stat().st_size
    if total is not None and size != total:
        raise _BrokenTransferError(f"{size:,} of {total:,} bytes came")


def _append(response: requests.Response, part: Path, *, total: int | None) -> None:
    """Writes the body to the end of `part`."""
    name, there = part.stem.partition("-")[2], part.stat().st_size
    progress = Progress(f"downloading {name}", total, "B", done=there)
    with progress, open(part, "ab") as file:
        for chunk in response.iter_content(_CHUNK):
            file.write(chunk)
            progress.update(len(chunk))
            traffic.count("fetched", len(chunk))


def _resume_point(part: Path) -> tuple[int, dict[str, str]]:
    """Bytes of `part` that count, and the headers that ask for the rest of the same version."""
    headers = {"Accept-Encoding": "identity"}  # else sizes are those of compressed bytes
    try:
        validator = json.loads(_state_file(part).read_text(encoding="utf-8"))["validator"]
        done = part.stat().st_size
    except (FileNotFoundError, ValueError):
        return 0, headers
    if not validator or not done:
        return 0, headers
    return done, headers | {"Range": f"bytes={done}-", "If-Range": validator}


def _validator(response: requests.Response) -> str | None:
    """What If-Range may compare: a strong ETag, else the date, else nothing."""
    etag = response.headers.get("ETag", "")
    return etag if etag.startswith('"') else response.headers.get("Last-Modified")


def _total_size(response: requests.Response) -> int | None:
    """Bytes of the whole file, if the server tells."""
    if response.status_code == 200:
        total = response.headers.get("Content-Length", "")
    else:
        total = response.headers.get("Content-Range", "").rpartition("/")[2]
    return int(total) if total.isdecimal() else None


def _range_start(response: requests.Response) -> int | None:
    """The first byte's place in the file, of a partial answer."""
    match = re.match(r"bytes (\d+)-", response.headers.get("Content-Range", ""))
    return int(match[1]) if match else None


def _state_file(part: Path) -> Path:
    return part.with_name(part.name + ".json")


def _base_name(url: str) -> str:
    """The file name in `url`, in harmless characters."""
    name = PurePosixPath(unquote(urlsplit(url).path)).name
    return re.sub(r"[^\w.-]", "_", name)[-100:] or "data.zip"
