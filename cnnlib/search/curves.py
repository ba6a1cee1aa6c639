"""Searches by learning curves and by cost: a joint model that is told every rung of a trial.

TPE looks at one hyperparameter at a time, and takes what a trial reached at an early rung for what
it can reach. Here a Gaussian process over configurations and epochs says what a configuration would
reach at the last epoch (Klein et al. 2017, arxiv.org/abs/1605.07079), and another one what its
epochs take. The proposal is that of the highest expected improvement for its seconds.

Where earlier sweeps found something of these hyperparameters (`experience`), it begins with that,
early and at the end of a training, learns what each trend is worth here, and models what lies above
or below.
docs/EXPERIMENTS.md says what each of these gains (benchmarks/policies.py).
"""

import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
from scipy.special import log_ndtr
from scipy.stats import norm

from cnnlib.networks.configuration import Configuration
from cnnlib.networks.hyperparameter import Value
from cnnlib.networks.values import Choice, Interval, Weighted, num_values
from cnnlib.search.balanced import Balanced
from cnnlib.search.curve_process import CurveProcess, Places, telling
from cnnlib.search.encoding import Encoding
from cnnlib.search.experience import NOTHING, Experience
from cnnlib.search.searcher import Outcome

FEW = 3  # outcomes that the model waits for
DRAWN = 100  # candidates from the whole space
BEST, NEAR = 5, 12  # the best that are looked around, and candidates near each of them
MOST = 130  # values that the model is told: the best half, and the latest
TIMED = 160  # the latest outcomes by whose seconds costs are predicted
WIDTH = 0.12  # of a step near a candidate, as a share of an interval
FAR = 1e6  # below the median, in distances from there to the best: as good as infinite
BOUNDS = -100.0, 30.0  # standard deviations within which an improvement's logarithm is computed
NEW = -1  # in place of a trial's number

Rung = tuple[int, int, float]  # of which outcome, after so many epochs (0: not known), its score


class Curves(Balanced):
    """Proposes configurations: the first ones by trends or at random, then by learning curves."""

    def propose(self, number: int, outcomes: Sequence[Outcome]) -> Configuration | None:
        known = [outcome for outcome in outcomes if outcome.score is not None]
        if not self._searched:
            return super().propose(number, outcomes)
        if turn := self._chance_s_turn(len(known), len(outcomes)):
            return super().propose(turn, outcomes)
        generator = random.Random(f"{self.seed}-{number}")
        candidates = list(dict.fromkeys(self._candidates(known, generator)))
        if not candidates:
            return super().propose(number, outcomes)
        gains = self._gains(candidates, outcomes) - self._log_seconds(candidates, known)
        return candidates[int(np.argmax(np.round(gains, 9)))]

    def _chance_s_turn(self, num_known: int, num_outcomes: int) -> int:
        """Which of chance's proposals this one is, from 1; 0 where it is the model's.

        Chance begins where nothing is known. Beside what earlier sweeps found it makes the second,
        the fourth, the eighth and so on, lest that is wrong and nobody ever sees it.
        """
        number = num_outcomes + 1
        if not self.experience.trends:
            return number if num_known < min(FEW, self.num_initial) else 0
        return number.bit_length() - 1 if number.bit_count() == 1 else 0

    def _candidates(
        self, known: Sequence[Outcome], generator: random.Random
    ) -> Iterator[Configuration]:
        """New ones from the whole space, and around the best."""
        best = sorted(known, key=_worse)[:BEST]
        space = self._searched
        drawn = ({n: _drawn(v, generator) for n, v in space.items()} for _ in range(DRAWN))
        near = (self._step(o.config, generator) for o in best for _ in range(NEAR))
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
        told = list(_rungs(outcomes))
        if len({number for number, *_ in told}) < FEW:
            told = []  # too few to say what is much and what is little
        told = [told[n] for n in telling(np.array([score for *_, score in told]), MOST)]
        configs = [outcome.config for outcome in outcomes]
        points = self._encoding.points(configs)
        last = max([2, *(epoch for _, epoch, _ in told)])
        times = [math.log(epoch or last) / math.log(last) for _, epoch, _ in told]
        trials = np.array([number for number, *_ in told], int)
        values = scaled(np.array([score for *_, score in told]))
        parts = [_part(outcomes[number], epoch) for number, epoch, _ in told]
        hopes = self.experience.foretold([configs[number] for number in trials], parts)
        places = Places(points[trials], np.array(times), trials, hopes)
        model = CurveProcess(places, values, self._encoding.without_order)
        begun = [n for n, outcome in enumerate(outcomes) if outcome.score is None or not told]
        if begun:
            there = self._new([configs[n] for n in begun], self.experience)
            running = replace(there, trials=np.array(begun))
            model = model.given(running, model.predict(running)[0])
        mean, deviation = model.predict(self._new(candidates, self.experience))
        best = values.max() if told else mean.max()
        return log_improvement((mean - best) / deviation) + np.log(deviation)

    def _log_seconds(self, candidates: list[Configuration], known: list[Outcome]) -> np.ndarray:
        """The logarithm of the seconds of a candidate's epoch, (M,), but for a constant."""
        timed = [outcome for outcome in known if outcome.seconds][-TIMED:]
        logs = np.log([outcome.seconds or 1.0 for outcome in timed])
        if len(timed) < FEW or not logs.std():
            return np.zeros(len(candidates))
        configs = [outcome.config for outcome in timed]
        places = replace(self._new(configs, NOTHING), trials=np.arange(len(timed)))
        scores = (logs - logs.mean()) / logs.std()
        model = CurveProcess(places, scores, self._encoding.without_order)
        return model.predict(self._new(candidates, NOTHING))[0] * logs.std()

    def _new(self, configs: list[Configuration], known: Experience) -> Places:
        """Where new trials of these configurations would be at the last epoch."""
        num, points = len(configs), self._encoding.points(configs)
        hopes = known.foretold(configs, [1.0] * num)
        return Places(points, np.ones(num), np.full(num, NEW), hopes)


def _rungs(outcomes: Sequence[Outcome]) -> Iterator[Rung]:
    for number, outcome in enumerate(outcomes):
        yield from ((number, epoch, score) for epoch, score in outcome.earlier)
        if outcome.score is not None:
            yield number, outcome.epochs, outcome.score


def _part(outcome: Outcome, epoch: int) -> float:
    """Of a training; the whole where nobody knows how long it is."""
    return min(1.0, epoch / outcome.max_epochs) if epoch and outcome.max_epochs else 1.0


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


def scaled(scores: np.ndarray) -> np.ndarray:
    """Scores (N,) of variance 1, in which those far below the median are not far apart.

    Above the median distances are as they are: how much better the best are is what counts.
    """
    if not len(scores):
        return scores
    median = float(np.median(scores))
    whole = float(scores.max()) - median or float(scores.std()) or 1.0
    away = np.clip((scores - median) / whole, -FAR, None)
    low = np.minimum(away, 0.0)
    squeezed = np.where(away < 0, low / (1.0 - low), away)
    return (squeezed - squeezed.mean()) / (float(squeezed.std()) or 1.0)


def log_improvement(z: np.ndarray) -> np.ndarray:
    """The logarithm of what is expected above 0 of a normal variable of mean z and deviation 1."""
    z = np.clip(z, *BOUNDS)
    density = norm.logpdf(z)
    return density + np.log1p(z * np.exp(log_ndtr(z) - density))
