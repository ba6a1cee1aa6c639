"""Tests of cnnlib/photos/folders.py, through the data sets that are found."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from cnnlib.photos import dataset as module
from cnnlib.photos.dataset import read_folder
from tests.photos.test_dataset import write_photo, write_split


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """`data` in the current folder: two classes of two photos."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CNNLIB_CACHE", str(tmp_path / "cache"))
    return write_split(Path("data"))


def test_pipes_sockets_and_devices_are_told_and_never_opened(data: Path) -> None:
    expected = read_folder(data)
    os.mkfifo(data / "Aves" / "pipe.jpg")
    (data / "Aves" / "zero.jpg").symlink_to("/dev/zero")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(data / "Fungi" / "socket.jpg"))
        found = read_folder(data)
    assert found == expected
    [note] = found.notes
    assert note.startswith("files skipped, no regular files but pipes, sockets or devices: 3 (")


@pytest.mark.parametrize(
    ("link", "target", "shown"),
    [
        ("Aves/up", "..", "data/Aves/up is a link to "),
        ("Aves/here", ".", "data/Aves/here is a link to data/Aves, "),
        ("Aves/far", "../..", "data/Aves/far is a link to "),
        ("Aves/sub/again", "../old", "data/Aves/(sub/again|old) is a link to |sub/again is a li"),
        ("all", ".", "data/all is a link to data, "),
    ],
)
def test_a_link_that_leads_back_is_named(data: Path, link: str, target: str, shown: str) -> None:
    write_photo(data / "Aves" / "old" / "a.jpg")
    write_photo(data / "Aves" / "sub" / "b.jpg")
    (data / link).symlink_to(target)
    with pytest.raises(ValueError, match=f"{shown}.*; remove the link$") as caught:
        read_folder(data)
    assert len(str(caught.value)) < 300


def test_links_by_which_paths_would_double_end_at_once(data: Path) -> None:
    for name in "ab":
        (data / "Aves" / name).symlink_to(".")
    with pytest.raises(ValueError, match="is a link to data/Aves, which holds it or is read alrea"):
        read_folder(data)


def test_a_link_to_itself_is_a_link_to_nowhere(data: Path) -> None:
    (data / "Aves" / "self.jpg").symlink_to("self.jpg")
    with pytest.raises(ValueError, match=r"1 file in data cannot be read: Aves/self\.jpg"):
        read_folder(data)


def test_folders_may_lie_deep(data: Path) -> None:
    here = os.getcwd()
    try:
        os.chdir(data / "Aves")
        descend(["d"] * 1500)
        write_photo(Path("a.jpg"))
        os.chdir(here)
        assert len(read_folder(data).train.files) == 5
        os.chdir(data / "Aves" / Path(*["d"] * 1500))
        descend(["x" * 250] * 12)  # beyond the longest path that the kernel takes
        os.chdir(here)
        text = r"^folders in data/Aves lie too deep .*; move what they hold up$"
        with pytest.raises(ValueError, match=text):
            read_folder(data)
    finally:
        os.chdir(here)
        subprocess.run(["rm", "-rf", data / "Aves"], check=True)  # pytest would recurse


def descend(names: list[str]) -> None:
    for name in names:
        os.mkdir(name)
        os.chdir(name)


def test_python_in_ascii_is_told_from_a_bad_name(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "café.jpg".encode().decode("ascii", "surrogateescape")
    monkeypatch.setattr(sys, "getfilesystemencoding", lambda: "ascii")
    with pytest.raises(ValueError, match=r"for ascii here; set PYTHONUTF8=1$"):
        module._check_name(data, name)
