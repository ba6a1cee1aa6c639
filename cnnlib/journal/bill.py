"""What a sweep used of the machines, and what that costs; prices.csv is there to be edited.

Its prices are dollars for an hour of one GPU and its share of the machine, as the author knew them
of one large cloud's list; a spot price is what it often is. They change: put yours in.
"""

import csv
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

from cnnlib.storage.traffic import WAYS
from cnnlib.system.units import byte_size, clock, counted

STARTS = ("started", "final_started", "retrain_started")
ENDS = ("finished", "paused", "stopped", "failed", "lost", "final", "retrained")


@dataclass(frozen=True)
class Bill:
    """Hours of one GPU, or of one CPU core where there is none."""

    used: float  # trials ran
    idle: float  # nothing ran
    saved: float  # more that the trials that were stopped, or wait, would have used
    unit: str  # GPU or CPU core
    accelerator: str | None = None  # the kind of GPU, where it is known
    moved: Mapping[str, int] = field(default_factory=dict)  # bytes "fetched" by trials, and "sent"
    num_nodes: int = 0  # machines that moved them
    pauses: int = 0  # times that a trial left its worker and waited
    resumed: int = 0  # and went on

    def __str__(self) -> str:
        total = self.used + self.idle
        share = self.used / total if total else 0.0
        stopping = "stopping"
        if self.pauses:
            stopping = f"{counted(self.pauses, 'pause')} ({self.resumed} went on) and stopping"
        text = (
            f"the bill: {hours(total)} of a {self.unit}, {share:.0%} of it in trials and "
            f"{hours(self.idle)} idle; {stopping} trials early saved {hours(self.saved)}"
        )
        price = prices().get(self.accelerator or "")
        if price:
            on_demand, spot = price
            text += (
                f"; at {self.accelerator}'s list prices ${total * on_demand:,.2f} on demand, "
                f"${total * spot:,.2f} spot (cnnlib/journal/prices.csv)"
            )
        if self.moved:
            ways = [f"{byte_size(num_bytes)} {way}" for way, num_bytes in self.moved.items()]
            machines = f"{self.num_nodes} machine{'s' if self.num_nodes > 1 else ''}"
            text += f"; {' and '.join(ways)} by {machines}"
        return text


def hours(number: float) -> str:
    """2.5 hours as 2:30:00."""
    return clock(3600 * number)


@cache
def prices() -> dict[str, tuple[float, float]]:
    """Dollars an hour of each kind of GPU: on demand and spot."""
    with Path(__file__).with_name("prices.csv").open(encoding="utf-8", newline="") as file:
        return {
            row["accelerator"]: (float(row["on_demand"]), float(row["spot"]))
            for row in csv.DictReader(file)
        }


def accelerator(name: str) -> str | None:
    """The kind of GPU in prices.csv that a device name or Ray's label speaks of."""
    words = name.upper().replace("-", " ").replace("_", " ").split()
    return next((kind for kind in prices() if kind.upper() in words), None)


@dataclass
class _Meter:
    """Seconds of GPUs (or cores), counted event by event."""

    used: float = 0.0
    total: float = 0.0
    pauses: int = 0
    resumed: int = 0
    _saved: dict[str, float] = field(default_factory=dict)  # by each that was stopped, or waits
    machines: Mapping[str, Any] | None = None  # of the driver at work
    moved: Counter[str] = field(default_factory=Counter)  # bytes, by way
    nodes: set[str] = field(default_factory=set)  # that moved them
    _since: datetime | None = None  # when it began
    _last: datetime | None = None
    _began: dict[tuple[str, Any], datetime] = field(default_factory=dict)  # what runs: id, seed
    _max_epochs: dict[str, int] = field(default_factory=dict)
    _pace: dict[str, list[float]] = field(default_factory=dict)  # seconds of each epoch

    def add(self, event: Mapping[str, Any]) -> None:
        kind, trial_id = event["event"], str(event.get("trial_id"))
        if kind == "tested":  # at any time later
            return
        running = trial_id, event.get("seed")  # the finals train one configuration on some seeds
        now = datetime.fromisoformat(event["time"])
        if kind == "resumed":
            self.end_of_driver()
        elif kind == "machines":
            self.machines, self._since = event, now
        elif kind == "moved":
            self.moved.update({way: event[way] for way in WAYS if way in event})
            self.nodes.add(event["node"])
        elif kind == "proposed":
            self._max_epochs[trial_id] = event.get("max_epochs", 0)
        elif kind in STARTS:
            if kind != "started":  # Ray says nothing of trials that the time budget ended
                self._end([trial for trial in self._began if trial[1] is None])
            self._began[running] = now
        elif kind == "epoch":
            self._pace.setdefault(trial_id, []).append(event.get("seconds", 0.0))
        elif kind in ENDS and running in self._began:
            self.used += self._each * (now - self._began.pop(running)).total_seconds()
        if kind in ("stopped", "paused"):
            self._saved[trial_id] = self._each * self._left(trial_id)
            self.pauses += kind == "paused"
        elif kind == "promoted":
            self._saved.pop(trial_id, None)
            self.resumed += 1
        self._last = now

    @property
    def saved(self) -> float:
        return sum(self._saved.values())

    def _end(self, running: Iterable[tuple[str, Any]]) -> None:
        """These ran till the last event."""
        for each in running:
            began = self._began.pop(each)
            self.used += self._each * ((self._last or began) - began).total_seconds()

    def end_of_driver(self) -> None:
        """A driver used its machines till its last event, and so did the trials that ran then."""
        if self.machines and self._since and self._last:
            self.total += self.machines["units"] * (self._last - self._since).total_seconds()
            self._end(list(self._began))
        self._since, self._began = None, {}

    @property
    def _each(self) -> float:
        return float(self.machines["units_per_trial"]) if self.machines else 0.0

    def _left(self, trial_id: str) -> float:
        """What the epochs that a trial was spared would have taken at its own pace."""
        epochs = self._pace.get(trial_id)
        if not epochs:
            return 0.0
        left = max(0, self._max_epochs[trial_id] - len(epochs))
        return left * sum(epochs) / len(epochs)


def at_work(events: Iterable[Mapping[str, Any]]) -> float:
    """Seconds that the drivers of a sweep were at work, without the time between them."""
    seconds, began, last = 0.0, None, None
    for event in events:
        if event["event"] == "tested":
            continue
        if event["event"] in ("sweep", "resumed"):
            seconds += _between(began, last)
            began = event["time"]
        last = event["time"]
    return seconds + _between(began, last)


def _between(began: str | None, last: str | None) -> float:
    if began is None or last is None:
        return 0.0
    return (datetime.fromisoformat(last) - datetime.fromisoformat(began)).total_seconds()


def bill(events: Iterable[Mapping[str, Any]]) -> Bill | None:
    """The bill of a sweep, of all its drivers, from its journal; None where nothing ran."""
    meter = _Meter()
    for event in events:
        meter.add(event)
    meter.end_of_driver()
    if not meter.machines:
        return None
    return Bill(
        used=meter.used / 3600,
        idle=max(0.0, meter.total - meter.used) / 3600,
        saved=meter.saved / 3600,
        unit=meter.machines["unit"],
        accelerator=meter.machines.get("accelerator"),
        moved=dict(sorted(meter.moved.items())),
        num_nodes=len(meter.nodes),
        pauses=meter.pauses,
        resumed=meter.resumed,
    )
