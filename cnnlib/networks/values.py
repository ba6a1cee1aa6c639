"""Sets of values of a hyperparameter: a choice, a weighted one, an interval; and spaces of them."""

import math
from dataclasses import dataclass

from cnnlib.networks.hyperparameter import Value

SLACK = 1e-6  # of a step: 0.3 is three times 0.1, whatever a computer divides


@dataclass(frozen=True)
class Choice:
    """One of these values; a single one is a constant."""

    values: tuple[Value, ...]

    def __contains__(self, value: object) -> bool:
        return value in self.values


@dataclass(frozen=True)
class Weighted(Choice):
    """One of these values, each drawn as often as its weight says; they add up to about 1."""

    weights: tuple[float, ...]


@dataclass(frozen=True)
class Interval:
    """A number from `low` to `high`, evenly or, where `log`, evenly in its logarithm."""

    low: float
    high: float
    log: bool = False
    step: float = 0.0  # 0: any number; 1: whole numbers; else multiples of it
    # Whether a number between the ends is drawn and then rounded to a multiple, as W&B's q_uniform
    # does: that may lie outside of them. Else each multiple within the ends is drawn as often.
    rounded: bool = False

    @property
    def multiples(self) -> range:
        """How many steps the values are."""
        low, high = self.low / self.step, self.high / self.step
        if self.rounded:
            return range(math.floor(low - 0.5 + SLACK) + 1, math.ceil(high + 0.5 - SLACK))
        return range(math.ceil(low - SLACK), math.floor(high + SLACK) + 1)

    def after(self, steps: int) -> float:
        """The value that is so many steps: 0.3 for three of 0.1."""
        value = steps * self.step
        return round(value) if float(self.step).is_integer() else float(f"{value:.12g}")

    def nearest(self, number: float) -> float:
        """The value that is nearest to a number."""
        if not self.step:
            return min(max(number, self.low), self.high)
        steps = self.multiples
        return self.after(min(max(round(number / self.step), steps[0]), steps[-1]))

    def quantile(self, share: float) -> float:
        """The value below which this share of the interval lies."""
        low, high = float(self.lowest), float(self.highest)
        if self.log:
            return self.nearest(low * (high / low) ** share)
        half = self.step / 2  # the ends are drawn as often as what lies between
        return self.nearest(low - half + share * (high - low + 2 * half))

    @property
    def lowest(self) -> float:
        return self.nearest(self.low)

    @property
    def highest(self) -> float:
        return self.nearest(self.high)

    def __contains__(self, value: object) -> bool:
        """Whether a number lies between the lowest and the highest, if on no step."""
        return self.lowest <= value <= self.highest  # type: ignore[operator]


Space = dict[str, Choice | Interval]


def num_values(values: Choice | Interval) -> float:
    """How many values there are; infinity for any number of an interval."""
    if isinstance(values, Choice):
        return len(values.values)
    return len(values.multiples) if values.step else math.inf
