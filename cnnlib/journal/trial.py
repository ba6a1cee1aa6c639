"""What a sweep knows of one trial."""

from dataclasses import dataclass, field

from cnnlib.networks.configuration import Configuration
from cnnlib.networks.metric import VAL_ACC
from cnnlib.search.decision import Decision

ENDINGS = {"finished": "completed", "stopped": "stopped", "failed": "failed"}  # event: status


@dataclass
class Trial:
    """What is known of one trial."""

    trial_id: str
    config: Configuration
    max_epochs: int  # those of the sweep when it was proposed
    epoch: int = 0  # the last that was reported
    best: float = VAL_ACC.worst  # its best score
    best_epoch: int = 0
    seconds: float = 0.0  # that its epochs took
    at_rungs: dict[int, float] = field(default_factory=dict)  # its best score by then
    stop: Decision | None = None  # the decision that ended it
    pause: Decision | None = None  # the one for which it leaves, or has left, its worker
    has_paused: bool = False  # so that it has a score to tell the searcher
    asked: str | None = None  # what a person wants of it and is not done yet: stop or pause
    spare: bool = False  # it runs as its worker would be idle, and ends with the others
    raised: bool = False  # a person wants it to run to its end, whatever is decided at rungs
    audited: bool = False  # it would have been stopped
    diverged: str | None = None  # why it has no accuracy and counts as the worst
    status: str = "running"  # or paused, which is no end, or one of ENDINGS

    @property
    def earlier(self) -> tuple[tuple[int, float], ...]:
        """The rungs before its last epoch, and its best score there."""
        return tuple((rung, best) for rung, best in self.at_rungs.items() if rung < self.epoch)

    @property
    def has_ended(self) -> bool:
        return self.status not in ("running", "paused")
