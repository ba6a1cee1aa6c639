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
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import PIL
from PIL import Image, ImageFile

from cnnlib.photos.folders import FACTS
from cnnlib.photos.levels import Range, may_be_deep, value_range
from cnnlib.photos.unreadable import CONVERT, REPAIR, UnreadableError, explained, foreign_format
from cnnlib.system.limits import cores
from cnnlib.system.progress import Progress
from cnnlib.system.surroundings import cache_folder

log = logging.getLogger(__name__)
FRESH = 2.0  # seconds: a file changed again within them may show the same time
SAVED = 60.0  # seconds after which what was read is remembered, lest a kill takes it
_VERSION = f"2-{PIL.__version__}"  # what is no photograph for one Pillow is one for another
_HEAD = 512  # bytes
_AT_ONCE = 4096  # files that are read before others are begun
_OF_A_THREAD = 64  # of them, one after the other
_PIECE = 1 << 18  # bytes
_DIGEST = hashlib.blake2b().digest_size
_MAGIC = re.compile(
    rb"\xff\xd8\xff|\x89PNG\r\n\x1a\n|GIF8[79]a|RIFF.{4}WEBP|II\*\x00|MM\x00\*", re.DOTALL
)
_IMAGE_SUFFIX = re.compile(
    r"\.(avif|bmp|cr[23]|dng|eps|gif|hei[cf]|ico|jfif|jp2|jpe?g?|jxl|nef|p[gp]m|png|svg|tga|"
    r"tiff?|webp)",
    re.IGNORECASE,
)


class Content(NamedTuple):
    """What a file holds."""

    digest: bytes
    error: UnreadableError | None = None  # why it is no photograph, though called one
    is_photo: bool = True
    range: Range | None = None  # of a photograph of more than 8 bits

    @property
    def is_plain(self) -> bool:
        return self == (self.digest, None, True, None)


@dataclass(frozen=True)
class Contents:
    """What many files hold."""

    digests: np.ndarray  # (N, _DIGEST) uint8
    odd: dict[int, Content]  # by place: what is no plain photograph


@dataclass(frozen=True)
class _Known:
    """What is remembered of files, in the order of their names."""

    names: bytes  # one after the other, each ended by a NUL
    facts: np.ndarray  # (N, 4) int64
    digests: np.ndarray  # (N, _DIGEST) uint8
    odd: str  # JSON, by place: all but the digest of what is no plain photograph

    def find(self, names: Sequence[str], facts: np.ndarray) -> tuple[Contents, np.ndarray]:
        """The contents of files, and of which they are known because these have not changed."""
        if self.names == _ended(names):
            places = np.arange(len(names))
        else:
            known = {name: place for place, name in enumerate(self.names.split(b"\0")[:-1])}
            places = np.array([known.get(os.fsencode(name), -1) for name in names], np.int64)
        same = places >= 0
        same[same] = (self.facts[places[same]] == facts[same]).all(1) & (facts[same, 1] >= 0)
        digests = np.zeros((len(names), _DIGEST), np.uint8)
        digests[same] = self.digests[places[same]]
        told = {int(place): some for place, some in json.loads(self.odd).items()}
        where = np.flatnonzero(same & np.isin(places, np.array(list(told), np.int64))).tolist()
        odd = {n: _content(digests[n].tobytes(), told[int(places[n])]) for n in where}
        return Contents(digests, odd), same


def contents(
    place: Path, paths: Sequence[str], facts: np.ndarray, *, cache: Path | None = None
) -> Contents:
    """What files hold, by their paths and `folders.FileFacts`.

    They lie below the folder `place`, or are listed by the table `place`. Reading that is killed
    goes on where it was.
    """
    memory = _memory(place, cache)
    start = os.path.join(place, "")
    names = [path.removeprefix(start) for path in paths]
    known = _read(memory)
    found, is_known = known.find(names, facts)
    fresh = np.flatnonzero(~is_known).tolist()
    now, saved = time.time_ns(), time.monotonic()
    lasting = (facts[:, 1] >= 0) & (facts[:, 1:3].max(1, initial=-1) < now - int(FRESH * 1e9))
    with Progress(f"reading {place.name}", len(fresh), "file") as progress:
        examined = _examined([paths[index] for index in fresh])
        for index, content in zip(fresh, examined, strict=True):
            found.digests[index] = np.frombuffer(content.digest, np.uint8)
            if not content.is_plain:
                found.odd[index] = content
            is_known[index] = True
            progress.update()
            if time.monotonic() - saved > SAVED:
                _write(memory, _remembered(names, facts, found, lasting & is_known))
                saved = time.monotonic()
    if fresh or known.names != _ended(names):
        _write(memory, _remembered(names, facts, found, lasting))
    return found


def _remembered(
    names: Sequence[str], facts: np.ndarray, found: Contents, which: np.ndarray
) -> _Known:
    """What is to be remembered: files that are read by now and are not just being written."""
    places = np.flatnonzero(which)
    kept = {place: number for number, place in enumerate(places.tolist())}
    odd = {kept[place]: _told(content) for place, content in found.odd.items() if place in kept}
    return _Known(
        _ended([names[place] for place in kept]),
        facts[places],
        found.digests[places],
        json.dumps(odd),
    )


def _ended(names: Sequence[str]) -> bytes:
    return os.fsencode("\0".join([*names, ""]))


def is_called_image(path: str | Path) -> bool:
    """Whether the suffix says so."""
    return bool(_IMAGE_SUFFIX.fullmatch(os.path.splitext(path)[1]))


def is_image(path: Path) -> bool:
    """Whether a regular file is one by its name or its first bytes."""
    if is_called_image(path):
        return True
    with open(path, "rb") as file:
        return bool(_MAGIC.match(file.read(16)))


def _examined(paths: Sequence[str]) -> Iterator[Content]:
    """What these files hold, by reading them."""

    def read(some: Sequence[str]) -> list[tuple[bytes, bytes]]:
        return [_read_through(path) for path in some]

    def examine(some: Sequence[str], begun: Sequence[tuple[bytes, bytes]]) -> list[Content]:
        return [_examine(path, of) for path, of in zip(some, begun, strict=True)]

    with ThreadPoolExecutor(max_workers=min(16, 2 * cores())) as pool:
        for first in range(0, len(paths), _AT_ONCE):
            ends = range(first, min(first + _AT_ONCE, len(paths)), _OF_A_THREAD)
            parts = [paths[start : min(start + _OF_A_THREAD, first + _AT_ONCE)] for start in ends]
            heads = list(pool.map(read, parts))
            if any(head and not _MAGIC.match(head) for part in heads for head, _ in part):
                Image.init()  # here, because two threads would load its plugins twice
            else:
                Image.preinit()
            for contents in pool.map(examine, parts, heads):
                yield from contents


def _read_through(path: str) -> tuple[bytes, bytes]:
    """The first bytes of a file and the digest of all; an empty head for a link to nowhere."""
    digest = hashlib.blake2b()
    head = b""
    try:
        with open(path, "rb", buffering=0) as file:
            while piece := file.read(_PIECE):
                head = head or piece[:_HEAD]
                digest.update(piece)
    except OSError:
        if os.path.exists(path):
            raise
    return head, digest.digest()


def _examine(path: str, begun: tuple[bytes, bytes]) -> Content:
    head, digest = begun
    if not _MAGIC.match(head) and (error := _unopened(path, head)):
        return Content(digest, error if is_called_image(path) else None, is_photo=False)
    found = None
    if may_be_deep(head):
        try:
            found = value_range(Path(path))
        except Exception as error:  # whatever is wrong with it, decoding will say it in full
            log.debug("%s: no range of values: %s", path, error)
    return Content(digest, range=found)


def _unopened(path: str, head: bytes) -> UnreadableError | None:
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
        content.is_photo,
        [error.reason, error.remedy] if error else None,
        [values.kind, values.low, values.high] if values else None,
    ]


def _content(digest: bytes, told: list) -> Content:
    is_photo, error, values = told
    return Content(
        digest,
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
    return place / f"{name}.npz"


def _read(memory: Path | None) -> _Known:
    """What is remembered: nothing of another version, or where it is damaged."""
    nothing = _Known(b"", np.empty((0, FACTS), np.int64), np.empty((0, _DIGEST), np.uint8), "{}")
    if memory is None or not memory.exists():
        return nothing
    try:
        with open(memory, "rb") as file, np.load(file, allow_pickle=False) as said:
            if str(said["version"]) != _VERSION:
                return nothing
            names, odd = said["names"].tobytes(), str(said["odd"])
            known = _Known(names, said["facts"], said["digests"], odd)
        number = names.count(b"\0")
        shapes = known.facts.shape, known.digests.shape
        if shapes != ((number, FACTS), (number, _DIGEST)):
            raise ValueError(f"{number} names and {shapes}")
        for told in json.loads(odd).values():
            _content(b"", told)
        return known
    except Exception as error:  # of a zip file that is damaged in any way
        log.info("%s: %s", memory, error)
        return nothing


def _write(memory: Path | None, known: _Known) -> None:
    if memory is None:
        return
    part = memory.with_suffix(f".{os.getpid()}")
    try:
        with open(part, "wb") as file:
            np.savez(
                file,
                version=_VERSION,
                names=np.frombuffer(known.names, np.uint8),
                facts=known.facts,
                digests=known.digests,
                odd=known.odd,
            )
        part.replace(memory)
        memory.with_suffix(".json").unlink(missing_ok=True)  # of earlier versions
    except OSError as error:  # a full disk: the files will be read again
        log.info("%s: %s", memory, error)
        part.unlink(missing_ok=True)
