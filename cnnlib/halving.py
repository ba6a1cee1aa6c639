"""ASHA: which trials stop at which rung, decided by the scores that were reported before.

Successive halving, asynchronous (Li et al. 2020, arxiv.org/abs/1810.05934). The decisions are
plain Python; `AshaScheduler` at the end is a thin shell that asks them for Ray.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ray.tune.schedulers import FIFOScheduler, TrialScheduler

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

    @property
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
    best: dict[str, float] = field(default_factory=dict)  # trial_id -> its highest score so far

    def report(self, trial_id: str, epoch: int, score: float) -> Decision | None:
        """The decision on a trial after this epoch; None between rungs and for a repeated epoch.

        A trial is judged by its best epoch so far, as it will be at the end. A score that is not
        finite counts as the worst: NaN compares false with any cutoff, so that Ray's own ASHA
        never stops such a trial.
        """
        score = max(score if math.isfinite(score) else WORST, self.best.get(trial_id, WORST))
        self.best[trial_id] = score
        seen = self.scores.setdefault(epoch, {})
        if epoch not in self.plan.rungs or trial_id in seen:
            return None
        cutoff = _cutoff(list(seen.values()), self.plan.reduction_factor)
        seen[trial_id] = score
        return Decision(cutoff is not None and score < cutoff, epoch, cutoff)


def _cutoff(scores: list[float], reduction_factor: float) -> float | None:
    """The (1 - 1/reduction_factor) quantile, between neighbours as in numpy's percentile."""
    if not scores:
        return None
    ordered = sorted(scores)
    position = (len(ordered) - 1) * (1 - 1 / reduction_factor)
    below = math.floor(position)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (position - below)


class AshaScheduler(FIFOScheduler):
    """Asks `Rungs` about every report, and tells `on_stop(trial_id, decision)` of each stop."""

    def __init__(self, rungs: Rungs, on_stop: Callable[[str, Decision], None]) -> None:
        super().__init__()
        self._rungs = rungs
        self._on_stop = on_stop

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        trial_id = trial.config["trial_id"]
        if "val_acc" not in result:  # the report of a failure
            return TrialScheduler.CONTINUE
        decision = self._rungs.report(trial_id, result["epoch"], result["val_acc"])
        if decision is None or not decision.stop:
            return TrialScheduler.CONTINUE
        self._on_stop(trial_id, decision)
        return TrialScheduler.STOP
