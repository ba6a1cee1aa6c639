"""What a sweep knows and decides: a fold over its journal.

Every change is an event that is written first and applied then, in the same way when it happens
and when the journal is read again. So a sweep that goes on knows what an unbroken one would know.
"""

import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from cnnlib.networks.cnn.family import CNN
from cnnlib.networks.configuration import Configuration
from cnnlib.networks.families import family_of, written_down
from cnnlib.networks.family import Family
from cnnlib.networks.hyperparameter import Hyperparameter, hyperparameter_named, hyperparameters
from cnnlib.networks.metric import VAL_ACC, Metric
from cnnlib.search.halving import Decision, Halving, divergence, finite
from cnnlib.search.searcher import Outcome, Searcher
from cnnlib.search.searchers import SEARCHERS
from cnnlib.search.space import Choice, Interval, Space, Weighted
from cnnlib.search.stopping import STOPPING, StoppingRule
from cnnlib.system.units import short

ENDINGS = {"finished": "completed", "stopped": "stopped", "failed": "failed"}  # event: status
HOPELESS = 5  # trials that fail for one reason, if they are most of those that ended


@dataclass(frozen=True)
class Terms:
    """What every decision of a sweep follows from; the first event of its journal."""

    space: Space
    image_size: int
    search: str
    seed: int
    trials: int
    max_epochs: int
    patience: int
    grace_period: float | None  # None: no trial is stopped early
    reduction_factor: float | None
    fingerprint: str  # of the photographs
    num_initial: int = 0  # proposals at random before TPE's; 0: not known yet
    known: tuple[Outcome, ...] = ()  # what another sweep found: --warm-start
    audit: float = 0.0  # share of the trials that would stop and run on
    rungs: tuple[int, ...] = ()  # where they do not follow from the grace period
    strict: bool = False  # a trial is judged by its score at the rung, not by its best so far
    metric: Metric = VAL_ACC
    target: float | None = None  # of the metric, after which nothing new is tried
    names: Mapping[str, str] = field(default_factory=dict)  # of hyperparameters, in the sweep file
    rename: Mapping[str, str] = field(default_factory=dict)  # names of the file by --rename
    family: Family = CNN  # the kind of network, in the journal by its name

    @property
    def halving(self) -> Halving | None:
        if self.grace_period is None or self.reduction_factor is None:
            return None
        return Halving(self.max_epochs, self.grace_period, self.reduction_factor, self.rungs)

    def stopping_rule(self) -> StoppingRule:
        """The rule, before it has seen a trial."""
        return STOPPING["asha" if self.halving else "never"](
            max_epochs=self.max_epochs,
            halving=self.halving,
            audit=self.audit,
            seed=self.seed,
            worst=self.metric.worst,
        )

    @property
    def augmented(self) -> bool:
        """Whether any trial augments."""
        return self.space.get("use_augmentation") != Choice((False,))  # True by default

    def written(self, config: Configuration) -> dict[str, Any]:
        """A configuration as events have it: without what is quiet and not in the space."""
        known = hyperparameters(type(config))
        return {n: v for n, v in asdict(config).items() if n in self.space or not known[n].quiet}

    def as_event(self) -> dict[str, Any]:
        content = {name: v for name, v in vars(self).items() if name != "family"}
        content["space"] = {name: asdict(values) for name, values in self.space.items()}
        content["known"] = [asdict(outcome) for outcome in self.known]
        content["metric"] = asdict(self.metric)
        return {**written_down(self.family), **content}

    @classmethod
    def from_event(cls, event: Mapping[str, Any], family: Family | None = None) -> "Terms":
        """The terms of an event; `family` is what is known of its kind of network."""
        values = {name: event[name] for name in cls.__dataclass_fields__ if name in event}
        try:
            family = family_of(event, family)
            values["family"] = family
            values["space"] = {
                n: _values(hyperparameter_named(family.config, n), v)
                for n, v in event["space"].items()
            }
            values["known"] = tuple(
                Outcome(family.configuration(known["config"]), known["score"])
                for known in event["known"]
            )
            values["rungs"] = tuple(event.get("rungs", ()))
            if "metric" in event:
                values["metric"] = Metric(**event["metric"])
            terms = cls(**values)
            if terms.search not in SEARCHERS:
                raise ValueError(f"search: {short(terms.search)} is not {' or '.join(SEARCHERS)}")
            assert terms.halving is None or terms.halving.rungs is not None  # it can be made
        except ValueError as error:
            raise ValueError(f"the journal's `sweep` is none of this version: {error}") from None
        return terms


def _values(hyperparameter: Hyperparameter, content: dict[str, Any]) -> Choice | Interval:
    if "values" in content:
        parsed = tuple(hyperparameter.parse(value) for value in content["values"])
        weighted = "weights" in content
        return Weighted(parsed, tuple(content["weights"])) if weighted else Choice(parsed)
    return Interval(**content)


@dataclass
class Trial:
    """What is known of one trial."""

    trial_id: str
    config: Configuration
    max_epochs: int  # those of the sweep when it was proposed
    epoch: int = 0  # the last that was reported
    best: float = VAL_ACC.worst  # its best score
    best_epoch: int = 0
    stop: Decision | None = None  # the decision that ended it
    audited: bool = False  # it would have been stopped
    diverged: str | None = None  # why it has no accuracy and counts as the worst
    status: str = "running"


@dataclass
class Ledger:
    """The state of a sweep. `write` puts an event into the journal and returns it as written."""

    write: Callable[..., dict[str, Any]]
    trials: dict[str, Trial] = field(default_factory=dict)
    family: Family | None = None  # the kind of network; None: the one that the journal names
    exhausted: bool = False  # every configuration of the space was proposed
    _interrupted: list[Trial] = field(default_factory=list)
    _ended: int = 0  # since the sweep was begun or resumed
    _reasons: Counter[str] = field(default_factory=Counter)  # of failures, since then
    _terms: Terms | None = None
    _stopping: StoppingRule | None = None
    _searcher: Searcher | None = None

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
        ended = sum(trial.status != "running" for trial in self.trials.values())
        planned = 0 if self.reached else self.terms.trials
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
        ended = [t for t in self.trials.values() if t.status != "running" and t.best_epoch]
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
        for trial in list(self.trials.values()):
            decided = trial.stop or trial.diverged or trial.epoch >= trial.max_epochs
            if trial.status == "running" and decided:
                self.end(trial.trial_id)
        self._interrupted = [t for t in self.trials.values() if t.status == "running"]

    def moved(self, node: str, num_bytes: Mapping[str, int]) -> None:
        """Bytes that were fetched to a machine, and sent from it."""
        self._record("moved", node=node, **num_bytes)

    def machines(self, **resources: Any) -> None:
        """What a driver's trials run on, for the bill."""
        self._record("machines", **resources)

    def next_trial(self) -> Trial | None:
        """An interrupted trial, else a new one; None when there is nothing to do any more."""
        if self._interrupted:
            return self._interrupted.pop(0)
        if self.hopeless or self.reached or len(self.trials) >= self.terms.trials:
            return None
        config = self.proposal()
        if config is None:
            self.exhausted = True
            return None
        trial_id = f"{len(self.trials) + 1:04d}"
        content = {"config": self.terms.written(config), "max_epochs": self.terms.max_epochs}
        self._record("proposed", trial_id=trial_id, **content)
        return self.trials[trial_id]

    def proposal(self) -> Configuration | None:
        """What is tried next, None where every configuration was proposed."""
        assert self._searcher is not None
        return self._searcher.propose(len(self.trials) + 1, [*self.terms.known, *self._outcomes()])

    def _outcomes(self) -> Iterable[Outcome]:
        for trial in self.trials.values():
            yield Outcome(trial.config, None if trial.status == "running" else trial.best)

    def start(self, trial_id: str) -> None:
        """A trial runs, from its first epoch or from where it was interrupted."""
        self._record("started", trial_id=trial_id, after_epoch=self.trials[trial_id].epoch)

    def epoch(self, trial_id: str, metrics: Mapping[str, Any]) -> Decision | None:
        """Takes note of a trial's epoch; the decision on it where there is a rung."""
        decision = self.decision(trial_id, metrics)
        content = {} if decision is None else {"decision": asdict(decision)}
        self._record("epoch", trial_id=trial_id, **metrics, **content)
        return decision

    def decision(self, trial_id: str, row: Mapping[str, Any]) -> Decision | None:
        """Whether a trial goes on after an epoch with these metrics; None between rungs."""
        trial, epoch, score = self.trials[trial_id], row["epoch"], self.terms.metric.of(row)
        if self._stopping is None or epoch >= trial.max_epochs:
            return None
        return self._stopping.decide(trial_id, epoch, self._judged(trial, score))

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

    def end(self, trial_id: str, error: str | None = None, traceback: str | None = None) -> str:
        """A trial has ended: failed with an error, stopped at a rung, or completed.

        One that diverged has failed: it has neither an accuracy nor weights to go on from.
        """
        stop = self.trials[trial_id].stop
        error = error or self.trials[trial_id].diverged
        if error is not None:
            log = {"traceback": traceback} if traceback else {}
            self._record("failed", trial_id=trial_id, error=error, **log)
        elif stop:
            self._record("stopped", trial_id=trial_id, rung=stop.rung, cutoff=stop.cutoff)
        else:
            self._record("finished", trial_id=trial_id)
        return self.trials[trial_id].status

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
            self._stopping = self._terms.stopping_rule()
            self._searcher = SEARCHERS[self._terms.search](
                space=self._terms.space,
                image_size=self._terms.image_size,
                num_initial=self._terms.num_initial,
                seed=self._terms.seed,
                family=self._terms.family,
            )
        elif kind == "resumed":
            self._extend(event["trials"], event["max_epochs"])
        elif kind == "proposed":
            try:
                config = self.terms.family.configuration(event["config"])
            except ValueError as error:
                trial_id = event["trial_id"]
                raise ValueError(f"the journal's trial {trial_id}: {error}") from None
            assert self._searcher is not None
            self._searcher.seen(config)
            max_epochs = event.get("max_epochs", self.terms.max_epochs)
            worst = self.terms.metric.worst
            trial = Trial(event["trial_id"], config, max_epochs, best=worst)
            self.trials[trial.trial_id] = trial
        elif kind == "epoch":
            self._apply_epoch(self.trials[event["trial_id"]], event)
        elif kind in ENDINGS:
            self.trials[event["trial_id"]].status = ENDINGS[kind]
            self._ended += 1
            if kind == "failed" and not self.trials[event["trial_id"]].diverged:
                self._reasons[error_kind(event["error"])] += 1  # no fault of one configuration

    def _extend(self, trials: int, max_epochs: int) -> None:
        self._terms = replace(self.terms, trials=trials, max_epochs=max_epochs)
        assert self._stopping is not None
        self._stopping.extend(max_epochs)
        self._ended, self._reasons = 0, Counter()
        self.exhausted = False

    def _apply_epoch(self, trial: Trial, event: Mapping[str, Any]) -> None:
        metric = self.terms.metric
        trial.epoch, score = event["epoch"], finite(metric.of(event), metric.worst)
        if metric.diverged(event):
            trial.diverged = trial.diverged or divergence(trial.epoch)
        if trial.diverged:
            trial.best, trial.best_epoch = metric.worst, 0
        elif score > trial.best:
            trial.best, trial.best_epoch = score, trial.epoch
        if "decision" in event:
            decision = Decision(**event["decision"])
            assert self._stopping is not None
            self._stopping.add(trial.trial_id, decision, self._judged(trial, score))
            trial.stop = decision if decision.stop else None
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
