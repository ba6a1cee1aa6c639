"""What a sweep searches: values of each hyperparameter, and the configurations they make."""

import itertools
import math
from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

from cnnlib.config import (
    TrialConfig,
    Value,
    can_exist,
    hyperparameter_named,
    hyperparameters,
    impossible,
    short,
)

LISTABLE = 1_000_000  # values, or configurations, that are ever listed one by one
COUNTABLE = 10**15  # configurations that are told apart from endless ones
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
SHAPE = ("first_layer_filters", "filter_org", "conv_layers")  # which together can be impossible


def with_set(space: Space, settings: Iterable[str]) -> Space:
    """The space narrowed by flags 'name=value' (fixed) and 'name=value,value' (a choice)."""
    narrowed: Space = {}
    if not isinstance(settings, Iterable):
        raise ValueError(f"--set: {short(settings)} is not a list of NAME=VALUE")
    for text in settings:
        if not isinstance(text, str):
            raise ValueError(f"--set {short(text)}: write NAME=VALUE or NAME=VALUE,VALUE")
        name, equals, values = text.partition("=")
        if not equals or not values:
            raise ValueError(f"--set {short(text)}: write NAME=VALUE or NAME=VALUE,VALUE")
        hyperparameter = hyperparameter_named(name.strip())
        if hyperparameter.name in narrowed:
            raise ValueError(f"--set {hyperparameter.name}: is given twice; write NAME=VALUE,VALUE")
        parsed = (hyperparameter.parse(value.strip()) for value in values.split(","))
        narrowed[hyperparameter.name] = Choice(tuple(dict.fromkeys(parsed)))
    return {**space, **narrowed}


def constants(space: Space) -> dict[str, Value]:
    """The hyperparameters that the space fixes to one value."""
    return {
        name: values.values[0]
        for name, values in space.items()
        if isinstance(values, Choice) and len(values.values) == 1
    }


def searched(space: Space) -> Space:
    """The hyperparameters of the space that have more than one value."""
    return {name: values for name, values in space.items() if name not in constants(space)}


def num_values(values: Choice | Interval) -> float:
    """How many values there are; infinity for any number of an interval."""
    if isinstance(values, Choice):
        return len(values.values)
    return len(values.multiples) if values.step else math.inf


def grid(values: Choice | Interval) -> list[Value] | None:
    """The values one by one, or None where they are endless or more than LISTABLE."""
    if num_values(values) > LISTABLE:
        return None
    if isinstance(values, Choice):
        return list(values.values)
    return [values.after(steps) for steps in values.multiples]


def num_configurations(space: Space, image_size: int) -> float:
    """How many configurations of the space can exist.

    Infinity where a value is a real number, and where they are more than COUNTABLE. Raises
    ValueError where none can exist, with the reason for which the one that needs least cannot.
    """
    ends = {name: _ends(values) for name, values in space.items() if name in SHAPE}
    least = {name: low if name == "conv_layers" else high for name, (low, high) in ends.items()}
    if reason := impossible(TrialConfig.from_mapping(least), image_size):
        raise ValueError(reason)
    others = math.prod(num_values(values) for name, values in space.items() if name not in SHAPE)
    columns = _shape_columns(space)
    if math.isinf(others) or columns is None:
        return math.inf
    number = others * _num_shapes(*columns, image_size)
    return number if number <= COUNTABLE else math.inf


def _ends(values: Choice | Interval) -> tuple[Value, Value]:
    if isinstance(values, Choice):
        return min(values.values), max(values.values)  # type: ignore[type-var]
    return values.lowest, values.highest


def _default(name: str) -> Choice:
    return Choice((hyperparameters()[name].default,))


def _shape_columns(space: Space) -> tuple[list[Any], list[Any], list[Any]] | None:
    """The values of the three of SHAPE, the default where it is not searched; None: too many."""
    columns = []
    for name in SHAPE:
        values = grid(space.get(name, _default(name)))
        if values is None:
            return None
        columns.append(sorted(values))  # type: ignore[type-var]
    first, ratio, layers = columns
    return first, ratio, layers


def _num_shapes(firsts: list[int], ratios: list[float], depths: list[int], image_size: int) -> int:
    """How many of these shapes can exist, without a walk through all of them.

    More filters or a larger ratio never make one impossible, so a search by halves finds where the
    possible ones begin in the longer of the two lists.
    """

    total = 0
    for depth in depths:
        exists = partial(can_exist, layers=depth, image_size=image_size)
        if len(firsts) <= len(ratios):
            total += sum(_num_from(ratios, partial(exists, first)) for first in firsts)
        else:
            total += sum(_num_from(firsts, partial(_turned, exists, r)) for r in ratios)
    return total


def _turned(exists: Callable[[Any, Any], bool], ratio: float, first: int) -> bool:
    return exists(first, ratio)


def _num_from(rising: Sequence[Any], exists: Callable[[Any], bool]) -> int:
    """How many of the values exist, if all do from the first on that does."""
    return len(rising) - bisect_left(rising, True, key=exists)


class Points:
    """The configurations of a space that can exist, numbered without a list of them.

    Only for a space whose hyperparameters make at most LISTABLE combinations, see `listable`.
    """

    def __init__(self, space: Space, image_size: int) -> None:
        self._columns = {n: grid(v) or [] for n, v in space.items() if n not in SHAPE}
        shapes: list[Any] = [grid(space.get(name, _default(name))) or [] for name in SHAPE]
        self._shapes = [
            (first, ratio, layers)
            for first, ratio, layers in itertools.product(*shapes)
            if can_exist(first, ratio, layers, image_size)
        ]

    @staticmethod
    def listable(space: Space) -> bool:
        return math.prod(num_values(values) for values in space.values()) <= LISTABLE

    def __len__(self) -> int:
        return len(self._shapes) * math.prod(map(len, self._columns.values()))

    def __getitem__(self, number: int) -> dict[str, Value]:
        """The values of the point of this number, from 0."""
        values: dict[str, Value] = {}
        for name, column in self._columns.items():
            number, index = divmod(number, len(column))
            values[name] = column[index]
        return values | dict(zip(SHAPE, self._shapes[number], strict=True))

    def number(self, config: TrialConfig) -> int | None:
        """The number of a configuration, None where it is none of these points."""
        shape = self._shape_numbers.get(tuple(getattr(config, n) for n in SHAPE))
        indices = [
            self._indices[name].get(getattr(config, name)) for name in reversed(self._columns)
        ]
        if shape is None or None in indices:
            return None
        number = shape
        for column, index in zip(reversed(self._columns.values()), indices, strict=True):
            number = number * len(column) + index  # type: ignore[operator]
        return number

    @cached_property
    def _shape_numbers(self) -> dict[tuple[Any, ...], int]:
        return {shape: number for number, shape in enumerate(self._shapes)}

    @cached_property
    def _indices(self) -> dict[str, dict[Value, int]]:
        return {
            name: {value: index for index, value in enumerate(column)}
            for name, column in self._columns.items()
        }
