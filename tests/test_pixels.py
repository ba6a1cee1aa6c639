import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cnnlib.dataset import read_folder
from cnnlib.download import cache_folder
from cnnlib.pixels import decode, pixels

SIDE = 24


def picture() -> np.ndarray:
    """A smooth picture in colour, brighter to the right, redder downwards, (48, 48, 3) uint8."""
    x, y = np.meshgrid(np.linspace(20, 220, 48), np.linspace(20, 220, 48))
    return np.stack([y, x, 240 - x], 2).astype(np.uint8)


@pytest.fixture
def reference(tmp_path: Path) -> np.ndarray:
    Image.fromarray(picture()).save(tmp_path / "reference.png")
    return decode(tmp_path / "reference.png", SIDE).astype(int)


def test_a_photograph_becomes_a_square_of_rgb(reference: np.ndarray) -> None:
    expected = np.asarray(
        Image.fromarray(picture()).resize((SIDE, SIDE), Image.Resampling.BILINEAR)
    )
    np.testing.assert_array_equal(reference, expected)


@pytest.mark.parametrize("suffix", ["jpg", "webp", "bmp", "tiff", "gif"])
def test_formats_agree_within_their_losses(
    suffix: str, tmp_path: Path, reference: np.ndarray
) -> None:
    file = tmp_path / f"photo.{suffix}"
    Image.fromarray(picture()).save(file, **({"quality": 95} if suffix in ("jpg", "webp") else {}))
    assert np.abs(decode(file, SIDE) - reference).mean() < 4


def test_cmyk_and_alpha_become_the_same_rgb(tmp_path: Path, reference: np.ndarray) -> None:
    Image.fromarray(picture()).convert("CMYK").save(tmp_path / "cmyk.jpg", quality=95)
    assert np.abs(decode(tmp_path / "cmyk.jpg", SIDE) - reference).mean() < 4
    opaque = np.dstack([picture(), np.full((48, 48), 255, np.uint8)])
    Image.fromarray(opaque).save(tmp_path / "alpha.png")
    np.testing.assert_array_equal(decode(tmp_path / "alpha.png", SIDE), reference)


def test_what_is_transparent_is_white(tmp_path: Path) -> None:
    clear = np.dstack([picture(), np.zeros((48, 48), np.uint8)])
    Image.fromarray(clear).save(tmp_path / "clear.png")
    assert decode(tmp_path / "clear.png", SIDE).min() == 255
    palette = Image.new("P", (48, 48), 0)
    palette.putpalette([10, 20, 30])
    palette.save(tmp_path / "palette.png", transparency=0)
    assert decode(tmp_path / "palette.png", SIDE).min() == 255


def test_a_palette_keeps_its_colours(tmp_path: Path, reference: np.ndarray) -> None:
    Image.fromarray(picture()).quantize(256).save(tmp_path / "palette.png")
    assert np.abs(decode(tmp_path / "palette.png", SIDE) - reference).mean() < 6


@pytest.mark.parametrize("mode", ["L", "I;16", "1"])
def test_grey_photographs_have_three_equal_channels(mode: str, tmp_path: Path) -> None:
    grey = picture()[..., 1]
    image = {
        "L": Image.fromarray(grey),
        "I;16": Image.fromarray(grey.astype(np.uint16) * 257),
        "1": Image.fromarray(grey).convert("1"),
    }[mode]
    image.save(tmp_path / "grey.png")
    decoded = decode(tmp_path / "grey.png", SIDE).astype(int)
    np.testing.assert_array_equal(decoded[..., 0], decoded[..., 2])
    small = np.asarray(Image.fromarray(grey).resize((SIDE, SIDE), Image.Resampling.BILINEAR))
    assert abs(decoded[..., 0].mean() - small.mean()) < 3, "16 bits are scaled, not cut off"


def test_a_photograph_taken_sideways_is_turned_upright(
    tmp_path: Path, reference: np.ndarray
) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # Orientation: turn a quarter clockwise to show
    sideways = Image.fromarray(picture()).transpose(Image.Transpose.ROTATE_90)
    sideways.save(tmp_path / "sideways.png", exif=exif)
    np.testing.assert_array_equal(decode(tmp_path / "sideways.png", SIDE), reference)


def test_a_large_jpeg_scaled_while_it_is_decoded_agrees_with_the_slow_way(tmp_path: Path) -> None:
    large = Image.fromarray(picture()).resize((480, 320), Image.Resampling.BICUBIC)
    large.save(tmp_path / "large.jpg", quality=95)
    slow = Image.open(tmp_path / "large.jpg").resize((SIDE, SIDE), Image.Resampling.BILINEAR)
    difference = decode(tmp_path / "large.jpg", SIDE).astype(int) - np.asarray(slow).astype(int)
    assert np.abs(difference).max() <= 3


def test_photographs_are_decoded_once_in_their_order(photos: Path) -> None:
    dataset = read_folder(photos / "train")
    first = pixels(dataset, "train", 8)
    assert first.shape == (30, 8, 8, 3)
    assert first.dtype == np.uint8
    for index in (0, 11, 29):
        np.testing.assert_array_equal(first[index], decode(dataset.train.files[index], 8))
    for file in dataset.train.files:
        file.unlink()
    np.testing.assert_array_equal(pixels(dataset, "train", 8), first)
    with pytest.raises(ValueError, match="read-only"):
        first[0] = 0


def test_a_changed_photograph_is_decoded_anew(photos: Path) -> None:
    before = pixels(read_folder(photos / "train"), "train", 8)
    Image.new("RGB", (16, 16), "black").save(photos / "train" / "red" / "000.png")
    after = pixels(read_folder(photos / "train"), "train", 8)
    assert (before[20] != after[20]).any()
    np.testing.assert_array_equal(before[:20], after[:20])


def test_a_torn_photograph_is_named_and_leaves_nothing(photos: Path) -> None:
    torn = photos / "train" / "red" / "000.png"
    torn.write_bytes(torn.read_bytes()[:200])
    dataset = read_folder(photos / "train")
    with pytest.raises(ValueError, match=r"1 photographs? cannot be decoded: .*red/000\.png"):
        pixels(dataset, "train", 8)
    left = [path.name for path in (cache_folder() / "pixels").iterdir()]
    assert not [name for name in left if name.endswith(".part")]
    assert not [
        name for name in left if name.startswith(dataset.fingerprint) and "lock" not in name
    ]


def test_many_who_ask_at_once_get_one_array(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import cnnlib.pixels

    builds = []
    build = cnnlib.pixels._build
    monkeypatch.setattr(
        cnnlib.pixels, "_build", lambda *args: (builds.append(args), build(*args))[1]
    )
    dataset = read_folder(photos / "train")
    arrays: list[np.ndarray] = []
    askers = [
        threading.Thread(target=lambda: arrays.append(pixels(dataset, "train", 9)))
        for _ in range(6)
    ]
    for asker in askers:
        asker.start()
    for asker in askers:
        asker.join()
    assert len(arrays) == 6
    assert len(builds) == 1
