"""Where photos come from: the sample, a folder, a zip file, a URL or a bucket."""

import os
import re
from pathlib import Path

from cnnlib.dataset import Dataset, permissions_named, read_folder, subfolders
from cnnlib.download import download, unpack
from cnnlib.redaction import secrets_withheld
from cnnlib.surroundings import cache_folder

_SOURCES = "give sample, a folder, a .zip file, the http(s) URL of one, or s3://bucket/path"


@permissions_named()
@secrets_withheld()
def find_dataset(data: str | Path, *, cache: Path | None = None) -> Dataset:
    """The data set that `data` names: "sample", or a folder or zip file, here or at a URL.

    A folder's URL begins with s3:// or gs://, a zip file's may begin with http(s):// too.
    A folder holds `train/<class>/` and perhaps `test/` (or `val/`, the test set when there is no
    `test/`), or is such a `train` itself, or holds the class folders (no test set), or has a
    single sub-folder that does any of these. Zips are unpacked, URLs downloaded, once, to `cache`;
    what is in a bucket is looked at each time, and fetched again when it has changed.
    """
    source = str(data)
    if source == "sample":
        from cnnlib.sample import write_sample

        folder = (cache or cache_folder()) / "sample"
        write_sample(folder)
        return read_folder(folder / "train")
    if re.match("https?://", source, re.IGNORECASE):
        return _read_url(source, cache or cache_folder())
    if re.match("(s3|gs)://[^/]+/.", source):
        return _read_bucket(source, cache or cache_folder())
    path = Path(os.path.expanduser(source))
    if path.is_dir():
        return read_folder(_train_folder(path))
    if path.is_file() and path.suffix.lower() == ".zip":
        return _read_unpacked(unpack(path, cache=cache or cache_folder()), source)
    if path.exists() or "://" in source:
        raise ValueError(f"data: {source} is neither a folder nor a zip file; {_SOURCES}")
    raise FileNotFoundError(f"data: {source} does not exist; {_SOURCES}")


def _read_url(url: str, cache: Path) -> Dataset:
    zip_path = download(url, cache=cache)
    try:
        folder = unpack(zip_path, cache=cache)
    except ValueError as error:
        zip_path.unlink(missing_ok=True)  # else the broken download would be met for ever
        raise ValueError(f"{url}: {error}") from error
    return _read_unpacked(folder, url)


def _read_bucket(url: str, cache: Path) -> Dataset:
    from cnnlib.buckets import brought

    found = brought(url, cache)
    try:
        return _read_unpacked(unpack(found, cache=cache) if found.is_file() else found, url)
    except ValueError as error:
        raise ValueError(f"{url}: {str(error).removeprefix(f'{url}: ')}") from error


def _read_unpacked(folder: Path, source: str) -> Dataset:
    """The data set in a folder of the cache, whose name alone would tell the user nothing."""
    try:
        return read_folder(_train_folder(folder))
    except (ValueError, FileNotFoundError) as error:
        raise type(error)(f"{source}: {error}") from error


def _train_folder(folder: Path) -> Path:
    """The folder whose sub-folders should be the classes."""
    if (folder / "train").is_dir():
        return folder / "train"
    inside = subfolders(folder)
    wrapped = len(inside) == 1 and folder.name != "train" and subfolders(inside[0])
    return _train_folder(inside[0]) if wrapped else folder
