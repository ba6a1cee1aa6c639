"""Test photographs that the network may have seen: copies among the photographs trained on.

A photograph is compared as a small grey picture without its mean and contrast, so that another
size, compression or brightness makes no difference, and mirrored too. What looks alike so is
compared again four times as fine, and in colour where both have some.
"""

import hashlib

import numpy as np
import pandas as pd

from cnnlib.photos.dataset import Dataset
from cnnlib.pixels.pixels import pixels

COARSE, FINE = 8, 16  # sides in pixels
ALIKE = 0.95  # correlation of the coarse grey pictures: worth a closer look
SAME = 0.96  # correlation of the fine pictures: the same photograph
FLAT = 6.0  # levels: a picture whose grey differs less is too empty to be told from others
COLOURLESS = 2.0  # levels that the channels of a grey photograph differ by, less than
BLOCK = 512  # test photographs that are compared at once
PAIRS = 10_000  # of those alike
COLUMNS = ["test_file", "train_file", "kind", "similarity", "test_label", "train_label"]


def find_leaks(dataset: Dataset, image_size: int) -> pd.DataFrame:
    """Pairs of a test photograph and the photograph trained on that is most like it.

    A row a test photograph that has one: the COLUMNS, `kind` exact (the same pixels) or near,
    `similarity` the correlation of the two, up to 1. Validation photographs count as trained on.
    """
    assert dataset.test is not None
    train, test = (pixels(dataset, split, image_size) for split in ("train", "test"))
    known, asked = _Pictures(train), _Pictures(test)
    near, exact = _alike(asked, known), _equal(train, test)
    rows = []
    for index in sorted(near.keys() | exact.keys()):
        similarity, other = near.get(index, (1.0, -1))
        other = exact.get(index, other)
        rows.append(
            (
                str(dataset.test.files[index]),
                str(dataset.train.files[other]),
                "exact" if index in exact else "near",
                1.0 if index in exact else similarity,
                dataset.classes[dataset.test.labels[index]],
                dataset.classes[dataset.train.labels[other]],
            )
        )
    table = pd.DataFrame(rows, columns=COLUMNS)
    return table.sort_values(["kind", "similarity"], ascending=[True, False], ignore_index=True)


def _equal(train: np.ndarray, test: np.ndarray) -> dict[int, int]:
    """The photograph trained on of the same pixels, by that of the test."""
    known = {_digest(photo): index for index, photo in enumerate(train)}
    found = ((index, known.get(_digest(photo))) for index, photo in enumerate(test))
    return {index: other for index, other in found if other is not None}


def _digest(photo: np.ndarray) -> bytes:
    return hashlib.blake2b(photo.tobytes(), digest_size=16).digest()


class _Pictures:
    """Photographs made small: coarse in grey, fine in both, each of mean 0 and length 1."""

    def __init__(self, photos: np.ndarray) -> None:
        fine = _shrunk(photos, FINE)
        coarse = _shrunk_again(fine).mean(3)
        grey = fine.mean(3, keepdims=True)
        self.coloured, self.grey = _normalised(fine), _normalised(grey)
        self.is_grey = abs(fine - grey).mean((1, 2, 3)) < COLOURLESS
        self.is_flat = coarse.std((1, 2)) < FLAT
        self.coarse = _normalised(coarse)

    def __len__(self) -> int:
        return len(self.coarse)


def _alike(asked: _Pictures, known: _Pictures) -> dict[int, tuple[float, int]]:
    """(similarity, train) of the most alike by the number in the test, where they are the same."""
    found: dict[int, tuple[float, int]] = {}
    coarse = known.coarse.reshape(len(known), -1).T
    for mirrored in (False, True):
        step = -1 if mirrored else 1
        for start in range(0, len(asked), BLOCK):
            block = asked.coarse[start : start + BLOCK, :, ::step]
            alike = block.reshape(len(block), -1) @ coarse
            alike[:, known.is_flat] = 0
            alike[asked.is_flat[start : start + BLOCK]] = 0
            rows, others = np.nonzero(alike >= ALIKE)
            for part in np.array_split(np.arange(len(rows)), len(rows) // PAIRS + 1):
                index, other = start + rows[part], others[part]
                similarity = _similarity(asked, index, known, other, step)
                for place in np.flatnonzero(similarity >= SAME):
                    likeness = float(similarity[place])
                    if likeness > found.get(int(index[place]), (0.0, 0))[0]:
                        found[int(index[place])] = likeness, int(other[place])
    return found


def _similarity(
    asked: _Pictures, index: np.ndarray, known: _Pictures, other: np.ndarray, step: int
) -> np.ndarray:
    """Correlations of the fine pictures, (pairs,): in grey where one of the two has no colour."""
    in_colour, in_grey = (
        np.einsum("phwc,phwc->p", first[index][:, :, ::step], second[other])
        for first, second in ((asked.coloured, known.coloured), (asked.grey, known.grey))
    )
    return np.where(asked.is_grey[index] | known.is_grey[other], in_grey, in_colour)


def _shrunk(photos: np.ndarray, side: int) -> np.ndarray:
    """(N, H, W, 3) uint8 as (N, side, side, 3) float32 means, some photographs at a time."""
    size = photos.shape[1]
    weights = np.zeros((side, size), np.float32)  # each small pixel's share of each large one
    edges = np.linspace(0, size, side + 1)
    for small in range(side):
        low, high = edges[small], edges[small + 1]
        overlap = np.minimum(high, np.arange(size) + 1) - np.maximum(low, np.arange(size))
        weights[small] = overlap.clip(0) / (high - low)
    out = np.empty((len(photos), side, side, 3), np.float32)
    for start in range(0, len(photos), BLOCK):
        block = photos[start : start + BLOCK].astype(np.float32)
        out[start : start + BLOCK] = np.einsum(
            "sh,nhwc,tw->nstc", weights, block, weights, optimize=True
        )
    return out


def _shrunk_again(pictures: np.ndarray) -> np.ndarray:
    N, side = pictures.shape[0], pictures.shape[1] // COARSE
    return pictures.reshape(N, COARSE, side, COARSE, side, 3).mean((2, 4))


def _normalised(pictures: np.ndarray) -> np.ndarray:
    """Each without its mean and of length 1, so that a product of two is their correlation."""
    axes = tuple(range(1, pictures.ndim))
    centred = pictures - pictures.mean(axes, keepdims=True)
    length = np.sqrt((centred**2).sum(axes, keepdims=True))
    return centred / np.maximum(length, 1e-6)
