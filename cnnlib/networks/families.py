"""The families that there are, by name; and what of a configuration is shown."""

from collections.abc import Container, Mapping
from dataclasses import asdict, dataclass, field, fields, make_dataclass
from pathlib import Path
from typing import Any

from cnnlib.networks.cnn.family import CNN
from cnnlib.networks.configuration import Configuration, Recipe
from cnnlib.networks.family import Family
from cnnlib.networks.hyperparameter import Hyperparameter, hyperparameters, nearest
from cnnlib.networks.pretrained.family import PRETRAINED
from cnnlib.system.units import short

SAID = {f.name for f in fields(Hyperparameter)} - {"name", "type", "default"}
TYPES = {kind.__name__: kind for kind in (bool, int, float, str)}
FAMILIES = {family.name: family for family in (CNN, PRETRAINED)}


def family_named(name: str) -> Family:
    """The family of this name; ValueError names the nearest."""
    if name not in FAMILIES:
        near = nearest(name, FAMILIES) or f"; there is {', '.join(FAMILIES)}"
        raise ValueError(
            f"network: {short(name)} is no network that is known{near}, or one of your own by "
            "--network file.py:NAME"
        )
    return FAMILIES[name]


def written_down(family: Family) -> dict[str, Any]:
    """What a journal and a champion's config.json say of a kind of network."""
    if family.digest is None:
        return {"network": family.name}
    known = [
        {name: value for name, value in asdict(h).items() if name != "type"}
        | {"type": h.type.__name__}
        for h in hyperparameters(family.config).values()
    ]
    return {"network": family.name, "network_digest": family.digest, "declared": known}


def family_of(content: Mapping[str, Any], known: Family | None = None) -> Family:
    """The kind of network that was written down: the one that is `known`, where that is it.

    Of a user's own that is not known here, only what can be chosen is there: it is never imported
    because something names it.
    """
    name, digest = content.get("network", CNN.name), content.get("network_digest")
    if known and (known.name, known.digest) == (name, digest):
        return known
    return family_named(name) if digest is None else _described(content)


def _described(content: Mapping[str, Any]) -> Family:
    def build(config: Any, num_classes: int, image_size: int) -> Any:
        raise ValueError(f"network: {content['network']} is your own; say --network FILE:NAME")

    columns = []
    for entry in content["declared"]:
        of = {n: tuple(v) if isinstance(v, list) else v for n, v in entry.items() if n in SAID}
        default: Any = field(default=entry["default"], metadata=of)
        columns.append((entry["name"], TYPES[entry["type"]], default))
    config = make_dataclass("Described", columns, bases=(Configuration,), frozen=True)
    code = Written(content["network"], content["network_digest"])
    return Family(content["network"], config, build, code=code)


@dataclass(frozen=True)
class Written:
    """What a journal knows of a user's code."""

    name: str
    digest: str


def check_here(family: Family, asked: Family | None, folder: Path) -> None:
    """Raises ValueError where a folder's network is the user's own and is not the one asked for."""
    if not isinstance(family.code, Written):
        return
    if asked is not None and asked.name == family.name:
        raise ValueError(
            f"network: {family.name} was changed since the network in {folder} was trained; bring "
            "it back as it was"
        )
    raise ValueError(f"the network in {folder} is your own; say --network {family.name}")


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
