"""What files hold, remembered in the cache, so that an unchanged data set is not read again.

A file is known by its path, size, times and inode. One changed by somebody who put all of these
back, or who changed a disk behind the kernel's back, is not noticed.
"""

import hashlib
import json
import logging
import os
import re
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import PIL
from PIL import Image, ImageFile

from cnnlib.photos.levels import Range, may_be_deep, value_range
from cnnlib.photos.unreadable import CONVERT, REPAIR, UnreadableError, explained, foreign_format
from cnnlib.system.limits import cores
from cnnlib.system.surroundings import cache_folder

log = logging.getLogger(__name__)
FRESH = 2.0  # seconds: a file changed again within them may show the same time
_VERSION = f"1-{PIL.__version__}"  # what is no photograph for one Pillow is one for another
_HEAD = 512  # bytes
_MAGIC = re.compile(
    rb"\xff\xd8\xff|\x89PNG\r\n\x1a\n|GIF8[79]a|RIFF.{4}WEBP|II\*\x00|MM\x00\*", re.DOTALL
)
_IMAGE_SUFFIX = re.compile(
    r"\.(avif|bmp|cr[23]|dng|eps|gif|hei[cf]|ico|jfif|jp2|jpe?g?|jxl|nef|p[gp]m|png|svg|tga|"
    r"tiff?|webp)",
    re.IGNORECASE,
)
Known = dict[str, list]  # by path: size, both times and inode; then what is known of the content


@dataclass(frozen=True)
class Content:
    """What a file holds."""

    digest: bytes
    error: UnreadableError | None = None  # why it is no photograph, though called one
    is_photo: bool = True
    range: Range | None = None  # of a photograph of more than 8 bits


def contents(
    place: Path, files: Mapping[Path, os.stat_result | None], *, cache: Path | None = None
) -> list[Content]:
    """What files hold, by their state; None is a link to nowhere.

    They lie below the folder `place`, or are listed by the table `place`.
    """
    memory = _memory(place, cache)
    known = _read(memory)
    keys = {path: str(path).removeprefix(f"{place}{os.sep}") for path in files}
    now = time.time_ns()
    fresh = [
        path for path, state in files.items() if _facts(state) != known.get(keys[path], [])[:4]
    ]
    examined = dict(zip(fresh, _examined(fresh), strict=True))
    found = [examined.get(path) or _content(known[keys[path]]) for path in files]
    settled = {
        keys[path]: [*facts, *_told(content)]
        for (path, state), content in zip(files.items(), found, strict=True)
        if (facts := _facts(state)) and now - max(facts[1:3]) > FRESH * 1e9
    }
    if settled != known:
        _write(memory, settled)
    return found


def is_called_image(path: Path) -> bool:
    """Whether the suffix says so."""
    return bool(_IMAGE_SUFFIX.fullmatch(path.suffix))


def is_image(path: Path) -> bool:
    """Whether a regular file is one by its name or its first bytes."""
    if is_called_image(path):
        return True
    with open(path, "rb") as file:
        return bool(_MAGIC.match(file.read(16)))


def _facts(state: os.stat_result | None) -> list[int] | None:
    """What tells whether a file has changed; the third nobody can set."""
    return state and [state.st_size, state.st_mtime_ns, state.st_ctime_ns, state.st_ino]


def _examined(paths: Sequence[Path]) -> list[Content]:
    """What these files hold, by reading them."""
    with ThreadPoolExecutor(max_workers=min(16, 2 * cores())) as pool:
        heads = list(pool.map(_read_through, paths))
        if any(head and not _MAGIC.match(head) for head, _ in heads):
            Image.init()  # here, because two threads would load its plugins twice
        else:
            Image.preinit()
        return list(pool.map(_examine, paths, heads))


def _read_through(path: Path) -> tuple[bytes, bytes]:
    """The first bytes of a file and the digest of all; nothing for a link to nowhere."""
    try:
        with open(path, "rb") as file:
            head = file.read(_HEAD)
            file.seek(0)
            return head, hashlib.file_digest(file, "blake2b").digest()
    except OSError:
        if os.path.exists(path):
            raise
        return b"", b""


def _examine(path: Path, begun: tuple[bytes, bytes]) -> Content:
    head, digest = begun
    if not _MAGIC.match(head) and (error := _unopened(path, head)):
        return Content(digest, error if is_called_image(path) else None, is_photo=False)
    found = None
    if may_be_deep(head):
        try:
            found = value_range(path)
        except Exception as error:  # whatever is wrong with it, decoding will say it in full
            log.debug("%s: no range of values: %s", path, error)
    return Content(digest, range=found)


def _unopened(path: Path, head: bytes) -> UnreadableError | None:
    """Why Pillow does not know a rarer format; None where it does."""
    if name := foreign_format(head):
        return UnreadableError(f"{name}, which cannot be read", CONVERT)
    if not os.path.exists(path):
        return UnreadableError("a link to nowhere", REPAIR)
    try:
        with Image.open(path) as image:
            if isinstance(image, ImageFile.StubImageFile):  # HDF5 and the like: no pixels
                return UnreadableError(f"{image.format}, which cannot be read", CONVERT)
            return None
    except Exception as error:  # decoders raise anything; it is this photograph's
        return explained(error, head)


def _told(content: Content) -> list:
    error, values = content.error, content.range
    return [
        content.digest.hex(),
        content.is_photo,
        [error.reason, error.remedy] if error else None,
        [values.kind, values.low, values.high] if values else None,
    ]


def _content(known: list) -> Content:
    digest, is_photo, error, values = known[4:]
    return Content(
        bytes.fromhex(digest),
        UnreadableError(*error) if error else None,
        is_photo,
        Range(*values) if values else None,
    )


def _memory(of: Path, cache: Path | None) -> Path | None:
    """The file that remembers; None where there is no cache to write to."""
    name = hashlib.blake2b(os.fsencode(os.path.abspath(of)), digest_size=16).hexdigest()
    try:
        place = (cache or cache_folder()) / "digests"
        place.mkdir(parents=True, exist_ok=True)
    except OSError:
        return None
    return place / f"{name}.json"


def _read(memory: Path | None) -> Known:
    """What is remembered: nothing of another version, or where it is damaged."""
    try:
        said = json.loads(memory.read_bytes()) if memory else {}
        if said.get("version") != _VERSION:
            return {}
        known = said["files"]
        for entry in known.values():
            _content(entry)
        return known
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {}


def _write(memory: Path | None, known: Known) -> None:
    if memory is None:
        return
    part = memory.with_suffix(f".{os.getpid()}")
    try:
        part.write_text(json.dumps({"version": _VERSION, "files": known}), encoding="ascii")
        part.replace(memory)
    except OSError as error:  # a full disk: the files will be read again
        log.info("%s: %s", memory, error)
        part.unlink(missing_ok=True)
