"""Trends: what hyperparameters' values gave over sweeps of other photographs."""

import random
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from cnnlib.search.experience import Experience
from cnnlib.search.trends import Trend, Tried, learn

RATES = (1e-4, 1e-3, 1e-2)
ACTIVATIONS = ("gelu", "mish", "relu")


def gives(rate: float, activation: str, dropout: float) -> float:
    return {1e-4: -1.0, 1e-3: 1.0, 1e-2: 0.0}[rate] + 0.5 * (activation == "relu") - 2 * dropout


def tried(seed: int, trials: int = 200, **fixed: Any) -> Tried:
    draw = random.Random(seed)
    values = {
        "rate": [draw.choice(RATES) for _ in range(trials)],
        "activation": [draw.choice(ACTIVATIONS) for _ in range(trials)],
        "dropout": [draw.uniform(0, 0.5) for _ in range(trials)],
    }
    scores = [gives(*row) + draw.gauss(0, 0.1) for row in zip(*values.values(), strict=True)]
    return Tried(values | {n: [value] * trials for n, value in fixed.items()}, scores)


def test_what_each_value_gave_is_found_all_else_alike() -> None:
    trends = learn([tried(1), tried(2)])
    assert trends["rate"].values == RATES and trends["activation"].values == ACTIVATIONS
    low, middle, high = trends["rate"].scores
    assert low < high < middle and middle - low == pytest.approx(2 * (middle - high), rel=0.2)
    gelu, mish, relu = trends["activation"].scores
    assert relu > max(gelu, mish) + 0.3 and abs(gelu - mish) < 0.15
    ends = trends["dropout"].of([0.0, 0.25, 0.5])
    assert ends[0] > ends[1] + 0.3 > ends[2] + 0.6
    truth, found = [], []
    for rate in RATES:
        for activation in ACTIVATIONS:
            config = SimpleNamespace(rate=rate, activation=activation, dropout=0.1)
            truth.append(gives(rate, activation, 0.1))
            found.append(float(Experience("", 2, 2, trends).foretold([config], [1.0]).sum()))
    assert np.corrcoef(truth, found)[0, 1] > 0.97


def test_few_trials_say_little() -> None:
    few, many = (learn([tried(7, trials)])["rate"].scores for trials in (9, 900))
    assert max(few) - min(few) < 0.6 * (max(many) - min(many))


def test_an_ordinary_trial_gives_nothing() -> None:
    sweep = tried(3)
    configs = [
        SimpleNamespace(**dict(zip(sweep.values, row, strict=True)))
        for row in zip(*sweep.values.values(), strict=True)
    ]
    hopes = Experience("", 1, len(configs), learn([sweep])).foretold(configs, [1.0] * len(configs))
    assert abs(hopes.sum(axis=1).mean()) < 0.01


def test_a_sweep_counts_by_its_order_whatever_its_unit_is() -> None:
    sweep = tried(4)
    other = Tried(sweep.values, [1e6 * score - 5 for score in sweep.scores])
    assert learn([sweep]) == learn([other])


def test_what_differs_between_sweeps_alone_says_nothing() -> None:
    """Nobody knows whether the size or the photographs made the scores of the second higher."""
    better = tried(6, size=64)
    sweeps = [tried(5, size=32), Tried(better.values, [score + 50 for score in better.scores])]
    assert set(learn(sweeps)["size"].scores) == {0.0}
    assert "size" not in learn(sweeps[:1])
    assert learn([Tried({"size": [1, 1, 1, 1, 1]}, [1, 2, 3, 4, 5])]) == {}


def test_between_numbers_a_trend_is_straight_and_level_beyond() -> None:
    linear = Trend((0.0, 1.0, 2.0), (0.0, 4.0, 2.0))
    assert linear.of([-9, 0.25, 1.5, 99]).tolist() == [0.0, 1.0, 3.0, 2.0]
    by_decades = Trend((1e-4, 1e-2), (0.0, 1.0))
    assert by_decades.of([1e-3, 0.0]).tolist() == [pytest.approx(0.5), 0.0]
    doubled = Trend((32, 64, 128), (0.0, 1.0, 0.0))
    assert doubled.of([32 * 2**0.5, 64 * 2**0.5]) == pytest.approx([0.5, 0.5])
    assert Trend((32, 64, 96), (0.0, 1.0, 0.0)).of([48]) == pytest.approx([0.5])
    assert Trend((False, True), (-1.0, 1.0)).of([True, 0]).tolist() == [1.0, -1.0]
    assert Trend(("a", "b"), (1.0, 2.0)).of(["b", "c"]).tolist() == [2.0, 0.0]
    assert linear.of([]).tolist() == Trend(("a",), (1.0,)).of([]).tolist() == []


@pytest.mark.parametrize(
    ("values", "scores"),
    [((), ()), ((1,), (1.0, 2.0)), ((1,), ("a",)), ((1,), (float("nan"),)), ((None,), (1.0,))],
)
def test_what_is_no_trend_is_refused(values: Any, scores: Any) -> None:
    with pytest.raises(ValueError, match=r"score|values"):
        Trend(values, scores)
