import os
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cnnlib.photos import sample
from cnnlib.photos.sample import CLASSES, MARKER, write_sample
from tests.conftest import HANG

FEW = {"train": 2, "val": 1}


@pytest.fixture
def few_photos(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sample, "NUM_PHOTOS", FEW)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sample of 30 and 15 photos per class."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sample, "NUM_PHOTOS", {"train": 30, "val": 15})
        return write_sample(tmp_path_factory.mktemp("data") / "photos")


def _bytes(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.glob("*/*/*.jpg")}


def _features(folder: Path, split: str) -> tuple[np.ndarray, np.ndarray]:
    """A thumbnail and the spread of each colour per photo, (N, 51), and its class's number."""
    features, labels = [], []
    for label, name in enumerate(CLASSES):
        for path in sorted((folder / split / name).iterdir()):
            with Image.open(path) as photo:
                thumbnail = np.asarray(photo.resize((4, 4), Image.Resampling.BOX)).ravel()
                features.append(np.append(thumbnail, np.asarray(photo).std(axis=(0, 1))))
            labels.append(label)
    return np.array(features), np.array(labels)


def _nearest_mean_accuracy(train: np.ndarray, labels: np.ndarray, test: np.ndarray) -> float:
    means = np.stack([train[labels == label].mean(axis=0) for label in range(len(CLASSES))])
    distances = np.linalg.norm(test[:, None] - means, axis=2)
    num_each = len(test) // len(CLASSES)
    return float(np.mean(distances.argmin(axis=1) == np.repeat(range(len(CLASSES)), num_each)))


def test_each_class_has_its_photos_in_train_and_val(photos: Path) -> None:
    for split, num_photos in {"train": 30, "val": 15}.items():
        assert sorted(path.name for path in (photos / split).iterdir()) == sorted(CLASSES)
        for name in CLASSES:
            assert len(list((photos / split / name).glob("*.jpg"))) == num_photos
    assert len(CLASSES) == 10


def test_photos_are_colour_jpegs_of_varying_size(photos: Path) -> None:
    sizes = set()
    for path in photos.glob("*/*/*.jpg"):
        with Image.open(path) as photo:
            assert (photo.format, photo.mode) == ("JPEG", "RGB")
            sizes.add(photo.size)
    assert len(sizes) > 20
    assert {side for size in sizes for side in size} <= set(range(64, 77))


@pytest.mark.usefixtures("few_photos")
def test_same_seed_gives_the_same_bytes_and_another_seed_others(tmp_path: Path) -> None:
    first, again, other = (
        _bytes(write_sample(tmp_path / name, seed)) for name, seed in [("a", 5), ("b", 5), ("c", 6)]
    )
    assert first == again
    assert first.keys() == other.keys()
    assert not set(first.values()) & set(other.values())


@pytest.mark.usefixtures("few_photos")
def test_a_photo_does_not_depend_on_how_many_others_there_are(photos: Path, tmp_path: Path) -> None:
    few, many = _bytes(write_sample(tmp_path / "few")), _bytes(photos)
    assert few.items() < many.items()


def test_no_photo_appears_twice(photos: Path) -> None:
    contents = _bytes(photos)
    assert len(set(contents.values())) == len(contents)


def test_simple_colours_tell_something_of_the_class_but_far_from_all(photos: Path) -> None:
    train, labels = _features(photos, "train")
    test, _ = _features(photos, "val")
    assert 0.2 < _nearest_mean_accuracy(train, labels, test) < 0.6


def test_a_mirrored_photo_is_as_typical_of_its_class(photos: Path) -> None:
    train, labels = _features(photos, "train")
    test, _ = _features(photos, "val")
    thumbnails, spreads = test[:, :48].reshape(-1, 4, 4, 3), test[:, 48:]
    mirrored = np.concatenate([thumbnails[:, :, ::-1].reshape(-1, 48), spreads], axis=1)
    loss = _nearest_mean_accuracy(train, labels, test) - _nearest_mean_accuracy(
        train, labels, mirrored
    )
    assert abs(loss) < 0.1


@pytest.mark.usefixtures("few_photos")
def test_a_complete_sample_is_left_alone(tmp_path: Path) -> None:
    folder = write_sample(tmp_path / "photos")
    for path in folder.rglob("*"):
        os.utime(path, (1, 1))
    assert write_sample(folder) == folder
    assert {path.stat().st_mtime for path in folder.rglob("*")} == {1}


@pytest.mark.usefixtures("few_photos")
def test_an_empty_folder_is_filled(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    assert (write_sample(tmp_path / "photos") / MARKER).is_file()


@pytest.mark.usefixtures("few_photos")
def test_anything_else_in_the_folder_is_refused_and_kept(tmp_path: Path) -> None:
    (tmp_path / "holiday.jpg").write_bytes(b"mine")
    with pytest.raises(ValueError, match=r"exists and is not a sample \(no sample.json\)"):
        write_sample(tmp_path)
    with pytest.raises(ValueError, match="exists and is not a sample"):
        write_sample(tmp_path / "holiday.jpg")
    assert [path.name for path in tmp_path.iterdir()] == ["holiday.jpg"]
    assert (tmp_path / "holiday.jpg").read_bytes() == b"mine"


@pytest.mark.usefixtures("few_photos")
def test_a_sample_of_another_seed_or_version_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_sample(tmp_path / "photos", seed=1)
    with pytest.raises(ValueError, match=r'holds sample {"seed": 1, .*}, not {"seed": 2, '):
        write_sample(folder, seed=2)
    monkeypatch.setattr(sample, "VERSION", sample.VERSION + 1)
    with pytest.raises(ValueError, match="delete it or name another"):
        write_sample(folder, seed=1)


@pytest.mark.usefixtures("few_photos")
def test_a_sample_that_lost_photos_is_refused(tmp_path: Path) -> None:
    folder = write_sample(tmp_path / "photos")
    (folder / "train" / "Aves" / "0.jpg").unlink()
    with pytest.raises(ValueError, match="holds 29 of the sample's 30 photos; delete it"):
        write_sample(folder)


@pytest.mark.usefixtures("few_photos")
def test_interrupted_writing_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photo = sample._photo

    def photo_until_mollusca(rng: np.random.Generator, own: str) -> Image.Image:
        if own == "Mollusca":
            raise KeyboardInterrupt
        return photo(rng, own)

    monkeypatch.setattr(sample, "_photo", photo_until_mollusca)
    with pytest.raises(KeyboardInterrupt):
        write_sample(tmp_path / "photos")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("few_photos")
def test_the_folder_appears_only_when_it_is_complete(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photo, seen = sample._photo, []

    def photo_and_look(rng: np.random.Generator, own: str) -> Image.Image:
        seen.append((tmp_path / "photos").exists())
        return photo(rng, own)

    monkeypatch.setattr(sample, "_photo", photo_and_look)
    write_sample(tmp_path / "photos")
    assert len(seen) == 30
    assert not any(seen)


@pytest.mark.usefixtures("few_photos")
def test_two_writers_at_once_end_with_one_sample(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_photos, both_have_written = sample._write_photos, threading.Barrier(2, timeout=HANG)

    def write_and_wait(draft: Path, seed: int) -> None:
        write_photos(draft, seed)
        both_have_written.wait()

    monkeypatch.setattr(sample, "_write_photos", write_and_wait)
    written: list[Path] = []
    writers = [
        threading.Thread(target=lambda: written.append(write_sample(tmp_path / "photos")))
        for _ in range(2)
    ]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert written == [tmp_path / "photos"] * 2
    assert [path.name for path in tmp_path.iterdir()] == ["photos"]


@pytest.mark.usefixtures("few_photos")
def test_a_rename_that_fails_for_another_reason_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: Path, target: Path) -> None:
        raise PermissionError("read-only")

    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(PermissionError, match="read-only"):
        write_sample(tmp_path / "photos")
    assert list(tmp_path.iterdir()) == []
