"""Test photographs that the network may have seen: copies among the photographs trained on.

A photograph is compared as a small grey picture without its mean and contrast, so that another
size, compression or brightness makes no difference, and mirrored too. What looks alike so is
compared again in colour and four times as fine.
"""

import numpy as np
import pandas as pd

from cnnlib.dataset import Dataset
from cnnlib.pixels import pixels

COARSE, FINE = 8, 16  # sides in pixels
ALIKE = 0.95  # correlation of the coarse grey pictures: worth a closer look
SAME = 0.96  # correlation of the fine colour pictures: the same photograph
FLAT = 6.0  # levels: a picture whose grey differs less is too empty to be told from others
BLOCK = 512  # test photographs that are compared at once
COLUMNS = ["test_file", "train_file", "kind", "similarity", "test_label", "train_label"]


def find_leaks(dataset: Dataset, image_size: int) -> pd.DataFrame:
    """Pairs of a test photograph and the photograph trained on that is most like it.

    A row a test photograph that has one: the COLUMNS, `kind` exact (the same pixels) or near,
    `similarity` the correlation of the two, up to 1. Validation photographs count as trained on.
    """
    assert dataset.test is not None
    train, test = (pixels(dataset, split, image_size) for split in ("train", "test"))
    known, asked = _Pictures(train), _Pictures(test)
    rows = []
    for index, other, similarity in _alike(asked, known):
        exact = np.array_equal(test[index], train[other])
        rows.append(
            (
                str(dataset.test.files[index]),
                str(dataset.train.files[other]),
                "exact" if exact else "near",
                similarity,
                dataset.classes[dataset.test.labels[index]],
                dataset.classes[dataset.train.labels[other]],
            )
        )
    table = pd.DataFrame(rows, columns=COLUMNS)
    return table.sort_values(["kind", "similarity"], ascending=[True, False], ignore_index=True)


class _Pictures:
    """Photographs made small: coarse in grey and fine in colour, each of mean 0 and length 1."""

    def __init__(self, photos: np.ndarray) -> None:
        self.fine = _shrunk(photos, FINE)
        grey = _shrunk_again(self.fine).mean(3)
        self.is_flat = grey.std((1, 2)) < FLAT
        self.coarse = _normalised(grey)

    def __len__(self) -> int:
        return len(self.coarse)


def _alike(asked: _Pictures, known: _Pictures) -> list[tuple[int, int, float]]:
    """(test, train, similarity) of the most alike, where they are the same photograph."""
    found: dict[int, tuple[float, int]] = {}
    coarse = known.coarse.reshape(len(known), -1).T
    for mirrored in (False, True):
        for start in range(0, len(asked), BLOCK):
            block = asked.coarse[start : start + BLOCK]
            block = block[:, :, ::-1] if mirrored else block
            alike = block.reshape(len(block), -1) @ coarse
            alike[:, known.is_flat] = 0
            alike[asked.is_flat[start : start + BLOCK]] = 0
            for row, other in zip(*np.nonzero(alike >= ALIKE), strict=True):
                index = start + int(row)
                picture = asked.fine[index]
                picture = picture[:, ::-1] if mirrored else picture
                pair = _normalised(np.stack([picture, known.fine[other]]))
                similarity = float((pair[0] * pair[1]).sum())
                if similarity >= SAME and similarity > found.get(index, (0.0, 0))[0]:
                    found[index] = similarity, int(other)
    return [(index, other, alike) for index, (alike, other) in sorted(found.items())]


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
