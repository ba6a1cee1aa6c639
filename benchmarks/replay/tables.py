"""Tables of learning curves as the world in which searches are replayed."""

import keyword
import math
import re
from dataclasses import dataclass, field, make_dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from cnnlib.networks.configuration import Configuration
from cnnlib.networks.family import Family
from cnnlib.networks.hyperparameter import choice, number
from cnnlib.networks.values import Choice, Interval, Space

FIXED = (
    "trial_id", "status", "epochs", "best_epoch", "val_acc", "val_loss", "seconds", "node", "error",
    "started", "audited",
)  # fmt: skip
MOST_VALUES = 12  # different numbers of a column that a sweep file would list
DECADE = 10.0  # highest by lowest from which a column of positive numbers is searched by logarithm


@dataclass(frozen=True)
class Curves:
    """Learning curves of N configurations over E epochs, and their hyperparameters."""

    name: str
    values: dict[str, list[Any]]  # by hyperparameter, N values
    scores: np.ndarray  # (N, E), the higher the better
    seconds: np.ndarray  # (N, E), of each epoch
    space: Space = field(init=False, repr=False)

    def __post_init__(self) -> None:
        space = {name: _domain(column) for name, column in self.values.items()}
        object.__setattr__(self, "space", space)

    @property
    def family(self) -> str:
        """What tables have in common whose names begin alike."""
        return self.name.split("-")[0]

    @property
    def num_epochs(self) -> int:
        return self.scores.shape[1]

    def __len__(self) -> int:
        return len(self.scores)

    @cached_property
    def full_training(self) -> float:
        """Seconds of a training of all epochs, the mean of the configurations."""
        return float(self.seconds.sum(axis=1).mean())

    @cached_property
    def best(self) -> float:
        return float(self.scores.max())

    @cached_property
    def distance(self) -> float:
        """From the median of the configurations to their best."""
        return self.best - float(np.median(self.scores.max(axis=1)))

    def regret(self, score: np.ndarray) -> np.ndarray:
        """What is missing to the best, as a share of the distance; at most 1."""
        return np.minimum((self.best - score) / self.distance, 1.0)

    @cached_property
    def network(self) -> Family:
        """A kind of network with these hyperparameters, for a ledger; nothing can be built."""
        columns = [(name, *_declared(values)) for name, values in self.space.items()]
        config = make_dataclass("Replayed", columns, bases=(Configuration,), frozen=True)
        return Family("replayed", config, build=_not_built)

    @cached_property
    def _places(self) -> dict[str, np.ndarray]:
        return {name: _place(self.space[name], column) for name, column in self.values.items()}

    def nearest(self, values: dict[str, Any], among: np.ndarray | None = None) -> int:
        """The row that lies nearest by Gower's distance, of those where `among` (N,) is true."""
        total = np.zeros(len(self))
        for name, domain in self.space.items():
            there, here = self._places[name], _place(domain, [values[name]])[0]
            total += there != here if there.dtype == object else np.abs(there - here)
        if among is not None:
            total[~among] = np.inf
        return int(total.argmin())


def _domain(column: list[Any]) -> Choice | Interval:
    """What a sweep file would say of a column's values."""
    distinct = sorted(set(column))
    if isinstance(distinct[0], str) or len(distinct) <= MOST_VALUES:
        return Choice(tuple(distinct))
    log = distinct[0] > 0 and distinct[-1] / distinct[0] >= DECADE
    whole = all(float(value).is_integer() for value in distinct)
    return Interval(float(distinct[0]), float(distinct[-1]), log, 1.0 if whole else 0.0)


def _declared(domain: Choice | Interval) -> tuple[type, Any]:
    if isinstance(domain, Choice):
        return type(domain.values[0]), choice(*domain.values, help="a column")
    kind = int if domain.step else float
    return kind, number(kind(domain.low), domain.low, domain.high, help="a column")


def _place(domain: Choice | Interval, column: list[Any]) -> np.ndarray:
    """Values as numbers from 0 to 1; texts as they are."""
    if isinstance(domain, Choice):
        numbers = domain.values
        if isinstance(numbers[0], str):
            return np.array(column, dtype=object)
        low, high = float(min(numbers)), float(max(numbers))
        log = low > 0 and high / low >= DECADE
    else:
        low, high, log = domain.low, domain.high, domain.log
    found = np.array(column, dtype=float)
    if log:
        found, low, high = np.log(found), math.log(low), math.log(high)
    return (found - low) / ((high - low) or 1.0)


def _not_built(config: Any, num_classes: int, image_size: int) -> Any:
    raise AssertionError("a replay trains nothing")


def read_curves(folder: Path) -> Curves:
    """The curves of a folder with trials.csv and epochs.csv or epochs.csv.gz.

    Hyperparameters that do not vary are left out. ValueError where a curve is not whole.
    """
    trials = pd.read_csv(folder / "trials.csv", dtype={"trial_id": str}, keep_default_na=False)
    [path, *_] = [*folder.glob("epochs.csv"), *folder.glob("epochs.csv.gz")]
    epochs = pd.read_csv(path, dtype={"trial_id": str})
    wide = epochs.pivot(index="trial_id", columns="epoch", values=["val_acc", "seconds"])
    wide = wide.loc[trials["trial_id"]]
    if wide.isna().any(axis=None):
        raise ValueError(f"{folder}: not every trial has every epoch")
    columns = {name: trials[name].tolist() for name in trials if name not in FIXED}
    return Curves(
        folder.name,
        {_field(n): column for n, column in columns.items() if len(set(column)) > 1},
        wide["val_acc"].to_numpy(float),
        wide["seconds"].to_numpy(float),
    )


def _field(column: str) -> str:
    """A column's name as a dataclass takes it."""
    name = re.sub(r"\W", "_", column)
    return f"h_{name}" if keyword.iskeyword(name) or not name.isidentifier() else name


def find_tables(folders: list[Path]) -> list[Curves]:
    """The tables in these folders, which may be folders of tables."""
    found = []
    for folder in folders:
        inside = sorted(path.parent for path in folder.glob("*/trials.csv"))
        found += [folder] if (folder / "trials.csv").is_file() else inside
    return [read_curves(folder) for folder in found]
