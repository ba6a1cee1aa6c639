"""Tests of cnnlib/photos/zips.py."""

import hashlib
import logging
import shutil
import struct
import threading
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from unittest.mock import Mock

import pytest

from cnnlib.photos.zips import doubtful_names, unpack
from tests.photos.test_download import PAYLOAD, fill_disk, leftovers, run_python


@pytest.fixture
def zip_path(tmp_path: Path) -> Path:
    """A zip of ten files, one compressed."""
    path = tmp_path / "photos.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(9):
            archive.writestr(f"photos/train/a/{number}.jpg", PAYLOAD[: 100 + number])
        archive.writestr("photos/readme.txt", "words " * 100, zipfile.ZIP_DEFLATED)
    return path


def test_a_zip_is_unpacked_once(
    zip_path: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    folder = unpack(zip_path, cache=tmp_path / "cache")
    assert len(list((folder / "photos" / "train" / "a").iterdir())) == 9
    assert (folder / "photos" / "readme.txt").read_text() == "words " * 100
    copied = shutil.copy(zip_path, tmp_path / "copy.zip")
    assert unpack(Path(copied), cache=tmp_path / "cache") == folder
    assert len(caplog.records) == 1


def test_a_zip_is_hashed_again_only_when_it_changed(
    zip_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = unpack(zip_path, cache=tmp_path)
    digest = Mock(wraps=hashlib.file_digest)
    monkeypatch.setattr(hashlib, "file_digest", digest)
    assert unpack(zip_path, cache=tmp_path) == first
    assert digest.call_count == 0
    with zipfile.ZipFile(zip_path, "a") as archive:
        archive.writestr("photos/new.txt", "new")
    assert unpack(zip_path, cache=tmp_path) != first
    assert digest.call_count == 1


@pytest.mark.parametrize(
    ("member", "offset"),
    [("photos/train/a/5.jpg", 5), ("photos/readme.txt", 5), ("photos/readme.txt", 0)],
)
def test_one_wrong_byte_in_a_zip_is_found(
    zip_path: Path, tmp_path: Path, member: str, offset: int
) -> None:
    with zipfile.ZipFile(zip_path) as archive:
        position = archive.getinfo(member).header_offset + 30 + len(member) + offset
    content = bytearray(zip_path.read_bytes())
    content[position] ^= 0xFF
    zip_path.write_bytes(content)
    text = "photos.zip is not a complete zip file: .*; download or copy it again$"
    with pytest.raises(ValueError, match=text):
        unpack(zip_path, cache=tmp_path)
    assert not [path for path in (tmp_path / "unpacked").iterdir() if path.is_dir()]


@pytest.mark.parametrize("keep", [0, 500, -30])
def test_a_cut_zip_is_refused(zip_path: Path, tmp_path: Path, keep: int) -> None:
    zip_path.write_bytes(zip_path.read_bytes()[:keep])
    with pytest.raises(ValueError, match="is not a complete zip file: File is not a zip file; dow"):
        unpack(zip_path, cache=tmp_path)


@pytest.mark.parametrize("name", ["../evil.txt", "/tmp/evil.txt", "a/../../evil.txt", "..\\evil"])
def test_a_zip_that_writes_outside_its_folder_is_refused(
    zip_path: Path, tmp_path: Path, name: str
) -> None:
    with zipfile.ZipFile(zip_path, "a") as archive:
        archive.writestr(name, "evil")
    with pytest.raises(ValueError, match=r"photos.zip wants to write outside its folder, .*evil"):
        unpack(zip_path, cache=tmp_path / "cache")
    assert not list((tmp_path / "cache").rglob("*.jpg"))


def test_a_zip_with_a_password_is_refused(zip_path: Path, tmp_path: Path) -> None:
    content = bytearray(zip_path.read_bytes())
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(mark) + offset] |= 1
    zip_path.write_bytes(content)
    with pytest.raises(
        ValueError, match=r"photos.zip cannot be unpacked: .*password.*; pack it ag"
    ):
        unpack(zip_path, cache=tmp_path)


def test_unpacking_needs_room(
    zip_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill_disk(monkeypatch)
    with pytest.raises(
        OSError, match=r"photos.zip needs 0.0 MB and .*unpacked has 0.0 MB free; ma"
    ):
        unpack(zip_path, cache=tmp_path)


def test_a_killed_unpacking_leaves_nothing_that_counts(zip_path: Path, tmp_path: Path) -> None:
    script = (
        "import os, pathlib, sys, zipfile; from cnnlib.photos.zips import unpack\n"
        "extract = zipfile.ZipFile.extract\n"
        "def die(self, entry, folder):\n"
        "    extract(self, entry, folder)\n"
        "    os.kill(os.getpid(), 9)\n"
        "zipfile.ZipFile.extract = die\n"
        "unpack(pathlib.Path(sys.argv[1]), cache=pathlib.Path(sys.argv[2]))\n"
    )
    cache = tmp_path / "cache"
    assert run_python(script, zip_path, cache).returncode == -9
    (left,) = (cache / "unpacked").glob("*.part")
    assert [path.name for path in left.rglob("*.jpg")] == ["0.jpg"]
    (left / "stray.jpg").touch()
    folder = unpack(zip_path, cache=cache)
    assert sorted(path.name for path in folder.rglob("*.jpg")) == [f"{n}.jpg" for n in range(9)]
    assert not leftovers(cache)


def test_two_at_once_unpack_once(
    zip_path: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    together = threading.Barrier(4)

    def start(_: int) -> Path:
        together.wait()
        return unpack(zip_path, cache=tmp_path / "cache")

    with ThreadPoolExecutor(4) as pool:
        folders = set(pool.map(start, range(4)))
    assert len(folders) == 1
    assert len(caplog.records) == 1
    assert len(list(folders.pop().rglob("*.jpg"))) == 9


def write_raw_names(path: Path, *names: bytes, says_utf8: bool = False) -> Path:
    """A zip whose entries have these bytes for names, whatever they mean."""
    with zipfile.ZipFile(path, "w") as archive:
        for number, name in enumerate(names):
            archive.writestr(f"{number}".rjust(len(name), "x"), b"photo")
    content = bytearray(path.read_bytes())
    for number, name in enumerate(names):
        content[:] = content.replace(f"{number}".rjust(len(name), "x").encode(), name)
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        start = -1
        while says_utf8 and (start := content.find(mark, start + 1)) >= 0:
            flags = struct.unpack_from("<H", content, start + offset)[0]
            struct.pack_into("<H", content, start + offset, flags | 0x800)
    path.write_bytes(content)
    return path


def unpacked_names(path: Path, cache: Path) -> list[str]:
    folder = unpack(path, cache=cache)
    return sorted(f.relative_to(folder).as_posix() for f in folder.rglob("*") if f.is_file())


def test_backslashes_are_slashes_where_there_are_no_others(tmp_path: Path) -> None:
    path = write_raw_names(tmp_path / "a.zip", b"train\\cat\\1.jpg", b"train\\dog\\2.jpg")
    assert unpacked_names(path, tmp_path) == ["train/cat/1.jpg", "train/dog/2.jpg"]
    mixed = write_raw_names(tmp_path / "b.zip", b"train/cat/a\\b.jpg")
    assert unpacked_names(mixed, tmp_path) == ["train/cat/a\\b.jpg"]


def test_names_in_utf_8_are_read_though_the_zip_does_not_say_so(tmp_path: Path) -> None:
    path = write_raw_names(tmp_path / "a.zip", "café/1.jpg".encode())
    assert unpacked_names(path, tmp_path) == ["café/1.jpg"]
    assert "does not say how they are encoded: café; if they are wrong" in doubtful_names(path)[0]
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as archive:
        archive.writestr("café/1.jpg", "photo")
    assert doubtful_names(tmp_path / "b.zip") == []


def test_names_of_an_unknown_encoding_are_told(tmp_path: Path) -> None:
    path = write_raw_names(tmp_path / "old.zip", "猫/1.jpg".encode("gbk"), "狗/1.jpg".encode("gbk"))
    assert unpacked_names(path, tmp_path) == ["├¿/1.jpg", "╣╖/1.jpg"]
    [line] = doubtful_names(path)
    assert line.startswith("names in old.zip may be misread")
    assert "├¿" in line


def test_a_name_that_is_no_utf_8_though_it_says_so_names_the_zip(tmp_path: Path) -> None:
    path = write_raw_names(tmp_path / "a.zip", b"caf\xe9/1.jpg", says_utf8=True)
    with pytest.raises(ValueError, match=r"a.zip holds a name that is not UTF-8 though it says so"):
        unpack(path, cache=tmp_path)


@pytest.mark.parametrize("names", [("a", "a/b"), ("a/b", "a/b/c/d"), ("a/b", "a")])
def test_a_file_where_a_folder_must_be_is_named(tmp_path: Path, names: tuple[str, ...]) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(name, "content")
    text = f"a.zip holds a file where another name needs a folder: {names[1]}; pack it again$"
    with pytest.raises(ValueError, match=text):
        unpack(path, cache=tmp_path)


@pytest.mark.parametrize(
    "method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA, zipfile.ZIP_STORED]
)
def test_damage_of_each_compression_names_zip_and_file(tmp_path: Path, method: int) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr("cat/1.jpg", PAYLOAD[:5000])
    content = bytearray(path.read_bytes())
    for place in range(60, 4000, 7):
        content[place] ^= 0x55
    path.write_bytes(content)
    text = "a.zip is not a complete zip file: cat/1.jpg: .*; download or copy it again$"
    with pytest.raises(ValueError, match=text):
        unpack(path, cache=tmp_path / "cache")
    assert not leftovers(tmp_path / "cache")
