import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cnnlib.decode import decode, resized
from cnnlib.unreadable import UnreadableError

SIDE = 24


def picture() -> np.ndarray:
    """A smooth picture in colour, brighter to the right, redder downwards, (48, 48, 3) uint8."""
    x, y = np.meshgrid(np.linspace(20, 220, 48), np.linspace(20, 220, 48))
    return np.stack([y, x, 240 - x], 2).astype(np.uint8)


def by_pillow(image: Image.Image, side: int = SIDE) -> np.ndarray:
    return np.asarray(image.convert("RGB").resize((side, side), Image.Resampling.BILINEAR)).astype(
        int
    )


@pytest.fixture
def reference() -> np.ndarray:
    return by_pillow(Image.fromarray(picture()))


def test_a_photograph_becomes_a_square_as_pillow_resizes_it(
    tmp_path: Path, reference: np.ndarray
) -> None:
    Image.fromarray(picture()).save(tmp_path / "photo.png")
    decoded = decode(tmp_path / "photo.png", SIDE)
    assert decoded.shape == (SIDE, SIDE, 3)
    assert decoded.dtype == np.uint8
    assert np.abs(decoded - reference).max() <= 1


@pytest.mark.parametrize(
    ("height", "width", "side"),
    [
        (500, 403, 224),
        (64, 64, 72),
        (7, 300, 32),
        (1, 1, 8),
        (33, 32, 32),
        (400, 3, 5),
        (32, 32, 32),
    ],
)
def test_resizing_agrees_with_pillow_within_a_grey_level(
    height: int, width: int, side: int
) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    expected = by_pillow(Image.fromarray(noise), side)
    difference = resized(noise, side) - expected
    assert np.abs(difference).max() <= 1
    assert abs(difference.mean()) < 0.1


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
    assert np.abs(decode(tmp_path / "alpha.png", SIDE) - reference).max() <= 1


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


@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_a_photograph_taken_sideways_is_turned_upright(
    suffix: str, tmp_path: Path, reference: np.ndarray
) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # Orientation: turn a quarter clockwise to show
    sideways = Image.fromarray(picture()).transpose(Image.Transpose.ROTATE_90)
    quality = {"quality": 95} if suffix == "jpg" else {}
    sideways.save(tmp_path / f"sideways.{suffix}", exif=exif, **quality)
    assert np.abs(decode(tmp_path / f"sideways.{suffix}", SIDE) - reference).mean() < 4


@pytest.mark.parametrize("subsampling", [0, 2])
def test_a_jpeg_agrees_with_the_slow_way(subsampling: int, tmp_path: Path) -> None:
    """Pillow decodes it whole, here nothing is scaled while decoding either."""
    noise = np.random.default_rng(0).normal(0, 12, (60, 45, 3))
    image = Image.fromarray(picture()).resize((45, 60), Image.Resampling.BICUBIC)
    noisy = Image.fromarray((np.asarray(image) + noise).clip(0, 255).astype(np.uint8))
    noisy.save(tmp_path / "photo.jpg", quality=90, subsampling=subsampling)
    slow = by_pillow(Image.open(tmp_path / "photo.jpg"))
    assert np.abs(decode(tmp_path / "photo.jpg", SIDE) - slow).max() <= 2


def test_a_large_jpeg_scaled_while_it_is_decoded_agrees_with_the_slow_way(tmp_path: Path) -> None:
    large = Image.fromarray(picture()).resize((480, 320), Image.Resampling.BICUBIC)
    large.save(tmp_path / "large.jpg", quality=95)
    slow = by_pillow(Image.open(tmp_path / "large.jpg"))
    assert np.abs(decode(tmp_path / "large.jpg", SIDE) - slow).max() <= 3


def test_bytes_after_a_jpegs_end_are_no_fault(tmp_path: Path, reference: np.ndarray) -> None:
    file = io.BytesIO()
    Image.fromarray(picture()).save(file, "JPEG", quality=95)
    (tmp_path / "photo.jpg").write_bytes(file.getvalue() + b"from the camera")
    assert np.abs(decode(tmp_path / "photo.jpg", SIDE) - reference).mean() < 4


@pytest.mark.parametrize("suffix", ["jpg", "png"])
@pytest.mark.parametrize("share", [0.0, 0.1, 0.6])
def test_a_torn_photograph_raises(suffix: str, share: float, tmp_path: Path) -> None:
    file = tmp_path / f"photo.{suffix}"
    Image.fromarray(picture()).resize((300, 300)).save(file)
    file.write_bytes(file.read_bytes()[: int(share * file.stat().st_size)])
    with pytest.raises(UnreadableError):
        decode(file, SIDE)


@pytest.mark.parametrize("damage", [b"Exif\x00\x00XX", b"Exif\x00\x00II*\x00\xff"])
def test_damaged_words_of_the_camera_do_not_cost_the_photograph(
    damage: bytes, tmp_path: Path
) -> None:
    image = Image.fromarray(picture())
    image.save(tmp_path / "a.jpg", quality=95, dpi=(72, 72), exif=damage)
    image.save(tmp_path / "b.jpg", quality=95)
    np.testing.assert_array_equal(decode(tmp_path / "a.jpg", 32), decode(tmp_path / "b.jpg", 32))
