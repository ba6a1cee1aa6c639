"""What the header of a JPEG says: what kind it is, and how the camera was held.

libjpeg-turbo can end the whole process on kinds that are valid and rare, so it gets only those that
`Header.is_ordinary` knows.
"""

import re
import struct
from dataclasses import dataclass

# Frames: SOF0 to SOF15 without DHT, JPG and DAC, which share their numbers.
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_ARITHMETIC, _HIERARCHICAL = 0xCC, 0xDE  # DAC, DHP
_SCAN, _END, _APP1 = 0xDA, 0xD9, 0xE1
_ALONE = frozenset((0x01, *range(0xD0, 0xD9)))  # markers without a length
_KINDS = {0xC0: "baseline", 0xC1: "extended", 0xC2: "progressive"}  # with Huffman codes
_RARE = {0xC3: "lossless", 0xC9: "arithmetic", 0xCA: "arithmetic", 0xCB: "lossless"}
_SAMPLINGS = {
    (1, 1),
    (2, 1),
    (1, 2),
    (2, 2),
    (4, 1),
    (1, 4),
}  # of brightness
_EXIF, _XMP = b"Exif\0", b"http://ns.adobe.com/xap/1.0/\0"
_XMP_ORIENTATION = re.compile(rb'tiff:Orientation(?:="|>)([1-8])')
_ORIENTATION = 0x0112


@dataclass(frozen=True)
class Header:
    """The frame of a JPEG, and the orientation that EXIF or else XMP tells, 1 for upright."""

    frame: int | None  # the second byte of its marker, 0xC0 for baseline; None: not found
    bits: int = 0  # of a sample
    height: int = 0
    width: int = 0
    samplings: tuple[tuple[int, int], ...] = ()  # across and down, of each component
    is_plain: bool = False  # one frame, every byte accounted for, Huffman codes
    orientation: int = 1

    @property
    def is_ordinary(self) -> bool:
        """8 bits in 1 or 3 components, baseline, extended or progressive, Huffman-coded."""
        first, *others = self.samplings or [(0, 0)]
        return (
            self.is_plain
            and self.frame in _KINDS
            and self.bits == 8
            and min(self.height, self.width) > 0
            and len(self.samplings) in (1, 3)
            and first in _SAMPLINGS
            and all(sampling == (1, 1) for sampling in others)
        )

    @property
    def kind(self) -> str:
        """In words: "progressive", "12-bit", "arithmetic", "CMYK"."""
        if self.frame in _RARE:
            return _RARE[self.frame]
        if self.bits not in (0, 8):
            return f"{self.bits}-bit"
        if len(self.samplings) == 4:
            return "CMYK"
        return _KINDS.get(self.frame or 0, "rare")


def read_header(data: bytes) -> Header | None:
    """The header of a JPEG; None where the bytes begin otherwise."""
    if not data.startswith(b"\xff\xd8\xff"):
        return None
    frame, is_plain, exif, xmp = Header(None), True, 1, 1
    position = 2
    while True:
        marker, start, end = _segment(data, position)
        if marker in (None, _SCAN, _END):
            break
        if marker in _FRAMES:
            is_plain &= frame.frame is None
            frame = _frame(marker, data[start:end])
        is_plain &= marker not in (_ARITHMETIC, _HIERARCHICAL)
        if marker == _APP1 and data.startswith(_EXIF, start):
            exif = exif_orientation(data[start + 6 : end]) if exif == 1 else exif
        if marker == _APP1 and data.startswith(_XMP, start):
            found = _XMP_ORIENTATION.search(data, start, end)
            xmp = int(found[1]) if found else xmp
        position = end
    return Header(
        frame.frame,
        frame.bits,
        frame.height,
        frame.width,
        frame.samplings,
        is_plain and marker == _SCAN,
        exif if exif != 1 else xmp,
    )


def _segment(data: bytes, position: int) -> tuple[int | None, int, int]:
    """The marker there, and where what it says begins and ends; None where there is none."""
    if data[position : position + 1] != b"\xff":
        return None, position, position
    while data[position : position + 1] == b"\xff":  # any number may fill a gap
        position += 1
    if position >= len(data):
        return None, position, position
    marker, start = data[position], position + 1
    if marker in _ALONE:
        return marker, start, start
    length = int.from_bytes(data[start : start + 2])
    if length < 2 or start + length > len(data):
        return None, start, start
    return marker, start + 2, start + length


def _frame(marker: int, content: bytes) -> Header:
    if len(content) < 6 or len(content) != 6 + 3 * content[5]:
        return Header(marker)
    bits, height, width, _ = struct.unpack(">BHHB", content[:6])
    samplings = tuple((both >> 4, both & 15) for both in content[7::3])
    return Header(marker, bits, height, width, samplings)


def exif_orientation(tiff: bytes) -> int:
    """The orientation in EXIF, from 1 to 8; 1 where it says none or is damaged.

    No other tag is looked at: whatever they hold costs no photograph.
    """
    order = {b"II": "<", b"MM": ">"}.get(tiff[:2])
    if order is None or len(tiff) < 8:
        return 1
    (place,) = struct.unpack_from(f"{order}L", tiff, 4)
    if place + 2 > len(tiff):
        return 1
    (count,) = struct.unpack_from(f"{order}H", tiff, place)
    for entry in range(place + 2, min(place + 2 + 12 * count, len(tiff) - 11), 12):
        tag, kind, number = struct.unpack_from(f"{order}HHL", tiff, entry)
        if tag == _ORIENTATION and number == 1 and kind in (3, 4):  # SHORT, LONG
            (value,) = struct.unpack_from(f"{order}{'H' if kind == 3 else 'L'}", tiff, entry + 8)
            return value if 1 <= value <= 8 else 1
    return 1
