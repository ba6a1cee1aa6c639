"""Scores and how sure they are: shares, and what each finalist reached over its seeds."""

import math
import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path

from cnnlib.search.halving import DIVERGED
from cnnlib.storage.csv_file import numbers, read_table

REFERENCE = "reference"  # in place of a trial's id where the reference is no finalist
TEXT = {"trial_id", "error"}  # of the columns of finals.csv; the others are numbers
Z_95 = 1.959964
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


@dataclass(frozen=True)
class SeedScores:
    """One of them over its seeds."""

    trial_id: str
    search_acc: float | None  # its score in the search; None for a reference
    finals: tuple[Final, ...]

    @property
    def scores(self) -> list[float]:
        return [final.val_acc for final in self.finals if final.val_acc is not None]

    @property
    def whole(self) -> bool:
        """Whether there are scores, and no training raised."""
        return 0 < len(self.finals) == len(self.scores)

    @property
    def diverged(self) -> bool:
        """Whether a training ended because its network predicted nothing: it has no score."""
        return any((final.error or "").startswith(DIVERGED) for final in self.finals)

    @property
    def mean(self) -> float:
        return statistics.fmean(self.scores)

    @property
    def sd(self) -> float | None:
        """Their standard deviation; None for one seed."""
        return statistics.stdev(self.scores) if len(self.scores) > 1 else None

    @property
    def luck(self) -> float | None:
        """How much higher it came out in the search, where it was picked for its score."""
        return None if self.search_acc is None else self.search_acc - self.mean

    @property
    def epochs(self) -> int:
        """The median of its best epochs, the lower of two in the middle."""
        return statistics.median_low(final.best_epoch for final in self.finals)


def seed_scores(
    finals: Mapping[tuple[str, int], Final], search: Mapping[str, float | None]
) -> list[SeedScores]:
    """One for each that `search` has a score of, in its order.

    They are compared on the seeds that all finalists ended on, because some seeds are luckier.
    """
    finalists = [trial_id for trial_id in search if trial_id != REFERENCE]
    seeds = dict.fromkeys(seed for _, seed in finals)
    common = [s for s in seeds if all((trial_id, s) in finals for trial_id in finalists)]
    return [
        SeedScores(trial_id, score, tuple(f for s in common if (f := finals.get((trial_id, s)))))
        for trial_id, score in search.items()
    ]


def sd_between_seeds(table: Iterable[SeedScores]) -> tuple[float, int] | None:
    """The standard deviation between seeds and its degrees of freedom, taken as equal for all.

    A few seeds of one tell little of it, those of all more. None where each has one seed.
    """
    groups = [candidate.scores for candidate in table if len(candidate.scores) > 1]
    freedom = sum(len(scores) - 1 for scores in groups)
    squares = sum(statistics.variance(scores) * (len(scores) - 1) for scores in groups)
    return (math.sqrt(squares / freedom), freedom) if freedom else None


def standard_error(candidate: SeedScores, table: Iterable[SeedScores]) -> float | None:
    """Of the mean over its seeds, from the spread of all; None where each has one seed."""
    found = sd_between_seeds(table)
    return found[0] / math.sqrt(len(candidate.scores)) if found else None


def mean_interval(candidate: SeedScores, table: Iterable[SeedScores]) -> tuple[float, float] | None:
    """The 95% interval of its mean over seeds (Student's t); None where each has one seed."""
    from scipy.stats import t  # takes a while to load

    table = list(table)
    error, found = standard_error(candidate, table), sd_between_seeds(table)
    if error is None or found is None:
        return None
    half = float(t.ppf(0.975, found[1])) * error
    return max(0.0, candidate.mean - half), min(1.0, candidate.mean + half)


def wilson_interval(correct: int, n: int) -> tuple[float, float]:
    """The 95% interval of a share (Wilson 1927), which stays within 0 and 1 for small n."""
    if n == 0:
        return 0.0, 1.0
    share, z2 = correct / n, Z_95**2
    middle = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = Z_95 / (1 + z2 / n) * math.sqrt(share * (1 - share) / n + z2 / (4 * n * n))
    return max(0.0, middle - half), min(1.0, middle + half)


def read_seed_scores(csv: Path) -> list[SeedScores]:
    """The scores in a finals.csv. Raises ValueError where it is none."""
    table, _ = read_table(csv, TEXT)
    names = [f.name for f in fields(Final)]
    needed = [*names, "search_val_acc"]
    if missing := [name for name in needed if name not in table]:
        raise ValueError(f"{csv} is not a table of finals: column {missing[0]} is missing")
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
    search = {row["trial_id"]: row["search_val_acc"] for row in rows}
    return seed_scores({(final.trial_id, final.seed): final for final in finals}, search)
