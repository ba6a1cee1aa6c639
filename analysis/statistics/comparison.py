"""Which trials are compared, after how many epochs, and by which values of each hyperparameter."""

from collections.abc import Collection
from dataclasses import dataclass, field
from functools import cached_property
from itertools import combinations

import numpy as np
import pandas as pd

from analysis.reading.folder import SweepFolder
from analysis.reading.measure import ACCURACY, Measure
from analysis.reading.values import NOT_LOGGED, numbers_of, rare_merged, shown, texts_of
from analysis.statistics.averaging import NOTHING_KNOWN, Explanation, Explanations, Noise
from analysis.statistics.expected import USUAL_NOISE, evidence_weights
from analysis.statistics.learners import learned
from analysis.statistics.regression import Fit, averaged, one_hot, owners
from cnnlib.journal.scores import read_seed_scores, sd_between_seeds

NEARLY_ALL = 0.9
MAX_VALUES = 6  # more different numbers than this are compared in groups
NUM_GROUPS = 3
MOST_ASKED = 20  # hyperparameters that may determine a list, three at a time
LEARNING_SHARE = 1 / 3  # of the errors allowed, where who learns is asked beside effects
MOST_DF = 6.0  # that finals may add, as they are of the end and of the best configurations


@dataclass(frozen=True)
class Comparison:
    """Trials with one score each, all taken after the same number of epochs; those that learned."""

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
    noise: Noise = NOTHING_KNOWN
    """What is known of the noise besides."""
    learned: pd.Series = field(default_factory=lambda: pd.Series(dtype=bool))
    """Whether each trial that counts learned at all, by trial_id: these and the others."""
    all_levels: pd.DataFrame = field(default_factory=pd.DataFrame)
    """`levels` of these and of the others."""
    determined: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Lists that are not compared, as other hyperparameters determine them, and by which."""
    _fits: dict[tuple, Fit | None] = field(default_factory=dict, repr=False, compare=False)
    """Those that were asked for: several sections ask for the same."""

    @property
    def effects_share(self) -> float:
        """Of the errors allowed, what is left to effects where some networks did not learn: what
        is said of who learns and of effects errs in 5% of sweeps, both together.
        """
        return 1.0 if self.learned.nunique() < 2 else 1.0 - LEARNING_SHARE

    @cached_property
    def explanations(self) -> Explanations:
        """What the hyperparameters may do to the scores."""
        return self.explained(self.scores, self.levels, None)

    def explained(
        self, scores: pd.Series, levels: pd.DataFrame, given: np.ndarray | None
    ) -> Explanations:
        """What they may do to other scores of these trials, besides what is `given`."""
        number = {name: i for i, name in enumerate(self.levels)}
        owner = np.array([number[name] for name in owners(levels)], dtype=int)
        columns, beliefs = one_hot(levels), evidence_weights(self.levels)
        return Explanations(scores.to_numpy(float), columns, owner, beliefs, self.noise, given)

    def others(self, names: Collection[str]) -> list[Explanation]:
        """What the hyperparameters but these may do."""
        return self.explanations.without(self.numbers(names))

    def numbers(self, names: Collection[str]) -> list[int]:
        return [number for number, name in enumerate(self.levels) if name in names]

    def fit(self, factor: pd.Series, names: Collection[str]) -> Fit | None:
        """The effects of a factor that says what these hyperparameters do."""
        scores = self.scores.to_numpy(float)
        if len(scores) < 2 or np.ptp(scores) == 0:
            return None
        codes = factor.cat.codes.to_numpy().tobytes()
        asked = (*self.numbers(names), len(factor.cat.categories), codes)
        if asked not in self._fits:
            self._fits[asked] = averaged(scores, factor, self.others(names), self.noise)
        return self._fits[asked]

    def steps(self, factor: pd.Series) -> np.ndarray | None:
        """How many levels each lies above the first, for a trend; None where there is no order."""
        name = str(factor.name)
        if name not in self.trials or numbers_of(self.trials[name]) is None:
            return None
        order = [level for level in self.levels[name].cat.categories if level != NOT_LOGGED]
        place = {level: number for number, level in enumerate(order)}
        levels = list(factor.cat.categories)
        if levels[0] not in place:
            return None
        return np.array([place.get(v, place[levels[0]]) - place[levels[0]] for v in levels[1:]],
                        dtype=float)  # fmt: skip

    @property
    def when(self) -> str:
        """After how many epochs, in words."""
        return "at its best epoch" if self.epoch is None else f"by epoch {self.epoch}"


def compare(sweep: SweepFolder, *, everyone: bool = False) -> Comparison:
    """The trials of the sweep that learned, at the last epoch that nearly all of them reached; of
    `everyone`, those that did not learn too.

    At that epoch early stopping has not yet chosen whom to keep. A trial that ended by itself
    before it counts with what it reached; one that failed or was interrupted is left out, but for
    one that diverged, which did not learn.
    """
    trials = sweep.trials.drop_duplicates("trial_id").set_index("trial_id").sort_index()
    scores, epoch = _scores(trials, sweep.epochs, sweep.measure)
    has_learned = learned(sweep, scores)
    known = trials.loc[has_learned.index, sweep.hyperparameters]
    determined = _determined(known)
    all_levels = _varying({n: levels_of(known[n]) for n in known if n not in determined}, known)
    kept = scores.index if everyone else has_learned.index[has_learned]
    return Comparison(
        scores=scores[kept],
        trials=known.loc[kept],
        levels=_varying(dict(all_levels.loc[kept].items()), known.loc[kept]),
        epoch=epoch,
        num_left_out=len(trials) - len(has_learned),
        measure=sweep.measure,
        noise=_noise(sweep, epoch),
        learned=has_learned,
        all_levels=all_levels,
        determined=determined,
    )


def _varying(levels: dict[str, pd.Series], trials: pd.DataFrame) -> pd.DataFrame:
    used = {name: column.cat.remove_unused_categories() for name, column in levels.items()}
    varying = {name: column for name, column in used.items() if column.nunique() > 1}
    return pd.DataFrame(varying, index=trials.index)


def _noise(sweep: SweepFolder, epoch: int | None) -> Noise:
    """What the public sweeps say of the noise of accuracies, and the seeds of this one's finals.

    Finals are trained to the end, so they say something of scores that are of the end too.
    """
    usual = USUAL_NOISE if sweep.measure.is_share else NOTHING_KNOWN
    path = sweep.path / "champion" / "finals.csv"
    is_early = epoch is not None and (sweep.epochs["epoch"] > epoch).any()
    if is_early or not path.exists():
        return usual
    try:
        found = sd_between_seeds(read_seed_scores(path, sweep.measure))
    except ValueError:  # damaged: the section on the finals says so
        return usual
    if found is None:
        return usual
    deviation, df = found[0], min(float(found[1]), MOST_DF)
    squares = usual.squares + df * deviation**2
    return Noise(float(np.sqrt(squares / (usual.df + df))), usual.df + df)


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


def _determined(trials: pd.DataFrame) -> dict[str, tuple[str, ...]]:
    """The columns of lists that at most three others determine: each layer's filters, say."""
    texts = {name: texts_of(trials[name]) for name in trials}
    varying = [name for name, column in texts.items() if column.nunique() > 1]
    lists = [name for name in varying if is_list(trials[name])]
    others = [name for name in varying if name not in lists and 2 * texts[name].nunique()
              <= len(trials)]  # fmt: skip
    found: dict[str, tuple[str, ...]] = {}
    for name in lists:
        for some in (s for size in (1, 2, 3) for s in combinations(others[:MOST_ASKED], size)):
            groups = texts[name].groupby([texts[other] for other in some], dropna=False, sort=False)
            if 2 * groups.ngroups <= len(trials) and groups.nunique().max() <= 1:
                found[name] = some
                break
    return found


def is_list(values: pd.Series) -> bool:
    """Whether a column holds lists: filters of each layer."""
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
        texts = texts_of(as_numbers)
        order = [shown(value) for value in sorted(as_numbers.dropna().unique())]
    else:
        texts = rare_merged(texts_of(values))
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
