"""Photos in class folders or in a table: their classes, which are broken, and a fingerprint."""

import hashlib
import itertools
import os
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from operator import attrgetter
from pathlib import Path

import numpy as np

from cnnlib.photos.columns import Photos, counted
from cnnlib.photos.digests import contents, is_called_image
from cnnlib.photos.folders import (
    FileFacts,
    files_in,
    hidden_folders,
    identities_above,
    listed,
    shown,
    subfolder_names,
    subfolders,
)
from cnnlib.photos.layout import (
    check_height,
    holds_photos,
    is_split_name,
    same_name,
    test_folder,
    unwrapped,
)
from cnnlib.photos.levels import UNKNOWN, Levels, Range, levels_of
from cnnlib.photos.paths import Paths
from cnnlib.photos.table import Row, Table
from cnnlib.photos.unreadable import Complaint, refusal


@dataclass(frozen=True)
class Split:
    """Photos and their classes, sorted by class and name: the same order on every machine."""

    files: Sequence[Path]
    labels: tuple[int, ...]
    """Each file's index into `Dataset.classes`."""
    copies: tuple[tuple[int, ...], ...] = ()
    """Positions of photos of one class whose files have the same bytes."""
    groups: tuple[tuple[int, ...], ...] = ()
    """Positions of photos that a table says belong together, of any class."""


@dataclass(frozen=True)
class Dataset:
    """Photos to learn from and, if the data have any, photos for the one test at the end."""

    train_dir: Path
    """The folder of class folders, or that of the table."""
    classes: tuple[str, ...]
    """Names of the class folders of `train_dir`, or of the table's labels, sorted."""
    train: Split
    test: Split | None
    fingerprint: str
    """Hex digest of every photo's content, split, class, name and group, wherever it all lies."""
    levels: Levels = UNKNOWN
    """What is white in photos of more than 8 bits."""
    notes: tuple[str, ...] = field(default=(), compare=False)
    """What the user should know of the photos, a line each; who asks for a data set tells them."""


@contextmanager
def permissions_named() -> Iterator[None]:
    """A file that may not be read is named in the error, with what to do."""
    try:
        yield
    except PermissionError as error:
        if error.filename is None:  # already explained
            raise
        raise PermissionError(
            f"{error.filename} cannot be read: {error.strerror}; give yourself the right to read it"
        ) from error


@permissions_named()
def read_folder(
    train_dir: Path, *, cache: Path | None = None, min_per_class: int | None = None
) -> Dataset:
    """The data set of a folder of class folders; beside one named `train`, `test` is the test set.

    Without a `test` folder that is `val`; with both, `val` is not used. Other spellings of the
    three are known too. Classes of fewer photographs than `min_per_class` are left out. What is
    told of the files is remembered in `cache`.
    """
    train_dir = Path(os.path.abspath(os.path.expanduser(train_dir)))  # workers may run elsewhere
    if not train_dir.is_dir():
        raise FileNotFoundError(f"no folder {shown(train_dir)}; give one that holds class folders")
    train_dir = unwrapped(train_dir)
    _class_names(train_dir)  # whose error is the plainer one
    read = _Reading(cache)
    train = read.enough(train_dir, read.photos(train_dir, is_train=True), min_per_class)
    classes = read.classes(train_dir, train)
    test_dir, lines = test_folder(train_dir, classes)
    read.notes += lines
    test: Photos | None = None
    if test_dir is not None:
        test = _as_in_train(test_dir, classes, read.common(read.photos(test_dir)))
        read.compare(test_dir, classes, train, test)
    return read.dataset(train_dir, classes, train, test)


@permissions_named()
def read_listed(
    source: Path,
    table: Table,
    *,
    cache: Path | None = None,
    min_per_class: int | None = None,
) -> Dataset:
    """The data set of what a table lists, `source` by name; its classes are sorted."""
    source = Path(os.path.abspath(source))
    read = _Reading(cache)
    read.notes += table.notes
    train = read.enough(source, read.rows(source, table.train), min_per_class)
    classes = train.class_names
    _check_train(source, classes, train.count)
    test: Photos | None = None
    if table.test is not None:
        test = _as_in_train(source, classes, read.common(read.rows(source, table.test)))
        read.compare(source, classes, train, test)
    return read.dataset(source.parent, classes, train, test)


class _Reading:
    """The reading of one data set: what has been found by now that the user should know."""

    def __init__(self, cache: Path | None) -> None:
        self.cache = cache
        self.notes: list[str] = []
        self.ranges: dict[str, Range] = {}
        self.rare: set[str] = set()
        self._skipped: list[str] = []
        self._special: list[str] = []

    def photos(self, folder: Path, *, is_train: bool = False) -> Photos:
        """The photos of a split. Raises ValueError where files only claim to be some.

        Of training it is asked too whether its sub-folders are the classes.
        """
        if hidden := [path.name for path in hidden_folders(folder) if holds_photos(path)]:
            told = listed(hidden)
            self.notes.append(f"left out of {shown(folder)}, because of the dot: {told}; rename")
        class_names, counts = [], []
        facts = [FileFacts().table()]
        names: list[str] = []
        paths: list[str] = []
        above: dict[tuple[int, int], str] = {}
        doubtful = []
        for class_folder in subfolders(folder):
            above = above or identities_above(class_folder)
            _check_name(folder, class_folder.name)
            found = files_in(class_folder, above)
            self._special += [os.path.relpath(path, folder) for path in found.special]
            begins = len(os.path.join(class_folder, ""))
            inside = [path[begins:] for path in found.paths]
            if not any(os.sep not in name and is_called_image(name) for name in inside):
                doubtful.append(class_folder)
            if found.paths:
                _check_names(folder, inside, class_folder.name)
                names += inside
                paths += found.paths
                facts.append(found.facts)
                class_names.append(class_folder.name)
                counts.append(len(inside))
        if is_train:
            check_height(doubtful)
        return self._looked_at(folder, class_names, counts, names, paths, np.concatenate(facts))

    def rows(self, source: Path, rows: Sequence[Row]) -> Photos:
        """The photos of rows of a table."""
        rows = sorted(rows, key=attrgetter("label", "name"))
        facts = FileFacts()
        for row in rows:
            _check_name(source, row.label)
            _check_name(source, row.name)
            facts.add(os.stat(row.path))
        class_names, counts = counted(row.label for row in rows)
        names, paths = [row.name for row in rows], [str(row.path) for row in rows]
        groups = [row.group for row in rows]
        return self._looked_at(source, class_names, counts, names, paths, facts.table(), groups)

    def _looked_at(
        self,
        place: Path,
        class_names: Sequence[str],
        counts: Sequence[int] | np.ndarray,
        names: Sequence[str],
        paths: Sequence[str],
        facts: np.ndarray,
        groups: Sequence[str] | None = None,
    ) -> Photos:
        """Those of these files that are photos, with their digests."""
        known = contents(place, paths, facts, cache=self.cache)
        files = Photos(
            tuple(class_names),
            np.array(counts, np.int64),
            names,
            paths,
            known.digests,
            groups if any(groups or ()) else None,
        )
        complaints, others = [], set()
        for index, content in sorted(known.odd.items()):
            told = files.shown(index)
            if content.error:
                complaints.append(Complaint(told, content.error))
            elif not content.is_photo:
                self._skipped.append(told)
                others.add(index)
            elif content.range:
                self.ranges[f"{shown(place)}/{told}"] = content.range
        if complaints:
            raise refusal(complaints, "file", f"in {shown(place)} cannot be read")
        return files.without(others)

    def enough(self, place: Path, photos: Photos, min_per_class: int | None) -> Photos:
        """Those of classes with at least so many; the others are noted, and `rare`."""
        if min_per_class is None:
            return photos
        counts = photos.count
        self.rare = {name for name, number in counts.items() if number < min_per_class}
        if self.rare:
            number = sum(counts[name] for name in self.rare)
            told = listed([f"{name} ({counts[name]})" for name in sorted(self.rare)])
            self.notes.append(
                f"classes of {shown(place)} with fewer than {min_per_class} photographs, left out "
                f"of training, test and report: {len(self.rare)}, {number:,} photographs ({told})"
            )
        if counts and len(self.rare) == len(counts):
            most = max(counts.values())
            raise ValueError(
                f"--min-per-class: no class of {shown(place)} has {min_per_class} photographs; the "
                f"largest has {most}"
            )
        return self.common(photos)

    def common(self, photos: Photos) -> Photos:
        """Those of classes that are not rare."""
        return photos.of_classes(set(photos.class_names) - self.rare)

    def classes(self, folder: Path, photos: Photos) -> tuple[str, ...]:
        """Names of the class folders, sorted; empty ones are left out."""
        names = _class_names(folder)
        counts = photos.count
        if empty := [name for name in names if name not in counts and name not in self.rare]:
            told = listed(empty)
            self.notes.append(f"left out of {shown(folder)}, because without photographs: {told}")
        _check_train(folder, photos.class_names, counts)
        return photos.class_names

    def compare(self, folder: Path, classes: Sequence[str], train: Photos, test: Photos) -> None:
        """Notes classes that are not tested, and photos that are learnt from and tested with."""
        if missing := [name for name in classes if name not in test.class_names]:
            self.notes.append(f"classes without a photo in {shown(folder)}: {listed(missing)}")
        if leaked := [test.shown(place) for place in test.those_in(train)]:
            self.notes.append(
                f"photos in {shown(folder)} that the train folder holds too, so the test "
                f"flatters: {len(leaked)} ({listed(leaked)})"
            )

    def dataset(
        self,
        place: Path,
        classes: tuple[str, ...],
        train: Photos,
        test: Photos | None,
    ) -> Dataset:
        """All that was read, with what the user should know of it."""
        levels, lines = levels_of(self.ranges)
        self.tell(train, lines)
        return Dataset(
            train_dir=place,
            classes=classes,
            train=_split(train, classes),
            test=None if test is None else _split(test, classes),
            fingerprint=_fingerprint(train, test),
            levels=levels,
            notes=tuple(self.notes),
        )

    def tell(self, train: Photos, levels: Sequence[str]) -> None:
        """Notes copies among the training photos, and what was read over."""
        torn = [some for some in train.alike if len(set(train.class_of[list(some)])) > 1]
        if torn:
            told = listed([" = ".join(map(train.shown, some[:3])) for some in torn])
            s, are = ("", "is") if len(torn) == 1 else ("s", "are")
            self.notes.append(
                f"{len(torn)} photograph{s} {are} in more than one class: {told}; keep the right "
                "one of each"
            )
        if copies := train.copies():
            told = listed([" = ".join(map(train.shown, numbers[:3])) for numbers in copies])
            number = sum(map(len, copies)) - len(copies)
            self.notes.append(
                f"training photographs that are copies of others in their class, and stay on their "
                f"side of the split: {number:,} ({told})"
            )
        self.notes += levels
        for what, names in (
            ("not images", self._skipped),
            ("no regular files but pipes, sockets or devices", self._special),
        ):
            if names:
                self.notes.append(f"files skipped, {what}: {len(names)} ({listed(names)})")


def _class_names(folder: Path) -> tuple[str, ...]:
    names = tuple(subfolder_names(folder))
    if not names or all(map(is_split_name, names)):
        expected = folder if is_split_name(folder.name) else folder / "train"
        only = f", only {listed(names)}" if names else ""
        raise FileNotFoundError(
            f"no class folders in {shown(folder)}{only}; expected {shown(expected)}/<class>/*.jpg"
        )
    spellings = Counter(map(same_name, names))
    if twice := [name for name in names if spellings[same_name(name)] > 1]:
        raise ValueError(
            f"class folders in {shown(folder)} have names that look alike and differ in how "
            f"accents are written: {listed(twice)}; rename or join them"
        )
    return names


def _check_names(folder: Path, names: Sequence[str], below: str) -> None:
    try:
        "".join(names).encode()
    except UnicodeEncodeError:
        for name in names:
            _check_name(folder, name, below)


def _check_name(folder: Path, name: str, below: str = "") -> None:
    try:
        name.encode()
    except UnicodeEncodeError:
        raw = os.fsencode(f"{below}/{name}" if below else name)
        where = f"{shown(folder)}/{raw.decode(errors='replace')}"
        if sys.getfilesystemencoding() != "utf-8" and raw.decode(errors="ignore").encode() == raw:
            raise ValueError(
                f"{where}: Python takes names of files for {sys.getfilesystemencoding()} here; "
                "set PYTHONUTF8=1"
            ) from None
        raise ValueError(f"{where}: its name is not UTF-8; rename it") from None


def _check_train(folder: Path, classes: tuple[str, ...], counts: Mapping[str, int]) -> None:
    if not classes:
        raise ValueError(f"no photographs in {shown(folder)}; add some to its classes")
    if len(classes) == 1:
        raise ValueError(
            f"only one class in {shown(folder)}: {classes[0]}; a classifier needs at least 2"
        )
    few = [f"{name} ({counts[name]})" for name in classes if counts[name] < 2]
    if few:
        raise ValueError(
            f"classes with fewer than 2 photos in {shown(folder)}: {listed(few)}; "
            "add photos, or leave them out by --min-per-class 2"
        )


def _as_in_train(folder: Path, classes: Sequence[str], photos: Photos) -> Photos:
    """Test photos with the names of their classes as the train folder spells them."""
    spelling = {same_name(name): name for name in classes}
    unknown = [name for name in photos.class_names if same_name(name) not in spelling]
    if unknown:
        raise ValueError(
            f"classes in {shown(folder)} that the train folder lacks: {listed(unknown)}; "
            "rename or remove them"
        )
    return photos.renamed({name: spelling[same_name(name)] for name in photos.class_names})


def _split(photos: Photos, classes: tuple[str, ...]) -> Split:
    index = {name: position for position, name in enumerate(classes)}
    labels = np.repeat([index[name] for name in photos.class_names], photos.counts)
    return Split(
        files=Paths(photos.paths),
        labels=tuple(labels.tolist()),
        copies=photos.copies(),
        groups=photos.of_groups(),
    )


def _fingerprint(train: Photos, test: Photos | None) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for split, photos in (("train", train), ("test", test)):
        if photos is None:
            continue
        size = photos.digests.shape[1]
        for class_name, places in photos.by_class():
            some = slice(places.start, places.stop)
            folder = f"{split}/{class_name}/"
            names = [f"{folder}{name}\0".encode() for name in photos.names[some]]
            held = photos.digests[some].tobytes()
            said = [held[at : at + size] for at in range(0, len(held), size)]
            columns = [names, said]
            if photos.groups:
                columns.append([f"\0{g}\0".encode() if g else b"" for g in photos.groups[some]])
            digest.update(b"".join(itertools.chain.from_iterable(zip(*columns, strict=True))))
    return digest.hexdigest()
