"""Tests of cnnlib/photos/digests.py, through the data sets that are found."""

import os
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from cnnlib.photos import digests
from cnnlib.photos.dataset import read_folder
from tests.photos.test_dataset import write_photo, write_split


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two classes of two photos, remembered however fresh they are."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CNNLIB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(digests, "FRESH", -1.0)
    values = np.arange(64, dtype=np.uint16).reshape(8, 8) * 60
    write_split(Path("data"))
    Image.fromarray(values).save("data/Aves/deep.png")
    Path("data/Aves/notes.txt").write_text("no photo")
    return Path("data")


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files that were read since the test began."""
    names: list[str] = []
    through = digests._read_through
    monkeypatch.setattr(
        digests, "_read_through", lambda path: (names.append(Path(path).name), through(path))[1]
    )
    return names


def test_an_unchanged_set_is_not_read_again(data: Path, read: list[str]) -> None:
    first = read_folder(data)
    assert sorted(read) == ["0.jpg", "0.jpg", "1.jpg", "1.jpg", "deep.png", "notes.txt"]
    read.clear()
    again = read_folder(data)
    assert again == first
    assert again.notes == first.notes
    assert again.levels.whole == 4095
    assert not read


def test_what_changed_is_read_again_though_size_and_time_are_put_back(
    data: Path, read: list[str]
) -> None:
    before = read_folder(data)
    path = data / "Aves" / "0.jpg"
    state = path.stat()
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    read.clear()
    assert read_folder(data).fingerprint != before.fingerprint
    assert read == ["0.jpg"]
    os.replace(data / "Fungi" / "0.jpg", path)
    write_photo(data / "Fungi" / "0.jpg")
    assert len(read_folder(data).train.files) == 5


def test_a_file_that_is_just_being_written_is_not_remembered(
    data: Path, read: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(digests, "FRESH", 3600.0)
    read_folder(data)
    read_folder(data)
    assert len(read) == 12


@pytest.mark.parametrize(
    "damage", ["", "no zip", "cut", "flipped", "fewer", "mistyped", "other", "lacking"]
)
def test_a_damaged_memory_is_forgotten(data: Path, read: list[str], damage: str) -> None:
    expected = read_folder(data)
    [memory] = Path("cache/digests").glob("*.npz")
    whole, said = memory.read_bytes(), dict(np.load(memory))
    memory.write_bytes({"cut": whole[:-9], "flipped": _flipped(whole)}.get(damage, damage.encode()))
    if damage == "fewer":
        np.savez(memory, **{**said, "facts": said["facts"][1:]})
    if damage == "mistyped":
        np.savez(memory, **{**said, "odd": '{"0": 5}'})
    if damage == "other":
        np.savez(memory, **{**said, "version": "of another Pillow"})
    if damage == "lacking":
        np.savez(memory, **{name: value for name, value in said.items() if name != "odd"})
    read.clear()
    assert read_folder(data) == expected
    assert len(read) == 6


def _flipped(content: bytes) -> bytes:
    """With another bit in what is said of the files."""
    place = content.index(b"Aves/0.jpg")
    return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]


def test_only_what_came_or_changed_is_read_where_others_went(data: Path, read: list[str]) -> None:
    read_folder(data)
    read.clear()
    (data / "Aves" / "notes.txt").unlink()
    (data / "Aves" / "1.jpg").rename(data / "Aves" / "9.jpg")
    write_photo(data / "Fungi" / "2.jpg")
    found = read_folder(data)
    assert sorted(read) == ["2.jpg", "9.jpg"]
    assert found.levels.whole == 4095
    assert [path.name for path in found.train.files] == [
        "0.jpg", "9.jpg", "deep.png", "0.jpg", "1.jpg", "2.jpg",
    ]  # fmt: skip


def test_reading_that_is_killed_goes_on_where_it_was(
    data: Path, read: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(digests, "SAVED", 0.0)
    monkeypatch.setattr(digests, "_AT_ONCE", 2)
    monkeypatch.setattr(digests, "_OF_A_THREAD", 1)
    through = digests._read_through

    def killed(path: str) -> tuple[bytes, bytes]:
        if path.endswith("Fungi/1.jpg"):
            raise KeyboardInterrupt
        return through(path)

    with monkeypatch.context() as patch:
        patch.setattr(digests, "_read_through", killed)
        with pytest.raises(KeyboardInterrupt):
            read_folder(data)
    assert len(read) == 5
    read.clear()
    found = read_folder(data)
    assert sorted(read) == ["0.jpg", "1.jpg"], "the last two, which were read together"
    assert len(found.train.files) == 5


def test_times_that_fit_no_number_are_read_each_time(
    data: Path, read: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    stat = os.stat
    late, changed = 2**64, os.stat(data / "Aves/0.jpg").st_ino

    def odd(path: object, **options: object) -> object:
        found = stat(path, **options)  # type: ignore[call-overload]
        if found.st_ino != changed:
            return found
        return SimpleNamespace(
            st_mode=found.st_mode, st_size=found.st_size, st_mtime_ns=late, st_ctime_ns=late,
            st_ino=late, st_dev=found.st_dev,
        )  # fmt: skip

    monkeypatch.setattr(os, "stat", odd)
    first = read_folder(data)
    read.clear()
    assert read_folder(data) == first
    assert read == ["0.jpg"]


@pytest.mark.parametrize("error", [RuntimeError, TypeError, KeyError])
def test_whatever_a_decoder_raises_is_its_photographs(
    data: Path, error: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise error("it failed")

    (data / "Aves" / "x.avif").write_bytes(b"\0\0\0\x18ftypavif\0\0\0\0")
    monkeypatch.setattr(Image, "open", fail)
    with pytest.raises(
        ValueError, match=r"^1 file in data cannot be read: Aves/x.avif \('?it fail"
    ):
        read_folder(data)


def test_a_broken_photograph_is_refused_again_by_memory(data: Path, read: list[str]) -> None:
    (data / "Aves" / "x.heic").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic")
    (data / "Aves" / "y.png").write_bytes(b"no photo")
    text = (
        r"^1 file in data cannot be read: Aves/x.heic \(HEIC, which cannot be read\); convert it "
        r"to JPEG or PNG; 1 file in data cannot be read: Aves/y.png \(not an image\); remove or "
    )
    for _ in range(2):
        with pytest.raises(ValueError, match=text):
            read_folder(data)
    assert len(read) == 8


def test_a_cache_that_cannot_be_written_is_no_fault(data: Path, read: list[str]) -> None:
    Path("cache").mkdir()
    Path("cache/digests").write_text("a file where a folder should be")
    read_folder(data)
    read_folder(data)
    assert len(read) == 12
