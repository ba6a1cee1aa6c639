"""Unpacks zip files into the cache folder, whole or not at all, with the names that were meant."""

import hashlib
import logging
import os
import shutil
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath

from cnnlib.photos.folders import listed
from cnnlib.storage.files import check_space, exclusive, new_digest, text_digest
from cnnlib.system.progress import Progress

logger = logging.getLogger(__name__)
_SAYS_UTF8 = 0x800  # of an entry's flags


def unpack(zip_path: Path, *, cache: Path) -> Path:
    """The folder in the cache with the content of the zip, unpacked once, whole or not at all.

    Raises ValueError, or OSError where the disk is full, in one line that names the zip and what of
    it is damaged.
    """
    folder = cache / "unpacked"
    key = _zip_key(zip_path, folder)
    with _opened(zip_path) as archive:
        entries = archive.infolist()
        mended = _mend_names(entries)
        target = folder / (f"{key}-names" if mended else key)
        with exclusive(target):
            if target.is_dir():
                return target
            part = target.with_name(target.name + ".part")
            shutil.rmtree(part, ignore_errors=True)  # of an unpacking that was killed
            try:
                _extract(zip_path, archive, part)
                os.rename(part, target)
            finally:
                shutil.rmtree(part, ignore_errors=True)
    return target


def doubtful_names(zip_path: Path) -> list[str]:
    """A line on names whose encoding the zip does not say, so that they may be read wrongly."""
    with _opened(zip_path) as archive:
        entries = archive.infolist()
        _mend_names(entries)
    parts = (part for entry in _unsaid(entries) for part in entry.filename.split("/"))
    doubtful = list(dict.fromkeys(part for part in parts if not part.isascii()))
    if not doubtful:
        return []
    return [
        f"names in {zip_path.name} may be misread, because it does not say how they are encoded: "
        f"{listed(doubtful)}; if they are wrong, pack it again with a tool that writes UTF-8"
    ]


@contextmanager
def _opened(zip_path: Path) -> Iterator[zipfile.ZipFile]:
    try:
        archive = zipfile.ZipFile(zip_path)
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{zip_path} holds a name that is not UTF-8 though it says so; pack it again"
        ) from error
    except OSError:
        raise
    except Exception as error:  # of a directory that is damaged in any way
        raise ValueError(_broken(zip_path, str(error))) from error
    with archive:
        yield archive


def _mend_names(entries: list[zipfile.ZipInfo]) -> bool:
    """Gives entries the names that were meant; whether any was written otherwise.

    Some tools for Windows write `\\` for `/`, and some for macOS write UTF-8 without saying so.
    """
    before = [entry.filename for entry in entries]
    with suppress(UnicodeError):  # another system's letters
        meant = [entry.filename.encode("cp437").decode("utf-8") for entry in _unsaid(entries)]
        for entry, name in zip(_unsaid(entries), meant, strict=True):
            entry.filename = name
    if not any("/" in entry.filename for entry in entries):
        for entry in entries:
            entry.filename = entry.filename.replace("\\", "/")
    return before != [entry.filename for entry in entries]


def _unsaid(entries: list[zipfile.ZipInfo]) -> list[zipfile.ZipInfo]:
    """Entries whose names are not in ASCII and in an encoding that the zip does not say."""
    return [e for e in entries if not e.flag_bits & _SAYS_UTF8 and not e.filename.isascii()]


def _extract(zip_path: Path, archive: zipfile.ZipFile, folder: Path) -> None:
    """Unpacks all or raises one line; zipfile checks each file's CRC as it reads."""
    entries = archive.infolist()
    for entry in entries:
        _check_entry(zip_path, entry.filename)
    check_space(str(zip_path), folder.parent, sum(entry.file_size for entry in entries))
    logger.info("unpacking %s to %s", zip_path, folder.parent)
    folder.mkdir(parents=True)
    with Progress(f"unpacking {zip_path.name}", len(entries), "file") as progress:
        for entry in entries:
            _extract_one(zip_path, archive, entry, folder)
            progress.update()


def _extract_one(
    zip_path: Path, archive: zipfile.ZipFile, entry: zipfile.ZipInfo, folder: Path
) -> None:
    try:
        archive.extract(entry, folder)
    except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
        raise ValueError(
            f"{zip_path} holds a file where another name needs a folder: {entry.filename}; "
            "pack it again"
        ) from error
    except RuntimeError as error:  # a password, or a compression that zipfile does not know
        raise ValueError(
            f"{zip_path} cannot be unpacked: {entry.filename}: {error}; "
            "pack it again as a plain zip file"
        ) from error
    except OSError as error:
        if error.errno is None:  # bz2's way to say that the file is damaged
            raise ValueError(_broken(zip_path, f"{entry.filename}: {error}")) from error
        raise OSError(
            error.errno, f"{zip_path}: {entry.filename} cannot be unpacked: {error.strerror}"
        ) from error
    except Exception as error:  # a decompressor's: zlib, LZMA and those to come
        raise ValueError(_broken(zip_path, f"{entry.filename}: {error}")) from error


def _broken(zip_path: Path, why: str) -> str:
    return f"{zip_path} is not a complete zip file: {why}; download or copy it again"


def _check_entry(zip_path: Path, name: str) -> None:
    entry = PurePosixPath(name.replace("\\", "/"))
    if entry.is_absolute() or ".." in entry.parts:
        raise ValueError(
            f"{zip_path} wants to write outside its folder, to {name}; "
            "do not trust it, or pack it again with relative names"
        )


def _zip_key(zip_path: Path, folder: Path) -> str:
    """Digest of the zip's content, remembered by path, size and time, as 3.6 GB take long."""
    facts = zip_path.stat()
    identity = f"{os.path.abspath(zip_path)} {facts.st_size} {facts.st_mtime_ns}"
    memory = folder / f"{text_digest(identity)}.key"
    with exclusive(memory):
        if memory.exists():
            return memory.read_text(encoding="ascii")
        with open(zip_path, "rb") as file:
            key = hashlib.file_digest(file, new_digest).hexdigest()
        fresh = memory.with_suffix(".part")
        fresh.write_text(key, encoding="ascii")
        os.replace(fresh, memory)
    return key
