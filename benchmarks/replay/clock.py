"""Simulated time: workers that train what a policy asks for, out of a table of curves."""

import heapq
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from benchmarks.replay.tables import Curves

BUDGETS = (2, 5, 10, 20)  # full trainings' worth of time
NEAR = 0.05  # regret at which a search has come to the target
LONGEST = 60  # full trainings' worth of time; what comes later counts as this


@dataclass(frozen=True)
class Job:
    """A trial that a worker takes up."""

    trial: str  # the policy's name of it
    values: Mapping[str, Any]  # of the hyperparameters
    after: int = 0  # the epoch that it goes on from


class Policy(Protocol):
    """A search as the clock sees it."""

    def ask(self, seconds: float) -> Job | None:
        """What a free worker does next, so many seconds after the start; None: nothing now."""

    def tell(self, trial: str, epoch: int, score: float, seconds: float) -> bool:
        """Takes note of an epoch, which took so many seconds; whether the trial trains on."""


Made = Callable[[Curves, int, int], Policy]  # by a table, the number of workers and a seed


@dataclass(frozen=True)
class Result:
    """How a search did; times in full trainings' worth of all workers together."""

    regrets: tuple[float, ...]  # at BUDGETS
    to_target: float  # LONGEST where it was not reached
    reached: bool
    trials: int
    epochs: int


def replay(curves: Curves, policy: Policy, workers: int) -> Result:
    """Runs a policy until it is past the last budget and has come to the target.

    A new trial is the row nearest to what was proposed that was not tried yet, whoever proposes.
    """
    unit = curves.full_training / workers
    untried, rows = np.ones(len(curves), bool), {}
    heap: list[tuple[float, int, str, int]] = []  # when, who came first, which trial, which epoch
    best, steps, idle, epochs, now = -np.inf, [], workers, 0, 0.0

    def train(trial: str, epoch: int) -> None:
        heapq.heappush(heap, (now + curves.seconds[rows[trial], epoch - 1], epochs, trial, epoch))

    while True:
        while idle and (job := policy.ask(now)) is not None:
            if job.trial not in rows:
                rows[job.trial] = curves.nearest(dict(job.values), untried)
                untried[rows[job.trial]] = False
            train(job.trial, job.after + 1)
            epochs, idle = epochs + 1, idle - 1
        if not heap:
            break
        now, _, trial, epoch = heapq.heappop(heap)
        row = rows[trial]
        score = float(curves.scores[row, epoch - 1])
        if score > best and now <= LONGEST * unit:
            best = score
            steps.append((now / unit, score))
        near = curves.regret(np.array(best)) <= NEAR
        if now > LONGEST * unit or (near and now > BUDGETS[-1] * unit):
            break
        goes_on = policy.tell(trial, epoch, score, float(curves.seconds[row, epoch - 1]))
        if goes_on and epoch < curves.num_epochs:
            train(trial, epoch + 1)
            epochs += 1
        else:
            idle += 1
    return _result(curves, steps, len(rows), epochs)


def _result(curves: Curves, steps: list[tuple[float, float]], trials: int, epochs: int) -> Result:
    times, scores = np.array(steps).T
    regret = curves.regret(scores)
    places = np.searchsorted(times, BUDGETS, side="right") - 1
    regrets = tuple(float(regret[place]) if place >= 0 else 1.0 for place in places)
    near = np.flatnonzero(regret <= NEAR)
    to_target = float(times[near[0]]) if len(near) else LONGEST
    return Result(regrets, to_target, bool(len(near)), trials, epochs)
