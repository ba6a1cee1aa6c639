"""Tests of cnnlib/photos/jpeg.py."""

import io
import struct

import numpy as np
import pytest
from PIL import Image

from cnnlib.photos.jpeg import exif_orientation, read_header

# Heads of JPEGs by the second byte of their frame's marker: FRAME, then bits.
FRAMES = {
    "baseline": (0xC0, 8),
    "extended": (0xC1, 8),
    "progressive": (0xC2, 8),
    "lossless": (0xC3, 8),
    "12-bit": (0xC1, 12),
    "arithmetic": (0xC9, 8),
    "progressive arithmetic": (0xCA, 8),
    "lossless arithmetic": (0xCB, 8),
    "hierarchical": (0xC5, 8),
}


def segment(marker: int, content: bytes) -> bytes:
    return bytes((0xFF, marker)) + struct.pack(">H", len(content) + 2) + content


def head(
    marker: int = 0xC0,
    bits: int = 8,
    samplings: tuple[int, ...] = (0x22, 0x11, 0x11),
    before: bytes = b"",
    size: tuple[int, int] = (16, 16),
) -> bytes:
    """The bytes of a JPEG up to its first scan, which hold no picture."""
    parts = b"".join(bytes((number, both, 0)) for number, both in enumerate(samplings, 1))
    frame = struct.pack(">BHHB", bits, *size, len(samplings)) + parts
    return b"\xff\xd8" + before + segment(marker, frame) + segment(0xDA, b"\1\1\0\0\x3f\0")


def jpeg(**settings: object) -> bytes:
    content = io.BytesIO()
    picture = np.arange(16 * 16 * 3, dtype=np.uint8).reshape(16, 16, 3)
    Image.fromarray(picture).save(content, "JPEG", **settings)  # type: ignore[arg-type]
    return content.getvalue()


def tiff(*entries: bytes, order: str = "<") -> bytes:
    """EXIF with these entries of 12 bytes."""
    mark = b"II*\0" if order == "<" else b"MM\0*"
    return mark + struct.pack(f"{order}LH", 8, len(entries)) + b"".join(entries) + bytes(4)


def entry(tag: int, kind: int, number: int, value: bytes, order: str = "<") -> bytes:
    return struct.pack(f"{order}HHL", tag, kind, number) + value.ljust(4, b"\0")


@pytest.mark.parametrize("kind", FRAMES)
def test_only_three_kinds_of_8_bits_are_ordinary(kind: str) -> None:
    header = read_header(head(*FRAMES[kind]))
    assert header is not None
    assert header.is_ordinary == (kind in ("baseline", "extended", "progressive"))
    assert kind.endswith(header.kind) or header.kind in (kind, "rare", "lossless")


@pytest.mark.parametrize(
    ("samplings", "ordinary"),
    [
        ((0x11,), True),
        ((0x22,), True),
        ((0x11, 0x11, 0x11), True),
        ((0x21, 0x11, 0x11), True),
        ((0x22, 0x11, 0x11), True),
        ((0x41, 0x11, 0x11), True),
        ((0x11, 0x22, 0x22), False),
        ((0x31, 0x11, 0x11), False),
        ((0x22, 0x21, 0x11), False),
        ((0x22, 0x11), False),
        ((0x11, 0x11, 0x11, 0x11), False),
    ],
)
def test_samplings_and_components_are_looked_at(samplings: tuple[int, ...], ordinary: bool) -> None:
    header = read_header(head(samplings=samplings))
    assert header is not None
    assert header.is_ordinary == ordinary


@pytest.mark.parametrize(
    "data",
    [
        head(size=(0, 16)),
        head(before=segment(0xCC, b"\0\x10")),  # conditions of arithmetic coding
        head(before=segment(0xDE, b"\x08\0\x10\0\x10\x01\x01\x11\0")),  # hierarchical
        head(before=segment(0xC3, b"\x08\0\x10\0\x10\x01\x01\x11\0")),  # a second frame
        head(before=segment(0xE2, b"") + b"\0\0"),  # bytes that belong to nothing
        head()[:25],
        b"\xff\xd8\xff" + segment(0xDA, b"")[1:],
        b"\xff\xd8\xff",
    ],
)
def test_whatever_is_odd_is_not_ordinary(data: bytes) -> None:
    header = read_header(data)
    assert header is not None
    assert not header.is_ordinary


def test_what_cameras_and_programs_write_is_ordinary() -> None:
    for settings in ({}, {"progressive": True}, {"quality": 5}, {"comment": b"x" * 70000}):
        if "comment" in settings:
            settings = {"comment": b"x" * 60000, "icc_profile": bytes(200_000)}
        header = read_header(jpeg(**settings))
        assert header is not None
        assert header.is_ordinary, settings
        assert (header.width, header.height, header.bits) == (16, 16, 8)
    filled = jpeg().replace(b"\xff\xc0", b"\xff\xff\xff\xc0", 1)
    assert read_header(filled).is_ordinary  # type: ignore[union-attr]


def test_a_png_is_no_jpeg() -> None:
    assert read_header(b"\x89PNG\r\n\x1a\n") is None


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_orientation_is_read_as_pillow_writes_it(orientation: int, order: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif[0x010F] = "a maker"
    assert read_header(jpeg(exif=exif)).orientation == orientation  # type: ignore[union-attr]
    value = struct.pack(f"{order}H", orientation)
    assert exif_orientation(tiff(entry(0x112, 3, 1, value, order), order=order)) == orientation
    value = struct.pack(f"{order}L", orientation)  # as some programs write it
    assert exif_orientation(tiff(entry(0x112, 4, 1, value, order), order=order)) == orientation


def test_other_tags_may_hold_anything() -> None:
    upright = entry(0x112, 3, 1, b"\6\0")
    for damage in (
        entry(0x11A, 2, 3, b"72"),
        entry(0x11A, 7, 4, b"\xff" * 4),
        entry(0x11A, 4, 1, b"\xff" * 4),
        entry(0x11A, 12, 2**32 - 1, b"\xff" * 4),
    ):
        assert exif_orientation(tiff(upright, damage)) == 6


@pytest.mark.parametrize(
    "damaged",
    [
        b"",
        b"II*\0",
        b"XX*\0\x08\0\0\0",
        b"II*\0\xff\xff\xff\xff",
        b"II*\0\x08\0\0\0\xff\xff",
        tiff(entry(0x112, 3, 1, b"\x09\0")),
        tiff(entry(0x112, 3, 1, b"\0\0")),
        tiff(entry(0x112, 2, 1, b"6")),
        tiff(entry(0x112, 4, 1, b"\xff\xff\xff\xff")),
    ],
)
def test_a_damaged_orientation_is_upright(damaged: bytes) -> None:
    assert exif_orientation(damaged) == 1


def test_exif_behind_much_else_and_xmp_alone_are_found() -> None:
    exif = segment(0xE1, b"Exif\0\0" + tiff(entry(0x112, 3, 1, b"\6\0")))
    xmp = segment(0xE1, b'http://ns.adobe.com/xap/1.0/\0<x tiff:Orientation="8"/>')
    tag = segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0<tiff:Orientation>3</tiff:Orientation>")
    far = segment(0xE2, bytes(60_000)) * 3
    for before, orientation in ((far + exif, 6), (xmp, 8), (tag, 3), (exif + xmp, 6), (far, 1)):
        assert read_header(head(before=before)).orientation == orientation  # type: ignore[union-attr]
