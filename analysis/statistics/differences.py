"""How much more often one network is right than another on test photographs, and how surely."""

import math
from dataclasses import dataclass

import numpy as np
from scipy import stats

from cnnlib.journal.scores import wilson_interval


@dataclass(frozen=True)
class Difference:
    """The first network's accuracy less the second's, with its 95% interval and p-value."""

    effect: float
    low: float
    high: float
    p_value: float
    only_first: int | None = None
    """Photographs that only the first is right about; None where they are not the same ones."""
    only_second: int | None = None


def paired_difference(first: np.ndarray, second: np.ndarray) -> Difference:
    """Of two networks on the same photographs; each array says where one is right, (n,).

    McNemar's exact test, and Newcombe's interval for paired shares (1998, method 10).
    """
    both, neither = int((first & second).sum()), int((~first & ~second).sum())
    only_first, only_second = int((first & ~second).sum()), int((~first & second).sum())
    n = len(first)
    p_value = mcnemar(only_first, only_second)
    right = both + only_first, both + only_second
    cross = float(both * neither - only_first * only_second)
    if cross > 0:
        cross = max(cross - n / 2, 0)
    spread = math.sqrt(math.prod((right[0], n - right[0], right[1], n - right[1])))
    low, high = _newcombe((right[0], n), (right[1], n), cross / spread if spread else 0.0)
    effect = (right[0] - right[1]) / n
    return Difference(effect, low, high, p_value, only_first, only_second)


def mcnemar(only_first: int, only_second: int) -> float:
    """McNemar's exact test: the p-value of what only one of two networks is right about."""
    disagree = only_first + only_second
    return float(stats.binomtest(only_first, disagree).pvalue) if disagree else 1.0


def unpaired_difference(first: tuple[int, int], second: tuple[int, int]) -> Difference:
    """Of two networks on different photographs, each as (right, n).

    A chi-squared test, and Newcombe's interval for independent shares (1998, method 10).
    """
    (right_1, n_1), (right_2, n_2) = first, second
    wrong_1, wrong_2 = n_1 - right_1, n_2 - right_2
    p_value = 1.0
    if right_1 + right_2 and wrong_1 + wrong_2:
        table = [[right_1, wrong_1], [right_2, wrong_2]]
        p_value = float(stats.chi2_contingency(table, correction=False).pvalue)
    low, high = _newcombe(first, second, 0.0)
    return Difference(right_1 / n_1 - right_2 / n_2, low, high, p_value)


def _newcombe(
    first: tuple[int, int], second: tuple[int, int], correlation: float
) -> tuple[float, float]:
    """The interval from each share's own Wilson interval."""
    share_1, share_2 = first[0] / first[1], second[0] / second[1]
    low_1, high_1 = wilson_interval(*first)
    low_2, high_2 = wilson_interval(*second)
    down = _length(share_1 - low_1, high_2 - share_2, correlation)
    up = _length(high_1 - share_1, share_2 - low_2, correlation)
    return share_1 - share_2 - down, share_1 - share_2 + up


def _length(one: float, other: float, correlation: float) -> float:
    return math.sqrt(max(one * one - 2 * correlation * one * other + other * other, 0.0))
