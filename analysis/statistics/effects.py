"""Which hyperparameters matter, how much and how surely; knows nothing of pages and plots."""

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from analysis.reading.values import NOT_LOGGED
from analysis.statistics.comparison import Comparison
from analysis.statistics.expected import evidence_weights
from analysis.statistics.regression import Fit, closed, detectable, holm

MIN_TRIALS = 3  # of a value, for it to be compared
SIGNIFICANT = 0.05
NUM_DRAWS = 4000
EFFECT_COLUMNS = [
    "hyperparameter", "value", "reference", "effect", "low", "high", "p_adjusted", "n",
    "n_reference",
]  # fmt: skip
_COLUMNS = [*EFFECT_COLUMNS, "rests_on_few"]
IMPORTANCE_COLUMNS = ["hyperparameter", "importance", "low", "high"]
_IMPORTANCE_COLUMNS = [*IMPORTANCE_COLUMNS, "p_adjusted"]


@dataclass(frozen=True)
class Effects:
    """What the hyperparameters do to the score, adjusted for each other."""

    effects: pd.DataFrame
    """A row for each value but the reference: differences in score, above 0 for the better."""
    importance: pd.DataFrame
    """The share of the variance of scores that a hyperparameter explains, largest first."""
    p_values: dict[str, float] = field(default_factory=dict)
    """By hyperparameter: that it has no effect at all, corrected for their number (a closed
    test, with the weights of `expected`) and, where that is asked too, for who learns."""
    alone: dict[str, float] = field(default_factory=dict)
    """The same, not corrected."""
    noise: float = float("nan")
    """Standard deviation of a trial around what its hyperparameters explain."""
    detectable: float = float("nan")
    """The difference that half of such sweeps would find: the median of all values."""
    not_compared: tuple[str, ...] = ()
    """Hyperparameters that vary, but not with two values of MIN_TRIALS trials each."""
    crowded: tuple[str, ...] = ()
    """Hyperparameters with about as many values as there are trials, or equal scores."""

    @property
    def significant(self) -> pd.DataFrame:
        """The rows whose effect is not explained by chance."""
        return self.effects[self.effects["p_adjusted"] <= SIGNIFICANT]


def estimate_effects(comparison: Comparison) -> Effects:
    """Effects and importance of every hyperparameter that varies.

    A value's p-value is corrected for the other values of its hyperparameter, and is never below
    the hyperparameter's own, which is corrected for the number of hyperparameters.
    """
    factors = {name: with_reference(levels) for name, levels in comparison.levels.items()}
    compared = {name: f for name, f in factors.items() if len(kept_levels(f))}
    skipped = tuple(str(name) for name in factors if name not in compared)
    fits = _fits(comparison, compared)
    if not fits:
        return Effects(
            pd.DataFrame(columns=_COLUMNS), pd.DataFrame(columns=_IMPORTANCE_COLUMNS),
            not_compared=skipped, crowded=tuple(map(str, compared)),
        )  # fmt: skip
    alone = {
        name: found.p_value(kept_levels(compared[name]), comparison.steps(compared[name]))
        for name, found in fits.items()
    }
    weights = evidence_weights(alone)
    adjusted = closed(np.array([*alone.values()]), weights) / comparison.effects_share
    p_values = dict(zip(alone, map(float, np.minimum(adjusted, 1)), strict=True))
    rows = [row for name, f in fits.items() for row in _rows(f, compared[name], p_values[name])]
    return Effects(
        effects=pd.DataFrame(rows, columns=_COLUMNS),
        importance=_importance(fits, compared, p_values),
        p_values=p_values,
        alone=alone,
        noise=float(np.median([found.noise for found in fits.values()])),
        detectable=detectable(
            [(f, kept_levels(compared[name])) for name, f in fits.items()],
            weights,
            SIGNIFICANT * comparison.effects_share,
        ),
        not_compared=skipped,
        crowded=tuple(str(name) for name in compared if name not in fits),
    )


def effects_against(
    comparison: Comparison, effects: Effects, name: str, value: str
) -> pd.DataFrame:
    """The rows of a hyperparameter in effects.csv, with another value as their reference."""
    factor = with_reference(comparison.levels[name], value)
    found = _fits(comparison, {name: factor})
    rows = [row for f in found.values() for row in _rows(f, factor, effects.p_values[name])]
    return pd.DataFrame(rows, columns=_COLUMNS)


def best_value(effects: Effects, name: str) -> str:
    """The value of a compared hyperparameter with the highest effect, surely so or not.

    Of values that enough trials tell from the others: the highest of few is often chance.
    """
    rows = effects.effects[effects.effects["hyperparameter"] == name]
    better = rows[(rows["effect"] > 0) & ~rows["rests_on_few"].astype(bool)]
    if better.empty:
        return str(rows["reference"].iloc[0])
    return str(better.loc[better["effect"].idxmax(), "value"])


def with_reference(levels: pd.Series, value: str | None = None) -> pd.Series:
    """The levels with the reference in front: `value`, or the one that most trials share.

    From a reference of few trials all differences rest on few.
    """
    counts = levels.value_counts(sort=False)
    if value is None:
        value = counts.where(counts.index != NOT_LOGGED, 0).idxmax()
    return levels.cat.reorder_categories([value, *counts.index.drop(value)])


def kept_levels(factor: pd.Series) -> list[int]:
    """The numbers, less one, of the levels that can be compared with the reference."""
    counts = factor.value_counts(sort=False)
    if counts.iloc[0] < MIN_TRIALS or counts.index[0] == NOT_LOGGED:
        return []
    return [
        number
        for number, (value, n) in enumerate(counts.iloc[1:].items())
        if n >= MIN_TRIALS and value != NOT_LOGGED
    ]


def _fits(comparison: Comparison, factors: dict[str, pd.Series]) -> dict[str, Fit]:
    fits = {name: comparison.fit(factor, [name]) for name, factor in factors.items()}
    return {name: found for name, found in fits.items() if found is not None}


def _rows(found: Fit, factor: pd.Series, p_value: float) -> list[tuple]:
    counts, kept = factor.value_counts(sort=False), kept_levels(factor)
    answers = [found.contrast(number) for number in kept]
    adjusted = np.maximum(holm(np.array([p for *_, p in answers])), p_value)
    return [
        (factor.name, counts.index[number + 1], counts.index[0], effect, low, high, float(p),
         int(counts.iloc[number + 1]), int(counts.iloc[0]), found.rests_on_few(number))
        for number, (effect, low, high, _), p in zip(kept, answers, adjusted, strict=True)
    ]  # fmt: skip


def _importance(
    fits: dict[str, Fit], factors: dict[str, pd.Series], p_values: dict[str, float]
) -> pd.DataFrame:
    """Shares of the variance that there would be if every value were tried equally often.

    The square of a noisy effect is too large by the noise, so that is subtracted: a
    hyperparameter without effect has 0. The intervals are those of effects drawn around the
    estimates; a draw is too large by that noise twice. One whose p-value is no evidence may
    explain nothing.
    """
    rng = np.random.default_rng(0)
    means, draws = {}, {}
    for name, found in fits.items():
        kept = kept_levels(factors[name])
        effects = found.effects[kept]
        covariance = found.mean.covariance[np.ix_(kept, kept)]
        centre = np.eye(len(kept) + 1)[:, 1:] - 1 / (len(kept) + 1)
        form = centre.T @ centre / (len(kept) + 1)  # effects @ form @ effects is their variance
        excess = float(np.trace(form @ covariance))
        means[name] = max(0.0, float(effects @ form @ effects) - excess)
        drawn = rng.multivariate_normal(effects, covariance, NUM_DRAWS, method="svd")
        draws[name] = np.einsum("di,ij,dj->d", drawn, form, drawn) - 2 * excess
    noise = float(np.median([found.noise for found in fits.values()])) ** 2
    total = sum(means.values()) + noise
    whole = sum(np.maximum(values, 0) for values in draws.values()) + noise
    rows = []
    for name, values in draws.items():
        low, high = np.quantile(np.clip(values, 0, None) / whole, [0.025, 0.975]).tolist()
        share = means[name] / total if total else 0.0
        if p_values[name] > SIGNIFICANT:
            low = 0.0
        rows.append((name, share, min(low, share), max(high, share), p_values[name]))
    table = pd.DataFrame(rows, columns=_IMPORTANCE_COLUMNS)
    return table.sort_values("importance", ascending=False, kind="stable", ignore_index=True)
