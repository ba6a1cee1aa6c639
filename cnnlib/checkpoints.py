"""The weights that a sweep keeps: the best and the last of each trial that may still need them."""

import contextlib
import os
from collections.abc import Callable
from itertools import product
from pathlib import Path

from cnnlib.config import TrialConfig, hyperparameters, impossible
from cnnlib.space import Choice, Space

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
    them, which is there twice while it is replaced.
    """
    import torch

    from cnnlib.model import CustomCNN

    corners = {name: _extremes(name, space) for name in hyperparameters() if name in space}
    shapes = {n: v for n, v in corners.items() if n in SHAPES}
    most = 0
    for values in product(*shapes.values()):
        config = TrialConfig.from_mapping(dict(zip(shapes, values, strict=True)))
        if impossible(config, image_size):
            continue
        with torch.device("meta"):
            model = CustomCNN(config, num_classes=num_classes, image_size=image_size)
        most = max(most, sum(t.numel() * t.element_size() for t in model.state_dict().values()))
    return (1 + 2 * 3) * most, most


SHAPES = ("first_layer_filters", "filter_org", "conv_layers", "batch_norm", "num_neurons_dense")


def _extremes(name: str, space: Space) -> list[object]:
    """The values of a hyperparameter, or the ends of its interval, as its type."""
    values = space[name]
    if isinstance(values, Choice):
        return list(values.values)
    return [hyperparameters()[name].type(end) for end in (values.low, values.high)]
