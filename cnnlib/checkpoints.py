"""The weights that a sweep keeps: the best and the last of each trial that may still need them."""

import contextlib
import os
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

from cnnlib.config import TrialConfig, hyperparameters, impossible
from cnnlib.space import Choice, Space, grid

BEST = "best.safetensors"
LAST = "last.pt"


def replaced(path: Path, write: Callable[[Path], None]) -> None:
    """Writes a file in one step: whoever reads it finds the old content or the new."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(f".{os.getpid()}.part")  # a worker that was given up may still write
    try:
        write(part)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def prune(folder: Path, is_needed: Callable[[str, str], bool]) -> None:
    """Deletes the files that nothing needs, asked by names of sub-folder and file."""
    for file in folder.glob("*/*"):
        if not is_needed(file.parent.name, file.name):
            file.unlink(missing_ok=True)
            with contextlib.suppress(OSError):  # it is not empty yet
                file.parent.rmdir()


def largest(space: Space, num_classes: int, image_size: int) -> tuple[int, int]:
    """Bytes that a running trial and the best that ended hold at most.

    A running one has its best weights, and the last with two moments of the optimiser for each of
    them and the moving average if there is one; the last is there twice while it is replaced.
    Raises ValueError where a network has more weights than PyTorch can count.
    """
    import torch

    from cnnlib.model import CustomCNN

    shapes = {name: _heaviest(name, space) for name in SHAPES if name in space}
    most = 0
    for values in product(*shapes.values()):
        config = TrialConfig.from_mapping(dict(zip(shapes, values, strict=True)))
        if impossible(config, image_size):
            continue
        try:
            with torch.device("meta"):
                model = CustomCNN(config, num_classes=num_classes, image_size=image_size)
        except (RuntimeError, TypeError) as error:  # sizes beyond 64 bits
            said = ", ".join(f"{name} {value}" for name, value in zip(shapes, values, strict=True))
            raise ValueError(f"no memory holds a network of {said}; take smaller ones") from error
        most = max(most, sum(t.numel() * t.element_size() for t in model.state_dict().values()))
    averaged = "ema" in space and _heaviest("ema", space) != [0]
    return (1 + 2 * (4 if averaged else 3)) * most, most


EITHER = ("conv_layers", "head")  # the largest value is not always the heaviest
SHAPES = (
    "first_layer_filters", "filter_org", "batch_norm", "num_neurons_dense", "kernel_size", *EITHER
)  # fmt: skip


def _heaviest(name: str, space: Space) -> list[Any]:
    """The values of a hyperparameter of which one makes the most weights."""
    values = space[name]
    if isinstance(values, Choice):
        return list(values.values) if name in EITHER else [max(values.values)]
    return grid(values) or [] if name in EITHER else [hyperparameters()[name].type(values.highest)]
