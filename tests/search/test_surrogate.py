"""The Gaussian process: what it answers, and how configurations become points."""

import numpy as np
import pytest

from cnnlib.networks.cnn.family import TrialConfig
from cnnlib.networks.values import Choice, Interval, Space
from cnnlib.search.surrogate import Encoding, Surrogate, telling

SPACE: Space = {
    "learning_rate": Interval(1e-4, 1e-2, log=True),
    "first_layer_filters": Choice((64, 16, 32)),
    "activation": Choice(("relu", "gelu", "silu")),
}


def drawn(count: int, dimensions: int = 4) -> np.ndarray:
    return np.random.default_rng(0).uniform(size=(count, dimensions))


def test_numbers_lie_in_their_order_and_words_are_alike_or_not() -> None:
    encoding = Encoding(SPACE)
    rows = ((1e-4, 16, "relu"), (1e-3, 32, "gelu"), (1e-2, 64, "silu"))
    configs = [
        TrialConfig(learning_rate=rate, first_layer_filters=filters, activation=activation)
        for rate, filters, activation in rows
    ]
    points = encoding.points(configs)
    assert points[:, :2] == pytest.approx(np.array([[0, 0], [0.5, 0.5], [1, 1]]))
    assert len(set(points[:, 2])) == 3
    assert encoding.without_order.tolist() == [False, False, True]


def test_it_knows_what_it_was_told_and_doubts_what_lies_far_away() -> None:
    points = drawn(40, 2) * 0.3
    values = 3 * np.sin(4 * points[:, 0])
    values = (values - values.mean()) / values.std()
    process = Surrogate(points, values, np.zeros(2, bool))
    mean, deviation = process.predict(points)
    assert np.abs(mean - values).max() < 0.3
    _, doubt = process.predict(np.array([[1.0, 1.0]]))
    assert doubt[0] > 2 * deviation.max()


def test_what_matters_weighs_more() -> None:
    points = drawn(60)
    values = np.cos(6 * points[:, 2])
    process = Surrogate(points, (values - values.mean()) / values.std(), np.zeros(4, bool))
    assert process.weights is not None
    others = np.delete(process.weights, 2)
    assert process.weights[2] > 4 * others.max()


def test_words_without_order_are_told_apart() -> None:
    points = np.repeat(np.array([[0.0], [0.5], [1.0]]), 10, axis=0)
    values = np.where(points[:, 0] == 0.5, 1.4, -0.7) + np.random.default_rng(1).normal(0, 0.1, 30)
    mean, _ = Surrogate(points, values, np.ones(1, bool)).predict(np.array([[0.0], [0.5], [1.0]]))
    assert mean[1] > 1 and max(mean[0], mean[2]) < 0


def test_points_that_come_later_leave_the_weights_and_lessen_the_doubt() -> None:
    points = drawn(30)
    process = Surrogate(points, np.sin(5 * points[:, 0]) * 1.4, np.zeros(4, bool))
    there = np.array([[0.9, 0.1, 0.9, 0.1]])
    more = process.given(there, np.array([0.0]))
    assert np.array_equal(more.weights, process.weights)
    assert more.predict(there)[1] < process.predict(there)[1]


def test_of_many_values_a_model_is_told_the_best_and_the_latest_in_their_order() -> None:
    values = np.array([5.0, 1.0, 4.0, 0.0, 3.0, 2.0, 1.0, 0.0])
    assert telling(values, 4).tolist() == [0, 2, 6, 7]
    assert telling(values, 8).tolist() == list(range(8))
