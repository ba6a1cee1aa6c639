"""A network's layers as a table: name, shape of the output, number of parameters."""

from typing import Any

import torch
from torch import Tensor, nn


def scorer(model: nn.Module) -> nn.Module:
    """What makes class scores of images: of a Classifier its network, else the module itself."""
    network = getattr(model, "network", None)
    return network if isinstance(network, nn.Module) and hasattr(model, "class_counts") else model


def summary(network: nn.Module, image_size: int) -> str:
    """A row for each layer that an image passes, output shapes without N; then the total."""
    rows: list[tuple[str, str, int]] = []

    def note(name: str) -> Any:
        def hook(layer: nn.Module, inputs: Any, output: Any) -> None:
            shape = output.shape[1:] if isinstance(output, Tensor) else ()
            said = f"({', '.join(map(str, shape))})"
            rows.append((name, said, sum(p.numel() for p in layer.parameters())))

        return hook

    handles = [
        layer.register_forward_hook(note(f"{name} {type(layer).__name__}"))
        for name, layer in network.named_children()
    ]
    training, device = network.training, next((p.device for p in network.parameters()), None)
    with torch.no_grad():
        network.eval()(torch.zeros(1, 3, image_size, image_size, device=device))
    network.train(training)
    for handle in handles:
        handle.remove()
    total = sum(parameter.numel() for parameter in network.parameters())
    wide = max([15, *(len(name) for name, _, _ in rows)]) + 1
    lines = [f"{name:<{wide}}{shape:<20}{count:>14,}" for name, shape, count in rows]
    head = f"{'layer':<{wide}}{'output':<20}{'parameters':>14}"
    return "\n".join([head, *lines, f"{'total':<{wide + 20}}{total:>14,}"])
