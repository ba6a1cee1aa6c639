"""One photograph as a square of pixels: decoded, turned upright, in RGB, resized.

Ordinary JPEGs are decoded by libjpeg-turbo (simplejpeg), which scales large ones while it decodes
them, and everything else by Pillow. All are resized by PyTorch, which agrees with Pillow's bilinear
filter within a grey level and takes a quarter of its time.
"""

import operator
import os
import stat
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

import numpy as np
import simplejpeg
import torch
from PIL import Image
from torch.nn import functional

from cnnlib.photos.jpeg import read_header
from cnnlib.photos.levels import UNKNOWN, Levels
from cnnlib.photos.unreadable import REMOVE, UnreadableError, explained
from cnnlib.pixels.upright import upright

# Part of the name of what is kept: another decoder gives other pixels.
DECODER = "-".join(["4", *map(version, ("simplejpeg", "pillow", "torch"))])


def decode(file: Path, image_size: int, levels: Levels = UNKNOWN) -> np.ndarray:
    """One photograph upright in RGB, squeezed to a square, (image_size, image_size, 3) uint8.

    `levels` says what is white in photographs of more than 8 bits. Raises UnreadableError where it
    cannot be decoded, whatever the decoder says.
    """
    data = b""
    try:
        data = _content(file)
        return resized(_upright(data, image_size, levels), image_size)
    except UnreadableError:
        raise
    except Exception as error:  # decoders raise anything; it is this photograph's
        raise explained(error, data) from error


@contextmanager
def without_warnings() -> Iterator[None]:
    """Pillow warns of what it mends. For all threads, so it is entered before there are several."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        Image.preinit()  # here, because two threads would load its plugins twice
        yield


def _content(file: Path) -> bytes:
    if not stat.S_ISREG(os.stat(file).st_mode):  # a pipe or a device would be read for ever
        raise UnreadableError("not a regular file", REMOVE)
    return file.read_bytes()


def _upright(data: bytes, image_size: int, levels: Levels) -> np.ndarray:
    """The photograph upright in RGB, (H, W, 3) uint8, perhaps scaled down."""
    header = read_header(data)
    if header and header.is_ordinary and (image := _jpeg(data, image_size)) is not None:
        return _turned(image, header.orientation)
    return np.array(upright(data, levels))


def _jpeg(data: bytes, image_size: int) -> np.ndarray | None:
    """A JPEG in RGB at twice `image_size` at least where it has it; None is for Pillow to say."""
    try:
        # Its option fastdct is 3% faster and changes pixels by one level on average.
        return simplejpeg.decode_jpeg(data, min_height=2 * image_size, min_width=2 * image_size)
    except ValueError:  # bytes after the end, torn
        return None


def _turned(image: np.ndarray, orientation: int) -> np.ndarray:
    """(H, W, 3) upright: as _TURNS, of an array."""
    if orientation in (5, 6, 7, 8):
        image = image.transpose(1, 0, 2)
    if orientation in (3, 4, 7, 8):
        image = image[::-1]
    if orientation in (2, 3, 6, 7):
        image = image[:, ::-1]
    return np.ascontiguousarray(image)


def resized(image: np.ndarray, image_size: int) -> np.ndarray:
    """(H, W, 3) uint8 squeezed to (image_size, image_size, 3), each pixel a mean of what it covers.

    Bilinear with antialiasing, as Pillow's Image.resize and torchvision's Resize.
    """
    if image.shape[:2] == (image_size, image_size):
        return image
    photograph = torch.from_numpy(image)[None].permute(0, 3, 1, 2)  # channels last, and stay so
    side = (image_size, image_size)
    small = functional.interpolate(photograph, side, mode="bilinear", antialias=True)
    return np.ascontiguousarray(small[0].permute(1, 2, 0).numpy())


def image_side(image_size: int | Sequence[int]) -> int:
    """The side of images in pixels, of `image_size=224` or, as the study wrote it, (224, 224)."""
    given = image_size if isinstance(image_size, Sequence) else [image_size]
    try:
        sides = [operator.index(side) for side in given]
    except TypeError:
        sides = []
    if len(sides) not in (1, 2):
        raise ValueError(f"image_size: {image_size!r} is not a whole number or two of them")
    if len({*sides}) > 1:
        raise ValueError(
            f"image_size: {tuple(sides)} is not square; photographs are squeezed into a square "
            f"whatever their shape, so give one side: image_size={min(sides)}"
        )
    if sides[0] < 2:
        raise ValueError(f"image_size: {sides[0]} is not at least 2")
    return sides[0]
