"""What every decision of a sweep follows from: its space, its rules, what a person knows before."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from cnnlib.networks.cnn.family import CNN
from cnnlib.networks.configuration import Configuration
from cnnlib.networks.families import family_of, written_down
from cnnlib.networks.family import Family
from cnnlib.networks.hyperparameter import (
    Hyperparameter,
    Value,
    hyperparameter_named,
    hyperparameters,
)
from cnnlib.networks.metric import VAL_ACC, Metric
from cnnlib.networks.values import Choice, Interval, Space, Weighted
from cnnlib.search.experience import Experience
from cnnlib.search.gain import chance
from cnnlib.search.halving import Halving
from cnnlib.search.promotion import Outlook
from cnnlib.search.searcher import Outcome
from cnnlib.search.searchers import SEARCHERS
from cnnlib.search.stopping import STOPPING, StoppingRule
from cnnlib.system.units import short


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
    last_share: float | None = None  # that may go on from the last rung; None: as from the others
    stopping: str = "asha"  # the rule at the rungs, if there are any: asha stops, promote pauses
    strict: bool = False  # a trial is judged by its score at the rung, not by its best so far
    metric: Metric = VAL_ACC
    target: float | None = None  # of the metric, after which nothing new is tried
    first: tuple[Configuration, ...] = ()  # what a person wants tried first
    priors: Mapping[str, tuple[Value, ...]] = field(default_factory=dict)  # and believes in
    experience: Experience | None = None  # of earlier sweeps, for a search that asks for it
    explore: float = 0.0  # share of the proposals that are balanced and random
    stop_when: float | None = None  # gain of the metric below which nothing new is tried
    noise_of: int = 0  # photographs whose chance is that gain; 0: they are not asked for
    names: Mapping[str, str] = field(default_factory=dict)  # of hyperparameters, in the sweep file
    rename: Mapping[str, str] = field(default_factory=dict)  # names of the file by --rename
    family: Family = CNN  # the kind of network, in the journal by its name

    @property
    def halving(self) -> Halving | None:
        if self.grace_period is None or self.reduction_factor is None:
            return None
        asked = self.grace_period, self.reduction_factor, self.rungs, self.last_share
        return Halving(self.max_epochs, *asked)

    def stopping_rule(self, outlook: Outlook | None = None) -> StoppingRule:
        """The rule before it has seen a trial, with the `outlook` where earlier sweeps tell it."""
        return STOPPING[self.stopping if self.halving else "never"](
            max_epochs=self.max_epochs,
            halving=self.halving,
            trials=self.trials,
            audit=self.audit,
            seed=self.seed,
            worst=self.metric.worst,
            outlook=outlook if self.experience and self.experience.early else None,
        )

    def least_gain(self, best: float) -> float | None:
        """The gain below which nothing new is tried, beside this best score; None of none."""
        return chance(best, self.noise_of) if self.noise_of else self.stop_when

    @property
    def first_rung(self) -> int:
        """Epochs before anything is decided on a trial."""
        return self.halving.rungs[0] if self.halving and self.halving.rungs else self.max_epochs

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
        content["known"] = [_written_outcome(outcome) for outcome in self.known]
        content["first"] = [self.written(config) for config in self.first]
        content["priors"] = {name: list(values) for name, values in self.priors.items()}
        content["experience"] = self.experience and self.experience.as_content()
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
                _outcome(known | {"config": family.configuration(known["config"])})
                for known in event["known"]
            )
            values["first"] = tuple(map(family.configuration, event.get("first", ())))
            values["priors"] = {
                n: tuple(map(hyperparameter_named(family.config, n).parse, v))
                for n, v in event.get("priors", {}).items()
            }
            values["rungs"] = tuple(event.get("rungs", ()))
            if event.get("experience"):
                values["experience"] = Experience.from_content(event["experience"])
            if "metric" in event:
                values["metric"] = Metric(**event["metric"])
            terms = cls(**values)
            if terms.search not in SEARCHERS:
                raise ValueError(f"search: {short(terms.search)} is not {' or '.join(SEARCHERS)}")
            if terms.stopping not in STOPPING:
                names = " or ".join(STOPPING)
                raise ValueError(f"stopping: {short(terms.stopping)} is not {names}")
            assert terms.halving is None or terms.halving.rungs is not None  # it can be made
        except ValueError as error:
            raise ValueError(f"the journal's `sweep` is none of this version: {error}") from None
        return terms


def _written_outcome(outcome: Outcome) -> dict[str, Any]:
    """Without what is not known of it."""
    content = asdict(outcome)
    earlier = {"earlier": list(map(list, outcome.earlier))} if outcome.earlier else {}
    names = ("config", "score", *(("epochs", "seconds") if outcome.epochs else ()))
    whole = {"max_epochs": outcome.max_epochs} if outcome.max_epochs else {}
    return {name: content[name] for name in names} | earlier | whole


def _outcome(content: Mapping[str, Any]) -> Outcome:
    earlier = tuple((rung, score) for rung, score in content.get("earlier", ()))
    return Outcome(**{**content, "earlier": earlier})


def _values(hyperparameter: Hyperparameter, content: dict[str, Any]) -> Choice | Interval:
    if "values" in content:
        parsed = tuple(hyperparameter.parse(value) for value in content["values"])
        weighted = "weights" in content
        return Weighted(parsed, tuple(content["weights"])) if weighted else Choice(parsed)
    return Interval(**content)
