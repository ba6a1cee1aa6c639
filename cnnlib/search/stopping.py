"""Which trials stop early: the stopping rules by name, and what each of them must do.

The terms of a sweep choose one. tests/search/test_stopping.py holds every member of STOPPING to it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from cnnlib.networks.metric import VAL_ACC
from cnnlib.search.halving import Decision, Halving, Rungs


class StoppingRule(Protocol):
    """Decides at a rung whether a trial trains on.

    Made by `max_epochs`, `halving` (the rungs), `audit`, `seed` and the `worst` score. It is pure:
    what it decides follows from what was added, so a replay and a sweep that goes on decide alike.
    """

    def decide(self, trial_id: str, epoch: int, score: float) -> Decision | None:
        """The decision on a trial after this epoch; None where there is no rung."""

    def add(self, trial_id: str, decision: Decision, score: float) -> None:
        """Takes note of a decision, which may be an earlier driver's, and of the trial's score."""

    def extend(self, max_epochs: int) -> None:
        """From now on trials train up to so many epochs."""

    def expected(self, trials: int) -> tuple[float, float]:
        """Epochs in all, and trials that reach the last one, when scores tell nothing apart."""


@dataclass
class Never:
    """No trial is stopped early."""

    max_epochs: int

    def decide(self, trial_id: str, epoch: int, score: float) -> Decision | None:
        return None

    def add(self, trial_id: str, decision: Decision, score: float) -> None:
        raise AssertionError(f"trial {trial_id}: nothing was decided")

    def extend(self, max_epochs: int) -> None:
        self.max_epochs = max_epochs

    def expected(self, trials: int) -> tuple[float, float]:
        return float(trials * self.max_epochs), float(trials)


def _asha(
    halving: Halving, audit: float, seed: int, worst: float = VAL_ACC.worst, **_: Any
) -> StoppingRule:
    return Rungs(halving, audit, seed, worst)


def _never(max_epochs: int, **_: Any) -> StoppingRule:
    return Never(max_epochs)


STOPPING: dict[str, Callable[..., StoppingRule]] = {"asha": _asha, "never": _never}
