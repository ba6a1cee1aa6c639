"""A trained network read from its folder: weights.safetensors in the network of config.json."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from cnnlib.networks.configuration import Configuration
from cnnlib.networks.saved_files import (
    WEIGHTS,
    DamagedError,
    check_pair,
    network_folder,
    read_classes,
    read_config,
)
from cnnlib.storage.json_file import LONGEST
from cnnlib.system.units import short

Network = TypeVar("Network", bound=nn.Module)
Build = Callable[[Any, int, int], Network]  # of (config, num_classes, image_size), untrained


def read_network(
    folder: str | Path, config_type: type[Configuration], build: Build[Network]
) -> Network:
    """The trained network of a sweep's folder, or of its champion's, ready to predict.

    FileNotFoundError where there is none, DamagedError where a file is not what it should be.
    """
    own = network_folder(folder)
    content = read_config(own, "config", "image_size")
    config = configuration(own, content, config_type)
    size, num_classes = content["image_size"], len(read_classes(own))
    model = with_weights(
        build, config, num_classes=num_classes, image_size=size, path=own / WEIGHTS
    )
    check_pair(own, content.get("weights"))
    return model


def configuration(
    folder: Path, content: dict[str, Any], config_type: type[Configuration]
) -> Configuration:
    """The hyperparameters in what config.json holds."""
    try:
        return config_type.from_mapping(content["config"])
    except (ValueError, OverflowError) as error:
        raise DamagedError(folder / "config.json", short(error, LONGEST)) from None


def with_weights(
    build: Build[Network],
    config: Configuration,
    *,
    num_classes: int,
    image_size: int,
    path: Path,
    device: str = "meta",
) -> Network:
    """The network of this configuration with the weights in a file, ready to predict.

    On the device `meta` memory is taken for what the file holds, and for nothing that a
    configuration alone asks for; a network that cannot be built there is built on the CPU.
    FileNotFoundError without the file, DamagedError where it does not fit or is not finite.
    """
    if not path.is_file():
        raise FileNotFoundError(f"no weights: {path} does not exist")
    try:
        with torch.device(device):
            model = build(config, num_classes, image_size)
    except (ValueError, RuntimeError, OverflowError) as error:  # it cannot exist, or is too large
        raise DamagedError(path.with_name("config.json"), short(error, LONGEST)) from None
    weights = _read(path, model.state_dict())
    for name, tensor in weights.items():
        if not tensor.isfinite().all():
            fault = f"{name} holds values that are not finite: the network diverged"
            raise DamagedError(path, fault)
    model.load_state_dict(weights, assign=True)
    for name, value in vars(model).items():  # no weights, so they are on meta still
        if isinstance(value, Tensor) and device == "meta":
            setattr(model, name, torch.zeros_like(value, device="cpu"))
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
