"""What more trials are expected to gain."""

import random
from statistics import mean

import pytest

from cnnlib.search.gain import LEAST, chance, expected_gain


def test_few_scores_tell_nothing_and_equal_ones_that_there_is_nothing() -> None:
    assert expected_gain([0.5] * (LEAST - 1)) is None
    assert expected_gain([0.5] * LEAST) == 0.0


def test_it_is_right_on_average_where_scores_fall_off_exponentially() -> None:
    draw, told, real = random.Random(0), [], []
    for _ in range(2000):
        scores = [draw.expovariate(1) for _ in range(50)]
        told.append(expected_gain(scores[:30], 20))
        real.append(max(scores) - max(scores[:30]))
    assert mean(told) == pytest.approx(mean(real), rel=0.1)


def test_it_promises_too_much_rather_than_too_little_below_an_upper_bound() -> None:
    draw, told, real = random.Random(0), [], []
    for _ in range(500):
        scores = [draw.random() for _ in range(50)]
        told.append(expected_gain(scores[:30], 20))
        real.append(max(scores) - max(scores[:30]))
    assert mean(real) < mean(told) < 6 * mean(real)


@pytest.mark.parametrize(("best", "gain"), [(1.0, 0.0), (0.98, 0.02), (1.2, 0.0)])
def test_no_gain_leads_beyond_the_highest_score_there_can_be(best: float, gain: float) -> None:
    scores = [0.1 * number for number in range(9)] + [best]
    assert expected_gain(scores, highest=1.0) == pytest.approx(gain)
    free = expected_gain(scores)
    assert free is not None and free > 0.1


def test_the_order_of_the_scores_and_their_place_make_no_difference() -> None:
    scores = [0.1 * number**0.5 for number in range(30)]
    gain = expected_gain(scores)
    assert expected_gain(scores[::-1]) == gain
    assert expected_gain([score - 7 for score in scores]) == pytest.approx(gain)
    assert expected_gain([2 * score for score in scores]) == pytest.approx(2 * gain)


def test_chance_is_the_standard_error_of_a_share() -> None:
    assert chance(0.5, 100) == pytest.approx(0.05)
    assert chance(0.9, 900) == pytest.approx(0.01)
    assert chance(1.2, 100) == 0.0, "no accuracy"
