"""Effects early and at the end, from all trials, also those that were stopped or paused on the way.

A trial is stopped for what was seen of it, so why its end is missing may be ignored by a likelihood
(Rubin 1976), and with drop-out that is never undone that factors (Anderson 1957; Little and Rubin,
chapter 7): the first rung's score is regressed on the hyperparameters over all trials, each later
one on them and the score before over those that went on. An effect at the end is what the values
do after the last rung, plus the slope times the effect before.
"""

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from analysis.reading.folder import SweepFolder
from analysis.reading.measure import Measure
from analysis.statistics.averaging import Explanations
from analysis.statistics.comparison import Comparison
from analysis.statistics.effects import (
    EFFECT_COLUMNS,
    MIN_TRIALS,
    SIGNIFICANT,
    Effects,
    kept_levels,
    with_reference,
)
from analysis.statistics.expected import evidence_weights
from analysis.statistics.regression import Estimate, Fit, averaged, closed, holm
from cnnlib.system.units import counted

COLUMNS = [*EFFECT_COLUMNS, "early", "early_low", "early_high", "unknown"]
MIN_ENDED = 5  # trials, for a later epoch to be compared at
MIN_GONE = 0.1  # of the trials, for an epoch where they ended to be a stage
GONE = ("stopped", "paused", "running", "failed")  # a trial of another status ended by itself


@dataclass(frozen=True)
class Stage:
    """The trials that reached an epoch, their scores then, and what else may explain them."""

    epoch: int
    scores: pd.Series
    levels: pd.DataFrame
    explanations: Explanations  # given the scores at the stage before


@dataclass(frozen=True)
class Course:
    """A sweep's comparison, and the same trials at the later epochs that some of them reached."""

    comparison: Comparison
    stages: list[Stage] = field(default_factory=list)
    num_later: int = 0
    """Trials that went past the epoch of comparison, where others were stopped by then."""

    @property
    def epoch(self) -> int | None:
        """The epoch that counts as the end."""
        return self.stages[-1].epoch if self.stages else self.comparison.epoch

    @property
    def is_open(self) -> bool:
        """Whether too few trials went on for anything to be known of the end."""
        return bool(self.num_later) and not self.stages

    def reference(self, name: str) -> str:
        """The value that most trials had at the end."""
        counts = self._counts(name)
        known = list(with_reference(self.comparison.levels[name]).cat.categories)
        return str(max(known, key=lambda value: counts.get(value, 0)))

    def against(self, name: str, reference: str) -> tuple[pd.DataFrame, float | None]:
        """Each other value's effect at the end against `reference`, and the p-value of them all.

        The p-values are of this hyperparameter alone, not corrected for the number of them. None,
        and NaN for an effect, where nobody knows.
        """
        factor = with_reference(self.comparison.levels[name], reference)
        early, kept = self.comparison.fit(factor, [name]), kept_levels(factor)
        if early is None or not kept:
            return pd.DataFrame(columns=COLUMNS), None
        end, values = self._end(factor, early), list(factor.cat.categories[1:])
        why = [self._unknown(name, values[k], reference) for k in kept]
        known = [k for k, reason in zip(kept, why, strict=True) if not reason]
        answers = {k: end.contrast(k) for k in known}
        adjusted = dict(zip(known, holm(np.array([answers[k][3] for k in known])), strict=True))
        counts, nothing = self._counts(name), (np.nan, np.nan, np.nan)
        rows = [
            (name, values[k], reference, *answers.get(k, nothing)[:3], float(adjusted.get(k, 1.0)),
             int(counts.get(values[k], 0)), int(counts.get(reference, 0)), *early.contrast(k)[:3],
             reason)
            for k, reason in zip(kept, why, strict=True)
        ]  # fmt: skip
        p_value = end.p_value(known, self.comparison.steps(factor)) if known else None
        return pd.DataFrame(rows, columns=COLUMNS), p_value

    def _counts(self, name: str) -> dict[str, int]:
        """How many trials reached the end, by value."""
        levels = self.stages[-1].levels if self.stages else self.comparison.levels
        return dict(levels[name].value_counts())

    def _unknown(self, name: str, value: str, reference: str) -> str:
        """Why nobody knows how a value ends against another; empty where trials tell."""
        before = self.comparison.epoch
        if self.is_open:
            return f"only {counted(self.num_later, 'trial')} went past epoch {before}"
        for stage in self.stages:
            counts = stage.levels[name].value_counts()
            for one in (value, reference):
                n = int(counts.get(one, 0))
                if n < MIN_TRIALS:
                    few = f"only {counted(n, 'trial')}" if n else "no trial"
                    return f"{few} with {name} {one} went past epoch {before}"
            before = stage.epoch
        return ""

    def _end(self, factor: pd.Series, early: Fit) -> Fit:
        """The effects at the last stage, stage by stage; NaN where nobody knows."""
        found, name = early, str(factor.name)
        values = list(factor.cat.categories)
        for stage in self.stages:
            own = factor.loc[stage.scores.index].cat.remove_unused_categories()
            if own.cat.categories[0] != values[0]:
                return _nobody_knows(len(values) - 1)
            fit = averaged(
                stage.scores.to_numpy(float), own,
                stage.explanations.without(self.comparison.numbers([name])),
                self.comparison.noise, stage.explanations.given,
            )  # fmt: skip
            if fit is None:
                return _nobody_knows(len(values) - 1)
            places = [values.index(value) - 1 for value in own.cat.categories[1:]]
            found = _after(found, fit, places)
        return found


def _nobody_knows(num: int) -> Fit:
    nothing = Estimate(np.full((num, num), np.nan), np.ones(num))
    return Fit(np.full(num, np.nan), nothing, nothing, np.array(np.nan))


def _after(before: Fit, fit: Fit, places: list[int]) -> Fit:
    """The effects one stage after `before`; `fit` has those at `places`, and then the slope.

    The delta method: what values do, what the slope makes of the effects before, and its error.
    """
    num, (own, spread) = len(before.effects), (fit.mean.covariance, before.mean.covariance)
    inside, slope, old = np.ix_(places, places), float(fit.effects[-1]), before.effects[places]
    with_slope = np.outer(old, own[:-1, -1])
    added = own[:-1, :-1] + with_slope + with_slope.T + own[-1, -1] * np.outer(old, old)
    carried = (slope**2 + own[-1, -1]) * spread[inside]
    nothing = _nobody_knows(num)
    effects, covariance, dfs = nothing.effects, nothing.equal.covariance, nothing.equal.dfs
    effects[places], covariance[inside] = fit.effects[:-1] + slope * old, added + carried
    parts = np.diag(added) ** 2 / fit.mean.dfs[:-1]
    parts = parts + np.diag(carried) ** 2 / before.mean.dfs[places]
    dfs[places] = np.maximum(np.diag(added + carried) ** 2 / np.maximum(parts, 1e-300), 1.0)
    estimate = Estimate(covariance, dfs)
    return Fit(effects, estimate, estimate, fit.noise)


def follow(sweep: SweepFolder, comparison: Comparison) -> Course:
    """The stages of a sweep: the epochs at which trials ended, and the last one.

    A trial that ended by itself counts with what it reached.
    """
    start = comparison.epoch
    logged = sweep.epochs[sweep.epochs["trial_id"].isin(comparison.scores.index)]
    if start is None or logged.empty:
        return Course(comparison)
    logged = logged.assign(score=comparison.measure.scores(logged)).dropna(subset="score")
    last = logged.groupby("trial_id")["epoch"].max().reindex(comparison.scores.index)
    trials = sweep.trials.drop_duplicates("trial_id").set_index("trial_id")
    status = trials["status"] if "status" in trials else pd.Series("completed", trials.index)
    is_gone = status.reindex(last.index).isin(GONE)
    end = int(last.sort_values().iloc[-MIN_ENDED]) if len(last) >= MIN_ENDED else start
    num_later = int((last > start).sum()) if (is_gone & (last <= start)).any() else 0
    stages, before, at = [], comparison.scores, start
    for epoch in _epochs(last[is_gone], start, end, len(last)):
        reached = last.index[(last >= epoch) | ~is_gone]
        if len(reached) < MIN_ENDED:
            break
        early = logged[(logged["epoch"] <= epoch) & logged["trial_id"].isin(reached)]
        scores = early.groupby("trial_id")["score"].max().reindex(reached)
        given = (before[reached] - before[reached].mean()).to_numpy(float)[:, None]
        levels = comparison.levels.loc[reached]
        stages.append(Stage(epoch, scores, levels, comparison.explained(scores, levels, given)))
        before, at = scores, epoch
    return Course(comparison, stages if at > start else [], num_later)


def _epochs(gone: pd.Series, start: int, end: int, num_trials: int) -> list[int]:
    """The epochs after `start` where many trials ended that did not end by themselves; `end`."""
    if end <= start:
        return []
    epochs, waiting = [], 0
    counts = gone[(gone > start) & (gone < end)].value_counts().sort_index()
    for epoch, n in counts.items():
        waiting += int(n)
        if waiting >= max(2, MIN_GONE * num_trials):
            epochs.append(int(epoch))
            waiting = 0
    return [*epochs, end]


@dataclass(frozen=True)
class Ends:
    """What the hyperparameters do to the score by the end, beside what they did early."""

    table: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=COLUMNS))
    """The rows and columns of effects.csv at the end; `early` is the same difference at the epoch
    of comparison; `unknown` says why nobody knows, where effect, low and high are NaN."""
    epoch: int | None = None
    p_values: dict[str, float] = field(default_factory=dict)
    """By hyperparameter, of those of which something is known, corrected as those early are."""

    @property
    def significant(self) -> pd.DataFrame:
        return self.table[self.table["p_adjusted"] <= SIGNIFICANT]

    @property
    def nobody_knows(self) -> bool:
        """Whether nothing is known of the end, though trials went there."""
        return bool(len(self.table)) and bool((self.table["unknown"] != "").all())

    def differences(self, measure: Measure) -> pd.DataFrame:
        """The table with differences of values in place of scores, early ones too."""
        early = self.table[["early", "early_low", "early_high"]]
        names = ["effect", "low", "high"]
        turned = measure.differences(early.set_axis(names, axis=1))
        columns = dict(zip(early, (turned[name] for name in names), strict=True))
        return measure.differences(self.table).assign(**columns)


def estimate_ends(course: Course, effects: Effects) -> Ends:
    """The effects at the end of all hyperparameters that are compared.

    Where no trial went past the epoch of comparison, that is the end, and there is no table.
    """
    if not course.stages and not course.is_open:
        return Ends(epoch=course.epoch)
    tables, raw = {}, {}
    for name in effects.importance["hyperparameter"]:
        tables[name], p_value = course.against(name, course.reference(name))
        if p_value is not None:
            raw[name] = p_value
    adjusted = closed(np.array([*raw.values()]), evidence_weights(raw))
    p_values = dict(zip(raw, map(float, adjusted), strict=True))
    for name, table in tables.items():
        table["p_adjusted"] = np.maximum(table["p_adjusted"], p_values.get(name, 1.0))
    known = [table for table in tables.values() if len(table)]
    whole = pd.concat(known, ignore_index=True) if known else pd.DataFrame(columns=COLUMNS)
    return Ends(whole, course.epoch, p_values)
