import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageOps

from cnnlib.champion.copies import find_leaks
from cnnlib.photos.dataset import read_folder
from cnnlib.photos.sample import write_sample

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
