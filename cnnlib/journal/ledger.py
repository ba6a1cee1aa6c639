"""What a sweep knows and decides: a fold over its journal.

Every change is an event that is written first and applied then, in the same way when it happens
and when the journal is read again. So a sweep that goes on knows what an unbroken one would know.
"""

import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from cnnlib.journal.proposals import SEARCH, Proposals
from cnnlib.journal.terms import Terms
from cnnlib.journal.trial import ENDINGS, Trial
from cnnlib.networks.configuration import Configuration
from cnnlib.networks.family import Family
from cnnlib.search.decision import Decision, divergence, finite
from cnnlib.search.gain import expected_gain
from cnnlib.search.searcher import Outcome
from cnnlib.search.stopping import StoppingRule

HANDS = ("stop", "pause", "raise")  # what a person may ask for a trial
HOPELESS = 5  # trials that fail for one reason, if they are most of those that ended

Cost = Callable[[Configuration], float]  # seconds that an epoch takes


@dataclass
class Ledger:
    """The state of a sweep. `write` puts an event into the journal and returns it as written."""

    write: Callable[..., dict[str, Any]]
    trials: dict[str, Trial] = field(default_factory=dict)
    family: Family | None = None  # the kind of network; None: the one that the journal names
    exhausted: bool = False  # every configuration of the space was proposed
    out_of_time: bool = False  # nothing that could begin would get far enough
    requests: set[str] = field(default_factory=set)  # of a person, that are noted
    _interrupted: list[Trial] = field(default_factory=list)
    _ended: int = 0  # since the sweep was begun or resumed
    _reasons: Counter[str] = field(default_factory=Counter)  # of failures, since then
    _outlooks: dict[tuple[str, int], tuple[float, float]] = field(default_factory=dict)
    _terms: Terms | None = None
    _stopping: StoppingRule | None = None
    _proposals: Proposals | None = None

    @property
    def begun(self) -> bool:
        return self._terms is not None

    @property
    def terms(self) -> Terms:
        assert self._terms is not None, "the first event is not there yet"
        return self._terms

    @property
    def unfinished(self) -> int:
        """Trials that are still to be run or proposed."""
        ended = sum(trial.has_ended for trial in self.trials.values())
        planned = 0 if self.reached or self.in_vain else self.terms.trials
        return max(planned, len(self.trials)) - ended

    @property
    def reached(self) -> Trial | None:
        """The first trial that reached the target of the sweep, None while there is none."""
        if self.terms.target is None:
            return None
        target = self.terms.metric.score(self.terms.target)
        return next((t for t in self.trials.values() if t.best >= target), None)

    @property
    def best(self) -> Trial | None:
        """The ended trial with the highest score, the first of equals."""
        ended = [t for t in self.trials.values() if t.has_ended and t.best_epoch]
        return max(ended, key=lambda trial: trial.best, default=None)

    @property
    def hopeless(self) -> str | None:
        """The reason for which most trials fail, where it is so."""
        for reason, count in self._reasons.most_common(1):
            if count >= HOPELESS and 2 * count > self._ended:
                return reason
        return None

    def begin(self, terms: Terms) -> None:
        """The first event of a sweep."""
        self._record("sweep", **terms.as_event())

    def resume(self, trials: int, max_epochs: int) -> None:
        """Goes on: trials whose end is decided end, and the others come first in `next_trial`."""
        self._record("resumed", trials=trials, max_epochs=max_epochs)
        self._stop_waiting()
        for trial in list(self.trials.values()):
            decided = trial.stop or trial.pause or trial.diverged
            if trial.status == "running" and (decided or trial.epoch >= trial.max_epochs):
                self.end(trial.trial_id)
        self._interrupted = [t for t in self.trials.values() if t.status == "running"]
        self._stop_waiting()

    def moved(self, node: str, num_bytes: Mapping[str, int]) -> None:
        """Bytes that were fetched to a machine, and sent from it."""
        self._record("moved", node=node, **num_bytes)

    def machines(self, **resources: Any) -> None:
        """What a driver's trials run on, for the bill."""
        self._record("machines", **resources)

    def next_trial(self, seconds_left: float = math.inf, cost: Cost | None = None) -> Trial | None:
        """An interrupted trial, else the best that waits, else a new one.

        None where there is nothing to do, or nothing yet: then `waits` says so. What still waits
        when nothing is left to do is stopped. Nothing begins that does not get far enough in
        `seconds_left` by its `cost`, seconds an epoch: a new trial to its first rung, one that
        waits by an epoch.
        """
        if self._interrupted:
            return self._interrupted.pop(0)
        if not (self.hopeless or self.reached):
            trial = (
                self._waiting(seconds_left)
                or self._new(seconds_left, cost)
                or self._waiting(seconds_left, idle=True)
                or self._spare(seconds_left)
            )
            if trial:
                return trial
        self._stop_waiting()
        return None

    @property
    def waits(self) -> bool:
        """Whether `next_trial` may have one later though it has none now: something runs."""
        return any(trial.status == "running" for trial in self.trials.values())

    @property
    def works(self) -> bool:
        """Whether a trial runs that is not there for want of a better one."""
        return any(t.status == "running" and not t.spare for t in self.trials.values())

    def picked(self, *, idle: bool = False) -> str | None:
        """Of the trials that wait the one that goes on now, first what a person has raised;
        `idle` where a worker has nothing else to do.
        """
        assert self._stopping is not None
        waiting = (t for t in self.trials.values() if t.status == "paused" and t.raised)
        raised = next(waiting, None)
        return raised.trial_id if raised else self._stopping.pick(idle=idle)

    def spared(self) -> str | None:
        """Who may go on till the last ones have ended, as no worker has anything better to do."""
        assert self._stopping is not None
        return self._stopping.spare() if self.works else None

    def _waiting(self, seconds_left: float, *, idle: bool = False) -> Trial | None:
        return self._promoted(
            self.picked(idle=idle), seconds_left, **{"idle": True} if idle else {}
        )

    def _spare(self, seconds_left: float) -> Trial | None:
        return self._promoted(self.spared(), seconds_left, spare=True)

    def _promoted(self, trial_id: str | None, seconds_left: float, **why: bool) -> Trial | None:
        if trial_id is None:
            return None
        trial = self.trials[trial_id]
        if trial.seconds / max(1, trial.epoch) > seconds_left:
            self.out_of_time = True
            return None
        self._record("promoted", trial_id=trial_id, rung=trial.epoch, **why)
        return trial

    def _new(self, seconds_left: float, cost: Cost | None) -> Trial | None:
        if self.out_of_time or self._proposed_all:
            return None
        config = self.proposal()
        if config is None:
            self.exhausted = True
            return None
        if (
            cost
            and math.isfinite(seconds_left)
            and self.terms.first_rung * cost(config) > seconds_left
        ):
            self.out_of_time = True
            return None
        trial_id = f"{len(self.trials) + 1:04d}"
        content = {"config": self.terms.written(config), "max_epochs": self.terms.max_epochs}
        assert self._proposals is not None
        proposer = self._proposals.proposer(len(self.trials) + 1)
        by = {"by": proposer} if proposer != SEARCH else {}
        self._record("proposed", trial_id=trial_id, **content, **by)
        return self.trials[trial_id]

    @property
    def _proposed_all(self) -> bool:
        return self.exhausted or self.in_vain or len(self.trials) >= self.terms.trials

    @property
    def gain(self) -> float | None:
        """What the next trials are expected to add to the best score; None of too few."""
        known = [t.best for t in self.trials.values() if t.best_epoch and t.status != "running"]
        return expected_gain(known, highest=self.terms.metric.highest)

    @property
    def in_vain(self) -> bool:
        """Whether more trials are not expected to gain what the sweep is to go on for."""
        least = self.terms.least_gain(max((t.best for t in self.trials.values()), default=0.0))
        gain = None if least is None else self.gain
        return gain is not None and least is not None and gain < least

    def is_given_up(self, trial_id: str) -> bool:
        """Whether a trial that waits goes on no more."""
        return trial_id in self._given_up()

    def _given_up(self) -> list[str]:
        """The trials that wait and go on no more."""
        assert self._stopping is not None
        waiting = [trial for trial in self.trials.values() if trial.status == "paused"]
        if not waiting:
            return []
        left = not self._proposed_all or self.picked(idle=True) is not None
        if not self.waits and (self.reached or not left):
            return [trial.trial_id for trial in waiting]
        fallen = set(self._stopping.hopeless())
        return [t.trial_id for t in waiting if t.trial_id in fallen or t.asked == "stop"]

    def _stop_waiting(self) -> None:
        """Ends the trials that wait and go on no more."""
        for trial_id in self._given_up():
            self.end(trial_id)

    def proposal(self) -> Configuration | None:
        """What is tried next, None where every configuration was proposed."""
        assert self._proposals is not None
        return self._proposals.propose(len(self.trials) + 1, self._outcomes())

    def _outcomes(self) -> Iterable[Outcome]:
        for trial in self.trials.values():
            unknown = trial.status == "running" and not trial.has_paused
            score = None if unknown else trial.best
            seconds = trial.seconds / trial.epoch if trial.seconds else None
            of = trial.epoch, seconds, trial.earlier, trial.max_epochs
            yield Outcome(trial.config, score, *of)

    def start(self, trial_id: str) -> None:
        """A trial runs, from its first epoch or from where it was interrupted."""
        self._record("started", trial_id=trial_id, after_epoch=self.trials[trial_id].epoch)

    def epoch(self, trial_id: str, metrics: Mapping[str, Any]) -> Decision | None:
        """Takes note of a trial's epoch; the decision on it where there is a rung."""
        decision = self.decision(trial_id, metrics)
        content = {} if decision is None else {"decision": decision.as_event()}
        self._record("epoch", trial_id=trial_id, **metrics, **content)
        if decision:
            self._stop_waiting()
        return decision

    def decision(self, trial_id: str, row: Mapping[str, Any]) -> Decision | None:
        """Whether a trial goes on after an epoch with these metrics; None between rungs."""
        trial, epoch, score = self.trials[trial_id], row["epoch"], self.terms.metric.of(row)
        if self._stopping is None or epoch >= trial.max_epochs:
            return None
        if trial.asked:
            return Decision(trial.asked == "stop", epoch, None, pause=trial.asked == "pause")
        if trial.spare and not self.works:
            return Decision(True, epoch, None)
        decision = self._stopping.decide(trial_id, epoch, self._judged(trial, score))
        if decision and trial.raised:
            return replace(decision, stop=False, pause=False, audited=False)
        return decision

    def _outlook(self, trial_id: str, rung: int) -> tuple[float, float]:
        """How a trial's standing at its end follows from the one at a rung, by earlier sweeps."""
        if (trial_id, rung) not in self._outlooks:
            trial, known = self.trials[trial_id], self.terms.experience
            assert known is not None
            part = min(1.0, rung / trial.max_epochs)
            self._outlooks[trial_id, rung] = known.outlook(trial.config, part)
        return self._outlooks[trial_id, rung]

    def _judged(self, trial: Trial, score: float) -> float:
        """What counts at a rung, of a trial that has this score there.

        One that is not finite has no better one before it: the trial has diverged.
        """
        if self.terms.strict or not math.isfinite(score):
            return score
        return max(trial.best, score)

    def lost(self, trial_id: str, *, error: str, preempted: bool) -> None:
        """A trial's worker or node died; Ray starts it again."""
        self._record("lost", trial_id=trial_id, error=error, preempted=preempted)

    def ask(self, trial_id: str, hand: str, request: str) -> None:
        """Takes note of what a person wants: a trial to `stop`, to `pause`, or to be `raise`d.

        One that runs stops or pauses after its epoch; one that is raised goes on to its last.
        """
        self._record("asked", trial_id=trial_id, hand=hand, request=request)
        self._stop_waiting()

    def end(self, trial_id: str, error: str | None = None, traceback: str | None = None) -> str:
        """A trial has left its worker, or waits in vain: it has failed with an error, is stopped,
        pauses, or is completed. Returns its status.

        One that diverged has failed: it has neither an accuracy nor weights to go on from.
        """
        trial = self.trials[trial_id]
        error = error or trial.diverged
        if error is not None:
            log = {"traceback": traceback} if traceback else {}
            self._record("failed", trial_id=trial_id, error=error, **log)
        elif trial.status == "paused":
            assert self._stopping is not None
            cutoff = self._stopping.cutoff(trial.epoch)
            self._record("stopped", trial_id=trial_id, rung=trial.epoch, cutoff=cutoff)
        elif stop := trial.stop:
            self._record("stopped", trial_id=trial_id, rung=stop.rung, cutoff=stop.cutoff)
        elif trial.pause:
            self._record("paused", trial_id=trial_id, rung=trial.pause.rung)
            self._stop_waiting()
        else:
            self._record("finished", trial_id=trial_id)
        return trial.status

    def close(self, reason: str) -> None:
        """The last event of a driver that could say why it ended."""
        self._record("closed", reason=reason)

    def _record(self, event: str, **content: Any) -> None:
        self.apply(self.write(event, **content))

    def apply(self, event: Mapping[str, Any]) -> None:
        """Takes an event of the journal into account."""
        kind = event["event"]
        if kind == "sweep":
            self._terms = Terms.from_event(event, self.family)
            self._stopping = self._terms.stopping_rule(self._outlook)
            self._proposals = Proposals(self._terms)
        elif kind == "resumed":
            self._extend(event["trials"], event["max_epochs"])
        elif kind == "proposed":
            try:
                config = self.terms.family.configuration(event["config"])
            except ValueError as error:
                trial_id = event["trial_id"]
                raise ValueError(f"the journal's trial {trial_id}: {error}") from None
            assert self._proposals is not None
            self._proposals.seen(config)
            max_epochs = event.get("max_epochs", self.terms.max_epochs)
            worst = self.terms.metric.worst
            trial = Trial(event["trial_id"], config, max_epochs, best=worst)
            self.trials[trial.trial_id] = trial
            self._tell_rule()
        elif kind == "epoch":
            self._apply_epoch(self.trials[event["trial_id"]], event)
        elif kind in ("paused", "promoted", "asked"):
            self._apply_pause(self.trials[event["trial_id"]], event)
        elif kind in ENDINGS:
            self.trials[event["trial_id"]].status = ENDINGS[kind]
            assert self._stopping is not None
            self._stopping.leave(event["trial_id"])
            self._ended += 1
            if kind == "failed" and not self.trials[event["trial_id"]].diverged:
                self._reasons[error_kind(event["error"])] += 1  # no fault of one configuration

    def _extend(self, trials: int, max_epochs: int) -> None:
        self._terms = replace(self.terms, trials=trials, max_epochs=max_epochs)
        self._tell_rule()
        self._ended, self._reasons = 0, Counter()
        self.exhausted = self.out_of_time = False

    def _tell_rule(self) -> None:
        assert self._stopping is not None
        trials, more = self.terms.trials, len(self.trials) < self.terms.trials
        self._stopping.extend(self.terms.max_epochs, trials, more=more)

    def _apply_pause(self, trial: Trial, event: Mapping[str, Any]) -> None:
        """Takes a pause into account, its end, or what a person wants of a trial."""
        assert self._stopping is not None
        kind = event["event"]
        if kind == "paused":
            trial.status, trial.has_paused = "paused", True
            if trial.asked != "pause":  # whom a person has asked to waits for a person
                self._stopping.wait(trial.trial_id, event["rung"])
            trial.asked = None if trial.asked == "pause" else trial.asked
        elif kind == "promoted":
            trial.status, trial.pause = "running", None
            trial.spare = event.get("spare", False)
            self._stopping.leave(trial.trial_id)
        else:
            self.requests.add(event["request"])
            self._apply_request(trial, event["hand"])

    def _apply_request(self, trial: Trial, hand: str) -> None:
        assert self._stopping is not None
        trial.raised, trial.asked = hand == "raise", None
        trial.spare &= not trial.raised
        if hand == "stop" or (hand == "pause" and trial.status == "running"):
            trial.asked = hand
        elif hand == "pause":  # it waits already, and is not to be picked any more
            self._stopping.leave(trial.trial_id)

    def _apply_epoch(self, trial: Trial, event: Mapping[str, Any]) -> None:
        metric = self.terms.metric
        trial.epoch, score = event["epoch"], finite(metric.of(event), metric.worst)
        trial.seconds += event.get("seconds") or 0.0
        if metric.diverged(event):
            trial.diverged = trial.diverged or divergence(trial.epoch)
        if trial.diverged:
            trial.best, trial.best_epoch = metric.worst, 0
        elif score > trial.best:
            trial.best, trial.best_epoch = score, trial.epoch
        if "decision" in event:
            decision = Decision(**event["decision"])
            trial.at_rungs[decision.rung] = trial.best
            assert self._stopping is not None
            if not (trial.asked or trial.spare):
                self._stopping.add(trial.trial_id, decision, self._judged(trial, score))
            trial.stop = decision if decision.stop else None
            trial.pause = decision if decision.pause else None
            trial.audited = decision.audited


def error_kind(error: str) -> str:
    """An error's text without what differs from trial to trial."""
    return re.sub(r"0x[0-9a-f]+|[\d.]+", "#", error)[:120]


def read_ledger(
    events: Iterable[Mapping[str, Any]],
    write: Callable[..., Any],
    family: Family | None = None,
) -> Ledger:
    """The state that these events amount to."""
    ledger = Ledger(write, family=family)
    for event in events:
        ledger.apply(event)
    return ledger
