"""Outlines of the sample's ten creatures: painted polygons, in another pose each time."""

import math

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

Array = NDArray[np.floating]
Number = float | Array
Points = NDArray[np.complex128]  # x + iy, y down: turning is multiplying; creatures span -1 to 1
Part = tuple[str, Points]  # the paint and the polygon that it fills
BODY, ACCENT, DARK = "#f00", "#0f0", "#00f"  # paints: one channel each of an RGB stencil
CIRCLE = np.exp(2j * np.pi * np.arange(20) / 20)


def oval(x: Number, y: Number, a: Number, b: Number, turn: Number = 0.0) -> Points:
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


def frog(rng: Generator) -> list[Part]:
    hind = _limb(0.34, 0.12, (0.4, 0.45), (0.9, 0.1), (0.6, 0.75), (1.0, 0.9))
    front = _limb(0.24, 0.12, (0.4, -0.2), (0.75, -0.1), (0.9, -0.5))
    torso = [(BODY, oval(0, 0.2, 0.55, 0.6)), (BODY, oval(0, -0.4, 0.48, 0.36))]
    eyes = _pairs((ACCENT, oval(0.3, -0.66, 0.19, 0.19)), (DARK, oval(0.3, -0.68, 0.1, 0.1)))
    return _pairs((BODY, hind), (BODY, front)) + torso + eyes


def starfish(rng: Generator) -> list[Part]:
    turns = np.arange(0, 2 * np.pi - 0.1, 2 * np.pi / rng.integers(5, 7))
    tips = [(math.cos(turn), math.sin(turn)) for turn in turns]
    arms = [_limb(0.75, 0.12, (0, 0), (0.5 * x, 0.5 * y), (x, y)) for x, y in tips]
    return [(BODY, arm) for arm in arms] + [(ACCENT, oval(0, 0, 0.16, 0.16))]


def spider(rng: Generator) -> list[Part]:
    feet = np.array([-1.0, -0.4, 0.3, 0.9]) + rng.uniform(-0.15, 0.15, 4)
    legs = [_limb(0.13, 0.07, (0.1, -0.1), (0.55, 0.7 * y - 0.2), (1.0, y)) for y in feet]
    body = [(BODY, oval(0, -0.28, 0.24, 0.24)), (BODY, oval(0, 0.3, 0.36, 0.42))]
    return _pairs(*((ACCENT, leg) for leg in legs)) + body


def bird(rng: Generator) -> list[Part]:
    tail, neck = rng.uniform(-0.2, 0.4), rng.uniform(-0.62, -0.42)
    beak = _limb(0.24, 0.02, (-0.7, neck), (-1.1, neck + 0.06))
    legs = [(ACCENT, _limb(0.09, 0.07, (x, 0.3), (x, 0.95))) for x in (-0.14, 0.09)]
    torso = [(BODY, _limb(0.4, 0.24, (0.3, 0.1), (1.15, tail))), (BODY, oval(0, 0.05, 0.62, 0.4))]
    head = [(BODY, oval(-0.48, neck, 0.29, 0.27)), (ACCENT, beak)]
    return [*legs, *torso, *head, (DARK, oval(-0.54, neck - 0.06, 0.07, 0.07))]


def mushroom(rng: Generator) -> list[Part]:
    dome = oval(0, 0, rng.uniform(0.65, 0.95), rng.uniform(0.6, 0.95))
    dome.imag[dome.imag > 0] *= 0.2
    return [(ACCENT, _limb(0.34, 0.46, (0, 0), (rng.uniform(-0.2, 0.2), 0.98))), (BODY, dome)]


def butterfly(rng: Generator) -> list[Part]:
    upper = oval(rng.uniform(0.45, 0.6), -0.36, 0.62, 0.36, -0.6)
    lower = oval(0.46, 0.42, 0.42, 0.34, 0.6)
    feeler = _limb(0.06, 0.04, (0.0, -0.45), (0.1, -0.7), (0.3, -0.95))
    body = [(ACCENT, oval(0, 0, 0.12, 0.58)), (DARK, oval(0, -0.5, 0.12, 0.12))]
    return _pairs((BODY, lower), (BODY, upper), (DARK, feeler)) + body


def quadruped(rng: Generator) -> list[Part]:
    hips, y = np.array([-0.5, -0.28, 0.32, 0.55]), rng.uniform(-0.6, -0.25)
    feet = hips + rng.uniform(-0.14, 0.14, 4)
    legs = [_limb(0.22, 0.13, (hip, 0), (foot, 0.85)) for hip, foot in zip(hips, feet, strict=True)]
    tail = _limb(0.15, 0.07, (0.6, -0.1), (0.9, -0.2), (1.05, rng.uniform(-0.6, 0.4)))
    neck = _limb(0.42, 0.36, (-0.5, -0.05), (-0.8, y))
    head = oval(-0.82, y, 0.3, 0.23, -0.2)
    ear, nose = oval(-0.68, y - 0.26, 0.1, 0.2, 0.3), oval(-1.04, y + 0.07, 0.12, 0.11)
    body = [*legs, tail, oval(0, 0, 0.72, 0.36), neck, head]
    face = [(ACCENT, ear), (ACCENT, nose), (DARK, oval(-0.85, y - 0.06, 0.06, 0.06))]
    return [(BODY, points) for points in body] + face


def snail(rng: Generator) -> list[Part]:
    size = rng.uniform(0.5, 0.66)
    foot = _limb(0.2, 0.32, (1.05, 0.68), (0.3, 0.58), (-0.5, 0.6), (-0.9, 0.2))
    horns = [(ACCENT, _limb(0.08, 0.06, (-0.88, 0.3), (x, -0.2))) for x in (-0.8, -1.1)]
    eyes = [(DARK, oval(x, -0.22, 0.07, 0.07)) for x in (-0.8, -1.1)]
    return [*horns, *eyes, (ACCENT, foot), (BODY, oval(0.15, 0.55 - size, size, size * 0.95))]


def flower(rng: Generator) -> list[Part]:
    turns = np.arange(0, 2 * np.pi - 0.1, 2 * np.pi / rng.integers(5, 10))
    width = rng.uniform(0.2, 0.32)
    petals = [oval(0.55 * math.cos(t), 0.55 * math.sin(t), 0.45, width, t) for t in turns]
    return [(BODY, petal) for petal in petals] + [(ACCENT, oval(0, 0, 0.27, 0.27))]


def snake(rng: Generator) -> list[Part]:
    x = np.linspace(-0.95, 1.0, 14)
    y = rng.uniform(0.3, 0.5) * np.sin(x * rng.uniform(3.5, 5.0) + rng.uniform(0, 6.3))
    body = [(BODY, _limb(0.4, 0.06, *zip(x, y, strict=True))), (BODY, oval(-1, y[0], 0.26, 0.21))]
    return body + [(DARK, oval(-1.06, y[0] + side, 0.06, 0.06)) for side in (-0.1, 0.1)]
