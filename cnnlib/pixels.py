"""The photographs of a data set as one array of pixels, decoded once per machine.

The array is a memory map in the cache folder, shared by all trials of the machine through the page
cache. Its name holds the fingerprint of the files, the size and the version of this decoder.
"""

import logging
import os
import uuid
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from cnnlib.dataset import Dataset
from cnnlib.download import cache_folder, exclusive

VERSION = 1
log = logging.getLogger(__name__)


def pixels(dataset: Dataset, split: str, image_size: int) -> np.ndarray:
    """The photographs of 'train' or 'test', (N, image_size, image_size, 3) uint8, read-only.

    Decoded on the first call on this machine. Raises ValueError that names photographs that cannot
    be decoded.
    """
    files = getattr(dataset, split).files
    folder = cache_folder() / "pixels"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{dataset.fingerprint}-{split}-{image_size}px-v{VERSION}.npy"
    if not path.exists():
        with exclusive(path):
            if not path.exists():
                _build(path, files, image_size)
    array = np.load(path, mmap_mode="r")
    assert array.shape == (len(files), image_size, image_size, 3), (path, array.shape)
    return array


def _build(path: Path, files: Sequence[Path], image_size: int) -> None:
    """Decodes all files into `path`, which appears only when it is complete."""
    log.info("decoding %d photographs to %d px", len(files), image_size)
    part = path.with_suffix(f".{uuid.uuid4().hex}.part")
    try:
        array = np.lib.format.open_memmap(
            part, mode="w+", dtype=np.uint8, shape=(len(files), image_size, image_size, 3)
        )

        def decode_into(index: int) -> str | None:
            try:
                array[index] = decode(files[index], image_size)
            except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
                return f"{files[index]} ({error})"
            return None

        with ThreadPoolExecutor(os.cpu_count()) as pool:  # Pillow decodes without the GIL
            broken = [text for text in pool.map(decode_into, range(len(files))) if text]
        if broken:
            more = f" and {len(broken) - 3} more" if len(broken) > 3 else ""
            raise ValueError(
                f"{len(broken)} photographs cannot be decoded: {', '.join(broken[:3])}{more}; "
                "remove or repair them"
            )
        array.flush()
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def decode(file: Path, image_size: int) -> np.ndarray:
    """One photograph upright in RGB, squeezed to a square, (image_size, image_size, 3) uint8."""
    with Image.open(file) as image:
        # A JPEG is scaled while it is decoded, to at least twice the size that resizing ends at.
        image.draft(None, (2 * image_size, 2 * image_size))
        upright = ImageOps.exif_transpose(image)
        resized = _rgb(upright).resize((image_size, image_size), Image.Resampling.BILINEAR)
    return np.asarray(resized)


def _rgb(image: Image.Image) -> Image.Image:
    """The image in RGB: 16 bits scaled down, transparency laid on white."""
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        values = np.asarray(image, dtype=np.float64)
        most = 255.0 if image.mode == "F" and values.max(initial=0) <= 255 else 65535.0
        levels = (values * (255.0 / most)).round().clip(0, 255)
        return Image.fromarray(levels.astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    return image.convert("RGB")
