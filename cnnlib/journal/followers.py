"""Whatever follows a sweep's journal: the screen, W&B, a bucket's copy, the live view.

A follower is told each event when it is on the disk, and changes nothing of the sweep.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from cnnlib.journal.trial import ENDINGS
from cnnlib.networks.cnn.family import CNN
from cnnlib.networks.families import told
from cnnlib.networks.metric import VAL_ACC, Metric
from cnnlib.search.decision import Decision, finite

Event = Mapping[str, Any]


class Follower(Protocol):
    """Follows the events of one driver, from its first to `close`."""

    def know(self, events: Iterable[Event]) -> None:
        """What was written before, by other drivers."""

    def see(self, event: Event) -> None:
        """What was just written; returns soon, as the sweep waits for it."""

    def close(self) -> str | None:
        """There are no more events; a line for the user where something was left undone."""


def telling(
    write: Callable[..., dict[str, Any]], followers: Iterable[Follower]
) -> Callable[..., dict[str, Any]]:
    """A `write` of the journal that tells all followers what it wrote."""
    told_to = tuple(followers)

    def write_and_tell(event: str, **content: Any) -> dict[str, Any]:
        entry = write(event, **content)
        for follower in told_to:
            follower.see(entry)
        return entry

    return write_and_tell


@dataclass
class SeenTrial:
    """A trial as its events tell it."""

    trial_id: str
    config: dict[str, Any]
    started: bool = False
    rows: list[dict[str, float]] = field(default_factory=list)  # the numbers of each epoch
    best: float = VAL_ACC.worst  # its best score
    best_epoch: int = 0
    decision: Decision | None = None  # at its last epoch, where there is a rung
    audited: bool = False  # it would have been stopped
    diverged: bool = False  # it has no accuracy, and counts as the worst
    status: str = "running"  # or paused, which is no end, or one of ENDINGS

    @property
    def has_ended(self) -> bool:
        return self.status not in ("running", "paused")

    @property
    def epoch(self) -> int:
        """The last that was reported, 0 before the first."""
        return int(self.rows[-1]["epoch"]) if self.rows else 0


@dataclass
class SeenTrials:
    """The trials of the events that were seen, by their ids; a fold that needs few libraries."""

    trials: dict[str, SeenTrial] = field(default_factory=dict)
    searched: set[str] = field(default_factory=set)  # hyperparameters of more than one value
    network: str = CNN.name  # the kind of network
    metric: Metric = VAL_ACC

    def see(self, event: Event) -> SeenTrial | None:
        """Takes an event into account; the trial that it is about, None where it is about none."""
        kind = event["event"]
        if kind == "sweep":
            self.network = event.get("network", CNN.name)
            self.searched = {n for n, v in event["space"].items() if len(v.get("values", ())) != 1}
            self.metric = Metric(**event.get("metric", {}))
        elif kind == "proposed":
            trial_id = event["trial_id"]
            self.trials[trial_id] = SeenTrial(
                trial_id, dict(event["config"]), best=self.metric.worst
            )
        trial = self.trials.get(event.get("trial_id", ""))
        if trial is None:
            return None
        if kind == "started":
            trial.started = True
        elif kind == "epoch":
            _add(trial, event, self.metric)
        elif kind in ("paused", "promoted"):
            trial.status = "paused" if kind == "paused" else "running"
        elif kind in ENDINGS:
            trial.status = ENDINGS[kind]
        return trial

    def shown(self, trial: SeenTrial) -> dict[str, Any]:
        """What to show of its configuration: of the recipe only what is searched or not off."""
        return told(trial.config, self.searched, self.network)

    def varied(self, trial: SeenTrial) -> dict[str, Any]:
        """The hyperparameters that are searched."""
        return {name: value for name, value in trial.config.items() if name in self.searched}


def _add(trial: SeenTrial, event: Event, metric: Metric) -> None:
    trial.rows.append({n: v for n, v in event.items() if type(v) in (int, float)})
    score = finite(metric.of(trial.rows[-1]), metric.worst)
    trial.diverged |= metric.name not in trial.rows[-1] or metric.diverged(trial.rows[-1])
    if trial.diverged:
        trial.best, trial.best_epoch = metric.worst, 0
    elif score > trial.best:
        trial.best, trial.best_epoch = score, trial.epoch
    trial.decision = Decision(**event["decision"]) if "decision" in event else None
    trial.audited |= bool(trial.decision and trial.decision.audited)
