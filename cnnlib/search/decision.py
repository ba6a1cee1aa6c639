"""What is decided on a trial at a rung, and what scores count as there."""

import math
from dataclasses import asdict, dataclass
from typing import Any

from cnnlib.networks.metric import Metric

DIVERGED = "diverged"  # so begins the error of a training whose network has no accuracy


@dataclass(frozen=True)
class Decision:
    """What is done with a trial at a rung: it stops, or waits, if its score is below the cutoff.

    A score is the higher the better, whatever the metric is.
    """

    stop: bool
    rung: int
    cutoff: float | None  # None where too few were there, or more than the score counts
    audited: bool = False  # it is below the cutoff, and runs on to tell whether stopping is right
    pause: bool = False  # it leaves its worker and waits; it may go on later

    @property
    def goes_on(self) -> bool:
        """Whether the trial keeps its worker."""
        return not (self.stop or self.pause)

    def as_event(self) -> dict[str, Any]:
        """As the journal has it: of a pause nothing is said where there is none."""
        content = asdict(self)
        return content if self.pause else {n: v for n, v in content.items() if n != "pause"}

    def why(self, metric: Metric) -> str:
        """Why a trial stops, or would: at epoch 3, below the cutoff 0.310."""
        if self.cutoff is None:
            return f"at epoch {self.rung}"
        return f"at epoch {self.rung}, {metric.beyond} the cutoff {metric.value(self.cutoff):.3f}"


class NeverPauses:
    """What a rule that pauses no trial says of those that wait."""

    most_waiting = 0

    def wait(self, trial_id: str, rung: int) -> None:
        """A trial waits that a person has asked to; the rule has no say in it."""

    def leave(self, trial_id: str) -> None:
        """And waits no more."""

    def pick(self, *, idle: bool = False) -> str | None:
        return None

    def spare(self) -> str | None:
        return None

    def hopeless(self) -> list[str]:
        return []

    def cutoff(self, rung: int) -> float | None:
        return None


def finite(score: float, worst: float) -> float:
    """The score, or the worst where it is NaN, infinite or lower still."""
    return max(score, worst) if math.isfinite(score) else worst


def divergence(epoch: int) -> str:
    """The error of a training that ends with this epoch because its network has no accuracy."""
    return f"{DIVERGED}: outputs, loss or weights are not finite after epoch {epoch}"
