import pytest
from scipy.stats import binomtest

from cnnlib.journal.scores import wilson_interval


@pytest.mark.parametrize(("correct", "n"), [(0, 10), (5, 10), (10, 10), (431, 500)])
def test_the_interval_is_wilsons(correct: int, n: int) -> None:
    expected = binomtest(correct, n).proportion_ci(method="wilson")
    assert wilson_interval(correct, n) == pytest.approx((expected.low, expected.high), abs=1e-6)


def test_nothing_seen_is_nothing_known() -> None:
    assert wilson_interval(0, 0) == (0, 1)
