import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageOps

from cnnlib.champion import copies, neighbours
from cnnlib.champion.copies import find_leaks
from cnnlib.photos.dataset import read_folder
from cnnlib.photos.sample import write_sample
from cnnlib.pixels.pixels import pixels
from cnnlib.system.progress import Progress
from tests.champion.all_pairs import equal, most_alike

HARMLESS = {
    "jpeg": lambda image: _jpeg(image, 40),
    "half": lambda image: image.resize((image.width // 2, image.height // 2)),
    "brighter": lambda image: ImageEnhance.Brightness(image).enhance(1.2),
    "mirrored": ImageOps.mirror,
    "grey": lambda image: _jpeg(ImageOps.grayscale(image).convert("RGB"), 80),
    "all": lambda image: _jpeg(ImageOps.mirror(ImageEnhance.Brightness(image).enhance(0.85)), 60),
}


def _jpeg(image: Image.Image, quality: int) -> Image.Image:
    content = io.BytesIO()
    image.save(content, "JPEG", quality=quality)
    return Image.open(io.BytesIO(content.getvalue())).convert("RGB")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample's photographs, with copies of six that were trained on among the test's."""
    folder = tmp_path_factory.mktemp("leaks") / "sample"
    write_sample(folder)
    test = folder / "val" if (folder / "val").is_dir() else folder / "test"
    trained = sorted(f for f in (folder / "train").rglob("*") if f.is_file())[::200]
    for (name, change), file in zip(HARMLESS.items(), trained, strict=False):
        with Image.open(file) as image:
            change(image.convert("RGB")).save(test / file.parent.name / f"copy-{name}.png")
    (test / file.parent.name / "copy-exact").with_suffix(file.suffix).write_bytes(
        trained[0].read_bytes()
    )
    return folder


def test_planted_copies_are_found_and_nothing_else(folder: Path) -> None:
    leaks = find_leaks(read_folder(folder / "train"), 32)
    found = {Path(file).stem: kind for file, kind in leaks[["test_file", "kind"]].to_numpy()}
    assert found == {"copy-exact": "exact"} | {f"copy-{name}": "near" for name in HARMLESS}
    assert leaks["similarity"].between(0.96, 1.0001).all()


def test_a_copy_under_another_label_shows_both(folder: Path) -> None:
    leaks = find_leaks(read_folder(folder / "train"), 32)
    exact = leaks[leaks["kind"] == "exact"].iloc[0]
    assert exact["train_label"] == Path(exact["train_file"]).parent.name
    assert exact["test_label"] == Path(exact["test_file"]).parent.name
    assert exact["test_label"] != exact["train_label"]


def test_photographs_of_one_colour_are_no_copies_of_each_other(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for split in ("train", "test"):
        for name in ("dark", "light"):
            (tmp_path / split / name).mkdir(parents=True)
            for index in range(3):
                level = rng.integers(0, 255)
                Image.new("RGB", (32, 32), (level,) * 3).save(
                    tmp_path / split / name / f"{index}.png"
                )
    assert len(find_leaks(read_folder(tmp_path / "train"), 32)) == 0
    same = (tmp_path / "train" / "dark" / "1.png").read_bytes()
    (tmp_path / "test" / "light" / "2.png").write_bytes(same)
    [leak] = find_leaks(read_folder(tmp_path / "train"), 32).itertuples()
    assert (leak.kind, Path(leak.test_file).name, leak.test_label) == ("exact", "2.png", "light")
    assert leak.train_label == "dark"


def waves(number: int, side: int, *, finest: int, seed: int) -> np.ndarray:
    """Pictures of waves, the finer the weaker, (number, side, side, 3) uint8."""
    rng = np.random.default_rng(seed)
    places = np.arange(finest)
    parts = (
        rng.standard_normal((number, finest, finest, 3))
        / (1 + np.hypot(places[:, None], places))[:, :, None]
    )
    basis = np.cos(np.pi * (np.arange(side)[:, None] + 0.5) * places / side)
    pictures = np.einsum("yu,nuvc,xv->nyxc", basis, parts, basis)
    return (pictures * 45 + 128).clip(0, 255).astype(np.uint8)


def changed(pictures: np.ndarray, seed: int) -> np.ndarray:
    """From hardly to much, every other one mirrored."""
    rng = np.random.default_rng(seed)
    noise = (
        rng.standard_normal(pictures.shape) * np.linspace(0, 60, len(pictures))[:, None, None, None]
    )
    out = (pictures + noise).clip(0, 255).astype(np.uint8)
    out[::2] = out[::2, :, ::-1]
    return out


def photographs(folder: Path, split: str) -> np.ndarray:
    dataset = read_folder(folder / "train")
    return np.array(pixels(dataset, split, 32))


SETS = {
    "waves": lambda: (waves(900, 20, finest=8, seed=0), waves(300, 20, finest=8, seed=1)),
    "few waves, so that many are alike": lambda: (
        waves(900, 20, finest=3, seed=0),
        waves(300, 20, finest=3, seed=1),
    ),
    "noise": lambda: (waves(600, 16, finest=16, seed=0), waves(200, 16, finest=16, seed=1)),
    "copies of all degrees": lambda: (
        (known := waves(900, 20, finest=8, seed=0)),
        changed(known[:300], 1),
    ),
    "one colour, and twice the same": lambda: (
        np.repeat(np.arange(200, dtype=np.uint8), 2)[:, None, None, None]
        + np.zeros((1, 16, 16, 3), np.uint8),
        np.arange(100, dtype=np.uint8)[:, None, None, None] + np.zeros((1, 16, 16, 3), np.uint8),
    ),
    "no more than the axes": lambda: (
        (known := waves(5, 16, finest=4, seed=0)),
        changed(known, 1),
    ),
}


@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize("held", [neighbours.HELD, 50])
def test_whatever_all_pairs_would_find_is_found(
    name: str, held: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(neighbours, "HELD", held)
    monkeypatch.setattr(copies, "PAIRS", 7 if held == 50 else copies.PAIRS)
    train, test = SETS[name]()
    check_against_all_pairs(train, test)


def check_against_all_pairs(train: np.ndarray, test: np.ndarray) -> None:
    silent = Progress("", 0, "photo")
    known, asked = copies._looked_at(train, silent), copies._looked_at(test, silent)
    found = copies._alike(test, asked, train, known, silent)
    expected = most_alike(test, train)
    assert found.keys() == expected.keys()
    for index, (similarity, _) in expected.items():
        assert found[index][0] == pytest.approx(similarity, abs=1e-5)
    assert copies._equal(test, asked, train, known) == equal(test, train)


def test_all_pairs_of_pictures_of_nature_find_no_more(folder: Path) -> None:
    train, test = photographs(folder, "train"), photographs(folder, "test")
    check_against_all_pairs(train, test)
    check_against_all_pairs(train, changed(train[::5], 2))
