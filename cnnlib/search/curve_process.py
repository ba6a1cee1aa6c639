"""A Gaussian process over configurations and epochs that knows which values are of one trial.

What a trial reaches is what its configuration and its epochs let expect, what all learning curves
have in common, and what it alone has: that part stays with it from rung to rung, and says nothing
of others (Swersky et al. 2014, arxiv.org/abs/1406.3896, take trials apart so). What was foretold of
configurations is added, in parts whose weights the values tell (a linear model beside the process:
Rasmussen and Williams 2006, chapter 2.7). There is no optimiser: its few numbers are chosen from
steps of a fixed size, so that the same outcomes give the same answers on every machine.
"""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.linalg import cho_solve, cholesky, solve_triangular
from scipy.linalg.lapack import dpotrf, dtrtrs

STEP = math.log(4.0)  # between the tried values of a number
SPREAD = 1.5  # of the prior of a weight's logarithm
JITTER = 1e-6
TRUST = 1.0  # standard deviation of the weight of what was foretold, whose mean is 1
DIGITS = 6  # of a likelihood that count: what lies beyond differs from machine to machine
PASSES = 3  # over the numbers, of which the later ones are over those that moved
FITTED = 48  # values that have a say in them
# The priors of the other numbers, and their spreads; of variances beside that of configurations, 1.
EPOCHS = math.log(1.0), 1.0  # weight of epochs, of what a configuration lets expect
OWN = math.log(0.3), 1.0  # variance of what a trial alone has
COMMON = math.log(0.5), 1.0  # variance of what all curves have in common
NOISE = math.log(0.02), 1.5
PACE = math.log(0.5), 1.0  # weight of epochs, of what is own or common
OTHERS = EPOCHS, OWN, COMMON, NOISE, PACE


@dataclass(frozen=True)
class Places:
    """Where N values are: points (N, D), times (N,) from 0 to 1, whose trials they are (N,), and
    what was foretold of them, in T parts (N, T).
    """

    points: np.ndarray
    times: np.ndarray
    trials: np.ndarray
    foretold: np.ndarray

    def __getitem__(self, some: np.ndarray) -> "Places":
        of = self.points, self.times, self.trials, self.foretold
        return Places(*(column[some] for column in of))

    def __len__(self) -> int:
        return len(self.times)

    def __add__(self, other: "Places") -> "Places":
        return Places(
            np.r_[self.points, other.points],
            np.r_[self.times, other.times],
            np.r_[self.trials, other.trials],
            np.r_[self.foretold, other.foretold],
        )


@dataclass
class CurveProcess:
    """`values` (N,) of about unit variance at `places`; `without_order` (D,) says in which
    dimensions points are alike or not. `numbers` (D + 5,) are logarithms: a weight for each
    dimension, then OTHERS; None: those of the highest posterior density near the prior.
    """

    places: Places
    values: np.ndarray
    without_order: np.ndarray
    numbers: np.ndarray | None = None

    def __post_init__(self) -> None:
        self._unforeseen = self.values - self.places.foretold.sum(axis=1)
        self._mean = float(self._unforeseen.mean()) if len(self.values) else 0.0
        if self.numbers is None:
            self.numbers = self._fitted()
        kernel = self._kernel(self.places, self.places)
        kernel[np.diag_indices(len(kernel))] += math.exp(self.numbers[-2]) + JITTER
        self._lower = cholesky(kernel, lower=True, check_finite=False)
        self._solved = cho_solve((self._lower, True), self._unforeseen - self._mean)

    def given(self, places: Places, values: np.ndarray) -> "CurveProcess":
        """The same process, with the same numbers, which knows these values too."""
        told = self.places + places, np.r_[self.values, values]
        return CurveProcess(*told, self.without_order, self.numbers)

    def predict(self, places: Places) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation at M places, (M,) each, without noise.

        Of a trial that was not seen it is what its configuration lets expect, without its luck.
        """
        assert self.numbers is not None
        kernel = self._kernel(places, self.places)
        left = solve_triangular(self._lower, kernel.T, lower=True, check_finite=False)
        own, common = np.exp(self.numbers[-4:-2])
        prior = 1.0 + common + own * np.isin(places.trials, self.places.trials)
        prior += _trusted(places, places).diagonal()
        variance = np.maximum(prior - (left**2).sum(axis=0), 1e-9)
        mean = self._mean + places.foretold.sum(axis=1) + kernel @ self._solved
        return mean, np.sqrt(variance)

    def _kernel(self, some: Places, others: Places) -> np.ndarray:
        """(M, N): how values at M and at N places vary together."""
        assert self.numbers is not None
        weights = np.exp(self.numbers[: self._dimensions])
        apart = _apart(self._features(some, weights), self._features(others, weights))
        away = np.subtract.outer(some.times, others.times) ** 2
        alike = np.equal.outer(some.trials, others.trials)
        return _covariance(apart, away, alike, self.numbers) + _trusted(some, others)

    @property
    def _dimensions(self) -> int:
        return len(self.without_order)

    @cached_property
    def _values_without_order(self) -> dict[int, np.ndarray]:
        return {
            int(d): np.unique(self.places.points[:, d]) for d in np.flatnonzero(self.without_order)
        }

    def _features(self, places: Places, weights: np.ndarray) -> np.ndarray:
        """(N, F): coordinates whose squared distances are those of the kernel.

        A value without order has a coordinate for each that was seen, and one for all others.
        """
        points = places.points
        found = [np.sqrt(weights[~self.without_order]) * points[:, ~self.without_order]]
        for dimension, known in self._values_without_order.items():
            alike = points[:, dimension, None] == known
            each = np.c_[alike, ~alike.any(axis=1)]
            found.append(math.sqrt(weights[dimension] / 2) * each)
        return np.concatenate(found, axis=1)

    def _fitted(self) -> np.ndarray:
        """The numbers: each is raised or lowered by a step where that is more likely."""
        some = telling(self.values, FITTED)
        places, values = self.places[some], self._unforeseen[some] - self._mean
        priors = [(math.log(2.0 / max(1.0, self._dimensions / 4)), SPREAD)] * self._dimensions
        prior, spread = np.array([*priors, *OTHERS]).T
        if not len(values):
            return prior
        points, alone = places.points, self.without_order
        each = [_apart_in(d, points, points, alone) for d in range(self._dimensions)]
        away = np.subtract.outer(places.times, places.times) ** 2
        alike = np.equal.outer(places.trials, places.trials)
        trusted = _trusted(places, places)
        numbers = prior.copy()
        apart = np.tensordot(np.exp(prior[: self._dimensions]), each, 1) if each else 0 * away
        best = _density(_covariance(apart, away, alike, numbers) + trusted, numbers, values)
        moving = np.arange(len(numbers))
        for _ in range(PASSES):
            before = numbers
            for index in moving:
                for step in (STEP, -STEP):
                    tried = numbers.copy()
                    tried[index] += step
                    further = apart
                    if index < self._dimensions:
                        more = math.exp(tried[index]) - math.exp(numbers[index])
                        further = apart + more * each[index]
                    kernel = _covariance(further, away, alike, tried) + trusted
                    density = _density(kernel, tried, values)
                    away_from = ((tried[index], numbers[index]) - prior[index]) / spread[index]
                    less = float(away_from[0] ** 2 - away_from[1] ** 2) / 2
                    if round(density - best - less, DIGITS) > 0:
                        numbers, apart, best = tried, further, density
                        break
            moving = np.flatnonzero(numbers != before)  # which may move further
        return numbers


def telling(values: np.ndarray, most: int) -> np.ndarray:
    """The indices, at most so many, of the values (N,) that a model is told: of the best for a
    half of them, and of the latest of the others.
    """
    if len(values) <= most:
        return np.arange(len(values))
    order = np.argsort(-values, kind="stable")
    latest = np.sort(order[most // 2 :])[-most // 2 :]
    return np.sort(np.r_[order[: most // 2], latest])


def _apart_in(
    dimension: int, points: np.ndarray, others: np.ndarray, without_order: np.ndarray
) -> np.ndarray:
    """(M, N): squared distances in one dimension of M and N points; without order 0 or 1."""
    apart = np.subtract.outer(points[:, dimension], others[:, dimension])
    return (apart != 0).astype(float) if without_order[dimension] else apart**2


def _matern(squared: np.ndarray) -> np.ndarray:
    """The kernel of squared distances: 1 at none."""
    root = np.sqrt(5.0 * np.maximum(squared, 0.0))
    return (1.0 + root + root**2 / 3.0) * np.exp(-root)


def _apart(some: np.ndarray, others: np.ndarray) -> np.ndarray:
    """(M, N): squared distances between M and N points."""
    squares = np.add.outer((some**2).sum(axis=1), (others**2).sum(axis=1))
    return np.maximum(squares - 2 * some @ others.T, 0.0)


def _covariance(
    apart: np.ndarray, away: np.ndarray, alike: np.ndarray, numbers: np.ndarray
) -> np.ndarray:
    """Of squared distances of points, of squared ones of times, and of who is of one trial."""
    epochs, own, common, _, pace = np.exp(numbers[-5:])
    return _matern(apart + epochs * away) + (own * alike + common) * _matern(pace * away)


def _trusted(some: Places, others: Places) -> np.ndarray:
    """(M, N): how values vary together as nobody knows how much what was foretold is worth."""
    return TRUST**2 * some.foretold @ others.foretold.T


def _density(kernel: np.ndarray, numbers: np.ndarray, values: np.ndarray) -> float:
    """The logarithm of how likely the values are, but for a constant; it changes the kernel."""
    kernel[np.diag_indices(len(kernel))] += math.exp(numbers[-2]) + JITTER
    lower, failed = dpotrf(kernel, lower=True)
    if failed:  # no covariance, within what a computer divides
        return -math.inf
    white, _ = dtrtrs(lower, values, lower=True)
    return float(-0.5 * white @ white - np.log(np.diag(lower)).sum())
