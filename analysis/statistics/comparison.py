"""Which trials are compared, after how many epochs, and by which values of each hyperparameter."""

from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from analysis.reading.folder import SweepFolder
from analysis.reading.measure import ACCURACY, Measure
from analysis.reading.values import NOT_LOGGED, numbers_of, rare_merged, shown
from analysis.statistics.regression import one_hot, owners, spreads_of

NEARLY_ALL = 0.9
MAX_VALUES = 6  # more different numbers than this are compared in groups
NUM_GROUPS = 3


@dataclass(frozen=True)
class Comparison:
    """Trials with one score each, all taken after the same number of epochs."""

    scores: pd.Series
    """The best up to `epoch`, by trial_id: the higher is better, whatever the metric."""
    trials: pd.DataFrame
    """The hyperparameters as logged, by trial_id."""
    levels: pd.DataFrame
    """The hyperparameters that vary, as ordered categories by trial_id."""
    epoch: int | None
    """None: the epochs are not logged, so each trial counts with its best at any epoch."""
    num_left_out: int
    """Trials that failed or were interrupted before `epoch`, or have no value at all."""
    measure: Measure = ACCURACY
    """What they are scores of."""

    @cached_property
    def spreads(self) -> np.ndarray:
        """How much each level may do, for the regression: of the columns of one_hot(levels)."""
        return spreads_of(self.scores.to_numpy(float), self.levels)

    def others(self, names: Collection[str]) -> tuple[np.ndarray, np.ndarray]:
        """The levels of the hyperparameters but these, one_hot, and the spread of each column."""
        kept = ~np.isin(owners(self.levels), list(names))
        return one_hot(self.levels)[:, kept], self.spreads[kept]

    @property
    def when(self) -> str:
        """After how many epochs, in words."""
        return "at its best epoch" if self.epoch is None else f"by epoch {self.epoch}"


def compare(sweep: SweepFolder) -> Comparison:
    """The trials of the sweep at the last epoch that nearly all of them reached.

    At that epoch early stopping has not yet chosen whom to keep. A trial that ended by itself
    before it counts with what it reached; one that failed or was interrupted is left out.
    """
    trials = sweep.trials.drop_duplicates("trial_id").set_index("trial_id").sort_index()
    scores, epoch = _scores(trials, sweep.epochs, sweep.measure)
    known = trials.loc[scores.index, sweep.hyperparameters]
    levels = {name: levels_of(known[name]) for name in known if not _is_list(known[name])}
    varying = {name: column for name, column in levels.items() if column.nunique() > 1}
    return Comparison(
        scores=scores,
        trials=known,
        levels=pd.DataFrame(varying, index=known.index),
        epoch=epoch,
        num_left_out=len(trials) - len(scores),
        measure=sweep.measure,
    )


def _scores(
    trials: pd.DataFrame, epochs: pd.DataFrame, measure: Measure
) -> tuple[pd.Series, int | None]:
    logged = epochs[epochs["trial_id"].isin(trials.index)]
    logged = logged.assign(score=measure.scores(logged)).dropna(subset="score")
    scores = measure.scores(trials)
    measured = scores.notna()
    if logged["trial_id"].nunique() < NEARLY_ALL * measured.sum():
        return scores[measured], None
    last = logged.groupby("trial_id")["epoch"].max()
    if last.empty:
        return scores[[]], None
    status = trials["status"] if "status" in trials else pd.Series("completed", trials.index)
    cut_short = status.isin(["failed", "running"]).reindex(last.index)
    ended = last[~cut_short]
    typical = ended if len(ended) else last
    epoch = int(typical.quantile(1 - NEARLY_ALL, interpolation="lower"))
    early = logged[logged["epoch"] <= epoch]
    best = early.groupby("trial_id")["score"].max()
    return best[~(cut_short & (last < epoch)).loc[best.index]], epoch


def _is_list(values: pd.Series) -> bool:
    """Whether a column holds lists, which sum up other hyperparameters: filters of each layer."""
    texts = values.dropna().astype(str)
    return bool(len(texts)) and bool(texts.str.startswith("[").all())


def levels_of(values: pd.Series) -> pd.Series:
    """The values as ordered categories: numbers by size, false before true, names by alphabet.

    Many different numbers become three groups of equal size, rare ones of many names become one.
    """
    as_numbers = numbers_of(values)
    if as_numbers is not None and as_numbers.nunique() > MAX_VALUES:
        texts, order = _number_groups(as_numbers)
    elif as_numbers is not None:
        texts = as_numbers.map(shown, na_action="ignore")
        order = [shown(value) for value in sorted(as_numbers.dropna().unique())]
    else:
        texts = rare_merged(values.map(shown, na_action="ignore"))
        order = sorted(texts.dropna().unique())
    if texts.isna().any():
        texts, order = texts.astype(object).fillna(NOT_LOGGED), [*order, NOT_LOGGED]
    return texts.astype(pd.CategoricalDtype(list(dict.fromkeys(order)), ordered=True))


def _number_groups(values: pd.Series) -> tuple[pd.Series, list[str]]:
    ranks = values.rank(method="average", pct=True)
    groups = np.ceil(ranks * NUM_GROUPS).clip(1, NUM_GROUPS)
    labels = {
        number: f"{shown(float(group.min()), 3)} to {shown(float(group.max()), 3)}"
        for number, group in values.groupby(groups)
    }
    return groups.map(labels), list(labels.values())
