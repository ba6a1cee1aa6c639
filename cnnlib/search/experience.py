"""What earlier sweeps found good: of one's own (planning/past_sweeps), or public ones."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from cnnlib.networks.family import Family
from cnnlib.networks.hyperparameter import hyperparameters
from cnnlib.networks.values import Choice, Interval, Space
from cnnlib.networks.words import plain
from cnnlib.search.names import Names
from cnnlib.search.space import searched
from cnnlib.search.trends import Trend, Trends
from cnnlib.storage.yaml_file import read_yaml

SHIPPED = Path(__file__).with_name("experience.yaml")
KNOWN = 0.5  # of the hyperparameters of a sweep, and
FEWEST = 2  # of them: who knows fewer has seen other networks


@dataclass(frozen=True)
class Early:
    """What trials had given after a part of their training."""

    part: float  # above 0, below 1
    foretells: float  # correlation of a trial's standing then with the one at its end
    trends: Trends  # of the same values as those of the end

    def __post_init__(self) -> None:
        if not 0 < self.part < 1 or not -1 <= self.foretells <= 1:
            raise ValueError(f"after {self.part} of a training {self.foretells} is no correlation")


@dataclass(frozen=True)
class Experience:
    """Trends of sweeps of one kind of network, and how much lies behind them."""

    kind: str  # in words, as after "sweeps of"
    sweeps: int
    trials: int
    trends: Trends  # at the end of a training
    network: str = ""  # the family whose networks these were, if it is one of this project's
    tables: tuple[str, ...] = ()  # whose curves these are, so that nobody is judged by them
    early: tuple[Early, ...] = ()  # the earliest first; none where nobody has looked

    def __post_init__(self) -> None:
        parts = [stage.part for stage in self.early]
        if parts != sorted(set(parts)):
            raise ValueError(f"experience: parts {parts} of a training are not one after the other")

    def __str__(self) -> str:
        sweeps = f"{self.sweeps:,} sweep{'s' if self.sweeps > 1 else ''}"
        return f"{sweeps} of {self.kind}, {self.trials:,} trials"

    def foretold(self, configs: Sequence[object], parts: Sequence[float]) -> np.ndarray:
        """What each of T trends expects of N configurations after these parts of their training,
        (N, T), in standard deviations of a sweep's trials.
        """
        found, shares = np.zeros((len(configs), len(self.trends))), self._shares(parts)
        for column, (name, trend) in enumerate(self.trends.items()):
            stages = [*(early.trends[name].scores for early in self.early), trend.scores]
            of_values = trend.shares([getattr(config, name) for config in configs])
            found[:, column] = (of_values @ np.transpose(stages) * shares).sum(axis=1)
        return found

    def foretells(self, part: float) -> float:
        """How a trial's standing after this part is correlated with the one at its end."""
        return float(self._shares([part])[0] @ [*(early.foretells for early in self.early), 1.0])

    def outlook(self, config: object, part: float) -> tuple[float, float]:
        """How the standing of a trial at its end follows from that after a part: by what it is
        multiplied, and what is added, as such networks rise later or earlier than others.
        """
        slope = self.foretells(part)
        then, end = self.foretold([config, config], [part, 1.0]).sum(axis=1)
        return slope, float(end - slope * then)

    def _shares(self, parts: Sequence[float]) -> np.ndarray:
        """(N, S): how much each part has of each stage, between two of them by its logarithm."""
        stages = np.log([*(early.part for early in self.early), 1.0])
        return np.array([np.interp(np.log(parts), stages, unit) for unit in np.eye(len(stages))]).T

    def as_content(self) -> dict[str, Any]:
        """As YAML and a journal have it: a trend is a list of pairs of a value and its score, and
        early ones have the scores of the same values.
        """
        trends = {
            name: [list(pair) for pair in zip(trend.values, trend.scores, strict=True)]
            for name, trend in self.trends.items()
        }
        content = {**vars(self), "trends": trends, "tables": list(self.tables)}
        del content["early"]
        if self.early:
            content["early"] = [
                {"part": e.part, "foretells": e.foretells, "scores": _scores(e.trends)}
                for e in self.early
            ]
        return content

    @classmethod
    def from_content(cls, content: Mapping[str, Any]) -> "Experience":
        """Raises ValueError where it is none."""
        try:
            trends = {
                name: Trend(*zip(*map(tuple, pairs), strict=True))
                for name, pairs in content["trends"].items()
            }
            known = {name: content[name] for name in ("kind", "sweeps", "trials")}
            network, tables = content.get("network", ""), tuple(content.get("tables", ()))
            early = tuple(_early(stage, trends) for stage in content.get("early", ()))
            return cls(**known, trends=trends, network=network, tables=tables, early=early)
        except (AttributeError, KeyError, TypeError) as error:
            raise ValueError(f"experience: {error!r}") from None


NOTHING = Experience("nothing", 0, 0, {})


def _scores(trends: Trends) -> dict[str, list[float]]:
    return {name: list(trend.scores) for name, trend in trends.items()}


def _early(content: Mapping[str, Any], trends: Trends) -> Early:
    """What is said of a stage, by the values of the trends at the end."""
    scores = content["scores"]
    then = {name: Trend(trend.values, tuple(scores[name])) for name, trend in trends.items()}
    return Early(content["part"], content["foretells"], then)


def shipped() -> list[Experience]:
    """What experience.yaml has, of several kinds of networks (benchmarks/experience.py)."""
    return [Experience.from_content(content) for content in read_yaml(SHIPPED)]


def fitting(known: Iterable[Experience], space: Space, family: Family) -> Experience | None:
    """The experience that knows most of what a space searches, in the space's own words.

    None where nobody knows half of it. Where somebody saw networks of this very family, nobody
    else is asked.
    """
    wanted, names = searched(space), Names(hyperparameters(family.config))
    known = list(known)
    known = [experience for experience in known if experience.network == family.name] or known
    told = [_in_words_of(wanted, names, experience) for experience in known]
    best = max(told, key=lambda experience: len(experience.trends), default=None)
    enough = max(FEWEST, KNOWN * len(wanted))
    return best if best and len(best.trends) >= enough else None


def _in_words_of(wanted: Space, names: Names, experience: Experience) -> Experience:
    """What it knows of what is searched, by the names of that."""

    def said(trends: Trends) -> Trends:
        return dict(_said(trends, wanted, names))

    early = tuple(replace(stage, trends=said(stage.trends)) for stage in experience.early)
    return replace(experience, trends=said(experience.trends), early=early)


def _said(trends: Trends, wanted: Space, names: Names) -> Iterator[tuple[str, Trend]]:
    owned = {owner: trend for said, trend in trends.items() for owner in names.owners(said)}
    for name, domain in wanted.items():
        if name in owned and (said := _of_values(owned[name], domain)):
            yield name, said


def _of_values(trend: Trend, domain: Choice | Interval) -> Trend | None:
    """The trend for these values; None where they are of another kind, or none of them is known."""
    values = domain.values if isinstance(domain, Choice) else ()
    if not any(isinstance(value, str) for value in values):
        return trend if trend.is_along_numbers else None
    scores = dict(zip(map(plain, trend.values), trend.scores, strict=True))
    if not scores.keys() & set(map(plain, values)):
        return None
    return Trend(values, tuple(scores.get(plain(value), 0.0) for value in values))
