from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cnnlib.photos.dataset import Dataset
from cnnlib.photos.sources import find_dataset
from cnnlib.pixels.pixels import IN_STORAGE, has_pixels, pixels, send_pixels
from cnnlib.storage import traffic
from cnnlib.storage.training_files import StorageError
from cnnlib.training.on_machine import Source, photographs, trial_folder, wherever
from tests.conftest import write_photos


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder of this test alone: that of a machine which has nothing yet."""
    monkeypatch.setenv("CNNLIB_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def as_elsewhere(dataset: Dataset, folder: Path) -> Dataset:
    """A data set whose files are on another machine."""
    files = tuple(folder / str(number) for number in range(len(dataset.train.files)))
    return replace(dataset, train=replace(dataset.train, files=files))


def test_a_machine_without_the_photographs_finds_and_decodes_them_by_itself(
    photos: Path, tmp_path: Path
) -> None:
    there, said = find_dataset(photos), list[str]()
    assert photographs(there, None, said.append) is there
    assert not said
    gone = as_elsewhere(there, tmp_path)
    source = Source(str(photos), (8, 9))
    assert photographs(gone, source, said.append).train.files == there.train.files
    assert said == [f"finding and decoding {len(there.train.files)} photographs"]
    assert has_pixels(there, 8) and has_pixels(there, 9)
    photographs(gone, source, said.append)
    assert len(said) == 1, "the second trial waits for nothing"


def test_other_photographs_than_the_drivers_are_refused(photos: Path, tmp_path: Path) -> None:
    others = write_photos(tmp_path / "others", train=11)
    gone = as_elsewhere(find_dataset(photos), tmp_path)
    with pytest.raises(ValueError, match="others holds other photographs here than where"):
        photographs(gone, Source(str(others), (8,)), print)


def test_other_photographs_in_the_same_folder_are_refused(photos: Path, tmp_path: Path) -> None:
    there = find_dataset(photos)
    next((photos / "train").rglob("*.png")).unlink()
    with pytest.raises(ValueError, match="holds other photographs here than where"):
        photographs(there, Source(str(photos), (8,)), print)


def test_decoded_photographs_of_the_storage_need_no_files(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, disk: str
) -> None:
    there, url = find_dataset(photos), disk
    pixels(there, "train", 8)
    send_pixels(there, (8,), url)
    expected = np.array(pixels(there, "train", 8))
    traffic.since()
    send_pixels(there, (8,), url)
    assert traffic.since() == {}, "what is there is not sent again"
    monkeypatch.setenv("CNNLIB_CACHE", str(tmp_path / "another machine"))
    gone, said = as_elsewhere(there, tmp_path / "nowhere"), list[str]()
    found = photographs(gone, Source("nowhere", (8,), url), said.append)
    assert said == [f"fetching the decoded photographs from {url}"]
    assert traffic.since()["fetched"] > expected.nbytes
    assert np.array_equal(pixels(found, "train", 8), expected)


def test_a_damaged_array_of_the_storage_is_not_used(
    photos: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    disk: str,
) -> None:
    there, url = find_dataset(photos), disk
    expected = np.array(pixels(there, "train", 8))
    send_pixels(there, (8,), url)
    (array,) = (tmp_path / "there" / IN_STORAGE).glob("*.npy")
    content = bytearray(array.read_bytes())
    content[-1] ^= 1
    array.write_bytes(content)
    monkeypatch.setenv("CNNLIB_CACHE", str(tmp_path / "another machine"))
    said = list[str]()
    found = photographs(there, Source(str(photos), (8,), url), said.append)
    assert "is damaged; decoding here" in caplog.text
    assert len(said) == 2 and said[1].startswith("finding and decoding")
    assert np.array_equal(pixels(found, "train", 8), expected)


def test_data_are_named_so_that_others_find_them(
    photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(photos.parent)
    assert wherever("photos") == str(photos)
    assert wherever("sample") == "sample"
    assert wherever("https://example.com/photos.zip") == "https://example.com/photos.zip"


def test_a_trial_goes_on_where_another_machine_has_left_it(tmp_path: Path, disk: str) -> None:
    url = f"{disk}/checkpoints"
    with trial_folder(tmp_path / "nowhere" / "checkpoints", "0001", url) as (one, keep):
        assert not list(one.iterdir())
        (one / "last.pt").write_bytes(b"epoch 1")
        (one / "last.7.part").write_bytes(b"half")
        keep()
        (one / "last.pt").write_bytes(b"epoch 2!")
        keep()
    assert not one.exists(), "nothing stays on the machine"
    with trial_folder(tmp_path / "nowhere" / "checkpoints", "0001", url) as (two, _):
        assert {path.name: path.read_bytes() for path in two.iterdir()} == {"last.pt": b"epoch 2!"}


def test_a_folder_that_this_machine_does_not_see_is_named(tmp_path: Path) -> None:
    missing = tmp_path / "results" / "first"
    with (
        pytest.raises(StorageError, match=rf"there is no {missing} on .*; give --storage s3://"),
        trial_folder(missing / "checkpoints", "0001", None),
    ):
        pass
    missing.mkdir(parents=True)
    with trial_folder(missing / "checkpoints", "0001", None) as (folder, keep):
        assert folder == missing / "checkpoints" / "0001"
        keep()
