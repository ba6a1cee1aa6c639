"""Random crops, flips, colours and small turns on whole batches, other ones for each image.

`DRAW` draws how images are seen. Here torch shows them so, on any device; `compiled` does the same
in one pass on the CPU.
"""

import math
from collections.abc import Callable
from functools import lru_cache, partial
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

MEAN = (0.485, 0.456, 0.406)  # of ImageNet, for images of 0 to 1
STD = (0.229, 0.224, 0.225)

CROP_AREA = (0.4, 1.0)  # share of the image that a crop keeps
CROP_RATIO = (3 / 4, 4 / 3)  # its width over its height
CROP_ATTEMPTS = 10  # until one fits into the image, as in torchvision
COLOUR = 0.2  # brightness, contrast and saturation are multiplied by 1 - COLOUR to 1 + COLOUR
ANGLE = 10.0  # degrees, to either side
SHIFT = 0.05  # share of the side, in each direction
LUMINANCE = (0.299, 0.587, 0.114)  # of red, green and blue (ITU-R 601), as in torchvision


class Views(NamedTuple):
    """How each of N images is seen: resampled, and in which colours.

    `where` (N, 2, 3) leads from places in the view to places in the image, both from -1 to 1, as
    torch's affine_grid has it. `colours` (N, 3) are the factors of brightness, contrast and
    saturation, applied in this order, each followed by clamping to 0 to 1.
    """

    where: Tensor
    colours: Tensor


class Crops(NamedTuple):
    """Which square of each of N images is seen, pixel by pixel; all are (N,).

    `top` and `left` are pixels, `mirror` is a boolean.
    """

    top: Tensor
    left: Tensor
    mirror: Tensor


Seen = Views | Crops


def whole(N: int) -> Crops:
    """Every image as it is."""
    nothing = torch.zeros(N, dtype=torch.int64)
    return Crops(nothing, nothing, nothing.bool())


def draw_crops(N: int, generator: torch.Generator, *, margin: int) -> Crops:
    """Random crops of images that are `margin` px larger, half of them mirrored."""
    top, left = torch.randint(margin + 1, (2, N), generator=generator)
    return Crops(top, left, torch.rand(N, generator=generator) < 0.5)


def draw_views(
    N: int, generator: torch.Generator, *, margin: int = 0, turned: bool = False
) -> Views:
    """Random resized crops, half of them mirrored, in random colours; turned and shifted if asked.

    A view may take any part of the image, so it needs no `margin`.
    """

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        return torch.rand(*shape, N, generator=generator) * (high - low) + low

    area = uniform(*CROP_AREA, CROP_ATTEMPTS)
    ratio = uniform(math.log(CROP_RATIO[0]), math.log(CROP_RATIO[1]), CROP_ATTEMPTS).exp()
    width, height = (area * ratio).sqrt(), (area / ratio).sqrt()
    fitting = ((width <= 1) & (height <= 1)).int().argmax(0)  # the first that fits
    width, height = (sides[fitting, torch.arange(N)].clamp(max=1) for sides in (width, height))
    left, top = uniform(0, 1) * (1 - width), uniform(0, 1) * (1 - height)
    mirror = uniform(0, 1) < 0.5
    colours = torch.stack([uniform(1 - COLOUR, 1 + COLOUR) for _ in range(3)], 1)
    if not turned:
        return Views(places(left, top, width, height, mirror), colours)
    turn = {"angle": uniform(-ANGLE, ANGLE), "shift": uniform(-SHIFT, SHIFT, 2)}
    return Views(places(left, top, width, height, mirror, **turn), colours)


DRAW: dict[str, Callable[..., Seen]] = {
    "standard": draw_views,
    "light": draw_crops,
    "strong": partial(draw_views, turned=True),
}


def places(
    left: Tensor,
    top: Tensor,
    width: Tensor,
    height: Tensor,
    mirror: Tensor,
    angle: Tensor | float = 0.0,
    shift: Tensor | tuple[float, float] = (0.0, 0.0),
) -> Tensor:
    """Views.where of crops (in shares of the image) that are mirrored, then turned, then shifted.

    `angle` is in degrees, clockwise; `shift` (2, N) in shares of the view, to the right and down.
    """
    angle = torch.deg2rad(torch.as_tensor(angle)).expand_as(left)
    right, down = (2 * torch.as_tensor(shares).expand_as(left) for shares in shift)
    cos, sin = angle.cos(), angle.sin()
    across = torch.stack([cos, sin, -cos * right - sin * down], 1) * width[:, None]
    upright = torch.stack([-sin, cos, sin * right - cos * down], 1) * height[:, None]
    where = torch.stack([torch.where(mirror[:, None], -across, across), upright], 1)
    where[:, :, 2] += torch.stack([2 * left + width - 1, 2 * top + height - 1], 1)
    return where


def shown(images: Tensor, seen: Seen, image_size: int) -> Tensor:
    """What is seen of images (N, H, W, 3) uint8: (N, 3, image_size, image_size) float32, 0 to 1."""
    if isinstance(seen, Crops):
        return _cropped(images, seen, image_size).permute(0, 3, 1, 2) / 255  # channels last
    return viewed(images.permute(0, 3, 1, 2) / 255, seen, image_size)


def _cropped(images: Tensor, crops: Crops, image_size: int) -> Tensor:
    side = torch.arange(image_size, device=images.device)
    columns = torch.where(crops.mirror[:, None], side.flip(0), side) + crops.left[:, None]
    rows = side + crops.top[:, None]
    which = torch.arange(len(images), device=images.device)[:, None, None]
    return images[which, rows[:, :, None], columns[:, None, :]]


def viewed(images: Tensor, views: Views, image_size: int) -> Tensor:
    """The views of images of 0 to 1, (N, 3, image_size, image_size)."""
    size = [len(images), 3, image_size, image_size]
    grid = F.affine_grid(views.where, size, align_corners=False)
    images = F.grid_sample(images, grid, padding_mode="border", align_corners=False)
    brightness, contrast, saturation = views.colours.T.reshape(3, -1, 1, 1, 1)
    images = (images * brightness).clamp(0, 1)
    grey = luminance(images).mean((1, 2, 3), keepdim=True)
    images = torch.lerp(grey, images, contrast).clamp(0, 1)
    return torch.lerp(luminance(images), images, saturation).clamp(0, 1)


def luminance(images: Tensor) -> Tensor:
    """The grey of each pixel, (N, 1, H, W)."""
    return torch.einsum("nchw,c->nhw", images, _constant(LUMINANCE, images.device)).unsqueeze(1)


def normalised(images: Tensor) -> Tensor:
    """Images of 0 to 1 with ImageNet's mean and deviation taken out, (N, 3, H, W)."""
    mean, std = (_constant(values, images.device).view(3, 1, 1) for values in (MEAN, STD))
    return (images - mean) / std


@lru_cache
def _constant(values: tuple[float, ...], device: torch.device) -> Tensor:
    """On the device once, because copying there makes a GPU wait."""
    return torch.tensor(values, device=device)
