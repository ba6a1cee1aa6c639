"""Other projects' searches by their public interfaces, at their defaults; and search at random.

Optuna and Syne Tune are no dependencies of this project: `pip install 'cnnlib[peers]'`, and
`pip install --no-deps syne-tune dill sortedcontainers`, whose own requirements are 500 MB (it asks
for scikit-learn too). What is not installed is left out, and said.
"""

import contextlib
import importlib.util
import random
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np

from benchmarks.replay.clock import Job
from benchmarks.replay.tables import Curves
from cnnlib.networks.values import Choice, Interval, Space


@dataclass
class AtRandom:
    """Random configurations, trained in full."""

    curves: Curves
    workers: int
    seed: int
    asked: int = 0

    def __post_init__(self) -> None:
        self.draw = random.Random(self.seed)

    def ask(self, seconds: float) -> Job | None:
        if self.asked == len(self.curves):
            return None
        self.asked += 1
        values = {name: _drawn(self.draw, v) for name, v in self.curves.space.items()}
        return Job(str(self.asked), values)

    def tell(self, trial: str, epoch: int, score: float, seconds: float) -> bool:
        return True


def _drawn(draw: random.Random, domain: Choice | Interval) -> Any:
    if isinstance(domain, Choice):
        return draw.choice(domain.values)
    ends = np.log([domain.low, domain.high]) if domain.log else (domain.low, domain.high)
    number = draw.uniform(*ends)
    return domain.nearest(float(np.exp(number)) if domain.log else number)


@dataclass
class RayTune:
    """Ray Tune's HyperOptSearch with its ASHAScheduler."""

    curves: Curves
    workers: int
    seed: int
    last: dict[str, dict[str, Any]] = field(default_factory=dict)
    asked: int = 0

    def __post_init__(self) -> None:
        from ray.tune.schedulers import ASHAScheduler
        from ray.tune.search.hyperopt import HyperOptSearch

        told = {"metric": "val_acc", "mode": "max"}
        space = _of_ray(self.curves.space)
        self.search = HyperOptSearch(space, **told, random_state_seed=self.seed)
        self.asha = ASHAScheduler(**told, max_t=self.curves.num_epochs)

    def ask(self, seconds: float) -> Job | None:
        if self.asked == len(self.curves):
            return None
        self.asked += 1
        trial = str(self.asked)
        values = self.search.suggest(trial)
        self.asha.on_trial_add(None, SimpleNamespace(trial_id=trial))
        return Job(trial, values)

    def tell(self, trial: str, epoch: int, score: float, seconds: float) -> bool:
        result = {"training_iteration": epoch, "val_acc": score}
        stub = SimpleNamespace(trial_id=trial)
        self.search.on_trial_result(trial, result)
        goes_on = self.asha.on_trial_result(None, stub, result) == self.asha.CONTINUE
        if not goes_on:
            self.asha.on_trial_complete(None, stub, result)
            self.search.on_trial_complete(trial, result)
        return goes_on


def _of_ray(space: Space) -> dict[str, Any]:
    from ray import tune

    def domain(values: Choice | Interval) -> Any:
        if isinstance(values, Choice):
            return tune.choice(list(values.values))
        if values.step:
            ends = int(values.low), int(values.high) + 1
            return tune.lograndint(*ends) if values.log else tune.randint(*ends)
        draw = tune.loguniform if values.log else tune.uniform
        return draw(values.low, values.high)

    return {name: domain(values) for name, values in space.items()}


@dataclass
class Optuna:
    """Optuna's TPESampler with its `pruner`, by ask and tell."""

    curves: Curves
    workers: int
    seed: int
    pruner: str = "SuccessiveHalvingPruner"
    best: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self.pruned = optuna.trial.TrialState.PRUNED
        self.space = {n: _of_optuna(optuna.distributions, v) for n, v in self.curves.space.items()}
        self.study = optuna.create_study(
            direction="maximize",
            sampler=optuna.samplers.TPESampler(seed=self.seed),
            pruner=getattr(optuna.pruners, self.pruner)(),
        )
        self.trials: dict[str, Any] = {}

    def ask(self, seconds: float) -> Job | None:
        if len(self.trials) == len(self.curves):
            return None
        trial = self.study.ask(self.space)
        name = str(trial.number)
        self.trials[name] = trial
        return Job(name, trial.params)

    def tell(self, trial: str, epoch: int, score: float, seconds: float) -> bool:
        running = self.trials[trial]
        running.report(score, epoch)
        self.best[trial] = max(score, self.best.get(trial, score))
        if epoch == self.curves.num_epochs:
            self.study.tell(running, self.best[trial])
        elif running.should_prune():
            self.study.tell(running, state=self.pruned)
            return False
        return True


def _of_optuna(distributions: Any, values: Choice | Interval) -> Any:
    if isinstance(values, Choice):
        return distributions.CategoricalDistribution(values.values)
    if values.step:
        low, high = int(values.low), int(values.high)
        return distributions.IntDistribution(low, high, log=values.log)
    return distributions.FloatDistribution(values.low, values.high, log=values.log)


@dataclass
class SyneTune:
    """Syne Tune's ASHA, which proposes at random."""

    curves: Curves
    workers: int
    seed: int
    asked: int = 0

    def __post_init__(self) -> None:
        from syne_tune.backend.trial_status import Trial
        from syne_tune.optimizer.baselines import ASHA

        self.made, self.trials = Trial, dict[str, Any]()
        with _global_seed(self.seed):
            self.asha = ASHA(
                config_space=_of_syne_tune(self.curves.space) | {"epochs": self.curves.num_epochs},
                metric="val_acc",
                time_attr="epoch",
                max_t=self.curves.num_epochs,
                do_minimize=False,
                random_seed=self.seed,
            )

    def ask(self, seconds: float) -> Job | None:
        if self.asked == len(self.curves):
            return None
        suggestion = self.asha.suggest()
        if suggestion is None:
            return None
        name = str(self.asked)
        trial = self.made(trial_id=self.asked, config=suggestion.config, creation_time=None)
        self.trials[name] = trial
        self.asha.on_trial_add(trial)
        self.asked += 1
        return Job(name, suggestion.config)

    def tell(self, trial: str, epoch: int, score: float, seconds: float) -> bool:
        result = {"epoch": epoch, "val_acc": score}
        stub = self.trials[trial]
        goes_on = self.asha.on_trial_result(stub, result) == "CONTINUE"
        if epoch == self.curves.num_epochs:
            self.asha.on_trial_complete(stub, result)
        elif not goes_on:
            self.asha.on_trial_remove(stub)
        return goes_on


@contextlib.contextmanager
def _global_seed(seed: int) -> Any:
    """A numpy whose global generator begins here, and goes on afterwards where it was."""
    before = np.random.get_state()
    np.random.seed(seed)
    try:
        yield
    finally:
        np.random.set_state(before)


def _of_syne_tune(space: Space) -> dict[str, Any]:
    from syne_tune import config_space

    def domain(values: Choice | Interval) -> Any:
        if isinstance(values, Choice):
            return config_space.choice(list(values.values))
        if values.step:
            ends = int(values.low), int(values.high)
            return config_space.lograndint(*ends) if values.log else config_space.randint(*ends)
        draw = config_space.loguniform if values.log else config_space.uniform
        return draw(values.low, values.high)

    return {name: domain(values) for name, values in space.items()}


def is_there(package: str) -> bool:
    return importlib.util.find_spec(package) is not None
