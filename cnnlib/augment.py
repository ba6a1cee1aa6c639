"""Random crops, flips and colours on whole batches, with other parameters for each image.

`draw_views` draws the parameters, and two ways apply them: compiled loops on the CPU, which gather,
augment and normalise in one pass, and batch operations of torch on a GPU.
"""

from dataclasses import astuple, dataclass

import numba
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

MEAN = (0.485, 0.456, 0.406)  # of ImageNet, for images of 0 to 1
STD = (0.229, 0.224, 0.225)

CROP_AREA = (0.4, 1.0)  # share of the image that a crop keeps
CROP_RATIO = (3 / 4, 4 / 3)  # its width over its height
CROP_ATTEMPTS = 10  # until one fits into the image, as in torchvision
COLOUR = 0.2  # brightness, contrast and saturation are multiplied by 1 - COLOUR to 1 + COLOUR
LUMINANCE = (0.299, 0.587, 0.114)  # of red, green and blue (ITU-R 601), as in torchvision


@dataclass(frozen=True)
class Views:
    """How each image of a batch is seen; every field is (N,) float32.

    The crop is in shares of the image; `mirror` is 1 or 0; the others are factors, applied in their
    order, each followed by clamping to 0 to 1.
    """

    left: np.ndarray
    top: np.ndarray
    width: np.ndarray
    height: np.ndarray
    mirror: np.ndarray
    brightness: np.ndarray
    contrast: np.ndarray
    saturation: np.ndarray


def draw_views(N: int, generator: torch.Generator) -> Views:
    """Random views of N images: crop, flip half of them, colours."""

    def uniform(low: float, high: float, *shape: int) -> np.ndarray:
        return (torch.rand(*shape, N, generator=generator) * (high - low) + low).numpy()

    area = uniform(*CROP_AREA, CROP_ATTEMPTS)
    ratio = np.exp(uniform(*np.log(CROP_RATIO), CROP_ATTEMPTS))
    width, height = np.sqrt(area * ratio), np.sqrt(area / ratio)
    fitting = ((width <= 1) & (height <= 1)).argmax(0), np.arange(N)  # the first that fits
    width, height = width[fitting].clip(max=1), height[fitting].clip(max=1)
    factors = [uniform(1 - COLOUR, 1 + COLOUR) for _ in range(3)]
    return Views(
        left=uniform(0, 1) * (1 - width),
        top=uniform(0, 1) * (1 - height),
        width=width,
        height=height,
        mirror=(uniform(0, 1) < 0.5).astype(np.float32),
        brightness=factors[0],
        contrast=factors[1],
        saturation=factors[2],
    )


def normalised(images: Tensor) -> Tensor:
    """Images of 0 to 1 with ImageNet's mean and deviation taken out, (N, 3, H, W)."""
    mean = torch.tensor(MEAN, device=images.device).view(3, 1, 1)
    std = torch.tensor(STD, device=images.device).view(3, 1, 1)
    return (images - mean) / std


def viewed(images: Tensor, views: Views) -> Tensor:
    """The views of images of 0 to 1, (N, 3, H, W): torch's operations, on the images' device."""
    left, top, width, height, mirror, *factors = (
        torch.from_numpy(values).to(images.device) for values in astuple(views)
    )
    zero = torch.zeros_like(left)
    across = torch.stack([width * (1 - 2 * mirror), zero, 2 * left + width - 1], 1)
    down = torch.stack([zero, height, 2 * top + height - 1], 1)
    grid = F.affine_grid(torch.stack([across, down], 1), list(images.shape), align_corners=False)
    images = F.grid_sample(images, grid, padding_mode="border", align_corners=False)
    brightness, contrast, saturation = (factor.view(-1, 1, 1, 1) for factor in factors)
    images = (images * brightness).clamp(0, 1)
    grey = luminance(images).mean((1, 2, 3), keepdim=True)
    images = torch.lerp(grey, images, contrast).clamp(0, 1)
    return torch.lerp(luminance(images), images, saturation).clamp(0, 1)


def luminance(images: Tensor) -> Tensor:
    """The grey of each pixel, (N, 1, H, W)."""
    weights = torch.tensor(LUMINANCE, device=images.device, dtype=images.dtype)
    return torch.einsum("nchw,c->nhw", images, weights).unsqueeze(1)


def normalised_batch(pixels: np.ndarray, chosen: np.ndarray, views: Views | None) -> Tensor:
    """Chosen images of `pixels` (all, H, W, 3) uint8, seen so and normalised, on the CPU.

    (N, 3, H, W) float32, channels last: in one pass what `normalised(viewed(...))` does,
    within a twentieth of a grey level.
    """
    N, (H, W) = len(chosen), pixels.shape[1:3]
    out = np.empty((N, H, W, 3), dtype=np.float32)
    scale = (1 / (255 * np.array(STD))).astype(np.float32)
    shift = (-np.array(MEAN) / np.array(STD)).astype(np.float32)
    rows = np.asarray(pixels).reshape(len(pixels), H, W * 3)
    if views is None:
        _normalise(rows, chosen, scale, shift, out)
    else:
        _view(rows, chosen, np.stack(astuple(views), 1), scale, shift, out)
    return torch.from_numpy(out).permute(0, 3, 1, 2)


@numba.njit(nogil=True, cache=True, fastmath=True)
def _normalise(rows, chosen, scale, shift, out):  # type: ignore[no-untyped-def]
    """Gathers rows[chosen] and normalises it into `out`."""
    for n in range(len(chosen)):
        for y in range(out.shape[1]):
            row = rows[chosen[n], y]
            for x in range(out.shape[2]):
                for c in range(3):
                    out[n, y, x, c] = np.float32(row[3 * x + c]) * scale[c] + shift[c]


@numba.njit(nogil=True, cache=True, fastmath=True)
def _view(rows, chosen, parameters, scale, shift, out):  # type: ignore[no-untyped-def]
    """Gathers rows[chosen], shows each as its parameters say and normalises it into `out`."""
    H, W = out.shape[1], out.shape[2]
    full, none = np.float32(255), np.float32(0)
    red, green, blue = np.float32(0.299), np.float32(0.587), np.float32(0.114)
    line = np.empty(3 * W, np.float32)
    columns, parts = np.empty(W, np.int64), np.empty(W, np.float32)
    for n in range(len(chosen)):
        left, top, width, height, mirror, brightness, contrast, saturation = parameters[n]
        for x in range(W):
            place = W - 1 - x if mirror else x
            at = (left + (place + 0.5) / W * width) * W - 0.5
            at = min(max(at, 0.0), W - 1.0)
            columns[x] = 3 * min(int(at), W - 2)
            parts[x] = at - columns[x] // 3
        greys = 0.0
        for y in range(H):
            at = (top + (y + 0.5) / H * height) * H - 0.5
            at = min(max(at, 0.0), H - 1.0)
            above = min(int(at), H - 2)
            lower = np.float32(at - above) * brightness
            upper = brightness - lower
            first, second = rows[chosen[n], above], rows[chosen[n], above + 1]
            for i in range(3 * W):
                line[i] = np.float32(first[i]) * upper + np.float32(second[i]) * lower
            row_grey = none
            for x in range(W):
                i, part = columns[x], parts[x]
                r = min(line[i] + (line[i + 3] - line[i]) * part, full)
                g = min(line[i + 1] + (line[i + 4] - line[i + 1]) * part, full)
                b = min(line[i + 2] + (line[i + 5] - line[i + 2]) * part, full)
                out[n, y, x, 0], out[n, y, x, 1], out[n, y, x, 2] = r, g, b
                row_grey += red * r + green * g + blue * b
            greys += row_grey  # type: ignore[assignment]
        mean = np.float32(greys / (H * W)) * (1 - contrast)
        for y in range(H):
            for x in range(W):
                r = min(max(out[n, y, x, 0] * contrast + mean, none), full)
                g = min(max(out[n, y, x, 1] * contrast + mean, none), full)
                b = min(max(out[n, y, x, 2] * contrast + mean, none), full)
                grey = (red * r + green * g + blue * b) * (1 - saturation)
                out[n, y, x, 0] = min(max(r * saturation + grey, none), full) * scale[0] + shift[0]
                out[n, y, x, 1] = min(max(g * saturation + grey, none), full) * scale[1] + shift[1]
                out[n, y, x, 2] = min(max(b * saturation + grey, none), full) * scale[2] + shift[2]
