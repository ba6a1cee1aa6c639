"""Tests of cnnlib/photos/dataset.py."""

import os
import random
import re
import shutil
import sys
import types
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from PIL import Image

from cnnlib.photos import dataset, digests, sources
from cnnlib.photos.dataset import read_folder
from cnnlib.photos.sources import find_dataset

NATURE_MINI = Path(__file__).parents[3] / "shared" / "data" / "nature_mini.zip"


def write_photo(path: Path, form: str = "JPEG") -> None:
    """A tiny picture of its own, in the form asked for whatever the suffix says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    colour = random.Random(str(path)).randbytes(3)
    Image.new("RGB", (3, 2), tuple(colour)).save(path, format=form)


def write_split(folder: Path, classes: str = "Aves Fungi", num_photos: int = 2) -> Path:
    for name in classes.split():
        for number in range(num_photos):
            write_photo(folder / name / f"{number}.jpg")
    return folder


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """`photos` in the current folder: two classes of two photos, one test photo of each."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CNNLIB_CACHE", str(tmp_path / "cache"))
    write_split(tmp_path / "photos" / "train")
    write_split(tmp_path / "photos" / "val", num_photos=1)
    return tmp_path / "photos"


def zip_folder(folder: Path, target: Path) -> Path:
    """A zip of `folder`, with its name on top."""
    return Path(shutil.make_archive(str(target.with_suffix("")), "zip", folder.parent, folder.name))


def names(split: dataset.Split) -> list[str]:
    return ["/".join(path.parts[-2:]) for path in split.files]


def test_files_and_labels_are_sorted_by_class_and_name_on_every_machine(
    photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_split(photos / "train", "Aves-2")  # sorts before "Aves/" as text, after it as a class
    write_photo(photos / "train" / "Aves" / "10.jpg")
    listed, scanned = os.listdir, os.scandir

    @contextmanager
    def backwards(path: Path) -> Iterator[Iterator[os.DirEntry[str]]]:
        with scanned(path) as entries:
            yield iter(sorted(entries, key=lambda entry: entry.name, reverse=True))

    monkeypatch.setattr(os, "listdir", lambda path: sorted(listed(path), reverse=True))
    monkeypatch.setattr(os, "scandir", backwards)
    found = find_dataset("photos")
    assert found.classes == ("Aves", "Aves-2", "Fungi")
    assert names(found.train) == [
        "Aves/0.jpg", "Aves/1.jpg", "Aves/10.jpg", "Aves-2/0.jpg", "Aves-2/1.jpg",
        "Fungi/0.jpg", "Fungi/1.jpg",
    ]  # fmt: skip
    assert found.train.labels == (0, 0, 0, 1, 1, 2, 2)
    assert found.test is not None
    assert names(found.test) == ["Aves/0.jpg", "Fungi/0.jpg"]
    assert found.test.labels == (0, 2)


def test_paths_are_absolute_because_workers_run_in_other_folders(photos: Path) -> None:
    found = find_dataset("photos")
    assert found.train_dir == photos / "train"
    assert all(path.is_absolute() for path in found.train.files)


@pytest.mark.parametrize("given", ["photos", "photos/train", "wrapped", "./photos/../photos"])
def test_each_layout_with_a_train_folder_gives_the_same_data_set(photos: Path, given: str) -> None:
    expected = find_dataset(photos)
    shutil.copytree(photos, photos.parent / "wrapped" / "inaturalist_12K")
    (photos.parent / "wrapped" / "__MACOSX").mkdir()
    (photos.parent / "wrapped" / ".git").mkdir()
    found = find_dataset(given)
    assert found.fingerprint == expected.fingerprint
    assert found.classes == expected.classes
    assert found.test is not None
    assert len(found.test.files) == 2


def test_reading_the_train_folder_finds_the_test_set_beside_it(photos: Path) -> None:
    assert read_folder(Path("photos/train")) == find_dataset("photos")


def test_class_folders_alone_have_no_test_set(photos: Path) -> None:
    write_split(photos.parent / "test", num_photos=1)  # beside, but of other data
    shutil.copytree(photos / "train", photos.parent / "flat")
    found = find_dataset("flat")
    assert found.test is None
    assert found == read_folder(found.train_dir)


def test_wrapped_class_folders_are_found(photos: Path) -> None:
    shutil.copytree(photos / "train", photos.parent / "outer" / "flat")
    assert find_dataset("outer").classes == ("Aves", "Fungi")


def test_the_folder_test_goes_before_the_folder_val(photos: Path) -> None:
    write_split(photos / "test", num_photos=3)
    found = find_dataset("photos").test
    assert found is not None
    assert len(found.files) == 6


def test_photos_in_sub_folders_and_behind_links_belong_to_their_class(photos: Path) -> None:
    write_photo(photos / "train" / "Aves" / "2020" / "may" / "a.jpg")
    write_photo(photos.parent / "elsewhere" / "b.jpg")
    (photos / "train" / "Fungi" / "more").symlink_to(photos.parent / "elsewhere")
    found = find_dataset("photos").train
    assert names(found) == [
        "Aves/0.jpg", "Aves/1.jpg", "may/a.jpg", "Fungi/0.jpg", "Fungi/1.jpg", "more/b.jpg"
    ]  # fmt: skip
    assert found.labels == (0, 0, 0, 1, 1, 1)


def test_clutter_is_ignored_in_silence(photos: Path) -> None:
    expected = find_dataset("photos")
    aves = photos / "train" / "Aves"
    for name in (".DS_Store", "._0.jpg", "Thumbs.db", "desktop.ini", "ehthumbs.db", "Icon\r"):
        (aves / name).write_bytes(b"clutter")
    write_photo(aves / ".ipynb_checkpoints" / "0.jpg")
    write_photo(photos / "train" / "__MACOSX" / "a.jpg")
    write_photo(photos / "train" / ".trash" / "a.jpg")
    write_photo(aves / "@eaDir" / "0.jpg" / "SYNOPHOTO_THUMB_M.jpg")
    for name in ("@eaDir", "#recycle", "$RECYCLE.BIN", "System Volume Information", "lost+found"):
        write_photo(photos / "train" / name / "a.jpg")
    (photos / "train" / "labels.csv").write_text("beside the class folders")
    assert find_dataset("photos") == expected
    assert find_dataset("photos").notes == ()


@pytest.mark.parametrize("form", ["JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF", "PPM"])
@pytest.mark.parametrize("name", ["photo", "photo.txt", "photo.png"])
def test_content_and_not_the_suffix_makes_an_image(photos: Path, form: str, name: str) -> None:
    write_photo(photos / "train" / "Aves" / name, form)
    assert len(find_dataset("photos").train.files) == 5


@pytest.mark.parametrize(
    "content", [b"not a photo", b"", b"BMW in the woods", b"\x89HDF\r\n\x1a\n" + b"\0" * 20]
)
def test_a_file_that_only_claims_to_be_an_image_is_an_error(photos: Path, content: bytes) -> None:
    (photos / "train" / "Aves" / "notes.JPG").write_bytes(content)
    text = "^1 file in photos/train cannot be read: Aves/notes.JPG .*; (remove or repai|conver)"
    with pytest.raises(ValueError, match=text):
        find_dataset("photos")


def test_broken_images_are_counted_and_three_are_named(photos: Path) -> None:
    for number in range(4):
        (photos / "val" / "Aves" / f"x{number}.png").write_text("x")
    (photos / "val" / "Fungi" / "gone.jpg").symlink_to("nowhere.jpg")
    text = (
        r"^5 files in photos/val cannot be read: Aves/x0.png \(not an image\), Aves/x1.png .*, "
        r"Aves/x2.png .* and 2 more; remove or repair them; all of them are listed in (\S+)$"
    )
    with pytest.raises(ValueError, match=text) as caught:
        find_dataset("photos")
    match = re.match(text, str(caught.value))
    assert match
    lines = Path(match[1]).read_text().splitlines()
    assert len(lines) == 5
    assert lines[4] == "Fungi/gone.jpg: a link to nowhere; remove or repair it"


def test_other_files_are_skipped_with_one_note(photos: Path) -> None:
    expected = find_dataset("photos")
    for split in ("train", "val"):
        (photos / split / "Aves" / "readme.txt").write_text("about birds")
    assert find_dataset("photos") == expected
    assert find_dataset("photos").notes == (
        "files skipped, not images: 2 (Aves/readme.txt, Aves/readme.txt)",
    )


@pytest.mark.parametrize(
    ("given", "error", "text"),
    [
        ("nowhere", FileNotFoundError, "^data: nowhere does not exist; give sample, a folder, a "),
        ("s3://photos", ValueError, "^data: s3://photos is not what photographs are in; give"),
        ("notes.txt", ValueError, "^data: notes.txt is not what photographs are in; give"),
        ("empty", FileNotFoundError, "^no class folders in empty; expected empty/train/<class>/"),
        ("none", FileNotFoundError, r"^no class folders in none/train; expected none/train/<clas"),
        ("tested", FileNotFoundError, "^no class folders in tested, only Test, val; expected "),
        ("one", ValueError, "^only one class in one/train: Aves; a classifier needs at least 2"),
    ],
)
def test_data_without_classes_are_refused_in_one_line(
    photos: Path, given: str, error: type[Exception], text: str
) -> None:
    (photos.parent / "notes.txt").write_text("no zip")
    (photos.parent / "empty").mkdir()
    (photos.parent / "none" / "train").mkdir(parents=True)
    write_split(photos.parent / "tested" / "val")
    write_split(photos.parent / "tested" / "Test")
    write_split(photos.parent / "one" / "train", "Aves")
    with pytest.raises(error, match=text) as caught:
        find_dataset(given)
    assert "\n" not in str(caught.value)


def test_a_missing_train_folder_is_named() -> None:
    with pytest.raises(FileNotFoundError, match=r"^no folder /no/train; give one that hold"):
        read_folder(Path("/no/train"))


def test_every_class_needs_two_photos(photos: Path) -> None:
    (photos / "train" / "Empty").mkdir()
    write_split(photos / "train", "Single", num_photos=1)
    (photos / "train" / "Single" / "readme.txt").write_text("no photo")
    text = (
        r"^classes with fewer than 2 photos in photos/train: Single \(1\); "
        "add photos, or leave them out by --min-per-class 2$"
    )
    with pytest.raises(ValueError, match=text):
        find_dataset("photos")


def test_test_classes_must_be_train_classes(photos: Path) -> None:
    write_split(photos / "val", "Pisces")
    text = "^classes in photos/val that the train folder lacks: Pisces; rename or remove them$"
    with pytest.raises(ValueError, match=text):
        find_dataset("photos")


def test_a_class_without_test_photos_is_a_note(photos: Path) -> None:
    shutil.rmtree(photos / "val" / "Aves")
    assert find_dataset("photos").test == dataset.Split((photos / "val/Fungi/0.jpg",), (1,))
    assert find_dataset("photos").notes == ("classes without a photo in photos/val: Aves",)


def test_a_photo_that_is_in_both_train_and_test_is_a_note(photos: Path) -> None:
    shutil.copy(photos / "train" / "Aves" / "1.jpg", photos / "val" / "Fungi" / "copy.jpg")
    assert find_dataset("photos").notes == (
        "photos in photos/val that the train folder holds too, so the test flatters: "
        "1 (Fungi/copy.jpg)",
    )


@pytest.mark.parametrize("secret", ["train", "train/Aves", "train/Aves/0.jpg"])
def test_what_may_not_be_read_is_named(
    photos: Path, secret: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if os.geteuid() == 0:
        refuse_root(photos / secret, monkeypatch)
    else:
        (photos / secret).chmod(0)
    with pytest.raises(PermissionError, match=f"^{photos / secret} cannot be read: .*; give"):
        find_dataset("photos")
    monkeypatch.undo()
    (photos / secret).chmod(0o755)


def refuse_root(secret: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel refuses root nothing, so refuse in its place."""

    def checked(path: str | Path) -> str | Path:
        if Path(path) == secret:
            raise PermissionError(13, "Permission denied", str(path))
        return path

    scanned, opened, read = os.scandir, os.open, digests._read_through
    monkeypatch.setattr(os, "scandir", lambda path: scanned(checked(path)))
    monkeypatch.setattr(os, "open", lambda path, *given: opened(checked(path), *given))
    monkeypatch.setattr(digests, "_read_through", lambda path: read(checked(path)))


def test_the_fingerprint_is_the_same_wherever_the_photos_lie(photos: Path) -> None:
    expected = find_dataset("photos").fingerprint
    zip_path = zip_folder(photos, photos.parent / "some.zip")
    assert find_dataset(zip_path).fingerprint == expected
    moved = photos.rename(photos.with_name("moved"))
    (moved / "val").rename(moved / "test")
    assert find_dataset("moved").fingerprint == expected
    assert re.fullmatch("[0-9a-f]{32}", expected)


def change(folder: Path) -> None:
    write_photo(folder / "Aves" / "0.jpg", "PNG")


def add(folder: Path) -> None:
    write_photo(folder / "Aves" / "more.jpg")


def remove(folder: Path) -> None:
    (folder / "Aves" / "2.jpg").unlink()


def rename(folder: Path) -> None:
    (folder / "Aves" / "2.jpg").rename(folder / "Aves" / "3.jpg")


def swap(folder: Path) -> None:
    (folder / "Aves" / "0.jpg").rename(folder / "hold")
    (folder / "Aves" / "1.jpg").rename(folder / "Aves" / "0.jpg")
    (folder / "hold").rename(folder / "Aves" / "1.jpg")


def move(folder: Path) -> None:
    (folder / "Aves" / "2.jpg").rename(folder / "Fungi" / "3.jpg")


@pytest.mark.parametrize("edit", [change, add, remove, rename, swap, move])
@pytest.mark.parametrize("split", ["train", "val"])
def test_the_fingerprint_changes_with_the_photos(photos: Path, edit: object, split: str) -> None:
    write_split(photos / split, num_photos=3)
    before = find_dataset("photos").fingerprint
    assert callable(edit)
    edit(photos / split)
    assert find_dataset("photos").fingerprint != before


@pytest.mark.parametrize("target", ["train/Fungi", "val/Fungi"])
def test_the_fingerprint_knows_class_and_split_of_a_photo(photos: Path, target: str) -> None:
    last = {"train/Fungi": "train/Aves", "val/Fungi": "train/Fungi"}[target]
    shutil.rmtree(photos / "val" / "Aves")
    for folder, names_there in ((last, "a b c"), (target, "d e")):
        shutil.rmtree(photos / folder)
        for name in names_there.split():
            write_photo(photos / folder / f"{name}.jpg")
    before = find_dataset("photos").fingerprint
    (photos / last / "c.jpg").rename(photos / target / "c.jpg")  # the same sequence of photos
    assert find_dataset("photos").fingerprint != before


def test_a_zip_is_read_like_the_folder_in_it(photos: Path) -> None:
    expected = find_dataset("photos")
    found = find_dataset(str(zip_folder(photos, photos.parent / "some.zip")))
    assert found.train_dir.is_relative_to(photos.parent / "cache" / "unpacked")
    assert (found.classes, found.train.labels) == (expected.classes, expected.train.labels)


def test_the_cache_given_is_the_one_used(photos: Path) -> None:
    cache = photos.parent / "other"
    found = find_dataset(zip_folder(photos, photos.parent / "some.zip"), cache=cache)
    assert found.train_dir.is_relative_to(cache)
    assert not (photos.parent / "cache").exists()


def test_names_in_a_zip_that_may_be_misread_are_told(
    photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = Path(shutil.make_archive(str(photos), "zip", photos))
    monkeypatch.setattr(sources, "doubtful_names", lambda zip_path: [f"{zip_path.name} is odd"])
    assert find_dataset(path, cache=photos.parent / "cache").notes[0] == f"{path.name} is odd"


def test_an_error_in_a_zip_names_the_zip(photos: Path) -> None:
    (photos / "train" / "Aves" / "bad.jpg").write_text("no photo")
    zip_folder(photos, photos.parent / "some.zip")
    with pytest.raises(ValueError, match=r"^some.zip: 1 file in cache/unpacked/.* cannot be rea"):
        find_dataset("some.zip")


def test_an_empty_zip_is_named(tmp_path: Path) -> None:
    zipfile.ZipFile(tmp_path / "empty.zip", "w").close()
    with pytest.raises(FileNotFoundError, match=r"^\S+/empty.zip: no class folders in "):
        find_dataset(tmp_path / "empty.zip", cache=tmp_path / "cache")


def test_a_name_that_is_not_utf_8_is_refused_before_anything_starts(photos: Path) -> None:
    file = next((photos / "train").rglob("*.*"))
    os.rename(file, os.fsencode(file.parent) + b"/caf\xe9.jpg")
    with pytest.raises(ValueError, match=r"/caf\ufffd.jpg: its name is not UTF-8; rename it$"):
        find_dataset(photos)


def test_a_home_that_nobody_has_does_not_exist() -> None:
    with pytest.raises(FileNotFoundError, match="data: ~nobody-here/photos does not exist"):
        find_dataset("~nobody-here/photos")


def test_a_folder_needs_no_cache(photos: Path) -> None:
    (photos.parent / "cache").write_text("a file, where no folder can be made")
    assert find_dataset("photos").classes == ("Aves", "Fungi")


def test_a_url_is_downloaded_and_unpacked(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = find_dataset("photos").fingerprint
    zip_path = zip_folder(photos, photos.parent / "some.zip")
    monkeypatch.setattr(sources, "download", lambda url, *, cache: zip_path)
    assert find_dataset("https://example.org/some.zip").fingerprint == expected
    assert zip_path.exists()


def test_a_download_that_is_no_zip_is_not_kept(
    photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = photos.parent / "page.zip"
    page.write_text("<html>please log in</html>")
    monkeypatch.setattr(sources, "download", lambda url, *, cache: page)
    with pytest.raises(ValueError, match=r"^HTTPS://example.org/x: .* is not a complete zip"):
        find_dataset("HTTPS://example.org/x")
    assert not page.exists()


def test_the_sample_is_written_to_the_cache(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sample = types.ModuleType("cnnlib.photos.sample")
    sample.write_sample = lambda folder: shutil.copytree(photos, folder)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "cnnlib.photos.sample", sample)
    found = find_dataset("sample")
    assert found.train_dir == photos.parent / "cache" / "sample" / "train"
    assert found.fingerprint == find_dataset("photos").fingerprint


@pytest.mark.skipif(not NATURE_MINI.exists(), reason=f"no {NATURE_MINI} on this machine")
def test_nature_mini_is_read_whole(tmp_path: Path) -> None:
    found = find_dataset(NATURE_MINI, cache=tmp_path)
    assert found.classes == (
        "Amphibia", "Animalia", "Arachnida", "Aves", "Fungi", "Insecta", "Mammalia", "Mollusca",
        "Plantae", "Reptilia",
    )  # fmt: skip
    assert found.test is not None
    assert (len(found.train.files), len(found.test.files)) == (7320, 1830)
    assert (found.train.labels.count(4), found.test.labels.count(4)) == (240, 60)
    assert not found.notes
    with zipfile.ZipFile(NATURE_MINI) as archive:
        first = min(name for name in archive.namelist() if "/train/" in name)
        assert found.train.files[0].read_bytes() == archive.read(first)


def test_the_fingerprint_is_that_of_the_first_release(photos: Path) -> None:
    """Sweeps that go on compare it with what they wrote down."""
    shutil.rmtree(photos)
    for number, name in enumerate(
        ("train/b/1", "train/b/2", "train/a/x/1", "train/a/2", "val/b/1")
    ):
        path = photos / f"{name}.gif"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"GIF89a" + bytes([number]))
    assert find_dataset(photos).fingerprint == "c8216157712742b6a5e347234a999bca"


def test_copies_among_training_photos_are_told_and_known(photos: Path) -> None:
    aves, fungi = photos / "train" / "Aves", photos / "train" / "Fungi"
    shutil.copy(aves / "0.jpg", aves / "again.jpg")
    shutil.copy(aves / "0.jpg", fungi / "other.jpg")
    (fungi / "linked.jpg").symlink_to("1.jpg")
    found = find_dataset(photos)
    assert found.train.copies == ((0, 2), (4, 5))
    assert found.notes == (
        "1 photograph is in more than one class: Aves/0.jpg = Aves/again.jpg = Fungi/other.jpg; "
        "keep the right one of each",
        "training photographs that are copies of others in their class, and stay on their side of "
        "the split: 2 (Aves/0.jpg = Aves/again.jpg, Fungi/1.jpg = Fungi/linked.jpg)",
    )


def test_a_path_with_a_nul_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^data: 'a\\x00b' holds a NUL, which no path can; give"):
        find_dataset("a\0b")
