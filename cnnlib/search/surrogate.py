"""A Gaussian process over configurations: what a score or a cost is expected to be, and how surely.

Small and without an optimiser: its few numbers are chosen from steps of a fixed size, so that the
same outcomes give the same answers on every machine.
"""

import math
from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_solve, cholesky, solve_triangular

from cnnlib.networks.hyperparameter import Value
from cnnlib.networks.values import Choice, Interval, Space

STEP = math.log(4.0)  # between the tried values of a weight or of the noise
PASSES = 2  # over the weights
SPREAD = 1.5  # of the prior of a weight's logarithm
FITTED = 64  # points that have a say in the weights
NOISE = 0.05  # of the variance, at first
JITTER = 1e-6
DIGITS = 6  # of a likelihood that count: what lies beyond differs from machine to machine
ORDERED = (int, float)  # whose values are near to one another, or far


@dataclass(frozen=True)
class Encoding:
    """Configurations as points: a number from 0 to 1 for each hyperparameter that is searched.

    Values of a list are evenly apart in their order, where they have one; those that have none are
    alike or not, whatever numbers they have.
    """

    space: Space

    @property
    def without_order(self) -> np.ndarray:
        """(D,): whether a hyperparameter's values have no order."""
        return np.array(
            [isinstance(v, Choice) and not _is_ordered(v) for v in self.space.values()], bool
        )

    def points(self, configs: list) -> np.ndarray:
        """(N, D) for N configurations."""
        columns = [
            _column(domain, [getattr(config, name) for config in configs])
            for name, domain in self.space.items()
        ]
        return np.array(columns, float).reshape(len(self.space), len(configs)).T


def _is_ordered(domain: Choice) -> bool:
    return all(type(value) in ORDERED for value in domain.values)


def _column(domain: Choice | Interval, values: list[Value]) -> list[float]:
    if isinstance(domain, Choice):
        order = sorted(domain.values) if _is_ordered(domain) else domain.values  # type: ignore[type-var]
        places = {value: index / (len(order) - 1) for index, value in enumerate(order)}
        return [places.get(value, 0.0) for value in values]  # of another sweep: as the first
    low, high = float(domain.lowest), float(domain.highest)
    if not domain.log:
        return [(float(value) - low) / (high - low) for value in values]
    wide = math.log(high / low)
    return [math.log(max(float(value), low) / low) / wide for value in values]


@dataclass
class Surrogate:
    """A Gaussian process with a Matern 5/2 kernel, a weight for each dimension.

    `points` (N, D), `values` (N,) of about unit variance, `without_order` (D,) says in which
    dimensions points are alike or not. The weights are those of the highest posterior density on
    steps of a factor 4 around a prior; at most FITTED points have a say in them.
    """

    points: np.ndarray
    values: np.ndarray
    without_order: np.ndarray
    weights: np.ndarray | None = None  # (D,); None: chosen, and so is the noise
    noise: float = NOISE  # of the variance

    def __post_init__(self) -> None:
        self._mean = float(self.values.mean())
        if self.weights is None:
            self.weights, self.noise = self._fitted()
        kernel = self._kernel(self.points, self.points)
        kernel[np.diag_indices(len(kernel))] += self.noise + JITTER
        self._lower = cholesky(kernel, lower=True)
        self._solved = cho_solve((self._lower, True), self.values - self._mean)

    def given(self, points: np.ndarray, values: np.ndarray) -> "Surrogate":
        """The same process, with the same weights, which knows these too."""
        told = np.r_[self.points, points], np.r_[self.values, values]
        return Surrogate(*told, self.without_order, self.weights, self.noise)

    def predict(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation at M points, (M,) each."""
        kernel = self._kernel(points, self.points)
        left = solve_triangular(self._lower, kernel.T, lower=True)
        variance = np.maximum(1.0 - (left**2).sum(axis=0), 1e-9)
        return self._mean + kernel @ self._solved, np.sqrt(variance)

    def _kernel(self, points: np.ndarray, others: np.ndarray) -> np.ndarray:
        assert self.weights is not None
        squared = np.zeros((len(points), len(others)))
        for dimension, weight in enumerate(self.weights):
            squared += weight * apart_in(dimension, points, others, self.without_order)
        return matern(squared)

    def _fitted(self) -> tuple[np.ndarray, float]:
        """Weights and noise: each is raised or lowered by a step where that is more likely."""
        some = telling(self.values, FITTED)
        points, values = self.points[some], self.values[some] - self._mean
        num_dimensions = points.shape[1]
        # Two points at random are about as far apart in 30 dimensions as in 3.
        prior = np.full(num_dimensions, math.log(2.0 / max(1.0, num_dimensions / 4)))
        apart = [apart_in(d, points, points, self.without_order) for d in range(num_dimensions)]
        logs, noise = prior.copy(), math.log(NOISE)
        squared = math.exp(prior[0]) * np.sum(apart, axis=0)
        best = _density(squared, noise, values)
        for _ in range(PASSES):
            for dimension, each in enumerate(apart):
                for step in (STEP, -STEP):
                    log = logs[dimension] + step
                    tried = squared + (math.exp(log) - math.exp(logs[dimension])) * each
                    density = _density(tried, noise, values)
                    before = _penalty(logs[dimension] - prior[dimension])
                    less = _penalty(log - prior[dimension]) - before
                    if round(density - best - less, DIGITS) > 0:
                        logs[dimension], squared, best = log, tried, density
                        break
            for step in (STEP, -STEP):
                density = _density(squared, noise + step, values)
                if round(density - best, DIGITS) > 0 and noise + step < 0:
                    noise, best = noise + step, density
                    break
        return np.exp(logs), math.exp(noise)


def telling(values: np.ndarray, most: int) -> np.ndarray:
    """The indices, at most so many, of the values (N,) that a model is told: of the best for a
    half of them, and of the latest of the others.
    """
    if len(values) <= most:
        return np.arange(len(values))
    order = np.argsort(-values, kind="stable")
    latest = np.sort(order[most // 2 :])[-most // 2 :]
    return np.sort(np.r_[order[: most // 2], latest])


def apart_in(
    dimension: int, points: np.ndarray, others: np.ndarray, without_order: np.ndarray
) -> np.ndarray:
    """(M, N): squared distances in one dimension of M and N points; without order 0 or 1."""
    apart = np.subtract.outer(points[:, dimension], others[:, dimension])
    return (apart != 0).astype(float) if without_order[dimension] else apart**2


def _penalty(away: float) -> float:
    """What a weight so far from its prior, in logarithms, costs."""
    return (away / SPREAD) ** 2 / 2


def matern(squared: np.ndarray) -> np.ndarray:
    """The kernel of squared distances: 1 at none."""
    root = np.sqrt(5.0 * np.maximum(squared, 0.0))
    return (1.0 + root + root**2 / 3.0) * np.exp(-root)


def _density(squared: np.ndarray, noise: float, values: np.ndarray) -> float:
    """The logarithm of how likely the values are, but for a constant."""
    kernel = matern(squared)
    kernel[np.diag_indices(len(kernel))] += math.exp(noise) + JITTER
    lower = cholesky(kernel, lower=True, check_finite=False)
    white = solve_triangular(lower, values, lower=True, check_finite=False)
    return float(-0.5 * white @ white - np.log(np.diag(lower)).sum())
