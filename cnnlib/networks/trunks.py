"""Trunks: pretrained networks without their last layer, and the layers that they consist of.

A trunk turns images into features, (N, num_features). Only this module knows how torchvision and
timm build their networks.
"""

from collections.abc import Iterator
from typing import Any

from torch import nn

from cnnlib.networks.backbones import Backbone, timm_library


def needs_auxiliary(row: Backbone, side: int) -> bool:
    """Whether it has heads in the middle at this size: smaller images are gone before them."""
    return bool(row.auxiliary) and side >= row.size


def trunk(row: Backbone, side: int, *, auxiliary: bool = False) -> nn.Module:
    """The network without its head, of random weights, for images of this side.

    It answers features, (N, num_features); in training with `auxiliary` heads a tuple of the
    features and what those heads' last layers are given, which the new heads replace too.
    """
    if row.timm:
        network = _timm_network(row, side)
    else:
        network = _torchvision_network(row, side, auxiliary=auxiliary)
    for name in (*row.head, *(row.auxiliary if auxiliary else ())):
        network.set_submodule(name, nn.Identity())
    return network


def _timm_network(row: Backbone, side: int) -> nn.Module:
    library = timm_library(row.name)
    try:
        network = library.create_model(row.timm, img_size=side)
    except TypeError:  # it takes images of any size
        network = library.create_model(row.timm)
    network.reset_classifier(0)
    return network


def _torchvision_network(row: Backbone, side: int, *, auxiliary: bool) -> nn.Module:
    from torchvision import models

    options: dict[str, Any] = {}
    if row.auxiliary:
        # Their weights expect images normalised otherwise, which the networks then see to.
        options = {"aux_logits": auxiliary, "init_weights": False, "transform_input": True}
    if row.multiple > 1:
        options = {"image_size": side}
    return getattr(models, row.name)(weights=None, **options)


def layers(row: Backbone, network: nn.Module) -> list[list[str]]:
    """The names of the trunk's parameters, layer by layer from the images on.

    A layer is a child of the network, or of a container that its row opens, and has parameters.
    """
    names = [name for name, _ in network.named_parameters() if not _is_auxiliary(row, name)]
    if row.timm:
        return _timm_layers(network, names)
    found: dict[str, list[str]] = {}
    for name in names:
        found.setdefault(_layer(row, name), []).append(name)
    order = {layer: number for number, layer in enumerate(_children(row, network))}
    return [found[layer] for layer in sorted(found, key=lambda layer: order.get(layer, -1))]


def _is_auxiliary(row: Backbone, parameter: str) -> bool:
    return any(parameter.startswith(f"{head.partition('.')[0]}.") for head in row.auxiliary)


def _layer(row: Backbone, parameter: str) -> str:
    """The layer that a parameter belongs to: 'features.7' of 'features.7.0.weight'.

    One that a network or container holds itself, as vit's class token, belongs to the first.
    """
    parts = parameter.split(".")
    depth = 1
    while ".".join(parts[:depth]) in row.opened:
        depth += 1
    return ".".join(parts[:depth]) if depth < len(parts) else "first"


def _children(row: Backbone, network: nn.Module, prefix: str = "") -> Iterator[str]:
    for name, child in network.named_children():
        if prefix + name in row.opened:
            yield from _children(row, child, f"{prefix}{name}.")
        else:
            yield prefix + name


def _timm_layers(network: nn.Module, names: list[str]) -> list[list[str]]:
    """Its stages, in the order that timm's layer decay has them."""
    from timm.models import group_parameters

    matcher = network.group_matcher(coarse=True)  # type: ignore[operator]
    groups = group_parameters(network, matcher)
    wanted = set(names)
    ordered = [[name for name in groups[key] if name in wanted] for key in sorted(groups)]
    return [group for group in ordered if group]
