from dataclasses import replace
from pathlib import Path

import pytest
from conftest import write_photos

from cnnlib.dataset import find_dataset
from cnnlib.node import kept, photographs, wherever
from cnnlib.storage import StorageError


def test_a_machine_without_the_photographs_finds_them_by_itself(
    photos: Path, tmp_path: Path
) -> None:
    there = find_dataset(photos)
    assert photographs(there, None) is there
    assert photographs(there, str(photos)) is there
    gone = replace(there, train=replace(there.train, files=(tmp_path / "gone.png",)))
    assert photographs(gone, str(photos)).train.files == there.train.files


def test_other_photographs_than_the_drivers_are_refused(photos: Path, tmp_path: Path) -> None:
    others = write_photos(tmp_path / "others", train=11)
    dataset = find_dataset(photos)
    gone = replace(dataset, train=replace(dataset.train, files=(tmp_path / "gone.png",)))
    with pytest.raises(ValueError, match="others holds other photographs here than where"):
        photographs(gone, str(others))


def test_data_are_named_so_that_others_find_them(
    photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(photos.parent)
    assert wherever("photos") == str(photos)
    assert wherever("sample") == "sample"
    assert wherever("https://example.com/photos.zip") == "https://example.com/photos.zip"


def test_a_trial_goes_on_where_another_machine_has_left_it(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    url = f"file://{tmp_path}/there/checkpoints"
    with kept(tmp_path / "nowhere" / "checkpoints", "0001", url) as (one, keep):
        assert not list(one.iterdir())
        (one / "last.pt").write_bytes(b"epoch 1")
        (one / "last.7.part").write_bytes(b"half")
        keep()
        (one / "last.pt").write_bytes(b"epoch 2!")
        keep()
    assert not one.exists(), "nothing stays on the machine"
    with kept(tmp_path / "nowhere" / "checkpoints", "0001", url) as (two, _):
        assert {path.name: path.read_bytes() for path in two.iterdir()} == {"last.pt": b"epoch 2!"}


def test_a_folder_that_this_machine_does_not_see_is_named(tmp_path: Path) -> None:
    missing = tmp_path / "results" / "first"
    with (
        pytest.raises(StorageError, match=rf"there is no {missing} on .*; give --storage s3://"),
        kept(missing / "checkpoints", "0001", None),
    ):
        pass
    missing.mkdir(parents=True)
    with kept(missing / "checkpoints", "0001", None) as (folder, keep):
        assert folder == missing / "checkpoints" / "0001"
        keep()
