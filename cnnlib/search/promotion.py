"""Promotion: every trial pauses at a rung, and the best that waits goes on when a worker is free.

Successive halving, asynchronous, as Li et al. 2020 (arxiv.org/abs/1810.05934) wrote it down: no
trial is given up before it is known that it will not be needed.
"""

import bisect
import math
import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
from scipy.special import ndtri

from cnnlib.networks.metric import VAL_ACC
from cnnlib.search.decision import Decision, finite
from cnnlib.search.halving import Halving

SLACK = 1e-9  # of a quotient: 20 trials a third of which go on are 6, whatever a computer divides
SPARE = 2  # trials beyond the quota of the highest rung that wait for workers that would be idle
SIMULATED = 90  # trials of which the epochs of more are reckoned

# Of a trial and a rung, how its standing at the end follows from the one there, in standard
# deviations of the trials: by what that is multiplied, and what is added (search/experience).
Outlook = Callable[[str, int], tuple[float, float]]


@dataclass
class Promotion:
    """Which trial goes on: from the highest rung down, the best that waits there.

    It has to be among the best 1/eta of those that have been at its rung, or at the last one in the
    better half, and among as many as halving all `trials` at once would let through. Who has fallen
    out of these goes on no more, so what waits is bounded. Where nothing new is tried any more only
    these count.

    Best is whose score is highest, or with an `outlook` who is foretold to be best at the end.
    """

    plan: Halving
    trials: int  # that the sweep proposes in all
    audit: float = 0.0  # share of the trials that would wait and run on to their end
    seed: int = 0
    worst: float = VAL_ACC.worst  # what a score that is not finite counts as
    outlook: Outlook | None = None  # None: earlier sweeps foretell nothing
    scores: dict[int, dict[str, float]] = field(default_factory=dict)  # rung -> trial_id -> score
    waiting: dict[str, int] = field(default_factory=dict)  # trial_id -> rung
    audited: set[str] = field(default_factory=set)
    more: bool = True  # whether new trials may still be proposed
    order: dict[int, list[str]] = field(default_factory=dict)  # of each rung, by score

    def decide(self, trial_id: str, epoch: int, score: float) -> Decision | None:
        """The decision on a trial after this epoch; None between rungs and for a repeated epoch,
        and for a trial that was audited before.

        It goes on where it is itself the one that a free worker would take, else it waits.
        """
        here = self.scores.get(epoch, {})
        if epoch not in self.plan.rungs or trial_id in here or trial_id in self.audited:
            return None
        score = finite(score, self.worst)
        here = {**here, trial_id: score}
        after = replace(
            self,
            scores={**self.scores, epoch: here},
            order={**self.order, epoch: _with(self._by_score(epoch), trial_id, here)},
            waiting={**self.waiting, trial_id: epoch},
        )
        cutoff = after.cutoff(epoch)
        if score > self.worst and after.pick() == trial_id:
            return Decision(False, epoch, cutoff)
        audited = score > self.worst and self._is_drawn(trial_id, epoch)
        return Decision(False, epoch, cutoff, audited, pause=not audited)

    def add(self, trial_id: str, decision: Decision, score: float) -> None:
        """Takes note of the decision on a trial and of the score that it had."""
        here = self.scores.setdefault(decision.rung, {})
        here[trial_id] = finite(score, self.worst)
        self.order[decision.rung] = _with(self._by_score(decision.rung), trial_id, here)
        if decision.audited:
            self.audited.add(trial_id)

    def wait(self, trial_id: str, rung: int) -> None:
        """A trial has left its worker."""
        self.waiting[trial_id] = rung

    def leave(self, trial_id: str) -> None:
        """A trial waits no more: it goes on, or has ended."""
        self.waiting.pop(trial_id, None)

    def pick(self, *, idle: bool = False) -> str | None:
        """The trial that goes on when a worker is free; `idle` where it has nothing else to do."""
        for rung in reversed(self.plan.rungs):
            if trial_id := self._best_waiting(rung, self._most(rung)):
                return trial_id
        if not self.more or idle:  # the lower ones first: those above are judged by them
            for rung in self.plan.rungs:
                if trial_id := self._best_waiting(rung, self.quota(rung)):
                    return trial_id
        return None

    def spare(self) -> str | None:
        """Who goes on where a worker would be idle while the last ones run: of the highest rung the
        best of those that halving would stop, as nobody else gains by it.
        """
        rung = self.plan.rungs[-1]
        return self._best_waiting(rung, self.quota(rung) + SPARE)

    def hopeless(self) -> list[str]:
        """The trials that wait and can never go on, whatever comes."""
        most = {rung: self.quota(rung) for rung in self.plan.rungs}
        most[self.plan.rungs[-1]] += SPARE
        kept = {
            rung: set(self._ordered(rung)[: most[rung]])
            for rung in self.plan.rungs
            if len(self.scores.get(rung, ())) > most[rung]  # else nobody has fallen out
        }
        return [t for t, rung in self.waiting.items() if rung in kept and t not in kept[rung]]

    def quota(self, rung: int) -> int:
        """How many of all trials may go on from a rung: those of halving all of them at once."""
        passed = self.plan.rungs[: self.plan.rungs.index(rung) + 1]
        return math.ceil(self.trials * math.prod(map(self.plan.share, passed)) - SLACK)

    @property
    def most_waiting(self) -> int:
        """How many trials wait at most."""
        return min(self.trials, sum(map(self.quota, self.plan.rungs)) + SPARE)

    def cutoff(self, rung: int) -> float | None:
        """The least score that goes on from a rung by now; None where too few were there, and
        where more than the score counts.
        """
        most = 0 if self.outlook else self._most(rung)
        return self.scores[rung][self._ordered(rung)[most - 1]] if most else None

    def extend(self, max_epochs: int, trials: int, *, more: bool) -> None:
        """From now on there are so many trials, which train up to so many epochs; `more` says
        whether any is still to be proposed.
        """
        self.plan, self.trials = replace(self.plan, max_epochs=max_epochs), trials
        self.more = more

    def expected(self, trials: int) -> tuple[float, float]:
        """Epochs in all, and trials that reach the last one, when scores tell nothing apart."""
        return expected(self.plan, trials, self.audit)

    def _most(self, rung: int) -> int:
        """How many of those that have been at a rung may go on by now."""
        share = len(self.scores.get(rung, ())) * self.plan.share(rung)
        return min(self.quota(rung), int(share + SLACK))

    def _best_waiting(self, rung: int, most: int) -> str | None:
        best = self._ordered(rung)[:most]
        return next((trial_id for trial_id in best if self.waiting.get(trial_id) == rung), None)

    def _by_score(self, rung: int) -> list[str]:
        """Those that have been at a rung, the highest score first, and of equals who came first."""
        return self.order.get(rung, [])

    def _ordered(self, rung: int) -> list[str]:
        """Those that have been at a rung, the best first."""
        order = self._by_score(rung)
        if self.outlook is None:
            return order
        standings = ndtri((np.arange(len(order), 0, -1) - 0.5) / len(order))
        ends = {}
        for trial_id, standing in zip(order, standings, strict=True):
            slope, rise = self.outlook(trial_id, rung)
            learns = self.scores[rung][trial_id] > self.worst
            ends[trial_id] = slope * standing + rise if learns else -math.inf
        return sorted(order, key=lambda trial_id: -ends[trial_id])

    def _is_drawn(self, trial_id: str, rung: int) -> bool:
        return random.Random(f"audit-{self.seed}-{trial_id}-{rung}").random() < self.audit


def _with(order: list[str], trial_id: str, scores: dict[str, float]) -> list[str]:
    """The order with one more trial; `scores` are those of all."""
    place = bisect.bisect_right(order, -scores[trial_id], key=lambda other: -scores[other])
    return [*order[:place], trial_id, *order[place:]]


def expected(plan: Halving, trials: int, audit: float = 0.0) -> tuple[float, float]:
    """Epochs trained in all, and trials that reach the last one, when scores tell nothing apart.

    The mean of simulations with one worker, in which a trial has one random score at every rung.
    """
    if trials > SIMULATED:
        epochs, reached = expected(plan, SIMULATED, audit)
        return epochs * trials / SIMULATED, reached * trials / SIMULATED
    generator, repeats = random.Random(0), max(1, 400 // trials)
    epochs = reached = 0.0
    for repeat in range(repeats):
        rule = Promotion(plan, trials, audit, seed=repeat)
        proposed = 0
        while (trial_id := rule.pick()) or proposed < trials:
            last = 0
            if trial_id:
                last = rule.waiting[trial_id]
                rule.leave(trial_id)
            else:
                proposed += 1
                rule.more, trial_id = proposed < trials, str(proposed)
            end = _leg(rule, trial_id, last, generator)
            epochs += end - last
            reached += end == plan.max_epochs
    return epochs / repeats, reached / repeats


def _leg(rule: Promotion, trial_id: str, last: int, generator: random.Random) -> int:
    """The epoch at which a trial leaves its worker."""
    for rung in [rung for rung in rule.plan.rungs if rung > last]:
        score = generator.random()
        if decision := rule.decide(trial_id, rung, score):
            rule.add(trial_id, decision, score)
            if decision.pause:
                rule.wait(trial_id, rung)
                return rung
    return rule.plan.max_epochs
