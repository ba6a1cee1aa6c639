"""Why a file is no photograph that can be read, and what the user can do about it."""

import hashlib
import os
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, UnidentifiedImageError

from cnnlib.photos.folders import NAMED, listed
from cnnlib.photos.jpeg import read_header
from cnnlib.system.surroundings import cache_folder

REMOVE = "remove {}"
ALLOW = "see that {} can be read"
REPAIR = "remove or repair {}"
CONVERT = "convert {} to JPEG or PNG"
SCALE_DOWN = "scale {} down"
# Formats of photographs and their like that nothing here reads, by their first bytes.
_FOREIGN = {
    "HEIC": rb"....ftyp(hei[cfmsx]|hev[cmx]|mif1|msf1)",
    "JPEG XL": rb"\xff\x0a|\0\0\0\x0cJXL \r\n\x87\n",
    "a camera's raw file": rb"....ftypcrx |FUJIFILMCCD-RAW|II(RO|RS|U\0)",
    "PDF": rb"%PDF-",
    "SVG": rb"\s*(<\?xml[^>]*>\s*)?(<!--.*?-->\s*)*(<!DOCTYPE svg[^>]*>\s*)?<svg",
    "a video": rb"....ftyp(?!avi[fs])|\x1aE\xdf\xa3",
}


class UnreadableError(ValueError):
    """A file that cannot be read as a photograph: the reason, and a remedy of the above."""

    def __init__(self, reason: str, remedy: str) -> None:
        super().__init__(f"{reason}; {remedy.format('it')}")
        self.reason, self.remedy = reason, remedy


def explained(error: Exception, data: bytes) -> UnreadableError:
    """What a decoder raised about `data`, the content of a file."""
    if isinstance(error, OSError) and error.errno is not None:  # the file could not be read
        return UnreadableError(error.strerror or str(error), ALLOW)
    if isinstance(error, Image.DecompressionBombError | MemoryError):
        return UnreadableError("too large to be decoded", SCALE_DOWN)
    if name := foreign_format(data):
        return UnreadableError(f"{name}, which cannot be read", CONVERT)
    header = read_header(data)
    if header and header.frame is not None and not header.is_ordinary:
        return UnreadableError(f"a JPEG of a rare kind, {header.kind}: {_said(error)}", CONVERT)
    if "Ghostscript" in str(error):
        return UnreadableError("EPS, which takes Ghostscript to be read", CONVERT)
    if isinstance(error, UnidentifiedImageError):
        return UnreadableError("a damaged JPEG" if header else "not an image", REPAIR)
    if isinstance(error, NotImplementedError) or "not supported" in str(error):
        return UnreadableError(_said(error), CONVERT)
    return UnreadableError(_said(error), REPAIR)


def foreign_format(data: bytes) -> str | None:
    """The name of a format that nothing here reads, by the first bytes; None for any other."""
    head = data[:512]
    return next((name for name, form in _FOREIGN.items() if re.match(form, head, re.DOTALL)), None)


def _said(error: Exception) -> str:
    """What a decoder says, in one line that names no object in memory."""
    text = " ".join(re.sub(r"<[\w.]+ object at 0x\w+>", "it", str(error)).split())
    return text or type(error).__name__


@dataclass(frozen=True)
class Complaint:
    """A file that cannot be read, by the name that is shown."""

    name: str
    error: UnreadableError


def refusal(complaints: Sequence[Complaint], subject: str, verdict: str) -> ValueError:
    """One line of all: "2 <subject>s <verdict>: a (why), b (why); <remedy>", remedy by remedy.

    Where that leaves names out, it says which file of the cache has all of them.
    """
    by_remedy: defaultdict[str, list[Complaint]] = defaultdict(list)
    for complaint in complaints:
        by_remedy[complaint.error.remedy].append(complaint)
    parts = []
    for remedy, some in by_remedy.items():
        s, them = ("", "it") if len(some) == 1 else ("s", "them")
        names = listed([f"{complaint.name} ({complaint.error.reason})" for complaint in some])
        parts.append(f"{len(some)} {subject}{s} {verdict}: {names}; {remedy.format(them)}")
    if any(len(some) > NAMED for some in by_remedy.values()):
        parts.append(_all_names(complaints))
    return ValueError("; ".join(parts))


def _all_names(complaints: Sequence[Complaint]) -> str:
    """Where all of them are written; where nothing can be written, all of them."""
    lines = [f"{complaint.name}: {complaint.error}\n" for complaint in complaints]
    content = "".join(lines).encode(errors="surrogateescape")
    try:
        folder = cache_folder() / "unreadable"
        folder.mkdir(exist_ok=True)
        path = folder / f"{hashlib.blake2b(content, digest_size=8).hexdigest()}.txt"
        part = path.with_suffix(f".{os.getpid()}")
        part.write_bytes(content)
        part.replace(path)
    except OSError:
        return "all of them: " + ", ".join(complaint.name for complaint in complaints)
    return f"all of them are listed in {path}"
