"""Random crops, flips and colours on whole batches, with other parameters for each image."""

import torch
import torch.nn.functional as F
from torch import Tensor

MEAN = (0.485, 0.456, 0.406)  # of ImageNet, for images of 0 to 1
STD = (0.229, 0.224, 0.225)

CROP_AREA = (0.4, 1.0)  # share of the image that a crop keeps
CROP_RATIO = (3 / 4, 4 / 3)  # its width over its height
COLOUR = 0.2  # brightness, contrast and saturation are multiplied by 1 - COLOUR to 1 + COLOUR
LUMINANCE = (0.299, 0.587, 0.114)  # of red, green and blue (ITU-R 601), as in torchvision


def normalised(images: Tensor) -> Tensor:
    """Images of 0 to 1 with ImageNet's mean and deviation taken out, (N, 3, H, W)."""
    mean = torch.tensor(MEAN, device=images.device).view(3, 1, 1)
    std = torch.tensor(STD, device=images.device).view(3, 1, 1)
    return (images - mean) / std


def augmented(images: Tensor, generator: torch.Generator) -> Tensor:
    """Images of 0 to 1, (N, 3, H, W), each cropped, perhaps flipped, and coloured at random."""
    return jittered(cropped(images, generator), generator)


def cropped(images: Tensor, generator: torch.Generator) -> Tensor:
    """A random crop of each image, scaled back to (N, 3, H, W), half of them mirrored."""
    N = len(images)

    def uniform(low: float, high: float) -> Tensor:
        return torch.rand(N, generator=generator) * (high - low) + low

    area = uniform(*CROP_AREA)
    ratio = torch.exp(uniform(*torch.tensor(CROP_RATIO).log().tolist()))
    width = (area * ratio).sqrt().clamp(max=1.0)  # shares of the image
    height = (area / ratio).sqrt().clamp(max=1.0)
    left = uniform(-1.0, 1.0) * (1 - width)  # the centre, where the image is -1 to 1
    top = uniform(-1.0, 1.0) * (1 - height)
    mirror = torch.where(uniform(0.0, 1.0) < 0.5, -1.0, 1.0)
    zero = torch.zeros(N)
    theta = torch.stack(
        [torch.stack([width * mirror, zero, left], 1), torch.stack([zero, height, top], 1)], 1
    )  # (N, 2, 3)
    theta = theta.to(images.device)
    grid = F.affine_grid(theta, list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, padding_mode="reflection", align_corners=False)


def jittered(images: Tensor, generator: torch.Generator) -> Tensor:
    """Brightness, then contrast, then saturation of each image changed at random, within 0 to 1."""

    def factor() -> Tensor:
        factors = 1 + COLOUR * (2 * torch.rand(len(images), generator=generator) - 1)
        return factors.view(-1, 1, 1, 1).to(images.device)

    images = (images * factor()).clamp(0, 1)
    grey = luminance(images).mean((1, 2, 3), keepdim=True)
    images = torch.lerp(grey, images, factor()).clamp(0, 1)
    return torch.lerp(luminance(images), images, factor()).clamp(0, 1)


def luminance(images: Tensor) -> Tensor:
    """The grey of each pixel, (N, 1, H, W)."""
    weights = torch.tensor(LUMINANCE, device=images.device, dtype=images.dtype)
    return torch.einsum("nchw,c->nhw", images, weights).unsqueeze(1)
