"""Photos in class folders or in a table: their classes, which are broken, and a fingerprint."""

import hashlib
import os
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from operator import itemgetter
from pathlib import Path
from typing import NamedTuple

from cnnlib.photos.digests import contents
from cnnlib.photos.folders import hidden_folders, is_regular, listed, shown, subfolders, walk_texts
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


class _Found(NamedTuple):
    """A file that may be a photograph. Texts, because a million of anything else takes long."""

    class_name: str
    name: str  # below the class folder, with forward slashes
    path: str
    state: os.stat_result | None
    group: str = ""


class _Photo(NamedTuple):
    class_name: str
    name: str
    path: str
    digest: bytes
    group: str = ""  # photos of one group never stand on both sides of a split

    @property
    def shown(self) -> str:
        return f"{self.class_name}/{self.name}"


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
    check_height(train_dir)
    read = _Reading(cache)
    train = read.enough(train_dir, read.photos(train_dir), min_per_class)
    classes = read.classes(train_dir, train)
    test_dir, lines = test_folder(train_dir, classes)
    read.notes += lines
    test: list[_Photo] | None = None
    if test_dir is not None:
        found = [p for p in read.photos(test_dir) if p.class_name not in read.rare]
        test = _as_in_train(test_dir, classes, found)
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
    classes = tuple(sorted({photo.class_name for photo in train}))
    _check_train(source, classes, Counter(photo.class_name for photo in train))
    test: list[_Photo] | None = None
    if table.test is not None:
        found = [p for p in read.rows(source, table.test) if p.class_name not in read.rare]
        test = _as_in_train(source, classes, found)
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

    def photos(self, folder: Path) -> list[_Photo]:
        """The photos of a split, sorted. Raises ValueError where files only claim to be some."""
        if hidden := [path.name for path in hidden_folders(folder) if holds_photos(path)]:
            told = listed(hidden)
            self.notes.append(f"left out of {shown(folder)}, because of the dot: {told}; rename")
        found = []
        for class_folder in subfolders(folder):
            _check_name(folder, class_folder.name)
            start = len(os.path.join(class_folder, ""))
            for path, state in walk_texts(class_folder):
                name = path[start:]
                _check_name(folder, name, class_folder.name)
                if state is None or is_regular(state):
                    found.append(_Found(class_folder.name, name, path, state))
                else:
                    self._special.append(f"{class_folder.name}/{name}")
        found.sort(key=itemgetter(0, 1, 2))
        return self._looked_at(folder, found)

    def rows(self, source: Path, rows: Sequence[Row]) -> list[_Photo]:
        """The photos of rows of a table, sorted by class and name."""
        for row in rows:
            _check_name(source, row.label)
            _check_name(source, row.name)
        found = [_Found(r.label, r.name, str(r.path), os.stat(r.path), r.group) for r in rows]
        found.sort(key=itemgetter(0, 1))
        return self._looked_at(source, found)

    def _looked_at(self, place: Path, found: Sequence[_Found]) -> list[_Photo]:
        """Those that are photos, with their digests."""
        photos, complaints = [], []
        paths, states = [file.path for file in found], [file.state for file in found]
        known = contents(place, paths, states, cache=self.cache)
        for (class_name, name, path, _, group), content in zip(found, known, strict=True):
            photo = _Photo(class_name, name, path, content.digest, group)
            if content.error:
                complaints.append(Complaint(photo.shown, content.error))
            elif not content.is_photo:
                self._skipped.append(photo.shown)
            else:
                photos.append(photo)
                if content.range:
                    self.ranges[f"{shown(place)}/{photo.shown}"] = content.range
        if complaints:
            raise refusal(complaints, "file", f"in {shown(place)} cannot be read")
        return photos

    def enough(self, place: Path, photos: list[_Photo], min_per_class: int | None) -> list[_Photo]:
        """Those of classes with at least so many; the others are noted, and `rare`."""
        if min_per_class is None:
            return photos
        counts = Counter(photo.class_name for photo in photos)
        self.rare = {name for name, number in counts.items() if number < min_per_class}
        if self.rare:
            number = sum(counts[name] for name in self.rare)
            told = listed([f"{name} ({counts[name]})" for name in sorted(self.rare)])
            self.notes.append(
                f"classes of {shown(place)} with fewer than {min_per_class} photographs, left out "
                f"of training, test and report: {len(self.rare)}, {number:,} photographs ({told})"
            )
        if photos and len(self.rare) == len(counts):
            most = max(counts.values())
            raise ValueError(
                f"--min-per-class: no class of {shown(place)} has {min_per_class} photographs; the "
                f"largest has {most}"
            )
        return [photo for photo in photos if photo.class_name not in self.rare]

    def classes(self, folder: Path, photos: Sequence[_Photo]) -> tuple[str, ...]:
        """Names of the class folders, sorted; empty ones are left out."""
        names = _class_names(folder)
        counts = Counter(photo.class_name for photo in photos)
        if empty := [name for name in names if not counts[name] and name not in self.rare]:
            told = listed(empty)
            self.notes.append(f"left out of {shown(folder)}, because without photographs: {told}")
        classes = tuple(name for name in names if counts[name])
        _check_train(folder, classes, counts)
        return classes

    def compare(
        self, folder: Path, classes: Sequence[str], train: Sequence[_Photo], test: Sequence[_Photo]
    ) -> None:
        """Notes classes that are not tested, and photos that are learnt from and tested with."""
        tested = {photo.class_name for photo in test}
        if missing := [name for name in classes if name not in tested]:
            self.notes.append(f"classes without a photo in {shown(folder)}: {listed(missing)}")
        known = {photo.digest for photo in train}
        if leaked := [photo.shown for photo in test if photo.digest in known]:
            self.notes.append(
                f"photos in {shown(folder)} that the train folder holds too, so the test "
                f"flatters: {len(leaked)} ({listed(leaked)})"
            )

    def dataset(
        self,
        place: Path,
        classes: tuple[str, ...],
        train: list[_Photo],
        test: list[_Photo] | None,
    ) -> Dataset:
        """All that was read, with what the user should know of it."""
        levels, lines = levels_of(self.ranges)
        self.tell(train, lines)
        return Dataset(
            train_dir=place,
            classes=classes,
            train=_split(train, classes),
            test=None if test is None else _split(test, classes),
            fingerprint=_fingerprint(train, test or []),
            levels=levels,
            notes=tuple(self.notes),
        )

    def tell(self, train: Sequence[_Photo], levels: Sequence[str]) -> None:
        """Notes copies among the training photos, and what was read over."""
        alike = _alike(train, lambda photo: photo.digest)
        torn = [some for some in alike if len({train[n].class_name for n in some}) > 1]
        if torn:
            told = listed([" = ".join(train[n].shown for n in some[:3]) for some in torn])
            s, are = ("", "is") if len(torn) == 1 else ("s", "are")
            self.notes.append(
                f"{len(torn)} photograph{s} {are} in more than one class: {told}; keep the right "
                "one of each"
            )
        if copies := _copies(train):
            told = listed([" = ".join(train[n].shown for n in numbers[:3]) for numbers in copies])
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
    names = tuple(path.name for path in subfolders(folder))
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


def _check_train(folder: Path, classes: tuple[str, ...], counts: Counter[str]) -> None:
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


def _as_in_train(folder: Path, classes: Sequence[str], photos: list[_Photo]) -> list[_Photo]:
    """Test photos with the names of their classes as the train folder spells them."""
    spelling = {same_name(name): name for name in classes}
    found = sorted({photo.class_name for photo in photos})
    unknown = [name for name in found if same_name(name) not in spelling]
    if unknown:
        raise ValueError(
            f"classes in {shown(folder)} that the train folder lacks: {listed(unknown)}; "
            "rename or remove them"
        )
    known = {name: spelling[same_name(name)] for name in found}
    renamed = [photo._replace(class_name=known[photo.class_name]) for photo in photos]
    return sorted(renamed, key=itemgetter(0, 1))


def _split(photos: list[_Photo], classes: tuple[str, ...]) -> Split:
    index = {name: position for position, name in enumerate(classes)}
    return Split(
        files=Paths([photo.path for photo in photos]),
        labels=tuple(index[photo.class_name] for photo in photos),
        copies=_copies(photos),
        groups=_alike(photos, lambda photo: photo.group or None),
    )


def _copies(photos: Sequence[_Photo]) -> tuple[tuple[int, ...], ...]:
    return _alike(photos, lambda photo: (photo.class_name, photo.digest))


def _alike(photos: Sequence[_Photo], by: Callable[[_Photo], object]) -> tuple[tuple[int, ...], ...]:
    """Positions of photos that `by` says the same of, two at least; None says nothing."""
    said = [by(photo) for photo in photos]
    met: set[object] = set()
    twice: set[object] = set()
    for text in said:
        (twice if text in met else met).add(text)
    alike = defaultdict(list)
    for position, text in enumerate(said) if twice - {None} else ():
        if text is not None and text in twice:
            alike[text].append(position)
    return tuple(map(tuple, alike.values()))


def _fingerprint(train: list[_Photo], test: list[_Photo]) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for split, photos in (("train", train), ("test", test)):
        for photo in photos:
            digest.update(os.fsencode(f"{split}/{photo.class_name}/{photo.name}\0"))
            digest.update(photo.digest)
            if photo.group:
                digest.update(os.fsencode(f"\0{photo.group}\0"))
    return digest.hexdigest()
