"""What lies in a folder of photographs: files and sub-folders, without what systems leave there.

Links are followed, each folder is read once, and nothing is opened: a pipe would be waited for.
"""

import errno
import itertools
import os
import re
import stat
from array import array
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np

# What desktops, disks and tools leave in folders, in any case.
_CLUTTER = re.compile(
    r"\..*|__macosx|desktop\.ini|(eh)?thumbs(_vista)?\.db|icon\r|"
    r"@eadir|@__thumb|[@#]recycle|#snapshot|\$recycle\.bin|recycler|"
    r"system volume information|lost\+found|network trash folder|temporary items",
    re.IGNORECASE,
)
# Folders with a dot that nobody takes for a class.
_KNOWN_HIDDEN = re.compile(
    r"\.(_.*|trash.*|git|svn|hg|ipynb_checkpoints|cache|venv|idea|vscode|thumbnails|@__thumb|"
    r"appledouble|appledb|appledesktop|documentrevisions-v100|fseventsd|spotlight-v100|"
    r"temporaryitems|mediaartworkcache|stfolder|stversions|sync|dropbox.*|nfs.*|part|tmp)",
    re.IGNORECASE,
)
FACTS = 4  # numbers that tell whether a file has changed
NAMED = 3  # names that a line lists
_LATEST = 2**63 - 1
_NOWHERE = (errno.ENOENT, errno.ELOOP, errno.ENOTDIR)


def subfolders(folder: Path) -> list[Path]:
    """The visible ones, sorted."""
    return [folder / name for name in subfolder_names(folder)]


def subfolder_names(folder: Path) -> list[str]:
    """Names of the visible ones, sorted."""
    return sorted(entry.name for entry in _entries(folder) if _is_folder(entry))


def hidden_folders(folder: Path) -> list[Path]:
    """Those that begin with a dot and are none that systems and tools are known to make."""
    with os.scandir(folder) as entries:
        return sorted(
            Path(entry.path)
            for entry in entries
            if entry.name.startswith(".")
            and not _KNOWN_HIDDEN.fullmatch(entry.name)
            and _is_folder(entry)
        )


def walk(folder: Path) -> Iterator[tuple[Path, os.stat_result | None]]:
    """What is visible below a folder and is no folder, with its state; None: a link to nowhere.

    One by one: who looks for any file stops at the first. Raises ValueError for a link to a folder
    that is read already or lies above it, and PermissionError for a folder that may not be read.
    """
    for start, at, folders in _places(folder, identities_above(folder)):
        for name in _visible_names(at):
            state = _state(name, at)
            if state and stat.S_ISDIR(state.st_mode):
                folders.append(start + name)
            else:
                yield Path(start + name), state


class FileFacts:
    """What tells whether files have changed: size, both times and inode; -1 for a link to nowhere.

    The second time nobody can set.
    """

    def __init__(self) -> None:
        self._numbers = array("q")

    def add(self, state: os.stat_result | None) -> None:
        row = (-1, -1, -1, -1)
        if state is not None:
            row = (state.st_size, state.st_mtime_ns, state.st_ctime_ns, state.st_ino)
        try:
            self._numbers.extend(row)
        except OverflowError:  # a time after 2262, or an inode of 64 bits
            del self._numbers[len(self._numbers) // FACTS * FACTS :]
            self._numbers.extend(min(number, _LATEST) for number in row)

    def table(self) -> np.ndarray:
        """(N, FACTS) int64."""
        return np.frombuffer(self._numbers.tobytes(), np.int64).reshape(-1, FACTS)


class Files(NamedTuple):
    """What lies below a folder, sorted by path."""

    paths: Sequence[str]  # files that can be opened without waiting, and links to nowhere
    facts: np.ndarray  # (N, FACTS) int64
    special: Sequence[str]  # paths of pipes, sockets and devices


def files_in(folder: Path, above: Mapping[tuple[int, int], str]) -> Files:
    """As `walk`, all at once and with paths as texts: `Path`s of very many are what takes time.

    `above` is what `identities_above` says of the folder, for who looks into many in one place.
    """
    paths: list[str] = []
    special: list[str] = []
    facts = FileFacts()
    for start, at, folders in _places(folder, above):
        for name in _visible_names(at):
            state = _state(name, at)
            if state is None or stat.S_ISREG(state.st_mode):
                paths.append(start + name)
                facts.add(state)
            else:
                is_folder = stat.S_ISDIR(state.st_mode)
                (folders if is_folder else special).append(start + name)
    order = sorted(range(len(paths)), key=paths.__getitem__)
    return Files([paths[place] for place in order], facts.table()[order], special)


def _places(
    folder: Path, above: Mapping[tuple[int, int], str]
) -> Iterator[tuple[str, int, list[str]]]:
    """A folder and those below: how paths in it begin, itself opened, and where to add to them."""
    met = dict(above)
    inside = [str(folder)]
    while inside:
        place = inside.pop()
        try:
            with _opened(place) as at:
                earlier = met.setdefault(_identity(os.fstat(at)), place)
                if earlier is not place and (os.path.islink(earlier) or os.path.islink(place)):
                    raise _loop(Path(place), Path(earlier))
                yield os.path.join(place, ""), at, inside
        except OSError as error:
            if error.errno != errno.ENAMETOOLONG:
                raise
            raise ValueError(
                f"folders in {shown(folder)} lie too deep to be read, beginning with "
                f"{os.path.relpath(place, folder)[:60]}; move what they hold up"
            ) from error


def identities_above(folder: Path) -> dict[tuple[int, int], str]:
    """The folders that hold this one, by what they are whatever they are called."""
    return {_identity(os.stat(path)): str(path) for path in folder.absolute().parents}


def is_regular(state: os.stat_result | None) -> bool:
    """Whether that is the state of a file that can be opened without waiting."""
    return state is not None and stat.S_ISREG(state.st_mode)


def _loop(place: Path, earlier: Path) -> ValueError:
    link, other = (place, earlier) if place.is_symlink() else (earlier, place)
    return ValueError(
        f"{shown(link)} is a link to {shown(other)}, which holds it or is read already; "
        "remove the link"
    )


@contextmanager
def _opened(folder: str) -> Iterator[int]:
    """Names in an open folder are found faster than paths."""
    at = os.open(folder, os.O_RDONLY)
    try:
        yield at
    finally:
        os.close(at)


def _visible_names(at: int) -> Iterator[str]:
    return itertools.filterfalse(_CLUTTER.fullmatch, os.listdir(at))


def _state(name: str, at: int) -> os.stat_result | None:
    """Of a file in the folder that is open as `at`."""
    try:
        return os.stat(name, dir_fd=at)
    except OSError as error:
        if error.errno in _NOWHERE:
            return None
        raise


def _identity(state: os.stat_result) -> tuple[int, int]:
    return state.st_dev, state.st_ino


def _entries(folder: Path) -> Iterator[os.DirEntry[str]]:
    """What is visible in a folder."""
    with os.scandir(folder) as entries:
        yield from (entry for entry in entries if not _CLUTTER.fullmatch(entry.name))


def _is_folder(entry: os.DirEntry[str]) -> bool:
    """Whether it is one; a link may lead to one, to nowhere or round in a circle."""
    return Path(entry.path).is_dir() if entry.is_symlink() else entry.is_dir()


def is_file(entry: os.DirEntry[str]) -> bool:
    """Whether it can be opened without waiting; a link may lead to what can."""
    return Path(entry.path).is_file() if entry.is_symlink() else entry.is_file()


def shown(path: Path) -> str:
    """The path as a user in the current folder would type it."""
    return os.path.relpath(path) if path.is_relative_to(Path.cwd()) else str(path)


def listed(names: Sequence[str]) -> str:
    """At most three names: "a, b, c and 2 more"."""
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more
