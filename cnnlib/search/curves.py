"""Searches by learning curves and by cost: a joint model that is told every rung of a trial.

Like Joint it proposes by the expected improvement at the last epoch for its seconds. It begins
after FEW outcomes rather than ten, tells what a trial alone has from what its configuration
promises, looks at scores rather than at their ranks, and weighs seconds as much in the end as at
first. Where earlier sweeps found something of these hyperparameters (`trends`), it begins with
that at once and models what lies above or below, in ever fewer of its proposals.
docs/EXPERIMENTS.md says what each of these gains (benchmarks/policies.py).
"""

import math
import random
from collections.abc import Iterator, Sequence

import numpy as np
from scipy.special import log_ndtr
from scipy.stats import norm

from cnnlib.networks.configuration import Configuration
from cnnlib.search.curve_process import CurveProcess, Places
from cnnlib.search.joint import Joint
from cnnlib.search.priors import STRENGTH
from cnnlib.search.searcher import Outcome
from cnnlib.search.surrogate import telling
from cnnlib.search.tpe import Random
from cnnlib.search.trends import expected

FEW = 3  # outcomes that the model waits for
BOTH = 6  # proposals of which earlier sweeps and chance make one each in turn
MOST = 130  # values that it is told: the best half, and the latest
FAR = 1e6  # below the median, in distances from there to the best: as good as infinite
BOUNDS = -100.0, 30.0  # standard deviations within which an improvement's logarithm is computed
NEW = -1  # in place of a trial's number

Value = tuple[int, int, float]  # of which outcome, after so many epochs (0: not known), its score


class Curves(Joint):
    """Proposes configurations: the first few by trends or at random, then by learning curves."""

    drawn, near = 100, 12

    def propose(self, number: int, outcomes: Sequence[Outcome]) -> Configuration | None:
        if self.trends and len(outcomes) < BOTH and len(outcomes) % 2:
            return Random.propose(self, number, outcomes)
        return super().propose(number, outcomes)

    @property
    def _waits_for(self) -> int:
        return 0 if self.trends else min(FEW, self.num_initial)

    @staticmethod
    def _share(number: int) -> float:
        return 1.0

    def _gains(self, candidates: list[Configuration], outcomes: Sequence[Outcome]) -> np.ndarray:
        told = list(_values(outcomes))
        if len({number for number, *_ in told}) < FEW:
            told = []  # too few to say what is much and what is little
        told = [told[n] for n in telling(np.array([score for *_, score in told]), MOST)]
        configs = [outcome.config for outcome in outcomes]
        trends = self.trends if self._believes(len(outcomes)) else {}
        hoped, hopes = (expected(trends, some) for some in (configs, candidates))
        points = self._encoding.points(configs)
        last = max([2, *(epoch for _, epoch, _ in told)])
        times = [math.log(epoch or last) / math.log(last) for _, epoch, _ in told]
        trials = np.array([number for number, *_ in told], int)
        values = scaled(np.array([score for *_, score in told]))
        places = Places(points[trials], np.array(times), trials)
        model = CurveProcess(places, values - hoped[trials], self._encoding.without_order)
        begun = [n for n, outcome in enumerate(outcomes) if outcome.score is None or not told]
        if begun:
            running = Places(points[begun], np.ones(len(begun)), np.array(begun))
            model = model.given(running, model.predict(running)[0])
        mean, deviation = model.predict(_new(self._encoding.points(candidates)))
        best = values.max() if told else hopes.max()
        return log_improvement((mean + hopes - best) / deviation) + np.log(deviation)

    def _believes(self, num_outcomes: int) -> bool:
        """Whether a proposal asks earlier sweeps: the more seldom, the more outcomes there are.

        So what they hold to be bad is tried too, and a wrong belief washes out, as in priors.py.
        """
        draw = random.Random(f"trends-{self.seed}-{num_outcomes}")
        return draw.random() * (STRENGTH + num_outcomes) < STRENGTH

    def _expected(
        self, known: list[Configuration], values: np.ndarray, candidates: list[Configuration]
    ) -> np.ndarray:
        points = self._encoding.points
        told = Places(points(known), np.ones(len(known)), np.arange(len(known)))
        model = CurveProcess(told, values, self._encoding.without_order)
        return model.predict(_new(points(candidates)))[0]


def _new(points: np.ndarray) -> Places:
    """Points of which no trial is known, at the last epoch."""
    return Places(points, np.ones(len(points)), np.full(len(points), NEW))


def _values(outcomes: Sequence[Outcome]) -> Iterator[Value]:
    for number, outcome in enumerate(outcomes):
        yield from ((number, epoch, score) for epoch, score in outcome.earlier)
        if outcome.score is not None:
            yield number, outcome.epochs, outcome.score


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
