"""The search for copies as it was: every test photograph against every one trained on."""

import numpy as np

from cnnlib.champion.copies import (
    ALIKE,
    SAME,
    _looked_at,
    _Pictures,
    _similarity,
)
from cnnlib.system.progress import Progress


def most_alike(test: np.ndarray, train: np.ndarray) -> dict[int, tuple[float, int]]:
    """(similarity, train) of the most alike by the number in the test, where they are the same."""
    silent = Progress("", 0, "photo")
    known, asked = _looked_at(train, silent), _looked_at(test, silent)
    found: dict[int, tuple[float, int]] = {}
    coarse = known.pictures.reshape(len(train), -1).T
    for step in (1, -1):
        alike = asked.pictures[:, :, ::step].reshape(len(test), -1) @ coarse
        alike[:, known.is_flat] = 0
        alike[asked.is_flat] = 0
        index, other = np.nonzero(alike >= ALIKE)
        if not len(index):
            continue
        fine = [_Pictures(photos, np.arange(len(photos))) for photos in (test, train)]
        similarity = _similarity(fine[0], index, fine[1], other, step)
        for place in np.flatnonzero(similarity >= SAME):
            likeness = float(similarity[place])
            if likeness > found.get(int(index[place]), (0.0, 0))[0]:
                found[int(index[place])] = likeness, int(other[place])
    return found


def equal(test: np.ndarray, train: np.ndarray) -> dict[int, int]:
    """The photograph trained on of the same pixels, by that of the test."""
    known = {photo.tobytes(): index for index, photo in enumerate(train)}
    found = ((index, known.get(photo.tobytes())) for index, photo in enumerate(test))
    return {index: other for index, other in found if other is not None}
