"""Tests of cnnlib/photos/levels.py."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cnnlib.photos.dataset import read_folder
from cnnlib.photos.levels import UNKNOWN, Levels, Range, levels_of, value_range
from cnnlib.pixels.decode import decode
from cnnlib.pixels.pixels import pixels, place


def save(path: Path, values: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(path)
    return path


def colour_png(values: np.ndarray) -> bytes:
    """A PNG of 16 bits in colour, (H, W, 3), or with opacity, (H, W, 4): Pillow writes none."""
    height, width, channels = values.shape

    def chunk(name: bytes, content: bytes) -> bytes:
        whole = name + content
        return struct.pack(">L", len(content)) + whole + struct.pack(">L", zlib.crc32(whole))

    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    head = struct.pack(">LLBBBBB", width, height, 16, {3: 2, 4: 6}[channels], 0, 0, 0)
    chunks = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


def two_classes(folder: Path, scale: float, dtype: str, form: str = "tif") -> Path:
    """Photographs whose brightness is from 0.1 to 0.3 of `scale` in one class, 0.7 to 0.9."""
    rng = np.random.default_rng(0)
    for name, darkest in (("dark", 0.1), ("bright", 0.7)):
        for number in range(2):
            values = (darkest + 0.2 * rng.random((8, 8))) * scale
            save(folder / name / f"{number}.{form}", values.astype(dtype))
    return folder


@pytest.mark.parametrize(
    ("scale", "dtype", "white"),
    [
        (1.0, "float32", "real1"),
        (255.0, "float32", "real255"),
        (4000.0, "float32", "real4095"),
        (255, "uint16", "whole255"),
        (255, "int32", "whole255"),
        (1023, "uint16", "whole1023"),
        (4095, "uint16", "whole4095"),
        (16383, "uint16", "whole16383"),
        (65535, "uint16", "whole65535"),
        (2**24, "int32", "whole16777215"),
    ],
)
def test_the_brightest_of_the_whole_set_says_what_is_white(
    scale: float, dtype: str, white: str, tmp_path: Path
) -> None:
    dataset = read_folder(two_classes(tmp_path / "photos", scale, dtype))
    assert dataset.levels.key == f"-{white}"
    [note] = dataset.notes
    assert note.startswith("4 photographs are in ")
    assert white in place(dataset, "train", 8).name
    found = pixels(dataset, "train", 8).astype(float) / 255
    np.testing.assert_allclose(found[:2].mean(), 0.8, atol=0.06)  # "bright" comes first
    np.testing.assert_allclose(found[2:].mean(), 0.2, atol=0.06)
    assert len(np.unique(found)) > 30


def test_photographs_of_8_bits_have_no_levels(tmp_path: Path) -> None:
    dataset = read_folder(two_classes(tmp_path / "photos", 255, "uint8", "png"))
    assert dataset.levels == UNKNOWN
    assert dataset.notes == ()
    assert "px-4-" in place(dataset, "train", 8).name


def test_a_dark_photograph_stays_dark_among_bright_ones(tmp_path: Path) -> None:
    folder = two_classes(tmp_path / "photos", 4095, "uint16", "png")
    dark = save(folder / "dark" / "x.png", np.full((8, 8), 200, np.uint16))
    levels = read_folder(folder).levels
    assert decode(dark, 8, levels).max() == round(200 * 255 / 4095)
    assert decode(dark, 8).max() == 200, "alone it decides for itself"


@pytest.mark.parametrize(
    ("values", "dtype", "text"),
    [
        (-0.5, "float32", "1 photographs hold values below 0: .*dark/x.tif; scale them to"),
        (-1024, "int32", "1 photographs hold values below 0: .*dark/x.tif; scale them to"),
        (np.nan, "float32", "1 photographs hold values that are infinite or no numbers: .*x.tif"),
        (np.inf, "float32", "1 photographs hold values that are infinite or no numbers: .*x.tif"),
        (3.7, "float32", "photographs in real numbers end at 3.7, neither at 1 nor at 255: .*x."),
    ],
)
def test_values_that_are_no_brightness_are_refused(
    values: float, dtype: str, text: str, tmp_path: Path
) -> None:
    folder = two_classes(tmp_path / "photos", 1.0, "float32")
    save(folder / "dark" / "x.tif", np.array([[values, 0], [0, 0]], dtype))
    with pytest.raises(ValueError, match=text):
        read_folder(folder)


def test_a_photograph_that_shows_nothing_is_told() -> None:
    levels, [first, second] = levels_of(
        {"a": Range("whole", 0, 60000), "b": Range("whole", 700, 1100)}
    )
    assert levels == Levels(whole=65535)
    assert first == (
        "2 photographs are in more than 8 bits, up to 60,000: 65,535 is taken for white"
    )
    assert second.endswith("so they show nothing: b")


def test_a_png_of_16_bits_in_colour_keeps_them(tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(0, 1000, (8, 8, 3))
    values[0, 0] = 1000
    path = tmp_path / "a.png"
    path.write_bytes(colour_png(values))
    assert value_range(path) == Range("whole", values.min(), 1000)
    found = decode(path, 8, Levels(whole=1023)).astype(float)
    np.testing.assert_allclose(found, values.astype(float) * 255 / 1023, atol=0.51)
    clear = np.dstack([values, np.zeros((8, 8), int)])
    path.write_bytes(colour_png(clear))
    assert decode(path, 8, Levels(whole=1023)).min() == 255, "what is transparent is white"


def test_a_tiff_in_which_0_is_white_is_turned_round(tmp_path: Path) -> None:
    values = np.linspace(0, 65535, 64).astype(np.uint16).reshape(8, 8)
    path = tmp_path / "a.tif"
    Image.fromarray(values).save(path, tiffinfo={262: 0})
    found = decode(path, 8, Levels(whole=65535))[..., 0]
    np.testing.assert_allclose(found, 255 - values / 257, atol=1)


def test_both_orders_of_bytes_and_pgm_give_the_same(tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(0, 65536, (8, 8)).astype(np.uint16)
    content = {
        "little.tif": tiff_16(values, "<"),
        "big.tif": tiff_16(values, ">"),
        "a.pgm": b"P5 8 8 65535\n" + values.astype(">u2").tobytes(),
    }
    for name, data in content.items():
        (tmp_path / name).write_bytes(data)
        found = decode(tmp_path / name, 8, Levels(whole=65535))[..., 1]
        np.testing.assert_array_equal(found, np.round(values / 257), err_msg=name)


def tiff_16(values: np.ndarray, order: str) -> bytes:
    """An uncompressed TIFF of 16 bits in grey, (H, W), or in colour, (H, W, 3)."""
    height, width, *colours = values.shape
    tags = {256: width, 257: height, 259: 1, 262: 2 if colours else 1, 278: height}
    tags |= {277: colours[0] if colours else 1, 279: values.size * 2}
    bits = 8 + 2 + 12 * 9 + 4
    tags |= {258: bits if colours else 16, 273: bits + 6}
    parts = [
        struct.pack(f"{order}HHLL", tag, 4, 1, tags[tag])
        if tag != 258 or not colours
        else struct.pack(f"{order}HHLL", tag, 3, 3, bits)
        for tag in sorted(tags)
    ]
    mark = b"II*\0" if order == "<" else b"MM\0*"
    directory = struct.pack(f"{order}LH", 8, len(parts)) + b"".join(parts) + bytes(4)
    each = struct.pack(f"{order}HHH", 16, 16, 16)
    return mark + directory + each + values.astype(f"{order}u2").tobytes()


def test_a_transparent_grey_is_white(tmp_path: Path) -> None:
    content = io.BytesIO()
    values = np.full((8, 8), 500, np.uint16)
    Image.fromarray(values).save(content, "PNG", transparency=500)
    path = tmp_path / "a.png"
    path.write_bytes(content.getvalue())
    assert decode(path, 8, Levels(whole=1023)).min() == 255


@pytest.mark.parametrize("order", ["<", ">"])
def test_a_tiff_of_16_bits_in_colour_keeps_them(order: str, tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(0, 1000, (8, 8, 3)).astype(np.uint16)
    path = tmp_path / "a.tif"
    path.write_bytes(tiff_16(values, order))
    assert value_range(path) == Range("whole", values.min(), values.max())
    found = decode(path, 8, Levels(whole=1023)).astype(float)
    np.testing.assert_allclose(found, values.astype(float) * 255 / 1023, atol=0.51)
