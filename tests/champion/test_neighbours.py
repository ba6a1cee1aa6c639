"""Tests of cnnlib/champion/neighbours.py."""

import numpy as np
import pytest

from cnnlib.champion import neighbours
from cnnlib.champion.neighbours import Neighbours


@pytest.mark.parametrize("number", [1, 2, 191, 385, 1000, 5003])
@pytest.mark.parametrize("held", [1, 10**6])
def test_all_points_that_near_are_found_and_no_other(
    number: int, held: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(neighbours, "HELD", held)
    rng = np.random.default_rng(number)
    points = rng.standard_normal((number, 5), dtype=np.float32)
    points[number // 2 :: 7] = points[0]  # the same many times
    queries = np.concatenate([points[::9], rng.standard_normal((40, 5), dtype=np.float32)])
    found: set[tuple[int, int]] = set()
    for rows, numbers in Neighbours(points).near(queries, 0.7):
        pairs = set(zip(rows.tolist(), numbers.tolist(), strict=True))
        assert len(pairs) == len(rows)
        assert not pairs & found
        found |= pairs
    apart = np.linalg.norm(queries[:, None] - points, axis=2)
    assert found >= set(zip(*map(np.ndarray.tolist, np.nonzero(apart < 0.6999)), strict=True))
    assert found <= set(zip(*map(np.ndarray.tolist, np.nonzero(apart < 0.7001)), strict=True))
