"""Tests of cnnlib/photos/layout.py, through the data sets that are found."""

import shutil
from pathlib import Path

import pytest

from cnnlib.photos.dataset import read_folder
from cnnlib.photos.sources import find_dataset
from tests.photos.test_dataset import write_photo, write_split


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty folder `data` in the current one, and a cache of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CNNLIB_CACHE", str(tmp_path / "cache"))
    Path("data").mkdir()


@pytest.mark.parametrize(
    ("folders", "alike", "given"),
    [
        (("training_set/training_set", "test_set/test_set"), "test_set, data/training_set",
         "data/training_set/training_set"),
        (("seg_train/seg_train", "seg_test/seg_test"), "seg_test, data/seg_train",
         "data/seg_train/seg_train"),
        (("color", "grayscale", "segmented"), "color, data/grayscale, data/segmented",
         "data/color"),
        (("train/color", "train/grayscale"), "train/color, data/train/grayscale",
         "data/train/color"),
        (("amazon/images", "dslr/images", "webcam/images"), "amazon, data/dslr, data/webcam",
         "data/amazon/images"),
    ],
)  # fmt: skip
def test_one_folder_too_high_is_told_with_the_folder_to_give(
    folders: tuple[str, ...], alike: str, given: str
) -> None:
    for folder in folders:
        write_split(Path("data") / folder)
    if folders[0].startswith("seg"):
        write_photo(Path("data/seg_pred/seg_pred/1.jpg"))
    text = f"^data/{alike} hold no photographs of their own .*Aves, Fungi.* such as {given};"
    with pytest.raises(ValueError, match=text):
        find_dataset("data")
    assert find_dataset(given).classes == ("Aves", "Fungi")


@pytest.mark.parametrize("inside", ["2023 2024", "images", "indoors,outdoors"])
def test_classes_with_folders_inside_are_classes(inside: str) -> None:
    for number, name in enumerate(("Aves", "Fungi")):
        below = inside.split(",")[number : number + 1] if "," in inside else inside.split()
        for folder in below:
            for photo in range(2):
                write_photo(Path("data") / name / folder / f"{photo}.jpg")
    assert find_dataset("data").classes == ("Aves", "Fungi")


def test_folders_in_the_classes_of_a_test_are_no_classes() -> None:
    write_split(Path("data/train"))
    for name in ("Aves", "Fungi"):
        write_split(Path("data/test") / name, "easy hard")
    found = find_dataset("data")
    assert found.test is not None
    assert (found.classes, found.test.labels) == (("Aves", "Fungi"), (0, 0, 0, 0, 1, 1, 1, 1))


@pytest.mark.parametrize("inside", ["train/steam train/electric", "train"])
def test_a_train_among_other_vehicles_is_a_class(inside: str) -> None:
    for folder in ("bus", "car", *inside.split()):
        write_photo(Path("data") / folder / "0.jpg")
        write_photo(Path("data") / folder / "1.jpg")
    found = find_dataset("data")
    assert found.classes == ("bus", "car", "train")
    [note] = found.notes
    assert note.startswith("data/train is taken for a class, because beside it are more photo")
    assert note.endswith("give that folder itself")


@pytest.mark.parametrize("train", ["train", "Train", "TRAIN", "Training"])
@pytest.mark.parametrize(
    "test", ["test", "Test", "Testing", "val", "valid", "Validation", "dev", "VAL"]
)
def test_splits_are_known_in_any_spelling(train: str, test: str) -> None:
    write_split(Path("data") / train)
    write_split(Path("data") / test, num_photos=1)
    found = find_dataset("data")
    assert found.test is not None
    assert len(found.test.files) == 2
    assert found.notes == ()
    assert read_folder(Path("data") / train) == found


def test_what_is_left_out_beside_train_is_told() -> None:
    for name, photos in (("train", 2), ("test", 1), ("valid", 1), ("holdout", 1)):
        write_split(Path("data") / name, num_photos=photos)
    Path("data/labels.csv").write_text("a,b")
    assert find_dataset("data").notes == (
        "left out, because data/train is there: data/holdout",
        "data/valid is not used, because data/test is the test set",
    )


@pytest.mark.parametrize(
    ("place", "why"),
    [
        ("test/1.jpg", "it has no class folders"),
        ("test/test/1.jpg", "its one folder test is no class"),
        ("test/unknown/1.jpg", "its one folder unknown is no class"),
    ],
)
@pytest.mark.parametrize("train", ["train", "train/train"])
def test_a_test_folder_without_labels_is_told_and_left_out(
    place: str, why: str, train: str
) -> None:
    write_split(Path("data") / train)
    write_photo(Path("data") / place)
    for found in (
        find_dataset("data"),
        find_dataset("data/train"),
        read_folder(Path("data/train")),
    ):
        assert found.classes == ("Aves", "Fungi")
        assert found.test is None
        [note] = found.notes
        assert note == f"data/test is no test set: {why}"
    write_split(Path("data/val"), num_photos=1)
    found = find_dataset("data/train")
    assert found.test is not None
    assert found.test.files[0].parts[-3:] == ("val", "Aves", "0.jpg")


def test_wrapped_splits_are_unwrapped() -> None:
    write_split(Path("data/train/train"))
    write_split(Path("data/test/test"), num_photos=1)
    found = find_dataset("data")
    assert found.test is not None
    assert len(found.test.files) == 2


@pytest.mark.parametrize(("photos", "other"), [("images", "labels"), ("flowers", "docs")])
def test_the_one_folder_with_photographs_is_taken(photos: str, other: str) -> None:
    write_split(Path("data") / photos)
    Path("data", other).mkdir()
    Path("data", other, "1.txt").write_text("0 0.5 0.5 1 1")
    found = find_dataset("data")
    assert found.classes == ("Aves", "Fungi")
    assert found.notes == (f"left out, because they hold no photographs: data/{other}",)


def test_an_empty_class_folder_is_told_and_left_out() -> None:
    write_split(Path("data"))
    Path("data/Pisces").mkdir()
    found = find_dataset("data")
    assert found.classes == ("Aves", "Fungi")
    assert found.notes == ("left out of data, because without photographs: Pisces",)
    shutil.rmtree("data/Fungi")
    with pytest.raises(ValueError, match="only one class in data: Aves; a classifier needs"):
        find_dataset("data")


def test_a_class_that_begins_with_a_dot_is_told() -> None:
    write_split(Path("data"), "java rust .NET")
    write_photo(Path("data/.git/0.jpg"))
    found = find_dataset("data")
    assert found.classes == ("java", "rust")
    assert found.notes == ("left out of data, because of the dot: .NET; rename",)


def test_accents_of_both_spellings_are_the_same_class() -> None:
    mac, others = "cafe\u0301", "caf\u00e9"
    write_split(Path("data/train"), f"{mac} tea")
    write_split(Path("data/test"), f"{others} tea", num_photos=1)
    found = find_dataset("data")
    assert found.classes == (mac, "tea")
    assert found.test is not None
    assert found.test.labels == (0, 1)
    write_split(Path("data/train"), others)
    with pytest.raises(ValueError, match="data/train have names that look alike and differ in how"):
        find_dataset("data")


def test_a_folder_called_sample_is_told_and_read_by_its_path(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write_split(Path("sample/train"))
    monkeypatch.setattr(
        "cnnlib.photos.sample.write_sample", lambda folder: write_split(folder / "train", "a b")
    )
    found = find_dataset("sample")
    assert found.classes == ("a", "b")
    assert found.notes == ("sample is the generated data set; give ./sample for what is here",)
    for given in ("./sample", Path("sample"), Path("./sample")):
        assert find_dataset(given).classes == ("Aves", "Fungi")
