"""Configurations as points, for models that measure how far apart they lie."""

import math
from dataclasses import dataclass

import numpy as np

from cnnlib.networks.hyperparameter import Value
from cnnlib.networks.values import Choice, Interval, Space

ORDERED = (int, float)  # whose values are near to one another, or far


@dataclass(frozen=True)
class Encoding:
    """Configurations as points: a number from 0 to 1 for each hyperparameter that is searched.

    Values of a list are evenly apart in their order, where they have one; those that have none are
    alike or not, whatever numbers they have.
    """

    space: Space

    @property
    def without_order(self) -> np.ndarray:
        """(D,): whether a hyperparameter's values have no order."""
        return np.array(
            [isinstance(v, Choice) and not _is_ordered(v) for v in self.space.values()], bool
        )

    def points(self, configs: list) -> np.ndarray:
        """(N, D) for N configurations."""
        columns = [
            _column(domain, [getattr(config, name) for config in configs])
            for name, domain in self.space.items()
        ]
        return np.array(columns, float).reshape(len(self.space), len(configs)).T


def _is_ordered(domain: Choice) -> bool:
    return all(type(value) in ORDERED for value in domain.values)


def _column(domain: Choice | Interval, values: list[Value]) -> list[float]:
    if isinstance(domain, Choice):
        order = sorted(domain.values) if _is_ordered(domain) else domain.values  # type: ignore[type-var]
        places = {value: index / (len(order) - 1) for index, value in enumerate(order)}
        return [places.get(value, 0.0) for value in values]  # of another sweep: as the first
    low, high = float(domain.lowest), float(domain.highest)
    if not domain.log:
        return [(float(value) - low) / (high - low) for value in values]
    wide = math.log(high / low)
    return [math.log(max(float(value), low) / low) / wide for value in values]
