"""ASHA: which trials stop at which rung, decided by the scores that were reported before.

Successive halving, asynchronous (Li et al. 2020, arxiv.org/abs/1810.05934).
"""

import bisect
import math
import random
from dataclasses import dataclass, field, replace
from functools import cached_property

from cnnlib.networks.metric import VAL_ACC
from cnnlib.search.decision import Decision, NeverPauses, finite

MOST_RUNGS = 100  # W&B's bound, for factors near 1
RUNGS = 3  # at which trials pause by default
HALF = 0.5  # of those who were at the last of them, and may go on
SIMULATED = 10_000  # trials of which the epochs of more are reckoned


@dataclass(frozen=True)
class Halving:
    """Trials are compared after `grace_period` epochs, then after `reduction_factor` as many.

    A grace period of whole epochs is W&B's min_iter, and what follows is cut off to whole epochs as
    W&B does. Others are rounded: 12 epochs of which a ninth are grace have rungs at 1 and 4.
    """

    max_epochs: int
    grace_period: float
    reduction_factor: float
    named: tuple[int, ...] = ()  # the rungs, where they do not follow from the grace period
    last_share: float | None = None  # that may go on from the last rung; None: as from the others

    def __post_init__(self) -> None:
        if self.grace_period < 1:
            raise ValueError(f"early_terminate: min_iter {self.grace_period:g} is not at least 1")
        if self.reduction_factor <= 1:
            raise ValueError(f"early_terminate: eta {self.reduction_factor:g} is not above 1")
        if self.last_share is not None and not 0 < self.last_share <= 1:
            raise ValueError(f"early_terminate: {self.last_share:g} is no share that goes on")
        if self.grace_period > self.max_epochs:
            name = "max_iter" if self.named else "min_iter"
            raise ValueError(
                f"early_terminate: {name} {self.grace_period:g} epochs of grace do not fit into "
                f"{self.max_epochs} (--max-epochs); lower {name} or train longer"
            )

    @classmethod
    def by_default(cls, max_epochs: int, reduction_factor: float) -> "Halving":
        """Two rungs, for a factor of 3 at a ninth and at a third of the way."""
        return cls(max_epochs, max(1.0, max_epochs / reduction_factor**2), reduction_factor)

    @classmethod
    def for_promotion(
        cls, max_epochs: int, reduction_factor: float, most: int = RUNGS
    ) -> "Halving":
        """Up to three rungs, for a factor of 3 at 1/27, 1/9 and 1/3 of the way; then half go on.

        A trial that was judged too early can come back, so the first may lie earlier.
        """
        ways = (round(max_epochs / reduction_factor**power) for power in range(most, 0, -1))
        rungs = tuple(dict.fromkeys(rung for rung in ways if rung)) or (1,)
        return cls(max_epochs, rungs[0], reduction_factor, rungs, max(HALF, 1 / reduction_factor))

    def share(self, rung: int) -> float:
        """Of those who were at a rung, how many may go on."""
        if self.last_share is not None and rung == self.rungs[-1]:
            return self.last_share
        return 1 / self.reduction_factor

    @cached_property
    def rungs(self) -> tuple[int, ...]:
        """Epochs after which a trial may be stopped; the last epoch is none of them."""
        rungs, rung = list(self.named), self.grace_period
        whole = math.floor if float(rung).is_integer() else round
        while not self.named and len(rungs) < MOST_RUNGS and whole(rung) < self.max_epochs:
            rungs.append(whole(rung))
            rung *= self.reduction_factor
        return tuple(dict.fromkeys(rung for rung in rungs if rung < self.max_epochs))


@dataclass
class Rungs(NeverPauses):
    """The scores seen at each rung, and the decisions that follow from them.

    A random share `audit` of the trials that would stop run on to their last epoch. They are out of
    the contest: as if stopped, they count at the rung where they fell and at no later one, so the
    cutoffs of the others are those of a sweep without audit.
    """

    plan: Halving
    audit: float = 0.0
    seed: int = 0
    worst: float = VAL_ACC.worst  # what a score that is not finite counts as
    audited: set[str] = field(default_factory=set)
    scores: dict[int, dict[str, float]] = field(default_factory=dict)  # rung -> trial_id -> score
    _ordered: dict[int, list[float]] = field(default_factory=dict)  # rung -> scores, rising

    def decide(self, trial_id: str, epoch: int, score: float) -> Decision | None:
        """The decision on a trial after this epoch; None between rungs and for a repeated epoch,
        and for a trial that was audited before.

        `score` is the trial's best so far, as it is judged at the end. One that is not finite
        counts as the worst: NaN is not below any cutoff, so that Ray's own ASHA never stops it.
        """
        if epoch not in self.plan.rungs or trial_id in self.scores.get(epoch, {}):
            return None
        if trial_id in self.audited:
            return None
        cutoff = _quantile(self._ordered.get(epoch, []), 1 - 1 / self.plan.reduction_factor)
        below = cutoff is not None and finite(score, self.worst) < cutoff
        audited = below and math.isfinite(score) and self._is_drawn(trial_id, epoch)
        return Decision(below and not audited, epoch, cutoff, audited)

    def _is_drawn(self, trial_id: str, rung: int) -> bool:
        """From nothing but the seed, the trial and the rung: who resumes or replays draws alike."""
        return random.Random(f"audit-{self.seed}-{trial_id}-{rung}").random() < self.audit

    def add(self, trial_id: str, decision: Decision, score: float) -> None:
        """Takes note of the decision on a trial and of the score that it had."""
        counts = finite(score, self.worst)
        self.scores.setdefault(decision.rung, {})[trial_id] = counts
        bisect.insort(self._ordered.setdefault(decision.rung, []), counts)
        if decision.audited:
            self.audited.add(trial_id)

    def extend(self, max_epochs: int, trials: int, *, more: bool) -> None:
        """From now on trials train up to so many epochs: there may be more rungs."""
        self.plan = replace(self.plan, max_epochs=max_epochs)

    def expected(self, trials: int) -> tuple[float, float]:
        """Epochs in all, and trials that reach the last one, when scores tell nothing apart."""
        return expected(self.plan, trials, self.audit)


def _quantile(ordered: list[float], share: float) -> float | None:
    """The quantile of rising numbers, between neighbours as in numpy's percentile."""
    if not ordered:
        return None
    position = (len(ordered) - 1) * share
    below = math.floor(position)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (position - below)


def expected(plan: Halving, trials: int, audit: float = 0.0) -> tuple[float, float]:
    """Epochs trained in all, and trials that reach the last one, when scores tell nothing apart.

    The mean of simulations in which each trial has one random score at every rung and reports
    before the next begins. Trials that run at once make both a little larger.
    """
    if trials > SIMULATED:
        epochs, reached = expected(plan, SIMULATED, audit)
        return epochs * trials / SIMULATED, reached * trials / SIMULATED
    generator, repeats = random.Random(0), max(1, 2_000 // trials)
    epochs = reached = 0.0
    for repeat in range(repeats):
        rungs = Rungs(plan, audit, seed=repeat)
        for number in range(trials):
            score, last = generator.random(), plan.max_epochs
            for rung in plan.rungs:
                decision = rungs.decide(str(number), rung, score)
                if decision is None:  # audited
                    break
                rungs.add(str(number), decision, score)
                if decision.stop:
                    last = rung
                    break
            epochs += last
            reached += last == plan.max_epochs
    return epochs / repeats, reached / repeats
