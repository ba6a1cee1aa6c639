"""Paths of very many files in little memory: what they begin with once, and then one text of all.

A million `Path`s take half a gigabyte in each process, and seconds to be sent to one.
"""

import os
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import overload

import numpy as np

_END = "\0"  # which no path holds


class Paths(Sequence[Path]):
    """A sequence of paths that equals any other of the same ones; made of their texts."""

    def __init__(self, paths: Sequence[str]) -> None:
        ends = [os.path.dirname(min(paths)), os.path.dirname(max(paths))] if paths else [""]
        self._start = os.path.join(os.path.commonpath(ends), "")
        self._rest = os.fsencode(_END.join([path[len(self._start) :] for path in paths]))
        self._number = len(paths)

    def __len__(self) -> int:
        return self._number

    @overload
    def __getitem__(self, place: int) -> Path: ...
    @overload
    def __getitem__(self, place: slice) -> "Sequence[Path]": ...
    def __getitem__(self, place: int | slice) -> "Path | Sequence[Path]":
        if isinstance(place, slice):
            return tuple(self[index] for index in range(*place.indices(len(self))))
        index = range(self._number)[place]  # raises IndexError
        return self._path(self._rest[self._ends[index] + 1 : self._ends[index + 1]])

    def __iter__(self) -> Iterator[Path]:
        if self._number:
            yield from map(self._path, self._rest.split(os.fsencode(_END)))

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Paths):
            same = self._start == other._start and self._rest == other._rest
            return len(self) == len(other) and same
        return isinstance(other, Sequence) and tuple(self) == tuple(other)

    def __hash__(self) -> int:
        return hash((self._start, self._rest))

    def __repr__(self) -> str:
        return f"<{len(self):,} paths below {self._start}>"

    def __getstate__(self) -> dict[str, object]:
        return {name: value for name, value in vars(self).items() if name != "_ends"}

    def _path(self, rest: bytes) -> Path:
        return Path(self._start + os.fsdecode(rest))

    @cached_property
    def _ends(self) -> np.ndarray:
        """Where each text ends, (N + 1,); the first is where the first begins, less one."""
        ends = np.flatnonzero(np.frombuffer(self._rest, np.uint8) == ord(_END))
        return np.concatenate([[-1], ends, [len(self._rest)]])
