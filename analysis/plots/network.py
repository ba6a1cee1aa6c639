"""What the champion's network looks for: its first filters, and what excites its last neurons.

Loads torch, so it is imported only where there are weights to look into; Lightning it does without.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from cnnlib.networks import saved
from cnnlib.networks.cnn import layers
from cnnlib.networks.cnn.config import TrialConfig
from cnnlib.photos.unreadable import UnreadableError
from cnnlib.pixels.augment import normalised
from cnnlib.pixels.decode import decode


def read_network(sweep_folder: Path) -> nn.Sequential:
    """The champion's layers with weights; ValueError where they cannot be read or do not fit."""
    try:
        return saved.read_network(sweep_folder, TrialConfig, _Champion).network
    except (ValueError, OSError) as error:
        raise ValueError(f"the champion's weights cannot be read ({error})") from None


class _Champion(nn.Module):
    """The layers under the name by which a champion keeps their weights."""

    def __init__(self, config: TrialConfig, num_classes: int, image_size: int) -> None:
        super().__init__()
        self.network = layers.network(config, num_classes, image_size)


def first_filters(network: nn.Sequential) -> np.ndarray:
    """The filters of the first convolution as pictures, (filters, side, side, 3) from 0 to 1.

    Each is stretched over the whole range by itself: 0 is its lowest weight and 1 its highest.
    """
    weights = _convolutions(network)[0][1].weight.detach().permute(0, 2, 3, 1)
    low, high = weights.amin((1, 2, 3), keepdim=True), weights.amax((1, 2, 3), keepdim=True)
    return ((weights - low) / (high - low).clamp(min=1e-12)).float().numpy()


@dataclass(frozen=True)
class Neuron:
    """A neuron of the last convolution, and what excites it most among some photographs."""

    filter: int
    photograph: int
    """The number of the photograph."""
    place: tuple[float, float]
    """Where in the photograph it looks from: (x, y) from 0 to 1."""
    saliency: np.ndarray
    """What would excite it more: its guided gradient by pixel and colour, (S, S, 3)."""


def read_photographs(files: Sequence[Path], image_size: int) -> tuple[np.ndarray, list[int]]:
    """Photographs as the network sees them, (N, S, S, 3) uint8, and which of the files they are."""
    images, numbers = [], []
    for number, file in enumerate(files):
        try:
            images.append(decode(file, image_size))
        except UnreadableError:
            continue
        numbers.append(number)
    return np.array(images, np.uint8).reshape(-1, image_size, image_size, 3), numbers


def strongest_neurons(network: nn.Sequential, images: np.ndarray, number: int = 10) -> list[Neuron]:
    """The neurons with the highest values before their activation, the strongest of each filter.

    `images` are uint8, (N, S, S, 3). Neurons that no photograph excites above 0 are left out.
    """
    trunk = _up_to_last_convolution(network)
    inputs = normalised(torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255)
    with torch.no_grad():
        values = torch.cat([trunk(batch) for batch in inputs.split(32)])  # (N, filters, h, w)
    h, w = values.shape[2:]
    by_filter = values.transpose(0, 1).flatten(1)  # (filters, N*h*w)
    highest, places = by_filter.max(1)
    found = []
    for index in highest.argsort(descending=True, stable=True)[:number].tolist():
        if highest[index] <= 0:
            continue
        photograph, rest = divmod(int(places[index]), h * w)
        y, x = divmod(rest, w)
        saliency = guided_gradient(trunk, inputs[photograph], index, y, x)
        place = ((x + 0.5) / w, (y + 0.5) / h)
        found.append(Neuron(index, photograph, place, saliency.permute(1, 2, 0).numpy()))
    return found


def guided_gradient(trunk: nn.Sequential, image: Tensor, index: int, y: int, x: int) -> Tensor:
    """The gradient of one neuron by the image (3, S, S), without what speaks against it.

    Guided backpropagation: at each activation only what arrives positive and leaves positive goes
    on. For ReLU it is the published rule; for the others it is the same clipping.
    """
    kinds = tuple(layers.ACTIVATIONS.values())
    hooks = [
        layer.register_full_backward_hook(_guide) for layer in trunk if isinstance(layer, kinds)
    ]
    try:
        image = image.clone().requires_grad_()
        trunk(image[None])[0, index, y, x].backward()
    finally:
        for hook in hooks:
            hook.remove()
    trunk.zero_grad()
    assert image.grad is not None
    return image.grad


def _guide(layer: nn.Module, leaving: Any, arriving: Any) -> tuple[Tensor]:
    return (leaving[0].clamp(min=0) * (arriving[0] > 0),)


def _convolutions(network: nn.Sequential) -> list[tuple[int, nn.Conv2d]]:
    return [(i, layer) for i, layer in enumerate(network) if isinstance(layer, nn.Conv2d)]


def _up_to_last_convolution(network: nn.Sequential) -> nn.Sequential:
    """The layers up to the last convolution, its batch norm included."""
    last = _convolutions(network)[-1][0]
    is_normed = isinstance(network[last + 1], nn.BatchNorm2d)
    return network[: last + 1 + is_normed]
