"""Photographs in columns: a million objects, one for each, would take seconds and gigabytes."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import groupby

import numpy as np

_KEY = 8  # bytes of a digest that tell nearly all apart


@dataclass(frozen=True)
class Photos:
    """The photographs of a split, sorted by class and name; each column in that order."""

    class_names: tuple[str, ...]
    """Those of which there are photographs, sorted."""
    counts: np.ndarray
    """(C,) int64: photographs of each class."""
    names: Sequence[str]
    """Below the class folder, with forward slashes."""
    paths: Sequence[str]
    digests: np.ndarray
    """(N, bytes) uint8: of what each file holds."""
    groups: Sequence[str] | None = None
    """Photographs of one group never stand on both sides of a split; "" is of none."""

    def __len__(self) -> int:
        return len(self.names)

    @property
    def count(self) -> dict[str, int]:
        return dict(zip(self.class_names, self.counts.tolist(), strict=True))

    @cached_property
    def class_of(self) -> np.ndarray:
        """(N,) int64: each photograph's place in `class_names`."""
        return np.repeat(np.arange(len(self.class_names)), self.counts)

    @cached_property
    def _keys(self) -> np.ndarray:
        return np.ascontiguousarray(self.digests[:, :_KEY]).view(np.uint64).ravel()

    def shown(self, place: int) -> str:
        return f"{self.class_names[self.class_of[place]]}/{self.names[place]}"

    def by_class(self) -> Iterator[tuple[str, range]]:
        """Each class and the places of its photographs."""
        ends = np.cumsum(self.counts).tolist()
        return zip(self.class_names, map(range, [0, *ends], ends), strict=False)

    def of_classes(self, wanted: Collection[str]) -> "Photos":
        """The photographs of some classes alone."""
        has = np.array([name in wanted for name in self.class_names], bool)
        return self._where(has[self.class_of])

    def renamed(self, names: Mapping[str, str]) -> "Photos":
        """With other names of the classes, and sorted by these."""
        if all(names[name] == name for name in self.class_names):
            return self
        classes = [names[self.class_names[place]] for place in self.class_of]
        order = sorted(range(len(self)), key=lambda place: (classes[place], self.names[place]))
        found, counts = counted(classes[place] for place in order)
        return replace(self._at(order), class_names=found, counts=counts)

    def without(self, places: Collection[int]) -> "Photos":
        """All but those at some places."""
        stays = np.ones(len(self), bool)
        stays[list(places)] = False
        return self._where(stays)

    def _where(self, stays: np.ndarray) -> "Photos":
        """The photographs of which `stays`, (N,) bool, is true."""
        if stays.all():
            return self
        counts = np.bincount(self.class_of[stays], minlength=len(self.class_names))
        names = tuple(n for n, count in zip(self.class_names, counts, strict=True) if count)
        return replace(
            self._at(np.flatnonzero(stays)), class_names=names, counts=counts[counts > 0]
        )

    def _at(self, places: Iterable[int]) -> "Photos":
        """The columns of photographs; `class_names` and `counts` are the caller's."""
        places = np.fromiter(places, np.int64)
        return replace(
            self,
            names=[self.names[place] for place in places],
            paths=[self.paths[place] for place in places],
            digests=self.digests[places],
            groups=self.groups and [self.groups[place] for place in places],
        )

    @cached_property
    def _order(self) -> np.ndarray:
        return np.argsort(self._keys, kind="stable")

    @cached_property
    def alike(self) -> list[tuple[int, ...]]:
        """Places of photographs whose files hold the same bytes, two at least, of any class."""
        if not len(self):
            return []
        keys = self._keys[self._order]
        same = keys[1:] == keys[:-1]
        some = np.sort(self._order[np.append(same, False) | np.append(False, same)])
        return together((self.digests[place].tobytes() for place in some), some.tolist())

    def copies(self) -> tuple[tuple[int, ...], ...]:
        """The same, each class for itself."""
        places = [place for some in self.alike for place in some]
        said = [(self.digests[place].tobytes(), self.class_of[place]) for place in places]
        return tuple(sorted(together(said, places)))

    def of_groups(self) -> tuple[tuple[int, ...], ...]:
        """Places of photographs of one group, two at least."""
        return tuple(together(self.groups or (), range(len(self)), besides=""))

    def those_in(self, other: "Photos") -> list[int]:
        """Places of photographs that another split holds too."""
        if not len(other):
            return []
        keys = other._keys[other._order]
        near = np.searchsorted(keys, self._keys).clip(max=len(keys) - 1)
        some = np.flatnonzero(keys[near] == self._keys)
        there = np.flatnonzero(np.isin(other._keys, self._keys[some])) if len(some) else some
        known = {other.digests[place].tobytes() for place in there}
        return [place for place in some.tolist() if self.digests[place].tobytes() in known]


def counted(sorted_names: Iterable[str]) -> tuple[tuple[str, ...], np.ndarray]:
    """Each name once, and how often it is there."""
    numbers = {name: sum(1 for _ in some) for name, some in groupby(sorted_names)}
    return tuple(numbers), np.array(list(numbers.values()), np.int64)


def together(
    said: Iterable[object], places: Sequence[int], besides: object = None
) -> list[tuple[int, ...]]:
    """Places of which the same is said, two at least; `besides` says nothing."""
    alike: defaultdict[object, list[int]] = defaultdict(list)
    for what, place in zip(said, places, strict=False):
        if what != besides:
            alike[what].append(place)
    return [tuple(some) for some in alike.values() if len(some) > 1]
