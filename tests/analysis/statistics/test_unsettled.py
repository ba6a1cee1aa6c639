"""What was seen and is not sure: how wide its interval is, and how many trials would tell."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from analysis.reading.measure import ACCURACY
from analysis.statistics.effects import EFFECT_COLUMNS, Effects
from analysis.statistics.unsettled import corrected, seen_sentences, trials_to_settle


def effects(*rows: tuple) -> Effects:
    return Effects(pd.DataFrame(rows, columns=EFFECT_COLUMNS), pd.DataFrame())


def test_a_corrected_interval_leaves_0_out_where_the_p_value_says_that_it_is_sure() -> None:
    rng = np.random.default_rng(0)
    for _ in range(300):
        effect, half = rng.normal(0, 2), rng.uniform(0.1, 3)
        alone = 2 * norm.sf(norm.isf(0.025) * abs(effect) / half)
        p_adjusted = min(1.0, alone * rng.uniform(1, 40))
        low, high = corrected(effect, effect - half, effect + half, p_adjusted)
        assert low <= effect - half + 1e-9 and high >= effect + half - 1e-9, "never narrower"
        if abs(p_adjusted - 0.05) > 1e-6:
            assert (low > 0 or high < 0) == (p_adjusted <= 0.05)
    assert corrected(1.0, 0.5, 1.5, 1.0)[0] < 0, "of an effect that rests on few trials"


def test_so_many_trials_find_the_effect_in_four_of_five_sweeps() -> None:
    rng, noise, effect = np.random.default_rng(0), 1.0, 0.8

    def z_values(n: int) -> np.ndarray:
        """Of 4,000 sweeps of n trials, half with a value and half without."""
        halves = rng.normal(0, noise, (2, 4000, n // 2)).mean(axis=2)
        return (effect + halves[0] - halves[1]) / (noise * np.sqrt(4 / n))

    half = norm.isf(0.025) * noise * np.sqrt(4 / 20)
    p_value = 2 * norm.sf(effect / noise / np.sqrt(4 / 20))
    needed = trials_to_settle(effect, effect - half, effect + half, p_value, 20)
    n = 2 * round(needed / 2)
    assert (z_values(n) > norm.isf(0.025)).mean() == pytest.approx(0.8, abs=0.03)
    many = trials_to_settle(effect, effect - half, effect + half, min(1, 5 * p_value), 20)
    assert many > needed, "corrected for others it takes more"


def test_what_looks_best_and_is_not_sure_is_told_with_how_many_trials_would_tell() -> None:
    found = effects(
        ("lr", "0.0001", "0.001", -0.16, -0.31, -0.01, 0.2, 5, 10),
        ("lr", "0.01", "0.001", -0.02, -0.2, 0.16, 1.0, 5, 10),
        ("norm", "true", "false", 0.10, 0.05, 0.15, 0.01, 9, 11),
        ("drop", "0.2", "0.3", 0.001, -0.1, 0.1, 1.0, 9, 11),
    )
    [sentence] = seen_sentences(found, 20, ACCURACY, "by epoch 2")
    assert sentence.startswith(
        "lr: 0.001 looks better than 0.0001, by 16.0 points by epoch 2, but 10 and 5 trials are"
    )
    assert sentence.endswith("about 60 trials like these would tell.")
    assert seen_sentences(effects(), 20, ACCURACY, "") == []
