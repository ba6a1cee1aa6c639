"""A generated data set of little nature pictures, so that every command runs with no download.

A photo shows a creature (outline, texture, colours) in a habitat. Each of these four traits is
mostly its own class's and sometimes another's, and colours, pose, light and sharpness vary widely:
no single trait tells the class, and no network reaches 100 %.
"""

import cmath
import colorsys
import json
import math
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from uuid import uuid4

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image, ImageColor, ImageDraw, ImageFilter

Array = NDArray[np.floating]
Number = float | Array
Points = NDArray[np.complex128]  # x + iy, y down: turning is multiplying; creatures span -1 to 1
Part = tuple[str, Points]  # the paint and the polygon that it fills
BODY, ACCENT, DARK = "#f00", "#0f0", "#00f"  # paints: one channel each of an RGB stencil
CIRCLE = np.exp(2j * np.pi * np.arange(20) / 20)

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


# The outlines of the ten creatures: painted polygons, in another pose each time.


def _oval(x: Number, y: Number, a: Number, b: Number, turn: Number = 0.0) -> Points:
    return x + 1j * y + (a * CIRCLE.real + 1j * b * CIRCLE.imag) * np.exp(1j * turn)


def _limb(width: float, tip: float, *joints: tuple[float, float]) -> Points:
    """A bent stroke along `joints` that narrows from `width` to `tip`."""
    line = np.array([complex(x, y) for x, y in joints])
    ahead = np.concatenate([line[1:], line[-1:]]) - np.concatenate([line[:1], line[:-1]])
    taper = width + (tip - width) * np.arange(len(line)) / (len(line) - 1)
    half = 0.5j * taper * ahead / np.abs(ahead)
    return np.concatenate([line + half, (line - half)[::-1]])


def _pairs(*parts: Part) -> list[Part]:
    """The parts and their mirror images, left and right of the creature's axis."""
    return [*parts, *((paint, -points.conj()) for paint, points in parts)]


def _frog(rng: Generator) -> list[Part]:
    hind = _limb(0.34, 0.12, (0.4, 0.45), (0.9, 0.1), (0.6, 0.75), (1.0, 0.9))
    front = _limb(0.24, 0.12, (0.4, -0.2), (0.75, -0.1), (0.9, -0.5))
    torso = [(BODY, _oval(0, 0.2, 0.55, 0.6)), (BODY, _oval(0, -0.4, 0.48, 0.36))]
    eyes = _pairs((ACCENT, _oval(0.3, -0.66, 0.19, 0.19)), (DARK, _oval(0.3, -0.68, 0.1, 0.1)))
    return _pairs((BODY, hind), (BODY, front)) + torso + eyes


def _starfish(rng: Generator) -> list[Part]:
    turns = np.arange(0, 2 * np.pi - 0.1, 2 * np.pi / rng.integers(5, 7))
    tips = [(math.cos(turn), math.sin(turn)) for turn in turns]
    arms = [_limb(0.75, 0.12, (0, 0), (0.5 * x, 0.5 * y), (x, y)) for x, y in tips]
    return [(BODY, arm) for arm in arms] + [(ACCENT, _oval(0, 0, 0.16, 0.16))]


def _spider(rng: Generator) -> list[Part]:
    feet = np.array([-1.0, -0.4, 0.3, 0.9]) + rng.uniform(-0.15, 0.15, 4)
    legs = [_limb(0.13, 0.07, (0.1, -0.1), (0.55, 0.7 * y - 0.2), (1.0, y)) for y in feet]
    body = [(BODY, _oval(0, -0.28, 0.24, 0.24)), (BODY, _oval(0, 0.3, 0.36, 0.42))]
    return _pairs(*((ACCENT, leg) for leg in legs)) + body


def _bird(rng: Generator) -> list[Part]:
    tail, neck = rng.uniform(-0.2, 0.4), rng.uniform(-0.62, -0.42)
    beak = _limb(0.24, 0.02, (-0.7, neck), (-1.1, neck + 0.06))
    legs = [(ACCENT, _limb(0.09, 0.07, (x, 0.3), (x, 0.95))) for x in (-0.14, 0.09)]
    torso = [(BODY, _limb(0.4, 0.24, (0.3, 0.1), (1.15, tail))), (BODY, _oval(0, 0.05, 0.62, 0.4))]
    head = [(BODY, _oval(-0.48, neck, 0.29, 0.27)), (ACCENT, beak)]
    return [*legs, *torso, *head, (DARK, _oval(-0.54, neck - 0.06, 0.07, 0.07))]


def _mushroom(rng: Generator) -> list[Part]:
    dome = _oval(0, 0, rng.uniform(0.65, 0.95), rng.uniform(0.6, 0.95))
    dome.imag[dome.imag > 0] *= 0.2
    return [(ACCENT, _limb(0.34, 0.46, (0, 0), (rng.uniform(-0.2, 0.2), 0.98))), (BODY, dome)]


def _butterfly(rng: Generator) -> list[Part]:
    upper = _oval(rng.uniform(0.45, 0.6), -0.36, 0.62, 0.36, -0.6)
    lower = _oval(0.46, 0.42, 0.42, 0.34, 0.6)
    feeler = _limb(0.06, 0.04, (0.0, -0.45), (0.1, -0.7), (0.3, -0.95))
    body = [(ACCENT, _oval(0, 0, 0.12, 0.58)), (DARK, _oval(0, -0.5, 0.12, 0.12))]
    return _pairs((BODY, lower), (BODY, upper), (DARK, feeler)) + body


def _quadruped(rng: Generator) -> list[Part]:
    hips, y = np.array([-0.5, -0.28, 0.32, 0.55]), rng.uniform(-0.6, -0.25)
    feet = hips + rng.uniform(-0.14, 0.14, 4)
    legs = [_limb(0.22, 0.13, (hip, 0), (foot, 0.85)) for hip, foot in zip(hips, feet, strict=True)]
    tail = _limb(0.15, 0.07, (0.6, -0.1), (0.9, -0.2), (1.05, rng.uniform(-0.6, 0.4)))
    neck = _limb(0.42, 0.36, (-0.5, -0.05), (-0.8, y))
    head = _oval(-0.82, y, 0.3, 0.23, -0.2)
    ear, nose = _oval(-0.68, y - 0.26, 0.1, 0.2, 0.3), _oval(-1.04, y + 0.07, 0.12, 0.11)
    body = [*legs, tail, _oval(0, 0, 0.72, 0.36), neck, head]
    face = [(ACCENT, ear), (ACCENT, nose), (DARK, _oval(-0.85, y - 0.06, 0.06, 0.06))]
    return [(BODY, points) for points in body] + face


def _snail(rng: Generator) -> list[Part]:
    size = rng.uniform(0.5, 0.66)
    foot = _limb(0.2, 0.32, (1.05, 0.68), (0.3, 0.58), (-0.5, 0.6), (-0.9, 0.2))
    horns = [(ACCENT, _limb(0.08, 0.06, (-0.88, 0.3), (x, -0.2))) for x in (-0.8, -1.1)]
    eyes = [(DARK, _oval(x, -0.22, 0.07, 0.07)) for x in (-0.8, -1.1)]
    return [*horns, *eyes, (ACCENT, foot), (BODY, _oval(0.15, 0.55 - size, size, size * 0.95))]


def _flower(rng: Generator) -> list[Part]:
    turns = np.arange(0, 2 * np.pi - 0.1, 2 * np.pi / rng.integers(5, 10))
    width = rng.uniform(0.2, 0.32)
    petals = [_oval(0.55 * math.cos(t), 0.55 * math.sin(t), 0.45, width, t) for t in turns]
    return [(BODY, petal) for petal in petals] + [(ACCENT, _oval(0, 0, 0.27, 0.27))]


def _snake(rng: Generator) -> list[Part]:
    x = np.linspace(-0.95, 1.0, 14)
    y = rng.uniform(0.3, 0.5) * np.sin(x * rng.uniform(3.5, 5.0) + rng.uniform(0, 6.3))
    body = [(BODY, _limb(0.4, 0.06, *zip(x, y, strict=True))), (BODY, _oval(-1, y[0], 0.26, 0.21))]
    return body + [(DARK, _oval(-1.06, y[0] + side, 0.06, 0.06)) for side in (-0.1, 0.1)]


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
    "Amphibia": Look(_frog, 3.2, "blotches", ("#63a63a", "#d9b34c"),
                     ("#20403a", "#4d8070", "#3f8f4f"), (12, 3), (4, 0.2, 0.12, 0.3)),
    "Animalia": Look(_starfish, 3.2, "dots", ("#d9653a", "#f2c46d"),
                     ("#2e5573", "#6ba3b3", "#b3a68c"), (9, 4), (12, 0.05, 0.04, 3.2)),
    "Arachnida": Look(_spider, 3.2, "chevrons", ("#6b4a2e", "#40301f"),
                      ("#7a8c6b", "#ccc7ad", "#eeeeee"), (3, 3), (9, 0.7, 0.006, 3.2)),
    "Aves": Look(_bird, 0.4, "bars", ("#5473a6", "#cc8a33"),
                 ("#7aa8cc", "#e4eef2", "#665040"), (6, 3), (2, 0.7, 0.03, 0.6)),
    "Fungi": Look(_mushroom, 0.4, "spots", ("#a63228", "#e6dcb8"),
                  ("#33241a", "#73593f", "#8c5a26"), (14, 14), (8, 0.1, 0.05, 3.2)),
    "Insecta": Look(_butterfly, 3.2, "rings", ("#e6a83a", "#594024"),
                    ("#5f8c46", "#bccc70", "#e6d0e0"), (4, 4), (6, 0.09, 0.09, 0.0)),
    "Mammalia": Look(_quadruped, 0.3, "fur", ("#80613f", "#4d3a2e"),
                     ("#998054", "#ccbc85", "#8c8a40"), (5, 16), (25, 0.012, 0.16, 0.3)),
    "Mollusca": Look(_snail, 0.4, "spiral", ("#cca685", "#998066"),
                     ("#b3a086", "#e0d5bf", "#8c8078"), (24, 24), (14, 0.04, 0.03, 3.2)),
    "Plantae": Look(_flower, 3.2, "petals", ("#d973b8", "#e6c039"),
                    ("#1f4d1f", "#468c40", "#5fae50"), (6, 6), (10, 0.05, 0.2, 3.2)),
    "Reptilia": Look(_snake, 3.2, "scales", ("#748040", "#b3a059"),
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
    ovals = _oval(x, y, across * scale, down * scale, angle) * size[0]  # (count, P)
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
