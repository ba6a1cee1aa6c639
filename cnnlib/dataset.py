"""Photos in class folders: which classes they have, which files are broken, and a fingerprint."""

import hashlib
import logging
import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageFile

from cnnlib.limits import cores

logger = logging.getLogger(__name__)

_MAGIC = re.compile(
    rb"\xff\xd8\xff|\x89PNG\r\n\x1a\n|GIF8[79]a|RIFF.{4}WEBP|II\*\x00|MM\x00\*", re.DOTALL
)
_IMAGE_SUFFIX = re.compile(
    r"\.(avif|bmp|gif|hei[cf]|ico|jfif|jp2|jpe?g?|p[gp]m|png|tga|tiff?|webp)", re.IGNORECASE
)
_CLUTTER = re.compile(r"\..*|__macosx|desktop\.ini|thumbs\.db", re.IGNORECASE)
_SPLIT_NAME = re.compile(r"dev|eval|test(ing)?|train(ing)?|val(id|idation)?", re.IGNORECASE)


@dataclass(frozen=True)
class Split:
    """Photos and their classes, sorted by class and name: the same order on every machine."""

    files: tuple[Path, ...]
    labels: tuple[int, ...]
    """Each file's index into `Dataset.classes`."""


@dataclass(frozen=True)
class Dataset:
    """Photos to learn from and, if the data have any, photos for the one test at the end."""

    train_dir: Path
    classes: tuple[str, ...]
    """Names of the class folders of `train_dir`, sorted."""
    train: Split
    test: Split | None
    fingerprint: str
    """Hex digest of every photo's content, split, class and name, wherever the folder lies."""


@dataclass(frozen=True)
class _Photo:
    class_name: str
    name: str  # below the class folder, with forward slashes
    path: Path
    digest: bytes


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
def read_folder(train_dir: Path) -> Dataset:
    """The data set of a folder of class folders; beside one named `train`, `test` is the test set.

    Without a `test` folder that is `val`; with both, `val` is not used.
    """
    train_dir = Path(os.path.abspath(os.path.expanduser(train_dir)))  # workers may run elsewhere
    if not train_dir.is_dir():
        raise FileNotFoundError(f"no folder {_shown(train_dir)}; give one that holds class folders")
    siblings = [train_dir.with_name(name) for name in ("test", "val")]
    test_dir = next((folder for folder in siblings if folder.is_dir()), None)
    return _read_splits(train_dir, test_dir if train_dir.name == "train" else None)


def _read_splits(train_dir: Path, test_dir: Path | None) -> Dataset:
    classes = _class_names(train_dir)
    train, skipped = _photos(train_dir)
    _check_train(train_dir, classes, train)
    test: list[_Photo] = []
    if test_dir is not None:
        test_classes = _class_names(test_dir)
        test, more_skipped = _photos(test_dir)
        skipped += more_skipped
        _check_test(test_dir, classes, test_classes, test)
        _warn_of_leaks(test_dir, train, test)
    if skipped:
        logger.warning("files skipped, not images: %d (%s)", len(skipped), _listed(skipped))
    return Dataset(
        train_dir=train_dir,
        classes=classes,
        train=_split(train, classes),
        test=None if test_dir is None else _split(test, classes),
        fingerprint=_fingerprint(train, test),
    )


def _class_names(folder: Path) -> tuple[str, ...]:
    names = tuple(path.name for path in subfolders(folder))
    if not names or all(map(_SPLIT_NAME.fullmatch, names)):
        expected = folder if _SPLIT_NAME.fullmatch(folder.name) else folder / "train"
        only = f", only {_listed(names)}" if names else ""
        raise FileNotFoundError(
            f"no class folders in {_shown(folder)}{only}; expected {_shown(expected)}/<class>/*.jpg"
        )
    return names


def _photos(folder: Path) -> tuple[list[_Photo], list[str]]:
    """The photos of a split, sorted, and the other files that may be skipped."""
    found = sorted(
        (class_folder.name, path.relative_to(class_folder).as_posix(), path)
        for class_folder in subfolders(folder)
        for path in _files(class_folder)
    )
    for class_name, name, _ in found:
        _check_name(folder, f"{class_name}/{name}")
    with ThreadPoolExecutor(max_workers=min(16, 2 * cores())) as pool:
        contents = list(pool.map(_examine, [path for _, _, path in found]))
    photos, broken, skipped = [], [], []
    for (class_name, name, path), (head, digest) in zip(found, contents, strict=True):
        if _MAGIC.match(head) or _pillow_opens(path):
            photos.append(_Photo(class_name, name, path, digest))
        elif _IMAGE_SUFFIX.fullmatch(path.suffix):
            broken.append(f"{class_name}/{name}")
        else:
            skipped.append(f"{class_name}/{name}")
    if broken:
        s, are, images = ("", "is", "an image") if len(broken) == 1 else ("s", "are", "images")
        which = f"{len(broken)} file{s} in {_shown(folder)} {are} not {images}: {_listed(broken)}"
        raise ValueError(f"{which}; remove or repair them")
    return photos, skipped


def _check_name(folder: Path, name: str) -> None:
    try:
        name.encode()
    except UnicodeEncodeError:
        shown = os.fsencode(name).decode(errors="replace")
        raise ValueError(f"{_shown(folder)}/{shown}: its name is not UTF-8; rename it") from None


def _examine(path: Path) -> tuple[bytes, bytes]:
    """The first bytes of a file and the digest of all; nothing for a link to nowhere."""
    try:
        with open(path, "rb") as file:
            head = file.read(16)
            file.seek(0)
            return head, hashlib.file_digest(file, "blake2b").digest()
    except FileNotFoundError:
        return b"", b""


def _pillow_opens(path: Path) -> bool:
    """Whether Pillow knows the rarer format; not in threads, where its plugins load twice."""
    try:
        with Image.open(path) as image:
            return not isinstance(image, ImageFile.StubImageFile)  # HDF5 and the like: no pixels
    except (OSError, ValueError, Image.DecompressionBombError):
        return False


def _check_train(folder: Path, classes: tuple[str, ...], photos: list[_Photo]) -> None:
    if len(classes) == 1:
        raise ValueError(
            f"only one class in {_shown(folder)}: {classes[0]}; "
            "a classifier needs at least 2 class folders"
        )
    counts = Counter(photo.class_name for photo in photos)
    few = [f"{name} ({counts[name]})" for name in classes if counts[name] < 2]
    if few:
        raise ValueError(
            f"classes with fewer than 2 photos in {_shown(folder)}: {_listed(few)}; "
            "add photos or remove the folders"
        )


def _check_test(
    folder: Path, classes: tuple[str, ...], test_classes: tuple[str, ...], photos: list[_Photo]
) -> None:
    unknown = [name for name in test_classes if name not in classes]
    if unknown:
        raise ValueError(
            f"classes in {_shown(folder)} that the train folder lacks: {_listed(unknown)}; "
            "rename or remove them"
        )
    if not photos:
        raise ValueError(f"no photos in {_shown(folder)}; add photos or remove the folder")
    tested = {photo.class_name for photo in photos}
    missing = [name for name in classes if name not in tested]
    if missing:
        logger.warning("classes without a photo in %s: %s", _shown(folder), _listed(missing))


def _warn_of_leaks(folder: Path, train: list[_Photo], test: list[_Photo]) -> None:
    known = {photo.digest for photo in train}
    leaked = [f"{photo.class_name}/{photo.name}" for photo in test if photo.digest in known]
    if leaked:
        text = "photos in %s that the train folder holds too, so the test flatters: %d (%s)"
        logger.warning(text, _shown(folder), len(leaked), _listed(leaked))


def _split(photos: list[_Photo], classes: tuple[str, ...]) -> Split:
    index = {name: position for position, name in enumerate(classes)}
    return Split(
        files=tuple(photo.path for photo in photos),
        labels=tuple(index[photo.class_name] for photo in photos),
    )


def _fingerprint(train: list[_Photo], test: list[_Photo]) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for split, photos in (("train", train), ("test", test)):
        for photo in photos:
            digest.update(os.fsencode(f"{split}/{photo.class_name}/{photo.name}\0"))
            digest.update(photo.digest)
    return digest.hexdigest()


def subfolders(folder: Path) -> list[Path]:
    """The visible ones, sorted."""
    return sorted(path for path in _visible(folder) if path.is_dir())


def _files(folder: Path) -> Iterator[Path]:
    """Visible files below a folder; links are followed, and a folder that cannot be read raises."""
    for path in _visible(folder):
        if path.is_dir():
            yield from _files(path)
        else:
            yield path


def _visible(folder: Path) -> Iterator[Path]:
    return (path for path in folder.iterdir() if not _CLUTTER.fullmatch(path.name))


def _shown(path: Path) -> str:
    """The path as a user in the current folder would type it."""
    return os.path.relpath(path) if path.is_relative_to(Path.cwd()) else str(path)


def _listed(names: Sequence[str]) -> str:
    """At most three names: "a, b, c and 2 more"."""
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more
