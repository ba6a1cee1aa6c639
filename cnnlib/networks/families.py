"""The families that there are, by name; and what of a configuration is shown."""

from collections.abc import Container, Mapping
from typing import Any

from cnnlib.networks.cnn import CNN
from cnnlib.networks.configuration import Recipe
from cnnlib.networks.family import Family
from cnnlib.networks.hyperparameter import Hyperparameter, hyperparameters, nearest
from cnnlib.system.units import short

FAMILIES = {family.name: family for family in (CNN,)}


def family_named(name: str) -> Family:
    """The family of this name; ValueError names the nearest."""
    if name not in FAMILIES:
        near = nearest(name, FAMILIES) or f"; there are {', '.join(FAMILIES)}"
        raise ValueError(f"network: {short(name)} is no network that is known{near}")
    return FAMILIES[name]


def declared(network: str = CNN.name) -> dict[str, Hyperparameter]:
    """The hyperparameters of a kind of network; of one that is not known here those of training."""
    family = FAMILIES.get(network)
    return hyperparameters(family.config if family else Recipe)


def is_off(name: str, value: object, network: str = CNN.name) -> bool:
    """Whether this is an optional part of a configuration, left as it is by default."""
    known = declared(network).get(name)
    return known is not None and known.optional and value == known.default


def told(
    config: Mapping[str, Any], searched: Container[str] = (), network: str = CNN.name
) -> dict[str, Any]:
    """What to show of a configuration: of its optional parts what is searched or not off."""
    return {n: v for n, v in config.items() if n in searched or not is_off(n, v, network)}


def short_names() -> dict[str, str]:
    """How runs are named: hyperparameters and their short names, in this order."""
    return {name: said for family in FAMILIES.values() for name, said in family.short_names.items()}
