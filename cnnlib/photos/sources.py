"""Where photos come from: the sample, a folder, a table, a zip file, shards, a URL or a bucket."""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from cnnlib.photos.dataset import Dataset, permissions_named, read_folder, read_listed
from cnnlib.photos.download import download
from cnnlib.photos.folders import listed, shown, subfolder_names
from cnnlib.photos.layout import role_of, train_folder
from cnnlib.photos.source_text import SourceText
from cnnlib.photos.table import SUFFIXES, Table, joined, labelled, read_rows
from cnnlib.photos.zips import doubtful_names, unpack
from cnnlib.system.redaction import secrets_withheld
from cnnlib.system.surroundings import cache_folder

_SOURCES = (
    "give sample, a folder, a table (.csv, .parquet, .jsonl), a .zip file, .tar shards, the "
    "http(s) URL of a zip file, or s3://bucket/path"
)
_METADATA = ("metadata.csv", "metadata.jsonl", "metadata.parquet")  # Hugging Face's image folder


@permissions_named()
@secrets_withheld()
def find_dataset(data: str | Path, *, cache: Path | None = None) -> Dataset:
    """The data set that `data` names: "sample", or a folder, table, zip file, shards or a URL.

    A folder's URL begins with s3:// or gs://, a zip file's may begin with http(s):// too.
    A folder holds `train/<class>/` and perhaps `test/` (or `val/`, the test set when there is no
    `test/`), or is such a `train` itself, or holds the class folders (no test set), or has a
    single sub-folder of photographs that does any of these; or it is one of Hugging Face's, with
    `metadata.csv` or `.jsonl` that has labels, or with Parquet files of photographs. A table lists
    paths and labels, see `table.read_rows`. Shards are WebDataset's, `photos-{000..099}.tar`.
    Behind a `#` may stand how it is read, see `SourceText`. Zips and the like are unpacked, URLs
    downloaded, once, to `cache`; what is in a bucket is looked at each time, and fetched again when
    it has changed.
    """
    source = SourceText.parse(data)
    if "\0" in source.place:
        raise ValueError(f"data: {source.place!r} holds a NUL, which no path can; {_SOURCES}")
    if data == "sample":  # a Path is a folder of that name
        return _sample(cache)
    return _Finding(source, cache).dataset()


class _Finding:
    """The finding of one data set."""

    def __init__(self, source: SourceText, cache: Path | None) -> None:
        self._source = source
        self._place = source.place
        self._given_cache = cache

    @property
    def _cache(self) -> Path:
        return self._given_cache or cache_folder()

    def dataset(self) -> Dataset:
        place = self._place
        if re.match("https?://", place, re.IGNORECASE):
            return self._of_url()
        if re.match("(s3|gs)://[^/]+/.", place):
            return self._of_bucket()
        path = Path(os.path.expanduser(place))
        if path.is_dir():
            return self._of_folder(path)
        if place.lower().endswith(".tar"):
            from cnnlib.photos.packed import shards

            return self._of_shards([Path(os.path.expanduser(shard)) for shard in shards(place)])
        if path.is_file():
            if path.suffix.lower() == ".zip":
                return self._of_zip(path, place)
            if path.suffix.lower() in SUFFIXES:
                return self._of_table(path)
        if path.exists() or "://" in place:
            raise ValueError(f"data: {place} is not what photographs are in; {_SOURCES}")
        raise FileNotFoundError(f"data: {place} does not exist; {_SOURCES}")

    def _of_table(self, path: Path) -> Dataset:
        if path.suffix.lower() == ".parquet":
            from cnnlib.photos.packed import holds_images

            if holds_images(path):
                return self._of_parquet([path])
        return self._read_table(path)

    def _read_table(self, path: Path, table: Table | None = None) -> Dataset:
        path = Path(os.path.abspath(path))
        table = table or read_rows(path, self._source.columns)
        least = self._source.min_per_class
        return read_listed(path, table, cache=self._given_cache, min_per_class=least)

    def _of_folder(self, folder: Path, notes: Sequence[str] = ()) -> Dataset:
        """The data set in a folder, whichever of its folders holds the classes."""
        if tables := self._described(Path(os.path.abspath(folder))):
            return _noted(self._read_described(folder, tables), notes)
        packed = sorted([*folder.glob("*.parquet"), *folder.glob("data/*.parquet")])
        if packed:
            from cnnlib.photos.packed import holds_images

            if all(map(holds_images, packed)):
                return _noted(self._of_parquet(packed), notes)
        if self._source.columns:
            raise ValueError(
                f"--columns: {shown(folder)} is a folder of classes and no table; give the table"
            )
        chosen, lines = train_folder(folder)
        least = self._source.min_per_class
        found = read_folder(chosen, cache=self._given_cache, min_per_class=least)
        return _noted(found, [*notes, *lines])

    def _described(self, folder: Path) -> dict[Path, Table]:
        """Hugging Face's tables of a folder, or of its sets, that name files and labels."""
        columns = self._source.columns
        sets = [folder / name for name in subfolder_names(folder) if role_of(name)]
        for places in ([folder], sets):
            there = [place / name for place in places for name in _METADATA]
            found = ((path, labelled(path, columns)) for path in there if path.is_file())
            if tables := {p: read_rows(p, columns, c) for p, c in found if c is not None}:
                return tables
        return {}

    def _read_described(self, folder: Path, tables: Mapping[Path, Table]) -> Dataset:
        """Hugging Face's image folder: a table beside the photographs, perhaps one a set."""
        if len(tables) == 1:
            [(path, table)] = tables.items()
            return self._read_table(path, table)
        parts = {str(role_of(path.parent.name)): table for path, table in tables.items()}
        if len(parts) != len(tables) or "None" in parts:
            told = listed([shown(path) for path in tables])
            raise ValueError(f"data: {told}: which of these tables? give one")
        return self._read_table(folder / next(iter(tables)).name, joined(parts, folder))

    def _of_parquet(self, files: Sequence[Path]) -> Dataset:
        from cnnlib.photos.packed import key_of, parquet_photos, unpacked

        label = self._source.columns.get("label")
        table = unpacked(
            f"{key_of(files)}-{label or ''}",
            self._cache,
            lambda: parquet_photos(files, label),
            said=shown(files[0]),
            size=sum(os.stat(file).st_size for file in files),
        )
        return self._unpacked_table(table)

    def _of_shards(self, files: Sequence[Path]) -> Dataset:
        from cnnlib.photos.packed import key_of, shard_photos, unpacked

        if missing := [str(file) for file in files if not file.is_file()]:
            raise FileNotFoundError(
                f"data: {len(missing):,} of {len(files):,} shards do not exist ({listed(missing)})"
            )
        table = unpacked(
            key_of(files),
            self._cache,
            lambda: shard_photos(files),
            said=shown(files[0]),
            size=sum(os.stat(file).st_size for file in files),
        )
        return self._unpacked_table(table)

    def _unpacked_table(self, table: Path) -> Dataset:
        rows = read_rows(table, {"path": "path", "label": "label", "split": "split"})
        return self._read_table(table, rows)

    def _of_url(self) -> Dataset:
        zip_path = download(self._place, cache=self._cache)
        try:
            unpack(zip_path, cache=self._cache)
        except ValueError as error:
            zip_path.unlink(missing_ok=True)  # else the broken download would be met for ever
            raise ValueError(f"{self._place}: {error}") from error
        return self._of_zip(zip_path, self._place)

    def _of_bucket(self) -> Dataset:
        from cnnlib.photos.packed import shards
        from cnnlib.storage.buckets import brought

        url = self._place
        if url.lower().endswith(".tar"):
            return self._of_shards([brought(shard, self._cache) for shard in shards(url)])
        found = brought(url, self._cache)
        try:
            if found.is_file():
                return self._of_zip(found, url)
            return self._unpacked(found, url)
        except ValueError as error:
            raise ValueError(f"{url}: {str(error).removeprefix(f'{url}: ')}") from error

    def _of_zip(self, zip_path: Path, said: str) -> Dataset:
        folder = unpack(zip_path, cache=self._cache)
        return self._unpacked(folder, said, doubtful_names(zip_path))

    def _unpacked(self, folder: Path, said: str, notes: Sequence[str] = ()) -> Dataset:
        """The data set in a folder of the cache, whose name alone would tell the user nothing."""
        try:
            return self._of_folder(folder, notes)
        except (ValueError, FileNotFoundError) as error:
            raise type(error)(f"{said}: {error}") from error


def _noted(dataset: Dataset, notes: Sequence[str]) -> Dataset:
    return replace(dataset, notes=(*notes, *dataset.notes))


def _sample(cache: Path | None) -> Dataset:
    from cnnlib.photos.sample import write_sample

    folder = (cache or cache_folder()) / "sample"
    write_sample(folder)
    found = read_folder(folder / "train", cache=cache)
    if not os.path.exists("sample"):
        return found
    return _noted(found, ["sample is the generated data set; give ./sample for what is here"])
