"""What a sweep searches: values of each hyperparameter, and the configurations they make."""

import itertools
import math
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import Any

from cnnlib.networks.cnn.family import CNN
from cnnlib.networks.configuration import Configuration
from cnnlib.networks.family import Family
from cnnlib.networks.hyperparameter import Value, hyperparameter_named, hyperparameters
from cnnlib.networks.values import Choice, Interval, Space, num_values
from cnnlib.system.units import short

LISTABLE = 1_000_000  # values, or configurations, that are ever listed one by one
COUNTABLE = 10**15  # configurations that are told apart from endless ones


def with_set(space: Space, settings: Iterable[str], family: Family = CNN) -> Space:
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
        hyperparameter = hyperparameter_named(family.config, name.strip())
        if hyperparameter.name in narrowed:
            raise ValueError(f"--set {hyperparameter.name}: is given twice; write NAME=VALUE,VALUE")
        parsed = (hyperparameter.parse(value.strip()) for value in values.split(","))
        narrowed[hyperparameter.name] = Choice(tuple(dict.fromkeys(parsed)))
    return {**space, **narrowed}


def check_given(space: Space, family: Family) -> None:
    """Raises ValueError where the space leaves out what has no default."""
    for name, hyperparameter in hyperparameters(family.config).items():
        if hyperparameter.default is None and name not in space:
            raise ValueError(
                f"{name}: has no default in {family.name}; give it one, or its value by --set "
                f"{name}=..., or its values in the sweep file"
            )


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


def grid(values: Choice | Interval) -> list[Value] | None:
    """The values one by one, or None where they are endless or more than LISTABLE."""
    if num_values(values) > LISTABLE:
        return None
    if isinstance(values, Choice):
        return list(values.values)
    return [values.after(steps) for steps in values.multiples]


def num_configurations(space: Space, image_size: int, family: Family = CNN) -> float:
    """How many configurations of the space can exist.

    Infinity where a value is a real number, and where they are more than COUNTABLE. Raises
    ValueError where none can exist, with the reason for which the one that needs least cannot.
    """
    shapes = Shapes(space, image_size, family)
    if reason := shapes.reason:
        raise ValueError(reason)
    others = math.prod(num_values(values) for n, values in space.items() if n not in shapes.names)
    if math.isinf(others) or not shapes.are_few:
        return math.inf
    number = others * len(shapes)
    return number if number <= COUNTABLE else math.inf


def ends(values: Choice | Interval) -> tuple[Value, Value]:
    if isinstance(values, Choice):
        return min(values.values), max(values.values)  # type: ignore[type-var]
    return values.lowest, values.highest


def first(values: Choice | Interval) -> Value:
    """The value that stands for all where a hyperparameter means nothing."""
    return values.values[0] if isinstance(values, Choice) else values.lowest


def meaningful(values: dict[str, Value], space: Space, family: Family) -> dict[str, Value]:
    """A point's values, where those that mean nothing beside the others are the first of theirs.

    So that no two points of a space are one and the same network.
    """
    known = hyperparameters(family.config)
    changed = dict(values)
    for name, (other, needed) in family.conditions.items():
        if name in space and values.get(other, known[other].default) not in needed:
            changed[name] = first(space[name])
    return changed


def of_each_shape(space: Space, family: Family) -> Iterator[Any]:
    """A configuration for each listed value of what the weights' shapes depend on."""
    fixed = constants(space)
    yield family.configuration(fixed)
    for name in family.shapes:
        for value in grid(space[name]) or () if name in space else ():
            yield family.configuration(fixed | {name: value})


class Shapes:
    """The values that together can make a network impossible, combined, and which of them do not.

    So do those that mean something beside certain values only, see Family.conditions: elsewhere
    just the first of them is taken.

    Where more of a value never makes a network impossible, or less of it never does, a search by
    halves finds where the possible ones begin: so the longest of such columns is not walked along.
    """

    def __init__(self, space: Space, image_size: int, family: Family) -> None:
        self._family, self._image_size, self._space = family, image_size, space
        self._orders = {**_conditional(space, family), **family.limits}
        known = hyperparameters(family.config)
        self._values = {n: space.get(n, Choice((known[n].default,))) for n in self._orders}
        grids = {name: grid(values) for name, values in self._values.items()}
        self._columns = {name: values or [] for name, values in grids.items()}
        ordered = [name for name, order in self._orders.items() if order]
        self._halved = max(ordered, key=lambda name: len(self._columns[name]), default=None)
        self._others = {n: column for n, column in self._columns.items() if n != self._halved}
        num_others = math.prod(map(len, self._others.values()))
        self.are_few = None not in grids.values() and num_others <= LISTABLE

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._columns)

    @property
    def reason(self) -> str | None:
        """Why none of them can exist, or None where one can: the ones that need least say it."""
        least, fault = {}, None
        for name, order in self._orders.items():
            if order:
                least[name] = ends(self._values[name])[order > 0]
        unordered = {name: self._columns[name] for name in self._orders if name not in least}
        for values in itertools.product(*unordered.values()):
            found = self._fault(least | dict(zip(unordered, values, strict=True)))
            if found is None:
                return None
            fault = fault or found
        return fault

    def __len__(self) -> int:
        """How many can exist."""
        return sum(number for number, _ in self._possible.values())

    def __iter__(self) -> Iterator[tuple[Value, ...]]:
        """Those that can exist, in the order in which the space gives their values."""
        for values in itertools.product(*self._columns.values()):
            point = dict(zip(self._columns, values, strict=True))
            halved = point.pop(self._halved) if self._halved else None
            number, least = self._possible[tuple(point.values())]
            if number and (halved is None or self._order * (halved - least) >= 0):
                yield values

    @property
    def _order(self) -> int:
        return self._orders[self._halved] if self._halved else 0

    @cached_property
    def _possible(self) -> dict[tuple[Value, ...], tuple[int, Any]]:
        """By the other values: how many of the halved column can exist, and the one nearest to
        what cannot."""
        return {
            values: self._halve(dict(zip(self._others, values, strict=True)))
            for values in itertools.product(*self._others.values())
        }

    def _halve(self, others: dict[str, Value]) -> tuple[int, Any]:
        if self._halved is None:
            return int(self._fault(others) is None), None
        name = self._halved
        rising = sorted(self._columns[name], reverse=self._order < 0)
        first = bisect_left(rising, True, key=lambda v: self._fault(others | {name: v}) is None)
        return len(rising) - first, rising[first] if first < len(rising) else None

    def _fault(self, values: dict[str, Value]) -> str | None:
        config = self._family.config.unchecked(values)
        if fault := self._family.impossible(config, self._image_size):
            return fault
        changed = meaningful(values, self._space, self._family)
        return next((f"{n}: means nothing here" for n in values if changed[n] != values[n]), None)


def _conditional(space: Space, family: Family) -> dict[str, int]:
    """The fields of the space that a condition connects, and can be listed; without an order."""
    found: dict[str, int] = {}
    for name, (other, _) in family.conditions.items():
        if name in space and all(grid(space[n]) for n in (name, other) if n in space):
            found |= {name: 0, other: 0}
    return found


class Points:
    """The configurations of a space that can exist, numbered without a list of them.

    Only for a space whose hyperparameters make at most LISTABLE combinations, see `listable`.
    """

    def __init__(self, space: Space, image_size: int, family: Family = CNN) -> None:
        shapes = Shapes(space, image_size, family)
        self._names = shapes.names  # of what `_shapes` holds
        self._columns = {n: grid(v) or [] for n, v in space.items() if n not in self._names}
        self._shapes = list(shapes)

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
        return values | dict(zip(self._names, self._shapes[number], strict=True))

    def number(self, config: Configuration) -> int | None:
        """The number of a configuration, None where it is none of these points."""
        shape = self._shape_numbers.get(tuple(getattr(config, name) for name in self._names))
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
