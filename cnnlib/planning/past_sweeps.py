"""What one's own earlier sweeps found: --past FOLDER..."""

from collections.abc import Sequence
from pathlib import Path

from cnnlib.journal.tables import read_results
from cnnlib.search.experience import Experience
from cnnlib.search.trends import Tried, learn

LEAST = 5  # trials of a sweep that say something


def past_sweeps(folders: Sequence[str | Path]) -> Experience:
    """What one's own sweeps found, by their tables or journals.

    Each counts by its own metric. Raises ValueError where a folder holds too little.
    """
    sweeps: list[Tried] = []
    for folder in folders:
        results = read_results(folder)
        metric, table = results.metric, results.trials
        table = table[table[metric.name].notna()] if metric.name in table else table[:0]
        if len(table) < LEAST:
            raise ValueError(
                f"--past: {folder} holds {len(table)} trials with a score; {LEAST} say something"
            )
        columns = {n: table[n].tolist() for n in results.hyperparameters if table[n].notna().all()}
        sweeps.append(Tried(columns, [metric.score(value) for value in table[metric.name]]))
    trials = sum(len(sweep.scores) for sweep in sweeps)
    return Experience("your own", len(sweeps), trials, learn(sweeps))
