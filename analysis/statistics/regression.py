"""One regression that adjusts a factor's effects for all other factors, however few the trials.

The factor asked about has an effect of its own for each level. The levels of each other one are
effects drawn from a normal distribution: with many trials they are adjusted for in full, with few
they are shrunk, and what cannot be told apart widens the interval. It is a mixed model, solved by
Henderson's equations, and averaged over which other factors have effects (averaging).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy import optimize, stats

from analysis.statistics.averaging import NOTHING_KNOWN, Explanation, Noise

CONFIDENCE = 0.95
LOG_SPREADS = (-10.0, 8.0)
ROBUST_DF = 8.0  # with so many, the errors without equal noise count for half as much as they may
MIN_DF = 5.0  # with fewer, a handful of trials decides
TREND_WEIGHT = 0.3  # of the test for a trend beside that for any difference (calibration.py)


@dataclass(frozen=True)
class Estimate:
    """Effects' covariance as estimated, and its degrees of freedom, one an effect."""

    covariance: np.ndarray
    dfs: np.ndarray


@dataclass(frozen=True)
class Fit:
    """Effects of a factor's levels over its first one.

    Their errors are estimated twice: with equal noise everywhere, and without assuming that (HC2,
    with the degrees of freedom of Bell and McCaffrey, few where few trials decide). The first is
    too sure where a value makes training erratic, the second varies much where a value was tried a
    few times, so a mean of them counts (benchmarks/calibration.py).
    """

    effects: np.ndarray  # (levels - 1 + what else was given,)
    equal: Estimate
    robust: Estimate
    noise: float  # standard deviation of a trial around the model
    is_cautious: bool = False
    """The wider interval and the larger p-value of the two count: for a hundred questions at once,
    whose p-values must hold far out in the tail (benchmarks/class_effects.py)."""
    models: tuple[tuple[float, "Fit"], ...] = ()
    """What this is the average of, by the belief in each; empty: of nothing."""

    @property
    def mean(self) -> Estimate:
        """A weighted mean of both, with degrees of freedom by its first two moments where noise is
        equal: there the first is all that residuals say of it, so what both vary in common is
        what the first varies by."""
        share = self.robust_share
        dfs = 1 / ((1 - share**2) / self.equal.dfs + share**2 / self.robust.dfs)
        return Estimate((1 - share) * self.equal.covariance + share * self.robust.covariance, dfs)

    @property
    def robust_share(self) -> float:
        """The say of the second: half, less as few degrees of freedom make it vary."""
        df = float(np.median(self.robust.dfs)) if len(self.robust.dfs) else 0.0
        return 0.5 * df / (df + ROBUST_DF)

    @property
    def counting(self) -> tuple[Estimate, ...]:
        """The estimates of which the worse one counts."""
        return (self.equal, self.robust) if self.is_cautious else (self.mean,)

    def contrast(self, number: int) -> tuple[float, float, float, float]:
        """One effect with its interval and p-value."""
        effect = float(self.effects[number])
        half, p_value = 0.0, 0.0
        for estimate in self.counting:
            error = float(np.sqrt(max(estimate.covariance[number, number], 0.0)))
            df = estimate.dfs[number]
            half = max(half, error * float(stats.t.ppf((1 + CONFIDENCE) / 2, df)))
            if error > 0:
                p_value = max(p_value, 2 * float(stats.t.sf(abs(effect) / error, df)))
        return effect, effect - half, effect + half, p_value

    def rests_on_few(self, number: int) -> bool:
        """Whether few trials tell this effect from others, which its interval allows for."""
        return bool(self.robust.dfs[number] < MIN_DF)

    def p_value(self, kept: list[int], steps: np.ndarray | None = None) -> float:
        """That these effects are all zero: an F test; a cautious one leaves out those that rest on
        few trials.

        Where levels have an order, `steps` says how many levels each lies above the first, and a
        test for a trend has a say too, by Cauchy's combination (Liu and Xie 2020). Models are
        asked one by one: their mean p-value is that of the mixture of their distributions.
        """
        if self.is_cautious:
            kept = [number for number in kept if not self.rests_on_few(number)] or kept
        if not kept:
            return 1.0
        models = [(w, replace(m, is_cautious=self.is_cautious)) for w, m in self.models]
        return sum(
            weight * max(_p_value(model.effects, e, kept, steps) for e in model.counting)
            for weight, model in models or [(1.0, self)]
        )


def _p_value(
    effects: np.ndarray, estimate: Estimate, kept: list[int], steps: np.ndarray | None
) -> float:
    effects, num = effects[kept], len(kept)
    inverse = np.linalg.pinv(estimate.covariance[np.ix_(kept, kept)], hermitian=True)
    df = float(estimate.dfs[kept].mean())
    p_value = float(stats.f.sf(effects @ inverse @ effects / num, num, df))
    if steps is None or num < 2:
        return p_value
    slope = steps[kept] @ inverse @ effects
    error = math.sqrt(max(steps[kept] @ inverse @ steps[kept], 1e-300))
    return combined(p_value, 2 * float(stats.t.sf(abs(slope) / error, df)))


def combined(p_value: float, of_trend: float, weight: float = TREND_WEIGHT) -> float:
    """Cauchy's combination of two p-values, which may depend on each other."""
    tiny = 1e-15
    first, second = (min(max(p, tiny), 1 - tiny) for p in (p_value, of_trend))
    tangent = (1 - weight) * math.tan((0.5 - first) * math.pi)
    tangent += weight * math.tan((0.5 - second) * math.pi)
    return float(stats.cauchy.sf(tangent))


def one_hot(levels: pd.DataFrame) -> np.ndarray:
    """A column of 0 and 1 for each level of each factor, (trials, levels of all)."""
    columns = [levels[name] == level for name in levels for level in levels[name].cat.categories]
    return np.array(columns, dtype=float).reshape(len(columns), len(levels)).T


def owners(levels: pd.DataFrame) -> np.ndarray:
    """The name of the factor that each column of one_hot(levels) belongs to."""
    return np.array([name for name in levels for _ in levels[name].cat.categories], dtype=object)


def fit(
    scores: np.ndarray,
    factor: pd.Series,
    others: np.ndarray,
    spread: float,
    noise: Noise = NOTHING_KNOWN,
    given: np.ndarray | None = None,
) -> Fit | None:
    """The effects of `factor`, adjusted for `others` (one_hot) of `spread`.

    Behind them are the slopes of `given`, (trials, any). None where there are too few trials to
    say anything about noise.
    """
    num_trials = len(scores)
    if spread <= 0:
        others, spread = others[:, :0], 1.0
    codes = factor.cat.codes.to_numpy()
    fixed = (codes[:, None] == np.arange(len(factor.cat.categories))).astype(float)
    fixed[:, 0] = 1.0  # the first level is the reference
    if given is not None:
        fixed = np.hstack([fixed, given])
    num_fixed = fixed.shape[1]
    design = np.hstack([fixed, others])
    penalty = np.concatenate([np.zeros(num_fixed), np.full(others.shape[1], 1 / spread)])
    inverse = np.linalg.pinv(design.T @ design + np.diag(penalty), hermitian=True)
    solver = inverse @ design.T  # (coefficients, trials)
    residuals = scores - design @ (solver @ scores)
    freedom = 1 - np.einsum("ij,ji->i", design, solver)  # a trial's own share in its residual
    df = float(freedom.sum())
    if num_trials <= num_fixed or df < 1:
        return None
    squares = noise.squares + max(float(scores @ residuals), 0.0)
    variance = squares / (noise.df + num_trials - num_fixed)  # REML's, with what was known
    rows = solver[1:num_fixed]
    weights = np.where(freedom > 1e-6, 1 / np.maximum(freedom, 1e-6), 0.0)
    robust = (rows * (residuals**2 * weights)) @ rows.T
    leaked = rows @ others  # what of the others' effects passes for this factor's
    robust += variance * spread * leaked @ leaked.T
    equal = inverse[1:num_fixed, 1:num_fixed] * variance
    robust_dfs = [_bell_mccaffrey(row**2 * weights, row, design, inverse, freedom) for row in rows]
    return Fit(
        effects=(solver @ scores)[1:num_fixed],
        equal=Estimate(equal, np.full(len(rows), num_trials - num_fixed + noise.df)),
        robust=Estimate(robust, np.clip(robust_dfs, 1.0, df)),
        noise=float(np.sqrt(variance)),
    )


def averaged(
    scores: np.ndarray,
    factor: pd.Series,
    explanations: Sequence[Explanation],
    noise: Noise = NOTHING_KNOWN,
    given: np.ndarray | None = None,
) -> Fit | None:
    """The effects of `factor`, averaged over what the other factors may do.

    That the models disagree is a part of the errors.
    """
    fits = [fit(scores, factor, e.columns, e.spread, noise, given) for e in explanations]
    pairs = [(e.weight, f) for e, f in zip(explanations, fits, strict=True) if f is not None]
    if not pairs:
        return None
    weights = np.array([weight for weight, _ in pairs])
    weights /= weights.sum()
    found = [f for _, f in pairs]
    effects = np.array([f.effects for f in found])
    mean = weights @ effects
    apart = np.einsum("m,mi,mj->ij", weights, effects - mean, effects - mean)

    def estimate(estimates: list[Estimate]) -> Estimate:
        covariance = sum(w * e.covariance for w, e in zip(weights, estimates, strict=True)) + apart
        return Estimate(covariance, 1 / (weights @ np.array([1 / e.dfs for e in estimates])))

    return Fit(
        effects=mean,
        equal=estimate([f.equal for f in found]),
        robust=estimate([f.robust for f in found]),
        noise=float(weights @ [f.noise for f in found]),
        models=tuple(zip(weights.tolist(), found, strict=True)),
    )


def _bell_mccaffrey(
    squares: np.ndarray,
    row: np.ndarray,
    design: np.ndarray,
    inverse: np.ndarray,
    freedom: np.ndarray,
) -> float:
    """Degrees of freedom of sum(squares * residuals**2), by the first two moments.

    sum_ij s_i s_j P_ij**2 for the residual maker P = I - H, without making P (trials, trials).
    """
    inner = inverse @ (design.T * squares) @ design
    second = float((squares**2 * (2 * freedom - 1)).sum() + np.einsum("ij,ji->", inner, inner))
    return float((row @ row) ** 2 / second) if second > 0 else 1.0


def detectable(
    asked: Sequence[tuple[Fit, list[int]]],
    weights: np.ndarray | None = None,
    level: float = 1 - CONFIDENCE,
) -> float:
    """The size that an effect must have for half of such sweeps to find it, the median of all.

    `asked` are the fits whose p-values are corrected for their number (Holm), with the effects
    that are looked at. Half find what equals its own bound for the strongest of that many, at a
    corrected p-value of `level`.
    """
    weights = np.ones(len(asked)) if weights is None else weights
    tails = level / 2 * weights / weights.sum()
    sizes = []
    for (found, kept), tail in zip(asked, tails, strict=True):
        bounds = [
            np.sqrt(np.diag(estimate.covariance)) * stats.t.isf(tail, estimate.dfs)
            for estimate in found.counting
        ]
        sizes += np.max(bounds, axis=0)[kept].tolist()
    return float(np.median(sizes))


def spread_of(scores: np.ndarray, columns: np.ndarray) -> float:
    """The variance of the factors' effects over that of the noise, by restricted likelihood."""
    if len(scores) < 2:
        return 0.0
    y, z = scores - scores.mean(), columns - columns.mean(axis=0)
    eigenvalues, vectors = np.linalg.eigh(z.T @ z)
    kept = eigenvalues > 1e-9 * max(float(eigenvalues.max(initial=0.0)), 1.0)
    eigenvalues, vectors = eigenvalues[kept], vectors[:, kept]
    explained = (vectors.T @ (z.T @ y)) ** 2 / eigenvalues
    total, n = float(y @ y), len(y)
    if total <= 0 or not len(eigenvalues):
        return 0.0

    def misfit(log_spread: float) -> float:
        scaled = np.exp(log_spread) * eigenvalues
        rest = total - float((explained * scaled / (1 + scaled)).sum())
        return float(np.log1p(scaled).sum()) + (n - 1) * np.log(max(rest, 1e-12 * total))

    found = optimize.minimize_scalar(misfit, bounds=LOG_SPREADS, method="bounded")
    return float(np.exp(found.x))


def holm(p_values: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """Holm's adjusted p-values: below 0.05 for any true null in at most 5% of families.

    Of a larger weight less evidence is asked; no weight may follow from what is tested.
    """
    weights = np.ones(len(p_values)) if weights is None else weights
    order = np.argsort(p_values / weights, kind="stable")
    left = np.cumsum(weights[order][::-1])[::-1]  # weights of those not yet tested
    adjusted = np.empty(len(p_values))
    raised = p_values[order] / weights[order] * left
    adjusted[order] = np.minimum(np.maximum.accumulate(raised), 1.0)
    return adjusted
