"""Which pairs of hyperparameters depend on each other: tested by permutation, all pairs at once."""

from itertools import combinations

import numpy as np
import pandas as pd

from analysis.reading.values import NOT_LOGGED
from analysis.statistics.comparison import Comparison
from analysis.statistics.effects import MIN_TRIALS
from analysis.statistics.regression import one_hot

COLUMNS = ["first", "second", "share", "p_adjusted", "best", "best_effect", "n"]
MIN_FREEDOM = 10  # trials more than there are values, for any pair to be looked at
SEED = 0


def interplay(comparison: Comparison) -> pd.DataFrame:
    """A row for each pair that can be tested, the least explained by chance first.

    `share` is how much of what the hyperparameters one by one leave unexplained the pair explains;
    `best` the pair of values with the highest mean score of the n trials that had both, which lies
    `best_effect` above what each adds by itself. p_adjusted compares with the strongest of all
    pairs when the unexplained part of each trial gets a sign at random (Westfall and Young): each
    keeps its size, because noise differs between values (Wu 1986).
    """
    levels, scores = comparison.levels, comparison.scores.to_numpy(float)
    main = _basis(np.hstack([np.ones((len(scores), 1)), one_hot(levels)]))
    freedom = len(scores) - main.shape[1]
    if freedom < MIN_FREEDOM or np.ptp(scores) == 0:
        return pd.DataFrame(columns=COLUMNS)
    rest = scores - main @ (main.T @ scores)
    rng = np.random.default_rng(SEED)
    share = np.maximum(1 - np.sum(main**2, axis=1), 1e-6)  # of a trial's noise that is in `rest`
    signs = rng.choice([-1.0, 1.0], (len(rest), 499 if len(scores) <= 1000 else 99))
    dealt = (rest / np.sqrt(share))[:, None] * signs
    dealt -= main @ (main.T @ dealt)
    rows, strongest = [], np.zeros(dealt.shape[1])
    for first, second in combinations(levels, 2):
        cells = _cells(levels[first], levels[second])
        basis = _basis(cells - main @ (main.T @ cells))
        num_columns = basis.shape[1]
        if not num_columns or freedom - num_columns < MIN_FREEDOM // 2:
            continue
        statistic = _ratio(rest, basis, freedom)
        strongest = np.maximum(strongest, _ratio(dealt, basis, freedom))
        share = float(np.sum((basis.T @ rest) ** 2) / np.sum(rest**2))
        best = _best(comparison, rest, str(first), str(second))
        rows.append((first, second, share, float(statistic), *best))
    table = pd.DataFrame(
        rows, columns=["first", "second", "share", "ratio", "best", "best_effect", "n"]
    )
    reached = (strongest[None, :] >= table["ratio"].to_numpy(float)[:, None]).sum(axis=1)
    table["p_adjusted"] = (1 + reached) / (1 + len(strongest))
    return table.sort_values("ratio", ascending=False, kind="stable", ignore_index=True)[COLUMNS]


def cells_of(comparison: Comparison, first: str, second: str) -> pd.DataFrame:
    """The mean score and n of each pair of values that trials had: first, second, mean, n."""
    table = pd.DataFrame(
        {
            "first": comparison.levels[first],
            "second": comparison.levels[second],
            "score": comparison.scores,
        }
    )
    grouped = table.groupby(["first", "second"], observed=True)["score"]
    return grouped.agg(mean="mean", n="size").reset_index()


def shown_cells(comparison: Comparison, first: str, second: str) -> pd.DataFrame:
    """The same with the mean value of the metric."""
    cells = cells_of(comparison, first, second)
    return cells.assign(mean=comparison.measure.values(cells["mean"]))


def _basis(columns: np.ndarray) -> np.ndarray:
    """Orthonormal columns of the same span, (trials, rank)."""
    gram = columns.T @ columns
    eigenvalues, vectors = np.linalg.eigh(gram)
    kept = eigenvalues > 1e-8 * max(float(eigenvalues.max(initial=0.0)), 1e-8)
    return columns @ (vectors[:, kept] / np.sqrt(eigenvalues[kept]))


def _cells(first: pd.Series, second: pd.Series) -> np.ndarray:
    """A column of 0 and 1 for each pair of values that at least MIN_TRIALS trials share."""
    number = first.cat.codes.to_numpy() * len(second.cat.categories) + second.cat.codes.to_numpy()
    shared = [cell for cell in np.unique(number) if (number == cell).sum() >= MIN_TRIALS]
    return np.array([number == cell for cell in shared], dtype=float).reshape(-1, len(number)).T


def _ratio(rest: np.ndarray, basis: np.ndarray, freedom: int) -> np.ndarray:
    """F of the columns of `basis` for each column of `rest`."""
    explained = np.sum((basis.T @ rest) ** 2, axis=0)
    left = np.maximum(np.sum(rest**2, axis=0) - explained, 1e-30)
    q = basis.shape[1]
    return (explained / q) / (left / (freedom - q))


def _best(
    comparison: Comparison, rest: np.ndarray, first: str, second: str
) -> tuple[str, float, int]:
    """The pair of values with the highest mean score, its mean of `rest`, and n."""
    cells = cells_of(comparison, first, second)
    is_known = (cells["first"] != NOT_LOGGED) & (cells["second"] != NOT_LOGGED)
    cells = cells[is_known & (cells["n"] >= MIN_TRIALS)]
    if cells.empty:
        return "", 0.0, 0
    top = cells.loc[cells["mean"].idxmax()]
    levels = comparison.levels
    has_both = ((levels[first] == top["first"]) & (levels[second] == top["second"])).to_numpy()
    words = f"{first} {top['first']} with {second} {top['second']}"
    return words, float(rest[has_both].mean()), int(top["n"])
