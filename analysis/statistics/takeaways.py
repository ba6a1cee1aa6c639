"""What the report says of a sweep in its own sentences, each with its numbers, and its cautions."""

from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from analysis.reading.folder import SweepFolder
from analysis.reading.measure import Measure
from analysis.reading.workload import in_order
from analysis.statistics.comparison import Comparison, levels_of
from analysis.statistics.course import Course, Ends
from analysis.statistics.effects import (
    MIN_TRIALS,
    SIGNIFICANT,
    Effects,
    best_value,
    effects_against,
)
from analysis.statistics.learning import Learning, learning_sentences
from analysis.statistics.regression import holm
from analysis.statistics.summary import seen_before
from cnnlib.system.units import counted

MAX_TAKEAWAYS = 10
FEW = 20  # trials, the default, and fewer
MIN_LATER = 5  # trials, for the orders early and late to be compared
LATE = "Too few went on for long to tell how often that happens here."
NEARLY_ALIASED = 0.5  # the same, where only few trials tell the effect of one of them
ALIASED = 0.8  # Cramér's V from which two hyperparameters cannot be told apart


@dataclass(frozen=True)
class Takeaway:
    """A sentence, and the difference in score that it is about."""

    text: str
    size: float


def takeaways(
    sweep: SweepFolder,
    course: Course,
    effects: Effects,
    ends: Ends,
    learning: Learning,
    pairs: pd.DataFrame,
) -> list[str]:
    """At most ten sentences: who learns at all, then the largest differences first; what can be
    said if there are none."""
    comparison = course.comparison
    singles = [*_effect_takeaways(course, effects), *_late_takeaways(course, effects, ends)]
    found = [*singles, *_pair_takeaways(pairs, comparison.measure), *_failure_takeaways(sweep)]
    found.sort(key=lambda takeaway: -takeaway.size)
    first = [] if singles else [_nothing(comparison, effects)]
    said = [*first, *(takeaway.text for takeaway in found)]
    learn = learning_sentences(learning)
    is_sure = min(learning.p_values.values(), default=1.0) <= SIGNIFICANT
    said = [*learn, *said] if is_sure else [*said[:1], *learn, *said[1:]]
    return said[:MAX_TAKEAWAYS]


def _nothing(comparison: Comparison, effects: Effects) -> str:
    n = len(comparison.scores)
    if effects.effects.empty:
        return (
            f"Nothing can be said of the hyperparameters: {counted(n, 'trial')} to compare, and an"
            f" effect needs two values with {MIN_TRIALS} trials each, and more trials than values."
        )
    return (
        f"No hyperparameter's effect stands out from chance in these {n} trials. Differences below"
        f" about {comparison.measure.size(effects.detectable)} would mostly be missed by as few."
    )


def _effect_takeaways(course: Course, effects: Effects) -> list[Takeaway]:
    """One for each hyperparameter that matters: its best value against the worst for sure."""
    found, comparison = [], course.comparison
    for row in effects.importance.itertuples():
        name, p_value = row.hyperparameter, effects.p_values[row.hyperparameter]
        if p_value > SIGNIFICANT:
            continue
        explained = (
            f"It explains {row.importance:.0%} ({row.low:.0%} to {row.high:.0%}) of the variance."
        )
        sure = _sure_rows(comparison, effects, name)
        if sure.empty:
            text = (
                f"{name} matters (p = {p_value:.3f}, all its values at once, corrected for all"
                " hyperparameters), but which of its values is better these trials do not tell."
            )
            found.append(Takeaway(f"{text} {explained}", 0.0))
            continue
        largest = sure.loc[sure["effect"].abs().idxmax()]
        text = (
            f"{name}: {_difference(largest, comparison)}. {explained}{_at_the_end(largest, course)}"
        )
        found.append(Takeaway(text, abs(float(largest["effect"]))))
    return found


def _sure_rows(comparison: Comparison, effects: Effects, name: str) -> pd.DataFrame:
    """The sure differences from the best value, or where there is none, from the reference."""
    rows = effects_against(comparison, effects, name, best_value(effects, name))
    sure = rows[rows["p_adjusted"] <= SIGNIFICANT]
    known = effects.significant
    return known[known["hyperparameter"] == name] if sure.empty else sure


def _difference(row: pd.Series, comparison: Comparison) -> str:
    """A row of effects in words, the better value first."""
    value, reference = (row["value"], row["n"]), (row["reference"], row["n_reference"])
    ends = row["low"], row["high"]
    if row["effect"] > 0:
        (better, n), (worse, n_worse), (low, high) = value, reference, ends
    else:
        (better, n), (worse, n_worse), (high, low) = reference, value, (-ends[0], -ends[1])
    measure = comparison.measure
    return (
        f"{better} reaches {measure.apart(abs(row['effect']))} than {worse} {comparison.when} (95%"
        f" interval {measure.interval(low, high)}; n = {n} and {n_worse}), the other"
        " hyperparameters being equal"
    )


def _at_the_end(row: pd.Series, course: Course) -> str:
    """How a difference that was sure early ends, or why nobody knows."""
    if not course.stages and not course.is_open:
        return ""
    table, _ = course.against(row["hyperparameter"], row["reference"])
    table = table[table["value"] == row["value"]]
    if table.empty:
        return ""
    end, measure = table.iloc[0], course.comparison.measure
    if end["unknown"]:
        return f" Nobody knows how it ends: {end['unknown']}."
    sign = 1 if row["effect"] > 0 else -1
    low, high = sorted((sign * end["low"], sign * end["high"]))
    figures = f"{measure.change(sign * end['effect'])} (95% interval {measure.interval(low, high)})"
    if high < 0:
        return f" At the end, by epoch {course.epoch}, it is the other way round: {figures}."
    if low < 0:
        return f" By the end, epoch {course.epoch}, it may be gone: {figures}."
    return f" By the end, epoch {course.epoch}, it is {figures}."


def _late_takeaways(course: Course, effects: Effects, ends: Ends) -> list[Takeaway]:
    """One for each hyperparameter that matters at the end and not early."""
    found, measure = [], course.comparison.measure
    late = [
        name
        for name, p in ends.p_values.items()
        if p <= SIGNIFICANT and effects.p_values.get(name, 1.0) > SIGNIFICANT
    ]
    for name in late:
        rows = ends.significant[ends.significant["hyperparameter"] == name]
        if rows.empty:
            continue
        row = rows.loc[rows["effect"].abs().idxmax()]
        text = (
            f"{name}: at the end, by epoch {course.epoch}, {row['value']} reaches"
            f" {measure.apart(row['effect'])} than {row['reference']} (95% interval"
            f" {measure.interval(row['low'], row['high'])}; n = {row['n']} and"
            f" {row['n_reference']}); {course.comparison.when} that was"
            f" {measure.change(row['early'])}."
        )
        found.append(Takeaway(text, abs(float(row["effect"]))))
    return found


def _pair_takeaways(pairs: pd.DataFrame, measure: Measure) -> list[Takeaway]:
    return [
        Takeaway(
            f"{row.first} and {row.second} depend on each other (p = {row.p_adjusted:.3f},"
            " corrected for all pairs), so their own effects are averages."
            f"{_best_of(row, measure)}",
            abs(float(row.best_effect)),
        )
        for row in pairs[pairs["p_adjusted"] <= SIGNIFICANT].head(3).itertuples()
    ]


def _best_of(row: Any, measure: Measure) -> str:
    return f" The {measure.best} mean is that of {row.best} (n = {row.n})." if row.n else ""


def _failure_takeaways(sweep: SweepFolder) -> list[Takeaway]:
    """Values with which trials fail more often than with the others."""
    if "status" not in sweep.trials:
        return []
    failed = (sweep.trials["status"] == "failed").to_numpy()
    if not failed.any():
        return []
    cases = []
    for name in sweep.hyperparameters:
        levels = levels_of(sweep.trials[name])
        for value in levels.cat.categories:
            has = (levels == value).to_numpy()
            counts = [(failed & has).sum(), (~failed & has).sum(), (failed & ~has).sum()]
            table = [counts[:2], [counts[2], (~failed & ~has).sum()]]
            p_value = stats.fisher_exact(table, alternative="greater").pvalue
            cases.append((f"{name} {value}", counts[0], int(has.sum()), float(p_value)))
    adjusted = holm(np.array([p for *_, p in cases]))
    return [
        Takeaway(
            f"Trials fail more often with {words}: {num_failed} of its {n} did, of"
            f" {failed.sum()} of {len(failed)} in all (p = {p:.3f}, corrected for all values).",
            0.0,
        )
        for (words, num_failed, n, _), p in zip(cases, adjusted, strict=True)
        if p <= SIGNIFICANT
    ]


def cautions(sweep: SweepFolder, comparison: Comparison, effects: Effects) -> list[str]:
    """What weakens the figures, as far as it holds in this sweep."""
    n = len(comparison.scores)
    if not n:
        return []
    return [
        *_not_learned(comparison),
        *seen_before(sweep),
        *_left_out(comparison),
        *_early(sweep, comparison),
        *_adaptive(sweep, comparison),
        *_determined(comparison),
        *_aliased(comparison, effects),
        *_few(n, effects),
    ]


def _not_learned(comparison: Comparison) -> list[str]:
    failed = int((~comparison.learned).sum())
    if not failed:
        return []
    return [
        f"Effects are among the {counted(len(comparison.scores), 'network')} that learned; the"
        f" {failed} that did not are a question of their own."
    ]


def _left_out(comparison: Comparison) -> list[str]:
    if not comparison.num_left_out:
        return []
    before = f"epoch {comparison.epoch}" if comparison.epoch else f"any {comparison.measure.noun}"
    return [
        f"{counted(comparison.num_left_out, 'trial')} failed or were interrupted before"
        f" {before} and are left out."
    ]


def _early(sweep: SweepFolder, comparison: Comparison) -> list[str]:
    """How well the order at the epoch of comparison agrees with that of the end."""
    if comparison.epoch is None:
        return [
            "The epochs are not logged, so trials are compared at their best whatever their"
            " length: those that were stopped early look worse than they are."
        ]
    last = sweep.epochs.groupby("trial_id")["epoch"].max()
    longest = last.max()
    if pd.isna(longest) or longest <= comparison.epoch:
        return []
    ends, judged = ("high", "low") if comparison.measure.rises else ("low", "high")
    start = (
        f"Trials are compared after epoch {comparison.epoch}, the last that nearly all reached"
        f" (the longest trained {longest:.0f}), so a value that starts slowly and ends {ends} is"
        f" judged too {judged}."
    )
    later = last.index[(last >= 2 * comparison.epoch) | (last == longest)]
    later = later.intersection(comparison.scores.index)
    final = sweep.measure.scores(sweep.trials.drop_duplicates("trial_id").set_index("trial_id"))
    pairs = pd.DataFrame({"early": comparison.scores[later], "final": final.reindex(later)})
    pairs = pairs.dropna()
    if len(pairs) < MIN_LATER or pairs.nunique().min() < 2:
        return [f"{start} {LATE}"]
    rank = pairs["early"].corr(pairs["final"], method="spearman")
    return [
        f"{start} Among the {len(pairs)} trials that went on for long, the order then and at the"
        f" end agree with a rank correlation of {rank:.2f}."
    ]


def _adaptive(sweep: SweepFolder, comparison: Comparison) -> list[str]:
    """The values that the search took up or dropped as it went on."""
    if sweep.settings.get("search") in (None, "random", "grid"):  # of a table nobody knows
        return []
    order = in_order(sweep.trials.drop_duplicates("trial_id"))["trial_id"]
    order = order[order.isin(comparison.levels.index)]
    is_late = pd.Series(np.arange(len(order)) >= len(order) / 2, order.to_numpy())
    cases = []
    for name, levels in comparison.levels.items():
        late = is_late.reindex(levels.index)
        for value in levels.cat.categories:
            now, before = int((levels == value)[late].sum()), int((levels == value)[~late].sum())
            table = [[now, late.sum() - now], [before, (~late).sum() - before]]
            cases.append((f"{name} {value}", before, now, stats.fisher_exact(table).pvalue))
    adjusted = holm(np.array([p for *_, p in cases])) if cases else np.array([])
    drifted = [c for c, p in zip(cases, adjusted, strict=True) if p <= SIGNIFICANT]
    if not drifted:
        return []
    drifted.sort(key=lambda case: case[3])
    examples = ", ".join(f"{words} ({a} then {b})" for words, a, b, _ in drifted[:3])
    return [
        "The search itself chose what to try, and changed its mind: trials in the first and in the"
        f" second half of the sweep with {examples}. What looked bad early was hardly tried again,"
        " so its estimate rests on few trials and leans low."
    ]


def _determined(comparison: Comparison) -> list[str]:
    return [
        f"{name} is not compared: {' and '.join(by)} say it already."
        for name, by in comparison.determined.items()
    ]


def _aliased(comparison: Comparison, effects: Effects) -> list[str]:
    """Hyperparameters that changed together, and those of whose effects only few trials tell."""
    names, levels = list(comparison.levels), comparison.levels
    strength = {
        (first, second): _cramers_v(levels[first], levels[second])
        for first, second in combinations(names, 2)
    }
    few = set(effects.effects.loc[effects.effects["rests_on_few"].astype(bool), "hyperparameter"])
    strongest = {
        max((pair for pair in strength if name in pair), key=lambda pair: strength[pair])
        for name in few
        if len(names) > 1
    }
    together = [
        f"{first} and {second}"
        for (first, second), value in strength.items()
        if value >= ALIASED or ((first, second) in strongest and value >= NEARLY_ALIASED)
    ]
    if not together:
        return []
    more = f" (and {len(together) - 3} more pairs)" if len(together) > 3 else ""
    return [
        f"{'; '.join(together[:3])}{more} changed together, so that their effects cannot be told"
        " apart."
    ]


def _cramers_v(first: pd.Series, second: pd.Series) -> float:
    """0 if the two have nothing to do with each other, 1 if one gives the other; for small n."""
    table = pd.crosstab(first, second)
    n, (rows, columns) = len(first), table.shape
    if n < 2 or min(rows, columns) < 2:
        return 0.0
    square = stats.chi2_contingency(table, correction=False).statistic / n
    square = max(0.0, square - (rows - 1) * (columns - 1) / (n - 1))  # Bergsma 2013
    rows_, columns_ = (k - (k - 1) ** 2 / (n - 1) for k in (rows, columns))
    return float(np.sqrt(square / max(min(rows_, columns_) - 1, 1e-9)))


def _few(n: int, effects: Effects) -> list[str]:
    sentences = []
    if effects.not_compared:
        sentences.append(
            f"Not compared, because no two of its values have {MIN_TRIALS} trials each:"
            f" {', '.join(effects.not_compared)}."
        )
    if effects.crowded:
        sentences.append(
            "Not compared, because there are about as many values as trials, or all scores are"
            f" equal: {', '.join(effects.crowded)}."
        )
    if n <= FEW and not effects.effects.empty:
        sentences.append(
            f"With {n} trials only large effects can be seen, and one unlucky trial can hide or"
            " feign one."
        )
    return sentences
