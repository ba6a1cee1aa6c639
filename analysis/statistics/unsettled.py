"""What was seen and is not sure: intervals as wide as the number of comparisons asks for, and how
many trials would settle a difference that is as large as it looks.
"""

import math

import numpy as np
import pandas as pd
from scipy.stats import norm

from analysis.reading.measure import Measure
from analysis.statistics.effects import SIGNIFICANT, Effects

USUAL = float(norm.isf(SIGNIFICANT / 2))  # standard errors to either side, of one comparison
POWER = 0.8  # share of sweeps of that size that would find it
MAX_SEEN = 3  # differences that are told
MOST = 20  # times as many trials: beyond that a number says nothing
LEAST = 1.0  # standard errors; what is smaller was not even seen


def corrected(effect: float, low: float, high: float, p_adjusted: float) -> tuple[float, float]:
    """A 95% interval made as much wider as its p-value is corrected for other comparisons.

    It leaves 0 out where `p_adjusted` is at most 0.05, and only there, by a normal distribution.
    """
    half = (high - low) / 2
    if not half > 0 or effect == 0:
        return low, high
    half *= _reach(effect, half, p_adjusted) / USUAL
    return effect - half, effect + half


def _reach(effect: float, half: float, p_adjusted: float) -> float:
    """Standard errors that an effect must be away from 0."""
    p_value = 2 * float(norm.sf(USUAL * abs(effect) / half))
    share = min(1.0, p_value / p_adjusted) if p_adjusted > 0 else 1.0
    return float(norm.isf(max(SIGNIFICANT * share, 1e-300) / 2))


def trials_to_settle(
    effect: float, low: float, high: float, p_adjusted: float, num_trials: int
) -> float:
    """How many trials would find this effect in 80% of sweeps, were it as large as it looks.

    The standard error falls with the root of their number; infinite where there is no effect.
    """
    half = (high - low) / 2
    if not half > 0 or effect == 0:
        return math.inf
    needed = _reach(effect, half, p_adjusted) + float(norm.ppf(POWER))
    return num_trials * (needed * half / USUAL / abs(effect)) ** 2


def seen_sentences(effects: Effects, num_trials: int, measure: Measure, when: str) -> list[str]:
    """The clearest differences that may be chance, one a hyperparameter, and what would tell."""
    table = effects.effects
    table = table[(table["p_adjusted"] > SIGNIFICANT) & table["effect"].notna()]
    if table.empty:
        return []
    half = (table["high"] - table["low"]).astype(float) / 2
    away = (USUAL * table["effect"].abs() / half.where(half > 0, np.inf)).astype(float)
    surest = away.sort_values(ascending=False, kind="stable").index
    known = {*effects.significant["hyperparameter"]}
    rows = table.loc[surest].drop_duplicates("hyperparameter")
    rows = rows[~rows["hyperparameter"].isin(known) & (away[rows.index] >= LEAST)]
    return [_sentence(row, num_trials, measure, when) for _, row in rows.head(MAX_SEEN).iterrows()]


def _sentence(row: pd.Series, num_trials: int, measure: Measure, when: str) -> str:
    figures = float(row["effect"]), float(row["low"]), float(row["high"]), float(row["p_adjusted"])
    needed = trials_to_settle(*figures, num_trials)
    value, reference = (str(row["value"]), row["n"]), (str(row["reference"]), row["n_reference"])
    (better, n), (worse, n_worse) = (value, reference) if row["effect"] > 0 else (reference, value)
    told = (
        f"{row['hyperparameter']}: {better} looks better than {worse}, by"
        f" {measure.size(row['effect'])} {when}, but {n} and {n_worse} trials are too few to tell."
    )
    if needed > MOST * num_trials:
        return f"{told} Even {MOST} times as many trials would hardly settle it."
    if needed <= num_trials:
        return f"{told} More trials of these values would settle it."
    rounded = math.ceil(needed / 10) * 10
    return f"{told} Were it as large as it looks, about {rounded:,} trials like these would tell."
