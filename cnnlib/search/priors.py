"""Values of hyperparameters that a person believes in: proposals take them, ever more seldom."""

import math
import random
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from cnnlib.networks.configuration import Configuration
from cnnlib.networks.family import Family
from cnnlib.networks.hyperparameter import Value, hyperparameter_named
from cnnlib.networks.values import Interval, Space
from cnnlib.system.units import short

STRENGTH = 10.0  # proposals after which every second one still follows what is believed
WIDTH = 0.05  # of an interval: the standard deviation around a value that is believed in

Priors = Mapping[str, tuple[Value, ...]]


def read_priors(flags: Iterable[str], space: Space, family: Family) -> dict[str, tuple[Value, ...]]:
    """What flags 'name=value' and 'name=value,value' believe in, by hyperparameter.

    Raises ValueError for a value that is not in the space.
    """
    priors: dict[str, tuple[Value, ...]] = {}
    for text in [flags] if isinstance(flags, str) else flags:
        name, _, values = str(text).partition("=")
        if not values:
            raise ValueError(f"--prior {short(text)}: write NAME=VALUE or NAME=VALUE,VALUE")
        hyperparameter = hyperparameter_named(family.config, name.strip())
        try:
            parsed = tuple(hyperparameter.parse(value.strip()) for value in values.split(","))
        except ValueError as error:
            raise ValueError(f"--prior {error}") from None
        for value in parsed:
            if hyperparameter.name not in space or value not in space[hyperparameter.name]:
                raise ValueError(
                    f"--prior {hyperparameter.name}: {short(value)} is not in the sweep's space"
                )
        priors[hyperparameter.name] = parsed
    return priors


def believed(
    config: Configuration,
    priors: Priors,
    *,
    space: Space,
    number: int,
    seed: int,
    possible: Callable[[Configuration], bool],
) -> Configuration:
    """A proposal with values that a person believes in, the more seldom the later it comes.

    Proposal `number` takes each of them with the odds STRENGTH to number, whoever the searcher is:
    so a wrong belief washes out. What it makes must be `possible`, else fewer are taken.
    """
    for name, values in sorted(priors.items()):
        draw = random.Random(f"prior-{seed}-{number}-{name}")
        if draw.random() * (STRENGTH + number) >= STRENGTH:
            continue
        value = draw.choice(values)
        within = space[name]
        if isinstance(within, Interval):
            value = _near(within, float(value), draw)
        candidate = replace(config, **{name: value})
        if candidate == config or possible(candidate):
            config = candidate
    return config


def _near(values: Interval, wanted: float, draw: random.Random) -> float:
    """A value of the interval near to the one wanted."""
    low, high = float(values.lowest), float(values.highest)
    if high == low:
        return values.nearest(wanted)
    if values.log:
        share = math.log(wanted / low) / math.log(high / low)
    else:
        share = (wanted - low) / (high - low)
    return values.quantile(min(max(draw.gauss(share, WIDTH), 0.0), 1.0))
