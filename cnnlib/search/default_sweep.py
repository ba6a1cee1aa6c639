"""The sweep of a network for which no sweep file was given: what its hyperparameters say."""

from collections.abc import Mapping
from typing import Any

from cnnlib.networks.family import Family
from cnnlib.networks.hyperparameter import Hyperparameter, hyperparameters
from cnnlib.search.names import SETTINGS

# Of the recipe, as the study searched it.
RECIPE: dict[str, Any] = {
    "learning_rate": {"values": [0.01, 0.001, 0.0001]},
    "batch_size": {"values": [32, 64]},
    "use_augmentation": {"values": [True, False]},
}


def default_sweep(family: Family, base: Mapping[str, Any]) -> dict[str, Any]:
    """The content of a sweep file: `base` with the hyperparameters of this kind of network.

    What has choices or bounds is searched within them, and what is of the recipe as the study did;
    the rest is left at its default.
    """
    known = hyperparameters(family.config)
    parameters = {n: v for n, v in RECIPE.items() if n in known and known[n].has_rule}
    for name in family.shapes:
        if name in known and name not in parameters and known[name].has_rule:
            parameters[name] = _entry(known[name])
    settings = {n: v for n, v in base["parameters"].items() if n in SETTINGS}
    if family.image_size:
        settings.pop("image_size", None)
    return {**base, "parameters": {**parameters, **settings}}


def _entry(hyperparameter: Hyperparameter) -> dict[str, Any]:
    if hyperparameter.choices:
        return {"values": list(hyperparameter.choices)}
    if hyperparameter.type is bool:
        return {"values": [True, False]}
    entry: dict[str, Any] = {"min": hyperparameter.low, "max": hyperparameter.high}
    kind = "int_uniform" if hyperparameter.type is int else "uniform"
    low = hyperparameter.low
    is_log = hyperparameter.scale == "log" and low is not None and low > 0
    return entry | {"distribution": "log_uniform_values" if is_log else kind}
