"""Which photographs validate where some belong together: a group is on one side, classes in share.

As scikit-learn's StratifiedGroupKFold, of one fold: groups are dealt out from the largest on, each
to the side to which it brings the classes nearer.
"""

from collections.abc import Iterable, Sequence

import numpy as np


def grouped_split(
    labels: Sequence[int], val_split: float, seed: int, together: Iterable[Sequence[int]]
) -> tuple[np.ndarray, np.ndarray]:
    """Indices for training and for validation, both sorted: about `val_split` of each class.

    Photographs of one of the sets of positions `together` stay on one side, and those of sets that
    overlap. Every class keeps a photograph to train on; one of a single group has none to validate.
    Raises ValueError where all photographs hang together.
    """
    units = _units(len(labels), together)
    classes = np.asarray(labels)
    counts = np.bincount(classes).astype(float)
    wanted = np.maximum(counts * val_split, np.minimum(1.0, counts - 1.0))
    drawn = np.random.default_rng(seed).permutation(len(units))
    order = sorted(drawn.tolist(), key=lambda unit: -len(units[unit]))
    held = np.zeros_like(counts)
    val: list[int] = []
    for unit in order:
        own, number = np.unique(classes[units[unit]], return_counts=True)
        before, after = held[own], held[own] + number
        nearer = ((after - wanted[own]) ** 2 - (before - wanted[own]) ** 2) / counts[own]
        if nearer.sum() < 0 and (after < counts[own]).all():
            held[own] = after
            val += units[unit]
    if not val:
        raise ValueError(
            "the groups are too large to hold any out for validation: each holds a whole class, or "
            "they share photographs; give smaller groups"
        )
    val_indices = np.sort(np.array(val))
    return np.setdiff1d(np.arange(len(labels)), val_indices), val_indices


def _units(number: int, together: Iterable[Sequence[int]]) -> list[list[int]]:
    """All positions, those that hang together in one list."""
    leader = list(range(number))

    def first(position: int) -> int:
        while leader[position] != position:
            leader[position] = leader[leader[position]]
            position = leader[position]
        return position

    for positions in together:
        for other in positions[1:]:
            one, two = sorted((first(positions[0]), first(other)))
            leader[two] = one
    units: dict[int, list[int]] = {}
    for position in range(number):
        units.setdefault(first(position), []).append(position)
    return list(units.values())
