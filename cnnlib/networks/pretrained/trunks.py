"""Trunks: pretrained networks without their last layer, and the layers that they consist of.

A trunk turns images into features, (N, num_features). Only this module knows how torchvision and
timm build their networks.
"""

import copy
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, NamedTuple

import torch
from torch import nn

from cnnlib.networks.pretrained.backbones import Backbone, timm_library


class Trunk(NamedTuple):
    """A network without its last layers, and how many features those were given."""

    network: nn.Module
    num_features: int
    num_auxiliary: tuple[int, ...] = ()  # of the heads in the middle


def needs_auxiliary(row: Backbone, side: int) -> bool:
    """Whether it has heads in the middle at this size: smaller images are gone before them."""
    return bool(row.auxiliary) and side >= row.size


def trunk(row: Backbone, side: int, *, auxiliary: bool = False) -> Trunk:
    """The network without its head, of random weights, for images of this side.

    It answers features, (N, num_features); in training with `auxiliary` heads a tuple of the
    features and of what those heads' last layers are given, which new ones replace too.
    """
    if torch.get_default_device().type == "meta":  # a plan asks for many: a copy is much faster
        return copy.deepcopy(_on_meta(row, side, auxiliary=auxiliary))
    return _built(row, side, auxiliary=auxiliary)


@lru_cache(maxsize=32)
def _on_meta(row: Backbone, side: int, *, auxiliary: bool) -> Trunk:
    return _built(row, side, auxiliary=auxiliary)


def _built(row: Backbone, side: int, *, auxiliary: bool) -> Trunk:
    if row.timm:
        return _timm_trunk(row, side)
    network = _torchvision_network(row, side, auxiliary=auxiliary)
    inner = row.auxiliary if auxiliary else ()
    widths = [_num_inputs(network.get_submodule(name)) for name in (row.head[-1], *inner)]
    for name in (*row.head, *inner):
        network.set_submodule(name, nn.Identity())
    return Trunk(network, widths[0], tuple(widths[1:]))


def _num_inputs(head: nn.Module) -> int:
    """Of its only layer with weights."""
    return next(layer.in_features for layer in head.modules() if isinstance(layer, nn.Linear))


def _timm_trunk(row: Backbone, side: int) -> Trunk:
    library = timm_library(row.name)
    try:
        network = library.create_model(row.timm, img_size=side)
    except TypeError:  # it takes images of any size
        network = library.create_model(row.timm)
    network.reset_classifier(0)
    return Trunk(network, network.head_hidden_size)


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
