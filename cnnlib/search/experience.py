"""What earlier sweeps found good: of one's own (planning/past_sweeps), or public ones."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

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
class Experience:
    """Trends of sweeps of one kind of network, and how much lies behind them."""

    kind: str  # in words, as after "sweeps of"
    sweeps: int
    trials: int
    trends: Trends
    network: str = ""  # the family whose networks these were, if it is one of this project's
    tables: tuple[str, ...] = ()  # whose curves these are, so that nobody is judged by them

    def __str__(self) -> str:
        sweeps = f"{self.sweeps:,} sweep{'s' if self.sweeps > 1 else ''}"
        return f"{sweeps} of {self.kind}, {self.trials:,} trials"

    def as_content(self) -> dict[str, Any]:
        """As YAML and a journal have it: a trend is a list of pairs of a value and its score."""
        trends = {
            name: [list(pair) for pair in zip(trend.values, trend.scores, strict=True)]
            for name, trend in self.trends.items()
        }
        return {**vars(self), "trends": trends, "tables": list(self.tables)}

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
            return cls(**known, trends=trends, network=network, tables=tables)
        except (AttributeError, KeyError, TypeError) as error:
            raise ValueError(f"experience: {error!r}") from None


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
    told = [replace(k, trends=dict(_said(k.trends, wanted, names))) for k in known]
    best = max(told, key=lambda experience: len(experience.trends), default=None)
    enough = max(FEWEST, KNOWN * len(wanted))
    return best if best and len(best.trends) >= enough else None


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
