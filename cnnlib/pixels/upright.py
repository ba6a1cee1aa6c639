"""A picture upright in RGB, by Pillow: turned as the camera was held, transparency on white."""

import io

from PIL import Image, ImageCms

from cnnlib.photos.jpeg import read_header
from cnnlib.photos.levels import UNKNOWN, Levels, deep_values

ORIENTATION = 0x0112  # of EXIF's tags
# What is done to show a photograph of each orientation upright.
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def upright(data: bytes, levels: Levels = UNKNOWN, *, side: int | None = None) -> Image.Image:
    """The picture whose file holds `data`; a JPEG perhaps smaller, but `side` pixels at least.

    Raises whatever Pillow does.
    """
    header = read_header(data)
    with Image.open(io.BytesIO(data)) as image:
        if side is not None:
            image.draft("RGB", (side, side))  # a JPEG decodes smaller, hence faster
        deep = deep_values(image, data)
        image.load()
        method = _TURNS.get(header.orientation if header else _orientation(image))
        rgb = _rgb(image) if deep is None else Image.fromarray(levels.to_bytes(deep))
        return rgb if method is None else rgb.transpose(method)


def _orientation(image: Image.Image) -> int:
    """What EXIF or XMP says; 1 where it is damaged."""
    try:
        return int(image.getexif().get(ORIENTATION, 1))
    except Exception:  # any of its tags may be damaged in any way
        return 1


def _rgb(image: Image.Image) -> Image.Image:
    """The image of 8 bits in RGB, transparency laid on white."""
    if image.has_transparency_data:
        image = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    if image.mode == "LAB":
        lab, srgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
        converted = ImageCms.profileToProfile(image, lab, srgb, outputMode="RGB")
        assert converted is not None  # it is not done in place
        return converted
    return image.convert("RGB")
