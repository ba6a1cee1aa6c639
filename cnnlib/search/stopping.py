"""Which trials stop early: the stopping rules by name, and what each of them must do.

The terms of a sweep choose one. tests/search/test_stopping.py holds every member of STOPPING to it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from cnnlib.networks.metric import VAL_ACC
from cnnlib.search.decision import Decision, NeverPauses
from cnnlib.search.experience import Experience
from cnnlib.search.halving import RUNGS, Halving, Rungs
from cnnlib.search.promotion import Outlook, Promotion
from cnnlib.search.searchers import WITH_PROMOTION

PROMOTE = "promote"
TELLING = 0.5  # correlation of the standings at a rung and at the end, from which it tells enough


class StoppingRule(Protocol):
    """Decides at a rung whether a trial trains on.

    Made by `max_epochs`, `halving` (the rungs), `trials`, `audit`, `seed`, the `worst` score and
    an `outlook`: what earlier sweeps foretell of a trial at a rung, or None. It is pure: what it
    decides follows from what it was told, so a replay and a sweep that goes on decide alike. One
    whose decisions pause trials is told who waits, and says who goes on.
    """

    def decide(self, trial_id: str, epoch: int, score: float) -> Decision | None:
        """The decision on a trial after this epoch; None where there is no rung."""

    def add(self, trial_id: str, decision: Decision, score: float) -> None:
        """Takes note of a decision, which may be an earlier driver's, and of the trial's score."""

    def wait(self, trial_id: str, rung: int) -> None:
        """A trial that was to pause has left its worker."""

    def leave(self, trial_id: str) -> None:
        """A trial waits no more: it goes on, or has ended."""

    def pick(self, *, idle: bool = False) -> str | None:
        """Who of those that wait goes on when a worker is free; `idle` if that has nothing else."""

    def spare(self) -> str | None:
        """Who goes on where a worker would be idle while the last ones run, till these end."""

    def hopeless(self) -> list[str]:
        """Those that wait and can never go on."""

    def cutoff(self, rung: int) -> float | None:
        """The least score that goes on from a rung by now; None where too few were there."""

    def extend(self, max_epochs: int, trials: int, *, more: bool) -> None:
        """From now on there are so many trials, which train up to so many epochs; `more` says
        whether any is still to be proposed."""

    @property
    def most_waiting(self) -> int:
        """How many trials wait at most."""

    def expected(self, trials: int) -> tuple[float, float]:
        """Epochs in all, and trials that reach the last one, when scores tell nothing apart."""


def default_rule(search: str) -> str:
    """The rule at the rungs where nobody names one: the searcher's."""
    return PROMOTE if search in WITH_PROMOTION else "asha"


def default_rungs(
    stopping: str, max_epochs: int, reduction_factor: float, known: Experience | None = None
) -> Halving:
    """The rungs of a rule where nobody names any.

    Trials pause at one more, for a factor of 3 at 1/81 of the way, where earlier sweeps foretell
    the end of a trial from there.
    """
    if stopping != PROMOTE:
        return Halving.by_default(max_epochs, reduction_factor)
    first = round(max_epochs / reduction_factor ** (RUNGS + 1))
    one_more = known and known.early and first and known.foretells(first / max_epochs) >= TELLING
    return Halving.for_promotion(max_epochs, reduction_factor, RUNGS + bool(one_more))


@dataclass
class Never(NeverPauses):
    """No trial is stopped early."""

    max_epochs: int

    def decide(self, trial_id: str, epoch: int, score: float) -> Decision | None:
        return None

    def add(self, trial_id: str, decision: Decision, score: float) -> None:
        raise AssertionError(f"trial {trial_id}: nothing was decided")

    def extend(self, max_epochs: int, trials: int, *, more: bool) -> None:
        self.max_epochs = max_epochs

    def expected(self, trials: int) -> tuple[float, float]:
        return float(trials * self.max_epochs), float(trials)


def _asha(
    halving: Halving, audit: float, seed: int, worst: float = VAL_ACC.worst, **_: Any
) -> StoppingRule:
    return Rungs(halving, audit, seed, worst)


def _promote(
    halving: Halving,
    trials: int,
    audit: float,
    seed: int,
    worst: float = VAL_ACC.worst,
    outlook: Outlook | None = None,
    **_: Any,
) -> StoppingRule:
    return Promotion(halving, trials, audit, seed, worst, outlook)


def _never(max_epochs: int, **_: Any) -> StoppingRule:
    return Never(max_epochs)


STOPPING: dict[str, Callable[..., StoppingRule]] = {
    "asha": _asha,
    PROMOTE: _promote,
    "never": _never,
}
