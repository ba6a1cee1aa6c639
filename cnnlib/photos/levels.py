"""Photographs of more than 8 bits: which they are, and which value is white in a whole set of them.

A file of 16 bits may use 8, 10, 12, 14 or 16 of them, and real numbers may end at 1 or at 255; no
single photograph tells, and one scale for each would make them all equally bright. So the largest
value of the set decides, for all.
"""

import io
import math
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageFile, TiffImagePlugin

from cnnlib.photos.folders import listed

BITS = (8, 10, 12, 14, 16)  # that cameras and microscopes use
_DOUBTFUL = 16.0  # real numbers that end between 1 and this: neither 0 to 1 nor 0 to 255
_CONTRAST = 2  # levels of 255: a photograph of fewer shows nothing
_OPAQUE = 65535  # in the last of 2 or 4 channels
_PNG = b"\x89PNG\r\n\x1a\n"
_PHOTOMETRIC, _WHITE_IS_ZERO = 262, 0  # of TIFF's tags


@dataclass(frozen=True)
class Range:
    """The values of one photograph of more than 8 bits."""

    kind: str  # whole or real
    low: float
    high: float  # NaN as `low` where a value is not finite


@dataclass(frozen=True)
class Levels:
    """The value that is white, for whole numbers of 16 or 32 bits and for real ones.

    None: no photograph of the set has such values, so that each decides for itself.
    """

    whole: int | None = None
    real: int | None = None

    @property
    def key(self) -> str:
        """For the name of what is kept; empty for a set of 8 bits."""
        whites = {"whole": self.whole, "real": self.real}
        return "".join(f"-{kind}{white}" for kind, white in whites.items() if white is not None)

    def told(self) -> dict[str, int]:
        """What is white, for people to read; empty for a set of 8 bits."""
        whites = {"16 or 32 bits": self.whole, "real numbers": self.real}
        return {kind: white for kind, white in whites.items() if white is not None}

    def to_bytes(self, values: np.ndarray) -> np.ndarray:
        """Deep values as RGB, (H, W, 3) uint8: white is 255, what is transparent is white."""
        channels = values if values.ndim == 3 else values[..., None]
        opaque = None
        if channels.shape[2] in (2, 4):
            opaque = channels[..., -1:].astype(np.float32) / _OPAQUE
            channels = channels[..., :-1]
        is_real = values.dtype.kind == "f"
        white = self.real if is_real else self.whole
        if white is None:
            white = _white(float(channels.max(initial=0)), is_real=is_real)
        levels = channels.astype(np.float32) * np.float32(255 / white)
        if opaque is not None:
            levels = levels * opaque + 255 * (1 - opaque)
        levels = np.nan_to_num(levels, nan=0).round().clip(0, 255).astype(np.uint8)
        return np.ascontiguousarray(np.broadcast_to(levels, (*levels.shape[:2], 3)))


UNKNOWN = Levels()


def deep_values(image: Image.Image, data: bytes) -> np.ndarray | None:
    """An image's values where they have more than 8 bits; None for an ordinary one.

    `image` is `data`, opened and not yet loaded. (H, W) for grey, (H, W, channels) with the
    opacity last where there is some, whole or real.
    """
    if low := _raw_form_of_low_bytes(image):
        with Image.open(io.BytesIO(data)) as other:
            _set_raw_form(other, low)
            return np.asarray(image).astype(np.uint16) << 8 | np.asarray(other)
    if not _is_deep_grey(image):
        return None
    values = np.asarray(image)
    if image.mode == "F":
        return values
    if isinstance(image, TiffImagePlugin.TiffImageFile) and image.mode.startswith("I;16"):
        values = 65535 - values if image.tag_v2.get(_PHOTOMETRIC) == _WHITE_IS_ZERO else values
    clear = image.info.get("transparency")
    if isinstance(clear, int):
        values = np.dstack([values, np.where(values == clear, 0, _OPAQUE)])
    return values


def _is_deep_grey(image: Image.Image) -> bool:
    return image.mode in ("I", "F") or image.mode.startswith("I;16")


def _raw_form_of_low_bytes(image: Image.Image) -> str | None:
    """How Pillow would read the low bytes of a colour image of 16 bits; None for any other.

    It gives the high bytes alone; told the other order of bytes, it gives the low ones.
    """
    tile = getattr(image, "tile", None)
    if not tile or image.mode not in ("RGB", "RGBA"):
        return None
    args = tile[0].args or ("",)
    form = args if isinstance(args, str) else args[0]
    match = re.fullmatch(r"(RGB|RGBA|RGBX);16([BLN])", str(form))
    if not match:
        return None
    native = "L" if sys.byteorder == "little" else "B"
    order = match[2].replace("N", native)
    return f"{match[1]};16{'L' if order == 'B' else 'B'}"


def _set_raw_form(image: Image.Image, form: str) -> None:
    assert isinstance(image, ImageFile.ImageFile)
    image.tile = [
        tile._replace(args=form if isinstance(tile.args, str) else (form, *(tile.args or ())[1:]))
        for tile in image.tile
    ]


def may_be_deep(head: bytes) -> bool:
    """Whether a file that begins with these 26 bytes or more is worth opening to know."""
    if head.startswith(_PNG):
        return head[24:25] == b"\x10"
    return not head.startswith((b"\xff\xd8\xff", b"GIF8", b"RIFF"))


def value_range(path: Path) -> Range | None:
    """The values of a photograph; None for one of 8 bits. Raises whatever Pillow does."""
    data = path.read_bytes()
    with Image.open(io.BytesIO(data)) as image:
        values = deep_values(image, data)
    if values is None:
        return None
    if values.ndim == 3 and values.shape[2] in (2, 4):
        values = values[..., :-1]
    kind = "real" if values.dtype.kind == "f" else "whole"
    if values.size == 0 or not np.isfinite(values).all():
        return Range(kind, math.nan, math.nan)
    return Range(kind, float(values.min()), float(values.max()))


def levels_of(ranges: Mapping[str, Range]) -> tuple[Levels, list[str]]:
    """What is white for a set of photographs, by their names; and lines that say so.

    Raises ValueError where the values cannot be told to be brightness.
    """
    faults = {
        "that are infinite or no numbers": [f for f, r in ranges.items() if math.isnan(r.low)],
        "below 0": [file for file, found in ranges.items() if found.low < 0],
    }
    for kind, wrong in faults.items():
        if wrong:
            raise ValueError(
                f"{len(wrong)} photographs hold values {kind}: {listed(wrong)}; "
                "scale them to whole numbers from 0, or to 0 to 1"
            )
    whites: dict[str, int] = {}
    lines: list[str] = []
    for kind in ("whole", "real"):
        some = {file: found for file, found in ranges.items() if found.kind == kind}
        if some:
            whites[kind], said = _white_of(kind, some)
            lines += said
    return Levels(**whites), lines


def _white_of(kind: str, ranges: Mapping[str, Range]) -> tuple[int, list[str]]:
    high = max(found.high for found in ranges.values())
    is_real = kind == "real"
    if is_real and 1 < high < _DOUBTFUL:
        brightest = [file for file, found in ranges.items() if found.high > 1]
        raise ValueError(
            f"photographs in real numbers end at {high:g}, neither at 1 nor at 255: "
            f"{listed(brightest)}; scale them to 0 to 1"
        )
    white = _white(high, is_real=is_real)
    what = "real numbers" if is_real else "more than 8 bits"
    lines = [
        f"{len(ranges):,} photographs are in {what}, up to {high:,g}: {white:,} is taken for white"
    ]
    flat = [f for f, found in ranges.items() if (found.high - found.low) * 255 / white < _CONTRAST]
    if flat:
        lines.append(
            f"{len(flat):,} of them have a contrast of less than {_CONTRAST} levels of 255, so "
            f"they show nothing: {listed(flat)}"
        )
    return white, lines


def _white(high: float, *, is_real: bool) -> int:
    """The largest value that numbers up to `high` are likely to have: 1, 255, 1023, ... 65535."""
    if is_real and high <= 1:
        return 1
    bits = next((bits for bits in BITS if high < 2**bits), math.ceil(high).bit_length())
    return 2**bits - 1
