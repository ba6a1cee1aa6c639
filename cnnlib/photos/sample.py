"""A generated data set of little nature pictures, so that every command runs with no download.

A photo shows a creature (outline, texture, colours) in a habitat. Each of these four traits is
mostly its own class's and sometimes another's, and colours, pose, light and sharpness vary widely:
no single trait tells the class, and no network reaches 100 %.
"""

import cmath
import colorsys
import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from uuid import uuid4

import numpy as np
from numpy.random import Generator
from PIL import Image, ImageColor, ImageDraw, ImageFilter

from cnnlib.photos import creatures
from cnnlib.photos.creatures import ACCENT, BODY, Array, Part, oval

VERSION = 1  # raise it when the pictures of a seed change
MARKER = "sample.json"
NUM_PHOTOS = {"train": 160, "val": 50}  # per class; val is the test set
SIDE_RANGE = (64, 76)  # pixels, drawn for width and height apart
JPEG_QUALITY = 85
OWN_TRAIT = {"outline": 0.9, "texture": 0.85, "colours": 0.6, "habitat": 0.5}  # else any class's
SUPERSAMPLING = 2  # outlines are drawn this much larger and then reduced, for smooth edges

# Textures, (H, W) around 0 from about -1 to 1, over the creature's own coordinates.
TEXTURES: dict[str, Callable[[Array, Array], Array]] = {
    "bars": lambda u, v: np.sin(14 * u + 3 * v),
    "blotches": lambda u, v: 2 * np.sin(8 * u + 2 * np.sin(5 * v)) * np.sin(7 * v + 2 * u),
    "chevrons": lambda u, v: np.sin(16 * v + 10 * np.abs(u)),
    "dots": lambda u, v: 1.5 * np.sin(13 * u) * np.sin(13 * v) - 0.5,
    "fur": lambda u, v: np.sin(32 * u + 3 * np.sin(9 * v + 5 * u)) * np.sin(13 * v + 5 * u),
    "petals": lambda u, v: 2.5 * np.hypot(u, v) - 1.5,
    "rings": lambda u, v: np.sin(16 * np.hypot(np.abs(u) - 0.5, np.abs(v) - 0.35)),
    "scales": lambda u, v: 2 * np.sin(17 * (u + v)) * np.sin(17 * (u - v)),
    "spiral": lambda u, v: np.sin(18 * np.hypot(u - 0.15, v) + np.arctan2(v, u - 0.15)),
    "spots": lambda u, v: 3 * np.sin(7 * u + 1) * np.sin(7 * v) - 1,
}


@dataclass(frozen=True)
class Look:
    """What is typical of one class."""

    outline: Callable[[Generator], list[Part]]
    tilt: float  # at most so many radians off upright; 3.2 where seen from above
    texture: str
    colours: tuple[str, str]  # body, accent
    habitat: tuple[str, str, str]  # ground between the first two, clutter in the third
    grain: tuple[int, int]  # lumps of the ground, down and across
    clutter: tuple[int, float, float, float]  # ovals: how many, half width, half height, turn


# fmt: off
LOOKS = {
    "Amphibia": Look(creatures.frog, 3.2, "blotches", ("#63a63a", "#d9b34c"),
                     ("#20403a", "#4d8070", "#3f8f4f"), (12, 3), (4, 0.2, 0.12, 0.3)),
    "Animalia": Look(creatures.starfish, 3.2, "dots", ("#d9653a", "#f2c46d"),
                     ("#2e5573", "#6ba3b3", "#b3a68c"), (9, 4), (12, 0.05, 0.04, 3.2)),
    "Arachnida": Look(creatures.spider, 3.2, "chevrons", ("#6b4a2e", "#40301f"),
                      ("#7a8c6b", "#ccc7ad", "#eeeeee"), (3, 3), (9, 0.7, 0.006, 3.2)),
    "Aves": Look(creatures.bird, 0.4, "bars", ("#5473a6", "#cc8a33"),
                 ("#7aa8cc", "#e4eef2", "#665040"), (6, 3), (2, 0.7, 0.03, 0.6)),
    "Fungi": Look(creatures.mushroom, 0.4, "spots", ("#a63228", "#e6dcb8"),
                  ("#33241a", "#73593f", "#8c5a26"), (14, 14), (8, 0.1, 0.05, 3.2)),
    "Insecta": Look(creatures.butterfly, 3.2, "rings", ("#e6a83a", "#594024"),
                    ("#5f8c46", "#bccc70", "#e6d0e0"), (4, 4), (6, 0.09, 0.09, 0.0)),
    "Mammalia": Look(creatures.quadruped, 0.3, "fur", ("#80613f", "#4d3a2e"),
                     ("#998054", "#ccbc85", "#8c8a40"), (5, 16), (25, 0.012, 0.16, 0.3)),
    "Mollusca": Look(creatures.snail, 0.4, "spiral", ("#cca685", "#998066"),
                     ("#b3a086", "#e0d5bf", "#8c8078"), (24, 24), (14, 0.04, 0.03, 3.2)),
    "Plantae": Look(creatures.flower, 3.2, "petals", ("#d973b8", "#e6c039"),
                    ("#1f4d1f", "#468c40", "#5fae50"), (6, 6), (10, 0.05, 0.2, 3.2)),
    "Reptilia": Look(creatures.snake, 3.2, "scales", ("#748040", "#b3a059"),
                     ("#736456", "#a68c74", "#59524d"), (16, 8), (6, 0.12, 0.08, 3.2)),
}
# fmt: on
CLASSES = tuple(LOOKS)


def _colour(rng: Generator, name: str) -> Array:
    """A colour near the named one, (3, 1, 1), from 0 to 1."""
    red, green, blue = (level / 255 for level in ImageColor.getrgb(name)[:3])
    hue, saturation, value = colorsys.rgb_to_hsv(red, green, blue)
    hue = (hue + rng.normal(0, 0.06)) % 1
    saturation, value = (min(1.0, x * rng.uniform(0.6, 1.3)) for x in (saturation, value))
    return np.array(colorsys.hsv_to_rgb(hue, saturation, value), np.float32)[:, None, None]


def _coverage(parts: Sequence[Part], size: tuple[int, int]) -> Array:
    """How much of each pixel each of the three paints covers, (3, H, W), for points in pixels."""
    stencil = Image.new("RGB", (size[0] * SUPERSAMPLING, size[1] * SUPERSAMPLING))
    draw = ImageDraw.Draw(stencil)
    for paint, points in parts:
        draw.polygon((points * SUPERSAMPLING).view(np.float64).tolist(), fill=paint)
    paints = np.asarray(stencil.reduce(SUPERSAMPLING)).transpose(2, 0, 1)
    return paints.astype(np.float32, order="C") / 255


def _ground(rng: Generator, look: Look, size: tuple[int, int]) -> Array:
    """The habitat without the creature, (3, H, W), from 0 to 1."""
    first, second, clutter = (_colour(rng, name) for name in look.habitat)
    lumps = Image.fromarray(rng.random(look.grain, dtype=np.float32))
    blend = np.asarray(lumps.resize(size, Image.Resampling.BICUBIC))
    image = first + (second - first) * blend
    count, across, down, turn = look.clutter
    draws = rng.uniform([0, 0, 0.6, -turn], [1, size[1] / size[0], 1.4, turn], (count, 4))
    x, y, scale, angle = draws.T[..., None]  # (count, 1) each
    ovals = oval(x, y, across * scale, down * scale, angle) * size[0]  # (count, P)
    plain, shaded, _ = _coverage(list(zip(cycle([BODY, ACCENT]), ovals)), size)
    image += (clutter - image) * (0.8 * plain)
    return image + (0.8 * clutter - image) * (0.6 * shaded)


def _creature(
    rng: Generator, outline: Look, texture: Look, colours: Look, *, size: tuple[int, int]
) -> tuple[Array, Array]:
    """The creature's colours (3, H, W) and how much of each pixel it covers (H, W)."""
    scale, turn = rng.uniform(0.26, 0.44) * min(size), rng.uniform(-outline.tilt, outline.tilt)
    pose = cmath.rect(scale, turn)
    wide, high = rng.uniform(0.85, 1.15) * (1 - 2 * rng.integers(2).item()), rng.uniform(0.85, 1.15)
    centre = complex(size[0] * rng.uniform(0.36, 0.64), size[1] * rng.uniform(0.36, 0.64))
    parts = [
        (paint, (points.real * wide + 1j * points.imag * high) * pose + centre)
        for paint, points in outline.outline(rng)
    ]
    body, accent, dark = _coverage(parts, size)
    pixels = np.arange(size[0], dtype=np.float32) + 1j * np.arange(size[1])[:, None]
    local = (pixels - centre).astype(np.complex64) * np.complex64(rng.uniform(0.8, 1.25) / pose)
    pattern = TEXTURES[texture.texture](local.real / wide, local.imag / high)
    first, second = (_colour(rng, name) for name in colours.colours)
    skin = first * (1 + np.float32(rng.uniform(0.3, 0.6)) * pattern.clip(-1, 1))
    return skin * body + second * accent + np.float32(0.08) * dark, body + accent + dark


def _photo(rng: Generator, own: str) -> Image.Image:
    """One photo of class `own`."""
    outline, texture, colours, habitat = (
        LOOKS[own if rng.random() < share else CLASSES[rng.integers(len(CLASSES))]]
        for share in OWN_TRAIT.values()
    )
    width, height = rng.integers(*SIDE_RANGE, 2, endpoint=True).tolist()
    ground = _ground(rng, habitat, (width, height))
    creature, cover = _creature(rng, outline, texture, colours, size=(width, height))
    solid = Image.fromarray((cover * 255).clip(0, 255).astype(np.uint8))
    soft = np.asarray(solid.filter(ImageFilter.BoxBlur(3))) * np.float32(1 / 255)
    image = ground * ((1 - 0.45 * np.roll(soft, (2, 1), axis=(0, 1))) * (1 - cover))  # shadow
    image += creature * (0.45 + 0.6 * soft)  # darker towards its edge: it looks round

    across, down = rng.uniform(-0.35, 0.35, 2)
    slope = across * np.linspace(-1, 1, width) + down * np.linspace(-1, 1, height)[:, None]
    image *= (rng.uniform(0.75, 1.2) * (1 + slope)).astype(np.float32)
    image += rng.uniform(0.01, 0.05) * rng.standard_normal((height, width), dtype=np.float32)
    levels = (image * 255).clip(0, 255).astype(np.uint8)
    picture = Image.fromarray(np.ascontiguousarray(levels.transpose(1, 2, 0)))
    return picture.filter(ImageFilter.BoxBlur(rng.uniform(0, 1.0)))


def _write_photos(draft: Path, seed: int) -> None:
    for split_number, (split, num_photos) in enumerate(NUM_PHOTOS.items()):
        for class_number, own in enumerate(CLASSES):
            (draft / split / own).mkdir(parents=True)
            for n in range(num_photos):
                rng = np.random.default_rng([seed, split_number, class_number, n])
                _photo(rng, own).save(draft / split / own / f"{n}.jpg", quality=JPEG_QUALITY)


def _is_there(folder: Path, marker: str) -> bool:
    """Whether the wanted sample is there already; ValueError where anything else is."""
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return False
    if not (folder / MARKER).is_file():
        raise ValueError(f"{folder}: exists and is not a sample (no {MARKER}); name another folder")
    found = (folder / MARKER).read_text().strip()
    if found != marker:
        raise ValueError(f"{folder}: holds sample {found}, not {marker}; delete it or name another")
    wanted, num_found = sum(NUM_PHOTOS.values()) * len(CLASSES), len(list(folder.glob("*/*/*.jpg")))
    if num_found != wanted:
        raise ValueError(f"{folder}: holds {num_found} of the sample's {wanted} photos; delete it")
    return True


def write_sample(folder: Path, seed: int = 0) -> Path:
    """`folder`, with the sample of this seed: train/<class>/<n>.jpg and val/<class>/<n>.jpg.

    The folder appears whole or not at all (a killed run leaves a hidden .<folder>-... beside it);
    where it is complete, nothing is written. ValueError if the folder holds anything else.
    """
    marker = json.dumps({"seed": seed, "version": VERSION})
    if _is_there(folder, marker):
        return folder
    draft = folder.with_name(f".{folder.name}-{uuid4().hex}")
    try:
        _write_photos(draft, seed)
        (draft / MARKER).write_text(marker + "\n")
        try:
            draft.rename(folder)
        except OSError:  # another process was faster
            if not _is_there(folder, marker):
                raise
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return folder
