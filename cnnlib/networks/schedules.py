"""Learning-rate schedules: the share of the peak learning rate that each step has, and warm-up."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pytorch_lightning import Trainer
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from cnnlib.networks.configuration import Recipe

RISE = 0.3  # of the way, in which one_cycle's learning rate rises, from START of its peak to it
START = 0.04
END = 4e-6  # of its peak, where one_cycle ends
DECAYED = 0.01  # of its peak, where exponential ends if no factor is given
FALL = 0.1  # what step and plateau take the learning rate times, if no factor is given
PARTS = 3  # that step falls after and cosine_restarts begins in, if no epochs are given
PATIENCE = 3  # epochs that plateau waits for a better loss, if none are given
BETTER = 1e-4  # by which share a loss must be lower to be a better one, as in torch
BY_EPOCH = ("step", "plateau")  # new every epoch, others every step


@dataclass(frozen=True)
class Way:
    """How far a training is: `count` of `total`, of which an epoch has `per_epoch`."""

    count: int
    total: int
    per_epoch: int
    factor: float  # decay_factor, 0 where none is given
    every: int  # decay_epochs, counted as `count` is; 0 where none are given

    @property
    def share(self) -> float:
        return min(self.count / self.total, 1.0)


def _half_cosine(first: float, last: float, share: float) -> float:
    return last + (first - last) * (1 + math.cos(math.pi * share)) / 2


def one_cycle(way: Way) -> float:
    """Up to 1 along a half cosine, then down to nearly nothing along another."""
    if way.share < RISE:
        return _half_cosine(START, 1.0, way.share / RISE)
    return _half_cosine(1.0, END, (way.share - RISE) / (1 - RISE))


def cosine_restarts(way: Way) -> float:
    """Down to nothing along a half cosine, and again from 1."""
    every = way.every or math.ceil(way.total / PARTS)
    return _half_cosine(1.0, 0.0, way.count % every / every)


def step(way: Way) -> float:
    """Times the factor after each third of the way, or after so many epochs."""
    falls = way.count // way.every if way.every else int(PARTS * way.share)
    return (way.factor or FALL) ** falls


def exponential(way: Way) -> float:
    """Times the factor each epoch, or after so many; without one to DECAYED at the end."""
    if way.factor or way.every:
        return (way.factor or FALL) ** (way.count // (way.every or way.per_epoch))
    return DECAYED**way.share


SCHEDULES: dict[str, Callable[[Way], float]] = {
    "constant": lambda way: 1.0,
    "one_cycle": one_cycle,
    "cosine": lambda way: _half_cosine(1.0, 0.0, way.share),
    "step": step,
    "plateau": lambda way: 1.0,  # what it falls to is found on the way, see Factor
    "exponential": exponential,
    "linear": lambda way: 1.0 - way.share,
    "cosine_restarts": cosine_restarts,
}


class Factor:
    """The share of the peak learning rate by the count of steps or epochs.

    An object, because torch's scheduler saves what is in its __dict__: what a plateau has seen, so
    that a training goes on as if unbroken, and not the curve, which may have become longer.
    """

    __slots__ = ("__dict__", "_curve", "_fall", "_patience")

    def __init__(self, curve: Callable[[int], float], *, fall: float, patience: int) -> None:
        self._curve, self._fall, self._patience = curve, fall, patience
        self.lowest, self.waited, self.fallen = math.inf, 0, 1.0

    def __call__(self, count: int) -> float:
        return self._curve(count) * self.fallen

    def see(self, loss: float) -> None:
        """Falls where an epoch's loss is the last of too many that are no better."""
        if loss < self.lowest * (1 - BETTER):  # false for NaN
            self.lowest, self.waited = loss, 0
            return
        self.waited += 1
        if self.waited > self._patience:
            self.fallen *= self._fall
            self.waited = 0


def schedule(config: Recipe, optimizer: Optimizer, trainer: Trainer) -> dict[str, Any]:
    """Lightning's entry for a learning rate that is not constant: new every step, or every epoch.

    In the warm-up it rises evenly from nothing. Raises ValueError where the trainer does not know
    how long it will train.
    """
    name, warm_up = config.learning_rate_schedule, config.warm_up
    by_epoch = name in BY_EPOCH and not warm_up
    total = trainer.max_epochs if by_epoch else trainer.estimated_stepping_batches
    if total is None or not 0 < total < math.inf:
        raise ValueError(f"learning_rate_schedule: {name} needs a Trainer with max_epochs")
    total, per_epoch = int(total), 1 if by_epoch else _steps_of_an_epoch(trainer)
    risen = warm_up * (total if warm_up < 1 else per_epoch)

    def curve(count: int) -> float:
        way = Way(count, total, per_epoch, config.decay_factor, config.decay_epochs * per_epoch)
        rise = min((count + 1) / risen, 1.0) if risen else 1.0
        return rise * SCHEDULES[name](way)

    factor = Factor(
        curve, fall=config.decay_factor or FALL, patience=config.decay_epochs or PATIENCE
    )
    return {
        "scheduler": LambdaLR(optimizer, factor),
        "interval": "epoch" if by_epoch else "step",
    }


def _steps_of_an_epoch(trainer: Trainer) -> int:
    return math.ceil(trainer.num_training_batches / trainer.accumulate_grad_batches)


def after_epoch(scheduler: Any, loss: float) -> None:
    """Tells a plateau's schedule an epoch's loss, and sets the learning rates of the next.

    Lightning's own way comes after checkpoints were saved, which then lack the epoch.
    """
    [factor, *_] = scheduler.lr_lambdas
    factor.see(loss)
    rates = [base * factor(scheduler.last_epoch) for base in scheduler.base_lrs]
    for group, rate in zip(scheduler.optimizer.param_groups, rates, strict=True):
        group["lr"] = rate
    scheduler._last_lr = rates
