"""Points within a distance of others, all of them, without looking at all pairs.

A k-d tree: the points are halved along the axis on which they differ most, again and again, until
few are left. All queries go down together, each only to parts whose box is near enough, and meet
the points there in one product of matrices. scipy's cKDTree finds the same and takes many times as
long, because it looks at one point after the other.
"""

from collections.abc import Iterator

import numpy as np

LEAF = 192  # points that are not parted further, about
HELD = 1_000_000  # pairs that are held at once, about


class Neighbours:
    """Points (N, axes) float32, arranged."""

    def __init__(self, points: np.ndarray) -> None:
        self._depth = max(0, int(np.log2(max(1, len(points)) / LEAF)))
        self._order = np.arange(len(points))
        ends = np.array([0, len(points)])
        for _ in range(self._depth):
            middles = (ends[:-1] + ends[1:]) // 2
            for first, middle, last in zip(ends[:-1], middles, ends[1:], strict=True):
                part = self._order[first:last]
                values = points[part]
                axis = np.ptp(values, axis=0).argmax()
                halves = np.argpartition(values[:, axis], middle - first)
                self._order[first:last] = part[halves]
            ends = np.sort(np.concatenate([ends, middles]))
        arranged, self._ends = points[self._order], ends
        # The boxes as in a heap: that of node n holds those of 2n and 2n + 1; the root is 1.
        low = [np.minimum.reduceat(arranged, ends[:-1])]
        high = [np.maximum.reduceat(arranged, ends[:-1])]
        for _ in range(self._depth):
            low.insert(0, np.minimum(low[0][::2], low[0][1::2]))
            high.insert(0, np.maximum(high[0][::2], high[0][1::2]))
        self._low, self._high = (np.concatenate([b[0][:1], *b]) for b in (low, high))
        self._points = _with(arranged, (arranged**2).sum(1) / -2)

    def near(self, queries: np.ndarray, distance: float) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Numbers of queries (M, axes) and of points so near to them, some pairs at a time."""
        limit = np.float32(distance**2)
        # q and p are near where q p - p p / 2 is at least (q q - limit) / 2.
        least = ((queries**2).sum(1) - limit) / 2
        rows = _with(queries, np.ones(len(queries)))
        found: list[tuple[np.ndarray, np.ndarray]] = []
        waiting = [(1, np.arange(len(queries)))]
        while waiting:
            node, some = waiting.pop()
            some = some[self._apart(node, queries[some]) <= limit]
            if not len(some):
                continue
            if node < 1 << self._depth:
                waiting += [(2 * node, some), (2 * node + 1, some)]
                continue
            first, last = self._ends[node - (1 << self._depth) :][:2]
            products = rows[some] @ self._points[first:last].T
            row, place = np.nonzero(products >= least[some, None])
            found.append((some[row], self._order[first + place]))
            if sum(len(numbers) for numbers, _ in found) >= HELD:
                yield tuple(map(np.concatenate, zip(*found, strict=True)))  # type: ignore[misc]
                found = []
        if found:
            yield tuple(map(np.concatenate, zip(*found, strict=True)))  # type: ignore[misc]

    def _apart(self, node: int, queries: np.ndarray) -> np.ndarray:
        """Squared distances of queries from the box of a node."""
        off = np.maximum(self._low[node] - queries, queries - self._high[node])
        np.maximum(off, 0, out=off)
        return np.einsum("qa,qa->q", off, off)


def _with(rows: np.ndarray, column: np.ndarray) -> np.ndarray:
    return np.column_stack([rows, column]).astype(np.float32)
