"""Searches by a joint model of all hyperparameters, of training time and of cost.

TPE looks at one hyperparameter at a time, and takes what a trial reached at an early rung for what
it can reach. Here a Gaussian process over configuration and epochs says what a configuration would
reach at the last epoch (Klein et al. 2017, arxiv.org/abs/1605.07079), and another one what its
epochs take. The proposal is that of the highest expected improvement for its seconds,
which count less and less as the search goes on (Lee et al. 2020, arxiv.org/abs/2003.10870).
"""

import math
import random
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from scipy.special import ndtr
from scipy.stats import norm, rankdata

from cnnlib.networks.configuration import Configuration
from cnnlib.networks.hyperparameter import Value
from cnnlib.networks.values import Choice, Interval, Weighted, num_values
from cnnlib.search.searcher import Outcome
from cnnlib.search.surrogate import Encoding, Surrogate, telling
from cnnlib.search.tpe import Random

BEST = 5  # that are looked around
MOST = 160  # outcomes that the model is told: the best and the latest
WIDTH = 0.12  # of a step near a candidate, as a share of an interval
COSTED = 3  # outcomes whose seconds are known from which costs are predicted
COOLED = 40  # trials after which costs count no more


class Joint(Random):
    """Proposes configurations: at first at random, then by a joint model."""

    drawn: ClassVar[int] = 200  # candidates from the whole space
    near: ClassVar[int] = 20  # candidates near each of the best

    def propose(self, number: int, outcomes: Sequence[Outcome]) -> Configuration | None:
        known = [outcome for outcome in outcomes if outcome.score is not None]
        if len(known) < self._waits_for or not self._searched:
            return super().propose(number, outcomes)
        generator = random.Random(f"{self.seed}-{number}")
        candidates = list(dict.fromkeys(self._candidates(known, generator)))
        if not candidates:
            return super().propose(number, outcomes)
        gains = self._gains(candidates, outcomes)
        gains -= self._share(number) * self._log_seconds(candidates, known)
        return candidates[int(np.argmax(np.round(gains, 9)))]

    @property
    def _waits_for(self) -> int:
        """Outcomes before the model begins."""
        return self.num_initial

    @staticmethod
    def _share(number: int) -> float:
        """How much seconds count: fully at first, not at all from some trial on."""
        return max(0.0, 1.0 - number / COOLED)

    def _candidates(
        self, known: Sequence[Outcome], generator: random.Random
    ) -> Iterator[Configuration]:
        """New ones from the whole space, and around the best."""
        best = sorted(known, key=_worse)[:BEST]
        space = self._searched
        drawn = ({n: _drawn(v, generator) for n, v in space.items()} for _ in range(self.drawn))
        near = (self._step(o.config, generator) for o in best for _ in range(self.near))
        for values in (*drawn, *near):
            config = self._config(values)
            if self._is_new(config):
                yield config

    def _step(self, config: Configuration, generator: random.Random) -> dict[str, Value]:
        """A configuration's values, of which one or a few are others."""
        values = {name: getattr(config, name) for name in self._searched}
        share = max(1.5 / len(values), 0.2)
        changed = [name for name in values if generator.random() < share]
        for name in changed or [generator.choice(list(values))]:
            values[name] = _moved(self._searched[name], values[name], generator)
        return values

    @cached_property
    def _encoding(self) -> Encoding:
        return Encoding(self._searched)

    def _gains(self, candidates: list[Configuration], outcomes: Sequence[Outcome]) -> np.ndarray:
        """The logarithm of each candidate's expected improvement, (M,), at the last epoch.

        What runs counts as if it had the score that is expected of it.
        """
        known = [outcome for outcome in outcomes if outcome.score is not None]
        known = [known[n] for n in telling(np.array([o.score for o in known], float), MOST)]
        running = [outcome for outcome in outcomes if outcome.score is None]
        points = self._encoding.points
        without_order = np.append(self._encoding.without_order, False)
        last = max(outcome.epochs for outcome in known) or 1
        scores = np.array([outcome.score for outcome in known], float)
        values = norm.ppf((rankdata(scores) - 0.5) / len(scores))
        epochs = [math.log(o.epochs or last) / math.log(max(last, 2)) for o in known]
        told = np.c_[points([o.config for o in known]), epochs]
        model = Surrogate(told, values, without_order)
        if running:
            begun = _at_the_end(points([o.config for o in running]))
            expected, _ = model.predict(begun)
            model = model.given(begun, expected)
        mean, deviation = model.predict(_at_the_end(points(candidates)))
        reached, _ = model.predict(_at_the_end(points([o.config for o in known])))
        z = (mean - reached.max()) / deviation
        gain = deviation * (z * ndtr(z) + norm.pdf(z))
        return np.log(np.maximum(gain, 1e-12))

    def _log_seconds(self, candidates: list[Configuration], known: Sequence[Outcome]) -> np.ndarray:
        """The logarithm of the seconds of a candidate's epoch, (M,), but for a constant."""
        timed = [outcome for outcome in known if outcome.seconds][-MOST:]
        logs = np.log([outcome.seconds or 1.0 for outcome in timed])
        if len(timed) < COSTED or not logs.std():
            return np.zeros(len(candidates))
        scaled = (logs - logs.mean()) / logs.std()
        return self._expected([o.config for o in timed], scaled, candidates) * logs.std()

    def _expected(
        self, known: list[Configuration], values: np.ndarray, candidates: list[Configuration]
    ) -> np.ndarray:
        """What is expected of candidates, (M,), where configurations have these values, (N,)."""
        points = self._encoding.points
        model = Surrogate(points(known), values, self._encoding.without_order)
        return model.predict(points(candidates))[0]


def _at_the_end(points: np.ndarray) -> np.ndarray:
    return np.c_[points, np.ones(len(points))]


def _worse(outcome: Outcome) -> float:
    assert outcome.score is not None
    return -outcome.score


def _drawn(domain: Choice | Interval, generator: random.Random) -> Value:
    if isinstance(domain, Weighted):
        return generator.choices(domain.values, domain.weights)[0]
    if isinstance(domain, Choice):
        return generator.choice(domain.values)
    if not domain.log:
        return domain.nearest(generator.uniform(domain.low, domain.high))
    return domain.nearest(math.exp(generator.uniform(math.log(domain.low), math.log(domain.high))))


def _moved(domain: Choice | Interval, value: Any, generator: random.Random) -> Value:
    """Another value: of a list any, of an interval one that is near."""
    if isinstance(domain, Choice) or num_values(domain) <= 2:
        return _drawn(domain, generator)
    low, high = domain.low, domain.high
    if not domain.log:
        return domain.nearest(float(value) + generator.gauss(0, WIDTH) * (high - low))
    return domain.nearest(float(value) * (high / low) ** generator.gauss(0, WIDTH))
