"""A trained network read from its folder: weights.safetensors in the network of config.json."""

from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from cnnlib.config import TrialConfig, short
from cnnlib.facts import (
    LONGEST,
    WEIGHTS,
    DamagedError,
    check_pair,
    network_folder,
    read_classes,
    read_config,
)
from cnnlib.model import CustomCNN


def read_network(folder: str | Path) -> CustomCNN:
    """The trained network of a sweep's folder, or of its champion's, ready to predict.

    FileNotFoundError where there is none, DamagedError where a file is not what it should be.
    """
    own = network_folder(folder)
    content = read_config(own, "config", "image_size")
    config = trial_config(own, content)
    size, num_classes = content["image_size"], len(read_classes(own))
    model = with_weights(config, num_classes=num_classes, image_size=size, path=own / WEIGHTS)
    check_pair(own, content.get("weights"))
    return model


def trial_config(folder: Path, content: dict[str, Any]) -> TrialConfig:
    """The hyperparameters in what config.json holds."""
    try:
        return TrialConfig.from_mapping(content["config"])
    except (ValueError, OverflowError) as error:
        raise DamagedError(folder / "config.json", short(error, LONGEST)) from None


def with_weights(
    config: TrialConfig, *, num_classes: int, image_size: int, path: Path
) -> CustomCNN:
    """The network of this configuration with the weights in a file, ready to predict.

    Memory is taken for what the file holds, and for nothing that a configuration alone asks for.
    FileNotFoundError without the file, DamagedError where it does not fit or is not finite.
    """
    if not path.is_file():
        raise FileNotFoundError(f"no weights: {path} does not exist")
    try:
        with torch.device("meta"):
            model = CustomCNN(config, num_classes=num_classes, image_size=image_size)
    except (ValueError, RuntimeError, OverflowError) as error:  # it cannot exist, or is too large
        raise DamagedError(path.with_name("config.json"), short(error, LONGEST)) from None
    weights = _read(path, model.state_dict())
    for name, tensor in weights.items():
        if not tensor.isfinite().all():
            fault = f"{name} holds values that are not finite: the network diverged"
            raise DamagedError(path, fault)
    model.load_state_dict(weights, assign=True)
    model.class_counts = torch.zeros(2, num_classes)  # no weight, so it is on meta still
    return model.cpu().eval()  # so that Lightning knows where it is


def _read(path: Path, expected: dict[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of a file by name, if they are those expected: of these names and shapes."""
    try:
        with safe_open(path, framework="pt") as file:
            shapes = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
            if fault := _misfit(shapes, {name: tuple(t.shape) for name, t in expected.items()}):
                raise DamagedError(path, fault)
            return {
                name: file.get_tensor(name).to(tensor.dtype, copy=True)
                for name, tensor in expected.items()
            }
    except SafetensorError as error:
        raise DamagedError(
            path, f"is not whole, or no safetensors ({short(error, LONGEST)})"
        ) from None


def _misfit(shapes: dict[str, tuple[int, ...]], expected: dict[str, tuple[int, ...]]) -> str | None:
    """Where a file's tensors are not those of the network, None where they are."""
    for name in [*expected, *shapes]:
        there, wanted = (known.get(name, "missing") for known in (shapes, expected))
        if there != wanted:
            return (
                f"does not fit config.json and classes.json: {name} is {there} here and {wanted} "
                "in their network"
            )
    return None
