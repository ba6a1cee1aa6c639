"""Which hyperparameters may explain the scores: an average over models, by their evidence.

A model says which hyperparameters have effects at all, drawn from a normal distribution of one
spread; the others have none. Each is weighed by how likely it makes the scores, with the noise and
the effects integrated out, and by a prior: how likely each hyperparameter is to matter, where the
share of those that do is not known (Scott and Berger 2010). With few trials nothing is bought by
adjusting for what does nothing; with many one model has all the weight, and it is ordinary
regression on what matters.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import combinations

import numpy as np
from scipy.stats import betabinom

SPREADS = (0.3, 1.0, 3.0, 30.0)
"""The variance of effects over that of the noise: small, two as large as are common, and large."""
MAX_ENUMERATED = 10  # hyperparameters; of more the best models are looked for
MAX_MODELS, MANY = 30, 300  # kept while looking; with k hyperparameters at most MANY / k
OCCAM = np.log(1000.0)  # a model so much less likely than the best one has no say
MASS, MAX_KEPT = 0.97, 50  # the models that are averaged over; a few leave out what may matter
CHUNK = 4_000_000  # numbers of the matrices that are solved at once

Model = tuple[int, ...]  # the numbers of the hyperparameters that have effects, rising


@dataclass(frozen=True)
class Noise:
    """What is known of the noise before any trial: as if `df` residuals had this deviation."""

    deviation: float = 0.0
    df: float = 0.0

    @property
    def squares(self) -> float:
        return self.df * self.deviation**2


NOTHING_KNOWN = Noise()


@dataclass(frozen=True)
class Explanation:
    """A model of the other hyperparameters, with the share of belief in it."""

    weight: float
    columns: np.ndarray
    """Those of the hyperparameters that have effects, 0 and 1, (trials, levels)."""
    spread: float
    """The variance of their effects over that of the noise."""


@dataclass
class Explanations:
    """All models of some scores, weighed as they are asked for."""

    scores: np.ndarray
    columns: np.ndarray  # one_hot, (trials, levels of all)
    owner: np.ndarray  # the number of the hyperparameter of each column
    beliefs: np.ndarray  # how likely each hyperparameter is to matter, above 0 and below 1
    noise: Noise = NOTHING_KNOWN
    given: np.ndarray | None = None  # what scores are regressed on besides, (trials, any)
    _known: dict[Model, np.ndarray] = field(default_factory=dict)
    _without: dict[Model, list[Explanation]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        n = len(self.scores)
        fixed = np.ones((n, 1)) if self.given is None else np.column_stack([np.ones(n), self.given])
        basis = np.linalg.qr(fixed)[0]
        y = self.scores - basis @ (basis.T @ self.scores)
        z = self.columns - basis @ (basis.T @ self.columns)
        self._total, self._freedom = float(y @ y), n - fixed.shape[1]
        size = z.shape[1]
        self._gram, self._cross = np.zeros((size + 1, size + 1)), np.zeros(size + 1)
        self._gram[:size, :size], self._cross[:size] = z.T @ z, z.T @ y
        self._places = [np.flatnonzero(self.owner == i) for i in range(self._num_factors)]

    @cached_property
    def _num_factors(self) -> int:
        return int(self.owner.max(initial=-1)) + 1

    def without(self, left_out: Iterable[int]) -> list[Explanation]:
        """What the others may do, the likeliest first, whether these have effects or none."""
        asked = tuple(sorted(set(left_out)))
        if asked not in self._without:
            self._without[asked] = self._averaged_over(asked)
        return self._without[asked]

    def _averaged_over(self, asked: Model) -> list[Explanation]:
        allowed = sorted(set(range(self._num_factors)) - {*asked})
        if self._total <= 0 or self._freedom < 1:
            return [Explanation(1.0, self.columns[:, :0], 1.0)]
        if len(allowed) <= MAX_ENUMERATED:
            models = [m for size in range(len(allowed) + 1) for m in combinations(allowed, size)]
        else:
            models = self._likely(allowed)
        logs = self._logs(models)
        if asked:
            logs = np.logaddexp(logs, self._logs([_with(m, asked) for m in models]))
        weights = np.exp(logs - logs.max())
        weights /= weights.sum()
        order = np.argsort(-weights, axis=None, kind="stable")[:MAX_KEPT]
        kept = order[: 1 + int(np.searchsorted(np.cumsum(weights.ravel()[order]), MASS))]
        total = float(weights.ravel()[kept].sum())
        found = []
        for number in kept:
            which, spread = divmod(int(number), len(SPREADS))
            columns = self.columns[:, self._columns_of([models[which]])[0]]
            weight = float(weights.ravel()[number]) / total
            found.append(Explanation(weight, columns, SPREADS[spread]))
        return found

    def _logs(self, models: Sequence[Model]) -> np.ndarray:
        """The logarithm of what speaks for each model, (models, spreads)."""
        self._weigh(models)
        return np.array([self._known[m] for m in models])

    def _prior(self, model: Model) -> float:
        """The logarithm of a model's prior.

        How many matter is beta-binomial, of the mean of the beliefs; which ones is by their odds.
        """
        return float(self._by_size[len(model)] + np.log(self._odds[list(model)]).sum())

    @cached_property
    def _odds(self) -> np.ndarray:
        return self.beliefs / (1 - self.beliefs)

    @cached_property
    def _by_size(self) -> np.ndarray:
        """The logarithm of a size's prior over the odds of all models of that size."""
        num, mean = len(self.beliefs), float(self.beliefs.mean())
        of_all = np.poly(-self._odds)
        return betabinom.logpmf(np.arange(num + 1), num, 1.0, 1 / mean - 1) - np.log(of_all)

    def _likely(self, allowed: list[int]) -> list[Model]:
        """The models within Occam's window that steps of one hyperparameter lead to."""
        most = max(3, min(MAX_MODELS, MANY // len(allowed)))
        logs: dict[Model, float] = {}
        steps: set[Model] = {()}
        while steps:
            self._weigh(steps)
            logs |= {model: float(self._known[model].max()) for model in steps}
            best = sorted(logs, key=lambda m: (-logs[m], m))[:most]
            best = [m for m in best if logs[m] > logs[best[0]] - OCCAM]
            frontier = [m for m in best if m in steps]
            steps = {_toggled(m, factor) for m in frontier for factor in allowed} - logs.keys()
        return best

    def _weigh(self, models: Iterable[Model]) -> None:
        """Notes the logarithm of what speaks for each model and spread: prior and evidence."""
        by_size: dict[int, list[Model]] = {}
        for model in models:
            if model not in self._known:
                size = sum(len(self._places[i]) for i in model)
                by_size.setdefault(size, []).append(model)
        for size, group in by_size.items():
            step = max(1, CHUNK // max(1, size * size))
            for start in range(0, len(group), step):
                part = group[start : start + step]
                found = self._evidence(self._columns_of(part))
                for model, logs in zip(part, found, strict=True):
                    self._known[model] = logs + self._prior(model)

    def _columns_of(self, models: Sequence[Model]) -> np.ndarray:
        """Which columns models of one size have, (models, columns)."""
        places = [[place for i in model for place in self._places[i]] for model in models]
        return np.array(places, dtype=int).reshape(len(models), len(places[0]))

    def _evidence(self, index: np.ndarray) -> np.ndarray:
        """Of the models with these columns (models, columns): (models, spreads)."""
        gram = self._gram[index[:, :, None], index[:, None, :]]
        cross = self._cross[index]
        logs = np.empty((len(index), len(SPREADS)))
        for number, spread in enumerate(SPREADS):
            scaled = np.eye(index.shape[1]) + spread * gram
            solved = np.linalg.solve(scaled, cross[..., None])[..., 0] * spread
            rest = self._total - np.einsum("mi,mi->m", solved, cross)
            rest = np.maximum(rest, 1e-9 * self._total) + self.noise.squares
            logs[:, number] = -0.5 * np.linalg.slogdet(scaled)[1]
            logs[:, number] -= 0.5 * (self._freedom + self.noise.df) * np.log(rest)
        return logs


def _with(model: Model, others: Model) -> Model:
    return tuple(sorted({*model, *others}))


def _toggled(model: Model, factor: int) -> Model:
    return tuple(sorted({*model} ^ {factor}))
