"""Where photos come from: the sample, a folder, a zip file, a URL or a bucket."""

import os
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from cnnlib.photos.dataset import Dataset, permissions_named, read_folder
from cnnlib.photos.download import download
from cnnlib.photos.layout import train_folder
from cnnlib.photos.zips import doubtful_names, unpack
from cnnlib.system.redaction import secrets_withheld
from cnnlib.system.surroundings import cache_folder

_SOURCES = "give sample, a folder, a .zip file, the http(s) URL of one, or s3://bucket/path"


@permissions_named()
@secrets_withheld()
def find_dataset(data: str | Path, *, cache: Path | None = None) -> Dataset:
    """The data set that `data` names: "sample", or a folder or zip file, here or at a URL.

    A folder's URL begins with s3:// or gs://, a zip file's may begin with http(s):// too.
    A folder holds `train/<class>/` and perhaps `test/` (or `val/`, the test set when there is no
    `test/`), or is such a `train` itself, or holds the class folders (no test set), or has a
    single sub-folder of photographs that does any of these. Zips are unpacked, URLs downloaded,
    once, to `cache`; what is in a bucket is looked at each time, and fetched again when it has
    changed.
    """
    source = str(data)
    if "\0" in source:
        raise ValueError(f"data: {source!r} holds a NUL, which no path can; {_SOURCES}")
    if data == "sample":  # a Path is a folder of that name
        return _sample(cache)
    if re.match("https?://", source, re.IGNORECASE):
        return _read_url(source, cache or cache_folder())
    if re.match("(s3|gs)://[^/]+/.", source):
        return _read_bucket(source, cache or cache_folder())
    path = Path(os.path.expanduser(source))
    if path.is_dir():
        return _read(path, cache)
    if path.is_file() and path.suffix.lower() == ".zip":
        return _read_zip(path, source, cache or cache_folder())
    if path.exists() or "://" in source:
        raise ValueError(f"data: {source} is neither a folder nor a zip file; {_SOURCES}")
    raise FileNotFoundError(f"data: {source} does not exist; {_SOURCES}")


def _sample(cache: Path | None) -> Dataset:
    from cnnlib.photos.sample import write_sample

    folder = (cache or cache_folder()) / "sample"
    write_sample(folder)
    found = read_folder(folder / "train", cache=cache)
    if not os.path.exists("sample"):
        return found
    return _noted(found, ["sample is the generated data set; give ./sample for what is here"])


def _read(folder: Path, cache: Path | None, notes: Sequence[str] = ()) -> Dataset:
    """The data set in a folder, whichever of its folders holds the classes."""
    chosen, lines = train_folder(folder)
    return _noted(read_folder(chosen, cache=cache), [*notes, *lines])


def _noted(dataset: Dataset, notes: Sequence[str]) -> Dataset:
    return replace(dataset, notes=(*notes, *dataset.notes))


def _read_url(url: str, cache: Path) -> Dataset:
    zip_path = download(url, cache=cache)
    try:
        unpack(zip_path, cache=cache)
    except ValueError as error:
        zip_path.unlink(missing_ok=True)  # else the broken download would be met for ever
        raise ValueError(f"{url}: {error}") from error
    return _read_zip(zip_path, url, cache)


def _read_bucket(url: str, cache: Path) -> Dataset:
    from cnnlib.storage.buckets import brought

    found = brought(url, cache)
    try:
        if found.is_file():
            return _read_zip(found, url, cache)
        return _read_unpacked(found, url, cache)
    except ValueError as error:
        raise ValueError(f"{url}: {str(error).removeprefix(f'{url}: ')}") from error


def _read_zip(zip_path: Path, source: str, cache: Path) -> Dataset:
    folder = unpack(zip_path, cache=cache)
    return _read_unpacked(folder, source, cache, doubtful_names(zip_path))


def _read_unpacked(folder: Path, source: str, cache: Path, notes: Sequence[str] = ()) -> Dataset:
    """The data set in a folder of the cache, whose name alone would tell the user nothing."""
    try:
        return _read(folder, cache, notes)
    except (ValueError, FileNotFoundError) as error:
        raise type(error)(f"{source}: {error}") from error
