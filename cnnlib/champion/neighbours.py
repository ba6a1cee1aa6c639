"""Points within a distance of others, all of them, without looking at all pairs.

The points are halved along the axis on which they differ most, again and again, until few are left.
Each query meets the points of those parts whose box is near enough. scipy's cKDTree finds the same
and takes many times as long, because it looks at one point after the other.
"""

from collections.abc import Iterator

import numpy as np

from cnnlib.system.compiled import compiled

LEAF = 192  # points that are not parted further, about
HELD = 1_000_000  # pairs that are held at once, about


class Neighbours:
    """Points (N, axes) float32, arranged."""

    def __init__(self, points: np.ndarray) -> None:
        depth = max(0, int(np.log2(max(1, len(points)) / LEAF)))
        self._order = np.arange(len(points))
        ends = np.array([0, len(points)])
        for _ in range(depth):
            middles = (ends[:-1] + ends[1:]) // 2
            for first, middle, last in zip(ends[:-1], middles, ends[1:], strict=True):
                part = self._order[first:last]
                values = points[part]
                axis = np.ptp(values, axis=0).argmax()
                halves = np.argpartition(values[:, axis], middle - first)
                self._order[first:last] = part[halves]
            ends = np.sort(np.concatenate([ends, middles]))
        arranged, self._ends = points[self._order], ends
        self._low = np.minimum.reduceat(arranged, ends[:-1])
        self._high = np.maximum.reduceat(arranged, ends[:-1])
        self._halves = (arranged**2).sum(1) / 2
        self._points = np.ascontiguousarray(arranged.T)

    def near(self, queries: np.ndarray, distance: float) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Numbers of queries (M, axes) and of points so near to them, some pairs at a time."""
        queries = np.ascontiguousarray(queries, np.float32)
        limit = np.float32(distance**2)
        # q and p are near where q p - p p / 2 is at least (q q - limit) / 2.
        least = ((queries**2).sum(1) - limit) / 2
        most = HELD + len(queries) * int(np.diff(self._ends).max())  # a part is looked at whole
        rows, places = np.empty(most, np.int32), np.empty(most, np.int32)
        part = 0
        while part < len(self._ends) - 1:
            number, part = _pairs(
                queries, least, limit, self._points, self._halves, self._ends, self._low,
                self._high, part, HELD, rows, places,
            )  # fmt: skip
            if number:
                yield rows[:number].copy(), self._order[places[:number]]


@compiled
def _pairs(  # type: ignore[no-untyped-def]
    queries, least, limit, points, halves, ends, low, high, part, enough, rows, places
):
    """Writes pairs into `rows` and `places`, from the part `part` on, until there are `enough`.

    Returns their number, and the part to go on with.
    """
    number = 0
    products = np.empty(np.diff(ends).max(), np.float32)
    while part < len(ends) - 1 and number < enough:
        first, last = ends[part], ends[part + 1]
        half = halves[first:last]
        for row in range(len(queries)):
            apart = np.float32(0)  # squared distance from the part's box
            for axis in range(queries.shape[1]):
                value = queries[row, axis]
                off = max(low[part, axis] - value, value - high[part, axis], np.float32(0))
                apart += off * off
            if apart > limit:
                continue
            # Unsigned places spare a check for each, which lets the compiler use vectors.
            for i in range(len(half)):
                products[np.uint64(i)] = -half[np.uint64(i)]
            for axis in range(queries.shape[1]):
                value, line = queries[row, axis], points[axis, first:last]
                for i in range(len(half)):
                    products[np.uint64(i)] += value * line[np.uint64(i)]
            largest = products[0]
            for i in range(len(half)):
                largest = max(largest, products[np.uint64(i)])
            if largest >= least[row]:
                for i in range(len(half)):
                    if products[i] >= least[row]:
                        rows[number], places[number] = row, first + i
                        number += 1
        part += 1
    return number, part
