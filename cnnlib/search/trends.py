"""Trends: what the values of a hyperparameter gave, all else alike, over the trials of sweeps.

A score is told in standard deviations of a sweep's trials, by their ranks, so that sweeps of other
photographs and metrics can be looked at together. Trends are added up: of networks and data that
nobody has trained on, that is most of what can be known (docs/EXPERIMENTS.md, "Experience").
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import norm, rankdata

from cnnlib.networks.hyperparameter import Value

KNOTS = 7  # of a trend along numbers of which there are more
DECADE = 10.0  # highest by lowest from which two numbers above 0 are taken by their logarithm
DOUBT = 10.0  # trials' worth of it about each value: the ridge of the regression
DIGITS = 3  # of a knot, and of a score
LEAST = 1e-300  # below which a number has no logarithm


@dataclass(frozen=True)
class Trend:
    """Scores (K,) of K values: between two numbers it is straight, beyond the last ones level."""

    values: tuple[Value, ...]
    scores: tuple[float, ...]

    def __post_init__(self) -> None:
        if not self.values or len(self.values) != len(self.scores):
            raise ValueError(f"{len(self.values)} values have {len(self.scores)} scores")
        numbers = all(type(score) in (int, float) for score in self.scores)
        if not numbers or not np.isfinite(self.scores).all():
            raise ValueError(f"{self.scores} are not scores")
        if not all(type(value) in (bool, int, float, str) for value in self.values):
            raise ValueError(f"{self.values} are not values of a hyperparameter")

    @property
    def is_along_numbers(self) -> bool:
        return not any(isinstance(value, str) for value in self.values)

    def of(self, values: Sequence[Value]) -> np.ndarray:
        """The scores of N values, (N,); that of a text which nobody has tried is 0."""
        return self.shares(values) @ np.array(self.scores)

    def shares(self, values: Sequence[Value]) -> np.ndarray:
        """(N, K): how much each value has of each of the trend's; a row's sum is at most 1."""
        if not self.is_along_numbers:
            alike = [[value == known for known in self.values] for value in values]
            return np.array(alike, float).reshape(len(values), len(self.values))
        log = _is_log(self.values)
        knots, places = (_along(some, log) for some in (self.values, values))
        return np.array([np.interp(places, knots, unit) for unit in np.eye(len(knots))]).T


Trends = Mapping[str, Trend]  # by hyperparameter


@dataclass(frozen=True)
class Tried:
    """The trials of a sweep: N values of each hyperparameter, and N scores."""

    values: Mapping[str, Sequence[Value]]
    scores: Sequence[float]  # the higher the better


def learn(sweeps: Sequence[Tried]) -> dict[str, Trend]:
    """The trends of sweeps, by a ridge regression on all hyperparameters that vary in any."""
    columns: dict[str, list[Value]] = {}
    for sweep in sweeps:
        for name, values in sweep.values.items():
            columns.setdefault(name, []).extend(values)
    level = {n: _level(column) for n, column in columns.items() if len(set(column)) > 1}
    if not level:
        return {}
    shares = np.concatenate([_centred(level, sweep) for sweep in sweeps])
    scores = np.concatenate([standing(sweep.scores) for sweep in sweeps])
    precision = shares.T @ shares + DOUBT * np.eye(shares.shape[1])
    found = np.linalg.solve(precision, shares.T @ scores)
    ends = np.cumsum([len(trend.values) for trend in level.values()])
    parts = np.split(found, ends[:-1])
    return {n: _told(level[n], part, columns[n]) for n, part in zip(level, parts, strict=True)}


def _told(level: Trend, scores: np.ndarray, column: Sequence[Value]) -> Trend:
    """With scores of which those of the column have the mean 0."""
    mean = level.shares(column).mean(axis=0) @ scores
    return Trend(level.values, tuple(round(float(score - mean), DIGITS) for score in scores))


def _centred(level: Trends, sweep: Tried) -> np.ndarray:
    """(N, all values of all trends): what does not vary in a sweep says nothing in it."""
    parts = []
    for name, trend in level.items():
        part = np.zeros((len(sweep.scores), len(trend.values)))
        if name in sweep.values:
            part = trend.shares(sweep.values[name])
        parts.append(part - part.mean(axis=0))
    return np.concatenate(parts, axis=1)


def standing(scores: Sequence[float]) -> np.ndarray:
    """Normal scores of the same ranks."""
    return norm.ppf((rankdata(scores) - 0.5) / len(scores))


def _level(column: Sequence[Value]) -> Trend:
    """A trend of a column's values that says nothing yet."""
    distinct: list[Any] = sorted(set(column), key=lambda value: (isinstance(value, str), value))
    if len(distinct) > KNOTS + 1 and not any(isinstance(value, str) for value in distinct):
        places = np.quantile(np.array(column, float), np.linspace(0, 1, KNOTS))
        distinct = list(dict.fromkeys(float(f"{place:.{DIGITS}g}") for place in places))
    return Trend(tuple(distinct), (0.0,) * len(distinct))


def _is_log(values: Sequence[Any]) -> bool:
    """Whether knots, which lie as trials do, are spread evenly by their logarithm."""
    if min(values) <= 0:
        return False
    if len(values) < 3:
        return max(values) / min(values) >= DECADE
    low, middle, high = np.quantile(np.array(values, float), [0.25, 0.5, 0.75])
    return abs(middle - math.sqrt(low * high)) < abs(middle - (low + high) / 2)


def _along(values: Sequence[Any], log: bool) -> np.ndarray:
    numbers = np.array([float(value) for value in values])
    return np.log(np.maximum(numbers, LEAST)) if log else numbers
