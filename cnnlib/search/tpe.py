"""Searches at random and by TPE: HyperOpt's proposals, possible ones only and none of them twice.

Ray's own HyperOptSearch repeats configurations, forgets failed trials and takes running ones for
seen (TRAPS 7-14), so this talks to HyperOpt directly.
"""

import math
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any

import hyperopt
from hyperopt import hp

from cnnlib.networks.cnn.family import CNN
from cnnlib.networks.configuration import Configuration
from cnnlib.networks.family import Family
from cnnlib.networks.hyperparameter import Value
from cnnlib.networks.values import Choice, Interval, Space, Weighted
from cnnlib.search.experience import NOTHING, Experience
from cnnlib.search.searcher import Outcome
from cnnlib.search.space import Points, constants, grid, meaningful, searched

# TPE proposes the most promising of so many candidates; HyperOpt's default. Where that was tried,
# the best of ever fewer: what TPE draws, rather than its one favourite again.
CANDIDATES = (24, 4)
STEPS = 100  # away from a proposal that was tried, before what is left is drawn at random
# TPE's good ones are the best GAMMA * sqrt(n) of n, at most MOST_GOOD; HyperOpt's. A tenth of n
# proposes better trials on average and finds a worse champion (benchmarks/comparable.py).
GAMMA = 0.25
MOST_GOOD = 25
HISTORY = 150  # outcomes that TPE is told: the good ones and the latest


Numbered = tuple[int, Outcome]
Algorithm = Callable[[int], Callable[..., Any]]  # by a number of candidates, HyperOpt's function


@dataclass
class Random:
    """Proposes what HyperOpt draws at random."""

    space: Space
    image_size: int
    num_initial: int  # outcomes before TPE begins
    seed: int
    family: Family = CNN
    experience: Experience = NOTHING  # what earlier sweeps found, for who asks
    _seen: set[Configuration] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._constants = constants(self.space)
        self._searched = searched(self.space)
        self._is_listable = Points.listable(self._searched)
        self._grids = {n: grid(v) for n, v in self._searched.items()} if self._is_listable else {}
        if self._searched:  # HyperOpt has no domain without dimensions
            expressions = {name: _expression(name, v) for name, v in self._searched.items()}
            self._domain = hyperopt.Domain(lambda values: values, expressions)

    def propose(self, number: int, outcomes: Sequence[Outcome]) -> Configuration | None:
        """The configuration of trial `number`, or None when nothing new is left."""
        generator = random.Random(f"{self.seed}-{number}")
        for values in self._ideas(outcomes, generator):
            config = self._config(values)
            if self._is_new(config):
                return config
        return self._one_of_the_rest(generator)

    def seen(self, config: Configuration) -> None:
        """This configuration has been proposed: it is not proposed again."""
        self._seen.add(config)

    def _config(self, values: dict[str, Value]) -> Configuration:
        chosen = {**self._constants, **values}
        return self.family.configuration(meaningful(chosen, self.space, self.family))

    def _is_new(self, config: Configuration) -> bool:
        return config not in self._seen and self.family.impossible(config, self.image_size) is None

    def _ideas(
        self, outcomes: Sequence[Outcome], generator: random.Random
    ) -> Iterator[dict[str, Value]]:
        """What HyperOpt answers, and then what lies ever further away from its last answer."""
        values: dict[str, Value] = {}
        if not self._searched:
            yield values
            return
        ask = self._question(outcomes)
        for candidates in CANDIDATES:
            values = ask(generator.randrange(2**31), candidates)
            yield values
        if not self._is_listable:  # what hardly runs out, so asking goes on
            yield from (ask(generator.randrange(2**31), 1) for _ in range(20 * STEPS))
            return
        for _ in range(STEPS):
            name = generator.choice(list(self._grids))
            values = {**values, name: generator.choice(self._grids[name] or [])}
            yield values

    def _question(self, outcomes: Sequence[Outcome]) -> Callable[[int, int], dict[str, Value]]:
        """HyperOpt's answer to a seed and a number of candidates, knowing these outcomes."""
        algorithm, told = self._algorithm(outcomes)
        history = hyperopt.trials_from_docs(
            [_document(tid, outcome, self._searched) for tid, outcome in told], validate=False
        )

        def ask(seed: int, candidates: int) -> dict[str, Value]:
            [answer] = algorithm(candidates)([len(outcomes)], self._domain, history, seed)
            raw = {name: values[0] for name, values in answer["misc"]["vals"].items()}
            return {name: _value(raw[name], values) for name, values in self._searched.items()}

        return ask

    def _algorithm(self, outcomes: Sequence[Outcome]) -> tuple[Algorithm, list[Numbered]]:
        """What answers, and the outcomes that it is told."""
        return lambda candidates: hyperopt.rand.suggest, []

    def _one_of_the_rest(self, generator: random.Random) -> Configuration | None:
        """A random one of the configurations that are left; None where the space is used up."""
        if not self._is_listable:
            return None
        numbers = {self._points.number(config) for config in self._seen} - {None}
        left = len(self._points) - len(numbers)
        if not left:
            return None
        number = generator.randrange(left)  # of those left, so the ones before it are stepped over
        for tried in sorted(numbers):  # type: ignore[type-var]
            if tried > number:  # type: ignore[operator]
                break
            number += 1
        return self._config(self._points[number])

    @cached_property
    def _points(self) -> Points:
        return Points(self.space, self.image_size, self.family)


class Tpe(Random):
    """Proposes configurations: at first at random, then by HyperOpt's TPE."""

    def _algorithm(self, outcomes: Sequence[Outcome]) -> tuple[Algorithm, list[Numbered]]:
        if sum(outcome.score is not None for outcome in outcomes) < self.num_initial:
            return super()._algorithm(outcomes)
        told, gamma = _told(outcomes)
        suggest = partial(hyperopt.tpe.suggest, n_startup_jobs=0, gamma=gamma, verbose=False)
        return lambda candidates: partial(suggest, n_EI_candidates=candidates), told


def _told(outcomes: Sequence[Outcome]) -> tuple[list[Numbered], float]:
    """What TPE is told, numbered, and the gamma with which it finds the same good ones in it.

    HyperOpt's time grows with what it is told. Its good ones are the best few, and of the others
    the older count less and less; so the good ones and the latest are told.
    """
    told = dict(enumerate(outcomes))
    num_good = good_ones(len(told))
    if len(told) > HISTORY:
        good = dict(sorted(told.items(), key=lambda item: _loss(item[1]))[:num_good])
        latest = [item for item in told.items() if item[0] not in good][num_good - HISTORY :]
        told = good | dict(latest)
    # HyperOpt takes the best ceil(gamma * sqrt(n)) of what it is told.
    return sorted(told.items()), (num_good - 0.5) / math.sqrt(len(told) or 1)


def good_ones(num_outcomes: int) -> int:
    """How many of the outcomes TPE takes for good."""
    return min(math.ceil(GAMMA * math.sqrt(num_outcomes)), MOST_GOOD)


def _loss(outcome: Outcome) -> float:
    return math.inf if outcome.score is None else -outcome.score


def _expression(name: str, values: Choice | Interval) -> Any:
    """HyperOpt's distribution of one hyperparameter."""
    if isinstance(values, Weighted):
        total = sum(values.weights)
        pairs = zip(values.weights, values.values, strict=True)
        return hp.pchoice(name, [(weight / total, value) for weight, value in pairs])
    if isinstance(values, Choice):
        return hp.choice(name, list(values.values))
    low, high, step = values.low, values.high, values.step
    if values.log:
        ends = math.log(low), math.log(high)
        return hp.qloguniform(name, *ends, step) if step else hp.loguniform(name, *ends)
    if not step:
        return hp.uniform(name, low, high)
    if values.rounded:
        return hp.quniform(name, low, high, step)
    # Half a step at each end, so that the ends are drawn as often as what lies between.
    return hp.quniform(name, values.lowest - step / 2, values.highest + step / 2, step)


def _value(raw: float, values: Choice | Interval) -> Value:
    """What HyperOpt's number means: an index into choices, or a number of the interval."""
    if isinstance(values, Choice):
        return values.values[int(raw)]
    return values.nearest(float(raw))


def _document(tid: int, outcome: Outcome, space: Space) -> dict[str, Any]:
    """An outcome in HyperOpt's form. A running trial has no loss, which HyperOpt takes as worst."""
    raw = {}
    for name, values in space.items():
        value = getattr(outcome.config, name)
        raw[name] = values.values.index(value) if isinstance(values, Choice) else value
    running = outcome.score is None
    return {
        "tid": tid,
        "state": hyperopt.JOB_STATE_RUNNING if running else hyperopt.JOB_STATE_DONE,
        "result": {"status": "new"} if running else {"status": "ok", "loss": _loss(outcome)},
        "misc": {
            "tid": tid,
            "idxs": {name: [tid] for name in raw},
            "vals": {name: [value] for name, value in raw.items()},
        },
        "spec": None,
        "exp_key": None,
        "owner": None,
        "version": 0,
        "book_time": None,
        "refresh_time": None,
    }
