"""Which folder holds the class folders to train on, and which beside it those to test with.

What its names and its sub-folders say is looked at together, because the classes of a data set that
is named one folder too high would be "train" and "test".
"""

import os
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path

from cnnlib.photos.digests import is_image
from cnnlib.photos.folders import (
    is_file,
    is_regular,
    listed,
    shown,
    subfolder_names,
    subfolders,
    walk,
)

_TRAIN = re.compile(r"train(ing)?", re.IGNORECASE)
_TEST = re.compile(r"test(ing)?", re.IGNORECASE)
_VAL = re.compile(r"val(id(ation)?)?|dev|eval", re.IGNORECASE)
_ROLES = (_TRAIN, _TEST, _VAL)
_WRAPPINGS = 16  # folders that hold one folder each, at most
_NUMBERS = re.compile(r"[\d\W_]+")  # years, days: parts of a class


def train_folder(folder: Path) -> tuple[Path, list[str]]:
    """The folder whose sub-folders should be the classes, and lines on what was left out."""
    lines: list[str] = []
    while True:
        inside = subfolders(folder)
        trains = [path for path in inside if _TRAIN.fullmatch(path.name)]
        others = [path for path in inside if not is_split_name(path.name)]
        if trains:
            with_photos = [path for path in others if holds_photos(path)]
            if with_photos and len(trains) + len(others) == len(inside):
                lines.append(_said_class(trains, with_photos))
                return folder, lines
            chosen = min(trains, key=lambda path: (path.name != "train", path.name))
            left = [shown(path) for path in (*trains, *with_photos) if path != chosen]
            if left:
                lines.append(f"left out, because {shown(chosen)} is there: {listed(left)}")
            return chosen, lines
        if not (inner := _one_with_photos(inside)):
            return folder, lines
        if left := [shown(path) for path in inside if path != inner]:
            lines.append(f"left out, because they hold no photographs: {listed(left)}")
        folder = inner


def is_split_name(name: str) -> bool:
    """Whether a folder's name says what its photographs are for."""
    return any(role.fullmatch(name) for role in _ROLES)


def role_of(name: str) -> str | None:
    """What a name says photographs are for: train, test or val; None where it says nothing."""
    roles = zip(("train", "test", "val"), _ROLES, strict=True)
    return next((role for role, pattern in roles if pattern.fullmatch(name.strip())), None)


def unwrapped(train_dir: Path) -> Path:
    """train/train of a folder train that holds one folder of that name and nothing else."""
    for _ in range(_WRAPPINGS):
        inside = subfolder_names(train_dir)
        outer = train_dir.name.casefold()
        if not _TRAIN.fullmatch(outer) or [name.casefold() for name in inside] != [outer]:
            break
        train_dir = train_dir / inside[0]
    return train_dir


def test_folder(train_dir: Path, classes: Sequence[str]) -> tuple[Path | None, list[str]]:
    """The folder of the test set of a `train_dir`, and lines on what is none.

    A folder called test, or else val, in any spelling, beside one called train.
    """
    outer = train_dir
    while _TRAIN.fullmatch(outer.parent.name) and len(subfolder_names(outer.parent)) == 1:
        outer = outer.parent
    if not _TRAIN.fullmatch(outer.name):
        return None, []
    beside = [path for path in subfolders(outer.parent) if path != outer]
    candidates = [
        path
        for role, usual in ((_TEST, "test"), (_VAL, "val"))
        for path in sorted(beside, key=lambda path: (path.name != usual, path.name))
        if role.fullmatch(path.name)
    ]
    chosen: Path | None = None
    lines: list[str] = []
    for path in candidates:
        if chosen:
            lines.append(f"{shown(path)} is not used, because {shown(chosen)} is the test set")
        elif problem := _no_test_set(labelled := _labelled(path, classes), classes):
            lines.append(f"{shown(path)} is no test set: {problem}")
        else:
            chosen = labelled
    return chosen, lines


test_folder.__test__ = False  # type: ignore[attr-defined]  # for pytest


def same_name(name: str) -> str:
    """The name as all systems would spell it: macOS writes an accent as a letter of its own."""
    return unicodedata.normalize("NFC", name)


def check_height(folders: Sequence[Path]) -> None:
    """Raises ValueError where sub-folders without photographs are no classes but hold them."""
    inner = {path: _below(path) for path in folders}
    counts = Counter(name for _, names in inner.values() for name in names)
    common = {name for name, count in counts.items() if count > 1 and not _NUMBERS.fullmatch(name)}
    alike = [path for path, (_, names) in inner.items() if 2 * len(names & common) > len(names)]
    if len(alike) < 2:
        return
    likeliest = min(alike, key=lambda path: ("train" not in path.name.casefold(), path.name))
    raise ValueError(
        f"{listed([shown(path) for path in alike])} hold no photographs of their own but folders "
        f"of the same names ({listed(sorted(common))}), which are likely to be the classes: give "
        f"the folder to train on, such as {shown(inner[likeliest][0])}; if they are classes, "
        "put the photographs directly into them"
    )


def _one_with_photos(inside: Sequence[Path]) -> Path | None:
    """The only sub-folder with photographs, where it has none of its own; the others hold files."""
    full = list(islice(filter(holds_photos, inside), 2))
    if not full and len(inside) == 1 and subfolder_names(inside[0]):
        return inside[0]
    if len(full) != 1 or _own_photos(full[0]) or not subfolder_names(full[0]):
        return None
    others = [path for path in inside if path != full[0]]
    return full[0] if all(any(True for _ in walk(path)) for path in others) else None


def _said_class(trains: Sequence[Path], others: Sequence[Path]) -> str:
    names, beside = listed([shown(p) for p in trains]), listed([p.name for p in others])
    return (
        f"{names} is taken for a class, because beside it are more photographs, in {beside}; if "
        "it holds the classes, give that folder itself"
    )


def _labelled(folder: Path, classes: Iterable[str]) -> Path:
    """test/test of a folder test that holds one folder and no class."""
    known = {same_name(name) for name in classes}
    for _ in range(_WRAPPINGS):
        inside = subfolder_names(folder)
        if len(inside) != 1 or same_name(inside[0]) in known:
            break
        if not subfolder_names(folder / inside[0]):
            break
        folder = folder / inside[0]
    return folder


def _no_test_set(folder: Path, classes: Iterable[str]) -> str | None:
    """Why the photographs of a folder are not labelled; None where they are, well or badly."""
    inside = subfolders(folder)
    if not inside:
        return "it has no class folders"
    known = {same_name(name) for name in classes}
    if len(inside) == 1 and same_name(inside[0].name) not in known:
        return f"its one folder {inside[0].name} is no class"
    if not any(map(holds_photos, inside)):
        return "it holds no photographs"
    return None


def _below(folder: Path) -> tuple[Path, set[str]]:
    """What holds folders in there, perhaps the folder itself, and their names; none beside photos.

    A folder that holds nothing but another is looked through.
    """
    for _ in range(_WRAPPINGS):
        if _own_photos(folder):
            return folder, set()
        inside = subfolder_names(folder)
        if len(inside) != 1:
            return folder, set(map(same_name, inside))
        folder = folder / inside[0]
    return folder, set()


def _own_photos(folder: Path) -> bool:
    with os.scandir(folder) as entries:
        return any(
            is_file(entry) and is_image(Path(entry.path))
            for entry in entries
            if not entry.name.startswith(".")
        )


def holds_photos(folder: Path) -> bool:
    """Whether any file in there is an image, by its name or its first bytes."""
    return any(is_regular(state) and is_image(path) for path, state in walk(folder))
