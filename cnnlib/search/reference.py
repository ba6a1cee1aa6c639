"""The configuration that a champion is compared with: by default the study's best."""

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from cnnlib.networks.hyperparameter import TrialConfig, Value, hyperparameters, impossible
from cnnlib.search.space import Choice, Interval, Space, grid
from cnnlib.storage.yaml_file import read_yaml

STUDY = "study"  # the study's best, or what is nearest to it in the sweep's space
NONE = "none"


def read_reference(wanted: str | Path, space: Space, image_size: int) -> TrialConfig | None:
    """The reference that --reference names: study, none, or a file of hyperparameters.

    None where there is none. Raises ValueError where a file's cannot exist.
    """
    if wanted == NONE:
        return None
    if wanted == STUDY:
        return nearest_to_study(space, image_size)
    config = TrialConfig.from_mapping(read_hyperparameters(wanted))
    if reason := impossible(config, image_size):
        raise ValueError(f"--reference: {reason}")
    return config


def nearest_to_study(space: Space, image_size: int) -> TrialConfig | None:
    """The configuration of the space nearest to the study's best, None where none can exist.

    Within the space it costs no more than a trial does, and the search could have found it.
    """
    config = TrialConfig.from_mapping({n: _nearest(n, values) for n, values in space.items()})
    depths = space.get("conv_layers", Choice((config.conv_layers,)))
    values = [int(value) for value in grid(depths) or []]
    if isinstance(depths, Interval):
        values.reverse()  # of two that are as near the deeper
    for depth in sorted(values, key=lambda d: abs(d - config.conv_layers)):
        if not impossible(candidate := replace(config, conv_layers=depth), image_size):
            return candidate
    return None


def _nearest(name: str, values: Choice | Interval) -> Value:
    """The value of a hyperparameter that is nearest to its default; the first of words."""
    known = hyperparameters()[name]
    default: Any = known.default

    def distance(value: Any) -> float:
        if known.type in (bool, str):
            return float(value != default)
        if known.scale == "log":
            return abs(math.log(value / default))
        return abs(value - default)

    if isinstance(values, Choice):
        return min(values.values, key=distance)
    return known.parse(values.nearest(float(default)))


def read_hyperparameters(file: str | Path) -> Mapping[str, Any]:
    """The hyperparameters of a JSON or YAML file, or of a champion's config.json."""
    values: Any = read_yaml(file)  # JSON is YAML
    inside = values.get("config", values) if isinstance(values, Mapping) else values
    if not isinstance(inside, Mapping):
        raise ValueError(f"{file} holds no hyperparameters; write NAME: VALUE lines")
    return inside
