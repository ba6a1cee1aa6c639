"""The configuration that a champion is compared with: by default the family's, the study's best."""

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from cnnlib.networks.cnn.family import CNN
from cnnlib.networks.configuration import Configuration
from cnnlib.networks.family import Family
from cnnlib.networks.hyperparameter import Hyperparameter, Value, hyperparameters
from cnnlib.networks.values import Choice, Interval, Space
from cnnlib.search.space import first, grid
from cnnlib.storage.yaml_file import read_yaml

STUDY = "study"  # the study's best, or what is nearest to it in the sweep's space
NONE = "none"


def read_reference(
    wanted: str | Path, space: Space, image_size: int, family: Family = CNN
) -> Configuration | None:
    """The reference that --reference names: study, none, or a file of hyperparameters.

    None where there is none: of a family without a reference the study's is none. Raises
    ValueError where a file's cannot exist.
    """
    if wanted == NONE:
        return None
    if wanted == STUDY:
        return nearest_to_reference(space, image_size, family)
    config = family.configuration(read_hyperparameters(wanted))
    if reason := family.impossible(config, image_size):
        raise ValueError(f"--reference: {reason}")
    return config


def nearest_to_reference(
    space: Space, image_size: int, family: Family = CNN
) -> Configuration | None:
    """The configuration of the space nearest to the family's reference, None where none can exist.

    Within the space it costs no more than a trial does, and the search could have found it.
    """
    if family.reference is None:
        return None
    known = hyperparameters(family.config)
    wanted = {name: getattr(family.reference, name) for name in known}
    config = nearest_in(space, wanted, family)
    for name in reversed(family.limits):
        for value in _by_distance(space.get(name), getattr(config, name)):
            candidate = replace(config, **{name: value})
            if not family.impossible(candidate, image_size):
                return candidate
    return None if family.impossible(config, image_size) else config


def nearest_in(space: Space, wanted: Mapping[str, Any], family: Family) -> Configuration:
    """The configuration with what is wanted, as near to it as the space allows; of what is None the
    space's first value."""
    known = hyperparameters(family.config)
    near = {
        name: first(values) if wanted[name] is None else _nearest(known[name], wanted[name], values)
        for name, values in space.items()
    }
    return family.configuration({**wanted, **near})


def _by_distance(values: Choice | Interval | None, wanted: Any) -> list[Any]:
    """The values of a hyperparameter, the nearest to what is wanted first; all else after it."""
    found: list[Any] = [wanted] if values is None else grid(values) or []
    if isinstance(values, Interval):
        found.reverse()  # of two that are as near the larger
    if isinstance(wanted, str | bool):
        return sorted(found, key=lambda value: value != wanted)
    return sorted(found, key=lambda value: abs(value - wanted))


def _nearest(known: Hyperparameter, wanted: Any, values: Choice | Interval) -> Value:
    """The value of a hyperparameter that is nearest to the one wanted; the first of words."""

    def distance(value: Any) -> float:
        if known.type in (bool, str):
            return float(value != wanted)
        if known.scale == "log":
            return abs(math.log(value / wanted))
        return abs(value - wanted)

    if isinstance(values, Choice):
        return min(values.values, key=distance)
    return known.parse(values.nearest(float(wanted)))


def read_hyperparameters(file: str | Path) -> Mapping[str, Any]:
    """The hyperparameters of a JSON or YAML file, or of a champion's config.json."""
    values: Any = read_yaml(file)  # JSON is YAML
    inside = values.get("config", values) if isinstance(values, Mapping) else values
    if not isinstance(inside, Mapping):
        raise ValueError(f"{file} holds no hyperparameters; write NAME: VALUE lines")
    return inside
