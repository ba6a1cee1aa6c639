"""Scores and how sure they are: shares, and what each finalist reached over its seeds."""

import math
import statistics
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from cnnlib.networks.metric import VAL_ACC, Metric
from cnnlib.search.decision import DIVERGED
from cnnlib.storage.csv_file import numbers, read_table

REFERENCE = "reference"  # in place of a trial's id where the reference is no finalist
TEXT = {"trial_id", "error"}  # of the columns of finals.csv; the others are numbers
Z_95 = 1.959964
OWN = ("val_acc", "val_loss")  # metrics that each final has
WHOLE = ("seed", "epochs", "best_epoch")


@dataclass(frozen=True)
class Final:
    """One of them trained on one seed; a training that raised has an error and no score."""

    trial_id: str
    seed: int
    epochs: int = 0
    best_epoch: int = 0
    val_acc: float | None = None  # at best_epoch
    val_loss: float | None = None
    seconds: float = 0.0
    error: str | None = None
    value: float | None = None  # of the sweep's metric, where it is neither of these

    @classmethod
    def from_event(cls, event: Mapping[str, Any]) -> "Final":
        return cls(**{f.name: event[f.name] for f in fields(cls) if f.name in event})

    def by(self, metric: Metric) -> float | None:
        """Its value of the sweep's metric."""
        return getattr(self, metric.name) if metric.name in OWN else self.value


@dataclass(frozen=True)
class SeedScores:
    """One of them over its seeds, by the metric of the sweep."""

    trial_id: str
    search: float | None  # its value in the search; None for a reference
    finals: tuple[Final, ...]
    metric: Metric = VAL_ACC

    @property
    def values(self) -> list[float]:
        found = (final.by(self.metric) for final in self.finals)
        return [value for value in found if value is not None]

    @property
    def val_acc(self) -> float | None:
        """The mean validation accuracy over its seeds, where networks log one."""
        known = [final.val_acc for final in self.finals if final.val_acc is not None]
        return statistics.fmean(known) if known else None

    @property
    def whole(self) -> bool:
        """Whether there are values, and no training raised."""
        return 0 < len(self.finals) == len(self.values)

    @property
    def diverged(self) -> bool:
        """Whether a training ended because its network predicted nothing: it has no score."""
        return any((final.error or "").startswith(DIVERGED) for final in self.finals)

    @property
    def mean(self) -> float:
        return statistics.fmean(self.values)

    @property
    def score(self) -> float:
        """Its mean so that the higher is better."""
        return self.metric.score(self.mean)

    @property
    def sd(self) -> float | None:
        """Their standard deviation; None for one seed."""
        return statistics.stdev(self.values) if len(self.values) > 1 else None

    @property
    def luck(self) -> float | None:
        """How much better it came out in the search, where it was picked for its score."""
        return None if self.search is None else self.metric.score(self.search) - self.score

    @property
    def epochs(self) -> int:
        """The median of its best epochs, the lower of two in the middle."""
        return statistics.median_low(final.best_epoch for final in self.finals)


def seed_scores(
    finals: Mapping[tuple[str, int], Final],
    search: Mapping[str, float | None],
    metric: Metric = VAL_ACC,
) -> list[SeedScores]:
    """A candidate for each that `search` has a value of, in its order.

    They are compared on the seeds that all finalists ended on, because some seeds are luckier.
    """
    finalists = [trial_id for trial_id in search if trial_id != REFERENCE]
    seeds = dict.fromkeys(seed for _, seed in finals)
    common = [s for s in seeds if all((trial_id, s) in finals for trial_id in finalists)]
    return [
        SeedScores(
            trial_id, value, tuple(f for s in common if (f := finals.get((trial_id, s)))), metric
        )
        for trial_id, value in search.items()
    ]


def sd_between_seeds(table: Iterable[SeedScores]) -> tuple[float, int] | None:
    """The standard deviation between seeds and its degrees of freedom, taken as equal for all.

    A few seeds of one tell little of it, those of all more. None where each has one seed.
    """
    groups = [candidate.values for candidate in table if len(candidate.values) > 1]
    freedom = sum(len(values) - 1 for values in groups)
    squares = sum(statistics.variance(values) * (len(values) - 1) for values in groups)
    return (math.sqrt(squares / freedom), freedom) if freedom else None


def standard_error(candidate: SeedScores, table: Iterable[SeedScores]) -> float | None:
    """Of the mean over its seeds, from the spread of all; None where each has one seed."""
    found = sd_between_seeds(table)
    return found[0] / math.sqrt(len(candidate.values)) if found else None


def mean_interval(candidate: SeedScores, table: Iterable[SeedScores]) -> tuple[float, float] | None:
    """The 95% interval of its mean over seeds (Student's t); None where each has one seed."""
    from scipy.stats import t  # takes a while to load

    table = list(table)
    error, found = standard_error(candidate, table), sd_between_seeds(table)
    if error is None or found is None:
        return None
    half = float(t.ppf(0.975, found[1])) * error
    low, high = candidate.metric.bounds
    return max(low, candidate.mean - half), min(high, candidate.mean + half)


def wilson_interval(correct: int, n: int) -> tuple[float, float]:
    """The 95% interval of a share (Wilson 1927), which stays within 0 and 1 for small n."""
    if n == 0:
        return 0.0, 1.0
    share, z2 = correct / n, Z_95**2
    middle = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = Z_95 / (1 + z2 / n) * math.sqrt(share * (1 - share) / n + z2 / (4 * n * n))
    return max(0.0, middle - half), min(1.0, middle + half)


def row_of(final: Final, candidate: SeedScores) -> dict[str, Any]:
    """A final as a row of finals.csv, its value by the metric's name."""
    row, name = asdict(final), candidate.metric.name
    value = row.pop("value")
    return {**row, **({} if name in OWN else {name: value}), f"search_{name}": candidate.search}


def read_seed_scores(csv: Path, metric: Metric = VAL_ACC) -> list[SeedScores]:
    """The scores in a finals.csv of this metric. Raises ValueError where it is none."""
    table, _ = read_table(csv, TEXT)
    if metric.name in OWN:
        table["value"] = math.nan
    elif metric.name in table:
        table["value"] = table[metric.name]
    names, search = [f.name for f in fields(Final)], f"search_{metric.name}"
    needed = [*names, search]
    if missing := [name for name in needed if name not in table]:
        column = metric.name if missing[0] == "value" else missing[0]
        raise ValueError(f"{csv} is not a table of finals: column {column} is missing")
    for name in (name for name in needed if name not in TEXT):
        table[name] = numbers(table[name], table["trial_id"], str(csv))
    for name in ("trial_id", *WHOLE):
        wrong = table[name].isna() if name in TEXT else table[name] % 1 != 0  # true for NaN
        if wrong.any():
            row = int(wrong.to_numpy().argmax()) + 1
            raise ValueError(f"{csv} is not a table of finals: row {row} has no {name}")
    table = table.astype(dict.fromkeys(WHOLE, int))
    rows = table.astype(object).where(table.notna(), None).to_dict("records")
    finals = [Final(**{name: row[name] for name in names}) for row in rows]
    found = {row["trial_id"]: row[search] for row in rows}
    return seed_scores({(final.trial_id, final.seed): final for final in finals}, found, metric)
