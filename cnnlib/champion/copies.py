"""Test photographs that the network may have seen: copies among the photographs trained on.

A photograph is compared as a small grey picture without its mean and contrast, so that another
size, compression or brightness makes no difference, and mirrored too. What looks alike so is
compared again four times as fine, and in colour where both have some.

Pictures of length 1 that correlate by 0.95 lie within 0.316 of each other, and so do their shadows
on a few axes. A tree of the shadows on those axes on which pictures differ most tells which pairs
to compare: it leaves out none, and need not look at all of them.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np
import pandas as pd

from cnnlib.champion.neighbours import Neighbours
from cnnlib.photos.dataset import Dataset
from cnnlib.pixels.pixels import pixels
from cnnlib.system.compiled import compiled
from cnnlib.system.progress import Progress

COARSE, FINE = 8, 16  # sides in pixels
ALIKE = 0.95  # correlation of the coarse grey pictures: worth a closer look
SAME = 0.96  # correlation of the fine pictures: the same photograph
FLAT = 6.0  # levels: a picture whose grey differs less is too empty to be told from others
COLOURLESS = 2.0  # levels that the channels of a grey photograph differ by, less than
BLOCK = 512  # photographs that are looked at once
AXES = 16  # of the tree
APART = (2 * (1 - ALIKE)) ** 0.5 + 1e-3  # distance of pictures that correlate so, at most
ASKED = 16_384  # test photographs that go down the tree together
SHAPES = 10_000  # pictures that tell the axes, about
PAIRS = 10_000  # of those alike
COLUMNS = ["test_file", "train_file", "kind", "similarity", "test_label", "train_label"]


def find_leaks(dataset: Dataset, image_size: int) -> pd.DataFrame:
    """Pairs of a test photograph and the photograph trained on that is most like it.

    A row a test photograph that has one: the COLUMNS, `kind` exact (the same pixels) or near,
    `similarity` the correlation of the two, up to 1. Validation photographs count as trained on.
    """
    assert dataset.test is not None
    train, test = (pixels(dataset, split, image_size) for split in ("train", "test"))
    with Progress("looking for copies", len(train) + 3 * len(test), "photo") as progress:
        known, asked = _looked_at(train, progress), _looked_at(test, progress)
        near, exact = _alike(test, asked, train, known, progress), _equal(test, asked, train, known)
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


@dataclass(frozen=True)
class _Coarse:
    """What is kept of all photographs of a set."""

    pictures: np.ndarray  # (N, COARSE, COARSE) float32, grey, of mean 0 and length 1
    is_flat: np.ndarray  # (N,) bool
    sums: np.ndarray  # (N,) uint64 of the pixels: other sums, other pixels


def _looked_at(photos: np.ndarray, progress: Progress) -> _Coarse:
    number = len(photos)
    found = _Coarse(
        np.empty((number, COARSE, COARSE), np.float32),
        np.empty(number, bool),
        np.empty(number, np.uint64),
    )
    words = photos[0].size // 8
    weights = np.random.default_rng(0).integers(0, 2**64, words, dtype=np.uint64)
    for start in range(0, number, BLOCK):
        part = slice(start, start + BLOCK)
        block = photos[part]
        coarse = _in_grey(block)
        found.is_flat[part] = coarse.std((1, 2)) < FLAT
        found.pictures[part] = _normalised(coarse)
        rows = block.reshape(len(block), -1)[:, : 8 * words]
        found.sums[part] = rows.view(np.uint64) @ weights
        progress.update(len(block))
    return found


def _equal(test: np.ndarray, asked: _Coarse, train: np.ndarray, known: _Coarse) -> dict[int, int]:
    """The photograph trained on of the same pixels, the last of them, by that of the test."""
    suspects = np.flatnonzero(np.isin(known.sums, asked.sums))
    by_sum: dict[int, list[int]] = {}
    for other in suspects.tolist():
        by_sum.setdefault(int(known.sums[other]), []).append(other)
    found = {}
    for index in np.flatnonzero(np.isin(asked.sums, known.sums)).tolist():
        same = (o for o in reversed(by_sum[int(asked.sums[index])]) if _same(test, index, train, o))
        if (first := next(same, None)) is not None:
            found[index] = first
    return found


def _same(test: np.ndarray, index: int, train: np.ndarray, other: int) -> bool:
    return np.array_equal(test[index], train[other])


class _Pictures:
    """Photographs made small and fine, each of mean 0 and length 1."""

    def __init__(self, photos: np.ndarray, numbers: np.ndarray) -> None:
        blocks = range(0, len(numbers), BLOCK)
        some = [_shrunk(photos[numbers[start : start + BLOCK]], FINE) for start in blocks]
        fine = np.concatenate(some)
        grey = fine.mean(3, keepdims=True)
        self.coloured, self.grey = _normalised(fine), _normalised(grey)
        self.is_grey = abs(fine - grey).mean((1, 2, 3)) < COLOURLESS


def _alike(
    test: np.ndarray, asked: _Coarse, train: np.ndarray, known: _Coarse, progress: Progress
) -> dict[int, tuple[float, int]]:
    """(similarity, train) of the most alike by the number in the test, where they are the same."""
    found: dict[int, tuple[float, int]] = {}
    if known.is_flat.all() or asked.is_flat.all():
        return found
    tree = _Tree(known)
    for step in (1, -1):
        for index, other in tree.pairs(asked, step, progress):
            of_test, first = np.unique(index, return_inverse=True)
            of_train, second = np.unique(other, return_inverse=True)
            pictures = _Pictures(test, of_test), _Pictures(train, of_train)
            similarity = _similarity(pictures[0], first, pictures[1], second, step)
            for place in np.flatnonzero(similarity >= SAME):
                likeness = float(similarity[place])
                if likeness > found.get(int(index[place]), (0.0, 0))[0]:
                    found[int(index[place])] = likeness, int(other[place])
    return found


class _Tree:
    """Coarse pictures, arranged by where they lie on the axes on which they differ most."""

    def __init__(self, known: _Coarse) -> None:
        self._numbers = np.flatnonzero(~known.is_flat)
        self._pictures = known.pictures.reshape(len(known.pictures), -1)
        shapes = self._pictures[self._numbers[:: max(1, len(self._numbers) // SHAPES)]]
        axes = np.linalg.eigh(shapes.T @ shapes)[1]  # those on which they differ least come first
        self._axes = axes[:, : -AXES - 1 : -1]  # (COARSE ** 2, AXES)
        self._tree = Neighbours(self._pictures[self._numbers] @ self._axes)

    def pairs(
        self, asked: _Coarse, step: int, progress: Progress
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Numbers in the test and in the training set of pairs that are worth a closer look.

        Some at a time. With a `step` of -1 the test's are mirrored.
        """
        numbers = np.flatnonzero(~asked.is_flat)
        for start in range(0, len(numbers), ASKED):
            block = numbers[start : start + ASKED]
            pictures = asked.pictures[block, :, ::step].reshape(len(block), -1)
            for rows, places in self._tree.near(pictures @ self._axes, APART):
                yield from self._closer(block, pictures, rows, self._numbers[places])
            progress.update(len(block))

    def _closer(
        self, numbers: np.ndarray, pictures: np.ndarray, rows: np.ndarray, others: np.ndarray
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Those of the pairs that correlate by ALIKE."""
        for start in range(0, len(rows), 10 * PAIRS):
            row, other = rows[start : start + 10 * PAIRS], others[start : start + 10 * PAIRS]
            alike = np.einsum("pk,pk->p", pictures[row], self._pictures[other]) >= ALIKE
            row, other = row[alike], other[alike]
            for first in range(0, len(row), PAIRS):
                part = slice(first, first + PAIRS)
                yield numbers[row[part]], other[part]


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
    """(N, H, W, 3) uint8 as (N, side, side, 3) float32 means; N is some at a time."""
    weights = _shares(photos.shape[1], side)
    block = photos.astype(np.float32)
    return np.einsum("sh,nhwc,tw->nstc", weights, block, weights, optimize=True)


@cache
def _shares(size: int, side: int) -> np.ndarray:
    """(side, size) float32: the share of each large pixel in each small one's mean."""
    weights = np.zeros((side, size), np.float32)
    edges = np.linspace(0, size, side + 1)
    for small in range(side):
        low, high = edges[small], edges[small + 1]
        overlap = np.minimum(high, np.arange(size) + 1) - np.maximum(low, np.arange(size))
        weights[small] = overlap.clip(0) / (high - low)
    return weights


def _in_grey(photos: np.ndarray) -> np.ndarray:
    """(N, H, W, 3) uint8 as (N, COARSE, COARSE) float32, grey: the same means, in one pass."""
    N, size = photos.shape[:2]
    rows = _shares(size, COARSE)
    columns = np.repeat(rows / 3, 3, axis=1)
    ends = np.array([(found[0], found[-1] + 1) for found in map(np.flatnonzero, rows)])
    out = np.empty((N, COARSE, COARSE), np.float32)
    _means(photos.reshape(N, size, 3 * size), rows, columns, ends, out)
    return out


@compiled
def _means(photos, rows, columns, ends, out):  # type: ignore[no-untyped-def]
    """Weighted means of rows of (N, size, 3 size), and of their columns; `ends` of the weights."""
    line = np.empty(photos.shape[2], np.float32)
    for n in range(len(photos)):
        for y in range(len(rows)):
            line[:] = 0
            for place in range(ends[y, 0], ends[y, 1]):
                share, row = rows[y, place], photos[n, place]
                for i in range(len(line)):
                    line[np.uint64(i)] += share * np.float32(row[np.uint64(i)])
            for x in range(len(columns)):
                first, shares, mean = np.uint64(3 * ends[x, 0]), columns[x], np.float32(0)
                for i in range(3 * (ends[x, 1] - ends[x, 0])):
                    mean += shares[first + np.uint64(i)] * line[first + np.uint64(i)]
                out[n, y, x] = mean


def _normalised(pictures: np.ndarray) -> np.ndarray:
    """Each without its mean and of length 1, so that a product of two is their correlation."""
    axes = tuple(range(1, pictures.ndim))
    centred = pictures - pictures.mean(axes, keepdims=True)
    length = np.sqrt((centred**2).sum(axes, keepdims=True))
    return centred / np.maximum(length, 1e-6)
