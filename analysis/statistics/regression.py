"""One regression that adjusts a factor's effects for all other factors, however few the trials.

The factor asked about has an effect of its own for each level. The levels of each other one are
effects drawn from a normal distribution: with many trials they are adjusted for in full, with few
they are shrunk, and what cannot be told apart widens the interval. It is a mixed model, solved by
Henderson's equations, and averaged over which other factors have effects (averaging).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd
from scipy import optimize, stats

from analysis.statistics.averaging import NOTHING_KNOWN, Explanation, Noise

CONFIDENCE = 0.95
LOG_SPREADS = (-10.0, 8.0)
ROBUST_DF = 8.0  # with so many, the errors without equal noise count for half as much as they may
MIN_DF = 5.0  # with fewer, a handful of trials decides
CHUNK = 2_000_000  # numbers of the designs that are solved at once
P_BOUNDS = 1e-15, 0.99
SAYS = (0.3, 0.6, 0.1)  # where levels have an order: any difference, a trend, an optimum between


@dataclass(frozen=True)
class Estimate:
    """Effects' covariance as estimated, and its degrees of freedom, one an effect."""

    covariance: np.ndarray  # (..., effects, effects)
    dfs: np.ndarray  # (..., effects)


@dataclass(frozen=True)
class Fit:
    """Effects of a factor's levels over its first one, by one model, or by several in front.

    Their errors are estimated twice: with equal noise everywhere, and without assuming that (HC2,
    with the degrees of freedom of Bell and McCaffrey, few where few trials decide). The first is
    too sure where a value makes training erratic, the second varies much where a value was tried a
    few times, so a mean of them counts (benchmarks/calibration.py).
    """

    effects: np.ndarray  # (..., levels - 1 + what else was given)
    equal: Estimate
    robust: Estimate
    noise: np.ndarray  # standard deviation of a trial around the model, (...)
    is_cautious: bool = False
    """The wider interval and the larger p-value of the two count: for a hundred questions at once,
    whose p-values must hold far out in the tail (benchmarks/class_effects.py)."""
    models: "Fit | None" = None
    """What this is the average of; None: of nothing."""
    weights: np.ndarray = field(default_factory=lambda: np.ones(1))
    """The belief in each of the models."""

    @property
    def mean(self) -> Estimate:
        """A weighted mean of both, with degrees of freedom by its first two moments where noise is
        equal: there the first is all that residuals say of it, so what both vary in common is
        what the first varies by."""
        share = self.robust_share[..., None]
        dfs = 1 / ((1 - share**2) / self.equal.dfs + share**2 / self.robust.dfs)
        covariance = self.robust.covariance - self.equal.covariance
        return Estimate(self.equal.covariance + share[..., None] * covariance, dfs)

    @property
    def robust_share(self) -> np.ndarray:
        """The say of the second: half, less as few degrees of freedom make it vary."""
        if not self.robust.dfs.shape[-1]:
            return np.zeros(self.robust.dfs.shape[:-1])
        df = np.median(self.robust.dfs, axis=-1)
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

        Where levels have an order, `steps` says how many levels each lies above the first, and
        tests for a trend and for an optimum in between have a say too, by Cauchy's combination
        (Liu and Xie 2020). Models are asked one by one: their mean p-value is that of the mixture
        of their distributions.
        """
        if self.is_cautious:
            kept = [number for number in kept if not self.rests_on_few(number)] or kept
        if not kept:
            return 1.0
        asked = replace(self.models or self, is_cautious=self.is_cautious)
        found = [_p_values(asked.effects, e, kept, steps) for e in asked.counting]
        return float(np.average(np.atleast_1d(np.max(found, axis=0)), weights=self.weights))


def _p_values(
    effects: np.ndarray, estimate: Estimate, kept: list[int], steps: np.ndarray | None
) -> np.ndarray:
    """Of each model in front."""
    effects, num = effects[..., kept], len(kept)
    covariance = estimate.covariance[..., kept, :][..., kept]
    inverse = np.linalg.pinv(covariance, hermitian=True)
    df = estimate.dfs[..., kept].mean(axis=-1)
    ratio = np.einsum("...i,...ij,...j->...", effects, inverse, effects) / num
    of_any = stats.f.sf(ratio, num, df)
    if steps is None or num < 2:
        return of_any

    def of_shape(shape: np.ndarray) -> np.ndarray:
        """That effects of this shape are zero."""
        slope = np.einsum("i,...ij,...j->...", shape, inverse, effects)
        squared = np.einsum("i,...ij,j->...", shape, inverse, shape)
        error = np.sqrt(np.maximum(squared, 1e-300))
        return 2 * stats.t.sf(np.abs(slope) / error, df)

    steps = steps[kept]
    middle = steps.sum() / (num + 1)  # the first level is at 0
    of_optimum = of_shape((steps - middle) ** 2 - middle**2)
    return combined([of_any, of_shape(steps), of_optimum], SAYS)


def combined(p_values: Sequence[np.ndarray | float], says: Sequence[float]) -> np.ndarray:
    """Cauchy's combination of p-values, which may depend on each other; their says add up to 1."""
    return stats.cauchy.sf(np.tensordot(says, _evidence(np.array(p_values, float)), 1))


def _evidence(p_values: np.ndarray) -> np.ndarray:
    """Each p-value as its quantile of Cauchy's distribution, whose weighted mean is one too.

    One near 1, of a trend where ups and downs are even, does not outweigh one near 0.
    """
    return np.tan((0.5 - np.clip(p_values, *P_BOUNDS)) * np.pi)


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
    if spread <= 0:
        others, spread = others[:, :0], 1.0
    alone = averaged(scores, factor, [Explanation(1.0, others, spread)], noise, given)
    return alone and replace(alone, models=None)


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
    codes = factor.cat.codes.to_numpy()
    fixed = (codes[:, None] == np.arange(len(factor.cat.categories))).astype(float)
    fixed[:, 0] = 1.0  # the first level is the reference
    if given is not None:
        fixed = np.hstack([fixed, given])
    if len(scores) <= fixed.shape[1]:
        return None
    most = fixed.shape[1] + max(e.columns.shape[1] for e in explanations)
    step = max(1, CHUNK // (len(scores) * most))
    parts = [
        _fits(scores, fixed, explanations[start : start + step], noise)
        for start in range(0, len(explanations), step)
    ]
    models, is_known = _joined([part for part, _ in parts]), np.hstack([k for _, k in parts])
    if not is_known.any():
        return None
    weights = np.array([e.weight for e in explanations]) * is_known
    weights /= weights.sum()
    mean = weights @ models.effects
    off = models.effects - mean
    apart = np.einsum("m,mi,mj->ij", weights, off, off)

    def estimate(of: Estimate) -> Estimate:
        covariance = np.einsum("m,mij->ij", weights, of.covariance) + apart
        return Estimate(covariance, 1 / (weights @ (1 / of.dfs)))

    return Fit(
        effects=mean,
        equal=estimate(models.equal),
        robust=estimate(models.robust),
        noise=weights @ models.noise,
        models=models,
        weights=weights,
    )


def _fits(
    scores: np.ndarray, fixed: np.ndarray, explanations: Sequence[Explanation], noise: Noise
) -> tuple[Fit, np.ndarray]:
    """The fit by each explanation, in front, and whether it leaves trials to say what noise is."""
    (n, num_fixed), most = fixed.shape, max(e.columns.shape[1] for e in explanations)
    others = np.zeros((len(explanations), n, most))  # a column of zeros changes nothing
    for place, explanation in zip(others, explanations, strict=True):
        place[:, : explanation.columns.shape[1]] = explanation.columns
    spreads = np.array([e.spread for e in explanations])
    design = np.concatenate([np.broadcast_to(fixed, (len(others), *fixed.shape)), others], axis=2)
    penalty = np.zeros((len(others), num_fixed + most))
    penalty[:, num_fixed:] = 1 / spreads[:, None]
    turned = design.transpose(0, 2, 1)
    gram = turned @ design
    gram[:, np.arange(gram.shape[1]), np.arange(gram.shape[1])] += penalty
    inverse = np.linalg.pinv(gram, hermitian=True)
    solver = inverse @ turned  # (models, coefficients, trials)
    coefficients = solver @ scores
    residuals = scores - np.einsum("mij,mj->mi", design, coefficients)
    freedom = 1 - np.einsum("mij,mji->mi", design, solver)  # a trial's own share in its residual
    df = freedom.sum(axis=1)
    squares = noise.squares + np.maximum(residuals @ scores, 0.0)
    variance = squares / (noise.df + n - num_fixed)  # REML's, with what was known
    rows = solver[:, 1:num_fixed]
    weights = np.where(freedom > 1e-6, 1 / np.maximum(freedom, 1e-6), 0.0)
    robust = (rows * (residuals**2 * weights)[:, None]) @ rows.transpose(0, 2, 1)
    leaked = rows @ others  # what of the others' effects passes for this factor's
    robust += (variance * spreads)[:, None, None] * (leaked @ leaked.transpose(0, 2, 1))
    equal = inverse[:, 1:num_fixed, 1:num_fixed] * variance[:, None, None]
    robust_dfs = np.ones(rows.shape[:2])
    for number in range(num_fixed - 1):
        row = rows[:, number]
        robust_dfs[:, number] = _bell_mccaffrey(row, row**2 * weights, design, inverse, freedom)
    found = Fit(
        effects=coefficients[:, 1:num_fixed],
        equal=Estimate(equal, np.full(rows.shape[:2], n - num_fixed + noise.df)),
        robust=Estimate(robust, np.clip(robust_dfs, 1.0, np.maximum(df, 1.0)[:, None])),
        noise=np.sqrt(variance),
    )
    return found, df >= 1


def _joined(parts: Sequence[Fit]) -> Fit:
    """The models of all parts behind each other."""

    def joined(arrays: Iterable[np.ndarray]) -> np.ndarray:
        return np.concatenate(list(arrays))

    return Fit(
        effects=joined(p.effects for p in parts),
        equal=Estimate(
            joined(p.equal.covariance for p in parts), joined(p.equal.dfs for p in parts)
        ),
        robust=Estimate(
            joined(p.robust.covariance for p in parts), joined(p.robust.dfs for p in parts)
        ),
        noise=joined(p.noise for p in parts),
    )


def _bell_mccaffrey(
    rows: np.ndarray,
    squares: np.ndarray,
    design: np.ndarray,
    inverse: np.ndarray,
    freedom: np.ndarray,
) -> np.ndarray:
    """Degrees of freedom of sum(squares * residuals**2), by the first two moments, (models,).

    sum_ij s_i s_j P_ij**2 for the residual maker P = I - H, without making P (trials, trials).
    """
    inner = inverse @ ((design * squares[:, :, None]).transpose(0, 2, 1) @ design)
    second = (squares**2 * (2 * freedom - 1)).sum(axis=1)
    second += np.einsum("mij,mji->m", inner, inner)
    of_one = (rows**2).sum(axis=1) ** 2
    return np.where(second > 0, of_one / np.where(second > 0, second, 1.0), 1.0)


def detectable(
    asked: Sequence[tuple[Fit, list[int]]],
    weights: np.ndarray | None = None,
    level: float = 1 - CONFIDENCE,
) -> float:
    """The size that an effect must have for half of such sweeps to find it, the median of all.

    `asked` are the fits whose p-values are corrected for their number, with the effects that are
    looked at. Half find what equals its own bound for the strongest of that many, at a
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


def holm(p_values: np.ndarray) -> np.ndarray:
    """Holm's adjusted p-values: below 0.05 for any true null in at most 5% of families."""
    order = np.argsort(p_values, kind="stable")
    adjusted = np.empty(len(p_values))
    raised = p_values[order] * np.arange(len(p_values), 0, -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(raised), 1.0)
    return adjusted


def closed(p_values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Adjusted p-values as Holm's are, but several that are nearly sure help each other.

    One is as sure as the least sure set that holds it (Marcus, Peritz and Gabriel 1976), and a set
    as Cauchy's combination says: the least sure holds those with the least evidence besides. Of a
    larger weight less is asked; no weight may follow from what is tested.
    """
    evidence, adjusted = _evidence(p_values), np.empty(len(p_values))
    order = np.argsort(evidence, kind="stable")
    for number in order:
        members = np.array([number, *order[order != number]])
        said = np.cumsum(weights[members] * evidence[members]) / np.cumsum(weights[members])
        adjusted[number] = stats.cauchy.sf(said.min())
    return adjusted
