"""What all tests share: a cache of their own, and a small set of photographs."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

COLOURS = {"blue": (40, 60, 200), "green": (50, 180, 60), "red": (200, 50, 40)}


@pytest.fixture(autouse=True, scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The cache folder of this test run; the user's is never touched."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CNNLIB_CACHE", str(folder))
        yield folder


def write_photos(folder: Path, *, train: int = 10, test: int = 3, size: int = 16) -> Path:
    """Noisy photographs of one colour a class in the study's layout; returns `folder`."""
    rng = np.random.default_rng(0)
    for split, count in (("train", train), ("val", test)):
        for name, colour in COLOURS.items():
            (folder / split / name).mkdir(parents=True)
            for index in range(count):
                noise = rng.normal(0, 25, (size, size, 3))
                pixels = (np.array(colour) + noise).clip(0, 255).astype(np.uint8)
                Image.fromarray(pixels).save(folder / split / name / f"{index:03d}.png")
    return folder


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder with 30 photographs to train on and 9 to test with, in 3 classes."""
    return write_photos(tmp_path / "photos")
