"""Photographs packed into Parquet files, tar shards or a data set's object: unpacked once to files.

Each becomes a folder of the cache with the photographs' own bytes and a table, labels.csv, which is
read like any other. Sources: Hugging Face's Parquet of an image folder, WebDataset's tar shards.
"""

import csv
import io
import json
import os
import re
import shutil
import tarfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from PIL import Image

from cnnlib.photos.digests import is_called_image
from cnnlib.photos.folders import listed, shown
from cnnlib.photos.layout import role_of
from cnnlib.photos.source_text import ROLES
from cnnlib.storage.files import check_space, exclusive, new_digest, text_digest
from cnnlib.storage.parquet_file import Shape, rows_of, shape_of
from cnnlib.system.progress import Progress
from cnnlib.system.units import short

TABLE = "labels.csv"
_BRACES = re.compile(r"\{(\d+)\.\.(\d+)\}")
_MOST_SHARDS = 100_000
_LABELS = ("cls", "label", "json", "txt")


@dataclass(frozen=True)
class Packed:
    """One photograph on its way to the disk."""

    name: str  # of the file, with its suffix
    content: bytes
    label: str
    split: str = "train"


def unpacked(
    key: str, cache: Path, photos: Callable[[], Iterator[Packed]], *, said: str, size: int
) -> Path:
    """The table in a folder of the cache, written once, whole or not at all.

    `said` names the source in errors and on the bar; `size` is in bytes.
    """
    target = cache / "unpacked" / key
    with exclusive(target):
        if not target.is_dir():
            part = target.with_name(target.name + ".part")
            shutil.rmtree(part, ignore_errors=True)  # of an unpacking that was killed
            try:
                part.mkdir(parents=True)
                check_space(said, part, size)
                _write(part, photos(), said)
                os.rename(part, target)
            finally:
                shutil.rmtree(part, ignore_errors=True)
    return target / TABLE


def _write(folder: Path, photos: Iterator[Packed], said: str) -> None:
    names: set[str] = set()
    progress = Progress(f"unpacking {said}", None, "photo")
    with progress, open(folder / TABLE, "w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["path", "label", "split"])
        for photo in photos:
            name = f"{photo.split}/{photo.name}"
            if name in names:
                raise ValueError(f"{said}: two photographs are called {name}; rename one")
            names.add(name)
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(photo.content)
            table.writerow([name, photo.label, photo.split])
            progress.update()
    if not names:
        raise ValueError(f"{said} holds no photographs")


def key_of(files: Sequence[Path]) -> str:
    """What tells these files from others and from themselves, changed."""
    states = [os.stat(file) for file in files]
    said = [
        (os.path.abspath(f), s.st_size, s.st_mtime_ns) for f, s in zip(files, states, strict=True)
    ]
    return text_digest(repr(said))


# Parquet


def holds_images(path: Path) -> bool:
    """Whether a Parquet file has a column of encoded images, as Hugging Face writes them."""
    return shape_of(path).image is not None


def parquet_photos(files: Sequence[Path], label: str | None = None) -> Iterator[Packed]:
    """The photographs of Parquet files; the set is what begins a file's name, or its `split`."""
    for file in files:
        shape = shape_of(file)
        image = shape.image
        if image is None:
            raise ValueError(f"{shown(file)} has no column of images, as the others have")
        column = _label_column(file, shape, label)
        columns = [image, column, *({"split"} & {*shape.columns})]
        role = role_of(re.split(r"[-_.0-9]", file.name)[0]) or "train"
        names = shape.class_names.get(column)
        for number, row in enumerate(rows_of(file, columns)):
            yield _from_row(file, row, image, names, column, role, number)


def _from_row(
    file: Path,
    row: Mapping[str, Any],
    image: str,
    names: Sequence[str] | None,
    column: str,
    role: str,
    number: int,
) -> Packed:
    value, label = row[image], row[column]
    content = value.get("bytes") if isinstance(value, Mapping) else value
    if not content:
        raise ValueError(
            f"{shown(file)}: row {number} holds no image but the path of one; write the table with "
            "the images in it, or give the table of paths itself"
        )
    if names is not None and isinstance(label, int):
        if not 0 <= label < len(names):
            raise ValueError(f"{shown(file)}: row {number} has the label {label} of {len(names)}")
        label = names[label]
    said = row.get("split")
    split = role if said is None else role_of(str(said))
    if split is None:
        raise ValueError(f"{shown(file)}: row {number} is of {short(said)}; a set is train or test")
    name = f"{file.stem}-{number:07}{_suffix(content)}"
    return Packed(name, content, "" if label is None else str(label), split)


def _label_column(file: Path, shape: Shape, given: str | None) -> str:
    known = [given] if given else [*shape.class_names, *ROLES["label"]]
    found = next((name for name in known if name in shape.columns), None)
    if found is None:
        raise ValueError(
            f"{shown(file)}: which of its columns is the label? Say it by --columns label=NAME; "
            f"there are {', '.join(shape.columns)}"
        )
    return found


def _suffix(content: bytes) -> str:
    try:
        with Image.open(io.BytesIO(content)) as image:
            return {"JPEG": ".jpg", "PNG": ".png"}.get(
                image.format or "", f".{image.format}".lower()
            )
    except Exception:  # whatever is wrong with it, reading it will say by name
        return ".jpg"


# Tar shards


def shards(place: str) -> list[str]:
    """`photos-{000..099}.tar` one by one."""
    found = _BRACES.search(place)
    if not found:
        return [place]
    first, last = int(found[1]), int(found[2])
    if not 0 <= last - first < _MOST_SHARDS:
        raise ValueError(f"data: {place}: from {first} to {last} is no range of shards")
    each = (f"{number:0{len(found[1])}}" for number in range(first, last + 1))
    return [s for n in each for s in shards(place[: found.start()] + n + place[found.end() :])]


def shard_photos(files: Sequence[Path]) -> Iterator[Packed]:
    """The samples of tar shards: files whose names are one up to the first dot belong together.

    The label is that of `.cls`, `.json` (its label or cls) or `.txt`. The set is what begins a
    shard's name.
    """
    for file in files:
        role = role_of(re.split(r"[-_.0-9]", file.name)[0]) or "train"
        sample: dict[str, bytes] = {}
        key = None
        try:
            with tarfile.open(file) as archive:
                for member in archive:
                    if not member.isfile() or PurePosixPath(member.name).name.startswith("."):
                        continue
                    stem, suffix = _key(member.name)
                    if stem != key:
                        if key is not None:
                            yield _sample(file, key, sample, role)
                        key, sample = stem, {}
                    if suffix in sample:
                        raise ValueError(f"{shown(file)}: {member.name} stands in it twice")
                    reader = archive.extractfile(member)
                    sample[suffix] = reader.read() if reader else b""
        except (tarfile.TarError, EOFError, OSError) as error:
            raise ValueError(
                f"{shown(file)} is no whole tar file: {error}; copy it again"
            ) from error
        if key is not None:
            yield _sample(file, key, sample, role)


def _key(name: str) -> tuple[str, str]:
    """A sample's name and the suffix of one of its files, as WebDataset parts them."""
    folder, slash, base = name.rpartition("/")
    stem, _, suffix = base.partition(".")
    return f"{folder}{slash}{stem}", suffix.lower()


def _sample(file: Path, key: str, sample: Mapping[str, bytes], role: str) -> Packed:
    images = [suffix for suffix in sample if is_called_image(Path(f"x.{suffix}"))]
    if len(images) != 1:
        what = f"{len(images)} images ({listed(images)})" if images else "no image"
        raise ValueError(
            f"{shown(file)}: the sample {key} has {what}; names may hold one dot, before the suffix"
        )
    label = _label(file, key, sample)
    name = re.sub(r"[^\w.-]", "_", f"{file.stem}-{key}")
    return Packed(f"{name}.{images[0].rpartition('.')[2]}", sample[images[0]], label, role)


def _label(file: Path, key: str, sample: Mapping[str, bytes]) -> str:
    for suffix in _LABELS:
        if suffix in sample:
            try:
                text = sample[suffix].decode().strip()
                if suffix == "json":
                    said = json.loads(text)
                    text = str(next(said[n] for n in ("label", "cls", "class") if n in said))
            except (ValueError, TypeError, StopIteration):
                text = ""
            if text:
                return text
    raise ValueError(f"{shown(file)}: the sample {key} has no label, in .cls, .json or .txt")


# Objects


def is_dataset_object(data: object) -> bool:
    """Whether it is a data set of torch's or Hugging Face's kind, or a dictionary of such."""
    if isinstance(data, Mapping):
        return bool(data) and all(map(is_dataset_object, data.values()))
    return hasattr(data, "__getitem__") and hasattr(data, "__len__") and not isinstance(data, str)


def object_table(data: Any, cache: Path) -> Path:
    """The table of a data set object's photographs, in the cache.

    Items are (image, label) or dictionaries with an image and a label; an image is Pillow's, or an
    array or tensor of bytes, or of numbers from 0 to 1. A dictionary holds one data set a set, by
    the names train, test and val. Names of classes are the object's `classes` or `features`.
    """
    photos = list(_object_photos(data))
    digest = new_digest()
    for photo in photos:
        digest.update(f"{photo.split}/{photo.name}\0{photo.label}\0".encode())
        digest.update(photo.content)
    size = sum(len(photo.content) for photo in photos)
    key = digest.hexdigest()
    return unpacked(key, cache, lambda: iter(photos), said="the data set", size=size)


def _object_photos(data: Any) -> Iterator[Packed]:
    parts = data if isinstance(data, Mapping) else {"train": data}
    for said, part in parts.items():
        split = role_of(str(said))
        if split is None:
            raise ValueError(f"data: {short(said)} is no set; name them train, test and val")
        names = getattr(part, "classes", None)
        for number in range(len(part)):
            item = part[number]
            image, label, of_item = _parted(item, number)
            known = names or getattr(getattr(part, "features", {}).get(of_item), "names", None)
            if isinstance(label, int | np.integer) and known:
                label = known[int(label)]
            content = _encoded(image, number)
            yield Packed(f"{number:07}{_suffix(content)}", content, str(label), split)


def _parted(item: Any, number: int) -> tuple[Any, Any, str | None]:
    """Image, label and the label's name of one item."""
    if isinstance(item, Mapping):
        image = next((item[n] for n in ("image", "img", "pixel_values") if n in item), None)
        name = next((n for n in ("label", "labels", "class", "fine_label") if n in item), None)
        if image is not None and name is not None:
            return image, _number(item[name]), name
    elif isinstance(item, Sequence) and len(item) == 2:
        return item[0], _number(item[1]), None
    raise ValueError(f"data: item {number} of the data set is no image with a label")


def _number(label: Any) -> Any:
    return label.item() if hasattr(label, "item") else label


def _encoded(image: Any, number: int) -> bytes:
    """The bytes of an image's own file where it has one, else a PNG."""
    if not isinstance(image, Image.Image):
        image = Image.fromarray(_bytes_of(image, number))
    path = getattr(image, "filename", "")
    if path and os.path.isfile(path):
        return Path(path).read_bytes()
    file = io.BytesIO()
    image.save(file, "PNG", compress_level=1)
    return file.getvalue()


def _bytes_of(image: Any, number: int) -> np.ndarray:
    array = np.asarray(image)
    if array.ndim == 3 and array.shape[0] in (1, 3) and array.shape[2] not in (1, 3):
        array = array.transpose(1, 2, 0)  # as torch has it
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    if array.dtype == np.uint8:
        return np.ascontiguousarray(array)
    if array.ndim < 2 or array.dtype.kind != "f" or not (array.min() >= 0 and array.max() <= 1):
        raise ValueError(
            f"data: image {number} of the data set holds no bytes and no numbers from 0 to 1; give "
            "the data set without the transform that normalises"
        )
    return np.ascontiguousarray((array * 255).round().astype(np.uint8))
