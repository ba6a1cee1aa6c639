"""ASHA: which trials stop at which rung, decided by the scores that were reported before.

Successive halving, asynchronous (Li et al. 2020, arxiv.org/abs/1810.05934).
"""

import bisect
import math
import random
from dataclasses import dataclass, field
from functools import cached_property

WORST = -1.0  # below every accuracy: what a score that is not finite counts as


@dataclass(frozen=True)
class Halving:
    """Trials are compared after `grace_period` epochs, then after `reduction_factor` as many."""

    max_epochs: int
    grace_period: int
    reduction_factor: float

    def __post_init__(self) -> None:
        if self.grace_period < 1:
            raise ValueError(f"early_terminate: min_iter {self.grace_period} is not at least 1")
        if self.reduction_factor <= 1:
            raise ValueError(f"early_terminate: eta {self.reduction_factor:g} is not above 1")
        if self.grace_period > self.max_epochs:
            raise ValueError(
                f"early_terminate: min_iter {self.grace_period} epochs of grace do not fit into "
                f"{self.max_epochs} (--max-epochs); lower min_iter or train longer"
            )

    @cached_property
    def rungs(self) -> tuple[int, ...]:
        """Epochs after which a trial may be stopped; the last epoch is none of them."""
        rungs, rung = [], float(self.grace_period)
        while round(rung) < self.max_epochs:
            rungs.append(round(rung))
            rung *= self.reduction_factor
        return tuple(dict.fromkeys(rungs))


@dataclass(frozen=True)
class Decision:
    """What is done with a trial at a rung: it stops if its score is below the cutoff."""

    stop: bool
    rung: int
    cutoff: float | None  # None for the first trial at a rung


@dataclass
class Rungs:
    """The scores seen at each rung, and the decisions that follow from them."""

    plan: Halving
    scores: dict[int, dict[str, float]] = field(default_factory=dict)  # rung -> trial_id -> score
    _ordered: dict[int, list[float]] = field(default_factory=dict)  # rung -> scores, rising

    def decide(self, trial_id: str, epoch: int, score: float) -> Decision | None:
        """The decision on a trial after this epoch; None between rungs and for a repeated epoch.

        `score` is the trial's best so far, as it is judged at the end. One that is not finite
        counts as the worst: NaN is not below any cutoff, so that Ray's own ASHA never stops it.
        """
        if epoch not in self.plan.rungs or trial_id in self.scores.get(epoch, {}):
            return None
        cutoff = _quantile(self._ordered.get(epoch, []), 1 - 1 / self.plan.reduction_factor)
        return Decision(cutoff is not None and finite(score) < cutoff, epoch, cutoff)

    def add(self, trial_id: str, epoch: int, score: float) -> None:
        """Takes note of the score of a trial at a rung."""
        if epoch in self.plan.rungs:
            self.scores.setdefault(epoch, {})[trial_id] = finite(score)
            bisect.insort(self._ordered.setdefault(epoch, []), finite(score))


def finite(score: float) -> float:
    """The score, or WORST where it is NaN or infinite."""
    return score if math.isfinite(score) else WORST


def _quantile(ordered: list[float], share: float) -> float | None:
    """The quantile of rising numbers, between neighbours as in numpy's percentile."""
    if not ordered:
        return None
    position = (len(ordered) - 1) * share
    below = math.floor(position)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (position - below)


def expected(plan: Halving, trials: int) -> tuple[float, float]:
    """Epochs trained in all, and trials that reach the last one, when scores tell nothing apart.

    The mean of simulations in which each trial has one random score at every rung and reports
    before the next begins. Trials that run at once make both a little larger.
    """
    generator, repeats = random.Random(0), max(1, 2_000 // trials)
    epochs = reached = 0
    for _ in range(repeats):
        rungs = Rungs(plan)
        for number in range(trials):
            score, last = generator.random(), plan.max_epochs
            for rung in plan.rungs:
                decision = rungs.decide(str(number), rung, score)
                rungs.add(str(number), rung, score)
                if decision and decision.stop:
                    last = rung
                    break
            epochs += last
            reached += last == plan.max_epochs
    return epochs / repeats, reached / repeats
