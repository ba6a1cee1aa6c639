"""What the screen shows of a running sweep: a line for each event, and how far it is."""

import math
import sys
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

from cnnlib.journal.followers import ENDINGS, Event, SeenTrial, SeenTrials
from cnnlib.journal.requests import DONE
from cnnlib.networks.metric import Metric
from cnnlib.search.decision import Decision
from cnnlib.system.redaction import without_secrets
from cnnlib.system.units import clock
from cnnlib.tracking.names import run_name

PAUSE = 15.0  # seconds between progress lines where the screen cannot rewrite one


@dataclass
class Progress:
    """Follows a journal by printing its events.

    On a terminal the last line is always how far the sweep is.
    """

    num_trials: int
    slots: int = 1  # trials at once
    stream: TextIO = field(default_factory=lambda: sys.stdout)
    folder: Path = Path()  # the sweep's, where more is told of a failure
    counts: dict[str, int] = field(
        default_factory=lambda: {"completed": 0, "stopped": 0, "failed": 0}
    )
    running: dict[str, float] = field(default_factory=dict)  # trial_id -> seconds when it began
    waiting: set[str] = field(default_factory=set)  # trials that are paused
    scores: dict[str, float] = field(default_factory=dict)  # trial_id -> its best score
    num_audited: int = 0
    trainings: tuple[int, int, float] | None = None  # of finals: done, in all, when they began
    _seen: SeenTrials = field(default_factory=SeenTrials)
    _seconds: list[float] = field(default_factory=list)  # of ended trials
    _spent: dict[str, float] = field(default_factory=dict)  # by those that wait
    _began: float = field(default_factory=time.monotonic)
    _shown: float = -math.inf

    def know(self, events: Iterable[Event]) -> None:
        """What was written before, of which nothing is printed until the sweep goes on."""
        for event in events:
            self._seen.see(event)

    def see(self, event: Event) -> None:
        """Shows an event, where it is one to be shown."""
        kind, trial = event["event"], self._seen.see(event)
        if kind == "resumed":
            self.go_on(self._seen.trials.values())
        elif kind == "closed" and event["reason"] != "interrupted":
            self.note(event["reason"])
        elif trial:
            self._see_trial(kind, trial, event)

    def _see_trial(self, kind: str, trial: SeenTrial, event: Event) -> None:
        trial_id = trial.trial_id
        if kind == "started":
            self.started(trial_id, run_name(self._seen.varied(trial)), event["after_epoch"])
        elif kind == "epoch":
            score = self.metric.of(trial.rows[-1])
            self.epoch(trial_id, math.nan if trial.diverged else score)
            if trial.decision and trial.decision.audited:
                self.audited(trial_id, f"{trial.decision.why(self.metric)}, goes on all the same")
        elif kind == "lost":
            self.lost(trial_id, trial.epoch)
        elif kind == "paused":
            self.paused(trial_id, self._ending(trial, event))
        elif kind == "promoted":
            self.waiting.discard(trial_id)
        elif kind == "asked":
            self._say(f"trial {trial_id} asked      {DONE[event['hand']]}")
        elif kind in ENDINGS:
            self.ended(trial_id, trial.status, self._ending(trial, event))

    def _ending(self, trial: SeenTrial, event: Event) -> str:
        """How a trial ended."""
        text = f"{trial.epoch} epochs"
        if trial.diverged and "error" in event:
            text = event["error"]
        elif "error" in event:
            log = f"python -m cnnlib.journal {self.folder} --trial {trial.trial_id}"
            text = f"{event['error']}; its log: {log}"
        elif trial.status == "stopped" and "rung" in event:
            text = Decision(True, event["rung"], event["cutoff"]).why(self.metric)
        elif trial.status == "paused":
            text = f"at epoch {trial.epoch}"
        return f"{self._said(trial.best)}  {text}" if trial.best_epoch else text

    def go_on(self, trials: Iterable[SeenTrial]) -> None:
        """Counts what was there before."""
        known = list(trials)
        for trial in known:
            if trial.status in self.counts:
                self.counts[trial.status] += 1
            elif trial.status == "paused":
                self.waiting.add(trial.trial_id)
            self.num_audited += trial.audited
            if trial.best_epoch:
                self.scores[trial.trial_id] = trial.best
        ended = sum(self.counts.values())
        interrupted = len(known) - ended - len(self.waiting)
        paused = f", {len(self.waiting)} are paused" if self.waiting else ""
        self._say(f"going on: {ended} trials ended{paused}, {interrupted} were interrupted")

    def started(self, trial_id: str, text: str, after_epoch: int = 0) -> None:
        """A trial runs, from its first epoch or from where it was interrupted."""
        self.running[trial_id] = time.monotonic()
        going_on = f"  from epoch {after_epoch + 1}" if after_epoch else ""
        self._say(f"trial {trial_id} started    {text}{going_on}")

    def epoch(self, trial_id: str, score: float) -> None:
        if math.isfinite(score):
            self.scores[trial_id] = max(score, self.scores.get(trial_id, score))
        else:  # it has diverged, and counts as the worst
            self.scores.pop(trial_id, None)
        self._say(None)

    @property
    def metric(self) -> Metric:
        """That of the sweep, once its first event was seen."""
        return self._seen.metric

    def _said(self, score: float) -> str:
        return f"{self.metric.said} {self.metric.value(score):.3f}"

    @property
    def best(self) -> tuple[float, str] | None:
        """The best score so far and its trial, the first of equals."""
        best = max(self.scores, key=self.scores.__getitem__, default=None)
        return (self.scores[best], best) if best is not None else None

    def audited(self, trial_id: str, text: str) -> None:
        """A trial that would stop goes on."""
        self.num_audited += 1
        self._say(f"trial {trial_id} audited    {text}")

    def paused(self, trial_id: str, text: str) -> None:
        """A trial leaves its worker and waits."""
        self._spent[trial_id] = self._time_of(trial_id)
        self.waiting.add(trial_id)
        self._say(f"trial {trial_id} paused     {text}")

    def _time_of(self, trial_id: str) -> float:
        """Seconds that a trial has run till now, all its times."""
        now = time.monotonic()
        return self._spent.pop(trial_id, 0.0) + now - self.running.pop(trial_id, now)

    def ended(self, trial_id: str, status: str, text: str) -> None:
        """A trial is completed, stopped or failed."""
        self._seconds.append(self._time_of(trial_id))
        self.waiting.discard(trial_id)
        self.counts[status] += 1
        self._say(f"trial {trial_id} {status:<9}  {text}")

    def finals(self, done: int, trainings: int) -> None:
        """How many trainings of the finals are done; when all are, the line is the sweep's."""
        began = self.trainings[2] if self.trainings else time.monotonic()
        self.trainings = (done, trainings, began) if done < trainings else None
        self._say(None)

    def note(self, text: str) -> None:
        """Something to know of the sweep as a whole."""
        self._say(text)

    def lost(self, trial_id: str, epoch: int) -> None:
        """A trial's worker or node died, and the trial goes on elsewhere."""
        self._say(f"trial {trial_id} lost its worker after epoch {epoch} and goes on")

    def close(self) -> None:
        """Leaves the last progress line on the screen."""
        self._shown = -math.inf
        self._say(None)
        if self.stream.isatty():
            self._write("\n")

    @property
    def line(self) -> str:
        """Done, running, stopped, failed, best so far, time left; of the finals while they run."""
        if self.trainings:
            return _of_finals(*self.trainings)
        done = sum(self.counts.values())
        parts = [
            f"{done}/{self.num_trials} done",
            f"{len(self.running)} running",
            f"{self.counts['stopped']} stopped",
            f"{self.counts['failed']} failed",
        ]
        if self.waiting:
            parts.insert(2, f"{len(self.waiting)} paused")
        if self.num_audited:
            parts.append(f"{self.num_audited} audited")
        if self.best:
            parts.append(f"best {self._said(self.best[0])} (trial {self.best[1]})")
        if self._seconds and done < self.num_trials:
            left = self.num_trials - done
            each = sum(self._seconds) / len(self._seconds)
            parts.append(f"about {clock(left * each / min(self.slots, left))} left")
        return ", ".join(parts)

    def _say(self, event: str | None) -> None:
        now = time.monotonic()
        terminal = self.stream.isatty()
        clear = "\r\x1b[K" if terminal else ""
        if event is not None:
            told = without_secrets(event)
            self._write(f"{clear}{clock(now - self._began):>7}  {told}\n")
        if terminal:
            self._write(f"{clear}{self.line}")
        elif now - self._shown >= PAUSE:
            self._write(f"{clock(now - self._began):>7}  {self.line}\n")
            self._shown = now

    def _write(self, text: str) -> None:
        with suppress(OSError):  # a sweep does not end because nobody reads of it any more
            self.stream.write(text)
            self.stream.flush()


def _of_finals(done: int, trainings: int, began: float) -> str:
    line = f"finals: {done} of {trainings} trainings done"
    if not done:
        return line
    left = (time.monotonic() - began) / done * (trainings - done)
    return f"{line}, about {clock(left)} left"
