"""The weights that a sweep keeps: the best and the last of each trial that may still need them."""

import contextlib
import os
import secrets
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

from safetensors import safe_open

from cnnlib.config import TrialConfig, hyperparameters, impossible
from cnnlib.space import Choice, Space, grid

BEST = "best.safetensors"
LAST = "last.pt"


def replaced(path: Path, write: Callable[[Path], object], *, lasting: bool = True) -> None:
    """Writes a file in one step: whoever reads it finds the old content or the new.

    A `lasting` one is on the disk when this returns, and a power cut does not take it back.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # One name for each writer: a worker that was given up, here or elsewhere, may still write.
    part = path.with_name(f".{secrets.token_hex(8)}.part")
    try:
        write(part)
        if lasting:
            sync(part)
        part.replace(path)
        if lasting:
            sync(path.parent)
    finally:
        part.unlink(missing_ok=True)


def sync(path: Path) -> None:
    """Returns when what was written to a file, or into a folder, is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def epoch_of(weights: Path) -> int | None:
    """The epoch after which these weights were kept; None where an older version kept them.

    Raises OSError where the file is no whole safetensors file.
    """
    try:
        with safe_open(weights, framework="np") as content:
            epoch = (content.metadata() or {}).get("epoch")
    except FileNotFoundError:
        raise
    except Exception as error:  # SafetensorError is an Exception only
        raise OSError(f"{weights} is torn or holds no weights: {error}") from None
    return int(epoch) if epoch and epoch.isdecimal() else None


def check_epoch(weights: Path, epoch: int) -> None:
    """Raises OSError where these are not the weights of that epoch, as far as they can say."""
    kept = epoch_of(weights)
    if kept not in (None, epoch):
        raise OSError(
            f"{weights} holds the weights of epoch {kept}, but the best epoch was {epoch}: another "
            "worker or driver has written over them"
        )


def is_trainings(name: str) -> bool:
    """Whether a file of this name is one that a training keeps, or has begun to write."""
    return name in (BEST, LAST) or name.endswith(".part")


def prune(folder: Path, is_needed: Callable[[str, str], bool]) -> None:
    """Deletes what trainings kept and nothing needs, asked by names of sub-folder and file.

    Files of others stay.
    """
    for inner in _names(folder):
        for name in _names(folder / inner):
            if is_trainings(name) and not is_needed(inner, name):
                with contextlib.suppress(OSError):
                    (folder / inner / name).unlink()
        with contextlib.suppress(OSError):  # it is not empty yet
            (folder / inner).rmdir()


def _names(folder: Path) -> list[str]:
    """What is in a folder; nothing where it is none, or goes or comes meanwhile."""
    try:
        return sorted(os.listdir(folder))
    except (FileNotFoundError, NotADirectoryError):
        return []


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
