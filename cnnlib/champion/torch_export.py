"""A trained network for others: how photographs become its input, and a form that torch alone runs.

`model.pt2` takes RGB images of 0 to 1, (N, 3, H, W) float32, any N, and gives probabilities of the
classes: normalisation and softmax are inside.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from cnnlib.networks.summary import scorer
from cnnlib.photos.levels import UNKNOWN, Levels
from cnnlib.pixels.augment import MEAN, STD
from cnnlib.storage.files import replaced

PROGRAM = "model.pt2"
EXAMPLE = 2  # images; of one torch.export would make a constant


class Probabilities(nn.Module):
    """Probabilities (N, num_classes) of images of 0 to 1, (N, 3, H, W)."""

    mean: Tensor
    std: Tensor

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        # Buffers: constants that augment.normalised keeps would be tracers of the export for ever.
        for name, values in (("mean", MEAN), ("std", STD)):
            self.register_buffer(name, torch.tensor(values).view(3, 1, 1))

    def scores(self, images: Tensor) -> Tensor:
        """Class scores before softmax, (N, num_classes)."""
        return self.network((images - self.mean) / self.std)

    def forward(self, images: Tensor) -> Tensor:
        return self.scores(images).softmax(1)


def preprocessing(image_size: int, levels: Levels = UNKNOWN) -> dict[str, Any]:
    """What is done with a photograph before the network sees it; `cnnlib.pixels.decode` does it."""
    return {
        "colours": "RGB; transparency is laid on white",
        "orientation": "upright, as the camera's EXIF tag says",
        "size": [image_size, image_size],
        "resize": "squeezed to this size whatever its shape, bilinear with antialiasing "
        "(Pillow's and torchvision's Resize)",
        "scale": "0 to 1: levels divided by 255",
        "white": {"8 bits": 255, **levels.told()},
        "mean": list(MEAN),
        "std": list(STD),
        "normalisation": "(value - mean) / std for each of red, green, blue; inside model.pt2",
    }


def export(
    model: nn.Module,
    classes: Sequence[str],
    path: Path,
    levels: Levels = UNKNOWN,
    *,
    image_size: int,
    pretrained: Mapping[str, str] | None = None,
) -> None:
    """Writes the network as a program of torch.export, with classes and preprocessing in it.

    So is, where it began with `pretrained` weights, what is known of them.
    """
    size = image_size
    classifier = Probabilities(scorer(model)).cpu().eval()
    program = torch.export.export(
        classifier,
        (torch.zeros(EXAMPLE, 3, size, size),),
        dynamic_shapes=({0: torch.export.Dim("N", min=1)},),
    )
    about: dict[str, Any] = {
        "classes.json": list(classes),
        "preprocessing.json": preprocessing(size, levels),
    }
    if pretrained:
        about["pretrained.json"] = dict(pretrained)
    texts = {name: json.dumps(content) for name, content in about.items()}

    def save(part: Path) -> None:
        with part.open("wb") as file:  # of a path torch wants the suffix .pt2
            torch.export.save(program, file, extra_files=texts)

    replaced(path, save)
