"""Strategies of fine-tuning: which layers of a pretrained network train, and how fast each does."""

import math
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any

from torch import nn

from cnnlib.networks.pretrained.config import (
    FREEZE_ALL,
    FREEZE_PARTIAL,
    UNFREEZE_ALL,
    UNFREEZE_GRADUALLY,
)

GRADUAL = 0.5  # share of the epochs after which gradual unfreezing has reached the first layer


def num_trained(strategy: str, k_layers: int, num_layers: int, share: float = 1.0) -> int:
    """How many of a trunk's layers train, the last ones, when a share of the epochs is done."""
    return {
        FREEZE_ALL: 0,
        FREEZE_PARTIAL: min(k_layers, num_layers),
        UNFREEZE_ALL: num_layers,
        UNFREEZE_GRADUALLY: math.floor(num_layers * min(share / GRADUAL, 1.0)),
    }[strategy]


def freeze(network: nn.Module, trained: Iterable[str]) -> None:
    """Lets the parameters of these names train and no others."""
    names = set(trained)
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(name in names)
        if name not in names:
            parameter.grad = None


def hold_still(network: nn.Module) -> None:
    """Puts every part that does not train into evaluation.

    A frozen batch norm would else change its statistics, and dropout what later layers are given.
    """
    for part in network.modules():
        parameters = list(part.parameters())
        if parameters and not any(parameter.requires_grad for parameter in parameters):
            part.eval()


def parameter_groups(
    head: Sequence[nn.Parameter],
    layers: Sequence[Sequence[nn.Parameter]],
    *,
    learning_rate: float,
    head_factor: float,
    decay: float,
    weight_decay: float,
) -> list[dict[str, Any]]:
    """An optimiser's groups: the head, then `layers` from the images on, each with its step size.

    The head's is `head_factor` times the learning rate, a layer's `decay` times that of the next.
    Biases and norms, of one dimension, have no weight decay, as is usual in fine-tuning.
    """
    parts = [(learning_rate * head_factor, head)] + [
        (learning_rate * decay**steps, layer) for steps, layer in enumerate(reversed(layers), 1)
    ]
    groups = []
    for rate, parameters in parts:
        by_dimension = sorted(parameters, key=lambda parameter: parameter.ndim <= 1)
        for flat, group in groupby(by_dimension, key=lambda parameter: parameter.ndim <= 1):
            decayed = 0.0 if flat else weight_decay
            groups.append({"params": list(group), "lr": rate, "weight_decay": decayed})
    return groups


def counts(network: nn.Module) -> tuple[int, int]:
    """Parameters in all, and those that train."""
    sizes = [(parameter.numel(), parameter.requires_grad) for parameter in network.parameters()]
    return sum(size for size, _ in sizes), sum(size for size, trains in sizes if trains)
