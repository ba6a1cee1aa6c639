"""The prior of the models that a report averages over."""

from itertools import combinations

import numpy as np
import pytest

from analysis.statistics.averaging import Explanations

BELIEFS = np.array([0.4, 0.1, 0.2, 0.05])
MODELS = [model for size in range(5) for model in combinations(range(4), size)]


def explanations(scores: np.ndarray, levels: np.ndarray, beliefs: np.ndarray) -> Explanations:
    """Of factors with two levels each, (trials, factors) of 0 and 1."""
    num = levels.shape[1]
    columns = np.stack([levels == 0, levels == 1], axis=2).reshape(len(levels), 2 * num)
    return Explanations(scores, columns.astype(float), np.repeat(np.arange(num), 2), beliefs)


@pytest.fixture
def nothing() -> Explanations:
    rng = np.random.default_rng(0)
    return explanations(rng.normal(size=12), rng.integers(0, 2, (12, 4)), BELIEFS)


def test_priors_of_all_models_add_up_to_one(nothing: Explanations) -> None:
    assert sum(np.exp(nothing._prior(m)) for m in MODELS) == pytest.approx(1)


def test_who_is_likelier_to_matter_is_so_by_the_odds(nothing: Explanations) -> None:
    ratio = np.exp(nothing._prior((0, 2)) - nothing._prior((1, 2)))
    assert ratio == pytest.approx((0.4 / 0.6) / (0.1 / 0.9))


def test_as_many_matter_as_is_believed(nothing: Explanations) -> None:
    expected = sum(len(model) * np.exp(nothing._prior(model)) for model in MODELS)
    assert expected == pytest.approx(BELIEFS.sum())


def test_who_is_believed_in_is_adjusted_for() -> None:
    """Scores that tell nothing of either: the other way round with other beliefs."""
    levels = np.column_stack([np.repeat([0, 1], 4), np.tile([0, 1], 4), [0, 1, 1, 0, 1, 0, 0, 1]])
    scores = np.array([0.3, 0.33, 0.33, 0.3, 0.3, 0.33, 0.33, 0.3])

    def share(number: int, beliefs: list[float]) -> float:
        """Of the models that hold this one of the first two alone."""
        found = explanations(scores, levels, np.array(beliefs)).without([2])
        own = np.stack([levels[:, number] == 0, levels[:, number] == 1], axis=1)
        return sum(e.weight for e in found if np.array_equal(e.columns, own))

    assert share(0, [0.4, 0.2, 0.1]) == pytest.approx(share(1, [0.2, 0.4, 0.1]))
    assert share(0, [0.4, 0.2, 0.1]) > 2 * share(1, [0.4, 0.2, 0.1]) > 0
