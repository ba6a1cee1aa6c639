"""With which values networks fail to learn: a test by permutation of each hyperparameter.

The first of two questions about a sweep; the effects among those that learn are the other.
"""

from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from scipy import stats

from analysis.statistics.comparison import LEARNING_SHARE, Comparison
from analysis.statistics.effects import SIGNIFICANT
from analysis.statistics.expected import evidence_weights
from cnnlib.journal.scores import wilson_interval
from cnnlib.system.units import counted

COLUMNS = ["hyperparameter", "value", "n", "failed", "share", "low", "high", "p_adjusted"]
NUM_DEALT, MOST_DEALT = 4999, 1000  # permutations; of more trials the statistic's limit is used
SEED = 0


@dataclass(frozen=True)
class Learning:
    """How many networks fail to learn, and with which values."""

    table: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=COLUMNS))
    """A row a value: of its n trials `failed` did not learn, a share with its 95% interval.
    p_adjusted is its hyperparameter's, corrected for their number and for effects."""
    num_failed: int = 0
    num_trials: int = 0

    @property
    def p_values(self) -> dict[str, float]:
        """By hyperparameter: that it has nothing to do with who learns."""
        found = self.table.drop_duplicates("hyperparameter")
        return dict(zip(found["hyperparameter"], found["p_adjusted"].astype(float), strict=True))


def who_learns(comparison: Comparison) -> Learning:
    """The share of networks that fail with each value, and whether that may be chance."""
    has_failed = ~comparison.learned.to_numpy(bool)
    num_failed, n = int(has_failed.sum()), len(has_failed)
    if not num_failed or num_failed == n:
        return Learning(num_failed=num_failed, num_trials=n)
    levels = comparison.all_levels
    p_values = _p_values(levels, has_failed)
    rows = []
    for name, p_value in p_values.items():
        for value in levels[name].cat.categories:
            has = (levels[name] == value).to_numpy()
            failed, of = int(has_failed[has].sum()), int(has.sum())
            if of:
                share = failed / of, *wilson_interval(failed, of)
                rows.append((name, value, of, failed, *share, p_value))
    return Learning(pd.DataFrame(rows, columns=COLUMNS), num_failed, n)


def _p_values(levels: pd.DataFrame, has_failed: np.ndarray) -> dict[str, float]:
    """Corrected for their number, the surest first: each after one that is sure is tested among
    trials with the same values of that, so that what went with it is not called too (Holm, with the
    weights of `expected`). A part of the errors allowed is left to effects (LEARNING_SHARE)."""
    stratum, left = np.zeros(len(has_failed), int), [str(name) for name in levels]
    weights = dict(zip(left, map(float, evidence_weights(left)), strict=True))
    found: dict[str, float] = {}
    largest, raw = 0.0, dict[str, float]()
    while left:
        if not raw:
            raw = dict(zip(left, _permuted(levels[left], has_failed, stratum), strict=True))
        first = min(left, key=lambda name: raw[name] / weights[name])
        whole = sum(weights[name] for name in left) / LEARNING_SHARE
        largest = max(largest, min(1.0, raw[first] * whole / weights[first]))
        found[first] = largest
        left.remove(first)
        if largest <= SIGNIFICANT:
            codes = levels[first].cat.codes.to_numpy()
            stratum = np.unique(np.stack([stratum, codes]), axis=1, return_inverse=True)[1].ravel()
            raw = {}
    return found


def _permuted(levels: pd.DataFrame, has_failed: np.ndarray, stratum: np.ndarray) -> list[float]:
    """A p-value a hyperparameter: failures dealt out at random among the trials of a stratum.

    The statistic is that of Cochran, Mantel and Haenszel for several values and strata.
    """
    n, rng = len(has_failed), np.random.default_rng(SEED)
    dealt = np.empty((n, 0 if n > MOST_DEALT else NUM_DEALT))
    for number in np.unique(stratum):
        inside = np.flatnonzero(stratum == number)
        outcome = np.repeat(has_failed[inside, None].astype(float), dealt.shape[1], axis=1)
        dealt[inside] = rng.permuted(outcome, axis=0)
    return [
        _p_value(levels[name].cat.codes.to_numpy(), has_failed, stratum, dealt) for name in levels
    ]


def _p_value(
    codes: np.ndarray, has_failed: np.ndarray, stratum: np.ndarray, dealt: np.ndarray
) -> float:
    member = (codes[:, None] == np.unique(codes)).astype(float)
    expected, variance = np.zeros(member.shape[1]), np.zeros((member.shape[1],) * 2)
    for number in np.unique(stratum):
        inside = stratum == number
        size, failed = int(inside.sum()), float(has_failed[inside].sum())
        if size < 2 or failed in (0, size):
            expected += member[inside].sum(axis=0) * failed / size
            continue
        counts = member[inside].sum(axis=0)
        expected += counts * failed / size
        scale = failed * (size - failed) / (size - 1) / size
        variance += scale * (np.diag(counts) - np.outer(counts, counts) / size)
    inverse = np.linalg.pinv(variance, hermitian=True, rcond=1e-9)
    off = member.T @ has_failed - expected
    observed = float(off @ inverse @ off)
    if not dealt.shape[1]:
        return float(stats.chi2.sf(observed, np.linalg.matrix_rank(variance, hermitian=True)))
    others = member.T @ dealt - expected[:, None]
    reached = np.einsum("id,ij,jd->d", others, inverse, others) >= observed * (1 - 1e-9) - 1e-12
    return float((1 + reached.sum()) / (1 + len(reached)))


def learning_sentences(found: Learning) -> list[str]:
    """How many failed, and of each hyperparameter that decides it the value that fails most."""
    if not found.num_failed:
        return []
    whole = f"{found.num_failed} of {counted(found.num_trials, 'network')} did not learn"
    rows = found.table[found.table["p_adjusted"].astype(float) <= SIGNIFICANT]
    if rows.empty:
        return [f"{whole}; with which values is not more than chance can explain."]
    worst = rows.sort_values("share", ascending=False, kind="stable")
    worst = worst.drop_duplicates("hyperparameter")
    sentences = []
    for row in worst.itertuples():
        those = "all" if row.failed == row.n else f"{row.failed} of"
        sentences.append(
            f"{whole}: {those} {row.n} with {row.hyperparameter} {row.value}, and"
            f" {found.num_failed - row.failed} of the {found.num_trials - row.n} others"
            f" (p = {row.p_adjusted:.3f}, corrected for all hyperparameters and their effects)."
        )
    return sentences
