import io
import os
import struct
from pathlib import Path

import numpy as np
import pytest
import simplejpeg
from PIL import Image, ImageOps

from cnnlib.photos.unreadable import CONVERT, UnreadableError, explained
from cnnlib.pixels.decode import decode, resized, without_warnings
from tests.photos.test_jpeg import FRAMES, entry, segment, tiff

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


def saved(image: Image.Image, form: str = "JPEG", **settings: object) -> bytes:
    content = io.BytesIO()
    image.save(content, form, **settings)
    return content.getvalue()


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """What simplejpeg was given since the test began."""
    seen: list[bytes] = []
    whole = simplejpeg.decode_jpeg
    monkeypatch.setattr(
        simplejpeg, "decode_jpeg", lambda data, **k: (seen.append(data), whole(data, **k))[1]
    )
    return seen


@pytest.mark.parametrize("kind", FRAMES)
def test_simplejpeg_is_given_ordinary_kinds_alone(
    kind: str, given: list[bytes], tmp_path: Path
) -> None:
    """The others are named so in their headers only: harmless for Pillow, which gets them."""
    marker, bits = FRAMES[kind]
    content = bytearray(
        saved(Image.fromarray(picture()), quality=95, progressive=kind == "progressive")
    )
    frame = max(content.find(b"\xff\xc0"), content.find(b"\xff\xc2"))
    content[frame + 1], content[frame + 4] = marker, bits
    (tmp_path / "a.jpg").write_bytes(content)
    if kind in ("baseline", "extended", "progressive"):
        slow = by_pillow(Image.open(tmp_path / "a.jpg"))
        assert np.abs(decode(tmp_path / "a.jpg", SIDE) - slow).max() <= 2
        assert given == [bytes(content)]
        return
    try:
        decode(tmp_path / "a.jpg", SIDE)
    except UnreadableError as error:
        assert str(error).startswith("a JPEG of a rare kind, ")
        assert str(error).endswith("; convert it to JPEG or PNG")
    assert not given


@pytest.mark.parametrize("transform", [0, 2])
def test_cmyk_and_ycck_are_pillows(transform: int, given: list[bytes], tmp_path: Path) -> None:
    content = bytearray(saved(Image.fromarray(picture()).convert("CMYK"), quality=95))
    content[content.index(b"Adobe") + 11] = transform
    (tmp_path / "a.jpg").write_bytes(content)
    found = decode(tmp_path / "a.jpg", 48)
    np.testing.assert_array_equal(found, Image.open(tmp_path / "a.jpg").convert("RGB"))
    assert not given


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("form", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_every_orientation_is_shown_upright(orientation: int, form: str, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    settings = {"quality": 100, "subsampling": 0} if form == "JPEG" else {"lossless": True}
    image = Image.fromarray(picture()).crop((0, 0, 48, 32))
    (tmp_path / "a").write_bytes(saved(image, form, exif=exif, **settings))
    with Image.open(tmp_path / "a") as opened:
        upright = by_pillow(ImageOps.exif_transpose(opened), 32)
    assert np.abs(decode(tmp_path / "a", 32) - upright).max() <= 2


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize(
    "damage",
    [
        entry(0x11A, 2, 3, b"72"),  # a resolution in letters
        entry(0x11A, 7, 4, b"\xff\xff\xff\xff"),
        entry(0x100, 4, 1, b"\xff\xff\xff\xff"),
        entry(0x11A, 11, 1, struct.pack("<f", float("nan"))),
    ],
)
def test_odd_words_of_the_camera_cost_neither_photograph_nor_orientation(
    form: str, damage: bytes, tmp_path: Path
) -> None:
    exif = b"Exif\0\0" + tiff(entry(0x112, 3, 1, b"\6\0"), damage)
    settings = {"quality": 100, "subsampling": 0} if form == "JPEG" else {"lossless": True}
    sideways = Image.fromarray(picture()).transpose(Image.Transpose.ROTATE_90)
    (tmp_path / "a").write_bytes(saved(sideways, form, exif=exif, **settings))
    assert np.abs(decode(tmp_path / "a", SIDE) - by_pillow(Image.fromarray(picture()))).max() <= 3


def test_an_orientation_in_xmp_alone_turns_a_jpeg(tmp_path: Path, reference: np.ndarray) -> None:
    sideways = Image.fromarray(picture()).transpose(Image.Transpose.ROTATE_90)
    content = saved(sideways, quality=95)
    xmp = segment(0xE1, b'http://ns.adobe.com/xap/1.0/\0<x tiff:Orientation="6"/>')
    (tmp_path / "a.jpg").write_bytes(content[:2] + segment(0xE2, bytes(65_000)) + xmp + content[2:])
    assert np.abs(decode(tmp_path / "a.jpg", SIDE) - reference).mean() < 4


@pytest.mark.parametrize(
    "mode", ["1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "LAB", "HSV"]
)
def test_each_mode_shows_what_a_viewer_shows(mode: str, tmp_path: Path) -> None:
    """A grey ramp, opaque; saved as TIFF, which takes most modes, or as what takes this one."""
    ramp = np.tile(np.linspace(0, 255, 48).astype(np.uint8), (48, 1))
    image = Image.fromarray(ramp)
    if mode == "LAB":
        neutral = np.full_like(ramp, 128)
        image = Image.merge("LAB", [image, *map(Image.fromarray, (neutral, neutral))])
    elif mode == "PA":
        image = image.convert("P").convert("PA")
    elif mode != "L":
        image = image.convert("RGB").convert(mode)
    try:
        content = saved(image, "TIFF")
    except OSError:  # TIFF knows it not
        content = saved(image.convert("RGB"), "PNG")
    (tmp_path / "a").write_bytes(content)
    found = decode(tmp_path / "a", 12).astype(int)
    assert (np.diff(found.mean((0, 2))) > 0).all()
    assert found[:, 0].mean() < 40
    assert found[:, -1].mean() > 215
    assert np.abs(found - found.mean(2, keepdims=True)).max() < 12


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"\xff\xd8\xff\xdb\0\4\x15\0" + b"x" * 40, "^a damaged JPEG; remove or repair it$"),
        (b"no photo", "^not an image; remove or repair it$"),
        (b"", "^not an image; remove or repair it$"),
        (b"\0\0\0\x18ftypheic\0\0", "^HEIC, which cannot be read; convert it to JPEG or PNG$"),
        (b"\0\0\0\x0cJXL \r\n\x87\n", "^JPEG XL, which cannot be read; convert it to JPEG or"),
        (b"<svg xmlns=''/>", "^SVG, which cannot be read; convert it to JPEG or PNG$"),
        (b"\0\0\0\x18ftypisom\0\0", "^a video, which cannot be read; convert it to JPEG or PNG$"),
    ],
)
def test_the_remedy_fits_the_kind(content: bytes, text: str, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(content)
    with without_warnings(), pytest.raises(UnreadableError, match=text) as caught:
        decode(tmp_path / "a", SIDE)
    assert " at 0x" not in str(caught.value)


def test_a_picture_beyond_pillows_limit_is_to_be_scaled_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Image.fromarray(picture()).save(tmp_path / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with pytest.raises(UnreadableError, match=r"^too large to be decoded; scale it down$"):
        decode(tmp_path / "a.png", SIDE)


@pytest.mark.parametrize("error", [RuntimeError, TypeError, KeyError, MemoryError, AssertionError])
def test_whatever_a_decoder_raises_is_its_photographs(
    error: type[Exception], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise error("it failed in <_io.BytesIO object at 0x7f12ab>")

    Image.fromarray(picture()).save(tmp_path / "a.png")
    monkeypatch.setattr(Image, "open", fail)
    with pytest.raises(UnreadableError) as raised:
        decode(tmp_path / "a.png", SIDE)
    assert "object at" not in str(raised.value)


def test_eps_without_ghostscript_is_to_be_converted() -> None:
    error = explained(OSError("Unable to locate Ghostscript on paths"), b"%!PS-Adobe-3.0 EPSF-3.0")
    assert str(error) == f"EPS, which takes Ghostscript to be read; {CONVERT.format('it')}"


def test_words_of_the_camera_that_pillow_cannot_read_cost_no_png(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: object) -> None:
        raise TypeError("bad operand type for abs()")

    Image.fromarray(picture()).save(tmp_path / "a.png")
    before = decode(tmp_path / "a.png", SIDE)
    monkeypatch.setattr(Image.Image, "getexif", fail)
    np.testing.assert_array_equal(decode(tmp_path / "a.png", SIDE), before)


def test_a_damaged_avif_is_unreadable(tmp_path: Path) -> None:
    content = saved(Image.fromarray(picture()), "AVIF")
    for place in range(20, len(content) - 20, 9):
        damaged = bytearray(content)
        damaged[place : place + 12] = b"\xff" * 12
        (tmp_path / "a.avif").write_bytes(damaged)
        try:
            decode(tmp_path / "a.avif", SIDE)
        except UnreadableError as error:
            assert error.reason


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    with pytest.raises(UnreadableError, match=r"^not a regular file; remove it$"):
        decode(tmp_path / "pipe.jpg", SIDE)
