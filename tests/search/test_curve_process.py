"""The process over learning curves: what it makes of a trial's own course, of epochs, of lists."""

import math
from typing import Any

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from cnnlib.search.curve_process import (
    JITTER,
    OTHERS,
    SPREAD,
    STEP,
    TRUST,
    CurveProcess,
    Places,
    _density,
    telling,
)

ORDERED = np.array([False, False])


def at(points: Any, times: Any, trials: Any, foretold: Any = None) -> Places:
    hopes = np.empty((len(points), 0)) if foretold is None else np.array(foretold)
    return Places(np.array(points), np.array(times), np.array(trials), hopes)


def rising(trials: int = 12) -> tuple[Places, np.ndarray]:
    """Trials at times 0.3 and 0.6, the first dimension tells how high; each has luck of its own."""
    generator = np.random.default_rng(0)
    points = generator.random((trials, 2))
    luck = generator.normal(0, 0.5, trials)
    values = [2 * points[n, 0] + luck[n] + time for n in range(trials) for time in (0.3, 0.6)]
    each = np.arange(trials)
    where = at(np.repeat(points, 2, axis=0), np.tile([0.3, 0.6], trials), np.repeat(each, 2))
    return where, np.array(values)


def test_what_a_trial_alone_has_stays_with_it_and_says_little_of_its_neighbours() -> None:
    where, values = rising()
    model = CurveProcess(where, values, ORDERED)
    points, trials = where.points[::2], where.trials[::2]
    own, surely = model.predict(at(points, np.ones(12), trials))
    others, vaguely = model.predict(at(points, np.ones(12), np.full(12, -1)))
    assert np.corrcoef(own, values[1::2])[0, 1] > 0.95
    assert np.corrcoef(own, values[1::2])[0, 1] > np.corrcoef(others, values[1::2])[0, 1] + 0.02
    assert (surely < vaguely).all(), "of a trial that was seen more is known"


def test_later_values_are_expected_to_be_higher_where_all_curves_rise() -> None:
    where, values = rising()
    model = CurveProcess(where, values, ORDERED)
    early, late = (
        model.predict(at(where.points[::2], np.full(12, t), np.full(12, -1)))[0] for t in (0.3, 0.6)
    )
    assert (late - early).mean() > 0.1


def test_values_without_order_are_alike_or_not_whatever_stands_between() -> None:
    points = [(0.0, 0.5), (0.5, 0.5), (1.0, 0.5)] * 4
    where = at(points, [1.0] * 12, list(range(12)))
    model = CurveProcess(where, np.array([1.0, -1.0, 1.0] * 4), np.array([True, False]))
    expected, _ = model.predict(at(points[:3], [1.0] * 3, [-1] * 3))
    assert expected[0] > 0.5 and expected[2] > 0.5 and expected[1] < 0
    between, vague = model.predict(at([(0.25, 0.5)], [1.0], [-1]))
    far, as_vague = model.predict(at([(0.99, 0.5)], [1.0], [-1]))
    _, known = model.predict(at([(0.5, 0.5)], [1.0], [-1]))
    assert between[0] == pytest.approx(far[0]) and vague[0] == pytest.approx(as_vague[0])
    assert vague[0] > known[0]


def test_distances_are_those_of_the_definition() -> None:
    generator = np.random.default_rng(2)
    points = np.c_[generator.random(9), generator.integers(3, size=9) / 2]
    hopes = generator.random((9, 2))
    where = at(points, generator.random(9), np.array([0, 0, 1, 1, 2, 3, 4, 5, 6]), hopes)
    numbers = np.log([3.0, 2.0, 0.5, 0.3, 0.4, 0.1, 0.7])
    model = CurveProcess(where, np.arange(9.0), np.array([False, True]), numbers)
    for some in (where, at([[0.3, 0.77]], [1.0], [1], [[0.5, -0.25]])):
        found = model._kernel(some, where)
        for m, n in np.ndindex(*found.shape):
            apart = 3 * (some.points[m, 0] - points[n, 0]) ** 2
            apart += 2 * (some.points[m, 1] != points[n, 1])
            away = (some.times[m] - where.times[n]) ** 2
            alike = some.trials[m] == where.trials[n]
            expected = matern(apart + 0.5 * away) + (0.3 * alike + 0.4) * matern(0.7 * away)
            expected += TRUST**2 * some.foretold[m] @ hopes[n]
            assert found[m, n] == pytest.approx(expected)


def matern(squared: float) -> float:
    root = (5 * squared) ** 0.5
    return float((1 + root + 5 * squared / 3) * np.exp(-root))


def test_a_value_that_is_given_draws_the_process_to_it_and_leaves_its_numbers() -> None:
    where, values = rising()
    model = CurveProcess(where, values, ORDERED)
    here = at([(0.1, 0.1)], [1.0], [40])
    after = model.given(here, np.array([9.0]))
    assert after.numbers is model.numbers
    assert after.predict(here)[0][0] > model.predict(here)[0][0] + 3
    assert after.predict(here)[1][0] < model.predict(here)[1][0] / 2
    assert len(after.places) == len(where) + 1


def test_many_values_are_fitted_on_some_and_predicted_by_all() -> None:
    generator = np.random.default_rng(1)
    points = generator.random((150, 2))
    where = at(points, np.ones(150), np.arange(150))
    values = np.sin(6 * points[:, 0])
    model = CurveProcess(where, (values - values.mean()) / values.std(), ORDERED)
    assert model.numbers is not None and model.numbers[0] > model.numbers[1], "one matters"
    expected, _ = model.predict(at(points, np.ones(150), np.full(150, -1)))
    assert np.corrcoef(expected, values)[0, 1] > 0.98


def single(points: np.ndarray) -> Places:
    """Points of trials of their own, at the last epoch."""
    return at(points, np.ones(len(points)), np.arange(len(points)))


def test_it_knows_what_it_was_told_and_doubts_what_lies_far_away() -> None:
    points = np.random.default_rng(0).uniform(size=(40, 2)) * 0.3
    values = 3 * np.sin(4 * points[:, 0])
    values = (values - values.mean()) / values.std()
    process = CurveProcess(single(points), values, ORDERED)
    mean, deviation = process.predict(single(points))
    assert np.abs(mean - values).max() < 0.3
    _, doubt = process.predict(at(np.array([[1.0, 1.0]]), np.ones(1), np.array([-1])))
    assert doubt[0] > 2 * deviation.max()


def test_what_matters_weighs_more() -> None:
    points = np.random.default_rng(0).uniform(size=(60, 4))
    values = np.cos(6 * points[:, 2])
    values = (values - values.mean()) / values.std()
    process = CurveProcess(single(points), values, np.zeros(4, bool))
    assert process.numbers is not None
    weights = process.numbers[:4]
    assert weights[2] > np.delete(weights, 2).max() + np.log(4)


def test_who_was_told_nothing_doubts_everything_alike() -> None:
    process = CurveProcess(single(np.empty((0, 2))), np.empty(0), ORDERED)
    mean, deviation = process.predict(single(np.random.default_rng(0).uniform(size=(5, 2))))
    assert mean.tolist() == [0.0] * 5 and len(set(deviation.round(12))) == 1


def test_of_many_values_a_model_is_told_the_best_and_the_latest_in_their_order() -> None:
    values = np.array([5.0, 1.0, 4.0, 0.0, 3.0, 2.0, 1.0, 0.0])
    assert telling(values, 4).tolist() == [0, 2, 6, 7]
    assert telling(values, 8).tolist() == list(range(8))


def test_what_was_foretold_holds_where_nothing_is_known_and_is_weighed_by_what_is_seen() -> None:
    """Two parts: the first is right, the second is the wrong way round."""
    generator = np.random.default_rng(3)
    points, hopes = generator.random((30, 2)), generator.normal(size=(30, 2))
    new = at([[0.5, 0.5]] * 2, [1.0] * 2, [-1] * 2, [[2.0, 0.0], [0.0, 2.0]])
    ignorant = CurveProcess(at(points, np.ones(30), range(30), hopes)[:0], np.empty(0), ORDERED)
    mean, doubt = ignorant.predict(new)
    assert mean.tolist() == [2.0, 2.0]
    values = hopes @ [1.0, -1.0] + generator.normal(0, 0.1, 30)
    told = CurveProcess(at(points, np.ones(30), range(30), hopes), values, ORDERED)
    mean, surer = told.predict(new)
    assert mean == pytest.approx([2.0, -2.0], abs=0.3)
    assert (surer < doubt / 3).all()


def test_what_trials_say_is_not_counted_twice_beside_what_was_foretold() -> None:
    """Where trials are as good as was thought, beside them nothing better is expected."""
    points = np.repeat([[0.2, 0.2], [0.8, 0.8]], 8, axis=0)
    hopes = np.repeat([[-1.0], [1.0]], 8, axis=0)
    model = CurveProcess(at(points, np.ones(16), range(16), hopes), hopes[:, 0], ORDERED)
    mean, _ = model.predict(at(points[::8], np.ones(2), [-1, -1], hopes[::8]))
    assert mean == pytest.approx([-1.0, 1.0], abs=0.05)


@pytest.mark.parametrize("worth", [0.0, 1.0, 2.0])
def test_no_step_makes_its_numbers_more_likely_whatever_was_foretold_is_worth(
    worth: float,
) -> None:
    generator = np.random.default_rng(4)
    points, hopes = generator.random((40, 2)), generator.normal(size=(40, 1))
    values = np.sin(5 * points[:, 0]) + worth * hopes[:, 0] + generator.normal(0, 0.4, 40)
    where = at(points, np.ones(40), range(40), hopes)
    model = CurveProcess(where, values, ORDERED)
    assert model.numbers is not None
    prior, spread = np.array([(math.log(2.0), SPREAD)] * 2 + [*OTHERS]).T

    def likely(numbers: np.ndarray) -> float:
        of = CurveProcess(where, values, ORDERED, numbers)
        kernel = of._kernel(where, where) + (np.exp(numbers[-2]) + JITTER) * np.eye(40)
        rest = values - hopes[:, 0]
        found = multivariate_normal(np.full(40, rest.mean()), kernel).logpdf(rest)
        return float(found - (((numbers - prior) / spread) ** 2).sum() / 2)

    best = likely(model.numbers)
    for index in range(len(prior)):
        for step in (STEP, -STEP):
            moved = model.numbers.copy()
            moved[index] += step
            assert likely(moved) <= best + 1e-5
    assert likely(prior) < best


def test_its_numbers_are_those_of_what_was_not_foretold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cnnlib.search.curve_process.TRUST", 0.0)
    generator = np.random.default_rng(5)
    points, hopes = generator.random((40, 2)), 5 * generator.normal(size=(40, 1))
    values = np.sin(5 * points[:, 0]) + generator.normal(0, 0.4, 40)
    alone = CurveProcess(single(points), values, ORDERED)
    told = CurveProcess(at(points, np.ones(40), range(40), hopes), values + hopes[:, 0], ORDERED)
    assert told.numbers == pytest.approx(alone.numbers)


def test_numbers_whose_covariance_cannot_be_divided_are_the_least_likely() -> None:
    numbers, values = np.full(5, -9.0), np.array([0.5, -0.5])
    assert _density(np.array([[1.0, 2.0], [2.0, 1.0]]), numbers, values) == -math.inf
    assert _density(np.array([[1.0, 0.2], [0.2, 1.0]]), numbers, values) > -math.inf


def test_how_lucky_a_new_trial_may_be_is_no_doubt_of_its_configuration() -> None:
    """Twenty trials of one configuration, as different as luck makes them; one far away."""
    luck = np.random.default_rng(1).normal(0, 1, 20)
    where = at(np.full((20, 2), 0.5), np.ones(20), np.arange(20))
    own = 1.0
    numbers = np.log([2.0, 2.0, 1.0, own, 0.01, 0.02, 0.5])
    model = CurveProcess(where, luck, ORDERED, numbers)
    [here, far] = model.predict(at([[0.5, 0.5], [9.0, 9.0]], [1.0, 1.0], [-1, -1]))[1]
    [seen] = model.predict(at([[0.5, 0.5]], [1.0], [3]))[1]
    assert here**2 == pytest.approx((own + 0.02) / 20, rel=0.2)
    assert far == pytest.approx(1.0, rel=0.05)
    assert seen**2 == pytest.approx(0.02, rel=0.2), "of its own luck all is known but the noise"
