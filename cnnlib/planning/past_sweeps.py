"""What one's own earlier sweeps found: --past FOLDER..."""

import math
from collections.abc import Sequence
from pathlib import Path

from cnnlib.journal.tables import read_results
from cnnlib.search.experience import Experience
from cnnlib.search.trends import Tried, learn

LEAST = 5  # trials of a sweep that say something


def past_sweeps(folders: Sequence[str | Path]) -> Experience:
    """What one's own sweeps found, by their tables or journals; each counts by its own metric."""
    sweeps = [read_tried(folder) for folder in folders]
    trials = sum(len(sweep.scores) for sweep in sweeps)
    return Experience("your own", len(sweeps), trials, learn(sweeps))


def read_tried(folder: str | Path) -> Tried:
    """The trials of a sweep that have a score. Raises ValueError where they are too few."""
    results = read_results(folder)
    metric, table = results.metric, results.trials
    table = table[table[metric.name].notna()] if metric.name in table else table[:0]
    if len(table) < LEAST:
        raise ValueError(
            f"--past: {folder} holds {len(table)} trials with a score; {LEAST} say something"
        )
    columns = {name: table[name].tolist() for name in results.hyperparameters}
    told = {name: column for name, column in columns.items() if all(map(_is_told, column))}
    return Tried(told, [metric.score(value) for value in table[metric.name]])


def _is_told(value: object) -> bool:
    """Whether it is a value at all; a cell may be empty, and another tool's anything."""
    return isinstance(value, str) or (isinstance(value, int | float) and math.isfinite(value))
